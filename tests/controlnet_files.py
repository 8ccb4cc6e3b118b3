"""ControlNets for the tiny models: random weights, whose effect is strong enough to be seen."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel, ControlNetUnionModel, UNet2DConditionModel
from safetensors.torch import save_file

from single_files import original_unet

HINT = (4, 4, 8, 8)
"""The channels that a picture of them goes through first; each but the first halves it."""


def make_controlnet(unet: Any, seed: int = 1, *, union: int = 0) -> Any:
    """Make a ControlNet for a UNet; a union tells so many kinds apart."""
    torch.manual_seed(seed)
    net = ControlNetModel.from_unet(
        unet, conditioning_embedding_out_channels=HINT, load_weights_from_unet=False
    )
    if union:
        own = {"num_control_type": union, "num_trans_channel": 16, "num_proj_channel": 16}
        config = {name: value for name, value in net.config.items() if name != "mid_block_type"}
        net = ControlNetUnionModel.from_config({**config, **own})
    with torch.no_grad():  # where it is trained, these begin as zeros
        for part in (*net.controlnet_down_blocks, net.controlnet_mid_block):
            torch.nn.init.normal_(part.weight, std=0.3)
        torch.nn.init.normal_(net.controlnet_cond_embedding.conv_out.weight, std=0.5)
        for name in ("task_embedding", "spatial_ch_projs.weight"):
            if union:
                torch.nn.init.normal_(net.get_parameter(name), std=0.5)
    return net.eval()


def save_folder(folder: Path, net: Any) -> Path:
    """Write a ControlNet as diffusers does, and return the file of its weights."""
    net.save_pretrained(folder)
    return folder / "diffusion_pytorch_model.safetensors"


def save_one_file(
    file: Path, tensors: Mapping[str, torch.Tensor], prefix: str = "", **metadata: str
) -> Path:
    """Write a ControlNet's tensors as one file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    named = {prefix + name: one.contiguous() for name, one in tensors.items()}
    save_file(named, file, {"format": "pt", **metadata})
    return file


def write_controlnet(file: Path, model: Path, seed: int = 1) -> Path:
    """Write a ControlNet for a tiny model of Stable Diffusion 1 as one file."""
    unet = UNet2DConditionModel.from_pretrained(model / "unet")
    return save_one_file(file, make_controlnet(unet, seed).state_dict())


def original(net: Any) -> dict[str, torch.Tensor]:
    """Name a ControlNet's tensors as its authors did."""
    own = {
        "controlnet_cond_embedding.conv_in": "input_hint_block.0",
        "controlnet_cond_embedding.conv_out": "input_hint_block.14",
        "controlnet_mid_block": "middle_block_out.0",
    }
    own |= {f"controlnet_down_blocks.{n}": f"zero_convs.{n}.0" for n in range(20)}
    own |= {
        f"controlnet_cond_embedding.blocks.{n}": f"input_hint_block.{2 * n + 2}" for n in range(6)
    }
    found, rest = {}, {}
    for name, tensor in net.state_dict().items():
        layer, _, kind = name.rpartition(".")
        if layer in own:
            found[f"{own[layer]}.{kind}"] = tensor
        else:
            rest[name] = tensor
    return found | original_unet(rest, net.config)
