"""The request: everything one generation needs, without pixels.

Its parameters are the vocabulary of the command line, of the editors, of the wire and of recipes.
To add one, declare it in its group: here, or in the module of its subject. `rules.check_request`
has what involves more than one of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from .conditioning import ConditioningSettings
from .control_layers import ControlPicture
from .geometry import Extent
from .parameters import Parameter, ParameterGroup, declare
from .sampling import MAX_NAME, PICTURE_MODES, SamplingSettings
from .sentences import Label
from .variations import VariationSettings

MAX_PROMPT = 20_000
"""Characters of the longest prompt that is taken."""

MODES: dict[str, Label] = {
    "auto": "Automatic",
    "inpaint": "Fill erased (inpaint)",
    "img2img": "Repaint (img2img)",
    "txt2img": "New image (txt2img)",
    "edit": "Edit by instruction (edit)",
}
"""The modes, and what editors call each."""

FILLS: dict[str, Label] = {
    "auto": "Automatic",
    "underpaint": "Colour underneath",
    "neighbours": "Surrounding colours",
    "noise": "Noise",
}
"""What the model can start from in erased areas, and what editors call each."""

CONTEXTS: dict[str, Label] = {"layer": "This layer", "below": "This layer and those below"}
"""What the model can see around what it paints, and what editors call each."""

RESULTS: dict[str, Label] = {"patch": "Changed area only", "layer": "Whole layer"}
"""What can come back, and what editors call each."""

BLENDS: dict[str, Label] = {"seamless": "Match the surroundings", "none": "As painted"}
"""How what was painted meets what is kept, and what editors call each."""

AREAS: dict[str, Label] = {"separate": "Each in its own run", "single": "All in one run"}
"""How areas that lie far apart are painted."""

_PIXELS = (8, 16384)


@dataclass(frozen=True)
class PromptSettings(ParameterGroup):
    """What the image shows, and what it does not."""

    positive: str = declare(
        "",
        Parameter(
            "What the image should show: subject, light, weather, medium. (word:1.3) weighs more,"
            " [word] less. The seed picks one of {day|night}.",
            most=MAX_PROMPT,
            usage="Quotes are not needed.",
            label="Prompt",
            tip="Ctrl+Enter generates; the up and down arrow keys recall earlier prompts, and with"
            " Ctrl change the weight of the words at the caret.",
            lines=3,
            name="prompt",
        ),
    )
    negative: str = declare(
        "",
        Parameter(
            "What the image should not show or look like. Usually left empty.",
            most=MAX_PROMPT,
            flags=("--negative",),
            metavar="PROMPT",
            usage="Used where the guidance scale is over 1.",
            label="Negative prompt",
            name="negative_prompt",
        ),
    )


@dataclass(frozen=True)
class SourceSettings(ParameterGroup):
    """What the model is given of the layer."""

    fill: str = declare(
        "auto",
        Parameter(
            "What the model starts from in erased areas. Automatic uses the colour underneath, or"
            " the surrounding colours where none is left (after Clear or Cut).",
            choices=FILLS,
            flags=("--fill",),
            label="Fill holes from",
            modes=PICTURE_MODES,
        ),
    )
    context: str = declare(
        "layer",
        Parameter(
            "What the model sees around what it paints: this layer alone, or also what is visible"
            " below it. Only this layer's own holes are painted. Where they have no colour of"
            " their own, the model starts from the colour below.",
            choices=CONTEXTS,
            flags=("--context",),
            chosen_by_flag="below",
            metavar="FILE",
            names_file=True,
            usage="FILE is a picture of what is visible below, as large as that of -I.",
            label="Context",
        ),
    )


@dataclass(frozen=True)
class OutputSettings(ParameterGroup):
    """What comes back."""

    result: str = declare(
        "layer",
        Parameter(
            "A small layer with only the changed area, to lie over yours, or a changed copy of your"
            " whole layer.",
            choices=RESULTS,
            flags=("--patch",),
            chosen_by_flag="patch",
            usage="This option chooses the small layer.",
            label="Result",
        ),
    )
    blend: str = declare(
        "seamless",
        Parameter(
            "What was painted takes on the colours and light that the kept pixels around it have,"
            " most of all at the edge. Or it stays as the model painted it.",
            choices=BLENDS,
            flags=("--no-blend",),
            chosen_by_flag="none",
            usage="This option leaves it as painted.",
            label="Edges",
            modes=PICTURE_MODES,
        ),
    )


@dataclass(frozen=True)
class SizeSettings(ParameterGroup):
    """The size that the model works in."""

    width: int | None = declare(
        None,
        Parameter(
            "With -H, the box that the model works in, instead of its native size; the result keeps"
            " the input's size. Without -I, the size of the new image.",
            limits=_PIXELS,
            flags=("-W", "--width"),
        ),
    )
    height: int | None = declare(
        None,
        Parameter("The height of that box; see -W.", limits=_PIXELS, flags=("-H", "--height")),
    )
    fit: bool = declare(
        False,
        Parameter(
            "Scales the whole image into that box first; the result then has the scaled size.",
            flags=("--fit",),
        ),
    )
    areas: str = declare(
        "separate",
        Parameter(
            "Erased or selected areas that lie far apart are painted one after the other, each at"
            " its best size. In one run they fit each other better, and have less detail.",
            choices=AREAS,
            flags=("--single-area",),
            chosen_by_flag="single",
            usage="This option paints them in one run.",
            modes=PICTURE_MODES,
        ),
    )

    @property
    def box(self) -> Extent | None:
        """The box that width and height ask for; None where they are not given."""
        if self.width is None or self.height is None:
            return None
        return Extent(self.width, self.height)


@dataclass(frozen=True)
class Request(ParameterGroup):
    """What the artist asked for, by subject. Each declaration says what its field means and may be.

    A parameter that is declared `by_model` may be left to the model, and is by default.

    Examples
    --------
    >>> request = Request.of(prompt="a lake", steps=30)
    >>> request == Request(PromptSettings("a lake"), sampling=SamplingSettings(steps=30))
    True
    >>> request.with_values(strength=0.5).sampling.strength
    0.5
    >>> request.value("steps")
    30
    """

    prompt: PromptSettings = PromptSettings()
    style: str = declare(
        "",
        Parameter(
            "Adds words to the prompt, and chooses model, LoRAs, sampler, steps and guidance where"
            " you have not changed them.",
            choices={"": "None"},
            is_open=True,
            most=MAX_NAME,
            flags=("--style",),
            usage="`underpaint styles` lists those that are there.",
            label="Style",
        ),
    )
    mode: str = declare(
        "auto",
        Parameter(
            "Automatic fills what is erased inside the selection (inpaint), repaints the layer if"
            " nothing is erased or it is text or vectors (img2img), and starts from the prompt"
            " alone if it is empty or a new white document (txt2img). An empty layer with a"
            " selection is filled to fit what is visible below it (inpaint). A model that was made"
            " to edit follows the prompt as an instruction, such as: make it winter (edit).",
            choices=MODES,
            flags=("--mode",),
            usage="The layer is the image of -I; a white one is repainted.",
            label="Mode",
        ),
    )
    sampling: SamplingSettings = SamplingSettings()  # noqa: RUF009 - it is frozen
    conditioning: ConditioningSettings = ConditioningSettings()  # noqa: RUF009
    source: SourceSettings = SourceSettings()
    output: OutputSettings = OutputSettings()
    size: SizeSettings = SizeSettings()
    variation: VariationSettings = VariationSettings()  # noqa: RUF009
    control_picture: ControlPicture = ControlPicture()  # noqa: RUF009
    """What to make of the layer instead of painting; the rest of the request then does not count.
    No option and no field of a form sets it, so it is not declared as a parameter."""
