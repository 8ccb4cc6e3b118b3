"""Stable Diffusion 1.x, 2.x and XL: diffusers' Img2Img pipelines with two small taps.

The taps are two methods of a pipeline subclass: which steps run, and from what latents. No pipeline
is patched, so nothing needs restoring after a cancel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionXLImg2ImgPipeline

from .family import Family, Start


class _Taps:
    """The two methods of an Img2Img pipeline that make it begin with a `Start`."""

    start: Start

    def get_timesteps(self, *_args: object, **_kwargs: object) -> tuple[torch.Tensor, int]:
        """Take exactly the steps of the plan, whatever the family's own rounding."""
        return self.start.timesteps, self.start.steps

    def prepare_latents(self, *_args: object, **_kwargs: object) -> torch.Tensor:
        """Start from our latents."""
        return self.start.latents


class StableDiffusion(_Taps, StableDiffusionImg2ImgPipeline):  # type: ignore[misc]
    """Stable Diffusion 1.x and 2.x, tapped."""


class StableDiffusionXL(_Taps, StableDiffusionXLImg2ImgPipeline):  # type: ignore[misc]
    """Stable Diffusion XL, tapped."""


@dataclass(frozen=True)
class _StableDiffusion(Family):
    @contextmanager
    def begin(self, pipeline: Any, start: Start) -> Iterator[dict[str, Any]]:
        pipeline.start = start
        try:
            # The image is taken for latents, and replaced by what `prepare_latents` returns.
            yield {"image": start.clean, "strength": 1.0}
        finally:
            del pipeline.start  # and with it the tensors of this run


SD = _StableDiffusion(
    pipeline_class=StableDiffusion,
    prompt_outputs=("prompt_embeds", "negative_prompt_embeds"),
)

SDXL = _StableDiffusion(
    pipeline_class=StableDiffusionXL,
    prompt_outputs=(
        "prompt_embeds",
        "negative_prompt_embeds",
        "pooled_prompt_embeds",
        "negative_pooled_prompt_embeds",
    ),
    full_precision_vae=True,
)
