"""A recipe to make results of, in tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from underpaint_client.recipe import Facts, Recipe
from underpaint_client.request import Request


def make_recipe(facts: Mapping[str, Any] | None = None, **values: Any) -> Recipe:
    """Return a recipe with these parameters of its request, and facts that go with them."""
    request = Request.of(
        **{
            "mode": "inpaint", "prompt": "ein See, 湖, بحيرة", "seed": 1, "sampler": "k_lms",
            "model": "m", **values,
        }
    )  # fmt: skip
    found: dict[str, Any] = {
        "prompt": request.prompt.positive, "seed": request.sampling.seed,
        "variations": request.variation.base, "width": 2, "height": 1, "strength_run": 0.75,
        "steps_run": 15, "schedule": 20, "model_hash": "", "work_area": (0, 0, 2, 1),
        "work_size": (64, 64), "notes": ("a note",), "versions": {"torch": "2"}, **(facts or {}),
    }  # fmt: skip
    return Recipe(request, Facts(**found))
