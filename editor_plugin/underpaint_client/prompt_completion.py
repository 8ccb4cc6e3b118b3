"""What a prompt could go on with at the caret: LoRAs, embeddings, layers, wildcards, tags."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from .errors import BadInputError
from .name_search import NameIndex
from .prompt_choices import escape_prompt
from .prompt_language import LORA_KINDS

MOST = 20
"""How many completions are offered."""

SHORTEST_TAG = 2
"""Letters of a tag that are typed before it is completed."""

_REFERENCE = re.compile(rf"<(?P<kind>(?i:{LORA_KINDS}|layer|embedding)):(?P<begun>[^<>:\n]*)\Z")
_EMBEDDING = re.compile(r"(?<![\w<-])(?i:embedding):(?P<begun>[^\s,<>()\[\]{}:|]*)\Z")
_WILDCARD = re.compile(r"(?<!\\)__(?P<begun>(?:[^\W_][\w/-]*)?)\Z")
_TAG = re.compile(r"(?:^|[,(\[{|\n])[ \t]*(?P<begun>[^\s,()\[\]{}|<>:][^,()\[\]{}|<>:\n]*)\Z")
_NOT_IN_REFERENCES = re.compile(r"[<>\x00-\x1f]")
_WHOLE_REFERENCE = re.compile(r"<[^<>\n]*>")
_BRACKET = re.compile(r"(?<!\\)[()\[\]]")
_LONGEST = 200  # characters before the caret that are looked at


class Kind(Enum):
    """What is completed."""

    LORA = "lora"
    EMBEDDING = "embedding"
    LAYER = "layer"
    WILDCARD = "wildcard"
    TAG = "tag"
    TRIGGER_WORD = "trigger word"


@dataclass(frozen=True)
class Candidates:
    """What there is to name.

    Parameters
    ----------
    loras, other_loras, embeddings, other_embeddings, layers, wildcards : NameIndex
        Names, as they are written in a prompt. The others do not fit the model, and come last.
    tags : NameIndex
        With spaces, the more usual ones first; empty unless the artist has chosen a list.
    notes : mapping of str to str
        What is shown beside the name of a LoRA or an embedding.
    trigger_words : mapping of str to sequence of str
        By the LoRA's name.
    """

    loras: NameIndex = field(default_factory=NameIndex)
    other_loras: NameIndex = field(default_factory=NameIndex)
    embeddings: NameIndex = field(default_factory=NameIndex)
    other_embeddings: NameIndex = field(default_factory=NameIndex)
    layers: NameIndex = field(default_factory=NameIndex)
    wildcards: NameIndex = field(default_factory=NameIndex)
    tags: NameIndex = field(default_factory=NameIndex)
    notes: Mapping[str, str] = field(default_factory=dict)
    trigger_words: Mapping[str, Sequence[str]] = field(default_factory=dict)


class Begun(NamedTuple):
    """A name that has been begun at the caret.

    Parameters
    ----------
    kind : Kind
    text : str
        What there is of it.
    start, end : int
        Where that is; the caret is at its end.
    """

    kind: Kind
    text: str
    start: int
    end: int


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
    kind : Kind
    note : str
        What to show beside the label; mostly empty.
    lora : str
        The LoRA that it names, or whose trigger word it is.
    """

    label: str
    start: int
    end: int
    text: str
    kind: Kind = Kind.TAG
    note: str = ""
    lora: str = ""

    def apply(self, prompt: str) -> tuple[str, int]:
        """Return a prompt with this put in, and where the caret is then."""
        caret = self.start + len(self.text)
        return prompt[: self.start] + self.text + prompt[self.end :], caret


def can_be_referred_to(kind: Kind, name: str) -> bool:
    """Return whether a name can be written in a reference to something of that kind."""
    if kind is Kind.EMBEDDING:
        return _EMBEDDING.fullmatch(f"embedding:{name}") is not None
    return not _NOT_IN_REFERENCES.search(name) and not (kind is Kind.LORA and ":" in name)


def find_begun(text: str, caret: int) -> Begun | None:
    """Return the name that is begun before the caret; None if there is none.

    Parameters
    ----------
    text : str
        The prompt.
    caret : int
        Characters before the caret.
    """
    caret = max(0, min(len(text), caret))
    before = text[max(0, caret - _LONGEST) : caret]
    if (found := _REFERENCE.search(before)) is not None:
        named = {"layer": Kind.LAYER, "embedding": Kind.EMBEDDING}
        kind = named.get(found["kind"].lower(), Kind.LORA)
    elif (found := _EMBEDDING.search(before)) is not None:
        kind = Kind.EMBEDDING
    elif (found := _WILDCARD.search(before)) is not None:
        kind = Kind.WILDCARD
    elif (found := _TAG.search(before)) is not None and len(found["begun"]) >= SHORTEST_TAG:
        kind = Kind.TAG
    else:
        return None
    begun = found["begun"].lstrip()
    return Begun(kind, begun, caret - len(begun), caret)


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
    begun = find_begun(text, caret)
    if begun is None:
        return ()
    kind, end = begun.kind, _end_of(begun.kind, text[begun.end :])
    if kind is Kind.EMBEDDING and text[: begun.start].lower().endswith("<embedding:"):
        end = _end_of(Kind.LAYER, text[begun.end :])
    found = []
    for name in _find(begun, candidates):
        put = _written(kind, name) + end
        if put != begun.text:
            lora = name if kind is Kind.LORA else ""
            note = candidates.notes.get(name, "") if kind in _NOTED else ""
            found.append(Completion(name, begun.start, begun.end, put, kind, note, lora))
    return tuple(found)


_NOTED = (Kind.LORA, Kind.EMBEDDING)


def _written(kind: Kind, name: str) -> str:
    """Return a name as it is written in a prompt, so that nothing in it is read as a choice."""
    if kind is Kind.TAG:
        return _escape(name)
    return name if kind is Kind.WILDCARD else escape_prompt(name)


def _find(begun: Begun, candidates: Candidates) -> list[str]:
    indexes = {
        Kind.LORA: (candidates.loras, candidates.other_loras),
        Kind.EMBEDDING: (candidates.embeddings, candidates.other_embeddings),
        Kind.LAYER: (candidates.layers,),
        Kind.WILDCARD: (candidates.wildcards,),
        Kind.TAG: (candidates.tags,),
    }[begun.kind]
    found: list[str] = []
    for index in indexes:
        found += index.find(begun.text, MOST - len(found))
    return found


def _end_of(kind: Kind, after: str) -> str:
    """Return what is put behind a name, unless it is there."""
    if kind is Kind.WILDCARD:
        return "" if after.startswith("__") else "__"
    if kind is Kind.TAG:
        return "" if after.lstrip(" ").startswith((",", ")", "]", "}", "|", ":")) else ", "
    if kind is Kind.EMBEDDING or after.startswith((">", ":")):
        return ""
    return ">" if kind is Kind.LAYER else ":1>"


def offer_trigger_words(
    text: str, caret: int, lora: str, words: Sequence[str]
) -> tuple[Completion, ...]:
    """Return the trigger words of a LoRA that a prompt does not have, to be put at the caret.

    Parameters
    ----------
    text : str
        The prompt.
    caret : int
        Characters before the caret.
    lora : str
        The LoRA's name.
    words : sequence of str

    Returns
    -------
    tuple of Completion
        All of them together first, where there are several.
    """
    said = _WHOLE_REFERENCE.sub(" ", text)
    left = [word for word in words if not _has_words(said, word)]
    before, after = text[max(0, caret - _LONGEST) : caret], text[caret:]
    words_before = _WHOLE_REFERENCE.sub("", before).rstrip(" ")
    if words_before and words_before[-1] not in ",([{|\n":
        lead = ", "
    else:
        lead = "" if not before or before[-1] in " \n" else " "
    end = ""
    if after.lstrip(" ") and after.lstrip(" ")[0] not in ",)]}|\n":
        end = "," if after.startswith(" ") else ", "
    choices = [", ".join(left)] if len(left) > 1 else []
    return tuple(
        Completion(
            choice, caret, caret, f"{lead}{_escape(choice)}{end}", Kind.TRIGGER_WORD, "", lora
        )
        for choice in [*choices, *left]
    )


def _has_words(text: str, words: str) -> bool:
    alike = (re.escape(one) for one in {words, _escape(words)})
    pattern = rf"(?<![^\W_])(?:{'|'.join(alike)})(?![^\W_])"
    return re.search(pattern, text, re.IGNORECASE) is not None


def _escape(text: str) -> str:
    return _BRACKET.sub(r"\\\g<0>", text)


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
        It is not CSV.
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
            "line {line} of the list of tags is not CSV: {error}; correct it",
            line=rows.line_num,
            error=error,
        ) from None
