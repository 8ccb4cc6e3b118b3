"""White paper: what a new document begins with, and what is not a picture to fit a result to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .pixels import changed_pixels
from .survey import rows_to_read, take_alpha

if TYPE_CHECKING:
    from collections.abc import Callable

    from underpaint_client.geometry import Box

WHITE = {"u1": b"\xff", "u2": b"\xff\xff", "f2": b"\x00\x3c", "f4": b"\x00\x00\x80\x3f"}
"""A channel of white, and of alpha 1, in each depth."""


def is_white(box: Box, read: Callable[[Box], bytes], dtype: str) -> bool:
    """Return whether a layer is opaque and white.

    Of a large one, rows at even distances are read.

    Parameters
    ----------
    box : Box
        Not empty.
    read : callable
        Gives the pixels of some rows, RGBA or grey with alpha, little-endian.
    dtype : str
        A key of `wire.ITEM_SIZES`.
    """
    return all(
        pixels == WHITE[dtype] * (len(pixels) // len(WHITE[dtype]))
        for pixels in map(read, rows_to_read(box, slow=dtype.startswith("f")))
    )


def shows_something(box: Box, read: Callable[[Box], bytes], channels: int, dtype: str) -> bool:
    """Return whether a layer shows anything but white paper.

    Parameters
    ----------
    box, read, dtype
        As in `is_white`; the box may be empty, and colours of other kinds are never white.
    channels : int
        A pixel's, alpha included, which is the last.
    """
    if box.empty:
        return False
    white, size = WHITE[dtype], len(WHITE[dtype])
    for rows in rows_to_read(box, slow=dtype.startswith("f")):
        pixels = read(rows)
        visible = take_alpha(pixels, channels, dtype)
        opaque = bytearray(pixels)
        for lane in range(size):
            start = (channels - 1) * size + lane
            opaque[start :: channels * size] = white[lane : lane + 1] * len(visible)
        coloured = changed_pixels(bytes(opaque), white * (len(pixels) // size), len(visible))
        if int.from_bytes(visible, "little") & int.from_bytes(coloured, "little"):
            return True
    return False
