"""An open model: what encodes pictures and prompts, denoises, and decodes."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from underpaint.models import BackgroundHash, ModelInfo
from underpaint.models.controlnet_list import ChosenControl
from underpaint.models.ip_adapter_list import ChosenReference
from underpaint.models.memory_needs import MemoryNeeds
from underpaint_client.errors import GenerationFailedError
from underpaint_client.geometry import Extent
from underpaint_client.samplers import choose_sampler
from underpaint_client.steps import StepPlan

from .abilities import describe_abilities, describe_model_needs
from .controlnets import Control, ControlNets
from .denoise import Guide, denoise
from .devices import free_memory
from .families import find_family
from .families.family import Prompt
from .ip_adapters import IpAdapters, Reference
from .noise_levels import levels_only
from .pixels import Floats, Mask
from .placed_pipeline import PlacedPipeline
from .preview_map import apply_preview_map, fit_preview_map
from .prompt_reader import PromptReader
from .recent import Recent
from .reference_pictures import ReferencePicture, read_picture
from .regions import AttentionRegions, Mixing
from .samplers import Sampler
from .savings import Abilities, Saving
from .shown_pictures import ShownPicture, showing


class Model:
    """A model, loaded and warm.

    Parameters
    ----------
    info : ModelInfo
        From `describe_model`.
    device : str
        From `choose_device`. A GPU computes in half precision, a CPU in float32, which is faster
        there.
    saving : Saving
        What to save from the start.
    quantise : str
        As `Engine` has it.

    Attributes
    ----------
    placed : PlacedPipeline
        Its pipeline in memory.
    prompts : PromptReader
        What it reads of prompts.

    Raises
    ------
    ModelUnavailableError
        Where diffusers cannot open it.
    """

    def __init__(
        self,
        info: ModelInfo,
        device: str,
        *,
        saving: Saving | None = None,
        quantise: str = "auto",
    ) -> None:
        self.info = info
        self.device = torch.device(device)
        self.family = find_family(info.family, info.purpose)
        self.dtype = torch.float32 if self.device.type == "cpu" else self.family.half
        self._needs = describe_model_needs(info, self.device)
        self._quantise = quantise
        self._hash = BackgroundHash(info)
        self._preview_map: torch.Tensor | None = None
        self._controlnets = ControlNets(self.device, self.dtype)
        self._ip_adapters = IpAdapters(self.device, self.dtype)
        self._references = Recent(16)
        self._pictures = Recent(8)
        self.shown_share = 0.0
        """How many pixels the model is shown in the current request, as a share of an image's."""
        self.prompts_mixed = 1
        """How many prompts an image of the current request is mixed of, each taking as much memory
        as an image."""
        self.placed = PlacedPipeline(info, self.family, self.device, self.dtype, saving or Saving())
        self.prompts = PromptReader(info.name, self.family, self.placed)
        self.scheduler_config = levels_only(self.pipeline.scheduler.config)

    @property
    def hash(self) -> str:
        """The hash of its files. The first call waits until they are read."""
        return self._hash.value

    @property
    def notes(self) -> tuple[str, ...]:
        """What the artist should know about its files. Waits as `hash` does."""
        return self._hash.notes

    @property
    def pipeline(self) -> Any:
        """The diffusers pipeline; None only if opening it again has failed."""
        return self.placed.pipeline

    def forget(self) -> None:
        """Forget the prompts and pictures that were encoded."""
        self.prompts.forget()
        self._pictures = Recent(4)
        self._references = Recent(16)

    def close(self) -> None:
        """Free the memory."""
        self._controlnets = ControlNets(self.device, self.dtype)
        self._ip_adapters = IpAdapters(self.device, self.dtype)
        self.placed.close()

    # ---- memory ----------------------------------------------------------------------------

    @property
    def saving(self) -> Saving:
        """How memory is saved at present; `save` changes it."""
        return self.placed.saving

    @property
    def needs(self) -> MemoryNeeds:
        """What it needs for the current request, with its ControlNets and IP-Adapters."""
        needs, more = self._needs, self._controlnets.used_bytes + self._ip_adapters.used_bytes
        return replace(
            needs,
            denoiser=replace(needs.denoiser, weights=needs.denoiser.weights + more),
            denoising=round(needs.denoising * self.prompts_mixed * (1 + self.shown_share)),
        )

    @property
    def needs_more(self) -> bool:
        """Whether the current request needs more memory than one of its size usually does."""
        return self.uses_controls or self.prompts_mixed > 1 or self.shown_share > 0

    @property
    def abilities(self) -> Abilities:
        """How memory can be saved."""
        return describe_abilities(self.info, self.device, self._quantise)

    def save(self, saving: Saving) -> None:
        """Save this much memory from now on, as `PlacedPipeline.save`."""
        self.placed.save(saving)

    def free(self) -> None:
        """Free the memory of the device that a failed attempt still uses."""
        self.placed.offload_again()
        self._controlnets.forget_unused()
        self._ip_adapters.forget_unused()
        free_memory(self.device)

    # ---- control layers --------------------------------------------------------------------

    @property
    def uses_controls(self) -> bool:
        """Whether the current request has control layers, or IP-Adapters for references."""
        return self._controlnets.used_bytes + self._ip_adapters.used_bytes > 0

    def load_controlnets(self, controls: Sequence[ChosenControl]) -> None:
        """Load the ControlNets of the current request; those of earlier ones wait, or go.

        Raises
        ------
        ModelUnavailableError
            A file cannot be read, or does not fit the model.
        """
        if controls or self.uses_controls:
            self._controlnets.load(controls, self.placed.denoiser)

    # ---- reference layers ------------------------------------------------------------------

    def load_ip_adapters(self, references: Sequence[ChosenReference]) -> None:
        """Load the IP-Adapters of the current request; those of earlier ones wait, or go.

        Raises
        ------
        ModelUnavailableError
            A file cannot be read, or does not fit the model.
        """
        if references or self.uses_controls:
            self._ip_adapters.load(references, self.placed.denoiser)

    def read_references(
        self, chosen: Sequence[ChosenReference], pictures: Sequence[ReferencePicture]
    ) -> tuple[Reference, ...]:
        """Read the pictures of reference layers, or return what was read before.

        Raises
        ------
        ModelUnavailableError
            A CLIP vision model cannot be opened.
        """
        by_index = {one.index: one for one in pictures}
        found = []
        for one in chosen:
            picture, encoder = by_index[one.index], one.encoder
            read = functools.partial(read_picture, picture.colour, encoder, one.reads)
            key = (encoder.path, encoder.stamp, one.reads, picture.hash)
            found.append(Reference(one, self._references.get(key, read), picture.hash))
        return tuple(found)

    # ---- runs ------------------------------------------------------------------------------

    def guided(self, guidance_scale: float) -> bool:
        """Return whether a run at that guidance scale uses the negative prompt."""
        return self.family.guided(self.pipeline, guidance_scale)

    @property
    def starts_exactly(self) -> bool:
        """Whether runs start exactly at their strength, since a share of few steps is coarse."""
        return self.family.starts_exactly and self.info.recommended.few_steps

    def make_sampler(self, name: str, plan: StepPlan, cells: Extent) -> Sampler:
        """Make a sampler for one run.

        Parameters
        ----------
        name : str
            As `Request.sampler`.
        plan : StepPlan
            How many steps of which schedule run.
        cells : Extent
            The latents' size.

        Raises
        ------
        BadInputError
            There is no such sampler, or it does not fit the model's family.
        """
        chosen = choose_sampler(name, self.info.recommended.sampler)
        return self.family.make_sampler(self.pipeline, chosen, self.scheduler_config, plan, cells)

    def denoise(
        self,
        guide: Guide,
        prompts: Sequence[Prompt],
        guidance_scale: float,
        generators: list[torch.Generator],
        controls: Sequence[Control] = (),
        references: Sequence[Reference] = (),
        pictures: Sequence[ShownPicture] = (),
        shares: Sequence[Floats] = (),
    ) -> torch.Tensor:
        """Run the denoiser, as `denoise.denoise`, with all that it is held to and is shown.

        Parameters
        ----------
        prompts : sequence of dict
            One for the whole of the images, or several of which each has a share.
        shares : sequence of float32, (h, w)
            The share of each prompt; not looked at where there is one.
        """
        unet, placement = self.placed.denoiser, self.saving.placement
        guided = self.guided(guidance_scale)
        prompt, regions = prompts[0], None
        if len(prompts) > 1:
            each = torch.from_numpy(np.stack(shares)).to(self.device)
            if self.family.mixes_prompts:
                prompt = self.family.join_prompts(prompts)
                guide = replace(guide, mixing=Mixing(each))
            else:
                regions = AttentionRegions(prompts, each)
                prompt = regions.prompt

        @contextmanager
        def steering(calls: int) -> Iterator[None]:
            with (  # ControlNets read the prompt as it is, and so come first
                self._controlnets.steering(unet, controls, placement, calls) as nets,
                self._ip_adapters.reading(unet, references, placement, calls, guided=guided),
                showing(self.family, unet, [one.latents for one in pictures]),
                regions.steering([unet, *nets]) if regions else nullcontext(),
            ):
                yield

        return denoise(
            self.family, self.pipeline, guide, prompt, guidance_scale, generators, steering
        )

    # ---- pictures --------------------------------------------------------------------------

    @property
    def channels(self) -> int:
        """How many channels a latent has."""
        return self.family.channels(self.pipeline.vae)

    def encode(self, image: Floats) -> torch.Tensor:
        """Encode a picture, or return what was encoded before.

        Deterministic: the distribution's mode is taken, not a sample, so that the same picture
        has the same latents in every run.

        Parameters
        ----------
        image : float32, (H, W, 3)
            RGB, 0..1, sides that are multiples of 16.

        Returns
        -------
        tensor (1, C, H / cell, W / cell)
            Scaled as the denoiser expects them.
        """
        key = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
        found: torch.Tensor = self._pictures.get(
            (image.shape, key, self.saving.encode_tile), lambda: self._encode(image)
        )
        return found

    def _encode(self, image: Floats) -> torch.Tensor:
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None] * 2 - 1
        with self.placed.autoencoder(self.saving.encode_tile) as vae:
            latents = self.family.encode(vae, pixels.to(self.device, vae.dtype))
        return latents.to(self.dtype)

    def decode(self, latents: torch.Tensor) -> Floats:
        """Decode one picture's latents. One by one takes the least memory and suits any batch.

        Parameters
        ----------
        latents : tensor (C, h, w)
            Clean.

        Returns
        -------
        float32, (H, W, 3) or (H, W, 4)
            RGB, 0..1, and alpha, where the model paints transparency too.

        Raises
        ------
        GenerationFailedError
            The picture has values that are not numbers (NaN).
        """
        with self.placed.autoencoder(self.saving.decode_tile) as vae:
            decoded = self.family.decode(vae, latents[None].to(vae.dtype))[0]
        if not torch.isfinite(decoded).all():
            raise GenerationFailedError(
                "model {name!r} painted a picture that is not a number (NaN): its weights are"
                " broken or overflow in half precision; try another model or sampler, or a lower"
                " guidance scale",
                name=self.info.name,
            )
        picture: Floats = (decoded.permute(1, 2, 0).float() / 2 + 0.5).clamp(0, 1).cpu().numpy()
        return picture

    @property
    def sees_kept(self) -> bool:
        """Whether this is an inpainting model, which is shown what is kept."""
        return self.family.sees_kept(self.pipeline)

    def show_kept(self, image: Floats, changes: Mask) -> torch.Tensor:
        """Encode what an inpainting model sees beside the noisy latents, or return it as it was.

        Parameters
        ----------
        image : float32, (H, W, 3)
            The picture, grey in every cell that may change (`prepare_kept`).
        changes : bool, (h, w)
            Those cells.

        Returns
        -------
        tensor (1, K, h, w)
            As `Family.show_kept` returns it.
        """
        latents = self.encode(image)
        hidden = torch.from_numpy(changes).to(latents)[None, None]
        return self.family.show_kept(latents, hidden)

    def sketch(self, latents: torch.Tensor) -> Floats:
        """Return the approximate colours of latents, one pixel for each cell. It takes no time.

        Parameters
        ----------
        latents : tensor (C, h, w)
            Clean, or nearly.

        Returns
        -------
        float32, (h, w, 3)
            RGB, 0..1.
        """
        if self._preview_map is None:
            self._preview_map = fit_preview_map(self._encode, self.info.cell)
        return apply_preview_map(self._preview_map, latents)
