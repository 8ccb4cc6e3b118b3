"""The rules that plug-in, command line and engine must decide alike.

Pure functions on plain values: the docker says "runs 15 of 20 steps" with the very function that
the engine runs by. Nothing here needs more than the standard library.
"""

from __future__ import annotations

import math
import random
import re
from dataclasses import dataclass, fields, replace
from typing import Any

from .errors import BadInputError
from .parameters import SAMPLER_LABELS
from .request import FILLS, MODES, RESULTS, Recipe, Request, Variation

TRAIN_STEPS = 1000
"""Timesteps that Stable Diffusion models are trained on: the longest schedule there is."""

MAX_PIXELS = 2**28
"""Pixels of the largest layer that is taken: 268 megapixels, as 16384 x 16384."""

MAX_PROMPT = 20_000
"""Characters of the longest prompt that is taken."""

MAX_NAME = 1024
"""Characters of the longest name or path of a model that is taken."""

MAX_VARIATIONS = 16
"""Variations of the longest list that is taken."""

SEEDS = 2**32
"""How many seeds there are: torch's CPU generator tells no more apart."""

STARTER_MODEL = "starter"
"""The name of the small model that the package brings along."""

STARTER_MESSAGE = "Starter model: landscapes only. Choose a model for everything else"
"""What is said where it is used; the way to do so is the caller's to add."""

SAMPLERS: dict[str, str] = {
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "deis": "DEISMultistepScheduler",
    "dpmpp_2m": "DPMSolverMultistepScheduler",
    "dpmpp_2m_karras": "DPMSolverMultistepScheduler",
    "dpmpp_2m_sde": "DPMSolverMultistepScheduler",
    "dpmpp_2m_sde_karras": "DPMSolverMultistepScheduler",
    "k_dpm_2": "KDPM2DiscreteScheduler",
    "k_dpm_2_a": "KDPM2AncestralDiscreteScheduler",
    "k_euler": "EulerDiscreteScheduler",
    "k_euler_a": "EulerAncestralDiscreteScheduler",
    "k_euler_karras": "EulerDiscreteScheduler",
    "k_heun": "HeunDiscreteScheduler",
    "k_lms": "LMSDiscreteScheduler",
    "k_lms_karras": "LMSDiscreteScheduler",
    "lcm": "LCMScheduler",
    "plms": "PNDMScheduler",
    "tcd": "TCDScheduler",
    "unipc": "UniPCMultistepScheduler",
}
"""Sampler names, after InvokeAI's, and the diffusers scheduler behind each.

Left out are schedulers that cannot begin anywhere in their schedule, as half-erased pixels ask
(DPMSolverSinglestep steps in pairs), add no noise of their own (IPNDM) or need more packages (SDE).
"""


DEFAULT_SAMPLER = "dpmpp_2m"
"""What `auto` means for models that recommend none."""


def choose_sampler(name: str, recommended: str = DEFAULT_SAMPLER) -> str:
    """Find the sampler that is meant.

    Parameters
    ----------
    name : str
        A name of `SAMPLERS`, with or without its `k_`, one of `SAMPLER_LABELS` as our pictures have
        it, or a diffusers class name. Upper and lower case are the same, and spaces, `_` and `-`
        are. `auto` is the recommended one.
    recommended : str
        A name of `SAMPLERS`: the model's.

    Returns
    -------
    str
        The name in `SAMPLERS`.

    Raises
    ------
    BadInputError
        Where no sampler is called that.
    """
    wanted = _joined(name)
    if wanted == "auto":
        return recommended
    for sampler in SAMPLERS:
        if wanted in (sampler, sampler.replace("k_", "", 1), f"k_{sampler}"):
            return sampler
        if wanted == _joined(SAMPLER_LABELS[sampler]):
            return sampler
    plain = (s for s in SAMPLERS if SAMPLERS[s].lower() == wanted)
    for sampler in plain:
        return sampler
    if wanted == "pndm":
        return "plms"
    raise BadInputError(f"sampler {name!r} is unknown; choose one of auto, {', '.join(SAMPLERS)}")


def _joined(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


_SHORT_SCHEDULES = {"lcm": 50, "tcd": 50}


def longest_schedule(sampler: str, train_steps: int = TRAIN_STEPS) -> int:
    """Give the most steps that a sampler's schedule can have.

    Latent consistency samplers take theirs from the 50 steps they were distilled on.
    """
    return min(train_steps, _SHORT_SCHEDULES.get(sampler, train_steps))


RANGES: dict[str, tuple[float, float]] = {
    "strength": (0.0, 1.0),
    "steps": (1, TRAIN_STEPS),
    "guidance_scale": (0.0, 50.0),
    "seed": (0, SEEDS - 1),
    "images": (1, 64),
    "width": (8, 16384),
    "height": (8, 16384),
    "variation_amount": (0.0, 1.0),
    "variation_seed": (0, SEEDS - 1),
}
"""The least and the most that a number of a `Request` can be."""

_CHOICES: dict[str, tuple[str, ...]] = {"mode": MODES, "fill": FILLS, "result": RESULTS}


def check_request(request: Request) -> None:
    """See that every value of a request is one that can be worked with.

    Types are taken as given by `Request`; the wire's decoder has seen to them.

    Raises
    ------
    BadInputError
        Names the first field that is out of range, its value, and what is allowed.
    """
    for field in fields(Request):
        _check_field(field.name, getattr(request, field.name))
    _check_variations(request.variations)
    sampler = choose_sampler(request.sampler)
    if request.steps > longest_schedule(sampler):
        raise BadInputError(
            f"steps {request.steps} are too many for the sampler {sampler}; it takes up to"
            f" {longest_schedule(sampler)}"
        )
    if (request.width is None) != (request.height is None):
        given, other = ("width", "height") if request.height is None else ("height", "width")
        raise BadInputError(
            f"{given} {getattr(request, given)} was given without a {other}; give both or neither"
        )


def _check_variations(variations: tuple[Variation, ...]) -> None:
    if len(variations) > MAX_VARIATIONS:
        raise BadInputError(
            f"{len(variations)} variations are too many; give {MAX_VARIATIONS} or fewer"
        )
    for one in variations:
        if not 0 <= one.seed < SEEDS:
            raise BadInputError(
                f"variation seed {one.seed} is out of range; it goes from 0 to {SEEDS - 1}"
            )
        if not 0 <= one.weight <= 1:  # false for NaN too
            raise BadInputError(
                f"variation weight {one.weight} is out of range; it goes from 0 to 1"
            )


def read_variations(text: str) -> tuple[Variation, ...]:
    """Read a list of variations as it is typed: `seed:weight,seed:weight`.

    Raises
    ------
    BadInputError
        Names the part that is none.
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        seed, colon, weight = part.partition(":")
        try:
            found.append(Variation(int(seed), float(weight)))
        except ValueError:
            colon = ""
        if not colon:
            raise BadInputError(f"variation {part!r} is none; write seed:weight, as 42:0.2")
    _check_variations(tuple(found))
    return tuple(found)


def describe_noise(recipe: Recipe) -> str:
    """Say what a picture's noise was made of, as `-S` and `-V` take it."""
    return describe_seeds(recipe.seed, recipe.variations)


def describe_seeds(seed: int, variations: tuple[Variation, ...]) -> str:
    """Say the same of a base seed and the variations in turn, as `image_noise` gives them."""
    steps = ",".join(f"{one.seed}:{one.weight:g}" for one in variations)
    return f"seed {seed} with {steps}" if steps else f"seed {seed}"


_WILDCARD = re.compile(r"(?<!\\)\{((?:\\.|[^{}\\])*)\}")
_BAR = re.compile(r"(?<!\\)\|")


def expand_prompt(prompt: str, seed: int) -> str:
    r"""Choose among the alternatives in a prompt: `a lake at {day|night|{red|pale} sunset}`.

    Parameters
    ----------
    prompt : str
        Braces hold alternatives, and may lie in each other, eight deep; `\{` is a brace.
    seed : int
        The same seed chooses the same, on every machine.
    """
    dice = random.Random(seed)  # noqa: S311 - nothing here is secret

    def choose(found: re.Match[str]) -> str:
        options = _BAR.split(found[1])
        return options[int(dice.random() * len(options))]

    for _ in range(8):
        prompt = _WILDCARD.sub(choose, prompt)
    return re.sub(r"\\([{}|])", r"\1", prompt)


def image_noise(request: Request, index: int) -> tuple[int, tuple[Variation, ...]]:
    """Give what the noise of an image is made of: its base seed, and the variations in turn.

    Parameters
    ----------
    request : Request
        With its seeds drawn.
    index : int
        0, 1, ...
    """
    seed = request.seed or 0
    if not request.variation_amount:
        return image_seed(seed, index), request.variations
    own = image_seed(request.variation_seed or 0, index)
    return seed, (*request.variations, Variation(own, request.variation_amount))


def _check_field(name: str, value: Any) -> None:
    if name in RANGES and value is not None:
        low, high = RANGES[name]
        if not low <= value <= high:  # false for NaN too
            raise BadInputError(f"{name} {value} is out of range; it goes from {low} to {high}")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise BadInputError(
            f"{name} {value!r} is unknown; choose one of {', '.join(_CHOICES[name])}"
        )
    if name in ("prompt", "negative_prompt") and len(value) > MAX_PROMPT:
        raise BadInputError(
            f"{name} has {len(value)} characters; shorten it to {MAX_PROMPT} or fewer"
        )
    if name == "model" and (len(value) > MAX_NAME or "\0" in value):
        raise BadInputError(f"model {value[:40]!r}... is no name; give one that there is")
    if isinstance(value, str) and not _is_text(value):
        raise BadInputError(f"{name} {value[:40]!r} holds bytes that are no UTF-8 text")


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, as undecodable arguments become
        return False
    return True


def draw_seed() -> int:
    """Draw a seed."""
    return random.SystemRandom().randrange(SEEDS)


def draw_seeds(request: Request) -> Request:
    """Draw the seeds that a request leaves open."""

    def drawn(seed: int | None) -> int:
        return draw_seed() if seed is None else seed

    return replace(request, seed=drawn(request.seed), variation_seed=drawn(request.variation_seed))


def image_seed(seed: int, index: int) -> int:
    """Give the seed of image `index` (0, 1, ...) of a batch that starts at `seed`."""
    return (seed + index) % SEEDS


def round_half_up(value: float) -> int:
    """Round to the nearest whole number, halves up, as a person would on paper.

    20 x 0.425 is 8.5 and rounds to 9 although the float product lies a hair below; the nudge is
    far smaller than any difference that strengths, steps or alpha values can make.
    """
    return math.floor(value + 0.5 + 1e-9)


@dataclass(frozen=True)
class StepPlan:
    """Which part of a schedule runs.

    Parameters
    ----------
    schedule : int
        The schedule's length; 0 where nothing runs.
    run : int
        How many of its steps run: its last ones.
    strength : float
        0..1. The strength asked for.
    """

    schedule: int
    run: int
    strength: float

    @property
    def strength_run(self) -> float:
        """The strength that is really run, 0..1."""
        return self.run / self.schedule if self.schedule else 0.0


def plan_steps(
    steps: int, strength: float, compensate: bool = False, train_steps: int = TRAIN_STEPS
) -> StepPlan:
    """Decide how many steps of which schedule run at a strength.

    Plainly, floor(steps x strength + 1/2) of `steps`, and never none. Where that rounds to none, a
    schedule is taken whose single last step has the strength asked for. With `compensate`, the
    schedule is stretched so that `steps` of it run. No schedule is longer than `train_steps`.

    Parameters
    ----------
    steps : int
        1 or more, as the artist set it.
    strength : float
        0..1.
    compensate : bool
        Run `steps` steps whatever the strength.
    train_steps : int
        Timesteps the model was trained on.

    Examples
    --------
    >>> plan_steps(20, 0.75)
    StepPlan(schedule=20, run=15, strength=0.75)
    >>> plan_steps(20, 0.4, compensate=True).schedule
    50
    """
    if strength <= 0:
        return StepPlan(0, 0, 0.0)
    steps = min(steps, train_steps)
    if compensate:
        schedule = max(steps, _stretched(steps, strength, train_steps))
        return StepPlan(schedule, steps, strength)
    run = round_half_up(steps * strength)
    if run >= 1:
        return StepPlan(steps, run, strength)
    return StepPlan(_stretched(1, strength, train_steps), 1, strength)


def mode_strength(request: Request, mode: str) -> float:
    """Give the strength (0..1) that a pixel of change 1 gets: `txt2img` ignores the original."""
    return 1.0 if mode == "txt2img" else request.strength


def plan_request(
    request: Request, mode: str, most_change: float, train_steps: int = TRAIN_STEPS
) -> StepPlan:
    """Decide how many steps of which schedule a request runs.

    Parameters
    ----------
    request : Request
        A checked one.
    mode : str
        The settled mode, not `auto`.
    most_change : float
        0..1, the largest change of any pixel: no step is wasted on more.
    train_steps : int
        Timesteps the model was trained on.
    """
    return plan_steps(
        request.steps,
        mode_strength(request, mode) * most_change,
        request.compensate,
        longest_schedule(choose_sampler(request.sampler), train_steps),
    )


def _stretched(steps: int, strength: float, longest: int) -> int:
    """Give the length of the schedule of which `steps` are the share `strength`."""
    if strength * longest <= steps:  # true for strengths so small that dividing would overflow
        return longest
    return round_half_up(steps / strength)


def choose_mode(mode: str, *, empty: bool, transparent: bool) -> str:
    """Say what `auto` means for a layer.

    Parameters
    ----------
    mode : str
        One of `request.MODES`; anything but `auto` stays as it is.
    empty : bool
        The whole layer holds no colour at all, or there is no layer.
    transparent : bool
        Some pixel inside the selection is less than opaque.
    """
    if mode != "auto":
        return mode
    if empty:
        return "txt2img"
    return "inpaint" if transparent else "img2img"


def describe_plan(mode: str, changed: float, plan: StepPlan, *, of: str = "selection") -> str:
    """Say in one sentence what a run will do, for the line above the Generate button.

    Parameters
    ----------
    mode : str
        `img2img`, `inpaint` or `txt2img`.
    changed : float
        0..1, the share of the selection that may change.
    plan : StepPlan
        What `plan_steps` decided.
    of : str
        What may be filled: `selection`, or `layer` where nothing is selected.
    """
    if not plan.run:
        return "Keeps the picture as it is: nothing may change"
    share = f"{round_half_up(100 * changed)} %" if changed >= 0.01 else "less than 1 %"
    what = {
        "inpaint": f"Fills the erased {share} of the {of}",
        "img2img": f"Repaints {share} of the layer",
        "txt2img": "Paints a new picture",
    }[mode]
    return f"{what}, runs {plan.run} of {plan.schedule} steps"


def describe_seconds(seconds: float) -> str:
    """Say a time to wait in words: `5 s`, `3 min`."""
    return f"{max(1, math.ceil(seconds))} s" if seconds < 100 else f"{round(seconds / 60)} min"


def describe_size(pixels: int) -> str:
    """Say a number of pixels in words: `4096 pixels`, `0.3 megapixels`."""
    if pixels < 100_000:
        return f"{pixels} pixel{'' if pixels == 1 else 's'}"
    return f"{pixels / 1e6:.1f} megapixels"
