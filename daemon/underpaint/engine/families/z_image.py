"""Z-Image and Z-Image-Turbo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import ZImagePipeline

from .family import Prompt
from .flow import FlowFamily


@dataclass(frozen=True)
class _ZImage(FlowFamily):
    def encode_prompt(
        self, pipeline: Any, prompt: str, negative: str, *, guided: bool, device: torch.device
    ) -> Prompt:
        """Encode one prompt: lists, as each has its own length."""
        outputs = pipeline.encode_prompt(
            prompt=prompt,
            device=device,
            do_classifier_free_guidance=guided,
            negative_prompt=negative or None,
        )
        return self.named(outputs)

    def frame_prompt(self, pipeline: Any, text: str) -> str:
        """Return a prompt as a question in a chat."""
        framed: str = pipeline.tokenizer.apply_chat_template(
            [{"role": "user", "content": text}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=True,
        )
        return framed

    def guidance(self, pipeline: Any, guidance_scale: float) -> dict[str, Any]:
        """Return the pipeline's arguments for a guidance scale; it guides at any above 0."""
        guided = self.guided(pipeline, guidance_scale)
        return {"guidance_scale": guidance_scale if guided else 0.0}


FAMILY = _ZImage(
    pipeline_class=ZImagePipeline,
    prompt_outputs=("prompt_embeds", "negative_prompt_embeds"),
    steps_in_float32=True,
)
