"""What a model needs, and what it can save, on a device."""

from __future__ import annotations

import torch

from underpaint.models import ModelInfo
from underpaint.models.memory_needs import MemoryNeeds, describe_needs
from underpaint.models.model_index import DENOISERS

from .devices import find_placements
from .quantising import PACKAGES, can_quantise, is_exact
from .savings import GPU_QUANTISED, Abilities, Quantised, choose_tiles


def describe_model_needs(info: ModelInfo, device: torch.device) -> MemoryNeeds:
    """Return what a model needs on a device, as `describe_needs`."""
    return describe_needs(info, 4 if device.type == "cpu" else 2)


def describe_abilities(info: ModelInfo, device: torch.device, quantise: str) -> Abilities:
    """Return what a model can save on a device.

    Parameters
    ----------
    info : ModelInfo
    device : torch.device
    quantise : str
        As `Engine` has it.
    """
    classes = {part.name: part.class_name for part in info.parts}
    return Abilities(
        tiles=choose_tiles(info.native, info.cell),
        slices=device.type == "mps" and "unet" in classes,
        placements=find_placements(device),
        quantised=_find_ways(info, device, quantise),
    )


def _find_ways(info: ModelInfo, device: torch.device, quantise: str) -> tuple[Quantised, ...]:
    """Return how a denoiser may be stored; the first way is used where memory is not short."""
    denoiser = next(part for part in info.parts if part.name in DENOISERS)
    if denoiser.weights.lower().endswith(".gguf"):  # it is quantised already
        return ("",)
    if quantise in GPU_QUANTISED:
        return (quantise,)
    if device.type == "cpu":
        is_kept = is_exact("half", info.precision)
        return ("", "half") if is_kept or quantise == "auto" else ("",)
    if quantise == "never" or device.type != "cuda":
        return ("",)
    return ("", *(way for way in GPU_QUANTISED if can_quantise(way)))


def find_lacking(able: Abilities) -> list[str]:
    """Return the extras that are not installed, and would let a model save more."""
    if not {*able.quantised[1:]} & {*GPU_QUANTISED}:  # none is chosen automatically
        return []
    return [package for way, package in PACKAGES.items() if way not in able.quantised]
