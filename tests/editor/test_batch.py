"""What is said of a result that should be like an earlier one."""

from __future__ import annotations

from typing import Any

import pytest

from example_recipe import make_recipe
from underpaint_client import Box, Frame, Request, messages
from underpaint_editor.batch import Batch
from underpaint_editor.job import Job
from underpaint_editor.notices import ImageReceived

FRAME = Frame("patch", Box(0, 0, 1, 1), "u1", "RGBA", bytes(4))
OTHER_LAYER = "the layer or the selection has changed since the result was made"
OTHER_WEIGHTS = "the model's weights have changed since the result was made"


@pytest.mark.parametrize(
    ("meant", "came", "notes"),
    [
        (("s", "m"), ("s", "m"), []),
        (("s", "m"), ("s", "n"), [OTHER_WEIGHTS]),
        (("s", "m"), ("t", "n"), [OTHER_LAYER, OTHER_WEIGHTS]),
        (("s", "m"), ("t", ""), [OTHER_LAYER]),  # nothing to change: no model ran
        (("s", "m"), ("s", ""), []),
        (("s", ""), ("s", "m"), []),
        (("", ""), ("s", "m"), []),
    ],
)
def test_only_a_model_that_ran_has_other_weights(
    meant: tuple[str, str], came: tuple[str, str], notes: list[str]
) -> None:
    place: Any = None
    batch = Batch(place, expected_source=meant[0], expected_model=meant[1])
    recipe = make_recipe({"source_hash": came[0], "model_hash": came[1], "notes": ()})
    batch.add(
        ImageReceived(
            Job("job", Request(), batch), messages.Picture("job", 0, "patch", recipe), FRAME
        )
    )
    assert batch.notes == notes


def test_a_variation_over_another_picture_says_that_it_may_be_below() -> None:
    place: Any = None
    batch = Batch(place, expected_source="s")
    recipe = make_recipe({"source_hash": "t", "context_hash": "c", "notes": ()})
    picture = messages.Picture("job", 0, "patch", recipe)
    batch.add(ImageReceived(Job("job", Request(), batch), picture, FRAME))
    assert batch.notes == [
        "the layer, what is below it or the selection has changed since the result was made"
    ]
