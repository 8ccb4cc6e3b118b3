"""Water: what it mirrors, its own colour, ripples, foam and glitter."""

from __future__ import annotations

import numpy as np

from .colour import WHITE, blend, mix, rgb, step
from .light import Light
from .noise import Noise
from .raster import Floats, resample, soften
from .scene import Scene, Time, Water, Weather
from .view import View

_DEEP = {
    Water.LAKE: ("24506a", "2c5a66", "2a4a70"),
    Water.RIVER: ("34586a", "3c5c60"),
    Water.SEA: ("1f5a90", "2a78a0", "1f4a78", "3a8ca0"),
}
_ROUGH = {Water.LAKE: 0.45, Water.RIVER: 0.8, Water.SEA: 1.3}


def paint_water(scene: Scene, view: View, light: Light, mirrored: Floats, shore: Floats) -> Floats:
    """Paint the part of the picture below the horizon as if all of it were water.

    Parameters
    ----------
    scene, view, light
        What to paint, from where, and in which colours.
    mirrored : float32, (height, size, 3)
        The world turned upside down about the horizon, which is its first row.
    shore : float32, (height, size)
        Below 0 in the water, the less the farther from land.

    Returns
    -------
    float32, (height, size, 3)
    """
    height, size = mirrored.shape[:2]
    down = ((np.arange(height, dtype=np.float32) + 0.5) / view.scale)[:, None]
    rough = {Weather.STORM: 1.6, Weather.RAIN: 1.2}.get(scene.weather, 0.8) * _ROUGH[scene.water]
    waves = Noise.of(scene.seed, "waves").upright().at(view.u * 2.2, np.log(down + 0.015) * 6)
    colour = _rippled(mirrored, waves * (down + 0.02) * (rough * 0.11 * view.scale), rough)
    deep = light.on(rgb(_DEEP[scene.water][scene.seed % len(_DEEP[scene.water])]), 0.7)
    # The steeper one looks down, the less of the sky and the more of the depth one sees.
    own = np.clip(0.12 + 0.75 * down / (1 - view.horizon) / view.width, 0, 0.75)
    own *= 1.0 if scene.water is Water.SEA else 0.72
    colour = blend(colour, deep, np.tile(own, (1, size)))
    colour = colour * (1 + 0.07 * rough * waves)[..., None]
    if scene.facing and scene.time is not Time.DUSK:
        x = view.u / view.width + 0.5 - scene.sun[0]
        path = np.exp(-((x / (0.03 + 0.09 * down)) ** 2))
        strong = 0.35 if scene.water is Water.RIVER else 0.75
        glitter = path * step(-0.7, 1.0, waves + 0.3) * strong
        colour = blend(colour, mix(light.glow, WHITE, 0.3), glitter)
    if scene.water is Water.SEA:
        white = light.on(rgb("f4f8fa"), 0.7)
        edge = step(0.14, 0.05, -shore + 0.05 * waves)
        breaker = step(0.05, 0.0, np.abs(shore + 0.3 + 0.06 * waves))
        colour = blend(colour, white, 0.8 * np.clip(edge + 0.6 * breaker, 0, 1))
        caps = step(1.5, 2.2, waves) * (0.5 if scene.weather is Weather.STORM else 0.15)
        colour = blend(colour, white, caps)
    return colour


def _rippled(mirrored: Floats, shift: Floats, rough: float) -> Floats:
    """Smear what is mirrored downwards and shift it by a map of pixels, as waves do."""
    height, size = shift.shape
    columns = np.arange(size, dtype=np.float32) + 0.3 * shift
    rows = np.arange(height, dtype=np.float32)[:, None] + shift
    return resample(soften(mirrored, max(0.5, 0.004 * rough * size)), columns, rows)
