"""Painting over a picture in strokes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from .colour import LUMA, blend, step
from .noise import Grain, Noise, stream
from .raster import (
    FRACTION,
    Bytes,
    Floats,
    channels,
    fixed,
    from_bytes,
    places,
    slopes,
    soften,
    to_bytes,
)
from .scene import Scene

_THINNEST = 1.2  # pixels; finer layers would only blur what is below
_WRONG = 0.13  # sum of the channels' errors that is worth another stroke


@dataclass(frozen=True)
class Layer:
    """A layer of strokes.

    Parameters
    ----------
    across : int
        How many there are beside one another.
    length, width : float
        Of a stroke, in the distance between neighbours.
    """

    across: int
    length: float
    width: float


@dataclass(frozen=True)
class Hand:
    """How a painter paints.

    Parameters
    ----------
    layers : sequence of Layer
        Coarse ones first; later ones are only painted where they change something.
    wander : float
        How freely the strokes' direction drifts.
    variety : float
        How much the colours of neighbouring strokes differ.
    relief : float
        How much the paint stands out.
    """

    layers: Sequence[Layer]
    wander: float
    variety: float
    relief: float


def paint_strokes(picture: Floats, scene: Scene, hand: Hand) -> Floats:
    """Paint over a picture, (size, size, 3), in strokes that follow its forms."""
    size = len(picture)
    rng = stream(scene.seed, "strokes")
    angle = _flow(picture, scene, hand.wander)
    # The fourth channel is how thick the paint is.
    paint = np.dstack([to_bytes(picture), np.full((size, size), 128, np.uint8)])
    for number, layer in enumerate(hand.layers):
        if layer.width * size / layer.across < _THINNEST:
            break
        _lay_strokes(paint, picture, angle, layer, hand.variety, rng, everywhere=number == 0)
    colour = from_bytes(paint[..., :3])
    # A painter draws the edges that matter with care.
    across, down = slopes(soften(picture @ LUMA, size / 256))
    edges = soften(np.hypot(across, down), size / 170) * (size / 256)
    colour = blend(colour, picture, 0.12 + 0.5 * step(0.0125, 0.075, edges))
    thickness = soften(from_bytes(paint[..., 3]), max(0.4, size / 400))
    # Light falls on the paint from the upper left.
    shift = max(1, size // 256)
    ridges = 1 + hand.relief * (thickness - np.roll(thickness, (shift, shift), (0, 1)))
    return colour * channels(ridges, ridges, ridges)


def _flow(picture: Floats, scene: Scene, wander: float) -> Floats:
    """Find the way a brush would go: along edges, and level where there are none; radians."""
    size = len(picture)
    across, down = slopes(soften(picture @ LUMA, size / 100))
    xx, xy, yy = (soften(part, size / 40) for part in (across**2, across * down, down**2))
    angle = 0.5 * np.arctan2(2 * xy, xx - yy - 3e-6) + math.pi / 2
    x, y = places(size)
    drift: Floats = wander * Noise.of(scene.seed, "flow", Grain.SMOOTH).at(x * 2, y * 2)
    return angle + drift


def _lay_strokes(
    paint: Bytes,
    picture: Floats,
    angle: Floats,
    layer: Layer,
    variety: float,
    rng: np.random.Generator,
    *,
    everywhere: bool,
) -> None:
    size, gap = len(paint), 1 / layer.across
    centres = _scattered(layer.across, rng)
    changes = rng.normal(0, 1, (len(centres), 3))
    columns, rows = np.clip((centres * size).astype(int), 0, size - 1).T
    colours = soften(picture, max(0.3, 0.3 * gap * size))[rows, columns]
    wrong = np.abs(colours - from_bytes(paint[rows, columns, :3])).sum(axis=1)
    needed = np.flatnonzero((wrong > _WRONG) | everywhere)
    tones = colours * (1 + variety * changes[:, :1]) + 0.25 * variety * changes
    inks = np.column_stack([to_bytes(tones), 128 + 40 * changes[:, 2].clip(-2, 2)])
    turn = angle[rows, columns] + 0.1 * changes[:, 1]
    reach = np.stack([np.cos(turn), np.sin(turn)], axis=1) * (layer.length * gap / 2)
    ends = fixed(np.stack([centres - reach, centres + reach], axis=1) * size)
    thick = max(1, round(layer.width * gap * size))
    for (start, end), ink in zip(ends[needed].tolist(), inks[needed].tolist(), strict=True):
        cv2.line(paint, start, end, ink, thick, cv2.LINE_AA, FRACTION)


def _scattered(across: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Spread points evenly but not regularly over a square, (across**2, 2), in random order."""
    cells = np.stack(np.meshgrid(np.arange(across), np.arange(across)), axis=-1).reshape(-1, 2)
    points = (cells + rng.random((across * across, 2))) / across
    return rng.permutation(points)
