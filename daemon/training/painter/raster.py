"""Pictures and maps of numbers, and the operations of OpenCV on them, with their types."""

from __future__ import annotations

from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.floating[Any]]  # float32 wherever it is as large as a picture
Bytes: TypeAlias = NDArray[np.uint8]

FRACTION = 4  # bits of the coordinates given to OpenCV's drawing functions
_SINGLE = np.float32


def soften(picture: Floats, sigma: float) -> Floats:
    """Blur a picture or map by a Gaussian of `sigma` pixels."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), _SINGLE)


def resample(picture: Floats, columns: Floats, rows: Floats, *, wrap: bool = False) -> Floats:
    """Read a picture at places between its pixels.

    Parameters
    ----------
    picture : float32, (H, W) or (H, W, channels)
        What to read.
    columns, rows : float32, (h, w)
        Where; outside it is mirrored.
    wrap : bool, optional
        Outside it is repeated instead.
    """
    border = cv2.BORDER_WRAP if wrap else cv2.BORDER_REFLECT
    return np.asarray(
        cv2.remap(picture, columns, rows, cv2.INTER_LINEAR, borderMode=border), _SINGLE
    )


def scaled(picture: Floats, height: int, width: int) -> Floats:
    """Scale a picture, averaging where it shrinks."""
    shrinks = height < picture.shape[0]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, (width, height), interpolation=way), _SINGLE)


def channels(*maps: Floats) -> Floats:
    """Lay maps (H, W) over one another, as the channels of a picture (H, W, channels)."""
    return np.asarray(cv2.merge(maps), _SINGLE)


def slopes(surface: Floats) -> tuple[Floats, Floats]:
    """Return how much a map (H, W) rises from a pixel to the next, to the right and downwards."""
    across = cv2.Sobel(surface, cv2.CV_32F, 1, 0, scale=1 / 8)
    down = cv2.Sobel(surface, cv2.CV_32F, 0, 1, scale=1 / 8)
    return np.asarray(across, _SINGLE), np.asarray(down, _SINGLE)


def fixed(points: Floats) -> NDArray[np.int32]:
    """Return pixel coordinates as OpenCV's drawing functions take them."""
    return np.round(points * (1 << FRACTION)).astype(np.int32)


def to_bytes(picture: Floats) -> Bytes:
    """Return a picture of 0..1 in bytes."""
    return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)


def from_bytes(picture: Bytes) -> Floats:
    """Return a picture of bytes as 0..1."""
    return picture.astype(_SINGLE) / 255


def places(size: int) -> tuple[Floats, Floats]:
    """Return where pixels are, 0..1, to the right (1, size) and downwards (size, 1)."""
    line = (np.arange(size, dtype=np.float32) + 0.5) / size
    return line[None], line[:, None]
