"""The shapes of mountains."""

from __future__ import annotations

import math

import numpy as np

from .noise import Grain, Noise, stream
from .raster import Floats
from .scene import Scene
from .view import MIDDLE, View

_HIGHEST = 0.55  # slope up to which even the tallest pictures are filled


def raise_mountains(scene: Scene, view: View) -> tuple[Floats, float]:
    """Raise mountain ranges, the farther the higher.

    Returns
    -------
    massif : float32, (rows, size)
        Rise on the view's grid.
    highest : float
        The most it is meant to be.
    """
    rng = stream(scene.seed, "mountains")
    far = view.log_z[:, 0] > math.log(MIDDLE)
    u, log_z = view.u, view.log_z[far]
    warp = Noise.of(scene.seed, "warp")
    across = u + warp.at(u * 2.2, log_z * 2.2) * 0.035
    along = log_z + warp.at(u * 2.2 + 40, log_z * 2.2) * 0.06
    spurs = Noise.of(scene.seed, "spurs", Grain.RIDGED).at(u * 2.6, log_z * 1.5) * 0.16
    highest = rng.uniform(0.5, 0.85) * min(view.sky, _HIGHEST)
    ranges = np.zeros((len(log_z), view.size), np.float32)
    for distance, share in ((1300, 0.42), (2300, 0.68), (4000, 1.0)):
        if share < 1 and rng.random() < 0.35:
            continue
        tall = highest * share
        cones = _cones(rng, across / view.width, (along - math.log(distance)) / 0.42, tall, view)
        np.maximum(ranges, cones + spurs * np.minimum(cones, 0.5 * tall), out=ranges)
    massif = np.zeros((len(view.z), view.size), np.float32)
    massif[far] = ranges
    return massif, highest


def _cones(
    rng: np.random.Generator, x: Floats, along: Floats, tall: float, view: View
) -> Floats:  # fmt: skip
    """Set a few cones beside one another; the creases between them make ridges."""
    count = int(rng.integers(2, 6))
    places = rng.permutation((np.arange(count) + rng.uniform(0.1, 0.9, count)) / count - 0.5) * 1.3
    heights = tall * np.append(1, rng.uniform(0.45, 0.85, count - 1))
    widths = heights * rng.uniform(1.1, 1.9, count) / view.width
    surface = np.zeros_like(along)
    depth = along**2
    for place, height, width in np.stack([places, heights, widths], axis=1).tolist():
        cone = height * (1 - np.sqrt(((x - place) / width) ** 2 + depth))
        np.maximum(surface, cone, out=surface)
    return surface


def raise_mesas(scene: Scene, view: View) -> tuple[Floats, float]:
    """Raise table mountains on skirts of rubble; see `raise_mountains`."""
    rng = stream(scene.seed, "mesas")
    u, log_z = view.u, view.log_z
    worn = Noise.of(scene.seed, "worn").at(u * 3, log_z * 2) * 0.1
    massif = np.zeros((len(log_z), view.size), np.float32)
    highest = 0.0
    for distance, most in ((1000, 0.6), (1900, 1.0), (3600, 1.0)):
        tall = most * rng.uniform(0.25, 0.55) * min(view.sky, _HIGHEST)
        highest = max(highest, tall)
        for _ in range(int(rng.integers(1, 3))):
            across = (u - rng.uniform(-0.55, 0.55) * view.width) / (tall * rng.uniform(0.35, 1.3))
            along = (log_z - math.log(distance)) / 0.5
            inside = 1 - np.sqrt(across**2 + along**2) + worn
            cliff, skirt = np.clip(inside * 3.5, 0, 1), np.clip(0.42 + inside * 0.6, 0, 0.42)
            np.maximum(massif, np.maximum(cliff, skirt) * (tall * rng.uniform(0.8, 1)), out=massif)
    return massif, highest
