"""Lumina Image 2.0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diffusers import Lumina2Pipeline

from underpaint_client.geometry import Extent

from .flow import FlowFamily, shift_by_tokens


@dataclass(frozen=True)
class _Lumina2(FlowFamily):
    def frame_prompt(self, pipeline: Any, text: str) -> str:
        """Return a prompt in the words that the pipeline puts before it."""
        return f"{pipeline.system_prompt} <Prompt Start> {text}"

    def shift(self, pipeline: Any, config: dict[str, Any], cells: Extent, steps: int) -> float:
        """Return how far the noise levels are shifted, as the pipeline does: by the channels."""
        del cells, steps
        return shift_by_tokens(config, pipeline.transformer.config.in_channels)


FAMILY = _Lumina2(
    pipeline_class=Lumina2Pipeline,
    prompt_outputs=(
        "prompt_embeds",
        "prompt_attention_mask",
        "negative_prompt_embeds",
        "negative_prompt_attention_mask",
    ),
    prompt_tokens=256,
)
