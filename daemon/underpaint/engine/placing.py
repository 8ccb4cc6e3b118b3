"""Move a model's parts to where they wait and where they run: `savings.Placement`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from diffusers.hooks import HookRegistry, apply_group_offloading

from .savings import Placement

_GROUP_HOOKS = (
    "group_offloading",
    "lazy_prefetch_group_offloading",
    "layer_execution_tracker",
)
"""What diffusers calls the hooks that move groups of layers."""


def place(pipeline: Any, placement: Placement, denoiser: str, device: torch.device) -> None:
    """Move a pipeline's parts to where they belong, from wherever they are.

    Parameters
    ----------
    pipeline : diffusers pipeline
        Its parts are on the device or in the computer's memory.
    placement : Placement
        Where they belong. With `group_offload`, the caller moves the autoencoder, since only its
        methods are called.
    denoiser : str
        The part that denoises.
    device : torch.device
        Where to compute.

    Raises
    ------
    Exception
        What torch raises where memory is short; parts may have been moved already.
    """
    _remove_hooks(pipeline)
    if placement == "gpu":
        pipeline.to(device)
    elif placement == "offload":
        pipeline.enable_model_cpu_offload(device=device)
    elif placement == "encoders_on_cpu":
        for name, part in _parts(pipeline):
            part.to("cpu" if _is_encoder(name, denoiser) else device)
    else:
        for name, part in _parts(pipeline):
            part.to("cpu")
            if name != "vae":
                _offload_in_groups(part, device)


def _offload_in_groups(part: torch.nn.Module, device: torch.device) -> None:
    """Move each layer to the device when it runs; on CUDA while the layer before it runs."""
    apply_group_offloading(
        part, onload_device=device, offload_type="leaf_level", use_stream=device.type == "cuda"
    )


def _remove_hooks(pipeline: Any) -> None:
    """Remove all hooks that move parts; those that cast weights stay."""
    pipeline.remove_all_hooks()
    for _, part in _parts(pipeline):
        _leave_groups(part)


def _leave_groups(part: torch.nn.Module) -> None:
    if any(hasattr(one, "_diffusers_hook") for one in part.modules()):
        registry = HookRegistry.check_if_exists_or_initialize(part)
        for hook in _GROUP_HOOKS:
            registry.remove_hook(hook, recurse=True)


def bring(part: torch.nn.Module, placement: Placement, device: torch.device) -> None:
    """Move what runs beside the denoiser, and is no part of the pipeline, to where it runs."""
    if placement == "group_offload":
        part.to("cpu")
        _offload_in_groups(part, device)
    else:
        part.to(device)


def take_away(part: torch.nn.Module, placement: Placement) -> None:
    """Move it to where it waits until the denoiser runs again."""
    _leave_groups(part)
    if placement in ("offload", "group_offload"):
        part.to("cpu")


def _parts(pipeline: Any) -> Iterator[tuple[str, torch.nn.Module]]:
    for name, part in pipeline.components.items():
        if isinstance(part, torch.nn.Module):
            yield name, part


def _is_encoder(name: str, denoiser: str) -> bool:
    return name not in (denoiser, "vae")


def set_tiles(vae: Any, tile: int, cell: int) -> None:
    """Set an autoencoder to work in tiles of so many pixels a side; 0 for no tiles.

    Parameters
    ----------
    vae : diffusers autoencoder
    tile : int
        A multiple of four cells. Tiles overlap by a quarter.
    cell : int
        Pixels a side of a latent cell.
    """
    vae.use_tiling = tile > 0
    if not tile:
        return
    if hasattr(vae, "tile_sample_min_size"):
        vae.tile_sample_min_size = tile
        vae.tile_latent_min_size = tile // cell
    else:
        vae.tile_sample_min_height = vae.tile_sample_min_width = tile
        vae.tile_sample_stride_height = vae.tile_sample_stride_width = tile * 3 // 4
