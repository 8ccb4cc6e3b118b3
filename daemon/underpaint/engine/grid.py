"""The grid on the canvas that work areas are snapped to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from underpaint_client.geometry import Box

Mask = NDArray[np.bool_]

GRID = 64
"""Pixels on the canvas that the work area is snapped to, so that erasing a little more at a locked
seed keeps the noise, and so the picture, where they were."""


@dataclass(frozen=True)
class GridMask:
    """Some of the squares of the grid.

    Parameters
    ----------
    x, y : int
        The first square's top left corner on the canvas, multiples of `GRID`.
    squares : bool, (h, w)
        Which ones.
    """

    x: int
    y: int
    squares: Mask

    @property
    def box(self) -> Box:
        """The smallest box on the canvas around these squares, of which there is at least one."""
        rows = np.flatnonzero(self.squares.any(axis=1))
        columns = np.flatnonzero(self.squares.any(axis=0))
        top, left = int(rows[0]), int(columns[0])
        return Box(
            self.x + left * GRID,
            self.y + top * GRID,
            (int(columns[-1]) - left + 1) * GRID,
            (int(rows[-1]) - top + 1) * GRID,
        )

    def pixels_in(self, box: Box) -> Mask:
        """Return which pixels of a box on the canvas lie in these squares: (height, width)."""
        height, width = self.squares.shape
        rows = np.clip(np.arange(box.y - self.y, box.bottom - self.y) // GRID, -1, height)
        columns = np.clip(np.arange(box.x - self.x, box.right - self.x) // GRID, -1, width)
        found = np.pad(self.squares, 1)[np.ix_(rows + 1, columns + 1)]
        return np.asarray(found, np.bool_)
