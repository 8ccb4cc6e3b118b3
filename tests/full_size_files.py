"""Write checkpoints of full size with random weights, named as their authors name them.

Shapes come from the configs that come with Underpaint. The numbers are one block over and over: how
long a file takes to read does not depend on them.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from single_files import clip, original_open_clip, original_unet, original_vae
from underpaint.models.architectures import CONFIGS
from weight_files import BITS, Layout, write_safetensors

BLOCK = 2**24
"""Random numbers, of which there are as many as are written at once."""


def make_checkpoint(file: Path, kind: str, dtype: str = "F16") -> Path:
    """Write a checkpoint, and return its path.

    Parameters
    ----------
    file : Path
        Where to.
    kind : str
        `sd1` or `sdxl`.
    dtype : str
        `F16`, `BF16` or `F32`.
    """
    layout = make_layout(kind, dtype)
    write_safetensors(file, layout)
    size = sum(math.prod(shape) * BITS[dtype] // 8 for _, shape in layout.values())
    block = _make_block(dtype)
    with file.open("r+b") as stream:
        stream.seek(-size, 2)
        while size:
            size -= stream.write(block[:size])
    return file


def make_layout(kind: str, dtype: str) -> Layout:
    """Return the types and shapes of a checkpoint's tensors, as `make_checkpoint` writes them."""
    shapes = {name: tuple(one.shape) for name, one in _name_tensors(kind).items()}
    return {name: (dtype, shape) for name, shape in shapes.items() if "position_ids" not in name}


def _make_block(dtype: str) -> bytes:
    values = 0.02 * np.random.default_rng(0).standard_normal(BLOCK, np.float32)
    if dtype == "BF16":  # the upper half of a float32
        return (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()
    return values.astype({"F16": np.float16, "F32": np.float32}[dtype]).tobytes()


def _name_tensors(kind: str) -> dict[str, torch.Tensor]:
    """Return tensors without values, by their names in a checkpoint."""
    unet, config = _make(kind, "unet")
    vae, vae_config = _make(kind, "vae")
    text = _make(kind, "text_encoder")[0]
    parts = {
        "model.diffusion_model.": original_unet(unet, config),
        "first_stage_model.": original_vae(vae, vae_config),
    }
    if kind == "sdxl":
        parts["conditioner.embedders.0.transformer."] = clip(text)
        second = _make(kind, "text_encoder_2")[0]
        parts["conditioner.embedders.1.model."] = original_open_clip(second)
    else:
        parts["cond_stage_model.transformer."] = clip(text)
    return {prefix + name: one for prefix, own in parts.items() for name, one in own.items()}


def _make(kind: str, part: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Return the tensors of a part on torch's `meta` device, and its config."""
    import diffusers
    import transformers

    folder = CONFIGS / kind
    library, class_name = json.loads((folder / "model_index.json").read_text())[part]
    config = json.loads((folder / part / "config.json").read_text())
    part_class = getattr(
        {"diffusers": diffusers, "transformers": transformers}[library], class_name
    )
    with torch.device("meta"):
        if library == "diffusers":
            made = part_class.from_config(config)
        else:
            made = part_class(part_class.config_class(**config))
    return dict(made.state_dict()), config
