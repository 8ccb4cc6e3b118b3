"""Where to compute."""

from __future__ import annotations

import gc

import torch

from underpaint_client.errors import ModelUnavailableError

OFFLOADING = ("cuda", "mps")
"""Kinds of device that have a memory, or a limit, of their own."""


def choose_device(wanted: str = "auto") -> str:
    """Return where to compute: `cuda`, `mps` or `cpu`; `auto` takes the first there is.

    Raises
    ------
    ModelUnavailableError
        Where the device asked for is not there.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        return next(device for device, available in there.items() if available)
    kind, _, index = wanted.partition(":")
    too_high = kind == "cuda" and there["cuda"] and int(index or 0) >= torch.cuda.device_count()
    if not there.get(kind, False) or too_high:
        raise ModelUnavailableError(
            f"device {wanted!r} is not there; available: {', '.join(d for d in there if there[d])}"
        )
    return wanted


def free_memory(device: torch.device) -> None:
    """Free what torch and Python keep for later."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
