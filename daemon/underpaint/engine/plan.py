"""Decide what a run will do before anything is computed: area, size and steps.

Pure functions on sizes and numbers; the pixels have been looked at before (`source`), the model
is known by three numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from underpaint_client.descriptions import describe_size
from underpaint_client.geometry import Box, Extent
from underpaint_client.request import Request
from underpaint_client.sentences import sentence
from underpaint_client.steps import StepPlan, mode_strength, plan_request

from .grid import GRID, GridMask

MULTIPLE = 16
"""Pixels: every side that a model works at is a multiple of it; some need a larger one."""

BUDGET = 4
"""The most that a model paints at once, as a multiple of its native number of pixels."""

BOX_BUDGET = 16
"""The same if the artist asked for a size: more would take all memory and cannot be stopped."""


@dataclass(frozen=True)
class Plan:
    """How a request runs.

    Parameters
    ----------
    strength : float
        0..1, what a pixel of change 1 gets.
    most_change : float
        0..1, the largest change of any pixel.
    steps : StepPlan
        For strength x most_change, so that no step runs in vain. With a model of few steps, the run
        starts exactly there (`StepPlan.exact`).
    area : Box
        The part of the canvas, inside the layer, that goes through the model.
    content : Extent
        Its size for the model, in pixels.
    work_size : Extent
        `content`, filled up to multiples of what the model takes, by repeating its right and
        lower edge.
    notes : tuple of str
        What the artist should know.
    left_out : GridMask, optional
        What changes in the area and is painted in another one.
    """

    strength: float
    most_change: float
    steps: StepPlan
    area: Box
    content: Extent
    work_size: Extent
    notes: tuple[str, ...]
    left_out: GridMask | None = None


def make_plan(
    request: Request,
    mode: str,
    layer: Box,
    change: Box,
    most_change: float,
    native: int,
    train_steps: int,
    *,
    multiple: int = MULTIPLE,
    from_nothing: bool = False,
    exact: bool = False,
) -> Plan:
    """Decide how a request runs.

    Parameters
    ----------
    request : Request
        A checked one.
    mode : str
        The settled mode, not `auto`. `txt2img` ignores the original: its strength is 1.
    layer, change : Box
        On the canvas: the layer, and the smallest box around all that may change.
    most_change : float
        Above 0, to 1.
    native : int
        The side the model was trained at, in pixels.
    train_steps : int
        Timesteps the model was trained on.
    multiple : int
        What every side of the model's size is a multiple of, in pixels.
    from_nothing : bool
        There is no layer: width and height are the picture's size, not the model's box.
    exact : bool
        As `StepPlan.exact`.
    """
    box = None if from_nothing else request.size.box
    work = choose_work_area(change, layer, native, box, multiple)
    content = work.content
    return Plan(
        strength=mode_strength(request, mode),
        most_change=most_change,
        steps=replace(plan_request(request, mode, most_change, train_steps), exact=exact),
        area=work.box,
        content=content,
        work_size=Extent(_up(content.width, multiple), _up(content.height, multiple)),
        notes=work.notes,
    )


@dataclass(frozen=True)
class WorkArea:
    """What goes through the model.

    Parameters
    ----------
    box : Box
        The part of the canvas.
    content : Extent
        Its size for the model, in pixels.
    notes : tuple of str
        Says where detail is lost.
    """

    box: Box
    content: Extent
    notes: tuple[str, ...] = ()

    @property
    def scale(self) -> float:
        """How many of the model's pixels one of the canvas becomes, along a side."""
        return self.content.width / self.box.width


def choose_work_area(
    change: Box, layer: Box, native: int, box: Extent | None, multiple: int = MULTIPLE
) -> WorkArea:
    """Choose the part of the layer that the model sees, and its size for the model.

    Parameters
    ----------
    change, layer, native, multiple
        As in `make_plan`.
    box : Extent or None
        The size asked for.
    """
    area = choose_area(change, layer, box or Extent(native, native))
    content, notes = choose_size(area.extent, native, box, multiple)
    area, content = fill_up(area, layer, content, multiple)
    return WorkArea(area, content, notes)


def choose_area(change: Box, layer: Box, least: Extent) -> Box:
    """Choose the part of the layer that the model sees.

    The change's box on the 64 pixel grid, with a quarter of its longer side around it (64 pixels
    at least), and no smaller than `least` where the layer has that much.

    Parameters
    ----------
    change : Box
        What may change, not empty, inside `layer`.
    layer : Box
        The whole layer.
    least : Extent
        The model's native size or the box asked for.
    """
    left, top = _down(change.x, GRID), _down(change.y, GRID)
    right, bottom = _up(change.right, GRID), _up(change.bottom, GRID)
    margin = max(GRID, _up(max(right - left, bottom - top) // 4, GRID))
    x, width = _grow(left - margin, right + margin, layer.x, layer.right, least.width)
    y, height = _grow(top - margin, bottom + margin, layer.y, layer.bottom, least.height)
    return Box(x, y, width, height)


def _grow(start: int, stop: int, first: int, last: int, least: int) -> tuple[int, int]:
    """Cut a span to first..last, grow it to `least` there, and return its start and length."""
    start, stop = max(start, first), min(stop, last)
    length = max(stop - start, min(least, last - first))
    start = _down(start - (length - (stop - start)) // 2, GRID)
    start = max(first, min(start, last - length))
    return max(start, stop - length), length


def choose_size(
    area: Extent, native: int, box: Extent | None, multiple: int = MULTIPLE
) -> tuple[Extent, tuple[str, ...]]:
    """Choose the size at which the model paints an area: scaled uniformly, never distorted.

    Without a box: scaled up where the shorter side is below the model's native size, since models
    fail there; else as it is, up to `BUDGET` times the native number of pixels.

    Parameters
    ----------
    area : Extent
        The work area on the canvas.
    native : int
        The side the model was trained at.
    box : Extent or None
        The size asked for: the area is scaled to fit into it.
    multiple : int
        As `make_plan` has it.

    Returns
    -------
    content : Extent
        The area's size for the model.
    notes : tuple of str
        Says where detail is lost.
    """
    if box is not None:
        inner = Extent(max(multiple, _down(box.width, multiple)),
                       max(multiple, _down(box.height, multiple)))  # fmt: skip
        scale = min(inner.width / area.width, inner.height / area.height)
        budget = BOX_BUDGET * native * native
    else:
        scale = max(1.0, native / area.shorter)
        budget = BUDGET * native * native
    scale = min(scale, math.sqrt(budget / area.pixels))
    content = Extent(max(1, round(area.width * scale)), max(1, round(area.height * scale)))
    if scale >= 1:
        return content, ()
    size = describe_size(area.pixels)
    if box is not None:
        told = sentence(
            "painted at {content} and scaled up to {area}: {size} are more than the box asked for",
            content=content,
            area=area,
            size=size,
        )
    else:
        told = sentence(
            "painted at {content} and scaled up to {area}: {size} are more than the model is asked"
            " to paint at once",
            content=content,
            area=area,
            size=size,
        )
    return content, (told,)


def fill_up(area: Box, layer: Box, content: Extent, multiple: int = MULTIPLE) -> tuple[Box, Extent]:
    """Grow an area, where its layer has more, until the model's size is a multiple of 16 or more.

    Parameters
    ----------
    area, layer : Box
        The work area inside its layer.
    content : Extent
        The area's size for the model.
    multiple : int
        As `make_plan` has it.

    Returns
    -------
    area : Box
        Grown to the right and below, else to the left and above.
    content : Extent
        Its size for the model, at the same scale.
    """
    x, width, content_width = _fill_side(
        area.x, area.width, layer.x, layer.right, content.width, multiple
    )
    y, height, content_height = _fill_side(
        area.y, area.height, layer.y, layer.bottom, content.height, multiple
    )
    return Box(x, y, width, height), Extent(content_width, content_height)


def _fill_side(
    start: int, length: int, first: int, last: int, content: int, multiple: int
) -> tuple[int, int, int]:
    wanted = _up(content, multiple)
    grown = max(length, min(round(length * wanted / content), last - first))
    start = max(first, min(start, last - grown))
    return start, grown, min(wanted, max(content, round(grown * content / length)))


def batch_size(images: int, work_size: Extent, native: int, *, parallel: bool) -> int:
    """Return how many images go through the model at once.

    Parameters
    ----------
    images : int
        How many are wanted.
    work_size : Extent
        The size of each, for the model.
    native : int
        The model's native side.
    parallel : bool
        Whether the device gains from it; a CPU does not, and one by one they arrive sooner.
    """
    if not parallel:
        return 1
    return max(1, min(images, BUDGET * native * native // work_size.pixels))


def _down(value: int, grid: int) -> int:
    return value // grid * grid


def _up(value: int, grid: int) -> int:
    return -(-value // grid) * grid
