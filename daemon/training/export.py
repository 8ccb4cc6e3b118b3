"""From trained networks to a model folder as diffusers reads it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

from .unet import NOISE_LEVELS


def export(folder: Path, *, vae: Any, unet: Any, tokenizer: Any, text_encoder: Any) -> None:
    """Write a model folder, in half precision."""
    vae, unet, text_encoder = (
        copy.deepcopy(part).to("cpu", torch.float16, memory_format=torch.contiguous_format)
        for part in (vae, unet, text_encoder)
    )
    StableDiffusionPipeline(
        vae=vae,
        unet=unet,
        tokenizer=tokenizer,
        text_encoder=text_encoder,
        scheduler=DDIMScheduler(**NOISE_LEVELS),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
