"""The form that every editor shows: its fields in order, their words, ranges and defaults.

An editor turns each `Field` into a control of its own toolkit, called by the field's name, and
knows nothing else about it.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Union

from underpaint_client.errors import BadInputError
from underpaint_client.parameters import Parameter, ParameterGroup, declare, parameters_of
from underpaint_client.parsed_prompt import PromptError
from underpaint_client.prompt_check import find_prompt_error
from underpaint_client.request import Request
from underpaint_client.sentences import Sentence, as_sentence, join_sentences, sentence
from underpaint_client.typed_json import read_value


@dataclass(frozen=True)
class Text:
    """Several lines of text.

    Parameters
    ----------
    name : str
        Of the field in `Form`, and of the control.
    label : Sentence
        Beside or in it.
    tip : Sentence
        What it does, in a sentence or two.
    lines : int
        How many are shown.
    """

    name: str
    label: Sentence
    tip: Sentence
    lines: int


@dataclass(frozen=True)
class Number:
    """A number.

    Parameters
    ----------
    minimum, maximum, step : float
        What it can be, and what an arrow key adds.
    decimals : int
        0 for a whole number.
    by_model : bool
        Its value may be None: the model's own number is used and shown, until the artist changes
        it. A button leaves it to the model again.
    """

    name: str
    label: Sentence
    tip: Sentence
    minimum: float
    maximum: float
    step: float = 1
    decimals: int = 0
    by_model: bool = False


@dataclass(frozen=True)
class Choice:
    """One of several.

    Parameters
    ----------
    options : dict of str to Sentence
        The values, and what each is called.
    by_model : bool
        The first of them leaves it to the model, whose own is shown beside it.
    """

    name: str
    label: Sentence
    tip: Sentence
    options: dict[str, Sentence]
    by_model: bool = False


@dataclass(frozen=True)
class Switch:
    """Yes or no."""

    name: str
    label: Sentence
    tip: Sentence


Field = Union[Text, Number, Choice, Switch]


_AT_FIRST = Request.of(seed=0, result="patch")
"""What a form asks for that nobody has changed; the rest is as everywhere."""

_TEXT_VERSION = 2

_UNTIL_1 = {"steps": 20, "guidance_scale": 7.5}
"""What version 1 of the text has where nobody had changed it: nothing was left to the model."""


@dataclass(frozen=True)
class Form(ParameterGroup):
    """What the controls hold: a request, and what editors alone need to know.

    Parameters of `Request` without a label have no control and are as by default.

    Parameters
    ----------
    settings : Request
        Its seed is used where `seed_locked`, and else the last one that was drawn.
    previews : bool
    vary_amount : float
    seed_locked : bool
        Whether the next run uses the seed again.
    """

    settings: Request = _AT_FIRST
    previews: bool = declare(
        True,
        Parameter(
            "Shows the unfinished image on the canvas, updated a few times a second.",
            label="Live preview",
        ),
    )
    vary_amount: float = declare(
        0.2,
        Parameter(
            "How much Vary changes the selected result: 0.1 changes details, 0.5 a lot, 1 makes a"
            " different image.",
            limits=(0.05, 1.0),
            label="Variation",
            step=0.05,
            decimals=2,
        ),
    )
    seed_locked: bool = declare(False, Parameter("Uses the seed again for the next run."))

    def request(self, drawn: int) -> Request:
        """Return what is asked for.

        Parameters
        ----------
        drawn : int
            The seed to take where it is not locked, from `draw_seed`.

        Raises
        ------
        PromptError, BadInputError
            The prompt, or the negative prompt, can be read in no way.
        """
        for name, error in self.prompt_errors().items():
            if error is not None and name == "prompt":
                raise error
            if error is not None:
                raise BadInputError("in the negative prompt, {error}", error=error)
        return self.settings if self.seed_locked else self.settings.with_values(seed=drawn)

    def left_to_model(self) -> Request:
        """Return what is asked for, with all that can be left to style and model left to them."""
        declared = parameters_of(Request)
        return self.settings.with_values(**{name: declared[name].default for name in BY_MODEL})

    def prompt_errors(self) -> dict[str, PromptError | None]:
        """Return what is wrong in each of the prompts, by the name of its field."""
        return {name: find_prompt_error(self.value(name)) for name in PROMPTS}

    def to_text(self) -> str:
        """Return what the controls hold as text in ASCII, to be kept with a document."""
        kept = {name: self.value(name) for name in _kept()}
        return json.dumps({"version": _TEXT_VERSION, **kept})

    @classmethod
    def from_text(cls, text: str, default: Form | None = None) -> Form:
        """Read what `to_text` wrote.

        What cannot be used, or was not there yet in an older version, is as in `default`. In
        version 1, steps and a guidance scale that nobody had changed are left to the model.
        """
        form = default or cls()
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return form
        if not isinstance(found, dict):
            return form
        if found.get("version") == 1:
            for name, usual in _UNTIL_1.items():
                if found.get(name) == usual:
                    found[name] = None
        return form.with_usable(found)

    def with_usable(self, values: Mapping[str, Any]) -> Form:
        """Return the form with those of the values, by name, that its controls can show."""
        usable: dict[str, Any] = {}
        for name in values.keys() & set(_kept()):
            with contextlib.suppress(ValueError):
                usable[name] = _read(name, values[name])
        return self.with_values(**usable)


def make_fields(parameters: Iterable[Parameter]) -> tuple[Field, ...]:
    """Return the controls of the parameters that have a label, in order.

    Raises
    ------
    TypeError
        There is no control for one of that type.
    """
    return tuple(_make_field(one) for one in parameters if one.label)


def _make_field(one: Parameter) -> Field:
    words = (one.name, as_sentence(one.label), join_sentences(*filter(None, (one.help, one.tip))))
    if one.choices:
        options = {value: as_sentence(label) for value, label in one.choices.items()}
        return Choice(*words, options, one.by_model)
    if one.kind is bool:
        return Switch(*words)
    if one.kind is str:
        return Text(*words, one.lines)
    if one.kind in (int, float) and one.limits is not None:
        return Number(*words, *one.limits, one.step, one.decimals, one.by_model)
    raise TypeError(f"{one.name} cannot be shown: there is no control for {one.kind}")


FIELDS = make_fields(parameters_of(Form).values())
"""The controls, in order."""

BY_MODEL = tuple(
    field.name for field in FIELDS if isinstance(field, (Number, Choice)) and field.by_model
)
"""The fields that follow the model until the artist changes them."""

PROMPTS = ("prompt", "negative_prompt")
"""The fields that are written in the language of prompts."""

LISTED = ("style", "model")
"""The fields whose choices the daemon lists."""

_ELSEWHERE = (*PROMPTS, "strength", "vary_amount")

ROWS = tuple(field.name for field in FIELDS if field.name not in _ELSEWHERE)
"""The fields that stand below the buttons, in order; the others have places of their own."""


def _kept() -> list[str]:
    """Return the names of what is kept with a document."""
    return [*(field.name for field in FIELDS), "seed_locked"]


def _read(name: str, value: Any) -> Any:
    """Return a value that was read, as the control of that name can show it.

    Raises
    ------
    ValueError
        It is not of the field's type, or the control cannot show it.
    """
    parameter = parameters_of(Form)[name]
    if parameter.is_left_to_model(value):
        return value
    read = read_value(name, parameter.kind, value)
    control = next((field for field in FIELDS if field.name == name), None)
    is_shown = True
    if isinstance(control, Number):
        is_shown = control.minimum <= read <= control.maximum
    elif isinstance(control, Choice) and name not in LISTED:
        is_shown = read in control.options
    if not is_shown:
        raise ValueError(f"{name} {value!r} cannot be shown")
    return read


_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)")
_THOUSANDS = re.compile(r"\d{1,3}([.,' ]\d{3})+")


def read_number(text: str, decimals: int) -> float | None:
    """Return the number that was typed, whatever decimal sign the system's language has.

    Parameters
    ----------
    text : str
        With a decimal point or a decimal comma. Whole numbers may have their thousands set apart.
    decimals : int
        The field's, 0 for a whole number.

    Returns
    -------
    float or None
        None if it cannot be one, or may be two: `1,234.5`.

    Examples
    --------
    >>> read_number("0,45", 2), read_number(".45", 2), read_number("1.000", 0)
    (0.45, 0.45, 1000.0)
    """
    plain = " ".join(text.split())
    if not decimals and _THOUSANDS.fullmatch(plain):
        plain = re.sub(r"[.,' ]", "", plain)
    if not _NUMBER.fullmatch(plain):
        return None
    value = float(plain.replace(",", "."))
    return value if decimals or value.is_integer() else None


def describe_own(label: Sentence, value: str) -> Sentence:
    """Return the option that leaves a choice to the model, with what the model has."""
    return sentence("{automatic} ({choice})", automatic=label, choice=value)


def describe_strength(strength: float) -> Sentence:
    """Return a strength (0..1) in a word or two, as the slider's label shows it."""
    if strength <= 0:
        return sentence("keeps the image")
    if strength < 0.45:
        return sentence("minor change")
    if strength < 0.65:
        return sentence("moderate change")
    if strength < 1:
        return sentence("significant change")
    return sentence("ignores the original")
