"""The colours of the land, lit and seen through the air."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .colour import blend, palette, ramp, rgb, spread, step
from .land import Land
from .light import Light
from .noise import Grain, Noise, stream
from .raster import Floats
from .scene import Amount, Backdrop, Cover, Scene, Season, Tree, Water, Weather
from .view import View

_GRASS = {
    Season.SPRING: ("4a7034 74984a 9fb765", "4f7840 7fa458 aebf74"),
    Season.SUMMER: ("465f30 708442 a0a45a", "3c5c34 65864a 94aa60"),
    Season.AUTUMN: ("6b6230 9a8440 c4a45a", "6f5a2c a57c3c c99850"),
    Season.WINTER: ("a8b8d0 c4d0e0 d6dee8", "a4b8d2 c2d0e2 d6e0ea"),
}
_COVERS = {
    Cover.FLOWERS: ("4a7038 769450 a4b468",),
    Cover.WHEAT: ("b08a3c d0aa52 e6c878",),
    Cover.SAND: ("b9763f d79a5a ecbf85", "c08a58 dcae78 f0d2a4", "a85f38 cc8050 e6aa74"),
}
_LAVENDER = "4e3a78 7a5fb0 a68fd0"
_BEACH, _MUD = "c9ad80 dcc59a eedfbc", "6b5f45"
_TRODDEN, _TRODDEN_SNOW = "b59468 d8bf94", "a8b4c6 c4cedc"
_ROCK = ("4d4a50 7a7472 a39a90", "545a66 808690 acb0b4", "5a4c46 86766a b09e8c")
_RED_ROCK = "8a3f2a b8603c d68a58"
_WOODS, _WOODS_IN_SNOW = "2f4a35 4f6a42", "56687c 8497a8"
_SNOW_LINE = {
    Season.WINTER: 0.12,
    Season.SPRING: 0.45,
    Season.SUMMER: 0.66,
    Season.AUTUMN: 0.6,
}


@dataclass(frozen=True)
class Air:
    """How distance takes colours.

    Parameters
    ----------
    colour : float32, (1, size, 3)
        Of the air, the sky's above the horizon.
    clarity : float
        Metres after which two thirds are taken.
    """

    colour: Floats
    clarity: float

    def share(self, z: Floats) -> Floats:
        """Return how much of a colour at a distance of metres is the air's."""
        share: Floats = 1 - np.exp(-z / self.clarity)
        return share


def colour_land(scene: Scene, view: View, light: Light, land: Land, air: Air) -> Floats:
    """Colour the land on its grid: float32, (rows, size, 3), water left as its bed."""
    own = _own_colours(scene, view, land)
    lit, up = _shading(scene, view, light, land)
    colour = light.pale(own) * (spread(0.62 + 0.38 * up, light.shade) + spread(lit, light.sun))
    return blend(colour, air.colour, np.tile(air.share(view.z), (1, view.size)))


def _shading(scene: Scene, view: View, light: Light, land: Land) -> tuple[Floats, Floats]:
    """Return how much direct light falls on each cell, and how much of the sky it sees."""
    across = np.gradient(land.rise, axis=1) * view.scale
    along = land.rise + np.gradient(land.rise, axis=0) / np.gradient(view.log_z, axis=0)
    # Distant forms and snow are flattered: their slopes are lit as if they were steeper.
    bold = (1.7 if scene.snowy else 1) + 1.2 * step(100, 1500, view.z)
    across, along = across * bold, along * bold
    length = np.sqrt(1 + across**2 + along**2)
    x, y, away = light.direction.tolist()
    towards = (y - across * x - along * away) / length
    lit = np.clip(towards / max(y, 0.25), 0, 1.2) ** 1.1
    if scene.weather in {Weather.CLOUDY, Weather.STORM}:
        patches = Noise.of(scene.seed, "cloud shadows").at(view.u * 1.3, view.log_z * 1.3)
        lit *= 0.72 + 0.4 * step(-0.5, 0.6, patches)
    return lit, 1 / length


def _own_colours(scene: Scene, view: View, land: Land) -> Floats:
    rng = stream(scene.seed, "ground")
    u, log_z = view.u, view.log_z
    broad = Noise.of(scene.seed, "patches").at(u * 2.5, log_z * 2.2)
    fine = Noise.of(scene.seed, "tufts", Grain.ROUGH).at(u * 7, log_z * 9)
    if scene.snowy or scene.cover is Cover.SAND:
        tone = 0.5 + 0.1 * broad + 0.055 * fine
    else:
        blades = Noise.of(scene.seed, "blades", Grain.ROUGH).upright().at(u * 26, log_z * 6)
        tone = 0.5 + 0.2 * broad + 0.11 * fine + 0.1 * blades * step(0.03, 0.35, view.depth)
    choices = _COVERS.get(scene.cover, _GRASS[scene.season])
    colour = ramp(palette(choices[int(rng.integers(len(choices)))]), tone)
    if scene.cover is Cover.LAVENDER:
        colour = _lavender(scene, view, colour)
    if scene.backdrop in {Backdrop.MOUNTAINS, Backdrop.MESAS}:
        colour = _rocky(scene, view, land, colour, fine)
    if scene.water is Water.SEA:
        sand = step(0.42, 0.3, land.shore + 0.03 * fine)
        colour = blend(colour, ramp(palette(_BEACH), tone), sand)
    elif scene.water is not Water.NONE:
        colour = blend(colour, rgb(_MUD), 0.55 * step(0.14, 0.05, land.shore))
    if scene.path:
        earth = palette(_TRODDEN_SNOW if scene.snowy else _TRODDEN)
        colour = blend(colour, ramp(earth, tone), land.path * 0.92)
    return colour


def _lavender(scene: Scene, view: View, colour: Floats) -> Floats:
    """Sow lavender in rows, which run together in the distance."""
    rng = stream(scene.seed, "rows")
    lean = rng.uniform(-0.5, 0.5)
    across = (view.u - lean * 0.2) / view.depth + lean * 2
    row = np.cos(across * (math.tau * rng.uniform(5, 7)))
    fine = Noise.of(scene.seed, "blooms", Grain.ROUGH).at(view.u * 12, view.log_z * 12)
    bloom = ramp(palette(_LAVENDER), 0.5 + 0.25 * fine + 0.2 * row)
    apart = step(0.04, 0.2, view.depth)
    sown = (0.7 + (step(-0.5, 0.1, row) - 0.7) * apart) * step(0.015, 0.03, view.depth)
    return blend(colour * 0.8, bloom, sown)


def _rocky(scene: Scene, view: View, land: Land, colour: Floats, fine: Floats) -> Floats:
    """Clothe the mountains: woods below, rock above, snow on top."""
    rng = stream(scene.seed, "rocks")
    height = land.massif / land.peak
    bare = step(0.02, 0.14, height)
    if scene.backdrop is Backdrop.MESAS:
        layers = np.sin(land.massif * (90 / view.width) + fine * 0.8)
        rock = ramp(palette(_RED_ROCK), 0.5 + 0.3 * layers + 0.1 * fine)
        return blend(colour, rock, bare)
    rock = ramp(palette(_ROCK[int(rng.integers(len(_ROCK)))]), 0.5 + 0.22 * fine)
    colour = blend(colour, rock, bare)
    if scene.cover is Cover.SAND:
        return colour
    tree_line, lift = rng.uniform(0.25, 0.5), rng.uniform(-0.06, 0.14)
    if scene.amount is not Amount.NONE and scene.trees is not Tree.PALM:
        woods = ramp(palette(_WOODS_IN_SNOW if scene.snowy else _WOODS), 0.5 + 0.3 * fine)
        edge = step(tree_line, tree_line - 0.12, height + 0.06 * fine)
        colour = blend(colour, woods, edge * step(0.01, 0.05, height))
    steep = np.abs(np.gradient(land.massif, axis=1)) * view.scale
    snow_line = _SNOW_LINE[scene.season] + lift
    lying = height + 0.07 * fine - 0.1 * step(0.6, 1.6, steep)
    return blend(colour, rgb("e8eef6"), step(snow_line, snow_line + 0.12, lying))
