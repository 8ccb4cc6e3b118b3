"""Pooling: a change map at another size, in which no stroke gets weaker."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underpaint_client.geometry import Extent

Floats = NDArray[np.float32]


def max_resize(values: Floats, extent: Extent) -> Floats:
    """Resample a change map so that no stroke gets weaker, however thin it is.

    A pixel of the result is the maximum over all source pixels it touches (max-pooling, as the
    design's promise 3 asks before any downscaling).

    Parameters
    ----------
    values : float32, (H, W)
    extent : Extent
        The size wanted.
    """
    height, width = values.shape
    if (width, height) == (extent.width, extent.height):
        return values
    return max_cells(values, extent, cell=1, cells=extent)


def max_cells(values: Floats, content: Extent, cell: int, cells: Extent) -> Floats:
    """Pool a change map into the cells of a latent grid.

    Parameters
    ----------
    values : float32, (H, W)
        The change of each pixel of the work area.
    content : Extent
        What the work area's size becomes for the model.
    cell : int
        A cell's side, in pixels of the model.
    cells : Extent
        How many cells there are. Those that lie beyond the content repeat its edge.

    Returns
    -------
    float32, (cells.height, cells.width)
        The maximum over all pixels that a cell touches.
    """
    height, width = values.shape
    rows = _touched(cells.height, cell, height, content.height)
    columns = _touched(cells.width, cell, width, content.width)
    padded = np.pad(values, ((0, 1), (0, 1)))  # reduceat takes no index one past the end
    by_row = np.maximum.reduceat(padded, rows, axis=0)[::2]
    return np.maximum.reduceat(by_row, columns, axis=1)[:, ::2]


def _touched(count: int, cell: int, source: int, content: int) -> NDArray[np.intp]:
    """Return the first and one past the last of the source pixels that each cell touches."""
    index = np.arange(count, dtype=np.int64)
    first = np.minimum(index * cell * source // content, source - 1)
    stop = np.clip(-(-(index + 1) * cell * source // content), first + 1, source)
    return np.stack([first, stop], axis=1).ravel().astype(np.intp)
