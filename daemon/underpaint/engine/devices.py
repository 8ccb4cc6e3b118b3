"""Choose the device to compute on, and find out how much of its memory is free."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys

import psutil
import torch

from underpaint.models.host_memory import total_memory
from underpaint.models.memory_needs import DESKTOP, count_on
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.sentences import Listing

from .savings import PLACEMENTS, UNLIMITED, Bytes, Placement

OFFLOADING = ("cuda", "mps")
"""Kinds of device that have a memory, or a limit, of their own."""


def choose_device(wanted: str = "auto") -> str:
    """Return the device to compute on: `cuda`, `mps` or `cpu`; `auto` is the first available one.

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
            "device {device!r} is not there; available: {devices}",
            device=wanted,
            devices=Listing(d for d in there if there[d]),
        )
    return wanted


def describe_device(device: torch.device) -> str:
    """Return text that identifies a device and the size of its memory."""
    if device.type != "cuda":
        return device.type
    found = torch.cuda.get_device_properties(device)
    return f"{found.name}, {found.total_memory}"


def has_own_memory(device: torch.device) -> bool:
    """Return whether a device has a memory, or a limit, of its own."""
    return device.type in OFFLOADING


def find_placements(device: torch.device) -> tuple[Placement, ...]:
    """Return where the parts of a model on a device can be."""
    if not has_own_memory(device):
        return ("gpu",)
    # A Mac's GPU has no memory of its own, only a limit: what waits must wait as a whole.
    return ("gpu", "offload") if device.type == "mps" else PLACEMENTS


def measure_free(device: torch.device) -> Bytes:
    """Return the free memory for a model and its pictures, including what this process uses.

    For a CPU it is what the computer has, without what a desktop takes: what is free changes with
    every other program, and the system can make room.
    """
    host = float(psutil.virtual_memory().available)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        free += torch.cuda.memory_reserved(device)
    elif device.type == "mps":
        free = torch.mps.recommended_max_memory()
    else:
        return Bytes(count_on(total_memory() - DESKTOP), UNLIMITED.host)
    return Bytes(count_on(free), host)


def free_memory(device: torch.device) -> None:
    """Free memory that torch, Python and the C library cache."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # a C library other than GNU's
            ctypes.CDLL(None).malloc_trim(0)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
