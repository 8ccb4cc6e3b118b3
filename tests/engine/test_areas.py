"""Areas that lie far apart are painted one after the other, each as if it were alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runs import BASE, make, make_all, texture
from underpaint.engine import Engine, Inputs
from underpaint_client.geometry import Box
from underpaint_client.old_recipes import upgrade_recipe
from underpaint_client.recipe import RECIPE_FORMAT, Recipe

NEAR, FAR = Box(40, 30, 20, 24), Box(600, 420, 30, 16)


def erased(layer: Any, *holes: Box, alpha: int = 0) -> Any:
    changed = layer.copy()
    for hole in holes:
        changed[hole.y : hole.bottom, hole.x : hole.right, 3] = alpha
    return changed


def selected(layer: Any, *boxes: Box) -> Any:
    selection = np.zeros(layer.shape[:2], np.uint8)
    for box in boxes:
        selection[box.y : box.bottom, box.x : box.right] = 255
    return selection


def cut(picture: Any, box: Box) -> Any:
    """Return a box on the canvas of a result."""
    x, y = box.x - picture.box.x, box.y - picture.box.y
    return picture.pixels[y : y + box.height, x : x + box.width]


@pytest.mark.parametrize("kind", ["layer", "patch"])
@pytest.mark.parametrize("mode", ["inpaint", "img2img"])
def test_each_is_as_if_it_were_alone(engine: Engine, mode: str, kind: str) -> None:
    layer = texture(500, 700)

    def paint(*boxes: Box) -> list[Any]:
        chosen: dict[str, Any] = {"mode": mode, "result": kind, "images": 2, "steps": 4}
        if mode == "inpaint":
            return make_all(engine, erased(layer, *boxes), **chosen)
        return make_all(engine, layer, selected(layer, *boxes), **chosen)

    alone = {box: paint(box) for box in (NEAR, FAR)}
    for index, picture in enumerate(paint(NEAR, FAR)):
        assert picture.kind == kind
        for box, found in alone.items():
            np.testing.assert_array_equal(cut(picture, box), cut(found[index], box))
        between = cut(picture, Box(200, 100, 300, 200))
        np.testing.assert_array_equal(between, layer[100:300, 200:500] * (kind == "layer"))
        facts = picture.recipe.facts
        assert Box(*facts.work_area).contains(NEAR.around(FAR))
        assert facts.work_size == alone[FAR][index].recipe.facts.work_size
        assert facts.seed == (BASE.sampling.seed or 0) + index
        assert any("painted in 2 areas" in note for note in facts.notes)


def test_together_they_are_painted_at_a_lower_resolution(engine: Engine) -> None:
    layer = erased(texture(500, 700), NEAR, FAR)
    single, separate = make(engine, layer, areas="single"), make(engine, layer)
    assert "scaled up to 700 x 500" in single.recipe.facts.notes[0]
    scaled = [note for note in separate.recipe.facts.notes if "scaled up to" in note]
    assert ["scaled up to 188 x 180" in note for note in scaled] == [True]  # the far one alone


def test_areas_that_see_each_other_do_not_paint_into_each_other(engine: Engine) -> None:
    """The work areas overlap: each shows the model both holes, and only its own is used."""
    layer, first, second = texture(64, 700), Box(100, 20, 60, 20), Box(230, 20, 60, 20)
    found = make(engine, erased(layer, first, second, Box(600, 0, 9, 9)))
    kept = np.ones(layer.shape[:2], bool)
    for box in (first, second, Box(600, 0, 9, 9)):
        kept[box.y : box.bottom, box.x : box.right] = False
        assert (cut(found, box)[..., 3] == 255).all()
    np.testing.assert_array_equal(found.pixels[kept], layer[kept])


def test_images_that_run_together(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = erased(texture(500, 700), NEAR, FAR)
    one_by_one = make_all(engine, layer, images=3, steps=4)
    monkeypatch.setattr(
        "underpaint.engine.painter.batch_size", lambda images, *_, **__: min(images, 2)
    )
    together = make_all(engine, layer, images=3, steps=4)
    for first, second in zip(one_by_one, together, strict=True):
        assert np.abs(first.pixels.astype(int) - second.pixels).max() <= 1


def test_a_chain_goes_on_in_each(engine: Engine) -> None:
    layer = texture(500, 700)
    chosen: dict[str, Any] = {"images": 2, "steps": 4, "chain": True}
    alone = {box: make_all(engine, erased(layer, box), **chosen) for box in (NEAR, FAR)}
    for index, picture in enumerate(make_all(engine, erased(layer, NEAR, FAR), **chosen)):
        for box, found in alone.items():
            np.testing.assert_array_equal(cut(picture, box), cut(found[index], box))


def test_progress_counts_the_steps_of_all(engine: Engine) -> None:
    layer = erased(erased(texture(500, 700), NEAR), FAR, alpha=128)
    told: list[Any] = []
    request = BASE.with_values(strength=1.0)
    (picture,) = engine.generate(request, Inputs(layer), progress=told.append)
    steps = [(one.step, one.steps) for one in told if one.phase == "Denoising"]
    assert steps == [(step, 12) for step in [*range(9), *range(8, 13)]]
    assert picture.recipe.facts.steps_run == 8


def test_a_speck_sets_no_work_area_and_stays(engine: Engine) -> None:
    layer = erased(texture(500, 700), NEAR)
    clean = make(engine, layer)
    dusty = layer.copy()
    dusty[490, 690, 3] = 254
    found = make(engine, dusty)
    assert found.recipe.facts.work_area == clean.recipe.facts.work_area
    np.testing.assert_array_equal(cut(found, NEAR), cut(clean, NEAR))
    assert tuple(found.pixels[490, 690]) == tuple(dusty[490, 690])


def test_a_picture_that_is_hardly_erased_is_painted_all_the_same(engine: Engine) -> None:
    layer = texture(64, 64)
    layer[..., 3] = 254
    assert make(engine, layer).recipe.facts.steps_run == 1


def test_its_recipe_makes_it_again(engine: Engine) -> None:
    layer = erased(texture(500, 700), NEAR, FAR)
    first = make(engine, layer)
    recipe = Recipe.from_dict(first.recipe.to_dict())
    (again,) = engine.generate(recipe.request, Inputs(layer))
    assert again.pixels.tobytes() == first.pixels.tobytes()
    assert again.recipe.facts.source_hash == first.recipe.facts.source_hash


@pytest.mark.parametrize("written", [3, 4])
def test_recipes_of_earlier_formats_paint_them_in_one_run(engine: Engine, written: int) -> None:
    found = make(engine, erased(texture(64, 64), NEAR)).recipe.to_dict()
    assert found["format"] == RECIPE_FORMAT
    del found["request"]["size"]["areas"]
    old = upgrade_recipe({**found, "format": written}, written)
    assert old["request"]["size"]["areas"] == "single"
    assert (old["request"]["output"]["blend"] == "none") == (written == 3)
