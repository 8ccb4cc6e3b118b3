"""IP-Adapters and CLIP vision models for the tiny models: random weights with a visible effect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

WIDTH = 16
"""Numbers of the vector of each part of a picture."""

PROJECTION = 12
"""Numbers of the vector of all of it."""

TOKENS = 4


def save_vision_model(folder: Path, seed: int = 3) -> Path:
    """Write a CLIP vision model as transformers does, and return the file of its weights."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(seed)
    config = CLIPVisionConfig(
        hidden_size=WIDTH,
        intermediate_size=32,
        projection_dim=PROJECTION,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=16,
        patch_size=8,
    )
    model = CLIPVisionModelWithProjection(config)
    with torch.no_grad():  # by default, most of it is the same for every picture
        for name, one in model.named_parameters():
            if one.ndim > 1:
                torch.nn.init.normal_(one, std=0.5 if "proj" in name else 0.2)
    model.save_pretrained(folder)
    return folder / "model.safetensors"


def attentions(unet: Any) -> list[str]:
    """Return the names of the cross-attentions of a UNet, in diffusers' order."""
    return [name for name in unet.attn_processors if name.endswith("attn2.processor")]


def _sizes(unet: Any) -> list[int]:
    return [
        unet.get_submodule(name.removesuffix(".processor")).to_q.out_features
        for name in attentions(unet)
    ]


def make_ip_adapter(
    unet: Any, seed: int = 1, *, plus: bool = False, scale: float = 1.0
) -> dict[str, torch.Tensor]:
    """Make the tensors of an IP-Adapter for a UNet.

    Parameters
    ----------
    unet : UNet2DConditionModel
    seed : int
    plus : bool
        Whether it reads the parts of a picture, or one vector for all of it.
    scale : float
        Of what it adds; with 0 it adds zeros.
    """
    generator = torch.Generator().manual_seed(seed)

    def drawn(*shape: int, std: float = 0.3) -> torch.Tensor:
        return torch.randn(shape, generator=generator) * std

    width = unet.config.cross_attention_dim
    found: dict[str, torch.Tensor] = {}
    if plus:
        inner = 64
        found |= {
            "latents": drawn(1, TOKENS, inner),
            "proj_in.weight": drawn(inner, WIDTH),
            "proj_in.bias": drawn(inner),
            "proj_out.weight": drawn(width, inner),
            "proj_out.bias": drawn(width),
            "norm_out.weight": torch.ones(width),
            "norm_out.bias": torch.zeros(width),
        }
        for layer in range(4):
            found |= {
                f"layers.{layer}.0.norm1.weight": torch.ones(inner),
                f"layers.{layer}.0.norm1.bias": torch.zeros(inner),
                f"layers.{layer}.0.norm2.weight": torch.ones(inner),
                f"layers.{layer}.0.norm2.bias": torch.zeros(inner),
                f"layers.{layer}.0.to_q.weight": drawn(64, inner),
                f"layers.{layer}.0.to_kv.weight": drawn(128, inner),
                f"layers.{layer}.0.to_out.weight": drawn(inner, 64),
                f"layers.{layer}.1.0.weight": torch.ones(inner),
                f"layers.{layer}.1.0.bias": torch.zeros(inner),
                f"layers.{layer}.1.1.weight": drawn(4 * inner, inner, std=0.1),
                f"layers.{layer}.1.3.weight": drawn(inner, 4 * inner, std=0.1),
            }
    else:
        found |= {
            "proj.weight": drawn(TOKENS * width, PROJECTION),
            "proj.bias": drawn(TOKENS * width),
            "norm.weight": torch.ones(width),
            "norm.bias": torch.zeros(width),
        }
    tensors = {f"image_proj.{name}": one for name, one in found.items()}
    for number, size in enumerate(_sizes(unet)):
        begin = f"ip_adapter.{2 * number + 1}"
        tensors[f"{begin}.to_k_ip.weight"] = drawn(size, width)
        tensors[f"{begin}.to_v_ip.weight"] = drawn(size, width) * scale
    return tensors


def write_ip_adapter(file: Path, model: Path) -> Path:
    """Write an IP-Adapter for a tiny model of Stable Diffusion 1 as one file."""
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(model / "unet")
    return save_ip_adapter(file, make_ip_adapter(unet))


def save_ip_adapter(file: Path, tensors: dict[str, torch.Tensor], **metadata: str) -> Path:
    """Write an IP-Adapter's tensors as one file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({n: one.contiguous() for n, one in tensors.items()}, file, metadata or None)
    return file
