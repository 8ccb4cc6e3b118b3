"""What is decided about a batch's results, alike in every editor: captions, pages, messages.

A batch's results are counted from the lowest layer of its group, 0, 1, ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from underpaint_client.descriptions import describe_noise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underpaint_client.recipe import Recipe

    from .tag import Tag

THUMBNAILS = 6
"""Results that are shown at once."""

THUMBNAIL_COLUMNS = 3
"""Of them, in a row."""

THUMBNAIL_SIDE = 60
"""Pixels of a thumbnail's longer side."""


@dataclass(frozen=True)
class Member:
    """One of a batch's results: the editor's own layer, what it carries, whether it is shown."""

    layer: Any
    tag: Tag
    shown: bool


@dataclass(frozen=True)
class Thumbnail:
    """A thumbnail, and what stands beneath it.

    Parameters
    ----------
    index : int
        Which of the batch's results it is.
    seed, amount : str
        The two lines beneath it; `amount` is empty unless it is a variation.
    tip : str
        All of it in words.
    shown : bool
        Whether its layer is visible.
    """

    index: int
    seed: str
    amount: str
    tip: str
    shown: bool


def list_thumbnails(tags: Sequence[Tag], shown: Sequence[bool], at: int) -> list[Thumbnail]:
    """Return the thumbnails of a batch: at most `THUMBNAILS`, among them that of the result `at`.

    Parameters
    ----------
    tags : sequence of Tag
        What the results' layers carry.
    shown : sequence of bool
        Whether each is visible.
    at : int
        Which one is selected.
    """
    first = at // THUMBNAILS * THUMBNAILS
    return [
        Thumbnail(index, *_caption(tags[index].recipe), shown=shown[index])
        for index in range(first, min(first + THUMBNAILS, len(tags)))
    ]


def _caption(recipe: Recipe | None) -> tuple[str, str, str]:
    if recipe is None:
        return "preview", "", "A preview, kept when its job was cancelled. Click to show it"
    tip = f"{describe_noise(recipe).capitalize()}. Click to show it"
    facts = recipe.facts
    if recipe.chained:
        return str(facts.seed), f"chained, {recipe.chained + 1}", tip
    if not facts.variations:
        return str(facts.seed), "", tip
    last = facts.variations[-1]
    return str(last.seed), f"varied {last.weight:g}", tip


def describe_page(count: int, at: int) -> str:
    """Return which results the thumbnails show; empty if they show all."""
    if count <= THUMBNAILS:
        return ""
    first = at // THUMBNAILS * THUMBNAILS
    last = min(first + THUMBNAILS, count)
    return f"{first + 1} to {last} of {count}" if last > first + 1 else f"{last} of {count}"


def describe_kept(name: str, removed: int) -> str:
    """Return the message after one result was kept."""
    if not removed:
        return f"The other results are locked, so they were kept beside {name}."
    others = "the other result" if removed == 1 else f"the other {removed} results"
    return f"Kept {name}. Undo restores {others}."


def describe_settings(beyond: Sequence[str]) -> str:
    """Return the message that a result's settings were copied, except those without a field."""
    if not beyond:
        return "Settings copied. The seed is locked."
    them = "it" if len(beyond) == 1 else "them"
    return f"Settings copied, except {' and '.join(beyond)}: there is no field for {them}."


def name_preview(noise: str, step: int, steps: int) -> str:
    """Name the layer of what a picture had become when its job was stopped."""
    return f"preview of {noise}, step {step} of {steps}"


def is_copy(name: str, original: str) -> bool:
    """Return whether a copy of a layer is called that: `Copy of seed 7`, or `seed 7` again."""
    return name == original or name.endswith(f" {original}")


def common_tag(tags: Sequence[Tag]) -> Tag | None:
    """Return the tag that all have; None if there is none, or they differ."""
    return tags[0] if tags and all(tag == tags[0] for tag in tags) else None
