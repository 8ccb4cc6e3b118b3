"""Sentences that people read, kept as a template and its values so that they can be translated.

As with gettext, the English template is the key of the catalogue:

    sentence("the seed {seed} is out of range; it goes from 0 to {most}", seed=seed, most=MOST)
    sentence("{count} pixel was filled", "{count} pixels were filled", count=lost)

The result is the English text, an ordinary `str`, which also knows its template and values. A text
without values needs no call: it is its own template. `translate` renders either in the language of
a catalogue.

Values are only ever put in, and never read as templates. A field of a template is a name, with `!r`
for quotes or a short format after it (`{size:,}`, `{share:.0%}`); `str.format`'s attributes and
indexes are refused, as templates may come from files and other machines.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any, NamedTuple, Protocol

from .printable import capitalize_first, printable

Label = str
"""The type of a declaration that people read: a literal without values, its own template."""

LONGEST = 8192
"""Characters of the longest sentence that is kept with its values; of a longer one only the text.

It bounds the templates and values together, and what comes of them.
"""

MOST_WHOLE = 2**63
"""A whole number as large as this is kept as text."""

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,39}", re.ASCII)
_FORMAT = re.compile(r"0?[0-9]{0,2}[,_]?(\.[0-9]{1,2})?[dfegsx%]?", re.ASCII)


class Catalogue(Protocol):
    """The translations of one language; those of `gettext` are."""

    def gettext(self, message: str, /) -> str:
        """Return the translation of a template; the template itself if there is none."""

    def ngettext(self, singular: str, plural: str, n: int, /) -> str:
        """Return the translation of a template for a count."""


class Sentence(str):
    """A text to read that knows what it was made of; `sentence` makes one.

    Parameters
    ----------
    text : str
        In English.

    Attributes
    ----------
    template : str
        What the text was made of; empty if the text is all that is known.
    plural : str
        The template for every `count` but 1; empty if there is only one.
    values : mapping of str to value
        By name: str, int, float, `Sentence`, or `Listing` of such.
    """

    __slots__ = ("plural", "template", "values")

    template: str
    plural: str
    values: Mapping[str, Any]

    def __new__(  # noqa: PYI034 - Python 3.9 has no `Self`
        cls,
        text: str,
        template: str = "",
        plural: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> Sentence:
        """Make a sentence whose text was rendered before."""
        made = super().__new__(cls, text)
        made.template, made.plural, made.values = template, plural, dict(values or {})
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        return str(self), self.template, self.plural, self.values

    def map_text(self, function: Callable[[str], str]) -> Sentence:
        """Return the sentence with a function applied to its text, such as `printable`.

        The values are kept if the function does to them what it does to the text.
        """
        text = function(str(self))
        if text == self:
            return self
        values = {name: _map_value(value, function) for name, value in self.values.items()}
        return _checked(text, self.template, self.plural, values)


NO_TEXT = Sentence("")


class Listing(tuple[Any, ...]):
    """Values that a sentence names one after another, with commas between."""

    __slots__ = ()


class Clauses(Listing):
    """Clauses that follow each other as sentences: each with a capital, full stops between."""

    __slots__ = ()


class Verbatim(str):
    """A value of another type as the text that it has in its field, quotes and format included."""

    __slots__ = ()


def sentence(template: str, plural: str = "", /, **values: object) -> Sentence:
    """Return a sentence in English that can be translated later.

    Parameters
    ----------
    template : str
        In English, with `{name}` for each value; a literal, so that it is found for translation.
    plural : str, optional
        The same for every `count` but 1.
    **values : object
        Put in as by `str.format`, but for a `Listing`, and an error as its sentence. What is not
        text, number, sentence or listing is kept as the text that it has here.

    Raises
    ------
    ValueError
        The template is not valid, or lacks a value.
    """
    chosen = choose(template, plural, values)
    kept = {field.name: _keep(value, field) for field, value in _uses(chosen, values)}
    if plural and type(values["count"]) is int:
        kept["count"] = values["count"]
    text = render(chosen, values, math.inf)
    return _checked(text, template, plural, kept)


def as_sentence(text: str) -> Sentence:
    """Return a text from a file or another machine as a sentence, with its values if it has any."""
    return text if isinstance(text, Sentence) else Sentence(text)


def join_sentences(*clauses: str, stop: bool = True) -> Sentence:
    """Return clauses as sentences that follow each other, each with a capital.

    Parameters
    ----------
    *clauses : str
        Sentences, or texts that are their own templates. A stop at the end of one makes no
        difference.
    stop : bool
        Whether the last one has a full stop too.
    """
    kept = Clauses(map(as_sentence, clauses))
    if stop:
        return sentence("{clauses}.", clauses=kept)
    return sentence("{clauses}", clauses=kept)


def translate(text: str, catalogue: Catalogue) -> str:
    """Return a sentence in the language of a catalogue.

    Parameters
    ----------
    text : str
        A `Sentence`, or a text that is its own template.
    catalogue : Catalogue

    Returns
    -------
    str
        In English where the catalogue lacks the sentence, or its translation asks for a value that
        there is not or is not valid. Values are `printable`, as a translation may leave out the
        quotes that made them so.
    """
    if not text:
        return ""  # gettext's catalogues have their header under it
    if not isinstance(text, Sentence) or not find_names(text.template + text.plural):
        return catalogue.gettext(str(text))
    if text.plural:
        template = catalogue.ngettext(text.template, text.plural, text.values["count"])
    else:
        template = catalogue.gettext(text.template)
    try:
        values = {name: _translate_value(one, catalogue) for name, one in text.values.items()}
        return printable(render(template, values, LONGEST * 4))
    except ValueError:
        return str(text)


# ---- templates ------------------------------------------------------------------------------


class _Field(NamedTuple):
    """A part of a template: literal text, then the value `name`; an empty name for none."""

    literal: str
    name: str
    is_quoted: bool
    format: str


@functools.lru_cache(maxsize=512)
def _parse(template: str) -> tuple[_Field, ...]:
    """Return the parts of a template; raise a `ValueError` for what no template may have."""
    parts = []
    for literal, name, written, conversion in Formatter().parse(template):
        if name is not None and not (
            _NAME.fullmatch(name)
            and _FORMAT.fullmatch(written or "")
            and conversion in (None, "r")
            and not (conversion and written)
        ):
            raise ValueError(f"the template {template[:200]!r} has a field that is not allowed")
        parts.append(_Field(literal, name or "", conversion == "r", written or ""))
    return tuple(parts)


def find_names(template: str) -> frozenset[str]:
    """Return the names of the values that a template asks for.

    Raises
    ------
    ValueError
        The template is not valid.
    """
    return frozenset(field.name for field in _parse(template) if field.name)


def choose(template: str, plural: str, values: Mapping[str, Any]) -> str:
    """Return which of two templates is for the `count` in the values.

    Raises
    ------
    ValueError
        There is a plural, and no whole `count`.
    """
    if not plural:
        return template
    if type(values.get("count")) is not int:
        raise ValueError(f"the template {template[:200]!r} has a plural, and needs a whole `count`")
    return template if values["count"] == 1 else plural


def _uses(template: str, values: Mapping[str, Any]) -> list[tuple[_Field, Any]]:
    """Return the fields of a template with their values, each value at its first field."""
    fields = {field.name: field for field in reversed(_parse(template)) if field.name}
    missing = fields.keys() - values.keys()
    if missing:
        raise ValueError(f"the template {template[:200]!r} lacks a value: {sorted(missing)}")
    return [(field, values[name]) for name, field in fields.items()]


def render(template: str, values: Mapping[str, Any], longest: float) -> str:
    """Put values into a template; raise a `ValueError` if it does not work, or is too long."""
    told, length = [], 0
    for field in _parse(template):
        if field.name and field.name not in values:
            raise ValueError(f"there is no value {field.name}")
        told.append(field.literal + (_put(values[field.name], field) if field.name else ""))
        length += len(told[-1])
        if length > longest:
            raise ValueError("the text is too long")
    return "".join(told)


def _put(value: Any, field: _Field) -> str:
    if isinstance(value, Clauses):
        return ". ".join(_begin(_put(one, field)) for one in value)
    if isinstance(value, Listing):
        return ", ".join(_put(one, field) for one in value)
    if isinstance(value, Verbatim):
        return str(value)
    value = getattr(value, "sentence", value) if isinstance(value, Exception) else value
    return repr(value) if field.is_quoted else format(value, field.format)


def _begin(clause: str) -> str:
    """Return a clause as a sentence begins, without its stop."""
    is_stopped = clause.endswith(".") and not clause.endswith("..")
    return capitalize_first(clause[:-1] if is_stopped else clause)


# ---- values ---------------------------------------------------------------------------------


def _keep(value: Any, field: _Field) -> Any:
    """Return a value as a sentence keeps it, which JSON can hold."""
    if isinstance(value, Exception):
        value = getattr(value, "sentence", value)
    if isinstance(value, Sentence):
        return value if value.template or not value else _as_template(value)
    if isinstance(value, Listing):
        return type(value)(_keep(one, field) for one in value)
    if type(value) is str or (type(value) is int and abs(value) < MOST_WHOLE):
        return value
    if type(value) is float and math.isfinite(value):
        return value
    text = _put(value, field)
    return Verbatim(text) if field.is_quoted or field.format else text


def _as_template(text: str) -> Sentence:
    """Return a sentence that is its own template, so that it is translated within another."""
    return Sentence(text, text.replace("{", "{{").replace("}", "}}"))


def _checked(text: str, template: str, plural: str, values: Mapping[str, Any]) -> Sentence:
    """Return a sentence with its values if they make its text, else without."""
    try:
        made = render(choose(template, plural, values), values, math.inf)
    except ValueError:
        made = ""
    return Sentence(text, template, plural, values) if made == text else Sentence(text)


def _map_value(value: Any, function: Callable[[str], str]) -> Any:
    if isinstance(value, Listing):
        return type(value)(_map_value(one, function) for one in value)
    if isinstance(value, Sentence):
        return value.map_text(function)
    if isinstance(value, str):
        return type(value)(function(str(value)))
    return value


def _translate_value(value: Any, catalogue: Catalogue) -> Any:
    if isinstance(value, Listing):
        return type(value)(_translate_value(one, catalogue) for one in value)
    return translate(value, catalogue) if isinstance(value, Sentence) else value
