from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from example_recipe import make_recipe
from underpaint.models.lora_choice import named_loras
from underpaint_client import Variation
from underpaint_client.conditioning import LoraWeight
from underpaint_client.png_chunks import RECIPE_KEY, find_text
from underpaint_client.prompt_choices import expand_prompt
from underpaint_editor.form import Form
from underpaint_editor.tag import Tag

RECIPE = make_recipe(prompt="ein Teich \u00fc", seed=7)
TAG = Tag(RECIPE, "source", "job", 3)
CHOSEN = {"images": 4, "vary_amount": 0.7, "seed_locked": True, "mode": "auto"}
"""What is not taken over from a recipe, but the lock of the seed."""

OLD_PICTURES = Path(__file__).parents[1] / "cli" / "old_pictures"


def test_a_tag_is_read_as_it_was_written() -> None:
    assert TAG.to_text().isascii()
    assert Tag.from_text(TAG.to_text()) == TAG


def test_tags_of_older_files_are_read() -> None:
    older = json.loads(TAG.to_text())
    del older["job"], older["index"]
    assert Tag.from_text(json.dumps(older)) == Tag(RECIPE, "source")


@pytest.mark.parametrize("file", sorted(OLD_PICTURES.glob("format-*.png")), ids=lambda f: f.stem)
def test_tags_with_recipes_of_older_formats_are_read(file: Path) -> None:
    recipe = json.loads(find_text(file.read_bytes(), RECIPE_KEY) or "")
    text = json.dumps({"format": 1, "source": "a", "job": "j", "index": 0, "recipe": recipe})
    tag = Tag.from_text(text)
    assert tag is not None
    form = tag.to_form(Form())
    for name in ("prompt", "negative_prompt", "seed", "steps", "strength", "sampler", "model"):
        assert form.value(name) == recipe[name]
    request = tag.variations(0.1, 2, 5)
    assert request.sampling.seed == recipe["seed"]
    assert len(request.variation.base) == len(recipe.get("variations", ()))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "7", '{"format": 1}', '{"format": 2, "source": "a", "recipe": {}}',
     '{"format": 1, "source": 3, "recipe": {}}', '{"format": 1, "source": "a", "recipe": []}',
     '{"format": 1, "source": "a", "recipe": {"mode": 3}}', "[" * 10_000],
)  # fmt: skip
def test_what_is_no_tag_is_none(text: str) -> None:
    assert Tag.from_text(text) is None


def test_variations_go_on_from_all_that_there_were() -> None:
    steps = (Variation(5, 0.5), Variation(6, 0.2))
    recipe = make_recipe(
        {"variations": steps}, seed=7, variations=steps[:1], variation_amount=0.2, variation_seed=6
    )
    request = dataclasses.replace(TAG, recipe=recipe).variations(0.1, 3, 99)
    assert request.sampling.seed == 7
    assert request.variation.base == recipe.facts.variations
    assert (request.variation.amount, request.variation.seed) == (0.1, 99)
    assert request.sampling.images == 3


def test_settings_are_taken_over() -> None:
    form = TAG.to_form(Form.of(prompt="other", images=4, vary_amount=0.7))
    settings = form.settings
    assert (settings.prompt.positive, settings.sampling.seed) == ("ein Teich \u00fc", 7)
    assert (form.seed_locked, form.vary_amount) == (True, 0.7)
    assert settings.sampling.images == 4
    assert settings.sampling.steps == RECIPE.request.sampling.steps
    assert form == Form.of(**{**RECIPE.request.values(), **CHOSEN})


def test_a_foreign_value_in_a_recipe_is_left_out() -> None:
    found = json.loads(TAG.to_text())
    found["recipe"]["request"]["sampling"]["sampler"] = "from_the_future"
    tag = Tag.from_text(json.dumps(found))
    assert tag is not None
    assert tag.to_form(Form.of(sampler="k_lms")).settings.sampling.sampler == "k_lms"


def test_loras_that_were_given_beside_the_prompt_stand_in_it() -> None:
    given = (LoraWeight("styles/ink", 0.8), LoraWeight("__old__", 1.0, 0.5))
    tag = Tag(make_recipe(prompt="a lake", loras=given), "source")
    form = tag.to_form(Form())
    prompt = expand_prompt(form.settings.prompt.positive, 7)
    assert prompt == "a lake <lora:styles/ink:0.8> <lora:__old__:0.5:1>"
    assert named_loras((), prompt) == (LoraWeight("styles/ink", 0.8, 0.8), given[1])
    assert form.settings.conditioning.loras == ()
