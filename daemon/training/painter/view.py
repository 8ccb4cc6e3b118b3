"""Perspective: from land to picture.

Words: u is the slope of a ray to the right, its rise the slope upwards, both 0 at the vanishing
point of level ground; z the distance in metres. The land is a grid of columns of rays and rows of
distances, each cell holding how far the land there rises above the water in metres per metre of
distance, so that its place in the picture is a subtraction away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .raster import Floats, resample
from .scene import Scene

FAR = 6000.0  # metres
MIDDLE = 700.0  # where the rows that are near give way to those that are far
_NEAR_SHARE = 0.62  # of the rows


@dataclass(frozen=True)
class View:
    """A camera and its grid.

    Parameters
    ----------
    size : int
        Pixels of the picture's side.
    horizon : float
        Picture heights from the top.
    width : float
        The picture's side as a slope.
    eye : float
        Metres above the water.
    """

    size: int
    horizon: float
    width: float
    eye: float

    @classmethod
    def of(cls, scene: Scene, size: int) -> View:
        """Set up the view of a scene."""
        return cls(size, scene.horizon, 1 / scene.zoom, scene.eye)

    @property
    def sky(self) -> float:
        """How far the picture reaches above the horizon, as a slope."""
        return self.horizon * self.width

    @property
    def ground(self) -> float:
        """How far it reaches below the horizon."""
        return (1 - self.horizon) * self.width

    @property
    def scale(self) -> float:
        """Pixels for a slope of 1."""
        return self.size / self.width

    @property
    def line(self) -> float:
        """The horizon, in pixels from the top."""
        return self.horizon * self.size

    @property
    def nearest(self) -> float:
        """Metres to the level ground at the bottom of the picture."""
        return self.eye / self.ground

    @cached_property
    def u(self) -> Floats:
        """Slopes of the columns, (1, size)."""
        columns = (np.arange(self.size, dtype=np.float32) + 0.5) / self.size - 0.5
        return (columns * self.width)[None]

    @cached_property
    def log_z(self) -> Floats:
        """Logarithms of the rows' distances, rising, (rows, 1)."""
        rows = int(self.size * 1.4)
        near = int(rows * _NEAR_SHARE)
        start, middle = math.log(self.nearest * 0.55), math.log(MIDDLE)
        # Close by, a row of pixels spans little distance, so the rows are denser there.
        first = start + (middle - start) * np.linspace(0, 1, near, endpoint=False) ** 1.25
        last = np.linspace(middle, math.log(FAR), rows - near)
        return np.concatenate([first, last]).astype(np.float32)[:, None]

    @cached_property
    def z(self) -> Floats:
        """Distances of the rows, (rows, 1)."""
        return np.exp(self.log_z)

    @cached_property
    def depth(self) -> Floats:
        """Where level ground lies: 0 at the horizon, 1 at the picture's bottom; (rows, 1)."""
        return self.nearest / self.z

    def row_of(self, log_z: float) -> float:
        """Find the row of a distance."""
        return float(np.interp(log_z, self.log_z[:, 0], np.arange(len(self.log_z))))

    def column_of(self, u: float) -> float:
        """Find the pixel column of a ray."""
        return (u / self.width + 0.5) * self.size


@dataclass(frozen=True)
class Dome:
    """The sky's share of a view.

    Parameters
    ----------
    view : View
        Whose sky it is.
    up : float32, (height, 1)
        How high each row is: 0 at the horizon, 1 at the picture's top.
    across : float32, (1, size)
        Where each column is, in picture widths.
    """

    view: View
    up: Floats
    across: Floats

    @classmethod
    def of(cls, view: View, height: int) -> Dome:
        """Set up some pixels of sky, the last row being at the horizon."""
        up = (np.arange(height, 0, -1, dtype=np.float32) - 0.5) / view.line
        across = (np.arange(view.size, dtype=np.float32) + 0.5) / view.size
        return cls(view, up[:, None], across[None])

    def distance(self, place: tuple[float, float]) -> Floats:
        """Return how far each pixel is from a place, across and up, in picture widths."""
        x, y = place
        away: Floats = np.hypot(self.across - x, (self.up - y) * self.view.horizon)
        return away


@dataclass(frozen=True)
class Seen:
    """What part of the land each pixel shows.

    Parameters
    ----------
    row : float32, (height, size)
        The grid's row.
    cover : float32, (height, size)
        1 where there is land, 0 for sky.
    """

    row: Floats
    cover: Floats

    def look_up(self, grid: Floats) -> Floats:
        """Carry a map of the grid, (rows, size) or (rows, size, channels), into the picture."""
        columns = np.arange(self.row.shape[1], dtype=np.float32)
        return resample(grid, np.tile(columns, (len(self.row), 1)), self.row)

    def log_z(self, view: View) -> Floats:
        """Return how far away each pixel is, as a logarithm; the sky is beyond everything."""
        known = np.interp(self.row.ravel(), np.arange(len(view.log_z)), view.log_z[:, 0])
        return np.where(self.cover > 0.5, known.reshape(self.row.shape), 99).astype(np.float32)


def look(rise: Floats, view: View, height: int, line: float, eye: float) -> Seen:
    """Find what is seen of the land.

    Parameters
    ----------
    rise : float32, (rows, size)
        The land.
    view : View
        Whose grid it is on.
    height : int
        Pixels of the picture wanted.
    line : float
        Its horizon, in pixels from the top.
    eye : float
        Metres above the water; below it (negative), the land is seen as the water mirrors it.
    """
    rows, size = rise.shape
    y = line - (rise - eye / view.z) * view.scale
    skyline = np.minimum.accumulate(y, axis=0)
    # A pixel shows the first row whose skyline is above it: count those that are not.
    below = np.clip(np.ceil(skyline - 0.5), 0, height).astype(np.int64)
    flat = (below * size + np.arange(size)).ravel()
    hidden = np.bincount(flat, minlength=(height + 1) * size).reshape(height + 1, size)
    first = hidden[::-1].cumsum(axis=0)[::-1][1:]
    here = np.minimum(first, rows - 1)
    before = np.maximum(first - 1, 0)
    columns = np.arange(size)
    upper, lower = skyline[here, columns], skyline[before, columns]
    centre = np.arange(height, dtype=np.float32)[:, None] + 0.5
    part = (lower - centre) / np.maximum(lower - upper, 1e-4)
    # Behind a crest the row before is out of sight, so there is nothing to blend with.
    part = np.where(y[before, columns] > lower + 0.25, 1, np.clip(part, 0, 1))
    cover = np.clip(centre + 0.5 - skyline[-1], 0, 1)
    return Seen((before + part).astype(np.float32), cover.astype(np.float32))
