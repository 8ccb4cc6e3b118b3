"""The light of a time of day in a weather: the palette from which everything is coloured."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .colour import grey, mix, palette, rgb, saturate, spread
from .noise import stream
from .raster import Floats
from .scene import Scene, Time, Weather


@dataclass(frozen=True)
class Light:
    """Colours, float32 RGB 0..1, and directions of one picture's light.

    Parameters
    ----------
    sky : float32, (4, 3)
        From the horizon to the top of the picture.
    glow : float32, (3,)
        Around the sun or moon.
    sun, shade : float32, (3,)
        What a surface's own colour is multiplied by: for its share of direct light, and in all of
        it. They may exceed 1.
    cloud_lit, cloud_shade : float32, (3,)
        The light and the dark side of a cloud.
    direction : float32, (3,)
        Towards the light: right, up, away from the painter; unit length.
    clarity : float
        Metres after which the air has taken two thirds of a colour.
    vivid : float
        How much of the surfaces' colourfulness is seen, 0..1.
    """

    sky: Floats
    glow: Floats
    sun: Floats
    shade: Floats
    cloud_lit: Floats
    cloud_shade: Floats
    direction: Floats
    clarity: float
    vivid: float = 1.0

    def pale(self, colour: Floats) -> Floats:
        """Take from a surface's colour what this light does not let the eye see."""
        return colour if self.vivid == 1 else saturate(colour, self.vivid)

    @property
    def shadow(self) -> Floats:
        """What is left of a colour in full light where something keeps the direct light off."""
        left: Floats = self.shade / (self.shade + self.sun)
        return left

    def on(self, colour: Floats, tone: Floats | float) -> Floats:
        """Light a surface.

        Parameters
        ----------
        colour : float32, (3,) or (H, W, 3)
            Its own colour.
        tone : float or float32, (H, W)
            How far it is turned to the light, 0..1.
        """
        around, direct = 0.72 + 0.28 * tone, np.clip(tone * 1.5 - 0.35, 0, 1.1)
        if isinstance(around, np.ndarray):
            return self.pale(colour) * (spread(around, self.shade) + spread(direct, self.sun))
        return self.pale(colour) * (self.shade * around + self.sun * float(direct))


@dataclass(frozen=True)
class _Palette:
    """Hexadecimal colours of a `Light`; `sky` is horizon, low, high, top."""

    sky: str
    glow: str
    sun: str
    shade: str
    cloud_lit: str
    cloud_shade: str


_PALETTES = {
    Time.DAWN: (
        _Palette("ffd9b0 f7bfae b9a6cb 7f93cf", "fff0c4", "ffc79a", "7f7fa8", "ffd0b8", "9a8fb8"),
        _Palette("fbe3c0 e9cfc4 a8bcd8 6d94c6", "fff4d8", "ffd3a0", "7c88ac", "ffe0c6", "9fa3c4"),
        _Palette("ffc7a0 f39fa0 a58cc0 5f6fb4", "ffe2a8", "ffb489", "75709f", "ffb6a6", "806fa6"),
    ),
    Time.DAY: (
        _Palette("d3e8f1 a5cdea 6aa5dc 3a7bc4", "ffffff", "fff0cf", "7488ad", "ffffff", "a9b9d0"),
        _Palette("e6efe6 b9dbe6 7cb8dd 4a90cc", "fffbe6", "ffeec2", "7b8ca8", "fffdf4", "b4bfcc"),
        _Palette("c2e0f0 8fc3ec 4f94d8 2563b4", "ffffff", "fff3d8", "6a80b0", "ffffff", "9db2d4"),
        _Palette("f1ead2 cfe0dc 94c4d6 5ba0c4", "fff6d8", "ffe8b4", "808ba0", "fff8e6", "b9bcc0"),
    ),
    Time.SUNSET: (
        _Palette("ffc46b fb9457 c0698a 5a5596", "fff0a8", "ff9a50", "6d5f88", "ffa562", "77527f"),
        _Palette("ffd98f ffb070 e08a8a 7a6fae", "fff6c8", "ffae62", "77698c", "ffc088", "9a6b8c"),
        _Palette("ff9e4f ee6a4e a04a74 3f3a78", "ffe08a", "ff8240", "5f527e", "ff8652", "5f3f6c"),
        _Palette("ffe3a0 f5cc8c a9b8b0 5f93b4", "fff8d8", "ffb766", "6f7690", "ffd08c", "8a8898"),
    ),
    Time.DUSK: (
        _Palette("f0a884 b98aa6 6a6aa6 33406f", "ffcf9a", "c08a92", "5a6496", "c98fa4", "4f4f80"),
        _Palette("d8b4b0 9a94bc 5c6cac 2c3c74", "ffd8b0", "a890b0", "5a6aa0", "a99cc4", "4a5488"),
        _Palette("e88a64 9a6488 4a4a86 222a58", "ffb878", "b0707c", "4c5488", "b8708c", "3c3a68"),
    ),
    Time.NIGHT: (
        _Palette("3c5580 2a3f70 1a2b58 0f1b40", "cfdcf0", "9ab4e8", "4a60a0", "5c719c", "22305a"),
        _Palette("2f5a74 214866 14304f 0b1c36", "d8ecec", "90bcd8", "44689c", "547890", "1c3550"),
        _Palette("4c4a80 353a74 20285a 121840", "e6e0f4", "a4a8e8", "545ca4", "6a68a0", "28285c"),
    ),
}


# How much direct light there is, and how bright a grey sky is.
_STRENGTH = {
    Time.DAWN: 0.62, Time.DAY: 0.62, Time.SUNSET: 0.68, Time.DUSK: 0.36, Time.NIGHT: 0.6
}  # fmt: skip
_LEVEL = {Time.DAWN: 0.92, Time.DAY: 1.0, Time.SUNSET: 0.88, Time.DUSK: 0.62, Time.NIGHT: 0.36}


def light_of(scene: Scene) -> Light:
    """Choose the light of a scene, its direction and colours."""
    rng = stream(scene.seed, "light")
    colours = _PALETTES[scene.time][int(rng.integers(len(_PALETTES[scene.time])))]
    # Shift the whole palette a little, so that no two pictures share one.
    tint = (1 + rng.normal(0, 0.025, 3)).astype(np.float32)
    light = Light(
        sky=np.clip(palette(colours.sky) * tint, 0, 1),
        glow=rgb(colours.glow),
        sun=rgb(colours.sun) * tint * _STRENGTH[scene.time],
        shade=rgb(colours.shade) * tint * (1.2 if scene.time is Time.NIGHT else 1.02),
        cloud_lit=np.clip(rgb(colours.cloud_lit) * tint, 0, 1),
        cloud_shade=rgb(colours.cloud_shade) * tint,
        direction=_direction(scene),
        clarity=float(rng.uniform(1500, 5000)),
        vivid={Time.DUSK: 0.75, Time.NIGHT: 0.5}.get(scene.time, 1.0),
    )
    weathers = {
        Weather.OVERCAST: _overcast,
        Weather.RAIN: _overcast,
        Weather.SNOWFALL: _overcast,
        Weather.STORM: _stormy,
        Weather.FOG: _foggy,
    }
    change = weathers.get(scene.weather)
    return change(light, scene) if change else light


def _direction(scene: Scene) -> Floats:
    x, height = scene.sun
    side = (x - 0.5) * 2
    if scene.facing:
        vector = np.array([side * 1.1, 0.35 + 0.5 * height, 0.65])
    else:
        # Light from the side models forms best; light from straight behind flattens them.
        side = (0.55 + 0.45 * abs(side)) * (1 if side > 0 else -1)
        high = {Time.DAY: 0.75, Time.NIGHT: 0.6}.get(scene.time, 0.42)
        vector = np.array([side, high, -0.45])
    direction: Floats = (vector / np.linalg.norm(vector)).astype(np.float32)
    return direction


def _overcast(light: Light, scene: Scene) -> Light:
    pale = rgb("a9b2bb" if scene.weather is Weather.RAIN else "c9d0d6") * _LEVEL[scene.time]
    # The hour still colours the grey.
    if scene.low_light:
        pale = pale * np.array([0.82, 0.95, 1.25], np.float32)
    else:
        pale = mix(pale, light.sky.mean(axis=0), 0.2)
    return replace(
        light,
        sky=mix(light.sky, pale * 1.02, 0.8),
        sun=mix(light.sun, grey(light.sun), 0.5) * 0.3,
        shade=mix(grey(light.shade), pale, 0.35) * 1.25,
        cloud_lit=mix(light.cloud_lit, pale * 1.08, 0.8),
        cloud_shade=mix(light.cloud_shade, pale * 0.74, 0.8),
        clarity=light.clarity * 0.6,
        vivid=light.vivid * 0.85,
    )


def _stormy(light: Light, scene: Scene) -> Light:
    level = _LEVEL[scene.time]
    slate = rgb("4a566b") * (0.5 + 0.5 * level)
    low = mix(light.sky[0], rgb("d9d4b8") * level, 0.5)
    return replace(
        light,
        sky=np.stack([low, mix(low, slate, 0.55), slate, slate * 0.75]),
        sun=light.sun * 0.55,
        shade=mix(light.shade, slate, 0.4) * 0.95,
        cloud_lit=mix(light.cloud_lit, rgb("98a2b0") * level, 0.75),
        cloud_shade=mix(light.cloud_shade, rgb("2f3a4c") * level, 0.75),
        clarity=light.clarity * 0.6,
    )


def _foggy(light: Light, _scene: Scene) -> Light:
    veil = mix(light.sky[0], grey(light.sky[0]), 0.35)
    return replace(
        light,
        sky=mix(light.sky, veil, 0.86),
        sun=light.sun * 0.5,
        shade=mix(light.shade, veil, 0.3) * 1.1,
        cloud_lit=mix(light.cloud_lit, veil, 0.7),
        cloud_shade=mix(light.cloud_shade, veil, 0.7),
        clarity=140.0,
    )
