"""The request: everything one generation needs, without pixels.

Its parameters are the vocabulary of the command line, of the editors, of the wire and of recipes.
To add one, declare it in its group here; `rules.check_request` has what involves more than one of
them.
"""

from __future__ import annotations

from dataclasses import dataclass

from .conditioning import ConditioningSettings
from .control_layers import ControlPicture
from .errors import BadInputError
from .geometry import Extent
from .parameters import Parameter, ParameterGroup, declare
from .samplers import SAMPLERS, TRAIN_STEPS, choose_sampler
from .sentences import Label

SEEDS = 2**32
"""How many seeds there are: torch's CPU generator tells no more apart."""

MAX_PROMPT = 20_000
"""Characters of the longest prompt that is taken."""

MAX_NAME = 1024
"""Characters of the longest name or path of a model that is taken."""

MAX_VARIATIONS = 16
"""Variations of the longest list that is taken."""

MODES: dict[str, Label] = {
    "auto": "Automatic",
    "inpaint": "Fill erased (inpaint)",
    "img2img": "Repaint (img2img)",
    "txt2img": "New image (txt2img)",
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

_WITH_A_PICTURE = ("img2img", "inpaint")
_SEEDS = (0, SEEDS - 1)
_PIXELS = (8, 16384)


@dataclass(frozen=True)
class Variation:
    """A step from the noise so far towards that of another seed.

    Parameters
    ----------
    seed : int
        0 .. 2**32 - 1.
    weight : float
        0..1: 0 stays, 1 is the other seed's noise alone.
    """

    seed: int
    weight: float


def check_variations(variations: tuple[Variation, ...]) -> None:
    """Check each of a list of variations.

    Raises
    ------
    BadInputError
        Names the first number that is out of range.
    """
    for one in variations:
        if not 0 <= one.seed < SEEDS:
            raise BadInputError(
                "variation seed {seed} is out of range; it goes from 0 to {most}",
                seed=one.seed,
                most=SEEDS - 1,
            )
        if not 0 <= one.weight <= 1:  # false for NaN too
            raise BadInputError(
                "variation weight {weight} is out of range; it goes from 0 to 1", weight=one.weight
            )


def read_variations(text: str) -> tuple[Variation, ...]:
    """Read a list of variations as it is typed: `seed:weight,seed:weight`.

    Raises
    ------
    BadInputError
        Names the entry that cannot be read.
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        seed, _, weight = part.partition(":")
        try:
            found.append(Variation(int(seed), float(weight)))
        except ValueError:
            raise BadInputError(
                "variation {part!r} cannot be read; write seed:weight, as 42:0.2", part=part
            ) from None
    return tuple(found)


def _check_model(name: str) -> None:
    if "\0" in name:
        raise BadInputError(
            "model {name!r} contains a null character; give the name of a model or the path of its"
            " folder",
            name=name[:40],
        )


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
class SamplingSettings(ParameterGroup):
    """How noise becomes images: by which model, in which steps, from which seed."""

    strength: float = declare(
        0.75,
        Parameter(
            "Denoising strength: 0 keeps the image, 1 ignores it. 0.35 is a minor, 0.55 a moderate,"
            " 0.75 a significant change. What you erased halfway changes half as much.",
            limits=(0.0, 1.0),
            flags=("-f", "--strength"),
            label="Strength",
            step=0.05,
            decimals=2,
            modes=_WITH_A_PICTURE,
        ),
    )
    steps: int | None = declare(
        None,
        Parameter(
            "Sampling steps: more take longer and add detail. Only steps x strength are run: 15 of"
            " 20 at strength 0.75.",
            limits=(1, TRAIN_STEPS),
            flags=("-s", "--steps"),
            label="Steps",
            by_model=True,
        ),
    )
    compensate: bool = declare(
        False,
        Parameter(
            "Runs all steps whatever the strength. Slower, with more detail at low strengths.",
            flags=("--compensate",),
            label="Run all steps",
            modes=_WITH_A_PICTURE,
        ),
    )
    guidance_scale: float | None = declare(
        None,
        Parameter(
            "How closely to follow the prompt. Low values are loose and soft, high values literal"
            " and harsh.",
            limits=(0.0, 50.0),
            flags=("-C", "--guidance-scale", "--cfg-scale"),
            usage="1 or less switches classifier-free guidance off.",
            label="Guidance (CFG)",
            step=0.5,
            decimals=1,
            by_model=True,
        ),
    )
    seed: int | None = declare(
        None,
        Parameter(
            "The same seed and settings give the same image.",
            limits=_SEEDS,
            flags=("-S", "--seed"),
            usage="It is the seed of the first image. Without it one is drawn and printed.",
            label="Seed",
            tip="Unless it is locked, each run draws a new seed.",
        ),
    )
    images: int = declare(
        1,
        Parameter(
            "How many images to make. Each one uses the next seed.",
            limits=(1, 64),
            flags=("-n", "--images"),
            label="Images",
        ),
    )
    sampler: str = declare(
        "auto",
        Parameter(
            "The sampling method. Automatic chooses one that suits the model. dpmpp_2m is fast and"
            " stable; those ending in _a (ancestral) vary more, and blend filled holes in better.",
            choices={"auto": "Automatic", **{name: name for name in SAMPLERS}},
            is_open=True,
            check=choose_sampler,
            flags=("-A", "--sampler"),
            usage="auto is k_euler_a for the starter model, k_euler for FLUX and other"
            " flow-matching models, and dpmpp_2m for others, unless the model's side-car file says"
            ' {"sampler": "NAME"}. The class name of a diffusers scheduler and the name that Stable'
            " Diffusion WebUI uses (Euler a) work too.",
            label="Sampler",
            by_model=True,
        ),
    )
    clip_skip: int | None = declare(
        None,
        Parameter(
            "Clip skip, as Stable Diffusion WebUI counts it: which of the last layers of CLIP the"
            " prompt is taken from; 1 is the last.",
            limits=(1, 12),
            flags=("--clip-skip",),
            usage="For Stable Diffusion 1, 2 and XL, where 2 and XL take 1 for 2.",
            by_model=True,
        ),
    )
    model: str = declare(
        "",
        Parameter(
            "The starter model knows landscapes only. For everything else, put a model into"
            " Underpaint's models folder.",
            choices={"": "Default"},
            is_open=True,
            most=MAX_NAME,
            check=_check_model,
            flags=("-m", "--model"),
            usage="Give a name that `underpaint models` lists, or the path of a file or folder.",
            label="Model",
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
            modes=_WITH_A_PICTURE,
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
            modes=_WITH_A_PICTURE,
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
            modes=_WITH_A_PICTURE,
        ),
    )

    @property
    def box(self) -> Extent | None:
        """The box that width and height ask for; None where they are not given."""
        if self.width is None or self.height is None:
            return None
        return Extent(self.width, self.height)


@dataclass(frozen=True)
class VariationSettings(ParameterGroup):
    """How the images of a request differ from that of its seed, and from each other."""

    amount: float = declare(
        0.0,
        Parameter(
            "How much each image differs from that of --seed, by its noise: 0 not at all, 1 as much"
            " as one of another seed. Above 0 the images share --seed.",
            limits=(0.0, 1.0),
            flags=("-v", "--variation-amount"),
            name="variation_amount",
        ),
    )
    seed: int | None = declare(
        None,
        Parameter(
            "The seed that the first image is varied towards; each one uses the next. Without it"
            " one is drawn and printed.",
            limits=_SEEDS,
            flags=("--variation-seed",),
            name="variation_seed",
        ),
    )
    base: tuple[Variation, ...] = declare(
        (),
        Parameter(
            "Variations to start from, applied in turn to the noise of --seed. Messages show"
            " those of an image in this form, to continue from it.",
            most=MAX_VARIATIONS,
            check=check_variations,
            flags=("-V", "--with-variations"),
            metavar="SEED:WEIGHT,...",
            read=read_variations,
            name="variations",
        ),
    )
    chain: bool = declare(
        False, Parameter("Each image is the next one's input.", flags=("--chain",))
    )


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
            " selection is filled to fit what is visible below it (inpaint).",
            choices=MODES,
            flags=("--mode",),
            usage="The layer is the image of -I; a white one is repainted.",
            label="Mode",
        ),
    )
    sampling: SamplingSettings = SamplingSettings()
    conditioning: ConditioningSettings = ConditioningSettings()  # noqa: RUF009 - it is frozen
    source: SourceSettings = SourceSettings()
    output: OutputSettings = OutputSettings()
    size: SizeSettings = SizeSettings()
    variation: VariationSettings = VariationSettings()
    control_picture: ControlPicture = ControlPicture()  # noqa: RUF009 - it is frozen
    """What to make of the layer instead of painting; the rest of the request then does not count.
    No option and no field of a form sets it, so it is not declared as a parameter."""
