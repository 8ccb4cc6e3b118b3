"""Putting things into the picture: trees, buildings, boats, grass and flowers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from .buildings import barn, church, cottage, erect, lighthouse, sailing_boat
from .colour import palette
from .ground import Air
from .land import Land
from .layout import Item, Kind
from .light import Light
from .noise import stream
from .raster import FRACTION, Floats, fixed, from_bytes, soften
from .scene import Cover, Scene
from .sprites import Canvas, Sheet, Sprite
from .trees import grow_bush, grow_tree, lay_rock
from .view import View

_BUILT = {
    Kind.COTTAGE: cottage,
    Kind.BARN: barn,
    Kind.CHURCH: church,
    Kind.LIGHTHOUSE: lighthouse,
}
_LIKE = 4  # how many different trees, bushes, rocks stand for all
_TUFTS = 420
_FINE = 160  # pixels of a picture that shows blades of grass
_PETALS = (
    "e8443a f2ede0 f0c83c",
    "f0c83c fff4d8 e8963c",
    "b070c8 f2e4f4 7a6ad0",
    "e86a9a fbe4ec f0d050",
    "4a6ad8 f2ede0 9ab0f0",
)


@dataclass(frozen=True)
class Stage:
    """What is needed to put things in.

    Parameters
    ----------
    scene, view, light, land, air
        The picture's.
    items : tuple of Item
        What to put in, the farthest first.
    grown : dict
        The sprites that were needed so far.
    """

    scene: Scene
    view: View
    light: Light
    land: Land
    air: Air
    items: tuple[Item, ...]
    grown: dict[str, Sprite] = field(default_factory=dict)

    def populate(self, canvas: Canvas, line: float, eye: float) -> None:
        """Put everything in, as it is seen from `eye` metres above the water.

        An eye below the water, with the horizon `line` at the picture's bottom, sees what the
        water mirrors.
        """
        for item in self.items:
            if item.kind in _BUILT:
                self._build(canvas, item, line, eye)
            else:
                self._plant(canvas, item, line, eye)

    def beyond(self, wet: NDArray[np.bool_]) -> Stage:
        """Keep only what has water in front of it; `wet` is a map of the grid."""
        first = np.where(wet.any(axis=0), wet.argmax(axis=0), len(wet))
        reach = self.view.size // 8

        def is_beyond(item: Item) -> bool:
            column = self._column(item)
            around = first[max(column - reach, 0) : column + reach]
            return bool(around.min() < self.view.row_of(item.log_z))

        return replace(self, items=tuple(item for item in self.items if is_beyond(item)))

    def shadows(self, line: float) -> Floats:
        """Return how much direct light the things keep off the land: (size, size), 0..1."""
        size = self.view.size
        mask = np.zeros((size, size), np.uint8)
        x, y, away = self.light.direction.tolist()
        level = math.hypot(x, away)
        reach = min(level / max(y, 0.2), 2.2)
        east, north = -x / level, -away / level
        turn = np.linspace(0, math.tau, 16, endpoint=False)
        for item in self.items:
            built = item.kind in _BUILT
            z = math.exp(item.log_z)
            tall = item.height * (6 if built else 1)
            if item.kind is Kind.BOAT or tall / z * self.view.scale < 0.03 * size:
                continue
            # An oval on the ground that begins at the thing's foot, paler below bare branches.
            dark = 140 if self.scene.snowy and not built else 215
            along = tall * reach * (0.36 + 0.42 * np.cos(turn))
            across = tall * (0.5 if built else 0.26) * np.sin(turn)
            right = item.x * self.view.width * z + along * east - across * north
            far = np.maximum(z + along * north + across * east, 0.3 * z)
            up = np.full_like(far, self._ground(item) - self.view.eye)
            outline = self._project(right, up, far, line)
            cv2.fillPoly(mask, [fixed(outline)], dark, cv2.LINE_AA, FRACTION)
        return soften(from_bytes(mask), size / 110)

    def _project(self, right: Floats, up: Floats, far: Floats, line: float) -> Floats:
        """Find the pixels (N, 2) of points given in metres from the eye."""
        columns = self.view.column_of(0) + right / far * self.view.scale
        return np.stack([columns, line - up / far * self.view.scale], axis=1)

    def _column(self, item: Item) -> int:
        column = int(self.view.column_of(item.x * self.view.width))
        return min(max(column, 0), self.view.size - 1)

    def _ground(self, item: Item) -> float:
        """Find how high the ground is where an item stands, in metres."""
        if item.kind is Kind.BOAT:
            return 0.0
        row = self.view.row_of(item.log_z)
        before = min(int(row), len(self.land.rise) - 2)
        near, far = self.land.rise[before : before + 2, self._column(item)].tolist()
        return float(near + (far - near) * (row - before)) * math.exp(item.log_z)

    def _veiled(self, sprite: Sprite, item: Item) -> Sprite:
        share = self.air.share(np.array(math.exp(item.log_z)))
        return sprite.through(self.air.colour[0, self._column(item)], float(share))

    def _build(self, canvas: Canvas, item: Item, line: float, eye: float) -> None:
        rng = np.random.default_rng(item.seed)
        faces = _BUILT[item.kind](self.scene, rng)
        z, ground = math.exp(item.log_z), self._ground(item) - eye
        side = item.x * self.view.width * z

        def project(points: Floats) -> Floats:
            right, up, away = (points * item.height).T
            # Foreshortened as by a longer lens, which is kinder to walls.
            return self._project(side + right, ground + up, z + 0.8 * away, line)

        sprite, left, top = erect(faces, rng.uniform(-0.7, 0.7), self.light, project)
        canvas.put(self._veiled(sprite, item).rgba, left, top, item.log_z - 0.1)

    def _plant(self, canvas: Canvas, item: Item, line: float, eye: float) -> None:
        z = math.exp(item.log_z)
        height = item.height / z * self.view.scale
        if height < 1.5:
            return
        x = self.view.column_of(item.x * self.view.width)
        y = line - (self._ground(item) - eye) / z * self.view.scale
        sprite = self._veiled(self._sprite(item, height), item)
        canvas.stamp(sprite, x, y + 0.02 * height, height, item.log_z)

    def _sprite(self, item: Item, height: float) -> Sprite:
        """Grow what stands there, or take what was grown for another."""
        size = self.view.size
        pixels = max(8, size // 10)
        if item.kind in {Kind.LONE, Kind.TREE}:
            pixels = size // 2 if height > size / 5 else max(16, size // 6)
        name = f"{item.kind} {item.seed % _LIKE} of {pixels / size:.1f}"
        if name not in self.grown:
            self.grown[name] = self._grow(item.kind, stream(self.scene.seed, name), pixels)
        return self.grown[name]

    def _grow(self, kind: Kind, rng: np.random.Generator, pixels: int) -> Sprite:
        if kind is Kind.BUSH:
            return grow_bush(self.scene, self.light, rng, pixels)
        if kind is Kind.ROCK:
            return lay_rock(self.scene, self.light, rng, pixels)
        if kind is Kind.BOAT:
            return sailing_boat(self.light, rng, 2 * pixels)
        return grow_tree(self.scene, self.light, rng, pixels)


def sprinkle(stage: Stage, canvas: Canvas, grid: Floats, line: float) -> None:
    """Set tufts of grass and flowers on the foreground; `grid` is the coloured land."""
    scene, view = stage.scene, stage.view
    if scene.snowy or scene.cover is Cover.SAND:
        return
    rng = stream(scene.seed, "sprinkle")
    # Where they are, nearest last.
    depth = np.sort(0.08 + 0.95 * rng.random(_TUFTS) ** 1.3)
    x = rng.uniform(-0.5, 0.5, _TUFTS)
    vary = rng.normal(0, 1, (_TUFTS, 3))
    log_z = np.log(view.nearest / depth)
    columns = ((x + 0.5) * view.size).astype(int)
    rows = np.interp(log_z, view.log_z[:, 0], np.arange(len(view.z))).astype(int)
    y = line - (stage.land.rise[rows, columns] - view.eye / np.exp(log_z)) * view.scale
    pixel = np.clip(y, 0, view.size - 1).astype(int)
    free = (stage.land.shore[rows, columns] > 0.1) & (stage.land.path[rows, columns] < 0.1)
    free &= (y >= 0) & (y < view.size + 4) & (canvas.log_z[pixel, columns] > log_z - 0.06)
    grass = grid[rows, columns] * (1 + 0.1 * vary[:, :1]).astype(np.float32)
    choice = _PETALS[int(rng.integers(len(_PETALS)))]
    petals = [stage.light.on(petal, 0.7) for petal in palette(choice)]
    blooming, bladed = scene.cover is Cover.FLOWERS, view.size >= _FINE
    longer = 1.5 if scene.cover is Cover.WHEAT else 1.0
    sheet = Sheet(view.size, view.size)
    for index in np.flatnonzero(free).tolist():
        near, foot = float(depth[index]), (float(x[index]) + 0.5, float(y[index]) / view.size)
        kind, lean = vary[index, 1:].tolist()
        if blooming and kind > -0.35:
            sheet.dot(foot, 0.0032 + 0.0085 * near, petals[int(abs(lean) * 1.4) % 3])
        elif bladed and kind > 0.2:
            tall = (0.008 + 0.03 * near) * longer
            for blade, long in ((-0.45, 0.7), (-0.15, 1.0), (0.12, 0.85), (0.4, 0.6)):
                start = foot[0] + 0.2 * blade * tall, foot[1]
                tip = foot[0] + (blade + 0.25 * lean) * tall, foot[1] - long * tall
                sheet.line(start, tip, 0.0032 * near, grass[index])
    canvas.put(sheet.sprite().rgba, 0, 0, log_z=-99)
