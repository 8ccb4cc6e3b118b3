"""What is shown while a picture becomes."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from runs import BASE, make, texture, with_hole
from underpaint.engine import Engine, Inputs, Preview, Viewer
from underpaint.models.find import STARTER_FOLDER
from underpaint_client.samplers import SAMPLERS

LAYER = with_hole(texture(96, 128))


def watch(engine: Engine, layer: Any = LAYER, **how: Any) -> tuple[list[Preview], Any]:
    seen: list[Preview] = []
    viewer = Viewer(seen.append, full=how.pop("full", False), every=0)
    (picture,) = engine.generate(BASE.with_values(**how), Inputs(layer), viewer=viewer)
    return seen, picture


@pytest.mark.parametrize("sampler", list(SAMPLERS))
def test_every_step_is_seen_with_every_sampler(engine: Engine, sampler: str) -> None:
    seen, picture = watch(engine, sampler=sampler)
    steps = picture.recipe.facts.steps_run
    assert len(seen) >= steps
    assert [one.step for one in seen] == sorted(one.step for one in seen)
    assert {one.step for one in seen} == set(range(1, steps + 1))
    assert [one.step for one in seen][-1] == steps
    assert {one.steps for one in seen} == {steps}
    for one in seen:
        assert one.pixels.dtype == np.uint8
        assert one.pixels[..., 3].max() == 255  # the hole
        assert one.pixels[..., 3].min() == 0  # and nothing else


def test_watching_changes_nothing(engine: Engine) -> None:
    _, watched = watch(engine)
    assert np.array_equal(make(engine, LAYER).pixels, watched.pixels)


def test_the_last_full_preview_is_the_picture(engine: Engine) -> None:
    seen, picture = watch(engine, texture(64, 64), full=True, mode="img2img")
    assert seen[-1].pixels.shape == (64, 64, 4)
    distance = np.abs(seen[-1].pixels[..., :3].astype(int) - picture.pixels[..., :3]).max()
    assert distance <= 1


@pytest.mark.skipif(not STARTER_FOLDER.exists(), reason="this package is a slim one")
def test_a_quick_preview_looks_like_the_picture() -> None:
    engine, seen = Engine("cpu"), list[Preview]()
    request = BASE.with_values(model="starter", prompt="a lake at sunset", steps=10)
    (picture,) = engine.generate(request, viewer=Viewer(seen.append, every=0))
    size = (picture.pixels.shape[1], picture.pixels.shape[0])
    errors = []
    for one in (seen[0], seen[-1]):
        shown = cv2.resize(one.pixels[..., :3], size, interpolation=cv2.INTER_LINEAR)
        errors.append(float(np.abs(shown.astype(float) - picture.pixels[..., :3]).mean()))
    assert errors[1] < 16  # levels: blurred, but in its colours
    assert errors[1] < errors[0]
    share = picture.timings["preview"] / picture.timings["denoise"]
    print(f"{len(seen)} previews took {share:.1%} of denoising")
