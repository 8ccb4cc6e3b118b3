"""Things made of round lumps: clouds, crowns of trees, bushes, rocks."""

from __future__ import annotations

import math

import numpy as np

from .colour import step
from .raster import Floats, slopes


def heap(lumps: Floats, height: int, width: int, unit: float) -> Floats:
    """Pile up lumps.

    Parameters
    ----------
    lumps : float, (N, 4)
        Of each, the centre x and y, the radius, and how far it stands forward.
    height, width : int
        Pixels of the map.
    unit : float
        Pixels of the lumps' unit.

    Returns
    -------
    float32, (height, width)
        How far the heap stands forward, in lumps' units; negative outside.
    """
    surface = np.full((height, width), -1, np.float32)
    for x, y, radius, forward in lumps.tolist():
        reach = radius * 1.4
        left, right = _span(x, reach, unit, width)
        top, bottom = _span(y, reach, unit, height)
        if left >= right or top >= bottom:
            continue
        dx = ((np.arange(left, right, dtype=np.float32) + 0.5) / unit - x) ** 2
        dy = ((np.arange(top, bottom, dtype=np.float32) + 0.5) / unit - y) ** 2
        lump = radius - (dx + dy[:, None]) / radius
        # Forward lumps cover those behind, but must not grow beyond their own outline.
        lump += np.where(lump > 0, np.minimum(forward, lump), 0)
        part = surface[top:bottom, left:right]
        np.maximum(part, lump, out=part)
    return surface


def _span(centre: float, reach: float, unit: float, limit: int) -> tuple[int, int]:
    low, high = math.floor((centre - reach) * unit), math.ceil((centre + reach) * unit)
    return max(low, 0), min(high, limit)


def model(surface: Floats, unit: float, light: Floats, edge: float) -> tuple[Floats, Floats]:
    """Light a heap.

    Parameters
    ----------
    surface : float32, (H, W)
        From `heap`, with some noise added, if it is to look leafy.
    unit : float
        Pixels of the lumps' unit.
    light : float32, (3,)
        Towards the light: right, up, away from the painter.
    edge : float
        How soft the outline is, in lumps' units.

    Returns
    -------
    alpha, tone : float32, (H, W)
        How much the heap covers, and how light it is there, 0..1.
    """
    alpha = step(0, edge, surface)
    across, down = slopes(np.maximum(surface, 0) * unit)
    length = np.sqrt(1 + across**2 + down**2)
    x, y, away = light.tolist()
    tone = (down * y - across * x - away) / length
    return alpha, np.clip(0.45 + 0.55 * tone, 0, 1)
