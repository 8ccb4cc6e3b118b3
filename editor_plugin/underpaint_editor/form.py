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
        "Prompt",
        "What the image should show: subject, light, weather, medium. Ctrl+Enter generates; the up"
        " and down arrow keys recall earlier prompts. The seed picks one of {day|night}.",
        3,
    ),
    Text(
        "negative_prompt",
        "Negative prompt",
        "What the image should not show or look like. Usually left empty.",
        1,
    ),
    _number(
        "strength",
        "Strength",
        "Denoising strength: 0 keeps the image, 1 ignores it. 0.35 is a minor, 0.55 a moderate,"
        " 0.75 a significant change. What you erased halfway changes half as much.",
        step=0.05,
        decimals=2,
    ),
    Choice(
        "mode",
        "Mode",
        "Automatic fills what is erased inside the selection (inpaint), repaints the layer if"
        " nothing is erased (img2img), and starts from the prompt alone if it is empty (txt2img).",
        {
            "auto": "Automatic",
            "inpaint": "Fill erased areas (inpaint)",
            "img2img": "Repaint the layer (img2img)",
            "txt2img": "New image (txt2img)",
        },
    ),
    _number(
        "steps",
        "Steps",
        "Sampling steps: more take longer and add detail. Only steps x strength are run: 15 of 20"
        " at strength 0.75.",
    ),
    Switch(
        "compensate",
        "Run all steps",
        "Runs all steps whatever the strength. Slower, with more detail at low strengths.",
    ),
    _number(
        "guidance_scale",
        "Guidance (CFG)",
        "How closely to follow the prompt. Low values are loose and soft, high values literal and"
        " harsh; 7.5 suits most models.",
        step=0.5,
        decimals=1,
    ),
    _number(
        "seed",
        "Seed",
        "The same seed and settings give the same image. Unless it is locked, each run draws a new"
        " seed.",
    ),
    _number("images", "Images", "How many images to make. Each one uses the next seed."),
    Choice(
        "sampler",
        "Sampler",
        "The sampling method. Automatic chooses one that suits the model. dpmpp_2m is fast and"
        " stable; those ending in _a (ancestral) vary more, and blend filled holes in better.",
        {"auto": "Automatic", **{name: name for name in SAMPLERS}},
    ),
    Choice(
        "model",
        "Model",
        "The starter model knows landscapes only. For everything else, put a Stable Diffusion model"
        " folder into Underpaint's models folder.",
        {"": "Default"},
    ),
    Choice(
        "fill",
        "Fill holes from",
        "What the model starts from in erased areas. Automatic uses the colour underneath, or the"
        " surrounding colours where none is left (after Clear or Cut).",
        {
            "auto": "Automatic",
            "underpaint": "Colour underneath",
            "neighbours": "Surrounding colours",
            "noise": "Noise",
        },
    ),
    Choice(
        "result",
        "Result",
        "A small layer with only the changed area, to lie over yours, or a changed copy of your"
        " whole layer.",
        {"patch": "Changed area only", "layer": "Whole layer"},
    ),
    Switch(
        "previews",
        "Live preview",
        "Shows the unfinished image on the canvas, updated a few times a second.",
    ),
    Number(
        "vary_amount",
        "Variation",
        "How much Vary changes the selected result: 0.1 changes details, 0.5 a lot, 1 makes a"
        " different image.",
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
        Button(
            "generate", "Generate", "Generate images as described above (Ctrl+Enter in the prompt)"
        ),
        Button(
            "cancel",
            "Cancel",
            "Stop all jobs. Finished images are kept, and the preview if you ask",
        ),
        Button("vary", "Vary", "Make variations of the selected result, in its group"),
        Button("settings", "Settings", "Copy the settings of the selected result"),
        Button("previous", "\u25c0", "Show the previous result"),
        Button("next", "\u25b6", "Show the next result"),
        Button(
            "compare",
            "Compare",
            "Hold to see the original layer without its results",
        ),
        Button(
            "keep",
            "Keep",
            "Keep this result and delete the others of its group, except locked ones. Undo restores"
            " them",
        ),
        Button("drop", "\u2715", "Cancel this job. Its finished images are kept"),
        Button("hurry", "\u2191", "Run this job next"),
        Button("seed_dice", "New", "Draw a new seed"),
        Button("seed_locked", "Lock", "Reuse this seed"),
    )
}

RESULT_BUTTONS = ("previous", "next", "compare", "keep", "vary", "settings")
"""Those that are shown while a result is selected; the amount of variation is beside `vary`."""

SPOKEN = {
    "plan": "What Generate will do",
    "status": "Status",
    "progress": "Progress",
    "preview": "Live preview",
    "page": "Results shown",
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
        return "keeps the image"
    if strength < 0.45:
        return "minor change"
    if strength < 0.65:
        return "moderate change"
    return "significant change" if strength < 1 else "ignores the original"
