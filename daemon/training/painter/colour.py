"""Colours as display RGB between 0 and 1, and the few ways in which this painter mixes them."""

from __future__ import annotations

from functools import cache

import numpy as np

from .raster import Floats, channels

LUMA = np.array([0.30, 0.59, 0.11], np.float32)
WHITE = np.ones(3, np.float32)


@cache
def rgb(code: str) -> Floats:
    """Read a colour.

    Parameters
    ----------
    code : str
        Six hexadecimal digits.

    Returns
    -------
    float32, (3,)
        RGB, 0..1; read-only, as it is shared.
    """
    colour = np.frombuffer(bytes.fromhex(code), np.uint8).astype(np.float32)
    colour /= 255
    colour.setflags(write=False)
    return colour


@cache
def palette(codes: str) -> Floats:
    """Read colours written one after the other: float32, (N, 3); read-only."""
    colours = np.stack([rgb(code) for code in codes.split()])
    colours.setflags(write=False)
    return colours


def mix(first: Floats, second: Floats, weight: Floats | float) -> Floats:
    """Blend two arrays: `first` where the weight is 0, `second` where it is 1."""
    return first + (second - first) * weight


def blend(first: Floats, second: Floats, weight: Floats) -> Floats:
    """Blend two pictures (H, W, 3) or colours (3,) by a map (H, W)."""
    # NumPy is slow where its innermost axis is as short as a colour; whole rows are fast.
    if first.ndim == 1:
        first = np.tile(first, (1, weight.shape[1], 1))
    if second.ndim == 1:
        second = np.tile(second, (1, weight.shape[1], 1))
    return first + (second - first) * channels(weight, weight, weight)


def spread(weight: Floats, colour: Floats) -> Floats:
    """Return a colour (3,) in the strength of a map (H, W): float32, (H, W, 3)."""
    return channels(*(weight * part for part in colour))


def step(low: float, high: float, value: Floats) -> Floats:
    """Rise smoothly from 0 at `low` to 1 at `high` (or fall, if `high` is the lesser)."""
    part = np.clip((value - low) * (1 / (high - low)), 0, 1)
    result: Floats = part * part * (3 - 2 * part)
    return result


def grey(colour: Floats) -> Floats:
    """Return the lightness of colours (..., 3) as (..., 1)."""
    lightness: Floats = colour @ LUMA
    return lightness[..., None]


def saturate(colour: Floats, amount: float) -> Floats:
    """Scale how far colours (..., 3) are from grey."""
    return mix(grey(colour), colour, amount)


def ramp(stops: Floats, position: Floats | float) -> Floats:
    """Run along evenly spaced colours.

    Parameters
    ----------
    stops : float32, (N, 3)
        The colours at 0, 1 / (N - 1), ... 1.
    position : float32, any shape
        Clipped to 0..1.

    Returns
    -------
    float32, (..., 3)
    """
    count = len(stops) - 1
    table = np.linspace(0, count, 256)
    low = np.minimum(table.astype(int), count - 1)
    part = (table - low)[:, None]
    colours = (stops[low] * (1 - part) + stops[low + 1] * part).astype(np.float32)
    result: Floats = colours.take((np.clip(position, 0, 1) * 255).astype(np.uint8), axis=0)
    return result
