"""Make the recipe: what was really run, to run it again."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib.metadata import version

from underpaint_client.geometry import Box, Extent
from underpaint_client.recipe import (
    Facts,
    Recipe,
    UsedControl,
    UsedEmbedding,
    UsedLora,
    UsedReference,
    UsedRegion,
)
from underpaint_client.request import Request
from underpaint_client.seeds import ImagePrompt, image_noise, request_of_image

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
    prompt : ImagePrompt
        Its own, with its choices made.
    model, plans : Model and tuple of Plan, optional
        Left out where the model was not needed. A plan for each area.
    source_hash, context_hash : str
        As `Facts`.
    loras : tuple of UsedLora
    controls : tuple of UsedControl
    embeddings : tuple of UsedEmbedding
    references : tuple of UsedReference
    regions : tuple of UsedRegion
    """

    index: int
    prompt: ImagePrompt
    model: Model | None = None
    plans: tuple[Plan, ...] = ()
    source_hash: str = ""
    context_hash: str = ""
    loras: tuple[UsedLora, ...] = ()
    controls: tuple[UsedControl, ...] = ()
    embeddings: tuple[UsedEmbedding, ...] = ()
    references: tuple[UsedReference, ...] = ()
    regions: tuple[UsedRegion, ...] = ()


def make_recipe(
    request: Request,
    source: Source,
    composed: Composed,
    made: Made,
    notes: tuple[str, ...],
) -> Recipe:
    """Return the recipe of a picture.

    Parameters
    ----------
    request : Request
        What was asked for, from `settle_request`.
    source, composed : Source, Composed
        What went in, its mode settled, and what came out.
    made : Made
        Which image it is, and by what.
    notes : tuple of str
        What the artist should know.
    """
    model = made.model
    plan = max(made.plans, key=lambda one: one.most_change, default=None)
    seed, variations = image_noise(request, made.index)
    area = functools.reduce(Box.around, (one.area for one in made.plans), Box(0, 0, 0, 0))
    sizes = (one.work_size for one in made.plans)
    work_size = max(sizes, key=lambda size: size.pixels, default=Extent(0, 0))
    sampling = request.sampling
    return Recipe(
        request_of_image(request, made.index, made.prompt).with_values(
            mode=source.told_mode,
            strength=plan.strength if plan else sampling.strength,
            model=model.info.name if model else sampling.model,
            result=composed.kind,
            style="",
        ),
        Facts(
            prompt=made.prompt.positive,
            seed=seed,
            width=source.box.width,
            height=source.box.height,
            strength_run=plan.steps.strength_run if plan else 0.0,
            steps_run=plan.steps.run if plan else 0,
            schedule=plan.steps.schedule if plan else 0,
            model_hash=model.hash if model else "",
            work_area=(area.x, area.y, area.width, area.height),
            work_size=(work_size.width, work_size.height),
            notes=notes,
            versions=_versions(model),
            variations=variations,
            source_hash=made.source_hash,
            context_hash=made.context_hash,
            loras=made.loras,
            controls=made.controls,
            style=request.style,
            embeddings=made.embeddings,
            references=made.references,
            regions=made.regions,
        ),
    )


_version = functools.cache(version)  # it reads files, every time


def _versions(model: Model | None) -> dict[str, str]:
    versions = {name: _version(name) for name in ("underpaint", "torch", "diffusers")}
    if model is not None:
        versions["device"] = model.device.type
        versions["precision"] = str(model.dtype).removeprefix("torch.")
        if not model.placed.has_exact_weights:
            versions["quantised"] = model.saving.quantised
    return versions
