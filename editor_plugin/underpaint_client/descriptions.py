"""Descriptions of plans, sizes and seeds, as people read them."""

from __future__ import annotations

import math

from underpaint_client.steps import StepPlan, round_half_up

from .model_entry import ModelEntry
from .printable import capitalize_first
from .recipe import Recipe
from .recommended import FEW_STEPS, Recommended
from .request import Request, Variation

STARTER_MESSAGE = "Starter model: landscapes only. Choose a model for everything else"
"""The note about the starter model; the caller adds how to install another."""


def describe_noise(recipe: Recipe) -> str:
    """Return what a picture's noise was made of, in the form that `-S` and `-V` accept."""
    return describe_seeds(recipe.facts.seed, recipe.facts.variations)


def describe_seeds(seed: int, variations: tuple[Variation, ...]) -> str:
    """Return the same for a base seed and variations, as `image_noise` returns them."""
    steps = ",".join(f"{one.seed}:{one.weight:g}" for one in variations)
    return f"seed {seed} with {steps}" if steps else f"seed {seed}"


def describe_plan(mode: str, changed: float, plan: StepPlan, *, of: str = "selection") -> str:
    """Return what a run will do, as a sentence for the line above the Generate button.

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


def describe_levels(plan: StepPlan, recommended: Recommended, partial: float) -> tuple[str, ...]:
    """Return in how few levels partial change comes out, where it matters.

    Each pixel that may change in part joins at the nearest of the steps that run.

    Parameters
    ----------
    plan : StepPlan
        What runs.
    recommended : Recommended
        What suits the model.
    partial : float
        0..1, the share of the changing pixels that may change in part only.

    Returns
    -------
    tuple of str
        One sentence without its capital and stop, or none.
    """
    is_few = recommended.few_steps and 0 < plan.run <= FEW_STEPS
    if not is_few or partial < _SOFT:
        return ()
    if plan.run == 1:
        return ("the model runs 1 step, so partial change is rounded to all or nothing",)
    return (f"the model runs {plan.run} steps, so partial change comes in {plan.run} levels",)


def describe_purpose(purpose: str) -> tuple[str, ...]:
    """Return what a model can do here, where that is not what it was trained for.

    Parameters
    ----------
    purpose : str
        As `ModelEntry` has it.

    Returns
    -------
    tuple of str
        One sentence without its capital and stop, or none.
    """
    if purpose != "edit":
        return ()
    return (
        "this is an edit model: here it paints what the prompt describes, as a plain model does,"
        " and cannot follow an instruction to change the picture yet",
    )


def describe_misfits(request: Request, recommended: Recommended) -> tuple[str, ...]:
    """Return what the artist has chosen that is far from what the model is made for.

    Parameters
    ----------
    request : Request
        As the artist asks, with what is left to the model.
    recommended : Recommended
        What suits the model.

    Returns
    -------
    tuple of str
        Each a sentence without its capital and stop.
    """
    found, chosen = [], request.sampling
    steps, scale = chosen.steps, chosen.guidance_scale
    if steps is not None and recommended.few_steps and steps > _FAR * recommended.steps:
        found.append(
            f"{steps} steps are more than this model is made for; {recommended.steps} suit it"
        )
    if scale is not None and scale > _FAR * max(1.0, recommended.guidance_scale):
        found.append(
            f"a guidance scale of {scale:g} is too high for this model;"
            f" {recommended.guidance_scale:g} suits it"
        )
    if request.prompt.negative.strip():
        used = recommended.guidance_scale if scale is None else scale
        if not recommended.takes_negative:
            found.append("this model takes no negative prompt")
        elif used <= 1:
            found.append("the negative prompt is not used at a guidance scale of 1 or less")
    return tuple(found)


_SOFT = 0.1
"""The share of partial change that matters: that of the smooth edge of a hole is less."""

_FAR = 2
"""How many times what suits a model is far from it."""


def describe_seconds(seconds: float) -> str:
    """Return a time to wait in words: `5 s`, `3 min`."""
    return f"{max(1, math.ceil(seconds))} s" if seconds < 100 else f"{round(seconds / 60)} min"


def describe_size(pixels: int) -> str:
    """Return a number of pixels in words: `4096 pixels`, `0.3 megapixels`."""
    if pixels < 100_000:
        return f"{pixels} pixel{'' if pixels == 1 else 's'}"
    return f"{pixels / 1e6:.1f} megapixels"


def describe_bytes(size: float) -> str:
    """Return a number of bytes in a unit that fits: `3 MB`, `6.9 GB`; empty for none."""
    if not size:
        return ""
    for unit in ("kB", "MB"):
        size /= 1000
        if size < 1000:
            return f"{size:.0f} {unit}"
    return f"{size / 1000:.1f} GB"


def describe_model(model: ModelEntry) -> str:
    """Return what a model is, in one or more sentences; why it cannot be used, if it cannot."""
    if model.problem:
        return f"Cannot be used: {model.problem}."
    few = f"{model.recommended.steps} steps" if model.recommended.few_steps else ""
    what = [model.title or model.family, model.purpose if model.purpose != "plain" else "", few]
    sizes = [
        f"{model.native} pixels" if model.native else "",
        model.precision,
        f"{describe_bytes(model.size)} on disk" if model.size else "",
        f"needs {describe_bytes(model.memory)} of memory" if model.memory else "",
    ]
    licence = f"Licence: {model.licence}" if model.licence else ""
    able = map(capitalize_first, describe_purpose(model.purpose))
    sentences = [", ".join(filter(None, what)), ", ".join(filter(None, sizes)), licence, *able]
    return " ".join(f"{sentence}." for sentence in sentences if sentence)
