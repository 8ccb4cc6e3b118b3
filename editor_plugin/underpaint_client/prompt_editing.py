"""Changes of a prompt while it is written: the weight of the words at the caret."""

from __future__ import annotations

import re
from typing import NamedTuple

from .prompt_language import BRACKET_WEIGHT, LORA_KINDS, MAX_WEIGHT, NUMBER

STEP = 0.05
"""How much Ctrl+Up adds to a weight."""

_ENDS = re.compile(rf"\\.|[()\[\]]|:\s*({NUMBER})\s*\)", re.DOTALL)
_WORD = re.compile(r"(?:\\.|[^\s,.;:!?|{}()\[\]<>\\\"])+", re.DOTALL)
_LORA = re.compile(rf"<(?i:{LORA_KINDS}):[^<>:\n]*(?P<weight>:\s*{NUMBER}\s*)?>")
_REFERENCE = re.compile(rf"<(?i:{LORA_KINDS}|layer):[^<>\n]*>")
_HALF_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\$")
"""A text whose last backslash belongs to what comes after it."""


class Edited(NamedTuple):
    """A prompt, and what is selected in it: characters `start` to before `end`."""

    text: str
    start: int
    end: int


class _Bracket(NamedTuple):
    """A pair of brackets, from its first to behind its last character, and the words in it."""

    first: int
    start: int
    end: int
    last: int
    weight: float

    @property
    def words(self) -> tuple[int, int]:
        """Where the words begin and end."""
        return self.start, self.end

    @property
    def whole(self) -> tuple[int, int]:
        """Where all of it begins and ends."""
        return self.first, self.last


def change_weight(text: str, start: int, end: int, step: float = STEP) -> Edited:
    """Add to the weight of the selected words, or of those at the caret.

    Without a selection, these are the words in the innermost brackets around the caret, or else the
    word that it is in or behind. In `<lora:name:0.8>`, it is the LoRA's strength. Brackets go when
    the weight becomes 1.

    Parameters
    ----------
    text : str
    start, end : int
        What is selected; both are the caret where nothing is.
    step : float
        What is added; weights stay in 0..10.

    Returns
    -------
    Edited
        The new prompt, with the words selected; unchanged where no words are there.
    """
    start, end = sorted(max(0, min(len(text), place)) for place in (start, end))
    lora = _find_lora(text, start, end)
    if lora is not None:
        return _change_lora(text, lora, step)
    found = _find_words(text, start, end)
    return Edited(text, start, end) if found is None else _rewrite(text, found, step)


def _find_words(text: str, start: int, end: int) -> _Bracket | None:
    """Return the words that are meant, with their brackets; None if there are none."""
    brackets, _ = _pair_brackets(text)
    if start == end:
        around = [one for one in brackets if one.first < start < one.last]
        if around:
            inner = max(around, key=lambda one: one.first)
            return inner if _may_weigh(text, *inner.words) else None
        start, end = _find_word(text, start)
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    if not _may_weigh(text, start, end):
        return None
    same = (one for one in brackets if (start, end) in (one.words, one.whole))
    found = next(same, _Bracket(start, start, end, end, 1.0))
    if any(_cuts(one, start, end) for one in brackets):
        return None
    return found if _may_weigh(text, *found.words) else None


def _may_weigh(text: str, start: int, end: int) -> bool:
    """Return whether brackets around a selection would belong to each other, and hold words."""
    selected = text[start:end]
    return (
        selected.strip() not in ("", "BREAK")
        and not _pair_brackets(selected)[1]
        and not any(_HALF_ESCAPE.search(one) for one in (selected, text[:start]))
        and not any(_touches(one, start, end) for one in _REFERENCE.finditer(text))
    )


def _touches(found: re.Match[str], start: int, end: int) -> bool:
    """Return whether a selection has a part of what was found, but not all of it."""
    apart = end <= found.start() or found.end() <= start
    return not apart and not (start <= found.start() and found.end() <= end)


def _cuts(one: _Bracket, start: int, end: int) -> bool:
    """Return whether a selection has a part of the brackets themselves, but not all of them."""
    inside = one.start <= start and end <= one.end
    outside = end <= one.first or one.last <= start
    around = start <= one.first and one.last <= end
    return not (inside or outside or around)


def _rewrite(text: str, one: _Bracket, step: float) -> Edited:
    words = text[one.start : one.end]
    weight = round(max(0.0, min(MAX_WEIGHT, one.weight + step)), 2)
    before, after = ("", "") if weight == 1 else ("(", f":{weight:g})")
    start = one.first + len(before)
    return Edited(
        text[: one.first] + before + words + after + text[one.last :], start, start + len(words)
    )


def _pair_brackets(text: str) -> tuple[list[_Bracket], int]:
    """Return all pairs of brackets, as `prompt_language` pairs them, and how many are left."""
    found, left = [], 0
    opened: dict[str, list[int]] = {"(": [], "[": []}
    for one in _ENDS.finditer(text):
        written = one[0]
        if written in opened:
            opened[written].append(one.start())
        elif written[0] != "\\":
            is_round = written[-1] == ")"
            before = opened["(" if is_round else "["]
            if not before:
                left += 1
                continue
            first = before.pop()
            weight = BRACKET_WEIGHT if is_round else 1 / BRACKET_WEIGHT
            if one[1] is not None:
                weight = float(one[1])
            found.append(_Bracket(first, first + 1, one.start(), one.end(), weight))
    return found, left + sum(map(len, opened.values()))


def _find_word(text: str, caret: int) -> tuple[int, int]:
    for one in _WORD.finditer(text):
        if one.start() <= caret <= one.end():
            return one.span()
        if one.start() > caret:
            break
    return caret, caret


def _find_lora(text: str, start: int, end: int) -> re.Match[str] | None:
    for one in _LORA.finditer(text):
        if one.start() <= start and end <= one.end() and start < one.end():
            return one
    return None


def _change_lora(text: str, found: re.Match[str], step: float) -> Edited:
    number = found["weight"]
    weight = round((1.0 if number is None else float(number[1:])) + step, 2)
    end = found.end() - 1
    first = found.start("weight") if number is not None else end
    return Edited(f"{text[:first]}:{weight:g}{text[end:]}", found.start() + 1, first)
