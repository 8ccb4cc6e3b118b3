r"""The language of prompts: which words weigh how much, where chunks end, and what is named.

A prompt is read as Stable Diffusion WebUI (A1111) and Forge read it, so that one from elsewhere
means the same here:

==================  ==============================================================================
`(word)`            weighs 1.1 times as much; `((word))` 1.21 times
`[word]`            weighs 1 / 1.1 times as much
`(word:1.3)`        weighs 1.3 times as much; in other brackets, weights are multiplied
`\(`                is a bracket, and so are `\)`, `\[` and `\]`; `\\` is a backslash
`BREAK`             ends a chunk of 75 tokens, and the next words begin a new one
`<lora:name:0.8>`   names a LoRA
`<layer:name>`      names a layer
==================  ==============================================================================

A bracket that is not closed weighs all that follows; one that was not opened is text. Comments and
choices are read before, by `prompt_choices`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .parsed_prompt import (
    LONGEST_EXCERPT,
    LayerReference,
    LoraReference,
    ParsedPrompt,
    PromptError,
    Remark,
    Segment,
    shorten_excerpt,
)
from .sentences import Listing, Sentence, sentence

BRACKET_WEIGHT = 1.1
"""What `(word)` multiplies a weight with, and `[word]` divides it by."""

MAX_WEIGHT = 10.0
"""The weight of words that are given more; its negative is the least."""

_LARGE = 1e30  # products of weights stay below it, so that none becomes infinite
NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)"
"""The pattern of a weight."""

LORA_KINDS = "lora|lyco|lycoris"
"""The pattern of what stands before a LoRA's name."""

_WHOLE_NUMBER = re.compile(NUMBER)
_TOKEN = re.compile(
    r"\\(?P<escaped>[()\[\]\\])"
    rf"|<(?P<kind>(?i:{LORA_KINDS}|layer)):(?P<named>[^<>\n]*)>"
    rf"|:\s*(?P<weight>{NUMBER})\s*\)"
    r"|(?P<bracket>[()\[\]])"
    r"|(?P<break>\bBREAK\b)"
    rf"|(?P<unclosed><(?i:{LORA_KINDS}|layer):)"
    r"|(?P<text>[^\\()\[\]:|<B]+|.)",
    re.DOTALL,
)
"""Each part of a prompt. Each alternative stops where another could begin, so time is linear."""


def parse_prompt(text: str) -> ParsedPrompt:
    """Read a prompt, in time that grows with its length.

    Parameters
    ----------
    text : str
        With its choices made (`prompt_choices`).

    Raises
    ------
    PromptError
        A LoRA or layer is named without a name, or its strength is not a number. Anything else is
        read in some way.
    """
    parser = _Parser(text)
    for found in _TOKEN.finditer(text):
        parser.take(found)
    return parser.finish()


_LAYER = re.compile(r"<(?i:layer):(?P<name>[^<>\n]*)>")


def name_layers(text: str, called: Mapping[str, str]) -> str:
    """Return a prompt in which layers are called as the model knows them.

    Parameters
    ----------
    text : str
        With its choices made.
    called : mapping of str to str
        What to write for each layer, by its name in lower case (`str.casefold`).

    Raises
    ------
    PromptError
        It names a layer that the model does not see.
    """

    def name(found: re.Match[str]) -> str:
        wanted = found["name"].strip()
        if wanted.casefold() not in called:
            problem = sentence(
                "no reference layer is called {name!r}; use that layer as a reference, or leave"
                " this out",
                name=shorten_excerpt(wanted),
            )
            raise PromptError(found.start(), found[0], problem)
        return called[wanted.casefold()]

    return _LAYER.sub(name, text)


@dataclass
class _Open:
    """A bracket that is open: where its text begins, and what decides how a square one is read."""

    piece: int
    position: int
    bar: bool = False
    colon: int = -1  # the piece after its last colon


@dataclass(frozen=True)
class _Span:
    """Pieces `first` to before `last`, whose weight is multiplied with a factor."""

    first: int
    last: int
    factor: float


class _Parser:
    """Cuts a prompt into pieces, and finds the spans of pieces that brackets weigh.

    As in Stable Diffusion WebUI, round and square brackets may overlap.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._pieces: list[str | None] = []  # None is a break
        self._positions: list[int] = []  # of the pieces, but for those of the last token
        self._position = 0  # of the last token
        self._open: dict[str, list[_Open]] = {"(": [], "[": []}
        self._order: list[_Open] = []  # of both kinds; closed ones are removed when they are last
        self._closed: set[int] = set()
        self._spans: dict[str, list[_Span]] = {"(": [], "[": []}
        self._loras: list[LoraReference] = []
        self._layers: list[LayerReference] = []
        self._remarks: dict[str, Remark] = {}

    def take(self, found: re.Match[str]) -> None:
        """Read one token."""
        self._positions += [self._position] * (len(self._pieces) - len(self._positions))
        self._position = position = found.start()
        if found["escaped"] is not None:
            self._pieces.append(found["escaped"])
        elif found["kind"] is not None:
            self._take_reference(found)
        elif found["weight"] is not None:
            self._close_round(found[0], _limited(float(found["weight"]), 1e6))
        elif found["bracket"] is not None:
            self._take_bracket(found["bracket"], position)
        elif found["break"] is not None:
            self._pieces.append(None)
        elif found["unclosed"] is not None:
            end = self._text[position : position + LONGEST_EXCERPT].split("\n", 1)[0]
            explanation = sentence(
                "it is read as words, as no '>' closes it; write {begin}NAME>",
                begin=found["unclosed"],
            )
            self._remark(position, end, explanation)
            self._pieces.append(found["unclosed"])
        else:
            self._take_text(found["text"])

    def _take_text(self, text: str) -> None:
        self._pieces.append(text)
        if text in ":|" and (inner := self._innermost()) is not None:
            if text == "|":
                inner.bar = True
            else:
                inner.colon = len(self._pieces)

    def _take_bracket(self, bracket: str, position: int) -> None:
        if bracket in self._open:
            one = _Open(len(self._pieces), position)
            self._open[bracket].append(one)
            self._order.append(one)
            self._pieces.append("")  # for the bracket, if it turns out to be text
        elif bracket == ")":
            self._close_round(bracket, BRACKET_WEIGHT)
        else:
            self._close_square()

    def _close_round(self, written: str, factor: float) -> None:
        if not self._open["("]:
            for text in (written[0], written[1:]):
                self._take_text(text)
            return
        one = self._close("(")
        self._spans["("].append(_Span(one.piece, len(self._pieces), factor))

    def _close_square(self) -> None:
        if not self._open["["]:
            self._pieces.append("]")
            return
        one = self._close("[")
        if self._changes(one):
            self._pieces[one.piece] = "["
            self._pieces.append("]")
            excerpt = self._text[one.position : one.position + LONGEST_EXCERPT]
            self._remark(
                one.position,
                excerpt[: excerpt.find("]") + 1] or excerpt,
                sentence("a prompt that changes from step to step is read as words"),
            )
        else:
            self._spans["["].append(_Span(one.piece, len(self._pieces), 1 / BRACKET_WEIGHT))

    def _changes(self, one: _Open) -> bool:
        """Return whether a square bracket is `[from:to:when]`, `[to:when]` or `[one|other]`."""
        tail = self._pieces[one.colon :] if one.colon >= 0 else []
        is_short = 0 < len(tail) <= 2  # a number is one piece, or two
        return one.bar or (
            is_short and _WHOLE_NUMBER.fullmatch("".join(filter(None, tail)).strip()) is not None
        )

    def _close(self, kind: str) -> _Open:
        one = self._open[kind].pop()
        self._closed.add(one.piece)
        return one

    def _innermost(self) -> _Open | None:
        while self._order and self._order[-1].piece in self._closed:
            self._order.pop()
        return self._order[-1] if self._order else None

    def _take_reference(self, found: re.Match[str]) -> None:
        position, whole = found.start(), found[0]
        kind, named = found["kind"].lower(), found["named"]
        if kind == "layer":
            if not named.strip():
                problem = sentence("no layer is named; write <layer:NAME>")
                raise PromptError(position, whole, problem)
            self._layers.append(LayerReference(named.strip(), position))
            return
        name, *given = (part.strip() for part in named.split(":"))
        if not name:
            raise PromptError(position, whole, sentence("no LoRA is named; write <lora:NAME:0.8>"))
        self._loras.append(self._read_lora(name, given, position, whole))

    def _read_lora(self, name: str, given: list[str], position: int, whole: str) -> LoraReference:
        """Read what is behind a LoRA's name, as A1111: `:encoder:denoiser`, `:te=1:unet=1`."""
        numbers: dict[str, float] = {}
        unread = []
        for place, part in enumerate(given):
            key, is_named, value = part.partition("=")
            if not is_named:
                key, value = ("te", "unet", "dyn")[min(place, 2)], part
            if key.strip() not in ("te", "unet"):
                unread.append(part)
            elif value.strip():
                numbers[key.strip()] = self._read_number(value.strip(), name, position, whole)
        if any(unread):
            parts = Listing(map(shorten_excerpt, filter(None, unread)))
            self._remark(position, whole, sentence("{parts!r} of it is not used", parts=parts))
        encoder = numbers.get("te", 1.0)
        return LoraReference(name, numbers.get("unet", encoder), encoder, position)

    def _read_number(self, value: str, name: str, position: int, whole: str) -> float:
        if _WHOLE_NUMBER.fullmatch(value) is None:
            raise PromptError(
                position,
                whole,
                sentence(
                    "its strength {strength!r} is not a number; write <lora:{lora}:0.8>",
                    strength=shorten_excerpt(value),
                    lora=name,
                ),
            )
        return _limited(float(value), 1e6)

    def _remark(self, position: int, excerpt: str, explanation: Sentence) -> None:
        """Keep the first remark of each kind."""
        if explanation not in self._remarks and len(self._remarks) < 10:
            short = excerpt if len(excerpt) <= LONGEST_EXCERPT else excerpt[:LONGEST_EXCERPT]
            self._remarks[explanation] = Remark(position, short, explanation)

    def finish(self) -> ParsedPrompt:
        """Return what was read."""
        for kind, factor in (("(", BRACKET_WEIGHT), ("[", 1 / BRACKET_WEIGHT)):
            if self._open[kind]:
                one = self._open[kind][0]
                excerpt = self._text[one.position : one.position + LONGEST_EXCERPT]
                explanation = sentence(
                    "this bracket is not closed, so it weighs all that follows; close it, or write"
                    " \\{bracket} for a bracket",
                    bracket=kind,
                )
                self._remark(one.position, excerpt, explanation)
            last = len(self._pieces)
            self._spans[kind] += [_Span(one.piece, last, factor) for one in self._open[kind]]
        return ParsedPrompt(
            tuple(self._chunks()),
            tuple(self._loras),
            tuple(self._layers),
            tuple(self._remarks.values()),
        )

    def _chunks(self) -> Iterator[tuple[Segment, ...]]:
        count = len(self._pieces)
        self._positions += [self._position] * (count - len(self._positions))
        products = zip(_products(self._spans["("], count), _products(self._spans["["], count))
        chunk: list[tuple[list[str], float]] = []
        for piece, position, (of_round, of_square) in zip(self._pieces, self._positions, products):
            if piece is None:
                yield _segments(chunk)
                chunk = []
                continue
            product = round(of_round * of_square, 6)
            weight = _limited(product, MAX_WEIGHT)
            if weight != product and piece.strip():
                explanation = sentence(
                    "its weight is over {most:g}; {weight:g} is used",
                    most=MAX_WEIGHT,
                    weight=weight,
                )
                self._remark(position, piece, explanation)
            if not piece:
                continue
            if not chunk or chunk[-1][1] != weight:
                chunk.append(([], weight))
            chunk[-1][0].append(piece)
        yield _segments(chunk)


def _segments(chunk: list[tuple[list[str], float]]) -> tuple[Segment, ...]:
    return tuple(Segment("".join(pieces), weight) for pieces, weight in chunk)


def _products(spans: list[_Span], count: int) -> list[float]:
    """Return each piece's product of the factors of all spans that it lies in.

    Parameters
    ----------
    spans : list of _Span
        Any two of them lie in each other or apart.
    count : int
        How many pieces there are.
    """
    begin: list[list[float]] = [[] for _ in range(count + 1)]
    end = [0] * (count + 1)
    for span in sorted(spans, key=lambda one: -one.last):  # those further out first
        begin[span.first].append(span.factor)
        end[span.last] += 1
    found, products = [], [1.0]
    for piece in range(count):
        if end[piece]:
            del products[-end[piece] :]
        for factor in begin[piece]:
            products.append(_limited(products[-1] * factor, _LARGE))
        found.append(products[-1])
    return found


def _limited(number: float, most: float) -> float:
    return max(-most, min(most, number))
