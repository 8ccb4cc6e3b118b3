"""Holes as painters erase them and as the engine sees them: whole latent cells that may change."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

CELL = 8
"""Pixels of a latent cell's side."""

_KINDS = {"blob": 0.35, "strokes": 0.25, "ragged": 0.15, "box": 0.1, "side": 0.15}
"""How often each shape is drawn."""


def draw_holes(
    rng: np.random.Generator, count: int, size: tuple[int, int], whole: float
) -> NDArray[np.bool_]:
    """Draw what is erased from each picture: shapes in pixels, pooled into cells.

    A cell may change where any of its pixels may, as in the engine.

    Parameters
    ----------
    rng : numpy.random.Generator
    count : int
    size : tuple of int
        Rows and columns, in latent cells.
    whole : float
        How often all is erased.

    Returns
    -------
    bool, (count, 1, rows, columns)
        True where erased: some cells at least, and all only where drawn by `whole`.
    """
    rows, columns = size
    holes = np.ones((count, 1, rows, columns), bool)
    for hole in holes:
        if rng.random() < whole:
            continue
        while hole.all() or not hole.any():
            kind = rng.choice(list(_KINDS), p=list(_KINDS.values()))
            pixels = _SHAPES[str(kind)](rng, rows * CELL, columns * CELL)
            if rng.random() < 0.15:  # a second shape of the same kind
                pixels |= _SHAPES[str(kind)](rng, rows * CELL, columns * CELL)
            hole[0] = pixels.reshape(rows, CELL, columns, CELL).any((1, 3))
    return holes


def _share(rng: np.random.Generator) -> float:
    """Draw a hole's share of the picture: small ones more often than large ones."""
    return float(0.02 + 0.78 * rng.random() ** 1.5)


def _smooth(rng: np.random.Generator, height: int, width: int, grain: int) -> NDArray[np.float32]:
    """Draw a smooth field of deviation about 1 with so many bumps a side."""
    coarse = rng.standard_normal((grain, grain)).astype(np.float32)
    field = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(field, np.float32)


def _place(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Return each pixel's distance from a random centre, in parts of the longer side."""
    y, x = np.mgrid[:height, :width].astype(np.float32) / max(height, width)
    centre_y, centre_x = rng.uniform(-0.05, 1.05, 2)
    squeeze = float(np.exp(rng.normal(0, 0.4)))
    return np.asarray(np.hypot((y - centre_y) * squeeze, (x - centre_x) / squeeze), np.float32)


def _top(height_map: NDArray[np.float32], share: float) -> NDArray[np.bool_]:
    """Take the highest part of a field."""
    return np.asarray(height_map >= np.quantile(height_map, 1 - share))


def _blob(rng: np.random.Generator, height: int, width: int) -> NDArray[np.bool_]:
    """One roundish hole, as a soft eraser leaves."""
    bumps = _smooth(rng, height, width, int(rng.integers(3, 7))) * rng.uniform(0.02, 0.12)
    return _top(bumps - _place(rng, height, width), _share(rng))


def _ragged(rng: np.random.Generator, height: int, width: int) -> NDArray[np.bool_]:
    """Pieces of many sizes, as a selection by colour leaves."""
    bumps = _smooth(rng, height, width, int(rng.integers(3, 13)))
    return _top(bumps - rng.exponential(4) * _place(rng, height, width), _share(rng))


def _strokes(rng: np.random.Generator, height: int, width: int) -> NDArray[np.bool_]:
    """Lines of a round brush, curved and of any width."""
    side = max(height, width)
    drawn = np.zeros((height, width), np.uint8)
    for _ in range(int(rng.integers(1, 5))):
        steps = int(rng.integers(3, 12))
        turns = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.5, steps))
        moves = np.stack([np.cos(turns), np.sin(turns)], 1) * side * rng.uniform(0.03, 0.15)
        points = rng.random(2) * (width, height) + np.cumsum(moves, 0)
        brush = int(np.exp(rng.uniform(np.log(2), np.log(0.3 * side))))
        cv2.polylines(drawn, [np.rint(points).astype(np.int32)], False, 1, max(1, brush))
    return drawn > 0


def _box(rng: np.random.Generator, height: int, width: int) -> NDArray[np.bool_]:
    """Draw a rectangular selection, cleared."""
    drawn = np.zeros((height, width), bool)
    tall, wide = (max(4, int(side * rng.uniform(0.08, 0.9))) for side in (height, width))
    top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
    drawn[top : top + tall, left : left + wide] = True
    return drawn


def _side(rng: np.random.Generator, height: int, width: int) -> NDArray[np.bool_]:
    """Draw a side or a border, as pictures are extended and faded out."""
    y, x = np.mgrid[:height, :width].astype(np.float32) / height
    angle = rng.choice([0, 0.5, 1, 1.5]) * np.pi + (rng.random() < 0.3) * rng.normal(0, 0.4)
    slope = np.cos(angle) * x + np.sin(angle) * y
    if rng.random() < 0.25:  # all round, or what lies around a piece that is kept
        slope = np.maximum(abs(x - rng.uniform(0.3, 0.7)), abs(y - rng.uniform(0.3, 0.7)))
    bumps = _smooth(rng, height, width, 4) * rng.choice([0, 0, 0.05])
    return _top(np.asarray(slope + bumps, np.float32), rng.uniform(0.1, 0.85))


_SHAPES = {
    "blob": _blob,
    "ragged": _ragged,
    "strokes": _strokes,
    "box": _box,
    "side": _side,
}
