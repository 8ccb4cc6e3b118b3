"""What a prompt could go on with at the caret: names of LoRAs, layers and wildcards, and tags."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .errors import BadInputError
from .prompt_language import LORA_KINDS

MOST = 20
"""How many completions are offered."""

SHORTEST_TAG = 2
"""Letters of a tag that are typed before it is completed."""

_REFERENCE = re.compile(rf"<(?P<kind>(?i:{LORA_KINDS}|layer)):(?P<begun>[^<>:\n]*)$")
_WILDCARD = re.compile(r"(?<!\\)__(?P<begun>(?:[^\W_][\w/-]*)?)$")
_TAG = re.compile(r"(?:^|[,(\[{|\n])[ \t]*(?P<begun>[^\s,()\[\]{}|<>:][^,()\[\]{}|<>:\n]*)$")
_CONTROL = re.compile(r"[<>\x00-\x1f]")
_WORD_STARTS = re.compile(r"(?<![^\W_])[^\W_]")
_LONGEST = 200  # characters before the caret that are looked at


@dataclass(frozen=True)
class Candidates:
    """What there is to name.

    Parameters
    ----------
    loras, layers, wildcards : tuple of str
        Names, as they are written in a prompt.
    tags : tuple of str
        With spaces, the more usual ones first; empty unless the artist has chosen a list.
    """

    loras: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    wildcards: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


class Completion(NamedTuple):
    """A text that can be put in place of what has been begun.

    Parameters
    ----------
    label : str
        What to show in a list.
    start, end : int
        The characters that it takes the place of.
    text : str
        What is put there; the caret comes behind it.
    """

    label: str
    start: int
    end: int
    text: str

    def apply(self, prompt: str) -> tuple[str, int]:
        """Return a prompt with this put in, and where the caret is then."""
        caret = self.start + len(self.text)
        return prompt[: self.start] + self.text + prompt[self.end :], caret


def complete(text: str, caret: int, candidates: Candidates) -> tuple[Completion, ...]:
    """Return what the text before the caret could go on with.

    Names that begin as typed come first, then those in which a word does, then those that have it
    somewhere; case does not matter.

    Parameters
    ----------
    text : str
        The prompt.
    caret : int
        Characters before the caret.
    candidates : Candidates

    Returns
    -------
    tuple of Completion
        At most 20; none where nothing is begun.
    """
    caret = max(0, min(len(text), caret))
    before, after = text[max(0, caret - _LONGEST) : caret], text[caret:]
    if (found := _REFERENCE.search(before)) is not None:
        is_layer = found["kind"].lower() == "layer"
        end = "" if after.startswith((">", ":")) else ">" if is_layer else ":1>"
        names = candidates.layers if is_layer else candidates.loras
        choices = ((name, name + end) for name in names if not _CONTROL.search(name))
    elif (found := _WILDCARD.search(before)) is not None:
        end = "" if after.startswith("__") else "__"
        choices = ((name, name + end) for name in candidates.wildcards)
    elif (found := _TAG.search(before)) is not None and len(found["begun"]) >= SHORTEST_TAG:
        end = "" if after.lstrip(" ").startswith((",", ")", "]", "}", "|", ":")) else ", "
        choices = ((tag, _escape(tag) + end) for tag in candidates.tags)
    else:
        return ()
    begun = found["begun"].lstrip()
    start = caret - len(begun)
    return tuple(
        Completion(label, start, caret, put) for label, put in _rank(begun, choices) if put != begun
    )


def _rank(begun: str, choices: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the choices that have what is begun, the nearest first."""
    wanted = begun.casefold().replace("_", " ")
    groups: tuple[list[tuple[str, str]], ...] = ([], [], [])
    for choice in choices:
        name = choice[0].casefold().replace("_", " ")
        at = name.find(wanted)
        if at < 0:
            continue
        is_word = any(name.startswith(wanted, one.start()) for one in _WORD_STARTS.finditer(name))
        groups[0 if at == 0 else 1 if is_word else 2].append(choice)
        if len(groups[0]) >= MOST:
            break
    return [*groups[0], *groups[1], *groups[2]][:MOST]


def _escape(tag: str) -> str:
    return re.sub(r"[()\[\]]", r"\\\g<0>", tag)


def read_tags(lines: Iterable[str]) -> Iterator[str]:
    """Yield the tags of a list in CSV, as the extensions for tags of A1111 have it.

    Parameters
    ----------
    lines : iterable of str
        `tag,category,count,"aliases"`; only the first is used, and a line may have it alone.

    Yields
    ------
    str
        With spaces for underscores, in the order of the list, without repetitions.

    Raises
    ------
    BadInputError
        It is no CSV.
    """
    seen: set[str] = set()
    for row in _read_rows(lines):
        tag = row[0].strip() if row else ""
        if len(tag) > 3:  # shorter ones with underscores are faces, such as ^_^
            tag = tag.replace("_", " ")
        if tag and tag not in seen:
            seen.add(tag)
            yield tag


def _read_rows(lines: Iterable[str]) -> Iterator[list[str]]:
    rows = csv.reader(line.replace("\0", "") for line in lines)
    try:
        yield from rows
    except csv.Error as error:
        raise BadInputError(
            "line {line} of the list of tags is no CSV: {error}; correct it",
            line=rows.line_num,
            error=error,
        ) from None
