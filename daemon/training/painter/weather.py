"""What falls from the sky and what hangs in the air."""

from __future__ import annotations

import cv2
import numpy as np

from .colour import WHITE, blend
from .ground import Air
from .light import Light
from .noise import Noise, stream
from .raster import FRACTION, Floats, fixed, from_bytes, soften
from .scene import Scene, Weather

_DROPS = 300
_FLAKES = 260


def fall(picture: Floats, scene: Scene, light: Light, air: Air) -> Floats:
    """Let rain or snow fall, or mist drift, in front of a picture (size, size, 3)."""
    if scene.weather is Weather.RAIN:
        return _rain(picture, scene, air)
    if scene.weather is Weather.SNOWFALL:
        return _snow(picture, scene, light)
    if scene.weather is Weather.FOG:
        return _mist(picture, scene, air)
    return picture


def _rain(picture: Floats, scene: Scene, air: Air) -> Floats:
    size = len(picture)
    rng = stream(scene.seed, "rain")
    mask = np.zeros((size, size), np.uint8)
    lean = rng.uniform(-0.3, 0.3)
    starts = rng.uniform(-0.1, 1.1, (_DROPS, 2))
    lengths = rng.uniform(0.03, 0.09, _DROPS)
    ends = starts + np.stack([lengths * lean, lengths], axis=1)
    strengths = rng.integers(25, 85, _DROPS)
    thick = max(1, size // 256)
    for start, end, strength in zip(
        fixed(starts * size).tolist(), fixed(ends * size).tolist(), strengths.tolist(), strict=True
    ):
        cv2.line(mask, start, end, strength, thick, cv2.LINE_AA, FRACTION)
    veiled = blend(picture, air.colour, np.full((size, size), 0.15, np.float32))
    return blend(veiled, np.minimum(air.colour * 1.15, 1), from_bytes(mask))


def _snow(picture: Floats, scene: Scene, light: Light) -> Floats:
    size = len(picture)
    rng = stream(scene.seed, "flakes")
    mask = np.zeros((size, size), np.uint8)
    places = fixed(rng.random((_FLAKES, 2)) * size)
    radii = 0.0016 + 0.0065 * rng.random(_FLAKES) ** 4
    smallest = 6  # in the drawing functions' fractions of a pixel
    for place, radius in zip(places.tolist(), radii.tolist(), strict=True):
        # Flakes close by are out of focus.
        strength = 190 if radius < 0.005 else 130
        wide = max(smallest, round(radius * size * (1 << FRACTION)))
        cv2.circle(mask, place, wide, strength, -1, cv2.LINE_AA, FRACTION)
    return blend(picture, light.on(WHITE, 0.95) * 1.1, soften(from_bytes(mask), size / 400))


def _mist(picture: Floats, scene: Scene, air: Air) -> Floats:
    """Draw banks of mist across the middle of the picture."""
    line = (np.arange(len(picture), dtype=np.float32) + 0.5) / len(picture)
    x, y = line[None], line[:, None]
    drift = Noise.of(scene.seed, "mist").upright().at(x * 1.1, y * 5)
    bank = np.clip(0.3 + 0.25 * drift, 0, 0.65)
    return blend(picture, air.colour, bank * np.exp(-(((y - scene.horizon - 0.06) / 0.16) ** 2)))
