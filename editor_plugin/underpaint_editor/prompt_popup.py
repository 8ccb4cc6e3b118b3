"""What the pop-up with completions at a prompt's caret does, whatever toolkit shows it.

The pop-up never takes the focus: the prompt's field passes keys on to it while it is open. Where a
name is begun by `<lora:`, `<layer:` or `__`, its first completion is chosen, and Enter accepts it.
Tags and trigger words wait for Tab or Down, so that Enter still begins a new line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from underpaint_client.prompt_completion import (
    Candidates,
    Completion,
    Kind,
    complete,
    find_begun,
    offer_trigger_words,
)

if TYPE_CHECKING:
    from collections.abc import Callable

NONE = -1
"""The index of a choice where nothing is chosen."""


class Key(Enum):
    """The keys that an open pop-up takes."""

    UP = "up"
    DOWN = "down"
    ENTER = "enter"
    TAB = "tab"
    ESCAPE = "escape"


@dataclass(frozen=True)
class Offer:
    """What the pop-up lists.

    Parameters
    ----------
    completions : tuple of Completion
        At least one.
    chosen : int
        Which of them is chosen; `NONE` for none.
    """

    completions: tuple[Completion, ...]
    chosen: int = NONE

    @property
    def rows(self) -> list[str]:
        """The text of each row: a completion, and the note about it."""
        return [f"{one.label}  ({one.note})" if one.note else one.label for one in self.completions]

    @classmethod
    def of(cls, completions: tuple[Completion, ...]) -> Offer | None:
        """Return what to list; None where there is nothing."""
        if not completions:
            return None
        waits = completions[0].kind in (Kind.TAG, Kind.TRIGGER_WORD)
        return cls(completions, NONE if waits else 0)


@dataclass(frozen=True)
class Pressed:
    """What a key does: whether the pop-up takes it, what is listed then, and what is accepted."""

    taken: bool
    offer: Offer | None = None
    accepted: Completion | None = None


def press(offer: Offer, key: Key) -> Pressed:
    """Return what a key does while the pop-up is open."""
    count, chosen = len(offer.completions), offer.chosen
    if key is Key.ESCAPE:
        return Pressed(taken=True)
    if key is Key.TAB:
        return Pressed(taken=True, accepted=offer.completions[max(0, chosen)])
    if key is Key.DOWN:
        return Pressed(taken=True, offer=replace(offer, chosen=(chosen + 1) % count))
    if chosen == NONE:
        return Pressed(taken=False)  # a new line, or an earlier prompt
    if key is Key.UP:
        return Pressed(taken=True, offer=replace(offer, chosen=(chosen - 1) % count))
    return Pressed(taken=True, accepted=offer.completions[chosen])


class PromptField(Protocol):
    """The text field of a prompt, and its pop-up."""

    def read(self) -> tuple[str, int]:
        """Return the text, and how many characters are before the caret."""

    def insert(self, start: int, end: int, text: str) -> None:
        """Replace characters, as one step to undo, and put the caret behind the new ones."""

    def show_offer(self, offer: Offer) -> None:
        """Show the pop-up at the caret, or what it lists now."""

    def hide_offer(self) -> None:
        """Hide the pop-up."""


class Completer:
    """Decides what the pop-up of one field shows; the field's toolkit calls it.

    Parameters
    ----------
    field : PromptField
    candidates : callable
        Returns what there is to name, for one kind.
    """

    def __init__(self, field: PromptField, candidates: Callable[[Kind], Candidates]) -> None:
        self._field, self._candidates = field, candidates
        self._offer: Offer | None = None
        self._seen = ("", 0)  # the text and caret that the offer is for
        self._awaits = False  # whether names that come later are shown

    @property
    def offer(self) -> Offer | None:
        """What is shown; None where nothing is."""
        return self._offer

    def typed(self) -> None:
        """Offer what the text that was just typed could go on with."""
        self._awaits = True
        self._complete()

    def refresh(self) -> None:
        """Offer what has come since the text was typed."""
        trigger_words = self._offer is not None and (
            self._offer.completions[0].kind is Kind.TRIGGER_WORD
        )
        if self._awaits and not trigger_words and self._field.read() == self._seen:
            self._complete()

    def press(self, key: Key) -> bool:
        """Do what a key does, and return whether the field must not handle it."""
        if self._offer is None or self._is_outdated():
            return False
        pressed = press(self._offer, key)
        if pressed.accepted is not None:
            self._accept(pressed.accepted)
        elif pressed.offer is not None:
            self._show(pressed.offer)
        else:
            self.close()
        return pressed.taken

    def click(self, index: int) -> None:
        """Accept the completion that was clicked."""
        if self._offer is None or self._is_outdated():
            return
        if 0 <= index < len(self._offer.completions):
            self._accept(self._offer.completions[index])

    def moved(self) -> None:
        """Hide the pop-up if the caret was moved, or the text changed by something else."""
        if self._offer is not None:
            self._is_outdated()

    def close(self) -> None:
        """Hide the pop-up until something is typed: the focus or the caret has gone elsewhere."""
        self._awaits = False
        self._show(None)

    def _is_outdated(self) -> bool:
        """Return whether the text or the caret has changed since; hide the pop-up, if so."""
        outdated = self._field.read() != self._seen
        if outdated:
            self.close()
        return outdated

    def _complete(self) -> None:
        text, caret = self._field.read()
        begun = find_begun(text, caret)
        found = () if begun is None else complete(text, caret, self._candidates(begun.kind))
        offer = Offer.of(found)
        old = self._offer
        if offer is not None and old is not None and offer.completions == old.completions:
            offer = old
        self._show(offer)

    def _accept(self, completion: Completion) -> None:
        self.close()
        self._field.insert(completion.start, completion.end, completion.text)
        if completion.lora:
            text, caret = self._field.read()
            if completion.kind is Kind.TRIGGER_WORD or text[:caret].endswith(">"):
                words = self._candidates(Kind.LORA).trigger_words.get(completion.lora, ())
                self._show(Offer.of(offer_trigger_words(text, caret, completion.lora, words)))

    def _show(self, offer: Offer | None) -> None:
        self._seen = self._field.read()
        changed, self._offer = offer != self._offer, offer
        if offer is None:
            if changed:
                self._field.hide_offer()
        else:
            self._field.show_offer(offer)
