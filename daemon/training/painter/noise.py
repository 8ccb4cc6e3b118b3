"""Smooth randomness that is the same at every picture size.

A few large periodic tiles of noise are made once. A picture looks at them through its own windows
(offset and turn drawn from its seed), so that a whole sum of octaves costs one look-up.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache

import numpy as np

from .raster import Floats, resample, scaled

_SIDE = 1024  # of a tile, in pixels
_WAVES = 8  # of the longest wave in a tile's side
_UNIT = _SIDE / _WAVES
_TILES = 3  # of each grain
_LEVELS = 5  # of detail


class Grain(StrEnum):
    """What a noise looks like."""

    SMOOTH = "smooth"  # large forms alone
    SOFT = "soft"  # large forms with some detail
    ROUGH = "rough"  # detail at every scale
    RIDGED = "ridged"  # sharp crests


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the random numbers of one purpose, apart from those of every other."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


@dataclass(frozen=True)
class Noise:
    """A window on a tile: mean 0, standard deviation 1, longest wave 1 unit."""

    grain: Grain
    tile: int
    offset: tuple[float, float]
    turn: float

    @classmethod
    def of(cls, seed: int, name: str, grain: Grain = Grain.SOFT) -> Noise:
        """Choose the window of one purpose in one picture."""
        rng = stream(seed, name)
        x, y, turn = rng.random(3).tolist()
        return cls(grain, int(rng.integers(_TILES)), (x * _SIDE, y * _SIDE), turn * math.tau)

    def upright(self) -> Noise:
        """Return the window unturned, so that noise can be stretched along the picture's axes."""
        return replace(self, turn=0.0)

    def at(self, x: Floats, y: Floats) -> Floats:
        """Read the noise.

        Parameters
        ----------
        x, y : float32
            Where, in units of the longest wave; both have two axes and broadcast to (H, W).

        Returns
        -------
        float32, (H, W)
        """
        # What is finer than the pixels is left out: it would flicker, and take longer.
        pace = max(_pace(x), _pace(y)) * _UNIT
        level = min(max(int(math.log2(max(pace, 1))), 0), _LEVELS - 1)
        unit = _UNIT / 2**level
        cos, sin = math.cos(self.turn) * unit, math.sin(self.turn) * unit
        left, top = ((part + 0.5) / 2**level - 0.5 for part in self.offset)
        columns, rows = (x * cos + left) - y * sin, (x * sin + top) + y * cos
        return resample(_tile(self.grain, self.tile)[level], columns, rows, wrap=True)


def _pace(coordinate: Floats) -> float:
    """Return how far a coordinate goes from a pixel to the next, on average."""
    rows, columns = coordinate.shape
    down = np.abs(coordinate[-1] - coordinate[0]).mean() / rows
    right = np.abs(coordinate[:, -1] - coordinate[:, 0]).mean() / columns
    return max(float(down), float(right))


@cache
def _tile(grain: Grain, index: int) -> tuple[Floats, ...]:
    """Make a tile, and copies of it that are smaller by halves."""
    tiles = [_full_tile(grain, index)]
    for _ in range(_LEVELS - 1):
        side = len(tiles[-1]) // 2
        tiles.append(scaled(tiles[-1], side, side))
    return tuple(tiles)


def _full_tile(grain: Grain, index: int) -> Floats:
    rng = stream(index, grain)
    if grain is Grain.SMOOTH:
        return _band(rng, _WAVES, _WAVES * 4, 3)
    if grain is Grain.SOFT:
        return _band(rng, _WAVES, _SIDE / 4, 2.4)
    if grain is Grain.ROUGH:
        return _band(rng, _WAVES, _SIDE / 4, 1.7)
    crests = np.zeros((_SIDE, _SIDE), np.float32)
    for octave in range(6):
        waves = _WAVES * 2**octave
        crests += (1 - np.abs(_band(rng, waves * 0.7, waves * 1.4, 1))) * 0.55**octave
    return _standardised(crests)


def _band(rng: np.random.Generator, low: float, high: float, slope: float) -> Floats:
    """Make periodic noise of the frequencies low..high, its amplitude falling by the slope."""
    waves = np.fft.fftfreq(_SIDE, 1 / _SIDE)
    frequency = np.hypot(waves[:, None], waves[None, : _SIDE // 2 + 1])
    inside = (frequency >= low) & (frequency <= high)
    amplitude = np.where(inside, np.maximum(frequency, 1) ** -slope, 0)
    spectrum = np.fft.rfft2(rng.standard_normal((_SIDE, _SIDE))) * amplitude
    return _standardised(np.fft.irfft2(spectrum, (_SIDE, _SIDE)))


def _standardised(field: Floats) -> Floats:
    result: Floats = ((field - field.mean()) / field.std()).astype(np.float32)
    return result
