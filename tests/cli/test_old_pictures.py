"""Pictures that earlier versions wrote: their recipes are read, and they can be made again.

`old_pictures` has what Underpaint wrote with recipes of format 1 and 2, at 64 x 64 pixels with the
starter model of its day, and the sketch that they were painted over.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from underpaint.cli import main
from underpaint.cli.pictures import read_recipe
from underpaint_client import Variation
from underpaint_client.recipe import Facts, Recipe
from underpaint_client.rules import check_request

PICTURES = Path(__file__).parent / "old_pictures"

COMMON: dict[str, Any] = {"seed": 7, "steps": 4, "guidance_scale": 7.5, "width": 64, "height": 64}
PAINTED_OVER: dict[str, Any] = {
    **COMMON,
    "mode": "inpaint",
    "strength": 0.6,
    "steps_run": 2,
    "box": None,
    "work_area": (0, 0, 64, 64),
}
PLAIN: dict[str, Any] = {
    **COMMON,
    "mode": "txt2img",
    "prompt": "a lake at dusk",
    "steps_run": 4,
    "box": (64, 64),
    "variations": (),
}
FILLED: dict[str, Any] = {
    **PAINTED_OVER,
    "prompt": "a lake at dusk, oil painting",
    "negative_prompt": "people",
    "sampler": "k_euler_a",
    "variations": (),
}
WRITTEN: dict[str, dict[str, Any]] = {
    "format-1-txt2img": PLAIN,
    "format-1-inpaint": FILLED,
    "format-2-txt2img": PLAIN,
    "format-2-inpaint": FILLED,
    "format-2-varied": {
        **PAINTED_OVER,
        "prompt": "a red lake",
        "variation_amount": 0.2,
        "variations": (Variation(3, 0.1), Variation(11, 0.2)),
    },
    "format-2-chain": {
        **PAINTED_OVER,
        "seed": 8,
        "steps": 2,
        "steps_run": 1,
        "chained": 1,
        "template": "a {red|blue} lake",
    },
}

DECIDED = (
    "mode", "prompt", "negative_prompt", "strength", "strength_run", "steps", "steps_run",
    "schedule", "compensate", "guidance_scale", "seed", "sampler", "width", "height", "box", "fit",
    "fill", "result", "variation_amount", "variations", "chained", "template",
)  # fmt: skip
"""What the request decides, whatever the model."""


def value_of(recipe: Recipe, name: str) -> Any:
    """Return what formats 1 and 2 hold under a name."""
    box = recipe.request.size.box
    if name == "box":
        return None if box is None else (box.width, box.height)
    if name == "template":
        return recipe.request.prompt.positive if recipe.chained else ""
    if name == "chained":
        return recipe.chained
    in_facts = name in {field.name for field in fields(Facts)}
    return getattr(recipe.facts, name) if in_facts else recipe.request.value(name)


def test_every_old_picture_is_looked_at() -> None:
    assert {file.stem for file in PICTURES.glob("format-*.png")} == set(WRITTEN)


@pytest.mark.parametrize("name", WRITTEN)
def test_its_recipe_is_read(name: str) -> None:
    recipe = read_recipe(PICTURES / f"{name}.png")
    assert {field: value_of(recipe, field) for field in WRITTEN[name]} == WRITTEN[name]
    check_request(recipe.request)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


@pytest.mark.parametrize("name", WRITTEN)
def test_it_can_be_made_again(daemon: Path, tmp_path: Path, name: str) -> None:
    picture, again = PICTURES / f"{name}.png", tmp_path / "again.png"
    over = [] if WRITTEN[name]["mode"] == "txt2img" else ["-I", str(PICTURES / "sketch.png")]
    assert main(["replay", str(picture), *over, "-m", "sd", "-o", str(again)]) == 0
    before, now = read_recipe(picture), read_recipe(again)
    assert {n: value_of(now, n) for n in DECIDED} == {n: value_of(before, n) for n in DECIDED}
    # Recipes did not say the clip skip; the model's own was used.
    assert now.request == before.request.with_values(model="sd", clip_skip=1)
    assert now.request.sampling.model == "sd"
