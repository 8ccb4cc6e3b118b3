"""FLUX.1: dev and its finetunes, schnell, and Fill, which is made for inpainting."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import FluxFillPipeline, FluxPipeline

from underpaint_client.geometry import Extent

from .family import Prompt, Start
from .flow import FlowFamily, token_places

_SCHNELL_TOKENS = 256
"""How long the prompts were that schnell was trained on."""


@dataclass(frozen=True)
class _Flux(FlowFamily):
    def takes_negative(self, pipeline: Any) -> bool:  # noqa: ARG002
        """Return whether the model can be guided by a negative prompt: guidance is built in."""
        return False

    def encode_prompt(
        self, pipeline: Any, prompt: str, negative: str, *, guided: bool, device: torch.device
    ) -> Prompt:
        """Encode one prompt for both text encoders."""
        del negative, guided
        length = self.longest_prompt(pipeline)
        outputs = pipeline.encode_prompt(
            prompt=prompt, prompt_2=None, device=device, max_sequence_length=length
        )
        return self.named(outputs)

    def place_pictures(self, call: dict[str, Any], sizes: Sequence[Extent]) -> dict[str, Any]:
        """Return the arguments that say where tokens are: pictures count from 1, as in Kontext."""
        own = call["img_ids"]
        shown = [token_places(size, number, 3, own) for number, size in enumerate(sizes, 1)]
        return {"img_ids": torch.cat([own, *shown])}

    def longest_prompt(self, pipeline: Any) -> int:
        """Return how many tokens the model reads."""
        built_in = pipeline.transformer.config.guidance_embeds
        return self.prompt_tokens if built_in else _SCHNELL_TOKENS


class FluxFill(FluxFillPipeline):  # type: ignore[misc]
    """FLUX.1 Fill, which is shown what `_FluxFill.begin` lends it."""

    kept: torch.Tensor

    def prepare_mask_latents(
        self, *_args: object, **_kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mask and the latents of the kept picture, which the pipeline swaps."""
        latents = 4 * self.vae.config.latent_channels
        return self.kept[..., latents:], self.kept[..., :latents]


@dataclass(frozen=True)
class _FluxFill(_Flux):
    def sees_kept(self, pipeline: Any) -> bool:  # noqa: ARG002
        """Return whether this is an inpainting model: Fill is one."""
        return True

    def show_kept(self, latents: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        """Return what the model is shown: the latents, and a channel for each pixel of a cell."""
        return torch.cat([latents, hidden.expand(-1, _CELL_PIXELS, -1, -1)], dim=1)

    @contextmanager
    def begin(self, pipeline: Any, start: Start) -> Iterator[dict[str, Any]]:
        """Make the pipeline begin with our latents, and show it what is kept."""
        if start.kept is None:
            raise ValueError("an inpainting model must be shown what is kept")
        pipeline.kept = self.pack(start.kept.expand(len(start.latents), -1, -1, -1))
        try:
            with super().begin(pipeline, start) as arguments:
                # Both are taken for latents, which only `prepare_mask_latents` would read.
                yield {**arguments, "image": start.clean, "mask_image": start.clean,
                       "strength": 1.0}  # fmt: skip
        finally:
            del pipeline.kept


_CELL_PIXELS = 8 * 8

FAMILY = _Flux(
    pipeline_class=FluxPipeline,
    prompt_outputs=("prompt_embeds", "pooled_prompt_embeds"),
    packs=True,
    tokenizer="tokenizer_2",
)

FILL = _FluxFill(
    pipeline_class=FluxFill,
    prompt_outputs=FAMILY.prompt_outputs,
    packs=FAMILY.packs,
    tokenizer=FAMILY.tokenizer,
)
