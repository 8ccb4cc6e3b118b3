r"""The choices in a prompt, which are made before it is read: comments, alternatives, wildcards.

==================  ==============================================================================
`# words`           at the start of a line is a comment
`{day|night}`       one of them; they may lie in each other, eight deep
`__animals/birds__` one line of the file `animals/birds.txt`, a wildcard
`\{`                is a brace, `\}` and `\|` likewise; `\__` is two underscores, `\#` no comment
==================  ==============================================================================

The seed of an image chooses, by itself: which noise follows from it makes no difference.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from .errors import BadInputError
from .request import MAX_PROMPT

DEEPEST = 8
"""How deep alternatives lie in each other, and wildcards in the lines of wildcards."""

ReadWildcard = Callable[[str], Sequence[str]]
"""Returns the choices of a wildcard, at least one; raises BadInputError where there is none."""

ALTERNATIVES = re.compile(r"(?<!\\)\{((?:\\.|[^{}\\])*)\}", re.DOTALL)
_BAR = re.compile(r"(?<!\\)\|")
WILDCARD = re.compile(r"(?<!\\)__([^\W_][\w/-]*?)__")
COMMENT = re.compile(r"^[ \t]*#.*\n?", re.MULTILINE)
_ESCAPED = re.compile(r"\\([{}|]|__)")
_ESCAPED_COMMENT = re.compile(r"^([ \t]*)\\(\\*#)", re.MULTILINE)
_SPECIAL = re.compile(r"[{}]|(?<=\\)\||(?<=\\)__|__(?=[^\W_][\w/-]*?__)")
_SPECIAL_COMMENT = re.compile(r"^([ \t]*)(\\*#)", re.MULTILINE)


def expand_prompt(
    prompt: str,
    seed: int | str,
    read: ReadWildcard | None = None,
) -> str:
    r"""Make all choices in a prompt: `a lake at {day|night|{red|pale} sunset}`.

    Parameters
    ----------
    prompt : str
        As it was written.
    seed : int or str
        The same seed chooses the same, on every machine.
    read : callable, optional
        Returns the choices of a wildcard; without it, wildcards are text.

    Raises
    ------
    BadInputError
        A wildcard is missing, or wildcards lie too deep in each other or become too long.
    """
    prompt = strip_comments(prompt) if read is None else expand_wildcards(prompt, seed, read)
    dice = random.Random(seed)  # noqa: S311 - nothing here is secret

    def choose(found: re.Match[str]) -> str:
        options = _BAR.split(found[1])
        return options[int(dice.random() * len(options))]

    for _ in range(DEEPEST):
        prompt = ALTERNATIVES.sub(choose, prompt)
    return _ESCAPED_COMMENT.sub(r"\1\2", _ESCAPED.sub(r"\1", prompt))


def expand_wildcards(prompt: str, seed: int | str, read: ReadWildcard) -> str:
    """Replace wildcards by lines of their files, and leave the other choices to be made.

    Parameters
    ----------
    prompt, seed, read
        As `expand_prompt` has them.

    Raises
    ------
    BadInputError
        A wildcard is missing, or wildcards lie too deep in each other or become too long.
    """
    dice = random.Random(f"{seed} wildcards")  # noqa: S311 - nothing here is secret
    prompt, used = strip_comments(prompt), ""
    for _ in range(DEEPEST):
        parts: list[str] = []
        length = at = 0
        for found in WILDCARD.finditer(prompt):
            lines = read(found[1])
            used = found[0]
            parts += (prompt[at : found.start()], lines[int(dice.random() * len(lines))])
            length += len(parts[-2]) + len(parts[-1])
            at = found.end()
            _check_length(length, used)
        if not parts:
            break
        prompt = "".join((*parts, prompt[at:]))
        _check_length(len(escape_prompt(prompt)), used)
    else:
        if (left := WILDCARD.search(prompt)) is not None:
            raise BadInputError(
                "wildcards lie in each other more than {most} deep, at {wildcard}; take it out of"
                " the file that leads back to it",
                most=DEEPEST,
                wildcard=left[0],
            )
    return prompt


def _check_length(length: int, wildcard: str) -> None:
    if length > MAX_PROMPT:
        raise BadInputError(
            "wildcards make the prompt longer than {most} characters, the last of them"
            " {wildcard}; use fewer, or shorten the lines of their files",
            most=MAX_PROMPT,
            wildcard=wildcard,
        )


def strip_comments(prompt: str) -> str:
    """Return a prompt without its comments, for what is named after it."""
    return COMMENT.sub("", prompt)


def escape_prompt(prompt: str) -> str:
    r"""Return a prompt in which nothing is chosen: `\{` for `{`, as `expand_prompt` reads it."""
    return _SPECIAL_COMMENT.sub(r"\1\\\2", _SPECIAL.sub(r"\\\g<0>", prompt))
