"""What of a prompt does not reach the model: one sentence for each kind of loss."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

_LONGEST_QUOTE = 40

_MOST_QUOTED = 10
"""Words that one note quotes: recipes travel in messages, whose headers have a limit."""

_AS_WORDS = "is read as words"
_SYNTAX: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?<!\\)\([^()]*:\s*[-+]?(?:\d+(?:\.\d*)?|\.\d+)\s*\)"), f"a weight {_AS_WORDS}"),
    (
        # From the first bracket of a run, or from the second where a backslash is before the first.
        re.compile(
            r"(?:(?<![\\(])|(?<=\\\())\({2,}[^()]*\){2,}"
            r"|(?:(?<![\\\[])|(?<=\\\[))\[{2,}[^\[\]]*\]{2,}"
        ),
        f"emphasis {_AS_WORDS}",
    ),
    (
        re.compile(r"<\s*(?:lora|lyco|lycoris|hypernet)\s*:[^<>]*>", re.IGNORECASE),
        f"what it names is not loaded, and it {_AS_WORDS}",
    ),
    (
        re.compile(r"\bembedding:\S+", re.IGNORECASE),
        f"what it names is not loaded, and it {_AS_WORDS}",
    ),
    (
        re.compile(r"(?<!\\)\[[^\[\]:|]*[:|][^\[\]]*\]"),
        f"a prompt that changes from step to step {_AS_WORDS}",
    ),
    (re.compile(r"\b(?:BREAK|AND)\b"), f"prompts are not divided there, and it {_AS_WORDS}"),
)
"""What Stable Diffusion WebUI, ComfyUI and others understand, and what becomes of it here.

A prompt comes from anywhere, so each pattern can match a text in one way only: searching takes time
that grows with the length of a prompt, and not with its square.
"""


@dataclass(frozen=True)
class Reading:
    """How a model's tokenizer reads a prompt.

    Parameters
    ----------
    tokens : int
        How many it has, without those that mark beginning and end.
    limit : int
        How many of them the model reads.
    unknown : tuple of str
        Words with parts that the tokenizer has no token for.
    """

    tokens: int
    limit: int
    unknown: tuple[str, ...] = ()


def read_prompt(tokenizers: Sequence[Any], text: str) -> Reading:
    """Return how CLIP's tokenizers read a text: of several, the one that reads least of it."""
    readings = []
    for tokenizer in tokenizers:

        def tokens(words: str, tokenizer: Any = tokenizer) -> list[int]:
            found: list[int] = tokenizer(words, truncation=False, verbose=False)["input_ids"]
            return found[1:-1]  # without beginning and end

        whole, unknown = tokens(text), tokenizer.unk_token_id
        words = text.split() if unknown in whole else ()
        unread = tuple(word for word in words if unknown in tokens(word))
        readings.append(Reading(len(whole), tokenizer.model_max_length - 2, unread))
    return max(readings, key=lambda one: (one.tokens - one.limit, len(one.unknown)))


def describe_losses(
    prompt: str,
    negative: str,
    read: Callable[[str], Reading],
    *,
    guided: bool,
    takes_negative: bool = True,
) -> tuple[str, ...]:
    """Return what of a prompt and a negative prompt the model does not read.

    Parameters
    ----------
    prompt, negative : str
        As they go to the model.
    read : callable
        How it reads a text.
    guided : bool
        Whether the guidance scale is over 1, so that the negative prompt is used.
    takes_negative : bool
        Whether the model uses one at any guidance scale.

    Returns
    -------
    tuple of str
        One sentence for each kind of loss.
    """
    notes = _of_one("the prompt", prompt, read(prompt))
    if negative.strip() and not takes_negative:
        notes.append("this model takes no negative prompt; it was not used")
    elif negative.strip() and not guided:
        notes.append(
            "the negative prompt is not used at a guidance scale of 1 or less; choose a higher one"
        )
    elif negative:
        notes += _of_one("the negative prompt", negative, read(negative))
    return tuple(notes)


def _of_one(which: str, text: str, reading: Reading) -> list[str]:
    notes = []
    if reading.tokens > reading.limit:
        notes.append(
            f"{which} has {reading.tokens} tokens and the model reads the first {reading.limit};"
            " the rest was left out"
        )
    if reading.unknown:
        words = list(dict.fromkeys(reading.unknown))
        quoted = ", ".join(_quote(word) for word in words[:_MOST_QUOTED])
        more = f" and {len(words) - _MOST_QUOTED} more" if len(words) > _MOST_QUOTED else ""
        notes.append(f"{which} has words that the model does not know: {quoted}{more}")
    for pattern, consequence in _SYNTAX:
        if found := pattern.search(text):
            notes.append(f"{which} has {_quote(found[0])}: {consequence}")
    return notes


def _quote(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}...")
