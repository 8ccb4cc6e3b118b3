"""Find the parts of the canvas that lie so far apart that each is painted by itself.

One work area around two small holes in opposite corners would be scaled down for the model, and
both would come back blurred. Each island gets a work area of its own instead, as if it were alone,
unless one around several costs little more and loses no detail.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from underpaint_client.geometry import Box

from .grid import GridMask, Mask
from .plan import WorkArea

MOST_ISLANDS = 16
"""The most work areas of one picture. Beyond it, those that are nearest share one."""

_MORE_WORK = 1.25
"""How much more work one area around several may be: what is painted in one run fits together."""

_MOST_COMPARED = 64
"""How many islands are compared with each other: the work grows with the square of it."""


def find_islands(changing: GridMask, place: Callable[[Box], WorkArea]) -> list[GridMask]:
    """Divide what changes into islands.

    Parameters
    ----------
    changing : GridMask
        Squares that hold something that changes, at least one.
    place : callable
        Returns the work area of what changes in a box on the canvas.

    Returns
    -------
    list of GridMask
        From top to bottom, at most `MOST_ISLANDS`. Each square is in exactly one.
    """
    count, labels = _label(changing.squares)

    def squares_of(chosen: Iterable[int]) -> GridMask:
        return replace(changing, squares=np.isin(labels, list(chosen)))

    def island(chosen: frozenset[int], change: Box) -> _Island:
        return _Island(chosen, change, place(change))

    found = [island(frozenset([n]), squares_of([n]).box) for n in range(1, count)]
    if len(found) > 1:
        found = _merge(found, lambda a, b: island(a.labels | b.labels, a.change.around(b.change)))
    found.sort(key=lambda one: (one.change.y, one.change.x))
    return [squares_of(one.labels) for one in found]


@dataclass(frozen=True)
class _Island:
    labels: frozenset[int]
    change: Box
    work: WorkArea


def _label(squares: Mask) -> tuple[int, NDArray[np.int32]]:
    """Return the connected parts, numbered from 1, and one more than there are.

    Of too many, those that lie close together get one number.
    """
    near: NDArray[Any] = squares.astype(np.uint8)
    count, labels = cv2.connectedComponents(near, connectivity=8)
    while count - 1 > _MOST_COMPARED:
        near = cv2.dilate(near, np.ones((3, 3), np.uint8))
        count, labels = cv2.connectedComponents(near, connectivity=8)
    return count, np.where(squares, labels, np.int32(0))


def _merge(islands: list[_Island], join: Callable[[_Island, _Island], _Island]) -> list[_Island]:
    """Join two islands after the other, as long as that is worth it, or as there are too many."""
    joined = {pair: join(*pair) for pair in combinations(islands, 2)}
    while joined:
        pair = max(joined, key=lambda pair: _spare(pair, joined[pair]))
        if _spare(pair, joined[pair]) < 0:
            if len(islands) <= MOST_ISLANDS:
                break
            pair = min(joined, key=lambda pair: joined[pair].change.extent.pixels)
        new = joined[pair]
        islands = [one for one in islands if one not in pair]
        joined = {p: both for p, both in joined.items() if not {*p} & {*pair}}
        joined.update({(one, new): join(one, new) for one in islands})
        islands.append(new)
    return islands


def _spare(pair: tuple[_Island, _Island], both: _Island) -> float:
    """Return how much less work one area is than it may be; -inf where it loses detail."""
    one, other, common = pair[0].work, pair[1].work, both.work
    if common.scale < 0.99 * min(1, one.scale, other.scale):
        return -math.inf
    apart = one.content.pixels + other.content.pixels
    return _MORE_WORK * apart - common.content.pixels
