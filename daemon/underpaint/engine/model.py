"""An open model: what encodes pictures and prompts, denoises, and decodes."""

from __future__ import annotations

import functools
import gc
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import diffusers
import numpy as np
import torch
import transformers

from underpaint.models import BackgroundHash, ModelInfo
from underpaint_client.errors import GenerationFailedError, ModelUnavailableError
from underpaint_client.geometry import Extent

from .families.stable_diffusion import StableDiffusion, StableDiffusionXL
from .memory import Abilities, Saving, choose_tiles, is_out_of_memory
from .noise_levels import levels_only
from .opening import open_pipeline
from .prompt_notes import describe_losses, read_prompt
from .source import Floats, Mask, resize

_PIPELINES: dict[str, Any] = {"sd": StableDiffusion, "sdxl": StableDiffusionXL}

OFFLOADING = ("cuda", "mps")
"""Kinds of device that have a memory, or a limit, of their own."""

_PROMPT_OUTPUTS = (
    "prompt_embeds",
    "negative_prompt_embeds",
    "pooled_prompt_embeds",
    "negative_pooled_prompt_embeds",
)
"""What `encode_prompt` returns, in order; Stable Diffusion's ends after the second."""


def choose_device(wanted: str = "auto") -> str:
    """Return where to compute: `cuda`, `mps` or `cpu`; `auto` takes the first there is.

    Raises
    ------
    ModelUnavailableError
        Where the device asked for is not there.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        return next(device for device, available in there.items() if available)
    kind, _, index = wanted.partition(":")
    too_high = kind == "cuda" and there["cuda"] and int(index or 0) >= torch.cuda.device_count()
    if not there.get(kind, False) or too_high:
        raise ModelUnavailableError(
            f"device {wanted!r} is not there; available: {', '.join(d for d in there if there[d])}"
        )
    return wanted


def free_memory(device: torch.device) -> None:
    """Give back what torch and Python keep for later."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


@dataclass
class _Memory:
    """Remembers the last few results of something slow."""

    size: int
    kept: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict)

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        if key not in self.kept:
            self.kept[key] = make()
            while len(self.kept) > self.size:
                self.kept.popitem(last=False)
        self.kept.move_to_end(key)
        return self.kept[key]


class Model:
    """A model, loaded and warm.

    Parameters
    ----------
    info : ModelInfo
        From `describe_model`.
    device : str
        From `choose_device`. A GPU computes in half precision, a CPU in float32, which is faster
        there.
    offloaded : bool
        Whether its parts stay in the computer's memory until their turn (`Saving`).

    Raises
    ------
    ModelUnavailableError
        Where diffusers cannot open it.
    """

    def __init__(self, info: ModelInfo, device: str, *, offloaded: bool = False) -> None:
        self.info = info
        self.saving = Saving()
        self.device = torch.device(device)
        self.dtype = torch.float32 if self.device.type == "cpu" else torch.float16
        self._hash = BackgroundHash(info)
        self.pipeline = self._open()
        self.scheduler_config = levels_only(self.pipeline.scheduler.config)
        self._sketch: torch.Tensor | None = None
        self._attention = dict(self.pipeline.unet.attn_processors)
        self.forget()
        if offloaded:
            self.save(Saving(offloaded=True))
        else:
            self.pipeline.to(self.device)

    @property
    def hash(self) -> str:
        """What tells its files from others'. Waits until they are read, once."""
        return self._hash.value

    @property
    def notes(self) -> tuple[str, ...]:
        """What the artist should know of its files. Waits as `hash` does."""
        return self._hash.notes

    def _open(self) -> Any:
        diffusers.utils.logging.disable_progress_bar()
        transformers.utils.logging.disable_progress_bar()
        try:
            pipeline = open_pipeline(self.info, _PIPELINES[self.info.family], self.dtype)
        except ModelUnavailableError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise ModelUnavailableError(
                f"model {self.info.path} cannot be opened: {_first_line(error)}; fetch it again"
            ) from error
        vae = pipeline.vae
        if self.info.family == "sdxl" and vae.config.force_upcast and vae.dtype != torch.float32:
            vae.to(torch.float32)  # it overflows in half precision
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def forget(self) -> None:
        """Forget the prompts and pictures that were encoded."""
        self._prompts = _Memory(8)
        self._pictures = _Memory(4)

    def close(self) -> None:
        """Free the memory."""
        del self.pipeline
        free_memory(self.device)

    # ---- memory ----------------------------------------------------------------------------

    @property
    def abilities(self) -> Abilities:
        """What can be saved where memory is short."""
        tiled = hasattr(self.pipeline.vae, "tile_sample_min_size")
        kind = self.device.type
        return Abilities(
            tiles=choose_tiles(self.info.native, self.info.cell) if tiled else (),
            slices=kind == "mps" and hasattr(self.pipeline.unet, "set_attention_slice"),
            offloads=kind in OFFLOADING,
        )

    def save(self, saving: Saving) -> None:
        """Save this much memory from now on, no more and no less.

        A move to or from the device that fails half way is put right by the opposite one.
        """
        unet = self.pipeline.unet
        was, self.saving = self.saving, saving
        if saving.sliced and not was.sliced:
            unet.set_attention_slice("max")
        elif was.sliced and not saving.sliced:
            unet.set_attn_processor(dict(self._attention))
        if saving.offloaded and not was.offloaded:
            self.pipeline.enable_model_cpu_offload(device=self.device)
        elif was.offloaded and not saving.offloaded:
            self.pipeline.remove_all_hooks()
            self.pipeline.to(self.device)
        elif saving.offloaded:
            self.pipeline.maybe_free_model_hooks()  # a cancelled run leaves parts on the device

    def free(self) -> None:
        """Free what a failed attempt has left on the device."""
        self.pipeline.maybe_free_model_hooks()  # offloaded parts go back to wait
        free_memory(self.device)

    @contextmanager
    def _autoencoder(self, tile: int) -> Iterator[Any]:
        """Lend the autoencoder, set to work in tiles of so many pixels or, at 0, without."""
        vae = self.pipeline.vae
        vae.use_tiling = tile > 0
        if tile:
            vae.tile_sample_min_size = tile
            vae.tile_latent_min_size = tile // self.info.cell
        try:
            yield vae
        finally:
            if self.saving.offloaded:
                vae.to("cpu")  # its hook moves away what came before it, not itself

    # ---- prompts ---------------------------------------------------------------------------

    def encode_prompt(self, prompt: str, negative: str, *, guided: bool) -> dict[str, torch.Tensor]:
        """Encode a prompt, or remember it.

        Parameters
        ----------
        prompt, negative : str
            In any script.
        guided : bool
            Whether the negative prompt is needed.

        Returns
        -------
        dict of str to tensor (1, ...)
            By the pipeline's own argument names.
        """

        def encode() -> dict[str, torch.Tensor]:
            outputs = self.pipeline.encode_prompt(
                prompt=prompt,
                device=self.device,
                num_images_per_prompt=1,
                do_classifier_free_guidance=guided,
                negative_prompt=negative or None,
            )
            named = zip(_PROMPT_OUTPUTS, outputs, strict=False)
            return {name: tensor for name, tensor in named if tensor is not None}

        found: dict[str, torch.Tensor] = self._prompts.get((prompt, negative, guided), encode)
        return found

    def prompt_notes(
        self, prompt: str, negative: str = "", *, guided: bool = True
    ) -> tuple[str, ...]:
        """Return what of a prompt and a negative prompt the model will not read."""
        parts = (getattr(self.pipeline, name, None) for name in ("tokenizer", "tokenizer_2"))
        read = functools.partial(read_prompt, [part for part in parts if part is not None])
        return describe_losses(prompt, negative, read, guided=guided)

    # ---- pictures --------------------------------------------------------------------------

    @property
    def channels(self) -> int:
        """How many channels a latent has."""
        return int(self.pipeline.vae.config.latent_channels)

    def encode(self, image: Floats) -> torch.Tensor:
        """Encode a picture, or remember it.

        Deterministic: the distribution's mode is taken, not a sample, so that the same picture
        has the same latents in every run.

        Parameters
        ----------
        image : float32, (H, W, 3)
            RGB, 0..1, sides that are multiples of 16.

        Returns
        -------
        tensor (1, C, H / cell, W / cell)
            Scaled as the UNet expects them.
        """
        key = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
        found: torch.Tensor = self._pictures.get(
            (image.shape, key, self.saving.encode_tile), lambda: self._encode(image)
        )
        return found

    def _encode(self, image: Floats) -> torch.Tensor:
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None] * 2 - 1
        with self._autoencoder(self.saving.encode_tile) as vae:
            latents = vae.encode(pixels.to(self.device, vae.dtype)).latent_dist.mode()
        mean, deviation = (self._statistics(name) for name in ("latents_mean", "latents_std"))
        if mean is not None and deviation is not None:
            latents = (latents - mean.to(latents)) / deviation.to(latents)
        encoded: torch.Tensor = (latents * vae.config.scaling_factor).to(self.dtype)
        return encoded

    def decode(self, latents: torch.Tensor) -> Floats:
        """Decode one picture's latents: one by one costs least memory and keeps batches alike.

        Parameters
        ----------
        latents : tensor (C, h, w)
            Clean.

        Returns
        -------
        float32, (H, W, 3)
            RGB, 0..1.

        Raises
        ------
        GenerationFailedError
            Where the model's picture is no picture.
        """
        vae = self.pipeline.vae
        scaled = latents[None].to(vae.dtype) / vae.config.scaling_factor
        mean, deviation = (self._statistics(name) for name in ("latents_mean", "latents_std"))
        if mean is not None and deviation is not None:
            scaled = scaled * deviation.to(scaled) + mean.to(scaled)
        with self._autoencoder(self.saving.decode_tile):
            decoded = vae.decode(scaled, return_dict=False)[0][0]
        if not torch.isfinite(decoded).all():
            raise GenerationFailedError(
                f"model {self.info.name!r} painted a picture that is not a number (NaN): its"
                " weights are broken or overflow in half precision; try another model or sampler,"
                " or a lower guidance scale"
            )
        picture: Floats = decoded.permute(1, 2, 0).float().cpu().numpy() / 2 + 0.5
        return picture.clip(0, 1)

    @property
    def sees_kept(self) -> bool:
        """Whether this is an inpainting model, which is shown what is kept."""
        return bool(self.pipeline.unet.config.in_channels != self.channels)

    def show_kept(self, image: Floats, changes: Mask) -> torch.Tensor:
        """Encode what an inpainting model sees beside the noisy latents, or remember it.

        Stable Diffusion's were trained on one channel that is 1 where the picture may change, and
        the latents of the picture with grey there (`prepare_kept`).

        Parameters
        ----------
        image : float32, (H, W, 3)
            The picture, grey in every cell that may change.
        changes : bool, (h, w)
            Those cells.

        Returns
        -------
        tensor (1, C + 1, h, w)
        """
        latents = self.encode(image)
        hidden = torch.from_numpy(changes).to(latents)[None, None]
        return torch.cat([hidden, latents], dim=1)

    def sketch(self, latents: torch.Tensor) -> Floats:
        """Return the colours of latents roughly, a pixel a cell, in no time.

        Parameters
        ----------
        latents : tensor (C, h, w)
            Clean, or nearly.

        Returns
        -------
        float32, (h, w, 3)
            RGB, 0..1.
        """
        if self._sketch is None:
            self._sketch = self._fit_sketch()
        found = torch.einsum("chw,cd->hwd", latents.float(), self._sketch[:-1]) + self._sketch[-1]
        colours: Floats = found.nan_to_num().clamp(0, 1).cpu().numpy()
        return colours

    def _fit_sketch(self) -> torch.Tensor:
        """Find the linear map from latents to colours: (C + 1, 3), the last row what is added.

        By least squares over soft fields of colour, which this very autoencoder encodes.
        """
        cell, fields, cells = self.info.cell, 8, 32
        spots = np.random.default_rng(0).random((fields, fields, 3), np.float32)
        colours = resize(spots, Extent(cells, cells))
        latents = self._encode(resize(colours, Extent(cells * cell, cells * cell)))[0].float()
        known = torch.cat([latents.flatten(1).T, torch.ones(cells**2, 1).to(latents)], dim=1)
        wanted = torch.from_numpy(colours.reshape(-1, 3)).to(known)
        ridge = 1e-3 * len(known) * torch.eye(known.shape[1]).to(known)
        found: torch.Tensor = torch.linalg.solve(known.T @ known + ridge, known.T @ wanted)
        return found

    def _statistics(self, name: str) -> torch.Tensor | None:
        values = getattr(self.pipeline.vae.config, name, None)
        return None if values is None else torch.tensor(values).view(1, -1, 1, 1)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
