"""Chroma."""

from __future__ import annotations

from diffusers import ChromaPipeline

from .flow import FlowFamily

FAMILY = FlowFamily(
    pipeline_class=ChromaPipeline,
    prompt_outputs=(
        "prompt_embeds",
        "",
        "prompt_attention_mask",
        "negative_prompt_embeds",
        "",
        "negative_prompt_attention_mask",
    ),
    packs=True,
)
