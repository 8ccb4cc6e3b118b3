"""Houses, churches, lighthouses and boats: a few faces in space, each lit as it stands."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from .colour import mix, palette, rgb
from .light import Light
from .raster import Floats
from .scene import Scene
from .sprites import Sheet, Sprite

Project: TypeAlias = Callable[[Floats], Floats]

_EAVES = 0.45  # metres


@dataclass(frozen=True)
class Face:
    """A flat piece of a building.

    Parameters
    ----------
    points : float64, (N, 3)
        Metres to the right, up and away; counter-clockwise as seen from outside.
    colour : float32, (3,)
        Its own colour.
    glow : float
        0..1, how much of it shines by itself.
    """

    points: Floats
    colour: Floats
    glow: float = 0.0

    @property
    def normal(self) -> Floats:
        """Outwards, unit length."""
        first, second = self.points[1] - self.points[0], self.points[2] - self.points[1]
        vector = np.cross(first, second)
        normal: Floats = vector / np.linalg.norm(vector)
        return normal


def _wall(
    left: float, right: float, bottom: float, top: float, z: float, colour: Floats, glow: float = 0
) -> Face:
    """Make an upright rectangle that looks towards the painter."""
    corners = [(left, top, z), (right, top, z), (right, bottom, z), (left, bottom, z)]
    return Face(np.array(corners), colour, glow)


def _turned(face: Face, yaw: float, x: float = 0, z: float = 0) -> Face:
    """Turn a face about the upright axis, then move it."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    return Face(face.points @ turn.T + (x, 0, z), face.colour, face.glow)


@dataclass(frozen=True)
class _House:
    """Sizes in metres and colours of a house under a gable roof; its ridge runs to the right."""

    width: float
    depth: float
    height: float
    ridge: float
    wall: Floats
    roof: Floats
    pane: Floats
    glow: float
    wood: Floats

    def faces(self) -> list[Face]:
        """List the faces, those that cover others last."""
        front, side = (self.width / 2, self.depth / 2), (self.depth / 2, self.width / 2)
        faces: list[Face] = []
        for quarter in range(4):
            across, out = side if quarter % 2 else front
            wall = self._wall(across, -out, gable=quarter % 2 == 1, door=quarter == 0)
            faces += [_turned(face, quarter * math.pi / 2) for face in wall]
        w, d = self.width / 2 + _EAVES, self.depth / 2 + _EAVES
        low, high = self.height - 0.25, self.ridge + 0.1
        slope = np.array([(-w, low, -d), (-w, high, 0), (w, high, 0), (w, low, -d)])
        return faces + [_turned(Face(slope, self.roof), yaw) for yaw in (0, math.pi)]

    def _wall(self, half: float, z: float, *, gable: bool, door: bool) -> list[Face]:
        """List the faces of the wall at z: with its gable a window, otherwise two."""
        faces = [_wall(-half, half, 0, self.height, z, self.wall)]
        if gable:
            top = [(-half, self.height, z), (0, self.ridge, z), (half, self.height, z)]
            faces.append(Face(np.array(top), self.wall))
        low = 0.62 * self.height - 0.6
        before = z - 0.03  # what is on the wall must not be in it
        for middle in (0.0,) if gable else (-0.52 * half, 0.52 * half):
            left, right = middle - 0.55, middle + 0.55
            faces.append(_wall(left, right, low, low + 1.2, before, self.pane, self.glow))
        if door:
            faces.append(_wall(-0.5, 0.5, 0, min(2.0, 0.75 * self.height), before, self.wood))
        return faces


def _tower(half: float, height: float, colour: Floats) -> list[Face]:
    return [
        _turned(_wall(-half, half, 0, height, -half, colour), turn * math.pi / 2)
        for turn in range(4)
    ]


def _spire(half: float, bottom: float, top: float, colour: Floats, sides: int = 4) -> list[Face]:
    faces = []
    reach = half / math.cos(math.pi / sides)
    for side in range(sides):
        low, high = (math.tau * (side + part) / sides + math.pi / sides for part in (0, 1))
        corners = [
            (reach * math.cos(low), bottom, reach * math.sin(low)),
            (0, top, 0),
            (reach * math.cos(high), bottom, reach * math.sin(high)),
        ]
        faces.append(Face(np.array(corners), colour))
    return faces


def _drum(
    bottom: tuple[float, float], top: tuple[float, float], colour: Floats, glow: float = 0
) -> list[Face]:
    """Make a round wall between two circles, each given by its radius and height."""
    sides = 14
    faces = []
    for side in range(sides):
        low, high = math.tau * side / sides, math.tau * (side + 1) / sides
        corners = [
            (radius * math.cos(angle), height, radius * math.sin(angle))
            for angle, (radius, height) in ((low, bottom), (low, top), (high, top), (high, bottom))
        ]
        faces.append(Face(np.array(corners), colour, glow))
    return faces


def _pane(scene: Scene) -> tuple[Floats, float]:
    return (rgb("ffcf6e"), 1.0) if scene.low_light else (rgb("3a4250"), 0.0)


def _one_of(rng: np.random.Generator, codes: str) -> Floats:
    colours = palette(codes)
    colour: Floats = colours[int(rng.integers(len(colours)))]
    return colour


def _roof(scene: Scene, rng: np.random.Generator, codes: str) -> Floats:
    return rgb("eef2f7") if scene.snowy else _one_of(rng, codes)


def _side(rng: np.random.Generator) -> float:
    return 1.0 if rng.random() < 0.5 else -1.0


def cottage(scene: Scene, rng: np.random.Generator) -> list[Face]:
    """Build a small house with a chimney."""
    wall = _one_of(rng, "efe6d2 e8d8b4 d9c7b0 f2ece2 c98f6a a98a68")
    pane, glow = _pane(scene)
    height = rng.uniform(2.6, 3.4)
    house = _House(
        width=rng.uniform(7, 9.5),
        depth=rng.uniform(5, 6.5),
        height=height,
        ridge=height + rng.uniform(2.4, 3.4),
        wall=wall,
        roof=_roof(scene, rng, "9c4a34 7d4a38 5a5560 8a6a48 a85a3c"),
        pane=pane,
        glow=glow,
        wood=rgb("6a4630"),
    )
    side = 0.28 * house.width * _side(rng)
    brick = rgb("8a5a48")
    chimney = [_turned(face, 0, side) for face in _tower(0.45, house.ridge + 1.0, brick)]
    return chimney + house.faces()


def barn(scene: Scene, rng: np.random.Generator) -> list[Face]:
    """Build a large red barn."""
    height = rng.uniform(4, 5)
    pane, glow = _pane(scene)
    house = _House(
        width=rng.uniform(11, 14),
        depth=rng.uniform(7.5, 9),
        height=height,
        ridge=height + rng.uniform(3.2, 4.2),
        wall=rgb("a5382c"),
        roof=_roof(scene, rng, "5a5458 6e5a50 777a80"),
        pane=pane,
        glow=glow * 0.8,
        wood=rgb("f0e8da"),
    )
    return house.faces()


def church(scene: Scene, rng: np.random.Generator) -> list[Face]:
    """Build a church with a steeple."""
    wall = _one_of(rng, "f0ebe0 e4dac6 cfc6b8")
    pane, glow = _pane(scene)
    roof = _roof(scene, rng, "5a5560 7d4a38 6a4a40")
    height = rng.uniform(4.5, 5.5)
    nave = _House(
        width=rng.uniform(10, 12),
        depth=6.5,
        height=height,
        ridge=height + 3.6,
        wall=wall,
        roof=roof,
        pane=pane,
        glow=glow,
        wood=rgb("5a3c2c"),
    )
    side = _side(rng) * (nave.width / 2 + 1.2)
    top = rng.uniform(10, 12)
    steeple = _tower(1.8, top, wall) + _spire(2.1, top - 0.1, top + rng.uniform(5, 7), roof)
    slit = _wall(-0.4, 0.4, top - 2.6, top - 1.0, -1.85, rgb("3a3c44"))
    steeple += [_turned(slit, turn * math.pi / 2) for turn in range(4)]
    return nave.faces() + [_turned(face, 0, side) for face in steeple]


def lighthouse(scene: Scene, rng: np.random.Generator) -> list[Face]:
    """Build a lighthouse, and a house at its foot."""
    white, band = rgb("f2efe8"), _one_of(rng, "c23a30 f2efe8 c23a30 2f4a70")
    tall = rng.uniform(13, 16)
    faces: list[Face] = []
    levels = np.linspace(0, tall, 6)
    radii = 2.4 - 0.9 * levels / tall
    for number in range(5):
        low, high = ((float(radii[i]), float(levels[i])) for i in (number, number + 1))
        faces += _drum(low, high, band if number % 2 else white)
    faces += _drum((1.9, tall), (1.9, tall + 0.5), rgb("3c3a40"))
    lamp = 1.0 if scene.low_light else 0.35
    faces += _drum((1.15, tall + 0.5), (1.15, tall + 2.3), rgb("ffe9a8"), lamp)
    faces += _spire(1.5, tall + 2.3, tall + 3.9, rgb("b0382e"), 10)
    house = cottage(scene, rng)
    return [_turned(face, 0, 6.5 * _side(rng), 1) for face in house] + faces


def erect(faces: list[Face], yaw: float, light: Light, project: Project) -> tuple[Sprite, int, int]:
    """Draw a building.

    Parameters
    ----------
    faces : list of Face
        The building, those that cover others last.
    yaw : float
        How far to turn it, in radians.
    light : Light
        What falls on it.
    project : callable
        From metres right, up and away of its foot, (N, 3), to pixels right and down, (N, 2).

    Returns
    -------
    sprite : Sprite
        Its pixels.
    left, top : int
        Where its first pixel is.
    """
    turned = [_turned(face, yaw) for face in faces]
    flat = [project(face.points) for face in turned]
    corners = np.concatenate(flat)
    left, top = (int(value) for value in np.floor(corners.min(axis=0)) - 1)
    right, bottom = (int(value) for value in np.ceil(corners.max(axis=0)) + 1)
    sheet = Sheet(bottom - top, right - left, 1.0)
    for face, points in zip(turned, flat, strict=True):
        edges = points[1:3] - points[:2]
        # Faces that look away turn the other way round in the picture.
        if edges[0, 0] * edges[1, 1] - edges[0, 1] * edges[1, 0] <= 0:
            continue
        towards = float(face.normal @ light.direction)
        tone = 0.42 + 0.55 * towards
        colour = mix(light.on(face.colour, tone), face.colour, face.glow)
        sheet.polygon(points - (left, top), colour)
    return sheet.sprite(), left, top


def sailing_boat(light: Light, rng: np.random.Generator, pixels: int) -> Sprite:
    """Draw a small sailing boat."""
    sheet = Sheet(pixels, pixels)
    sail = light.on(_one_of(rng, "f6f1e4 f6f1e4 e8b070 d8664a"), 0.75)
    shaded = sail * 0.8
    hull = light.on(_one_of(rng, "5a3a2a f0ece2 2f4a70 8a3a30"), 0.5)
    sheet.line((0.5, 0.85), (0.5, 0.04), 0.018, light.on(rgb("4a3626"), 0.4))
    sheet.polygon(np.array([(0.52, 0.05), (0.86, 0.78), (0.52, 0.78)]), sail)
    sheet.polygon(np.array([(0.48, 0.14), (0.48, 0.78), (0.22, 0.78)]), shaded)
    sheet.polygon(np.array([(0.12, 0.84), (0.9, 0.84), (0.78, 1.0), (0.22, 1.0)]), hull)
    return sheet.sprite()
