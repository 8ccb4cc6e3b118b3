"""What to read, and what results are called, alike in every editor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .geometry import Box
from .rules import image_seed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .request import Recipe

_LONGEST_NAME = 40  # characters of a prompt in a layer's name
_GRID = 64  # pixels that the engine snaps its work area to
_UNKNOWN_NATIVE = 1024  # pixels; the largest native side of any family


def needed_box(selected: Box, canvas: Box, native: int = 0) -> Box:
    """Give the part of a layer that a run can need: what is selected, and context around it.

    The engine takes a quarter of the longer side around what changes, or its model's native size
    where that is more, on a grid of 64 pixels. What changes lies inside the selection.

    Parameters
    ----------
    selected : Box
        Around all that is selected, inside `canvas`.
    canvas : Box
        Around all there is.
    native : int
        The model's native side in pixels; 0 where it is not known.
    """
    least = native or _UNKNOWN_NATIVE
    margin = max(selected.extent.longer // 4, least // 2, _GRID)
    left, right = _span(selected.x, selected.right, canvas.x, canvas.right, margin, least)
    top, bottom = _span(selected.y, selected.bottom, canvas.y, canvas.bottom, margin, least)
    return Box(left, top, right - left, bottom - top)


def _span(start: int, stop: int, first: int, last: int, margin: int, least: int) -> tuple[int, int]:
    """Give start and stop of one side, with room for `least` where the canvas ends early."""
    margin, least = margin + 2 * _GRID, least + 2 * _GRID
    low = max(first, (start - margin) // _GRID * _GRID)
    high = min(last, -(-(stop + margin) // _GRID) * _GRID)
    return max(first, min(low, high - least)), min(last, max(high, low + least))


def overlap(one: Box, other: Box) -> Box:
    """Give the box that lies in both; empty where there is none."""
    x, y = max(one.x, other.x), max(one.y, other.y)
    right, bottom = min(one.right, other.right), min(one.bottom, other.bottom)
    return Box(x, y, max(0, right - x), max(0, bottom - y))


def name_group(prompt: str, seed: int, images: int) -> str:
    """Name the group of a batch after its prompt and seeds."""
    words = " ".join(prompt.split()) or "Underpaint"
    if len(words) > _LONGEST_NAME:
        words = words[: _LONGEST_NAME - 1].rstrip() + "…"
    seeds = f"seed {seed}"
    if images > 1:
        seeds = f"seeds {seed} to {image_seed(seed, images - 1)}"
    return f"{words} ({seeds})"


def name_layer(recipe: Recipe) -> str:
    """Name a result's layer."""
    return f"seed {recipe.seed}"


def describe_end(wanted: int, came: int, seconds: float, notes: Sequence[str]) -> str:
    """Say how a run ended well."""
    many = "1 image" if came == 1 else f"{came} images"
    missing = f" of {wanted}" if came < wanted else ""
    told = [f"Done: {many}{missing} in {seconds:.1f} s", *map(_sentence, notes)]
    return f"{'. '.join(told)}."


def _sentence(note: str) -> str:
    return note[:1].upper() + note[1:]
