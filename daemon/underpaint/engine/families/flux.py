"""FLUX.1: dev and its finetunes, and schnell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import FluxPipeline

from .family import Prompt
from .flow import FlowFamily

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

    def longest_prompt(self, pipeline: Any) -> int:
        """Return how many tokens the model reads."""
        built_in = pipeline.transformer.config.guidance_embeds
        return self.prompt_tokens if built_in else _SCHNELL_TOKENS


FAMILY = _Flux(
    pipeline_class=FluxPipeline,
    prompt_outputs=("prompt_embeds", "pooled_prompt_embeds"),
    packs=True,
    tokenizer="tokenizer_2",
)
