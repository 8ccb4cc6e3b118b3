"""Clouds: layers overhead, and heaps with flat bases."""

from __future__ import annotations

import numpy as np

from .colour import blend, mix, step
from .heap import heap, model
from .light import Light
from .noise import Grain, Noise, stream
from .raster import Floats, channels, soften
from .scene import Scene, Weather
from .sprites import Canvas
from .view import Dome

# How much of the sky a layer of cloud covers; above 1 it is closed.
_CLOSED = {
    Weather.OVERCAST: 1.4,
    Weather.STORM: 1.3,
    Weather.RAIN: 1.5,
    Weather.SNOWFALL: 1.5,
}
_SOFTER = np.array([1, 1, 0.5], np.float32)  # light from behind does not make a cloud black


def paint_clouds(sky: Floats, scene: Scene, light: Light, dome: Dome) -> Floats:
    """Paint a scene's clouds over its clear sky, (height, size, 3)."""
    rng = stream(scene.seed, "clouds")
    layer: float | None = _CLOSED.get(scene.weather)
    heaps = 0
    kind = rng.random()
    if scene.weather is Weather.CLOUDY:
        layer = rng.uniform(0.35, 0.7) if kind < 0.5 else rng.uniform(-0.3, 0.1)
        heaps = int(rng.integers(4, 8)) if kind > 0.4 else 0
    elif scene.weather is Weather.CLEAR:
        layer = rng.uniform(-0.1, 0.2) if kind < 0.35 else None
        heaps = int(rng.integers(1, 3)) if kind > 0.75 else 0
    if layer is not None:
        sky = _layered(sky, scene, light, dome, layer)
    canvas = Canvas(sky, np.zeros(sky.shape[:2], np.float32))
    # The lower a cloud is in the sky, the farther it is.
    for high in np.sort(rng.random(heaps)).tolist():
        _heap_up(canvas, rng, light, dome, 0.12 + 0.62 * high)
    return canvas.picture


def _layered(sky: Floats, scene: Scene, light: Light, dome: Dome, amount: float) -> Floats:
    """Draw a flat layer of cloud overhead, in perspective."""
    closed = scene.weather in _CLOSED
    up, across, view = dome.up, dome.across, dome.view
    far = 1 / (up * view.sky + 0.09)
    noise = Noise.of(scene.seed, "cloud layer", Grain.SOFT if closed else Grain.ROUGH)
    width = stream(scene.seed, "cloud layer").uniform(0.16, 0.32) * view.width
    x, y = (across - 0.5) * far * width, far * 0.42
    density = noise.at(x, y)
    towards = noise.at(x - (across - scene.sun[0]) * 0.07, y + 0.05 * np.sign(up - scene.sun[1]))
    depth = density - (0.9 - 1.7 * amount)
    cover = step(0, 0.9, depth) * step(-0.05, 0.03 if closed else 0.12, up)
    if closed and scene.weather is not Weather.STORM:
        cover = np.maximum(cover, 0.9)
    thick = step(0.1, 1.7, depth)
    lit = 0.75 - 0.6 * thick + 0.5 * (density - towards)
    if scene.facing:
        lit = lit + 0.5 * np.exp(dome.distance(scene.sun) / -0.2) * (1 - thick)
    colour = blend(light.cloud_shade, light.cloud_lit, np.clip(lit, 0, 1))
    # Far clouds take the colour of the air.
    veil = np.tile(0.7 * step(0.4, 0, up), (1, view.size))
    return blend(sky, blend(colour, sky, veil), cover * 0.92)


def _heap_up(
    canvas: Canvas, rng: np.random.Generator, light: Light, dome: Dome, high: float
) -> None:
    """Draw one heaped cloud, its base at a part of the sky's height."""
    size = dome.view.size
    place = rng.uniform(-0.1, 1.1)
    wide = (0.1 + 0.42 * high) * rng.uniform(0.6, 1.4)
    tall = wide * rng.uniform(0.22, 0.42)
    margin = 0.6 * tall
    lumps = _lumps(rng, wide, tall, margin)
    rows = max(2, round((tall * 1.25 + margin) * size))
    columns = max(2, round((wide + 2 * margin) * size))
    # The cloud's own patch, in picture widths from its top left corner.
    x = ((np.arange(columns, dtype=np.float32) + 0.5) / size)[None]
    y = ((np.arange(rows, dtype=np.float32) + 0.5) / size)[:, None]
    noise = Noise.of(int(rng.integers(2**31)), "heap")
    texture = noise.at(x * (1.1 / tall), y * (1.1 / tall))
    surface = heap(lumps, rows, columns, size) + texture * (0.06 * tall)
    surface = soften(surface, max(0.02 * tall * size, 0.3))
    alpha, tone = model(surface, size, light.direction * _SOFTER, 0.12 * tall)
    below = (y - margin) / tall  # 0 at the top of the cloud, 1 at its base
    alpha = alpha * step(1.12, 0.9, below + 0.03 * texture) * 0.95
    tone = np.clip(0.475 + 0.85 * tone - 0.5 * below + 0.04 * texture, 0, 1)
    colour = blend(light.cloud_shade, light.cloud_lit, tone)
    colour = mix(colour, light.sky[1], 0.5 * (1 - high) ** 2)
    rgba = np.dstack([colour * channels(alpha, alpha, alpha), alpha])
    base = len(canvas.picture) - round(high * dome.view.line)
    canvas.put(rgba, round(place * size - columns / 2), base - rows, log_z=-1)


def _lumps(rng: np.random.Generator, wide: float, tall: float, margin: float) -> Floats:
    """Lay a row of lumps along a cloud's base, and heap others upon its middle."""
    along, heads = 11, 8
    crowd = rng.normal(rng.uniform(-0.3, 0.3), 0.3, heads)
    x = np.clip(np.append(np.linspace(-0.95, 0.95, along), crowd), -1, 1)
    hump = 1 - x**2
    up = np.append(np.full(along, 0.12), rng.uniform(0.3, 0.75, heads) * hump[along:])
    radius = tall * (0.16 + 0.2 * hump) * rng.uniform(0.8, 1.25, along + heads)
    places = margin + wide / 2 * (1 + x), margin + tall * (1 - up)
    return np.stack([*places, radius, 0.1 * radius], axis=1)
