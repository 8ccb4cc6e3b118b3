"""Krea 2 and Krea 2 Turbo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from diffusers import Krea2Pipeline

from underpaint_client.geometry import Extent

from .family import Prompt
from .flow import shift_by_tokens
from .qwen_image import FilmFamily

_TURBO_SHIFT = 1.15
"""How far the noise levels of the distilled model are shifted at any size."""


@dataclass(frozen=True)
class _Krea2(FilmFamily):
    def takes_negative(self, pipeline: Any) -> bool:
        """Return whether the model can be guided by a negative prompt: the base model can."""
        return not pipeline.config.is_distilled

    def encode_prompt(
        self, pipeline: Any, prompt: str, negative: str, *, guided: bool, device: torch.device
    ) -> Prompt:
        """Encode one prompt, and the negative one where the run is guided by it."""
        encoded: Prompt = {}
        for prefix, text in (("", prompt), ("negative_", negative))[: 1 + guided]:
            embeds, mask = pipeline.encode_prompt(prompt=text, device=device)
            encoded |= {f"{prefix}prompt_embeds": embeds, f"{prefix}prompt_embeds_mask": mask}
        return encoded

    def frame_prompt(self, pipeline: Any, text: str) -> str:
        """Return a prompt in the words that the pipeline puts around it."""
        prefix, suffix = (getattr(pipeline, f"prompt_template_encode_{end}")
                          for end in ("prefix", "suffix"))  # fmt: skip
        return f"{prefix}{text}{suffix}"

    def guidance(self, pipeline: Any, guidance_scale: float) -> dict[str, Any]:
        """Return the pipeline's arguments for a guidance scale; it guides at any above 0."""
        guided = self.guided(pipeline, guidance_scale)
        return {"guidance_scale": guidance_scale if guided else 0.0}

    def shift(self, pipeline: Any, config: dict[str, Any], cells: Extent, steps: int) -> float:
        """Return how far the noise levels are shifted, as the pipeline does."""
        del steps
        if pipeline.config.is_distilled:
            return _TURBO_SHIFT
        tokens = (cells.height // 2) * (cells.width // 2)
        return shift_by_tokens({"max_image_seq_len": 6400, **config}, tokens)


FAMILY = _Krea2(
    pipeline_class=Krea2Pipeline,
    prompt_outputs=("prompt_embeds", "prompt_embeds_mask"),
    prompt_tokens=34 + 512,  # the pipeline leaves out the first 34, which it has put before
)
