"""Trees, from large ones with trunk, branches and leaves to cactuses; and what grows below them.

Everything is in units of the thing's height, from the top left corner of its sheet.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from .colour import mix, palette, ramp, rgb
from .heap import heap, model
from .light import Light
from .noise import Grain, Noise
from .raster import Floats
from .scene import Scene, Season, Tree
from .sprites import Sheet, Sprite

_LEAVES = {
    Season.SPRING: ("3c6428 6f9a38 a8c65c", "4a7030 82a848 b8d070", "b87a8c e6aebb fbe2e4"),
    Season.SUMMER: ("28481f 4f7a2e 8aa648", "2c5028 527f38 88a850", "34521e 668232 a0aa4c"),
    Season.AUTUMN: ("7a3a1c c0682a e8a23c", "8a4a1a d08a2c f0c050", "6e2a1e b04830 de7a44"),
}
_POPLAR_LEAVES = {season: codes[:2] for season, codes in _LEAVES.items()}
_BIRCH_LEAVES = {
    Season.SPRING: ("4a6c30 7a9c48 b4c672",),
    Season.SUMMER: ("4a6c30 7a9c48 b4c672",),
    Season.AUTUMN: ("8a5a1c d09a30 f2cf5a",),
}
_BUSHES = {
    Season.SPRING: ("2f4c24 55792f 8ca34c",),
    Season.SUMMER: ("2f4c24 55792f 8ca34c",),
    Season.AUTUMN: ("6a4a20 a5742c cf9c48",),
    Season.WINTER: ("8c98ac c4cedc f4f7fa",),
}
_NEEDLES = ("1c3a2c 35583a 5f7c4a", "20382e 3a5a48 648068", "243c22 43602e 6e8444")
_FRONDS = "2c4a24 54802e 94b04a"
_STONE, _STONE_IN_SNOW = "4a4648 7d7670 b4aa9c", "a8b4c4 d8e0ea fafcfd"
_BARK, _BARE_BARK, _BIRCH_BARK = "3c2e26 6a5242", "4a3c34 7c6a5c", "8c8884 e6e2da"
_PINE_BARK, _PALM_BARK, _CACTUS_SKIN = "4a382c 5a483a", "5c4632 9a7c58", "2f4a34 6d8a52"
_SNOW, _BIRCH_MARK, _CACTUS_RIB = "e8eef6", "3a3432", "3f5c3c"

_FINE = 60  # pixels from which on a thing shows single leaves

Point: TypeAlias = tuple[float, float]
Limb: TypeAlias = tuple[Point, Point, float]  # start, end, width


@dataclass(frozen=True)
class _Plot:
    """Where something grows: what it needs to know of the picture, its randomness, its pixels."""

    season: Season
    light: Light
    rng: np.random.Generator
    pixels: int

    @property
    def bare(self) -> bool:
        return self.season is Season.WINTER

    def sheet(self, width: float) -> Sheet:
        """Take a sheet of a width, in heights."""
        return Sheet(self.pixels, round(width * self.pixels))

    def one_of(self, codes: tuple[str, ...]) -> Floats:
        """Choose one of several palettes."""
        return palette(codes[int(self.rng.integers(len(codes)))])

    def side(self) -> int:
        """Choose left (-1) or right (1)."""
        return 1 if self.rng.random() < 0.5 else -1


def grow_tree(scene: Scene, light: Light, rng: np.random.Generator, pixels: int) -> Sprite:
    """Grow one of the scene's trees.

    Parameters
    ----------
    scene : Scene
        Which trees, in which season.
    light : Light
        What falls on it.
    rng : numpy.random.Generator
        Of this tree.
    pixels : int
        Its height.
    """
    growers: dict[Tree, Callable[[_Plot], Sheet]] = {
        Tree.PINE: _pine,
        Tree.BROADLEAF: _broadleaf,
        Tree.BIRCH: _birch,
        Tree.POPLAR: _poplar,
        Tree.PALM: _palm,
        Tree.CACTUS: _cactus,
    }
    return growers[scene.trees](_Plot(scene.season, light, rng, pixels)).sprite()


def grow_bush(scene: Scene, light: Light, rng: np.random.Generator, pixels: int) -> Sprite:
    """Grow a bush, or what snow makes of one; see `grow_tree`."""
    plot = _Plot(scene.season, light, rng, pixels)
    x = rng.uniform(0.4, 1.3, 9)
    y = 1 - rng.uniform(0.05, 0.45, 9) * (1 - np.abs(x - 0.85))
    lumps = np.stack([x, y, rng.uniform(0.22, 0.36, 9), np.full(9, 0.05)], axis=1)
    sheet = plot.sheet(1.7)
    _leaf(plot, sheet, lumps, plot.one_of(_BUSHES[scene.season]), rough=0.07)
    return sheet.sprite()


def lay_rock(scene: Scene, light: Light, rng: np.random.Generator, pixels: int) -> Sprite:
    """Lay a rock; see `grow_tree`."""
    plot = _Plot(scene.season, light, rng, pixels)
    x, y = rng.uniform(0.5, 1.3, 5), 1.05 - rng.uniform(0.0, 0.35, 5)
    lumps = np.stack([x, y, rng.uniform(0.3, 0.5, 5), np.full(5, 0.05)], axis=1)
    sheet = plot.sheet(1.8)
    _leaf(plot, sheet, lumps, palette(_STONE_IN_SNOW if scene.snowy else _STONE))
    return sheet.sprite()


def _leaf(
    plot: _Plot,
    sheet: Sheet,
    lumps: Floats,
    colours: Floats,
    *,
    rough: float = 0.03,
    dim: float = 1.0,
) -> None:
    """Lay lumps on a sheet as leaves (or stone) of colours from dark to light."""
    height, width = sheet.pixels.shape[:2]
    x = (np.arange(width, dtype=np.float32) / height)[None]
    y = (np.arange(height, dtype=np.float32) / height)[:, None]
    noise = Noise.of(int(plot.rng.integers(2**31)), "leaves", Grain.ROUGH)
    texture = noise.at(x * 4.5, y * 4.5)
    surface = heap(lumps, height, width, height) + texture * (0.6 * rough)
    if height > _FINE:
        surface += noise.at(x * 15, y * 15) * (0.25 * rough)
    alpha, tone = model(surface, height, plot.light.direction, max(0.02, 1.2 / height))
    # Besides its lumps, the whole has a light and a dark side.
    middle, spread = lumps[:, :2].mean(axis=0).tolist(), 2 * lumps[:, :2].std(axis=0) + 0.02
    wide, tall = spread.tolist()
    to_right, upwards = plot.light.direction[:2].tolist()
    form = (x - middle[0]) * (to_right / wide) - (y - middle[1]) * (max(0.5, upwards) / tall)
    tone = 0.72 * tone + 0.08 + 0.24 * np.clip(form, -1, 1) + 0.04 * texture
    sheet.lay(plot.light.on(ramp(colours, 0.12 + 0.85 * tone), tone) * dim, alpha)


def _branches(
    rng: np.random.Generator, start: Point, angle: float, length: float, width: float, forks: int
) -> list[Limb]:
    """Grow a limb that forks some times; angles are from upright, in radians."""
    bend = angle + rng.normal(0, 0.08)
    end = (start[0] + math.sin(bend) * length, start[1] - math.cos(bend) * length)
    limbs: list[Limb] = [(start, end, width)]
    if forks == 0:
        return limbs
    spread, count = rng.uniform(0.35, 0.6), 2 if rng.random() < 0.6 else 3
    for turn in (np.linspace(-spread, spread, count) + rng.normal(0, 0.12, count)).tolist():
        # Limbs strive upwards.
        heading, shorter = (angle + turn) * 0.93, length * rng.uniform(0.66, 0.86)
        limbs += _branches(rng, end, heading, shorter, width * 0.64, forks - 1)
    return limbs


def _wood(plot: _Plot, sheet: Sheet, codes: str, limbs: list[Limb]) -> None:
    """Draw limbs, the thick ones with a light side."""
    colours = palette(codes)
    dark, pale = plot.light.on(colours[0], 0.15), plot.light.on(colours[1], 0.6)
    aside = 0.22 if plot.light.direction[0] > 0 else -0.22
    for start, end, width in limbs:
        sheet.line(start, end, width, dark)
    for start, end, width in limbs:
        if width * sheet.unit > 2:
            shift = aside * width
            sheet.line((start[0] + shift, start[1]), (end[0] + shift, end[1]), width * 0.45, pale)


def _broadleaf(plot: _Plot) -> Sheet:
    rng, sheet = plot.rng, plot.sheet(1)
    trunk, lean, thick = rng.uniform(0.2, 0.32), rng.normal(0, 0.05), rng.uniform(0.035, 0.05)
    fork = (0.5 + lean * trunk, 1 - trunk)
    limbs: list[Limb] = [((0.5, 1), fork, thick), ((0.5, 1), (0.5, 0.97), thick * 1.5)]
    length, forks = (0.2, 4) if plot.bare else (0.16, 2)
    for angle in (-0.55, 0.05, 0.6):
        heading = angle + lean + rng.normal(0, 0.1)
        limbs += _branches(rng, fork, heading, length, thick * 0.6, forks)
    if plot.bare:
        _wood(plot, sheet, _BARE_BARK, limbs)
        return sheet
    wide, tall = rng.uniform(0.38, 0.46), rng.uniform(0.3, 0.37)
    middle = (0.5 + lean * 0.5, 0.04 + tall)
    leaves = plot.one_of(_LEAVES[plot.season])
    _leaf(plot, sheet, _crown(rng, middle, wide, tall, 15), leaves, dim=0.72)
    _wood(plot, sheet, _BARK, limbs)
    _leaf(plot, sheet, _crown(rng, middle, wide, tall, 26), leaves)
    return sheet


def _crown(
    rng: np.random.Generator, middle: Point, wide: float, tall: float, count: int
) -> Floats:  # fmt: skip
    """Spread lumps over an oval, the ones in its middle forward."""
    angle, out = rng.uniform(0, math.tau, count), np.sqrt(rng.uniform(0.05, 1, count))
    x = middle[0] + np.cos(angle) * out * (wide - 0.08)
    y = middle[1] + np.sin(angle) * out * (tall - 0.08)
    radius = rng.uniform(0.085, 0.14, count) * (1.1 - 0.25 * out)
    return np.stack([x, y, radius, 0.12 * (1 - out)], axis=1)


def _birch(plot: _Plot) -> Sheet:
    rng, sheet, middle = plot.rng, plot.sheet(0.62), 0.31
    lean = rng.normal(0, 0.03)
    waist = (middle + lean * 0.5, 0.5)
    limbs: list[Limb] = [
        ((middle, 1), waist, 0.026),
        (waist, (middle + lean, 0.12), 0.016),
    ]
    for height in np.linspace(0.2, 0.62, 7 if plot.bare else 5).tolist():
        at = (middle + lean * (1 - height), height)
        angle = plot.side() * rng.uniform(0.5, 0.9)
        limbs += _branches(rng, at, angle, 0.1, 0.01, 3 if plot.bare else 1)
    y = np.linspace(0.1, 0.64, 22)
    x = middle + rng.uniform(-1, 1, 22) * 0.2 * np.sin(np.pi * (y + 0.02) / 0.78) ** 0.8
    lumps = np.stack([x, y, rng.uniform(0.06, 0.095, 22), np.full(22, 0.03)], axis=1)
    if not plot.bare:
        _leaf(plot, sheet, lumps[::2], plot.one_of(_BIRCH_LEAVES[plot.season]), dim=0.8)
    _wood(plot, sheet, _BIRCH_BARK, limbs)
    mark = plot.light.on(rgb(_BIRCH_MARK), 0.3)
    for height in rng.uniform(0.5, 0.97, 6).tolist():
        at_x = middle + lean * (1 - height)
        sheet.line((at_x - 0.01, height), (at_x + 0.004, height), 0.006, mark)
    if not plot.bare:
        _leaf(plot, sheet, lumps[1::2], plot.one_of(_BIRCH_LEAVES[plot.season]))
    return sheet


def _poplar(plot: _Plot) -> Sheet:
    rng, sheet, middle = plot.rng, plot.sheet(0.3), 0.15
    limbs: list[Limb] = [
        ((middle, 1), (middle, 0.6), 0.022),
        ((middle, 0.6), (middle, 0.1), 0.012),
    ]
    for height in np.linspace(0.3, 0.85, 12).tolist():
        heading = 0.3 * plot.side()
        limbs += _branches(rng, (middle, height), heading, 0.11, 0.01, 2 if plot.bare else 0)
    _wood(plot, sheet, _BARK, limbs)
    if not plot.bare:
        y = np.linspace(0.07, 0.86, 20)
        slim = np.sin(np.pi * np.clip((y + 0.1) / 1.08, 0, 1)) ** 0.7
        x = middle + rng.normal(0, 0.022, 20) * slim
        radius = 0.09 * slim * rng.uniform(0.7, 1.05, 20)
        lumps = np.stack([x, y, radius, np.full(20, 0.03)], axis=1)
        _leaf(plot, sheet, lumps, plot.one_of(_POPLAR_LEAVES[plot.season]))
    return sheet


def _pine(plot: _Plot) -> Sheet:
    rng, light, sheet, middle = plot.rng, plot.light, plot.sheet(0.56), 0.28
    broad, tiers = rng.uniform(0.17, 0.25), 9
    needles = plot.one_of(_NEEDLES)
    dark, half, bright = (light.on(needles[i], tone) for i, tone in enumerate((0.1, 0.45, 0.95)))
    white = light.on(rgb(_SNOW), 0.8)
    lit = mix(half, white if plot.bare else bright, 0.75)
    _wood(plot, sheet, _PINE_BARK, [((middle, 1), (middle, 0.3), 0.028)])
    # From the lowest tier up, each in its dark, its turned and its lit part.
    for part in np.linspace(0, 1, tiers, endpoint=False).tolist():
        low, rise = 0.93 - 0.82 * part, 0.2 * (1 - 0.45 * part)
        reach = broad * (1 - part) ** 0.85 * rng.uniform(0.88, 1.1) + 0.012
        tier = _Tier(middle, low, reach, rise, 1 if light.direction[0] > 0 else -1)
        sheet.polygon(tier.outline(rng, -1), dark)
        sheet.polygon(tier.raised(0.012, 0.92, 1).outline(rng, 0), half)
        sheet.polygon(tier.raised(0.03, 0.86, 0.7).outline(rng, 0.3), lit)
        if plot.bare:
            sheet.polygon(tier.raised(0.05, 0.65, 0.6).outline(rng, -0.9), mix(white, dark, 0.12))
    return sheet


@dataclass(frozen=True)
class _Tier:
    """A tier of drooping boughs; `side` is where the light comes from."""

    middle: float
    low: float
    reach: float
    rise: float
    side: int

    def raised(self, up: float, reach: float, rise: float) -> _Tier:
        """Return a smaller tier above this one."""
        return replace(
            self, low=self.low - up, reach=self.reach * reach, rise=self.rise * rise
        )  # fmt: skip

    def outline(self, rng: np.random.Generator, start: float) -> Floats:
        """Outline its boughs from a place (-1 is all the way across) to the lit side."""
        x = np.linspace(start, 1, 9)
        ragged = np.where(np.arange(9) % 2 == 0, 0.0, -0.2) + rng.normal(0, 0.05, 9)
        y = self.low + self.rise * (ragged + 0.12 * (np.abs(x) - 0.5))
        edge = np.stack([self.middle + x * self.reach * self.side, y], axis=1)
        return np.concatenate([edge, [(self.middle, self.low - self.rise)]])


def _palm(plot: _Plot) -> Sheet:
    rng, sheet = plot.rng, plot.sheet(1)
    t = np.linspace(0, 1, 9)
    stem = np.stack([0.5 + rng.uniform(-0.16, 0.16) * t**1.6, 1 - 0.68 * t], axis=1)
    joints = [(x, y) for x, y in stem.tolist()]
    limbs = [(start, end, 0.03 - 0.0015 * i) for i, (start, end) in enumerate(pairwise(joints))]
    _wood(plot, sheet, _PALM_BARK, limbs)
    angles = np.linspace(-2.1, 2.1, 13) + rng.normal(0, 0.1, 13)
    for angle in rng.permutation(angles).tolist():
        tone = 0.5 + 0.4 * math.sin(angle) * float(plot.light.direction[0])
        tone += rng.uniform(-0.15, 0.15)
        colour = plot.light.on(ramp(palette(_FRONDS), tone), tone)
        sheet.polygon(stem[-1] + _frond(angle) * rng.uniform(0.26, 0.34), colour)
    return sheet


def _frond(angle: float) -> Floats:
    """Outline a palm leaf that starts at an angle from upright and droops, 1 long."""
    t = np.linspace(0, 1, 9)
    spine = np.stack([math.sin(angle) * t, -math.cos(angle) * t * 0.85 + 0.5 * t**2.2], axis=1)
    normal = np.stack([-np.gradient(spine[:, 1]), np.gradient(spine[:, 0])], axis=1)
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    normal *= np.where(normal[:, 1:] > 0, 1, -1)
    fringe = normal * (0.15 * np.sin(np.pi * np.clip(t * 0.9 + 0.08, 0, 1)))[:, None]
    ragged = np.where(np.arange(9) % 2 == 0, 1, 0.65)[:, None]
    return np.concatenate([spine - fringe * 0.25, (spine + fringe * ragged)[::-1]])


def _cactus(plot: _Plot) -> Sheet:
    rng, sheet, middle, thick = plot.rng, plot.sheet(0.6), 0.3, 0.12
    limbs: list[Limb] = [((middle, 1.03), (middle, 0.08), thick)]
    for side in (-1, 1):
        low, high = rng.uniform(0.45, 0.65), rng.uniform(0.2, 0.35)
        elbow = (middle + side * rng.uniform(0.14, 0.19), low)
        limbs.append(((middle, low + 0.02), elbow, thick * 0.62))
        limbs.append((elbow, (elbow[0], high), thick * 0.62))
    _wood(plot, sheet, _CACTUS_SKIN, limbs)
    rib = plot.light.on(rgb(_CACTUS_RIB), 0.3)
    for start, end, width in limbs:
        if start[0] == end[0]:
            for shift in (-0.2, 0.05, 0.3):
                x = start[0] + shift * width
                sheet.line((x, start[1]), (x, end[1]), 0.006, rib)
    return sheet
