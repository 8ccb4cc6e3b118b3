"""Stable Diffusion 3 and 3.5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import StableDiffusion3Pipeline

from underpaint_client.geometry import Extent

from .family import Prompt
from .flow import FlowFamily, shift_by_tokens


@dataclass(frozen=True)
class _StableDiffusion3(FlowFamily):
    def encode_prompt(
        self, pipeline: Any, prompt: str, negative: str, *, guided: bool, device: torch.device
    ) -> Prompt:
        """Encode one prompt for all three text encoders."""
        outputs = pipeline.encode_prompt(
            prompt=prompt,
            prompt_2=None,
            prompt_3=None,
            device=device,
            do_classifier_free_guidance=guided,
            negative_prompt=negative or None,
        )
        return self.named(outputs)

    def spacing(self, steps: int) -> Sequence[float] | None:  # noqa: ARG002
        """Leave the spacing to the scheduler, as the pipeline does."""
        return None

    def shift(self, pipeline: Any, config: dict[str, Any], cells: Extent, steps: int) -> float:
        """Return how far the noise levels are shifted at a size, as the pipeline does."""
        del steps
        patch = pipeline.transformer.config.patch_size
        return shift_by_tokens(config, (cells.height // patch) * (cells.width // patch), 1.16)


FAMILY = _StableDiffusion3(
    pipeline_class=StableDiffusion3Pipeline,
    prompt_outputs=(
        "prompt_embeds",
        "negative_prompt_embeds",
        "pooled_prompt_embeds",
        "negative_pooled_prompt_embeds",
    ),
    tokenizer="tokenizer_3",
    prompt_tokens=256,
)
