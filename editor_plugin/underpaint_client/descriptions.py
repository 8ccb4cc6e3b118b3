"""Descriptions of plans, sizes and seeds, as people read them."""

from __future__ import annotations

import math

from underpaint_client.steps import StepPlan, round_half_up

from .model_entry import ModelEntry
from .recipe import Recipe
from .recommended import FEW_STEPS, Recommended
from .request import Request
from .sentences import NO_TEXT, Listing, Sentence, as_sentence, join_sentences, sentence
from .variations import Variation

STARTER_MESSAGE = sentence("Starter model: landscapes only. Choose a model for everything else")
"""The note about the starter model; the caller adds how to install another."""


_PURPOSES = {"inpainting": sentence("inpainting"), "edit": sentence("edit")}
"""What the purposes of models are called, but for plain ones."""


def describe_noise(recipe: Recipe) -> str:
    """Return what a picture's noise was made of, in the form that `-S` and `-V` accept.

    It names layers too, in files that any language opens, so it is not translated.
    """
    return describe_seeds(recipe.facts.seed, recipe.facts.variations)


def describe_seeds(seed: int, variations: tuple[Variation, ...]) -> str:
    """Return the same for a base seed and variations, as `image_noise` returns them."""
    steps = ",".join(f"{one.seed}:{one.weight:g}" for one in variations)
    return f"seed {seed} with {steps}" if steps else f"seed {seed}"


def describe_plan(
    mode: str, changed: float, plan: StepPlan, *, of: str = "selection", below: bool = False
) -> Sentence:
    """Return what a run will do, as a sentence for the line above the Generate button.

    Parameters
    ----------
    mode : str
        `img2img`, `inpaint`, `txt2img` or `edit`.
    changed : float
        0..1, the share of the selection that may change.
    plan : StepPlan
        What `plan_steps` decided.
    of : str
        What may be filled: `selection`, or `layer` where nothing is selected.
    below : bool
        Whether the model sees what is visible below the layer.
    """
    if not plan.run:
        return sentence("Keeps the picture as it is: nothing may change")
    return sentence(
        "{action}, runs {run} of {steps} steps",
        action=_describe_action(mode, changed, of, below=below),
        run=plan.run,
        steps=plan.schedule,
    )


def _describe_action(mode: str, changed: float, of: str, *, below: bool) -> Sentence:
    if mode == "txt2img":
        return sentence("Paints a new picture")
    percent = round_half_up(100 * changed)
    share = sentence("{percent} %", percent=percent)
    if changed < 0.01:
        share = sentence("less than 1 %")
    if mode == "edit":
        edited = sentence("Edits {share} of the selection as the prompt says", share=share)
        if of == "layer":
            edited = sentence("Edits {share} of the layer as the prompt says", share=share)
        return edited
    if mode == "img2img":
        return sentence("Repaints {share} of the layer", share=share)
    if below and percent == 100:  # mostly an empty layer, of which nothing was erased
        if of == "layer":
            return sentence("Fills the layer to fit what is below")
        return sentence("Fills the selection to fit what is below")
    filled = sentence("Fills the erased {share} of the selection", share=share)
    if of == "layer":
        filled = sentence("Fills the erased {share} of the layer", share=share)
    return sentence("{action} to fit what is below", action=filled) if below else filled


def describe_levels(
    plan: StepPlan, recommended: Recommended, partial: float
) -> tuple[Sentence, ...]:
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
    tuple of Sentence
        One without its capital and stop, or none.
    """
    is_few = recommended.few_steps and 0 < plan.run <= FEW_STEPS
    if not is_few or partial < _SOFT:
        return ()
    if plan.run == 1:
        return (sentence("the model runs 1 step, so partial change is rounded to all or nothing"),)
    return (
        sentence(
            "the model runs {steps} steps, so partial change comes in {steps} levels",
            steps=plan.run,
        ),
    )


def describe_purpose(purpose: str) -> tuple[Sentence, ...]:
    """Return what a model was made for, where prompts are written in another way for it.

    Parameters
    ----------
    purpose : str
        As `ModelEntry` has it.

    Returns
    -------
    tuple of Sentence
        One without its capital and stop, or none.
    """
    if purpose != "edit":
        return ()
    return (
        sentence(
            "this is an edit model: in the mode edit it follows the prompt as an instruction, such"
            " as 'make it winter'; in others it paints what the prompt describes"
        ),
    )


def describe_misfits(request: Request, recommended: Recommended) -> tuple[Sentence, ...]:
    """Return what the artist has chosen that is far from what the model is made for.

    Parameters
    ----------
    request : Request
        As the artist asks, with what is left to the model.
    recommended : Recommended
        What suits the model.

    Returns
    -------
    tuple of Sentence
        Each without its capital and stop.
    """
    found, chosen = [], request.sampling
    steps, scale = chosen.steps, chosen.guidance_scale
    if steps is not None and recommended.few_steps and steps > _FAR * recommended.steps:
        found.append(
            sentence(
                "{steps} steps are more than this model is made for; {suitable} suit it",
                steps=steps,
                suitable=recommended.steps,
            )
        )
    if scale is not None and scale > _FAR * max(1.0, recommended.guidance_scale):
        found.append(
            sentence(
                "a guidance scale of {scale:g} is too high for this model; {suitable:g} suits it",
                scale=scale,
                suitable=recommended.guidance_scale,
            )
        )
    if request.prompt.negative.strip():
        used = recommended.guidance_scale if scale is None else scale
        if not recommended.takes_negative:
            found.append(sentence("this model takes no negative prompt"))
        elif used <= 1:
            found.append(
                sentence("the negative prompt is not used at a guidance scale of 1 or less")
            )
    return tuple(found)


_SOFT = 0.1
"""The share of partial change that matters: that of the smooth edge of a hole is less."""

_FAR = 2
"""How many times what suits a model is far from it."""


def describe_seconds(seconds: float) -> Sentence:
    """Return a time to wait in words: `5 s`, `3 min`."""
    if seconds < 100:
        return sentence("{seconds} s", seconds=max(1, math.ceil(seconds)))
    return sentence("{minutes} min", minutes=round(seconds / 60))


def describe_size(pixels: int) -> Sentence:
    """Return a number of pixels in words: `4096 pixels`, `0.3 megapixels`."""
    if pixels < 100_000:
        return sentence("{count} pixel", "{count} pixels", count=pixels)
    return sentence("{size:.1f} megapixels", size=pixels / 1e6)


def describe_bytes(size: float) -> Sentence:
    """Return a number of bytes in a unit that fits: `3 MB`, `6.9 GB`; empty for none."""
    if not size:
        return NO_TEXT
    if size < 1e6:
        return sentence("{size:.0f} kB", size=size / 1e3)
    if size < 1e9:
        return sentence("{size:.0f} MB", size=size / 1e6)
    return sentence("{size:.1f} GB", size=size / 1e9)


def describe_model(model: ModelEntry) -> Sentence:
    """Return what a model is, in one or more sentences; why it cannot be used, if it cannot."""
    if model.problem:
        return sentence("Cannot be used: {problem}.", problem=as_sentence(model.problem))
    steps = model.recommended.steps
    kind = [
        model.title or model.family,
        _PURPOSES.get(model.purpose, model.purpose) if model.purpose != "plain" else "",
        sentence("{count} step", "{count} steps", count=steps)
        if model.recommended.few_steps
        else "",
    ]
    sizes = [
        sentence("{side} pixels", side=model.native) if model.native else "",
        model.precision,
        sentence("{size} on disk", size=describe_bytes(model.size)) if model.size else "",
        sentence("needs {size} of memory", size=describe_bytes(model.memory))
        if model.memory
        else "",
    ]
    clauses = [_list(kind), _list(sizes)]
    if model.licence:
        clauses.append(sentence("Licence: {licence}", licence=model.licence))
    clauses += describe_purpose(model.purpose)
    clauses = [one for one in clauses if one]
    if not any(kind):
        return join_sentences(*clauses) if clauses else NO_TEXT
    first, *others = clauses  # the first begins with a name, which gets no capital
    if not others:
        return sentence("{kind}.", kind=first)
    return sentence("{kind}. {details}", kind=first, details=join_sentences(*others))


def _list(parts: list[str]) -> Sentence:
    return sentence("{parts}", parts=Listing(filter(None, parts)))
