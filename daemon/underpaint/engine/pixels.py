"""Pixels as arrays: their ranges, sizes and hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from underpaint_client.errors import BadInputError
from underpaint_client.geometry import Box, Extent

Pixels = NDArray[Any]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

FULL: dict[np.dtype[Any], float] = {
    np.dtype(np.uint8): 255.0,
    np.dtype(np.uint16): 65535.0,
    np.dtype(np.float16): 1.0,
    np.dtype(np.float32): 1.0,
}
"""The value that means 1 in each depth."""


STRIP = 2**19
"""Pixels that are processed at once where each takes about a hundred bytes."""


def strips(area: Box) -> Iterator[Box]:
    """Yield a box from its top to its bottom, in strips of at most `STRIP` pixels or one row."""
    rows = max(1, STRIP // max(1, area.width))
    for y in range(area.y, area.bottom, rows):
        yield Box(area.x, y, area.width, min(rows, area.bottom - y))


def fraction(values: Pixels) -> Floats:
    """Return values of any depth as float32, 1 being full; HDR and NaN are clipped to 0..1."""
    result = unclipped(values)
    return np.clip(result, 0.0, 1.0, out=result)


def unclipped(values: Pixels) -> Floats:
    """Return values of any depth as float32, 1 being full; HDR stays, NaN becomes 0."""
    result: Floats = values.astype(np.float32)
    if values.dtype.kind == "f":
        return np.nan_to_num(result, copy=False, nan=0.0, posinf=np.inf, neginf=-np.inf)
    result /= np.float32(FULL[values.dtype])
    return result


def quantize(values: Floats, dtype: np.dtype[Any]) -> Pixels:
    """Return 0..1 at a depth, rounded and never floored, so that nothing darkens over many runs."""
    full = np.float32(FULL[dtype])
    if dtype.kind != "f":
        values = np.clip(np.rint(values * full), 0, full)
    result: Pixels = values.astype(dtype)
    return result


def mean_opacity(values: Floats, extent: Extent) -> Pixels:
    """Return how much of the painted colour shows in the result (promise 10), at a smaller size.

    Parameters
    ----------
    values : float32, (H, W)
        The change of each pixel.
    extent : Extent
        Of what is given.

    Returns
    -------
    uint8, (extent.height, extent.width)
        The mean over the pixels that become one: so an edge lies where it is, between cells too.
    """
    size, dtype = (extent.width, extent.height), np.dtype(np.uint8)
    mean = cv2.resize(np.minimum(1, 4 * values), size, interpolation=cv2.INTER_AREA)
    return quantize(np.asarray(mean, np.float32), dtype)


def check_pixels(name: str, pixels: Pixels) -> None:
    """Check the shape and depth of a layer or another picture, (H, W, 4).

    Raises
    ------
    BadInputError
        They cannot be used; the message calls it by `name`.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype not in FULL or not pixels.size:
        raise BadInputError(
            "{name} of shape {shape} and depth {dtype} cannot be used; send (height, width, 4)"
            " of uint8, uint16, float16 or float32",
            name=name,
            shape=pixels.shape,
            dtype=pixels.dtype,
        )


def check_like(name: str, values: Pixels, pixels: Pixels) -> None:
    """Check a selection or a mask, (H, W), of a layer, (H, W, 4).

    Raises
    ------
    BadInputError
        It has another size, or a depth that cannot be used; the message calls it by `name`.
    """
    height, width = pixels.shape[:2]
    if values.shape != (height, width):
        found = " x ".join(str(side) for side in reversed(values.shape))
        raise BadInputError(
            "the {name} has {found} pixels and the layer {width} x {height}; make them the same"
            " size",
            name=name,
            found=found,
            width=width,
            height=height,
        )
    if values.dtype not in FULL:
        raise BadInputError(
            "a {name} of depth {dtype} cannot be used; send uint8, uint16, float16 or float32",
            name=name,
            dtype=values.dtype,
        )


def box_of(mask: Mask) -> Box:
    """Return the smallest box around all that is true; an empty one if nothing is."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return Box(0, 0, 0, 0)
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return Box(
        int(columns[0]),
        int(rows[0]),
        int(columns[-1] - columns[0]) + 1,
        int(rows[-1] - rows[0]) + 1,
    )


def resize(values: Pixels, extent: Extent) -> Pixels:
    """Resample pixels, every channel by itself, keeping the depth.

    Area averaging towards smaller (no aliasing), cubic towards larger. A value that is not finite
    takes no part in the mean of its neighbours; it stays where it is more than half of a pixel.
    """
    height, width = values.shape[:2]
    if (width, height) == (extent.width, extent.height):
        return values
    wide = values.astype(np.float32) if values.dtype == np.float16 else values
    if values.dtype.kind != "f":
        return _interpolate(wide, extent)
    lowest, highest = wide.min(), wide.max()
    if np.isfinite(lowest) and np.isfinite(highest):
        scaled = np.clip(_interpolate(wide, extent), lowest, highest)  # cubic overshoots
    else:
        scaled = _resize_finite(wide, extent)
    return scaled.astype(values.dtype, copy=False)


def _interpolate(values: Pixels, extent: Extent) -> Pixels:
    height, width = values.shape[:2]
    shrinks = extent.pixels < width * height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return _scale(values, extent, method)


def _scale(values: Pixels, extent: Extent, method: int) -> Pixels:
    size = (extent.width, extent.height)
    return np.asarray(cv2.resize(np.ascontiguousarray(values), size, interpolation=method))


def _resize_finite(values: Floats, extent: Extent) -> Pixels:
    """Resample by the finite values alone; the nearest value where they are less than half."""
    finite = np.isfinite(values)
    if not finite.any():
        return _scale(values, extent, cv2.INTER_NEAREST_EXACT)
    lowest = values.min(where=finite, initial=np.inf)
    highest = values.max(where=finite, initial=-np.inf)
    weight = _interpolate(finite.astype(np.float32), extent)
    weight = np.where(abs(weight - 1) < 1e-5, np.float32(1), weight)  # the others keep their bits
    total = _interpolate(np.where(finite, values, np.float32(0)), extent)
    mean = np.clip(total / np.maximum(weight, np.float32(0.5)), lowest, highest)
    return np.where(weight >= 0.5, mean, _scale(values, extent, cv2.INTER_NEAREST_EXACT))


def hash_input(image: Floats, change: Floats) -> str:
    """Return the BLAKE2b hash of what the model sees of a picture and over what may change."""
    found = _hash(image)
    found.update(np.ascontiguousarray(change).data)
    return found.hexdigest()


def join_hashes(hashes: Iterable[str]) -> str:
    """Return one hash for several, of which there is at least one; a lone one as it is."""
    found = list(hashes)
    if len(found) == 1 or not any(found):
        return found[0]
    return hashlib.blake2b(" ".join(found).encode(), digest_size=16).hexdigest()


def hash_picture(image: Floats) -> str:
    """Return the BLAKE2b hash of a picture that the model, or a part of it, is given."""
    return _hash(image).hexdigest()


def _hash(image: Floats) -> hashlib.blake2b:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16)
