from __future__ import annotations

import dataclasses
import json

import pytest

from example_recipe import make_recipe
from underpaint_client import Variation
from underpaint_editor.form import Form
from underpaint_editor.tag import Tag

RECIPE = dataclasses.replace(make_recipe(), prompt="ein Teich \u00fc", seed=7)
TAG = Tag(RECIPE, "source", "job", 3)


def test_a_tag_is_read_as_it_was_written() -> None:
    assert TAG.to_text().isascii()
    assert Tag.from_text(TAG.to_text()) == TAG


def test_tags_of_older_files_are_read() -> None:
    older = json.loads(TAG.to_text())
    del older["job"], older["index"]
    assert Tag.from_text(json.dumps(older)) == Tag(RECIPE, "source")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "7", '{"format": 1}', '{"format": 2, "source": "a", "recipe": {}}',
     '{"format": 1, "source": 3, "recipe": {}}', '{"format": 1, "source": "a", "recipe": []}',
     '{"format": 1, "source": "a", "recipe": {"mode": 3}}', "[" * 10_000],
)  # fmt: skip
def test_what_is_no_tag_is_none(text: str) -> None:
    assert Tag.from_text(text) is None


def test_variations_go_on_from_all_that_there_were() -> None:
    recipe = dataclasses.replace(
        RECIPE, variations=(Variation(5, 0.5), Variation(6, 0.2)), variation_amount=0.2
    )
    request = dataclasses.replace(TAG, recipe=recipe).variations(0.1, 3, 99)
    assert request.seed == 7
    assert request.variations == recipe.variations
    assert (request.variation_amount, request.variation_seed, request.images) == (0.1, 99, 3)


def test_settings_are_taken_over() -> None:
    form = TAG.to_form(Form(prompt="other", images=4, vary_amount=0.7))
    assert (form.prompt, form.seed, form.seed_locked) == ("ein Teich \u00fc", 7, True)
    assert (form.images, form.vary_amount) == (4, 0.7)
    assert form.steps == RECIPE.steps


def test_a_foreign_value_in_a_recipe_is_left_out() -> None:
    found = json.loads(TAG.to_text())
    found["recipe"]["sampler"] = "from_the_future"
    tag = Tag.from_text(json.dumps(found))
    assert tag is not None
    assert tag.to_form(Form(sampler="k_lms")).sampler == "k_lms"
