"""What differs from one model family to the next, as a value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import torch

from underpaint.engine.pixels import Floats
from underpaint.engine.prompt_notes import Reading, read_prompt
from underpaint.engine.samplers import Sampler
from underpaint_client.geometry import Extent
from underpaint_client.parsed_prompt import ParsedPrompt
from underpaint_client.steps import StepPlan

Prompt = dict[str, Any]
"""An encoded prompt, by the pipeline's own argument names: tensors (B, ...) or lists of tensors."""


@dataclass(frozen=True)
class Start:
    """What a pipeline is to begin with.

    Parameters
    ----------
    latents : tensor (B, C, h, w)
        The original under its noise, or noise alone, in the precision of the model.
    clean : tensor (1, C, h, w)
        The original's latents.
    timesteps : tensor (calls,)
        What the denoiser is called with.
    steps : int
        How many steps these are.
    kept : tensor (1, K, h, w), optional
        What an inpainting model is shown of the original, from `Family.show_kept`.
    """

    latents: torch.Tensor
    clean: torch.Tensor
    timesteps: torch.Tensor
    steps: int
    kept: torch.Tensor | None = None


@dataclass(frozen=True)
class Family(ABC):
    """What `Model` and `denoise` need to know of a model family.

    The defaults are those of Stable Diffusion 1.x.

    Parameters
    ----------
    pipeline_class : type
        A diffusers pipeline.
    prompt_outputs : tuple of str
        What the pipeline's `encode_prompt` returns, in order, by the names of its own arguments;
        an empty name for what is not needed. It may return less.
    denoiser : str
        The part that denoises: `unet` or `transformer`.
    half : torch.dtype
        The half precision that the family is run in on a GPU.
    full_precision_vae : bool
        Whether an autoencoder whose config says `force_upcast` runs in float32: it overflows in
        half precision.
    starts_exactly : bool
        Whether a run can begin between two steps of a schedule (`StepPlan.exact`).
    has_clip_skip : bool
        Whether layers at the end of CLIP can be left out.
    has_embeddings : bool
        Whether prompts can name embeddings (textual inversions).
    skipped : int
        How many layers at the end of CLIP are left out; set by `skipping`.
    picture_word : str
        What a prompt calls a picture that the model sees, by its `{number}`.
    weighs_words : bool
        Whether words of a prompt can weigh more than others, and prompts have several chunks.
    joins_prompts : bool
        Whether a picture comes out the same beside those of other prompts. Where it does not, a
        batch has one prompt.
    mixes_prompts : bool
        Whether images with several prompts are mixed of one for each, as in `regions`; else
        cross-attention reads them together.
    """

    pipeline_class: Any
    prompt_outputs: tuple[str, ...]
    denoiser: str = "unet"
    half: torch.dtype = torch.float16
    full_precision_vae: bool = False
    starts_exactly: bool = False
    has_clip_skip: bool = False
    has_embeddings: bool = False
    skipped: int = 0
    weighs_words: bool = False
    joins_prompts: bool = True
    picture_word: str = "image {number}"
    mixes_prompts: bool = False

    # ---- prompts ---------------------------------------------------------------------------

    def skipping(self, pipeline: Any, clip_skip: int) -> Self:  # noqa: ARG002 - some ask it
        """Return the family with a clip skip; the same where it has none.

        Parameters
        ----------
        pipeline : diffusers pipeline
            The model's.
        clip_skip : int
            1 or more, as Stable Diffusion WebUI counts.

        Raises
        ------
        BadInputError
            It is too large for the model.
        """
        return self

    def encode_parsed(
        self,
        pipeline: Any,
        prompt: ParsedPrompt,
        negative: ParsedPrompt,
        *,
        guided: bool,
        device: torch.device,
    ) -> Prompt:
        """Encode one prompt and the negative one as `encode_prompt` does: here their words alone.

        A family that `weighs_words` weighs them too.
        """
        return self.encode_prompt(
            pipeline, prompt.words, negative.words, guided=guided, device=device
        )

    def encode_prompt(
        self, pipeline: Any, prompt: str, negative: str, *, guided: bool, device: torch.device
    ) -> Prompt:
        """Encode one prompt, and the negative one where the run is guided by it."""
        outputs = pipeline.encode_prompt(
            prompt=prompt,
            device=device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=guided,
            negative_prompt=negative or None,
        )
        return self.named(outputs)

    def named(self, outputs: Sequence[Any]) -> Prompt:
        """Name what `encode_prompt` returned, without what is None or not needed."""
        named = zip(self.prompt_outputs, outputs, strict=False)
        return {name: value for name, value in named if name and value is not None}

    def join_prompts(self, prompts: Sequence[Prompt]) -> Prompt:
        """Make one batch of encoded prompts."""
        joined: Prompt = {}
        for name, first in prompts[0].items():
            values = [prompt[name] for prompt in prompts]
            is_list = isinstance(first, list)
            joined[name] = list(chain(*values)) if is_list else torch.cat(values)
        return joined

    def read_prompt(self, pipeline: Any, prompt: ParsedPrompt) -> Reading:
        """Return how much of a prompt the model reads."""
        parts = (getattr(pipeline, name, None) for name in ("tokenizer", "tokenizer_2"))
        return read_prompt([part for part in parts if part is not None], prompt.words)

    # ---- guidance --------------------------------------------------------------------------

    def takes_negative(self, pipeline: Any) -> bool:  # noqa: ARG002 - some families ask it
        """Return whether the model can be guided by a negative prompt."""
        return True

    def guided(self, pipeline: Any, guidance_scale: float) -> bool:
        """Return whether a run is guided by the negative prompt, empty or not."""
        return guidance_scale > 1 and self.takes_negative(pipeline)

    def guidance(self, pipeline: Any, guidance_scale: float) -> dict[str, Any]:  # noqa: ARG002
        """Return the pipeline's arguments for a guidance scale."""
        return {"guidance_scale": guidance_scale}

    # ---- latents ---------------------------------------------------------------------------

    def channels(self, vae: Any) -> int:
        """Return how many channels the latents have that are noised and held."""
        return int(vae.config.latent_channels)

    def encode(self, vae: Any, pixels: torch.Tensor) -> torch.Tensor:
        """Encode a picture: the distribution's mode, scaled as the denoiser expects it.

        Parameters
        ----------
        vae : diffusers autoencoder
            The model's.
        pixels : tensor (1, 3, H, W)
            RGB, -1..1.

        Returns
        -------
        tensor (1, C, H / cell, W / cell)
        """
        latents = vae.encode(pixels).latent_dist.mode()
        mean, deviation = (_statistics(vae, name) for name in ("latents_mean", "latents_std"))
        if mean is not None and deviation is not None:
            latents = (latents - mean.to(latents)) / deviation.to(latents)
        shift = getattr(vae.config, "shift_factor", None)
        if shift is not None:
            latents = latents - shift
        scaled: torch.Tensor = latents * vae.config.scaling_factor
        return scaled

    def decode(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents, as `encode` returns them, to a picture (1, 3, H, W), about -1..1.

        A fourth channel is its alpha, straight, in the same range.
        """
        scaled = latents / vae.config.scaling_factor
        shift = getattr(vae.config, "shift_factor", None)
        if shift is not None:
            scaled = scaled + shift
        mean, deviation = (_statistics(vae, name) for name in ("latents_mean", "latents_std"))
        if mean is not None and deviation is not None:
            scaled = scaled * deviation.to(scaled) + mean.to(scaled)
        decoded: torch.Tensor = vae.decode(scaled, return_dict=False)[0]
        return decoded

    def sees_kept(self, pipeline: Any) -> bool:
        """Return whether this is an inpainting model, which is shown what is kept."""
        return bool(pipeline.unet.config.in_channels != self.channels(pipeline.vae))

    def show_kept(self, latents: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Return what an inpainting model is shown beside the noisy latents.

        Stable Diffusion's were trained on one channel that is 1 where the picture may change, and
        the latents of the picture with grey there.

        Parameters
        ----------
        latents : tensor (1, C, h, w)
            Of the picture, grey in every cell that may change.
        hidden : tensor (1, 1, h, w)
            1 in those cells, 0 elsewhere.

        Returns
        -------
        tensor (1, K, h, w)
        """
        return torch.cat([hidden, latents], dim=1)

    def pack(self, latents: torch.Tensor) -> torch.Tensor:
        """Bring latents (B, C, h, w) into the shape in which the pipeline steps them."""
        return latents

    def unpack(self, packed: torch.Tensor, cells: Extent) -> torch.Tensor:  # noqa: ARG002
        """Bring the pipeline's latents back into the shape (B, C, h, w)."""
        return packed

    def pack_cells(self, cells: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Bring a map of cells (h, w) into a shape that goes with packed latents."""
        return cells

    def seeing(self, pictures: Sequence[Floats], most: int) -> Self:  # noqa: ARG002
        """Return the family with the pictures that prompts are read with; most read no pictures.

        Parameters
        ----------
        pictures : sequence of float32, (H, W, 3)
            RGB, 0..1.
        most : int
            How many the model sees, as `Recommended.pictures`.
        """
        return self

    # ---- pictures that are shown -----------------------------------------------------------

    def add_pictures(
        self, call: dict[str, Any], pictures: Sequence[torch.Tensor]
    ) -> dict[str, Any]:
        """Return the arguments of a call of the denoiser with pictures behind the noisy tokens.

        Parameters
        ----------
        call : dict
            By the denoiser's own argument names.
        pictures : sequence of tensor (1, C, h, w)
            Their latents.
        """
        raise NotImplementedError

    # ---- a run -----------------------------------------------------------------------------

    def make_sampler(
        self, pipeline: Any, name: str, config: dict[str, Any], plan: StepPlan, cells: Extent
    ) -> Sampler:
        """Make a sampler for one run.

        Parameters
        ----------
        pipeline : diffusers pipeline
            The model's.
        name : str
            A name of `samplers.SAMPLERS`.
        config : dict
            The model's scheduler config.
        plan : StepPlan
            How many steps of which schedule run.
        cells : Extent
            The latents' size: the noise levels of some families depend on it.

        Raises
        ------
        BadInputError
            The family does not run with that sampler.
        """
        del pipeline, cells
        return Sampler.make(name, config, plan.schedule)

    @abstractmethod
    def begin(self, pipeline: Any, start: Start) -> AbstractContextManager[dict[str, Any]]:
        """Make a pipeline begin with our latents, and lend the arguments for its call."""


def _statistics(vae: Any, name: str) -> torch.Tensor | None:
    values = getattr(vae.config, name, None)
    return None if values is None else torch.tensor(values).view(1, -1, 1, 1)
