"""From trained networks to a model folder as diffusers reads it."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import diffusers
import torch
from diffusers import DDIMScheduler, StableDiffusionInpaintPipeline

from .unet import NOISE_LEVELS, Parts


def export(folder: Path, parts: Parts) -> None:
    """Write a model folder, in half precision."""
    diffusers.utils.logging.set_verbosity_error()
    vae, unet, text_encoder = (
        copy.deepcopy(part).to("cpu", torch.float16, memory_format=torch.contiguous_format)
        for part in (parts.vae, parts.unet, parts.text_encoder)
    )
    StableDiffusionInpaintPipeline(
        vae=vae,
        unet=unet,
        tokenizer=parts.tokenizer,
        text_encoder=text_encoder,
        scheduler=DDIMScheduler(**NOISE_LEVELS),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    for config in folder.glob("*/config.json"):  # where parts lay before is nobody's business
        told = json.loads(config.read_text(encoding="utf-8"))
        told.pop("_name_or_path", None)
        config.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
