"""An open model: what encodes pictures and prompts, denoises, and decodes."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import diffusers
import numpy as np
import torch
import transformers

from underpaint.models import BackgroundHash, ModelInfo
from underpaint.models.controlnet_list import ChosenControl
from underpaint.models.embedding_list import EmbeddingIndex, list_embeddings
from underpaint.models.ip_adapter_list import ChosenReference
from underpaint.models.lora_choice import ChosenLora
from underpaint.models.memory_needs import MemoryNeeds
from underpaint_client.errors import GenerationFailedError, ModelUnavailableError
from underpaint_client.geometry import Extent
from underpaint_client.prompt_embeddings import find_references
from underpaint_client.prompt_language import parse_prompt
from underpaint_client.recipe import UsedEmbedding, UsedLora
from underpaint_client.samplers import choose_sampler
from underpaint_client.steps import StepPlan

from .abilities import describe_abilities, describe_model_needs
from .adapters import Adapters
from .clip_prompts import clip_encoders
from .controlnets import Control, ControlNets
from .denoise import Guide, denoise
from .devices import free_memory
from .families import find_family
from .families.family import Prompt
from .ip_adapters import IpAdapters, Reference
from .memory import is_out_of_memory
from .noise_levels import levels_only
from .opening import open_pipeline
from .placing import place, set_tiles
from .preview_map import apply_preview_map, fit_preview_map
from .prompt_notes import describe_losses
from .quantising import is_exact, quantise
from .recent import Recent
from .reference_pictures import ReferencePicture, read_picture
from .samplers import Sampler
from .savings import Abilities, Placement, Quantised, Saving
from .source import Floats, Mask
from .textual_inversion import NO_EMBEDDINGS, Embeddings, encoder_widths


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
        self.saving = saving or Saving()
        self._needs = describe_model_needs(info, self.device)
        self.family = find_family(info.family, info.purpose)
        self.dtype = torch.float32 if self.device.type == "cpu" else self.family.half
        self._controlnets = ControlNets(self.device, self.dtype)
        self._ip_adapters = IpAdapters(self.device, self.dtype)
        self._quantise = quantise
        self._hash = BackgroundHash(info)
        self._preview_map: torch.Tensor | None = None
        self._placed: Placement | None = None
        self._loras: tuple[ChosenLora, ...] = ()
        self.embeddings = NO_EMBEDDINGS
        self.pipeline: Any  # None only if opening it again has failed
        self._adapters: Adapters | None
        self.forget()
        self._open_as(self.saving)
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
    def has_exact_weights(self) -> bool:
        """Whether the weights are stored as they are in the model's files."""
        return is_exact(self.saving.quantised, self.info.precision)

    def _open(self, quantised: Quantised) -> Any:
        diffusers.utils.logging.disable_progress_bar()
        transformers.utils.logging.disable_progress_bar()
        try:
            pipeline = open_pipeline(
                self.info,
                self.family.pipeline_class,
                self.dtype,
                store=lambda one: quantise(one, quantised, self.dtype, self.info.precision),
            )
        except ModelUnavailableError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise
            raise ModelUnavailableError(
                "model {path} cannot be opened: {error}; fetch it again",
                path=self.info.path,
                error=_first_line(error),
            ) from error
        vae = pipeline.vae
        full = self.family.full_precision_vae and vae.config.force_upcast
        if full and vae.dtype != torch.float32:
            vae.to(torch.float32)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    @property
    def denoiser(self) -> Any:
        """The part that denoises."""
        return getattr(self.pipeline, self.family.denoiser)

    def forget(self) -> None:
        """Forget the prompts and pictures that were encoded."""
        self._prompts = Recent(8)
        self._pictures = Recent(4)
        self._references = Recent(16)

    def close(self) -> None:
        """Free the memory."""
        self._controlnets = ControlNets(self.device, self.dtype)
        self._ip_adapters = IpAdapters(self.device, self.dtype)
        self._close_pipeline()

    def _close_pipeline(self) -> None:
        self.pipeline = self._adapters = None
        free_memory(self.device)

    # ---- memory ----------------------------------------------------------------------------

    @property
    def needs(self) -> MemoryNeeds:
        """What it needs, with the ControlNets and IP-Adapters of the current request."""
        denoiser = self._needs.denoiser
        more = self._controlnets.used_bytes + self._ip_adapters.used_bytes
        return replace(self._needs, denoiser=replace(denoiser, weights=denoiser.weights + more))

    @property
    def abilities(self) -> Abilities:
        """How memory can be saved."""
        return describe_abilities(self.info, self.device, self._quantise)

    def save(self, saving: Saving) -> None:
        """Save this much memory from now on, no more and no less.

        A move to or from the device that fails halfway is completed by the next one. A model whose
        weights are to be stored in another way is opened again.
        """
        was, self.saving = self.saving, saving
        if self.pipeline is None or saving.quantised != was.quantised:
            self._close_pipeline()
            self._open_as(saving)
            return
        if saving.sliced != was.sliced:
            self._slice_attention(saving.sliced)
        if saving.placement != self._placed:
            self._place(saving.placement)
        elif saving.placement == "offload":
            self.pipeline.maybe_free_model_hooks()  # a cancelled run leaves parts on the device

    def _open_as(self, saving: Saving) -> None:
        """Open the pipeline with its weights stored and placed as a saving says."""
        self.pipeline = self._open(saving.quantised)
        if saving.quantised:
            free_memory(self.device)  # what the whole weights took
        self._adapters = Adapters(self.pipeline, self.family.denoiser, self.dtype)
        self.name_embeddings(self.embeddings)
        self._adapters.load(self._loras)  # where it is opened anew in the middle of a run
        self._adapters.activate(self._loras)
        self._attention = dict(getattr(self.denoiser, "attn_processors", {}))
        if saving.sliced:
            self._slice_attention(True)
        self._place(saving.placement)

    def _place(self, placement: Placement) -> None:
        self._placed = None
        place(self.pipeline, placement, self.family.denoiser, self.device)
        self._placed, self._opened_adapters.is_unplaced = placement, False

    def _slice_attention(self, sliced: bool) -> None:
        if sliced:
            self.denoiser.set_attention_slice("max")
        else:
            self.denoiser.set_attn_processor(dict(self._attention))

    def free(self) -> None:
        """Free the memory of the device that a failed attempt still uses."""
        if self.pipeline is not None:
            self.pipeline.maybe_free_model_hooks()  # offloaded parts leave the device again
        self._controlnets.forget_unused()
        self._ip_adapters.forget_unused()
        free_memory(self.device)

    @contextmanager
    def _autoencoder(self, tile: int) -> Iterator[Any]:
        """Yield the autoencoder, set to work in tiles of so many pixels; 0 for no tiles."""
        vae = self.pipeline.vae
        set_tiles(vae, tile, self.info.cell)
        waits = self.saving.placement in ("offload", "group_offload")
        try:
            if self.saving.placement == "group_offload":
                vae.to(self.device)
            yield vae
        finally:
            if waits:
                vae.to("cpu")  # its hook moves the parts before it away, and not itself

    # ---- LoRAs -----------------------------------------------------------------------------

    def load_loras(self, loras: Sequence[ChosenLora]) -> dict[ChosenLora, UsedLora]:
        """Load LoRAs, and return what a recipe says of each.

        Raises
        ------
        ModelUnavailableError
            A file cannot be read, or does not fit the model.
        """
        adapters = self._opened_adapters
        try:
            adapters.load(loras)
        finally:  # those before one that cannot be used are there
            if adapters.is_unplaced:
                self._place(self.saving.placement)
        return {one: adapters.describe(one) for one in loras}

    @contextmanager
    def using(self, loras: Sequence[ChosenLora]) -> Iterator[None]:
        """Apply these LoRAs for a while; afterwards the model is to the bit what it was."""
        self._loras = tuple(loras)
        try:
            self.load_loras(self._loras)
            self._activate(self._loras)
            yield
        finally:
            self._loras = ()
            if self._adapters is not None:
                self._activate(())

    @property
    def _opened_adapters(self) -> Adapters:
        assert self._adapters is not None, "the model is closed"  # noqa: S101
        return self._adapters

    def _activate(self, loras: Sequence[ChosenLora]) -> None:
        if self._opened_adapters.activate(loras) and self.saving.placement == "group_offload":
            self._place("group_offload")  # it learns anew in which order layers run

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
            self._controlnets.load(controls, self.denoiser)

    # ---- reference layers ------------------------------------------------------------------

    def load_ip_adapters(self, references: Sequence[ChosenReference]) -> None:
        """Load the IP-Adapters of the current request; those of earlier ones wait, or go.

        Raises
        ------
        ModelUnavailableError
            A file cannot be read, or does not fit the model.
        """
        if references or self.uses_controls:
            self._ip_adapters.load(references, self.denoiser)

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

    # ---- prompts ---------------------------------------------------------------------------

    def find_embeddings(self, prompts: Iterable[str]) -> None:
        """Look for the embeddings that prompts may name.

        Raises
        ------
        ModelUnavailableError
            A prompt refers to one that cannot be used.
        """
        if not self.family.has_embeddings:
            return
        widths = encoder_widths(encoder for _, encoder in clip_encoders(self.pipeline))
        index = EmbeddingIndex(list_embeddings())
        self.name_embeddings(Embeddings(index, widths, self.info.name))
        for prompt in prompts:
            for _, name in find_references(prompt):
                self.embeddings.check(name)

    def name_embeddings(self, embeddings: Embeddings) -> None:
        """Have prompts name these embeddings from now on."""
        self.embeddings = embeddings
        if self.family.has_embeddings:
            self.pipeline.named_embeddings = embeddings

    def embeddings_in(self, *prompts: str) -> tuple[UsedEmbedding, ...]:
        """Return what a recipe says of the embeddings that prompts name."""
        return self.embeddings.used_in(map(parse_prompt, prompts))

    def guided(self, guidance_scale: float) -> bool:
        """Return whether a run at that guidance scale uses the negative prompt."""
        return self.family.guided(self.pipeline, guidance_scale)

    def encode_prompt(
        self, prompt: str, negative: str, *, guided: bool, clip_skip: int | None = None
    ) -> Prompt:
        """Encode a prompt, or return what was encoded before.

        Parameters
        ----------
        prompt, negative : str
            In the language of `prompt_language`.
        guided : bool
            Whether the negative prompt is needed.
        clip_skip : int, optional
            1 .. 12, as Stable Diffusion WebUI counts. A family without clip skip ignores it.

        Returns
        -------
        dict of str to tensor (1, ...) or list of tensors
            By the pipeline's own argument names.

        Raises
        ------
        BadInputError
            The clip skip is too large for the model.
        """
        family = self.family.skipping(self.pipeline, clip_skip or 1)
        on_cpu = self.saving.placement == "encoders_on_cpu"

        def encode() -> Prompt:
            where = torch.device("cpu") if on_cpu else self.device
            encoded = family.encode_parsed(
                self.pipeline,
                parse_prompt(prompt),
                parse_prompt(negative),
                guided=guided,
                device=where,
            )
            return {name: _to_device(value, self.device) for name, value in encoded.items()}

        loras = self._opened_adapters.encoder_key(self._loras)
        embeddings = self.embeddings_in(prompt, negative)
        found: Prompt = self._prompts.get(
            (prompt, negative, guided, on_cpu, family.skipped, loras, embeddings), encode
        )
        return found

    def prompt_notes(
        self, prompt: str, negative: str = "", *, guided: bool = True
    ) -> tuple[str, ...]:
        """Return notes about what the model will not read of a prompt and a negative prompt."""
        read = functools.partial(self.family.read_prompt, self.pipeline)
        return describe_losses(
            prompt,
            negative,
            read,
            guided=guided,
            takes_negative=self.family.takes_negative(self.pipeline),
            weighs_words=self.family.weighs_words,
            is_loaded=lambda name: self.embeddings.find(name) is not None,
        )

    # ---- runs ------------------------------------------------------------------------------

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
        prompt: Prompt,
        guidance_scale: float,
        generators: list[torch.Generator],
        controls: Sequence[Control] = (),
        references: Sequence[Reference] = (),
    ) -> torch.Tensor:
        """Run the denoiser, as `denoise.denoise`, with control layers and reference layers."""
        unet, placement = self.denoiser, self.saving.placement
        guided = self.guided(guidance_scale)

        @contextmanager
        def steering(calls: int) -> Iterator[None]:
            with (  # ControlNets read the prompt as it is, and so come first
                self._controlnets.steering(unet, controls, placement, calls),
                self._ip_adapters.reading(unet, references, placement, calls, guided=guided),
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
        with self._autoencoder(self.saving.encode_tile) as vae:
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
        float32, (H, W, 3)
            RGB, 0..1.

        Raises
        ------
        GenerationFailedError
            The picture has values that are not numbers (NaN).
        """
        with self._autoencoder(self.saving.decode_tile) as vae:
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


def _to_device(value: Any, device: torch.device) -> Any:
    """Bring a tensor, or those of a list, to a device."""
    if isinstance(value, list):
        return [_to_device(one, device) for one in value]
    return value.to(device) if isinstance(value, torch.Tensor) else value


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
