"""What is decided about a batch's results, alike in every editor: captions, pages, messages.

A batch's results are counted from the lowest layer of its group, 0, 1, ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from underpaint_client.descriptions import describe_noise
from underpaint_client.sentences import NO_TEXT, Listing, Sentence, join_sentences, sentence

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
    seed, amount : Sentence
        The two lines beneath it; `amount` is empty unless it is a variation.
    tip : Sentence
        All of it in words.
    shown : bool
        Whether its layer is visible.
    """

    index: int
    seed: Sentence
    amount: Sentence
    tip: Sentence
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


def _caption(recipe: Recipe | None) -> tuple[Sentence, Sentence, Sentence]:
    if recipe is None:
        tip = sentence("A preview, kept when its job was cancelled. Click to show it")
        return sentence("preview"), NO_TEXT, tip
    noise = describe_noise(recipe)
    tip = join_sentences(Sentence(noise), sentence("click to show it"), stop=False)
    facts = recipe.facts
    if recipe.chained:
        amount = sentence("chained, {position}", position=recipe.chained + 1)
        return Sentence(str(facts.seed)), amount, tip
    if not facts.variations:
        return Sentence(str(facts.seed)), NO_TEXT, tip
    last = facts.variations[-1]
    return Sentence(str(last.seed)), sentence("varied {weight:g}", weight=last.weight), tip


def describe_page(count: int, at: int) -> Sentence:
    """Return which results the thumbnails show; empty if they show all."""
    if count <= THUMBNAILS:
        return NO_TEXT
    first = at // THUMBNAILS * THUMBNAILS
    last = min(first + THUMBNAILS, count)
    if last > first + 1:
        return sentence("{first} to {last} of {all}", first=first + 1, last=last, all=count)
    return sentence("{last} of {all}", last=last, all=count)


def describe_kept(name: str, removed: int) -> Sentence:
    """Return the message after one result was kept."""
    if not removed:
        return sentence(
            "The other results are locked, so they were kept beside {layer}.", layer=name
        )
    return sentence(
        "Kept {layer}. Undo restores the other result.",
        "Kept {layer}. Undo restores the other {count} results.",
        layer=name,
        count=removed,
    )


def describe_settings(beyond: Sequence[Sentence]) -> Sentence:
    """Return the message that a result's settings were copied, except those without a field."""
    if not beyond:
        return sentence("Settings copied. The seed is locked.")
    if len(beyond) == 1:
        return sentence(
            "Settings copied, except {setting}: there is no field for it.", setting=beyond[0]
        )
    return sentence(
        "Settings copied, except {settings} and {last}: there is no field for them.",
        settings=Listing(beyond[:-1]),
        last=beyond[-1],
    )


def name_preview(noise: str, step: int, steps: int) -> str:
    """Name the layer of what a picture had become when its job was stopped."""
    return f"preview of {noise}, step {step} of {steps}"


def is_copy(name: str, original: str) -> bool:
    """Return whether a copy of a layer is called that: `Copy of seed 7`, or `seed 7` again."""
    return name == original or name.endswith(f" {original}")


def common_tag(tags: Sequence[Tag]) -> Tag | None:
    """Return the tag that all have; None if there is none, or they differ."""
    return tags[0] if tags and all(tag == tags[0] for tag in tags) else None
