"""Decide in which work areas a picture is painted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from underpaint_client.geometry import Box
from underpaint_client.request import Request
from underpaint_client.sentences import sentence

from .denoise import cell_steps
from .grid import GRID, GridMask
from .islands import find_islands
from .pixels import Floats
from .plan import MULTIPLE, Plan, choose_work_area, make_plan
from .source import Source


@dataclass(frozen=True)
class _Changes:
    """The largest c in each square of the grid, from (x, y) on the canvas on."""

    x: int
    y: int
    most: Floats


def plan_areas(
    request: Request,
    source: Source,
    change: Box,
    native: int,
    train_steps: int,
    *,
    multiple: int = MULTIPLE,
    from_nothing: bool = False,
    exact: bool = False,
) -> tuple[Plan, ...]:
    """Decide how a request runs: one plan, or one for each area where they lie far apart.

    What changes too little for a single step, such as a pixel of alpha 254 in a far corner, does
    not make a work area larger, and stays as it is where no work area covers it.

    Parameters
    ----------
    source : Source
        The layer, its mode settled.
    change : Box
        From `Source.change_box`, not empty.
    request, native, train_steps, multiple, from_nothing, exact
        As in `make_plan`.
    """

    def plan(box: Box, most_change: float) -> Plan:
        return make_plan(
            request,
            source.mode,
            source.box,
            box,
            most_change,
            native,
            train_steps,
            multiple=multiple,
            from_nothing=from_nothing,
            exact=exact,
        )

    changes = _find_changes(source, change)
    most_change = float(changes.most.max())
    whole = plan(change, most_change)
    if from_nothing or request.size.areas == "single" or not whole.steps.run:
        return (whole,)
    taking_part = cell_steps(changes.most, whole.steps, most_change) > 0
    islands = find_islands(
        GridMask(changes.x, changes.y, taking_part),
        lambda box: choose_work_area(box, source.box, native, request.size.box, multiple),
    )
    if len(islands) == 1:
        return (plan(islands[0].box, most_change),)
    told = sentence(
        "what changes lies far apart, and was painted in {count} areas, one after the other",
        count=len(islands),
    )
    plans = []
    for one in islands:
        own = plan(one.box, float(changes.most[one.squares].max()))
        others = replace(one, squares=taking_part & ~one.squares)
        plans.append(replace(own, left_out=others, notes=(*own.notes, told)))
    return tuple(plans)


def _find_changes(source: Source, box: Box) -> _Changes:
    """Return how much changes in the squares that a box on the canvas touches."""
    left, top = box.x // GRID * GRID, box.y // GRID * GRID
    starts = np.maximum(np.arange(left, box.right, GRID) - box.x, 0)
    rows = []
    for start in range(top, box.bottom, GRID):
        y, bottom = max(start, box.y), min(start + GRID, box.bottom)
        values = source.change_in(Box(box.x, y, box.width, bottom - y)).max(axis=0)
        rows.append(np.maximum.reduceat(values, starts))
    return _Changes(left, top, np.stack(rows))
