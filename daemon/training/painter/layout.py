"""Where things stand."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from .land import Land, course, shape_land
from .noise import stream
from .raster import Floats
from .scene import Amount, Building, Cover, Relief, Scene, Tree, Water
from .view import View

_SIZE = 96  # of the view on which places are found: the same at every size of the picture


class Kind(StrEnum):
    """What stands there."""

    TREE = "tree"
    LONE = "lone tree"
    BUSH = "bush"
    ROCK = "rock"
    COTTAGE = "cottage"
    BARN = "barn"
    CHURCH = "church"
    LIGHTHOUSE = "lighthouse"
    BOAT = "boat"


@dataclass(frozen=True)
class Item:
    """A thing in its place.

    Parameters
    ----------
    kind : Kind
        What it is.
    x : float
        Where it stands, in picture widths from the middle.
    log_z : float
        The logarithm of its distance in metres.
    height : float
        Metres; of buildings, which have their own size, a factor.
    seed : int
        Of what makes it differ from its like.
    """

    kind: Kind
    x: float
    log_z: float
    height: float
    seed: int


_METRES = {
    Tree.PINE: (8, 15),
    Tree.BROADLEAF: (6, 11),
    Tree.BIRCH: (7, 12),
    Tree.POPLAR: (10, 16),
    Tree.PALM: (6, 10),
    Tree.CACTUS: (2.5, 5),
}
_TALL = {Kind.COTTAGE: 6, Kind.BARN: 8, Kind.CHURCH: 16, Kind.LIGHTHOUSE: 17}  # metres


@dataclass(frozen=True)
class _Plan:
    """The ground as seen on a coarse grid, to look for places."""

    scene: Scene
    view: View
    land: Land
    up: Floats  # slope of each cell above the horizon
    free: NDArray[np.bool_]

    @classmethod
    def of(cls, scene: Scene) -> _Plan:
        view = View.of(scene, _SIZE)
        land = shape_land(scene, view)
        up = land.rise - view.eye / view.z
        seen = up >= np.maximum.accumulate(up, axis=0) - 0.6 / view.scale
        free = seen & (land.shore > 0.12) & (land.path < 0.05) & (land.massif <= 0)
        return cls(scene, view, land, up, free)

    def cell(self, x: float, depth: float) -> tuple[int, int]:
        row = round(self.view.row_of(self.log_z(depth)))
        return row, min(int((x + 0.5) * _SIZE), _SIZE - 1)

    def log_z(self, depth: float) -> float:
        return math.log(self.view.nearest / depth)

    def place(
        self, rng: np.random.Generator, depths: tuple[float, float], width: float = 0.5
    ) -> tuple[float, float] | None:
        """Find a free x and depth."""
        for _ in range(24):
            depth = math.exp(rng.uniform(math.log(depths[0]), math.log(depths[1])))
            x = rng.uniform(-width, width)
            if self.free[self.cell(x, depth)]:
                return x, depth
        return None

    def place_near(
        self, rng: np.random.Generator, centre: tuple[float, float], reach: float
    ) -> tuple[float, float] | None:
        """Find a free x and depth not far from another."""
        for _ in range(24):
            x = centre[0] + rng.normal(0, reach) * 0.5
            depth = centre[1] * math.exp(rng.normal(0, reach))
            if abs(x) < 0.5 and depth < 1 and self.free[self.cell(x, depth)]:
                return x, depth
        return None

    def nearest(self, x: float, depth: float) -> tuple[float, float]:
        """Find the free x and depth that are nearest to others, or give those up."""
        rows, columns = np.nonzero(self.free & (self.view.depth < 0.95) & (self.view.depth > 0.04))
        if not len(rows):
            return x, depth
        depths = self.view.depth[rows, 0]
        places = (columns + 0.5) / _SIZE - 0.5
        best = int(np.argmin(np.hypot(places - x, 0.3 * np.log(depths / depth))))
        return float(places[best]), float(depths[best])

    def room(self, x: float, depth: float) -> float:
        """Return how tall a thing can be there to fit into the picture, in picture heights."""
        return self.view.horizon - float(self.up[self.cell(x, depth)]) / self.view.width - 0.04

    def dry(self, x: float, depth: float, height: float) -> bool:
        """Return whether a house of a height, in picture heights, would not stand in water."""
        # About as far in front as it is high its walls meet the ground, at most.
        front = depth / max(1 - height * self.view.width, 0.3)
        sides = (x - 0.6 * height, x, x + 0.6 * height)
        cells = [self.cell(min(max(side, -0.5), 0.49), front) for side in sides]
        return all(self.land.shore[cell] > 0.05 for cell in cells)

    def stand(
        self, kind: Kind, x: float, depth: float, height: float, rng: np.random.Generator
    ) -> Item:
        return Item(kind, x, self.log_z(depth), height, int(rng.integers(2**31)))


def lay_out(scene: Scene) -> tuple[Item, ...]:
    """Find the places of everything that stands in the scene, the farthest first."""
    plan = _Plan.of(scene)
    lone = _lone(plan)
    built = _built(plan, lone)
    others = [
        item
        for item in (*_trees(plan), *_small(plan))
        if not any(_hides(item, main) for main in (*lone, *built))
    ]
    items = [*lone, *built, *others, *_boats(plan)]
    return tuple(sorted(items, key=lambda item: -item.log_z))


def _hides(item: Item, main: Item) -> bool:
    """Return whether a thing would stand in front of one that matters more, or inside it."""
    return item.log_z < main.log_z + 0.12 and abs(item.x - main.x) < 0.13


def _top(plan: _Plan) -> tuple[float, float]:
    """Find the summit of the middle distance."""
    rows = np.flatnonzero((plan.view.depth[:, 0] < 0.3) & (plan.view.depth[:, 0] > 0.1))
    up = np.where(plan.free[rows], plan.up[rows], -9)[:, _SIZE // 8 : -_SIZE // 8]
    if up.max() == -9:
        return plan.nearest(0.0, 0.2)
    row, column = np.unravel_index(int(up.argmax()), up.shape)
    return (column + _SIZE // 8 + 0.5) / _SIZE - 0.5, float(plan.view.depth[rows[row], 0])


def _lone(plan: _Plan) -> list[Item]:
    scene = plan.scene
    if not scene.lone:
        return []
    rng = stream(scene.seed, "lone")
    if scene.relief is Relief.KNOLL:
        x, depth = _top(plan)
        share = rng.uniform(0.28, 0.42)
    else:
        # In front, but not in the middle.
        side = 1 if rng.random() < 0.5 else -1
        x, depth = plan.nearest(side * rng.uniform(0.14, 0.36), rng.uniform(0.3, 0.6))
        share = rng.uniform(0.5, 0.8) * (0.75 if scene.trees is Tree.CACTUS else 1)
    share = min(share, plan.room(x, depth))
    height = share * plan.view.width * plan.view.nearest / depth
    return [plan.stand(Kind.LONE, x, depth, height, rng)]


def _built(plan: _Plan, lone: list[Item]) -> list[Item]:
    scene = plan.scene
    for tree in lone:
        # Not behind the tree.
        columns = (np.arange(_SIZE) + 0.5) / _SIZE - 0.5
        plan = replace(plan, free=plan.free & (np.abs(columns - tree.x) > 0.24))
    if scene.building is Building.NONE:
        return []
    rng = stream(scene.seed, "buildings")
    if scene.building is Building.VILLAGE:
        centre = plan.place(rng, (0.1, 0.2), 0.3) or plan.nearest(0.0, 0.15)
        items = [plan.stand(Kind.CHURCH, *centre, 1, rng)]
        for _ in range(int(rng.integers(5, 10))):
            place = plan.place_near(rng, centre, 0.22)
            if place:
                items.append(plan.stand(Kind.COTTAGE, *place, 1, rng))
        return items
    kind = Kind(scene.building.value)
    if scene.relief is Relief.KNOLL and not scene.lone:
        place = _top(plan)
    elif scene.path:
        depth = rng.uniform(0.16, 0.3)
        middle = float(course(scene, "path", np.array([depth], np.float32))[0])
        place = plan.place_near(rng, (middle, depth), 0.25) or plan.nearest(middle, depth)
    else:
        depths = (0.12, 0.3) if kind is not Kind.LIGHTHOUSE else (0.1, 0.35)
        place = plan.place(rng, depths, 0.36) or plan.nearest(0.0, 0.25)
    x, depth = place
    # The eye is at any height, but a house must be of a size that suits a picture.
    usual = rng.uniform(0.26, 0.42) if kind is Kind.LIGHTHOUSE else rng.uniform(0.13, 0.26)
    share = min(usual * (depth / 0.2) ** 0.7, 1.5 * usual, 0.9 * plan.room(x, depth))
    while share > 0.06 and not plan.dry(x, depth, share):
        share *= 0.85
    height = share * plan.view.width * plan.view.nearest / depth
    return [plan.stand(kind, x, depth, height / _TALL[kind], rng)]


def _trees(plan: _Plan) -> list[Item]:
    scene = plan.scene
    rng = stream(scene.seed, "trees")
    low, high = _METRES[scene.trees]
    places: list[tuple[float, float] | None] = []
    if scene.amount is Amount.FEW:
        places = [
            plan.place(rng, (0.07, 0.42)) or plan.nearest(rng.uniform(-0.4, 0.4), 0.2)
            for _ in range(int(rng.integers(3, 8)))
        ]
    elif scene.amount is Amount.MANY:
        for _ in range(int(rng.integers(4, 7))):
            centre = plan.place(rng, (0.06, 0.28))
            if centre:
                count = int(rng.integers(5, 10))
                places += [plan.place_near(rng, centre, 0.22) for _ in range(count)]
    elif scene.amount is Amount.FOREST:
        places = [plan.place(rng, (0.05, 0.17)) for _ in range(80)]
        # Larger trees close in from both sides, but leave the middle open.
        sides = [plan.place(rng, (0.17, 0.5)) for _ in range(44)]
        places += [place for place in sides if place and abs(place[0]) > 0.3]
    return [plan.stand(Kind.TREE, *place, rng.uniform(low, high), rng) for place in places if place]


def _small(plan: _Plan) -> list[Item]:
    """Scatter bushes and rocks."""
    scene = plan.scene
    rng = stream(scene.seed, "small things")
    items = []
    bushes = 0 if scene.cover in {Cover.SAND, Cover.LAVENDER} else int(rng.integers(0, 9))
    rocks = int(rng.integers(0, 6))
    for kind, count, low, high in ((Kind.BUSH, bushes, 0.8, 1.9), (Kind.ROCK, rocks, 0.4, 1.1)):
        for _ in range(count):
            place = plan.place(rng, (0.1, 0.8))
            if place:
                items.append(plan.stand(kind, *place, rng.uniform(low, high), rng))
    return items


def _boats(plan: _Plan) -> list[Item]:
    scene = plan.scene
    if not scene.boat:
        return []
    rng = stream(scene.seed, "boats")
    low, high = (0.04, 0.2) if scene.water is Water.SEA else (0.15, 0.4)
    places = []
    for _ in range(80):
        depth = math.exp(rng.uniform(math.log(low), math.log(high)))
        x = rng.uniform(-0.4, 0.4)
        row, column = plan.cell(x, depth)
        wet = plan.land.shore[row, max(column - 4, 0) : column + 5] < -0.05
        if wet.all() and plan.up[row, column] >= plan.up[:row, column].max() - 0.01:
            places.append((x, depth))
            break
    x, depth = places[0] if places else (0.0, low)
    height = rng.uniform(0.09, 0.16) * plan.view.width * plan.view.nearest / depth
    return [plan.stand(Kind.BOAT, x, depth, height, rng)]
