"""Digests of what a run was given, by which `replay` and editors tell whether it is the same."""

from __future__ import annotations

import hashlib

import numpy as np

from .source import Floats, Pixels


def hash_input(image: Floats, change: Floats) -> str:
    """Return the BLAKE2b hash of what the model sees of a picture and over what may change."""
    return _hash(image, change)


def hash_context(pixels: Pixels) -> str:
    """Return the BLAKE2b hash of a context."""
    return _hash(pixels)


def _hash(*arrays: Pixels) -> str:
    found = hashlib.blake2b(digest_size=16)
    for array in arrays:
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
