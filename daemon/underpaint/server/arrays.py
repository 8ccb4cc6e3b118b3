"""Between frames on the wire and numpy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from underpaint.engine.inputs import Inputs
from underpaint_client.frames import CHANNELS, Frame
from underpaint_client.geometry import Box
from underpaint_client.inputs import InputFrames

_SWAPPED = [2, 1, 0, 3]
"""BGRA from RGBA, and back."""


def to_pixels(frame: Frame) -> NDArray[Any]:
    """Return a layer's frame as RGBA, (H, W, 4), without a copy where it is RGBA already."""
    values = _values(frame)
    return np.ascontiguousarray(values[..., _SWAPPED]) if frame.channels == "BGRA" else values


def to_selection(frame: Frame) -> NDArray[Any]:
    """Return a selection's frame as (H, W)."""
    return _values(frame)[..., 0]


def to_inputs(frames: InputFrames) -> Inputs:
    """Return the rasters that came for a request as the engine takes them; none may be packed."""
    layer, selection, mask = frames.layer, frames.selection, frames.mask
    return Inputs(
        layer=None if layer is None else to_pixels(layer),
        selection=None if selection is None else to_selection(selection),
        mask=None if mask is None else to_selection(mask),
        x=0 if layer is None else layer.box.x,
        y=0 if layer is None else layer.box.y,
        rasters={name: to_pixels(frame) for name, frame in frames.rasters.items()},
    )


def to_frame(name: str, pixels: NDArray[Any], box: Box, channels: str = "RGBA") -> Frame:
    """Return RGBA pixels, (H, W, 4), or a selection, (H, W), as a frame.

    Parameters
    ----------
    name : str
        `layer`, `selection` or `picture`.
    pixels : uint8, uint16, float16 or float32
        The values.
    box : Box
        Where they lie on the canvas.
    channels : str
        The order they travel in.
    """
    ordered = pixels[..., _SWAPPED] if channels == "BGRA" else pixels
    dtype = ordered.dtype.newbyteorder("<")
    data = np.ascontiguousarray(ordered, dtype=dtype)
    return Frame(name, box, dtype.str.lstrip("<|"), channels, data.data.cast("B"))


def _values(frame: Frame) -> NDArray[Any]:
    shape = (frame.box.height, frame.box.width, CHANNELS[frame.channels])
    return np.frombuffer(frame.data, f"<{frame.dtype}").reshape(shape)
