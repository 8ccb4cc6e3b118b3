"""Colour conversions by ICC profiles, through LittleCMS."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from imagecodecs import CmsError, cms_profile, cms_transform
from numpy.typing import NDArray

__all__ = ["CmsError", "srgb_profile", "transform"]

Pixels = NDArray[Any]

_RELATIVE_COLORIMETRIC = 1

_NO_OPTIMISATION = 0x100
"""LittleCMS's shortcuts for 16 bits are up to 25 levels of 255 off in wide spaces."""


@functools.cache
def srgb_profile() -> bytes:
    """Return the ICC profile of sRGB."""
    return bytes(cms_profile("srgb"))


def transform(
    values: Pixels, source: bytes, target: bytes, depth: type, *, model: str = "rgb"
) -> Pixels:
    """Return colours in the RGB space of another profile, relative colorimetric.

    Parameters
    ----------
    values : uint8, uint16 or float32, (H, W) or (H, W, channels)
        Floats are 0..1.
    source, target : bytes
        The ICC profiles of the values and of the result.
    depth : type
        Of the result: numpy's uint8, uint16 or float32, which may leave 0..1.
    model : str
        `rgb`, `gray` or `cmyk`: what the values are.

    Raises
    ------
    CmsError
        One of the profiles cannot be used.
    """
    found = cms_transform(
        np.ascontiguousarray(values),
        source,
        target,
        colorspace=model,
        outcolorspace="rgb",
        outdtype=depth,
        intent=_RELATIVE_COLORIMETRIC,
        flags=_NO_OPTIMISATION,
    )
    return np.asarray(found)
