"""What an artist types to see completions of every kind, in either editor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Note = Callable[..., Iterator[Any]]
"""Presses keys, types what is `typed`, and adds a step to what the scenario has found out."""


def complete_names(
    note: Note, steps: list[Any], is_open: Callable[[], bool], picture: Callable[[str], None]
) -> Iterator[Any]:
    """Complete LoRAs, their trigger words, a layer, a wildcard and tags by keys.

    Parameters
    ----------
    note : callable
        See `Note`.
    steps : list
        What `note` adds to.
    is_open : callable
        Whether the pop-up is shown.
    picture : callable
        Saves a picture of the screen under a name.
    """
    yield from note(typed="a <lora:")
    if not is_open():  # the daemon has not answered yet
        yield is_open
        steps.pop()
        yield from note()
    picture("completed_loras")
    yield from note("Down")
    yield from note("Up", "Return")
    picture("completed_words")
    yield from note("Tab")
    yield from note("Return", typed=", <layer:Pa")
    yield from note("Tab", typed=", __b")
    yield from note(typed=", bl")  # has the list of tags read
    yield 1.0
    yield from note(typed="u")
    yield from note("Return")
    yield from note("BackSpace", "Down", "Down", "Return")
    yield from note("Escape", typed="<lora:")
    yield from note(typed="g")
