from __future__ import annotations

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest

from training.painter import Scene, describe, paint, sample_scene
from training.painter.scene import Cover, Season, Time, Weather

rng = np.random.default_rng(11)
SCENES = [sample_scene(rng) for _ in range(12)]


@pytest.mark.parametrize("scene", SCENES[:4])
def test_a_scene_is_always_painted_alike(scene: Scene) -> None:
    first = paint(scene, 64)
    assert first.shape == (64, 64, 3)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, paint(scene, 64))
    assert (first != paint(replace(scene, seed=scene.seed + 1), 64)).any()


@pytest.mark.parametrize("scene", SCENES[:4])
def test_sizes_show_the_same_composition(scene: Scene) -> None:
    small = paint(scene, 96).astype(np.float32)
    large = cv2.resize(paint(scene, 256), (96, 96), interpolation=cv2.INTER_AREA).astype(np.float32)
    left, right = (np.asarray(cv2.GaussianBlur(one, (0, 0), 4)).ravel() for one in (small, large))
    assert np.corrcoef(left, right)[0, 1] > 0.8


def test_captions_fit_the_tokenizer() -> None:
    words: set[str] = set()
    for scene in SCENES:
        for _ in range(20):
            caption = describe(scene, rng)
            assert caption
            assert caption.isascii()
            assert caption == caption.lower()
            assert len(caption) <= 70
            words.update(caption.replace(",", "").split())
    assert len(words) > 80


def upper(picture: Any) -> Any:
    return picture[: len(picture) // 4].astype(np.float32).mean((0, 1))


def lower(picture: Any) -> Any:
    return picture[-len(picture) // 4 :].astype(np.float32).mean((0, 1))


PLAIN = Scene(seed=5)


def test_times_of_day_and_seasons_look_like_themselves() -> None:
    day = paint(PLAIN, 96)
    night = paint(replace(PLAIN, time=Time.NIGHT), 96)
    sunset = paint(replace(PLAIN, time=Time.SUNSET), 96)
    winter = paint(replace(PLAIN, season=Season.WINTER), 96)
    desert = paint(replace(PLAIN, cover=Cover.SAND), 96)
    storm = paint(replace(PLAIN, weather=Weather.OVERCAST), 96)
    assert upper(night).mean() < upper(day).mean() / 2
    assert upper(sunset)[0] - upper(sunset)[2] > upper(day)[0] - upper(day)[2]
    assert np.ptp(lower(winter)) < np.ptp(lower(day))
    assert lower(winter).mean() > lower(day).mean()
    assert lower(desert)[0] > lower(desert)[2] + 30
    assert np.ptp(upper(storm)) < np.ptp(upper(day))
