"""Skies: their colours, sun, moon and stars."""

from __future__ import annotations

import numpy as np

from .clouds import paint_clouds
from .colour import WHITE, blend, mix, ramp, spread, step
from .light import Light
from .noise import Noise, stream
from .raster import Floats, soften
from .scene import Scene, Time, Weather
from .view import Dome, View

# How far the glow of the sun or moon reaches, in picture widths, and how strong it is.
_GLOW = {
    Time.DAWN: (0.22, 0.85),
    Time.DAY: (0.16, 0.85),
    Time.SUNSET: (0.22, 0.85),
    Time.DUSK: (0.25, 0.5),
    Time.NIGHT: (0.1, 0.45),
}
_STARLIGHT = np.array([0.95, 0.97, 1.0], np.float32)
_MILKY_WAY = np.array([0.55, 0.55, 0.75], np.float32)


def paint_sky(scene: Scene, view: View, light: Light, height: int) -> Floats:
    """Paint the sky above the horizon.

    Parameters
    ----------
    scene, view, light
        What to paint, from where, and in which colours.
    height : int
        Pixels from the horizon up, more than are in the picture if the water mirrors them.

    Returns
    -------
    float32, (height, size, 3)
        Its last row is at the horizon.
    """
    dome = Dome.of(view, height)
    sky = np.repeat(ramp(light.sky, np.clip(dome.up, 0, 1) ** 0.85), view.size, axis=1)
    distance = dome.distance(scene.sun)
    if scene.facing:
        reach, strength = _GLOW[scene.time]
        sky = blend(sky, light.glow, np.exp(distance * (-1 / reach)) * strength)
    if scene.time is Time.NIGHT and scene.weather in {Weather.CLEAR, Weather.CLOUDY}:
        sky = _starry(sky, scene, dome)
    if scene.facing and scene.weather is not Weather.FOG and scene.time is not Time.DUSK:
        radius = stream(scene.seed, "disc").uniform(0.022, 0.038)
        edge = 1.2 / view.size
        disc = step(radius + edge, radius - edge, distance)
        sky = blend(sky, mix(light.glow, WHITE, 0.6), disc)
    return paint_clouds(sky, scene, light, dome)


def _starry(sky: Floats, scene: Scene, dome: Dome) -> Floats:
    rng = stream(scene.seed, "stars")
    height, size = sky.shape[:2]
    if rng.random() < 0.5:
        across = ((dome.across - 0.5) * rng.uniform(-1, 1) + dome.up - rng.uniform(0.5, 1)) / 0.22
        mottled = 0.6 + 0.4 * Noise.of(scene.seed, "milky way").at(dome.across * 4, dome.up * 4)
        sky = sky + spread(np.exp(-(across**2)) * mottled * 0.22, _MILKY_WAY)
    count = int(rng.uniform(90, 260))
    x = np.clip(rng.random(count) * size, 0, size - 2)
    y = np.clip(height - rng.random(count) ** 0.8 * dome.view.line, 0, height - 2)
    # In larger pictures a star covers more pixels.
    bright = rng.pareto(2.2, count).clip(0.12, 1.6) * 0.55 * max(1.0, (size / 256) ** 2)
    column, row = x.astype(int), y.astype(int)
    points = np.zeros((height, size), np.float32)
    # A star's light is shared out among the four pixels around it.
    for dx, share_x in ((0, 1 - (x - column)), (1, x - column)):
        for dy, share_y in ((0, 1 - (y - row)), (1, y - row)):
            np.add.at(points, (row + dy, column + dx), bright * share_x * share_y)
    shine = 2 * (soften(points, size / 430) + soften(points, size / 128))
    return np.clip(sky + spread(shine * step(0, 0.35, dome.up), _STARLIGHT), 0, 1)
