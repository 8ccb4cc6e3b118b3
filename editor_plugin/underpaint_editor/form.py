"""The form that every editor shows: its fields in order, their words, ranges and defaults.

An editor turns each `Field` into a control of its own toolkit, called by the field's name, and
knows nothing else about it.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Union

from underpaint_client.request import Request
from underpaint_client.rules import RANGES
from underpaint_client.samplers import SAMPLERS


@dataclass(frozen=True)
class Text:
    """Several lines of text.

    Parameters
    ----------
    name : str
        Of the field in `Form`, and of the control.
    label : str
        Beside or in it.
    tip : str
        What it does, in a sentence or two.
    lines : int
        How many are shown.
    """

    name: str
    label: str
    tip: str
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
    """

    name: str
    label: str
    tip: str
    minimum: float
    maximum: float
    step: float = 1
    decimals: int = 0


@dataclass(frozen=True)
class Choice:
    """One of several: the values, and what each is called."""

    name: str
    label: str
    tip: str
    options: dict[str, str]


@dataclass(frozen=True)
class Switch:
    """Yes or no."""

    name: str
    label: str
    tip: str


Field = Union[Text, Number, Choice, Switch]


def _number(name: str, label: str, tip: str, **more: Any) -> Number:
    low, high = RANGES[name]
    return Number(name, label, tip, low, high, **more)


FIELDS: tuple[Field, ...] = (
    Text(
        "prompt",
        "What to paint",
        "Say what you want to see, in your own words: things, light, weather, medium."
        " Ctrl+Enter generates; the arrow keys up and down bring back earlier prompts. Of"
        " {day|night} one is chosen by the seed.",
        3,
    ),
    Text(
        "negative_prompt",
        "What to stay away from",
        "What the picture should not show or look like. Mostly left empty.",
        1,
    ),
    _number(
        "strength",
        "Strength",
        "How much may change: 0 keeps the picture, 1 ignores it. .35 is a minor, .55 a moderate,"
        " .75 a significant change. What you erased halfway changes half as much.",
        step=0.05,
        decimals=2,
    ),
    Choice(
        "mode",
        "Mode",
        "Automatic looks at the layer: fills what is erased inside the selection; repaints the"
        " layer where nothing is; paints anew where it is empty.",
        {
            "auto": "Automatic",
            "inpaint": "Fill what is erased",
            "img2img": "Repaint the layer",
            "txt2img": "Paint anew",
        },
    ),
    _number(
        "steps",
        "Steps",
        "How finely it is worked out. Steps x strength of them run: 20 at 0.75 run 15.",
    ),
    Switch(
        "compensate",
        "Run all steps",
        "Runs all steps whatever the strength: slower, finer at low strengths.",
    ),
    _number(
        "guidance_scale",
        "Guidance",
        "How closely to follow the words. Low is free and soft, high is literal and hard; 7.5 suits"
        " most models.",
        step=0.5,
        decimals=1,
    ),
    _number(
        "seed",
        "Seed",
        "The same seed and settings give the same picture. Unlocked, each run draws a new one.",
    ),
    _number("images", "Images", "How many to make; the seed counts up."),
    Choice(
        "sampler",
        "Sampler",
        "How noise becomes picture. Automatic: what suits the model. dpmpp_2m is quick and steady;"
        " k_lms and ddim are the classics; those ending in _a wander, and blend holes in better.",
        {"auto": "Automatic", **{name: name for name in SAMPLERS}},
    ),
    Choice(
        "model",
        "Model",
        "What paints. The starter model knows landscapes only; put Stable Diffusion folders into"
        " Underpaint's models folder for everything else.",
        {"": "Default"},
    ),
    Choice(
        "fill",
        "Underneath",
        "What the model sees in a hole. Automatic: the colour that lies under it, and where none is"
        " left (Clear, Cut) the colours around.",
        {
            "auto": "Automatic",
            "underpaint": "The colour underneath",
            "neighbours": "The colours around",
            "noise": "Noise",
        },
    ),
    Choice(
        "result",
        "Result",
        "Only what was painted, as a small layer to lie over yours, or the whole layer anew.",
        {"patch": "Only what was painted", "layer": "The whole layer"},
    ),
    Switch(
        "previews",
        "Show it while it paints",
        "Shows on the canvas, a few times a second, what the picture looks like so far.",
    ),
    Number(
        "vary_amount",
        "Variation",
        "How far Vary goes from the result that is selected: 0.1 changes details, 0.5 a lot, 1 is"
        " another picture.",
        0.05,
        1.0,
        0.05,
        2,
    ),
)


ROWS = (
    "mode", "steps", "compensate", "guidance_scale", "seed", "images", "sampler", "model", "fill",
    "result", "previews",
)  # fmt: skip
"""The fields that stand below the buttons, in order; the others have places of their own."""


@dataclass(frozen=True)
class Button:
    """Something to press."""

    name: str
    label: str
    tip: str


BUTTONS = {
    button.name: button
    for button in (
        Button("generate", "Generate", "Paint, as the line above says (Ctrl+Enter in the text)"),
        Button(
            "cancel", "Cancel", "Stop what was asked for; what has come stays, the sketch if asked"
        ),
        Button("vary", "Vary", "Make variations of the result that is selected, beside it"),
        Button("settings", "Settings", "Take over the settings that made this result"),
        Button("previous", "\u25c0", "Show the result before"),
        Button("next", "\u25b6", "Show the next result"),
        Button(
            "compare",
            "Compare",
            "Hold to see the layer as it was, without any result made from it",
        ),
        Button(
            "keep",
            "Keep",
            "Keep this result and remove the others of its group, but for locked ones; undo brings"
            " them back",
        ),
        Button("drop", "\u2715", "Stop this job; what has come of it stays"),
        Button("hurry", "\u2191", "Paint this one next"),
        Button("seed_dice", "New", "Draw a new seed"),
        Button("seed_locked", "Lock", "Take this seed again and again"),
    )
}

RESULT_BUTTONS = ("previous", "next", "compare", "keep", "vary", "settings")
"""Those that are shown while a result is selected; the amount of variation is beside `vary`."""

SPOKEN = {
    "plan": "What the next run will do",
    "status": "What happened last",
    "progress": "Progress",
    "preview": "The picture so far",
    "page": "Which results are shown",
}
"""What screen readers call what is no control."""


@dataclass(frozen=True)
class Form:
    """What the controls hold. Fields that `Request` has too mean the same.

    Parameters
    ----------
    seed : int
        Taken where `seed_locked`; else the last one that was drawn.
    seed_locked : bool
        Whether the next run takes it again.
    vary_amount : float
        .05..1. How far variations of a result may go from it.
    previews : bool
        Whether to show the picture while it becomes.
    """

    prompt: str = ""
    negative_prompt: str = ""
    strength: float = Request.strength
    mode: str = Request.mode
    steps: int = Request.steps
    compensate: bool = Request.compensate
    guidance_scale: float = Request.guidance_scale
    seed: int = 0
    seed_locked: bool = False
    images: int = 1
    sampler: str = Request.sampler
    model: str = Request.model
    fill: str = Request.fill
    result: str = "patch"
    vary_amount: float = 0.2
    previews: bool = True

    def request(self, drawn: int) -> Request:
        """Return what is asked for.

        Parameters
        ----------
        drawn : int
            The seed to take where it is not locked, from `draw_seed`.
        """
        known = {field.name for field in fields(Request)}
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name in known}
        return Request(**{**values, "seed": self.seed if self.seed_locked else drawn})

    def to_text(self) -> str:
        """Return the form as text in ASCII, to be kept with a document."""
        return json.dumps({"version": 1, **asdict(self)})

    @classmethod
    def from_text(cls, text: str, default: Form | None = None) -> Form:
        """Read what `to_text` wrote.

        What cannot be used, or was not there yet in an older version, is as in `default`.
        """
        form = default or cls()
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            return form
        if not isinstance(found, dict):
            return form
        usable = {name: value for name, value in found.items() if _usable(name, value)}
        return replace(form, **usable)


def _usable(name: str, value: Any) -> bool:
    """Return whether a value that was read can stand in the form's field of that name."""
    default = getattr(Form(), name, None)
    if default is None:
        return False
    whole = isinstance(default, float) and type(value) is int
    if type(value) is not type(default) and not whole:
        return False
    if name == "vary_amount":
        return bool(0.05 <= value <= 1)
    if name in RANGES:
        low, high = RANGES[name]
        return bool(low <= value <= high)
    options = next((f.options for f in FIELDS if isinstance(f, Choice) and f.name == name), None)
    return options is None or name == "model" or value in options


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
        None where it cannot be one, or may be two: `1,234.5`.

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


def describe_strength(strength: float) -> str:
    """Say a strength (0..1) in a word or two, as the sliders' labels do."""
    if strength <= 0:
        return "keeps the picture"
    if strength < 0.45:
        return "minor change"
    if strength < 0.65:
        return "moderate change"
    return "significant change" if strength < 1 else "ignores the original"
