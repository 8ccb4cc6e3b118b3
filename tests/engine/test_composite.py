from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from underpaint.engine.composite import Painted, compose, unchanged
from underpaint.engine.pixels import FULL, fraction
from underpaint.engine.source import Source
from underpaint_client.geometry import Box, Extent

rng = np.random.default_rng(1)


def over(patch: Any, source: Any) -> Any:
    """Lay straight-alpha pixels over others, by Porter and Duff, in floats 0..1."""
    top, bottom = fraction(patch).astype(np.float64), fraction(source).astype(np.float64)
    p, a = top[..., 3:], bottom[..., 3:]
    alpha = p + a * (1 - p)
    colour = p * top[..., :3] + (1 - p) * a * bottom[..., :3]
    return np.concatenate([colour, alpha], axis=-1)  # premultiplied: what an eye can see


def seen(pixels: Any) -> Any:
    values = fraction(pixels).astype(np.float64)
    return np.concatenate([values[..., :3] * values[..., 3:], values[..., 3:]], axis=-1)


def random_layer(alpha: Any, dtype: Any = np.uint8) -> Any:
    full = int(FULL[np.dtype(dtype)])
    pixels = rng.integers(0, full + 1, (*alpha.shape, 4)).astype(dtype)
    pixels[..., 3] = alpha
    return pixels


levels = st.sampled_from([0, 1, 64, 128, 254, 255])
maps = hnp.arrays(np.uint8, (9, 7), elements=levels)


@given(maps, maps, st.sampled_from(["inpaint", "img2img", "txt2img"]))
def test_kept_pixels_are_the_sources_bytes(alpha: Any, selection: Any, mode: str) -> None:
    pixels = random_layer(alpha)
    source = Source.of(pixels, selection).with_mode(mode)
    painted = rng.random((18, 14, 3), np.float32)
    result = compose([Painted(source, Box(0, 0, 7, 9), painted)], "layer").pixels
    kept = selection == 0
    if mode == "inpaint":
        kept |= alpha == 255
    np.testing.assert_array_equal(result[kept], pixels[kept])


@given(maps, maps, st.sampled_from(["inpaint", "img2img", "txt2img"]))
def test_patch_over_source_is_the_whole_layer(alpha: Any, selection: Any, mode: str) -> None:
    pixels = random_layer(alpha)
    source = Source.of(pixels, selection).with_mode(mode)
    painted = rng.random((9, 7, 3), np.float32)
    whole = compose([Painted(source, source.box, painted)], "layer").pixels
    patch = compose([Painted(source, source.box, painted)], "patch")
    if patch.kind == "layer":
        np.testing.assert_array_equal(patch.pixels, whole)
        assert patch.notes
        return
    canvas = np.zeros_like(pixels)
    box = patch.box
    canvas[box.y : box.bottom, box.x : box.right] = patch.pixels
    np.testing.assert_allclose(over(canvas, pixels), seen(whole), atol=1.6 / 255)
    assert not canvas[canvas[..., 3] == 0].any()


@given(maps)
def test_an_erased_layer_always_has_a_patch(alpha: Any) -> None:
    source = Source.of(random_layer(alpha)).with_mode("inpaint")
    assert (
        compose([Painted(source, source.box, rng.random((9, 7, 3), np.float32))], "patch").kind
        == "patch"
    )


def test_a_patch_is_cut_to_what_it_shows() -> None:
    alpha = np.full((100, 80), 255, np.uint8)
    alpha[20:30, 40:45] = 0
    source = Source.of(random_layer(alpha), None, 1000, 2000).with_mode("inpaint")
    patch = compose(
        [Painted(source, Box(1000, 2000, 64, 64), np.zeros((64, 64, 3), np.float32))], "patch"
    )
    assert patch.box == Box(1040, 2020, 5, 10)
    assert (patch.pixels == (0, 0, 0, 255)).all()


def test_a_see_through_layer_has_no_img2img_patch() -> None:
    source = Source.of(random_layer(np.full((8, 8), 128, np.uint8))).with_mode("img2img")
    result = compose([Painted(source, source.box, np.zeros((8, 8, 3), np.float32))], "patch")
    assert result.kind == "layer"
    assert "no patch" in result.notes[0]
    assert (result.pixels[..., 3] == 128).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
def test_alpha_and_colour_at_every_depth(dtype: Any) -> None:
    full = FULL[np.dtype(dtype)]
    pixels = np.zeros((1, 4, 4), dtype)
    pixels[..., :3] = full
    pixels[0, :, 3] = np.array([0, 0.9, 0.5, 1]) * full
    source = Source.of(pixels).with_mode("inpaint")
    result = compose([Painted(source, source.box, np.zeros((1, 4, 3), np.float32))], "layer").pixels
    assert result.dtype == dtype
    np.testing.assert_allclose(fraction(result)[0, :, 3], 1)
    # w = min(1, 4c): full at a quarter of change, four tenths at a tenth.
    np.testing.assert_allclose(fraction(result)[0, :, 0], [0, 0.6, 0, 1], atol=0.02)


def test_brighter_than_white_is_blended_not_cut() -> None:
    pixels = np.full((1, 2, 4), 5.0, np.float32)
    pixels[..., 3] = 1
    selection = np.array([[0.01, 0.0]], np.float32)
    source = Source.of(pixels, selection).with_mode("img2img")
    result = compose([Painted(source, source.box, np.ones((1, 2, 3), np.float32))], "layer").pixels
    np.testing.assert_allclose(result[0, 0, :3], 5 - 0.04 * 4, rtol=1e-5)
    np.testing.assert_array_equal(result[0, 1], pixels[0, 1])


def test_an_alpha_that_is_no_number_counts_as_erased() -> None:
    pixels = np.full((1, 2, 4), 0.5, np.float32)
    pixels[..., 3] = [[1, np.nan]]
    source = Source.of(pixels).with_mode("auto")
    assert source.mode == "inpaint"
    assert source.change_box() == Box(1, 0, 1, 1)
    result = compose([Painted(source, source.box, np.ones((1, 2, 3), np.float32))], "layer").pixels
    np.testing.assert_array_equal(result[0, 1], 1)


def test_rounded_not_floored() -> None:
    pixels = np.full((1, 1, 4), 255, np.uint8)
    source = Source.of(pixels).with_mode("img2img")
    painted = np.full((1, 1, 3), 100.6 / 255, np.float32)
    assert compose([Painted(source, source.box, painted)], "layer").pixels[0, 0, 0] == 101


def test_ten_identity_round_trips_do_not_drift() -> None:
    pixels = random_layer(np.full((32, 32), 255, np.uint8))
    current = pixels
    for _ in range(10):
        source = Source.of(current).with_mode("img2img")
        current = compose([Painted(source, source.box, fraction(current[..., :3]))], "layer").pixels
    np.testing.assert_array_equal(current, pixels)


def test_unchanged_is_the_same_bytes_or_nothing() -> None:
    source = Source.of(random_layer(np.zeros((4, 4), np.uint8))).with_mode("inpaint")
    assert unchanged(source, "layer").pixels is source.pixels
    assert not unchanged(source, "patch").pixels.any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_colour_is_replaced_in_full_or_stays(dtype: Any, value: float) -> None:
    pixels = np.full((1, 4, 4), value, dtype)
    pixels[..., 3] = 1
    selection = np.array([[0, 0.1, 0.25, 1]], np.float32)
    source = Source.of(pixels, selection).with_mode("img2img")
    painted = np.full((1, 4, 3), 0.5, np.float32)
    whole = compose([Painted(source, source.box, painted)], "layer")
    np.testing.assert_array_equal(whole.pixels[0, :, 0], np.array([value, value, 0.5, 0.5]))
    patch = compose(
        [Painted(source, source.box, painted)], "patch"
    )  # which is infinite where it is laid over
    assert patch.box == Box(1, 0, 3, 1)
    np.testing.assert_array_equal(patch.pixels[..., :3], np.full((1, 3, 3), 0.5))
    np.testing.assert_allclose(patch.pixels[0, :, 3], [0.4, 1, 1], rtol=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float16, np.float32])
@pytest.mark.parametrize("mode", ["inpaint", "txt2img"])
@pytest.mark.parametrize("kind", ["layer", "patch"])
def test_no_black_is_mixed_in_where_no_colour_is_left(dtype: Any, mode: str, kind: str) -> None:
    full = FULL[np.dtype(dtype)]
    pixels = np.zeros((1, 6, 4), dtype)
    selection = (np.array([[1, 16, 32, 48, 64, 255]]) * full / 255).astype(dtype)
    source = Source.of(pixels, selection).with_mode(mode)
    painted = np.full((1, 6, 3), 200 / 255, np.float32)
    result = compose([Painted(source, source.box, painted)], kind)
    assert result.kind == kind
    np.testing.assert_allclose(fraction(result.pixels)[..., :3], 200 / 255, atol=5e-4)
    np.testing.assert_allclose(fraction(result.pixels)[..., 3], fraction(selection), atol=1e-6)


@pytest.mark.parametrize("extent", [Extent(8, 8), Extent(60, 60)])
def test_pixels_that_scaling_mixed_with_lost_ones_do_not_darken(extent: Extent) -> None:
    pixels = np.full((20, 20, 4), 200, np.uint8)
    pixels[..., 3] = 255
    pixels[:, :9] = 0  # cleared
    source = Source.of(pixels, np.full((20, 20), 40, np.uint8)).with_mode("inpaint").fitted(extent)
    painted = np.full((extent.height, extent.width, 3), 200 / 255, np.float32)
    result = compose([Painted(source, source.box, painted)], "layer").pixels
    changed = source.change_in(source.box) > 0
    assert changed.any()
    np.testing.assert_allclose(result[changed][:, :3], 200, atol=1)
    patch = compose([Painted(source, source.box, painted)], "patch")
    if patch.kind == "patch":
        canvas = np.zeros_like(result)
        box = patch.box
        canvas[box.y : box.bottom, box.x : box.right] = patch.pixels
        np.testing.assert_allclose(over(canvas, source.pixels), seen(result), atol=1.6 / 255)


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32])
@pytest.mark.parametrize("mode", ["inpaint", "img2img", "txt2img"])
@pytest.mark.parametrize("kind", ["layer", "patch"])
@pytest.mark.parametrize("strip", [1, 200, 1000])
def test_strips_give_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, dtype: Any, mode: str, kind: str, strip: int
) -> None:
    draw = np.random.default_rng(3)
    full = FULL[np.dtype(dtype)]
    pixels = (draw.random((61, 47, 4)) * full).astype(dtype)
    pixels[..., 3] = draw.integers(0, 2, (61, 47)) * full
    pixels[:9] = 0
    if mode == "img2img":
        pixels[..., 3] = full
    selection = draw.random((61, 47), np.float32)
    source = Source.of(pixels, selection, 5, 7).with_mode(mode)
    area = Box(8, 9, 40, 50)
    painted = draw.random((25, 20, 3), np.float32)
    whole = compose([Painted(source, area, painted)], kind)
    assert whole.kind == kind
    monkeypatch.setattr("underpaint.engine.pixels.STRIP", strip)
    again = compose([Painted(source, area, painted)], kind)
    np.testing.assert_array_equal(again.pixels, whole.pixels)
    assert (again.box, again.kind) == (whole.box, whole.kind)


@pytest.mark.parametrize("kind", ["layer", "patch"])
def test_a_large_layer_needs_few_bytes_a_pixel(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr("underpaint.engine.pixels.STRIP", 2**14, raising=False)
    side = 1024
    pixels = random_layer(np.zeros((side, side), np.uint8))
    source = Source.of(pixels).with_mode("inpaint")
    painted = rng.random((side, side, 3), np.float32)
    tracemalloc.start()
    try:
        compose([Painted(source, source.box, painted)], kind)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak / side**2 < 8  # the result has 4
