"""Colours of pictures in other colour spaces, by the ICC profiles of their files.

Greys and inks become sRGB: results are RGB, so the profile of such a file cannot go with them, and
without it their numbers mean other colours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from underpaint.icc import CmsError, srgb_profile, transform

Pixels = NDArray[Any]

_GREY_MODES = ("1", "L", "LA", "I", "I;16")


def colour_model(profile: bytes) -> str:
    """Return the colour model that an ICC profile is for, as its header has it: `RGB`, `GRAY`."""
    return profile[16:20].decode("latin-1").strip()


def convert_to_srgb(pixels: Pixels, image: Image.Image, profile: bytes) -> Pixels | None:
    """Return the pixels of a grey or CMYK picture as sRGB; None where there is nothing to convert.

    Parameters
    ----------
    pixels : uint8 or uint16, (H, W, 4)
        As `decode` returns them.
    image : Image
        The same, loaded.
    profile : bytes
        The ICC profile of the file; empty for none.

    Returns
    -------
    uint8 or uint16, (H, W, 4) or None
        RGBA. Greys have 16 bits: 8 would lose some of the dark ones of a linear picture.
    """
    model = colour_model(profile)
    try:
        if model == "GRAY" and image.mode in _GREY_MODES:
            deep = pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * 257
            colours = transform(deep[..., 0], profile, srgb_profile(), np.uint16, model="gray")
            return np.dstack([colours, deep[..., 3]])
        if model == "CMYK" and image.mode == "CMYK":
            colours = transform(np.asarray(image), profile, srgb_profile(), np.uint8, model="cmyk")
            return np.dstack([colours, pixels[..., 3]])
    except CmsError:  # it is damaged; that it is not carried along is said
        return None
    return None


def change_space(pixels: Pixels, profile: bytes, wanted: bytes) -> Pixels:
    """Return RGBA pixels, (H, W, 4), of one RGB colour space in another, at the same depth.

    Parameters
    ----------
    pixels : uint8 or uint16, (H, W, 4)
    profile, wanted : bytes
        The ICC profiles of the two; empty for sRGB. Where one of them cannot be used, the numbers
        stay.
    """
    if profile == wanted:
        return pixels
    try:
        source, target = profile or srgb_profile(), wanted or srgb_profile()
        colours = transform(pixels[..., :3], source, target, pixels.dtype.type)
    except CmsError:
        return pixels
    return np.dstack([colours, pixels[..., 3]])
