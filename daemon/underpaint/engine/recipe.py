"""The recipe: what was really run, to run it again."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib.metadata import version

from underpaint_client.geometry import Box, Extent
from underpaint_client.recipe import Recipe
from underpaint_client.request import Request
from underpaint_client.samplers import DEFAULT_SAMPLER, choose_sampler
from underpaint_client.seeds import image_noise

from .composite import Composed
from .model import Model
from .plan import Plan
from .source import Source


@dataclass(frozen=True)
class Made:
    """One image of a request.

    Parameters
    ----------
    index : int
        0, 1, ...
    prompt : str
        Its own, alternatives chosen.
    model, plan : Model and Plan, optional
        Left out where the model was not needed.
    source_hash : str
        As `Recipe`.
    """

    index: int
    prompt: str
    model: Model | None = None
    plan: Plan | None = None
    source_hash: str = ""


def make_recipe(
    request: Request,
    source: Source,
    composed: Composed,
    made: Made,
    notes: tuple[str, ...],
) -> Recipe:
    """Write down how a picture was made.

    Parameters
    ----------
    request : Request
        What was asked for.
    source, composed : Source, Composed
        What went in, its mode settled, and what came out.
    made : Made
        Which image it is, and by what.
    notes : tuple of str
        What the artist should know.
    """
    model, plan = made.model, made.plan
    seed, variations = image_noise(request, made.index)
    area = plan.area if plan else Box(0, 0, 0, 0)
    work_size = plan.work_size if plan else Extent(0, 0)
    return Recipe(
        mode=source.mode,
        prompt=made.prompt,
        negative_prompt=request.negative_prompt,
        strength=plan.strength if plan else request.strength,
        strength_run=plan.steps.strength_run if plan else 0.0,
        steps=request.steps,
        steps_run=plan.steps.run if plan else 0,
        schedule=plan.steps.schedule if plan else 0,
        compensate=request.compensate,
        guidance_scale=request.guidance_scale,
        seed=seed,
        sampler=choose_sampler(request.sampler, model.info.sampler if model else DEFAULT_SAMPLER),
        model=model.info.name if model else request.model,
        model_hash=model.hash if model else "",
        width=source.box.width,
        height=source.box.height,
        box=(request.box.width, request.box.height) if request.box else None,
        fit=request.fit,
        work_area=(area.x, area.y, area.width, area.height),
        work_size=(work_size.width, work_size.height),
        fill=request.fill,
        result=composed.kind,
        notes=notes,
        versions=_versions(model),
        variation_amount=request.variation_amount,
        variations=variations,
        chained=made.index if request.chain else 0,
        source_hash=made.source_hash,
        template=request.prompt if made.index and request.chain else "",
    )


_version = functools.cache(version)  # it reads files, every time


def _versions(model: Model | None) -> dict[str, str]:
    versions = {name: _version(name) for name in ("underpaint", "torch", "diffusers")}
    if model is not None:
        versions["device"] = model.device.type
        versions["precision"] = str(model.dtype).removeprefix("torch.")
    return versions
