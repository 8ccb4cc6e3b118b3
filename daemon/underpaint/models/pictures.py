"""The picture beside a model that shows what it paints, as other tools store it.

`NAME.preview.png` or `NAME.png` beside `NAME.safetensors` or the folder `NAME`; JPEG and WebP too.
It may come from anywhere, so its size is checked before it is read, and only a small copy is kept.
"""

from __future__ import annotations

import functools
import warnings
from pathlib import Path
from typing import NamedTuple

from .stamps import stamp_files

SIDE = 96
"""Pixels of the longer side of the copy."""

_MOST_BYTES = 2**24
_MOST_PIXELS = 2**24

_ENDINGS = tuple(
    f"{kind}.{ending}" for kind in (".preview", "") for ending in ("png", "jpg", "jpeg", "webp")
)
_FORMATS = ("PNG", "JPEG", "WEBP")


class SmallPicture(NamedTuple):
    """A small picture.

    Parameters
    ----------
    width, height : int
        Of the copy, in pixels: 1 to `SIDE`.
    pixels : bytes
        RGBA of 8 bits, rows from the top.
    """

    width: int
    height: int
    pixels: bytes


def find_picture(model: Path) -> Path | None:
    """Return the picture beside a model's file or folder; None where there is none."""
    stem = model.name if model.is_dir() else model.stem
    files = (model.with_name(f"{stem}{ending}") for ending in _ENDINGS)
    return next((file for file in files if file.is_file()), None)


def read_picture(model: Path) -> SmallPicture | None:
    """Return a small copy of the picture beside a model.

    Returns
    -------
    SmallPicture or None
        None where there is no picture, or one that is too large, damaged or of another format.
    """
    file = find_picture(model)
    if file is None:
        return None
    return _read(file, *stamp_files(file.parent, [file.name]))


@functools.lru_cache(maxsize=64)
def _read(file: Path, *_stamps: object) -> SmallPicture | None:
    from PIL import Image  # noqa: PLC0415 - most models have no picture

    try:
        if file.stat().st_size > _MOST_BYTES:
            return None
        with warnings.catch_warnings(), Image.open(file, formats=_FORMATS) as image:
            warnings.simplefilter("ignore")
            if image.width * image.height > _MOST_PIXELS:
                return None
            image.draft("RGB", (4 * SIDE, 4 * SIDE))  # a JPEG is decoded at a fraction of its size
            small = image.convert("RGBA")
    except Exception:  # noqa: BLE001 - whatever a decoder raises, the model then has no picture
        return None
    small.thumbnail((SIDE, SIDE))
    return SmallPicture(small.width, small.height, small.tobytes())
