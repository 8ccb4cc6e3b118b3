from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from underpaint.engine.plan import Plan, make_plan
from underpaint.engine.prepare import prepare
from underpaint.engine.source import Source
from underpaint_client.geometry import Extent
from underpaint_client.request import Request


def hole(hidden: tuple[int, int, int], side: int = 64) -> Any:
    """A blue layer with an erased square, under which lies another colour."""
    pixels = np.full((side, side, 4), (20, 40, 200, 255), np.uint8)
    pixels[side // 4 : side // 2, side // 4 : side // 2] = (*hidden, 0)
    return pixels


def prepared(pixels: Any, fill: str = "auto", strength: float = 0.75, **changes: Any) -> Any:
    source = Source.of(pixels).with_mode("inpaint")
    request = Request.of(strength=strength, steps=20, **changes)
    plan: Plan = make_plan(request, "inpaint", source.box, source.change_box(), 1.0, 64, 1000)
    result = prepare(source, plan, fill)
    assert result.image.shape == (plan.work_size.height, plan.work_size.width, 3)
    return result, result.image[plan.content.height * 3 // 8, plan.content.width * 3 // 8] * 255


@pytest.mark.parametrize("side", [16, 64, 100, 300])
def test_hidden_colour_reaches_the_model(side: int) -> None:
    result, colour = prepared(hole((250, 0, 10), side))
    np.testing.assert_allclose(colour, (250, 0, 10), atol=0.01)
    assert not result.notes


@pytest.mark.parametrize("side", [16, 64, 100, 300])
def test_lost_colour_is_filled_from_its_neighbours(side: int) -> None:
    result, colour = prepared(hole((0, 0, 0), side))
    np.testing.assert_allclose(colour, (20, 40, 200), atol=1)
    assert "no colour left" in result.notes[0]
    # Not a shade of black creeps in at the rim, whatever the scaling.
    np.testing.assert_allclose(
        result.image * 255, np.broadcast_to((20, 40, 200), result.image.shape), atol=2
    )


def test_black_under_the_hole_is_kept_when_asked_for() -> None:
    _, colour = prepared(hole((0, 0, 0)), "underpaint")
    np.testing.assert_allclose(colour, 0, atol=0.01)


def test_neighbours_replace_the_colour_under_a_hole() -> None:
    _, colour = prepared(hole((250, 0, 10)), "neighbours")
    np.testing.assert_allclose(colour, (20, 40, 200), atol=1)


def test_noise_replaces_the_colour_under_a_hole_alone() -> None:
    result, _ = prepared(hole((250, 0, 10)), "noise")
    inside = result.image[16:32, 16:32]
    assert inside.std() > 0.2
    np.testing.assert_allclose(
        result.image[:16] * 255, np.full((16, 64, 3), (20, 40, 200)), atol=0.01
    )
    again, _ = prepared(hole((250, 0, 10)), "noise")
    np.testing.assert_array_equal(result.image, again.image)


def test_full_change_forgets_the_hidden_colour() -> None:
    _, colour = prepared(hole((250, 0, 10)), strength=1.0)
    np.testing.assert_allclose(colour, (20, 40, 200), atol=1)


def test_partial_alpha_keeps_its_colour_at_full_strength() -> None:
    pixels = hole((250, 0, 10))
    pixels[16:32, 16:32, 3] = 1
    _, colour = prepared(pixels, strength=1.0)
    np.testing.assert_allclose(colour, (250, 0, 10), atol=0.01)


def test_sixteen_bits_reach_the_model() -> None:
    pixels = hole((250, 0, 10)).astype(np.uint16) * 257
    pixels[0, 0, 0] += 1
    result, _ = prepared(pixels)
    assert result.image[0, 0, 0] * 65535 == pytest.approx(20 * 257 + 1, abs=0.01)


def test_edges_are_repeated_up_to_a_multiple_of_sixteen() -> None:
    result, _ = prepared(hole((250, 0, 10), 100))
    assert Extent(*result.image.shape[1::-1]) == Extent(112, 112)
    np.testing.assert_array_equal(result.image[:, 100:], result.image[:, 99:100].repeat(12, 1))


@pytest.mark.parametrize("fill", ["auto", "underpaint", "neighbours", "noise"])
@pytest.mark.parametrize("side", [16, 64, 300])
def test_a_white_layer_stays_white(fill: str, side: int) -> None:
    pixels = np.full((side, side, 4), 255, np.uint8)
    pixels[side // 4 : side // 2, side // 4 : side // 2, 3] = 0
    result, _ = prepared(pixels, fill, strength=1.0)
    assert result.image.min() > 0.99


@pytest.mark.parametrize("side", [16, 64, 1000])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_pixel_that_is_not_finite_leaves_the_rest_of_the_picture(
    side: int, value: float
) -> None:
    pixels = np.full((side, side, 4), 0.75, np.float32)
    pixels[..., 3] = 1
    pixels[: side // 2, : side // 2, 3] = 0
    pixels[side // 2 + 1, side // 2 + 1, 0] = value
    result, colour = prepared(pixels)
    np.testing.assert_allclose(colour, 0.75 * 255, rtol=1e-5)
    assert np.isfinite(result.image).all()
    np.testing.assert_allclose(np.median(result.image, axis=(0, 1)), 0.75, rtol=1e-5)


@pytest.mark.parametrize("fill", ["auto", "neighbours", "noise"])
@pytest.mark.parametrize("strip", [1, 500, 4000])
def test_strips_give_the_same_picture(
    monkeypatch: pytest.MonkeyPatch, fill: str, strip: int
) -> None:
    pixels = np.random.default_rng(3).integers(0, 256, (300, 300, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[40:200, 50:210, 3] = 0
    pixels[40:80, 50:110] = 0
    whole, _ = prepared(pixels, fill, strength=0.75)
    monkeypatch.setattr("underpaint.engine.pixels.STRIP", strip)
    again, _ = prepared(pixels, fill, strength=0.75)
    np.testing.assert_array_equal(again.image, whole.image)
    assert again.notes == whole.notes
