from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from underpaint.engine.composite import Painted, compose
from underpaint.engine.pixels import FULL, fraction, mean_opacity, quantize, resize
from underpaint.engine.pooling import max_cells, max_resize
from underpaint.engine.source import Source
from underpaint_client.errors import BadInputError
from underpaint_client.geometry import Box, Extent

DEPTHS = [np.uint8, np.uint16, np.float16, np.float32]


def test_every_level_survives_fraction_and_quantize() -> None:
    for dtype in (np.uint8, np.uint16):
        levels = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
        np.testing.assert_array_equal(quantize(fraction(levels), np.dtype(dtype)), levels)


def test_hdr_and_nan_are_brought_into_range() -> None:
    values = np.array([np.nan, -1, 0, 0.5, 1, 7, np.inf], np.float32)
    np.testing.assert_array_equal(fraction(values), np.array([0, 0, 0, 0.5, 1, 1, 1]))


@given(
    hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=40),
               elements=st.sampled_from([0.0, 0.25, 1.0])),
    st.integers(1, 60), st.integers(1, 60),
)  # fmt: skip
def test_no_stroke_gets_weaker(values: Any, width: int, height: int) -> None:
    pooled = max_resize(values, Extent(width, height))
    assert pooled.shape == (height, width)
    assert pooled.max() == values.max()
    # Every source pixel lies under some result pixel that is at least as strong.
    for y, x in np.argwhere(values > 0):
        row, column = y * height // values.shape[0], x * width // values.shape[1]
        assert pooled[row, column] >= values[y, x]


def test_a_two_pixel_stroke_counts_in_full() -> None:
    values = np.zeros((4096, 4096), np.float32)
    values[1000:1002, 500:700] = 1
    cells = max_cells(values, Extent(512, 512), 8, Extent(64, 64))
    assert cells.max() == 1
    assert cells.sum() == 4  # 200 pixels are 25 of the model's, which touch four cells


def test_cells_beyond_the_content_repeat_its_edge() -> None:
    values = np.zeros((20, 20), np.float32)
    values[:, -1] = 1
    cells = max_cells(values, Extent(20, 20), 8, Extent(4, 4))
    np.testing.assert_array_equal(cells, [[0, 0, 1, 1]] * 4)


def layer(alpha: Any, colour: int = 9, dtype: Any = np.uint8) -> Any:
    pixels = np.full((*np.shape(alpha), 4), colour, dtype)
    pixels[..., 3] = np.asarray(alpha) * FULL[np.dtype(dtype)]
    return pixels


@pytest.mark.parametrize("dtype", DEPTHS)
def test_change(dtype: Any) -> None:
    pixels = layer([[0, 1, 0.5, 0]], 1, dtype)
    selection = np.array([[1, 1, 0.5, 0]], np.float32)
    source = Source.of(pixels, selection, 5, 6)
    box = source.box
    assert box == Box(5, 6, 4, 1)
    inpaint = source.with_mode("auto")
    assert inpaint.mode == "inpaint"
    half = float(fraction(pixels)[0, 2, 3])
    np.testing.assert_allclose(inpaint.change_in(box), [[1, 0, 0.5 * (1 - half), 0]], rtol=1e-6)
    assert inpaint.change_box() == Box(5, 6, 3, 1)
    image = source.with_mode("img2img")
    np.testing.assert_array_equal(image.change_in(box), selection)


@pytest.mark.parametrize(
    ("pixels", "selection", "mode"),
    [
        (layer([[1, 1]]), None, "img2img"),
        (layer([[1, 0]]), None, "inpaint"),
        (layer([[1, 0]]), [[1.0, 0.0]], "img2img"),  # what is erased lies outside the selection
        (layer([[0, 0]], colour=0), None, "txt2img"),
        (layer([[0, 0]], colour=1), None, "inpaint"),  # erased, but the colour is there
    ],
)
def test_auto(pixels: Any, selection: Any, mode: str) -> None:
    chosen = None if selection is None else np.array(selection, np.float32)
    assert Source.of(pixels, chosen).with_mode("auto").mode == mode


def test_colour_is_lost_where_all_four_are_zero() -> None:
    pixels = np.zeros((1, 4, 4), np.uint16)
    pixels[0, 1, 0] = 1
    pixels[0, 2, 3] = 1
    for dtype in (np.uint8, np.uint16, np.float32):
        source = Source.of(pixels.astype(dtype))
        np.testing.assert_array_equal(source.known_in(source.box), [[0, 1, 1, 0]])


@pytest.mark.parametrize(
    ("pixels", "selection", "told"),
    [
        (np.zeros((4, 4, 3), np.uint8), None, r"\(4, 4, 3\)"),
        (np.zeros((4, 4, 4), np.int64), None, "int64"),
        (np.zeros((0, 4, 4), np.uint8), None, r"\(0, 4, 4\)"),
        (np.zeros((4, 5, 4), np.uint8), np.zeros((5, 4), np.uint8), "4 x 5.*5 x 4"),
        (np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4), np.int32), "int32"),
    ],
)
def test_what_cannot_be_used_is_named(pixels: Any, selection: Any, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        Source.of(pixels, selection)


def test_fit_keeps_channels_apart() -> None:
    pixels = np.zeros((64, 32, 4), np.uint8)
    pixels[..., 0] = 200  # hidden everywhere, and still there after scaling
    pixels[:32, :, 3] = 255
    fitted = Source.of(pixels).with_mode("inpaint").fitted(Extent(16, 16))
    assert fitted.box.extent == Extent(8, 16)
    assert (fitted.pixels[..., 0] == 200).all()
    np.testing.assert_array_equal(fitted.pixels[:, 0, 3], [255] * 8 + [0] * 8)
    assert fitted.change_box() == Box(0, 8, 8, 8)


def test_fit_upwards_leaves_no_ring() -> None:
    pixels = layer(np.ones((64, 64)))
    pixels[20:40, 20:40, 3] = 0
    fitted = Source.of(pixels).with_mode("auto").fitted(Extent(200, 200))
    whole = compose(
        [Painted(fitted, fitted.box, np.zeros((200, 200, 3), np.float32))], "layer"
    ).pixels
    assert (whole[..., 3] == 255).all()


def test_fit_keeps_a_thin_stroke() -> None:
    pixels = layer(np.ones((256, 256)))
    pixels[100:102, :, 3] = 0
    fitted = Source.of(pixels).with_mode("auto").fitted(Extent(32, 32))
    assert fitted.change_in(fitted.box).max() == 1


def test_an_edge_between_cells_is_half_opaque() -> None:
    values = np.zeros((16, 32), np.float32)
    values[:, 12:] = 1
    values[8:] /= 8
    found = mean_opacity(values, Extent(4, 2))
    assert found.dtype == np.uint8
    assert found.tolist() == [[0, 128, 255, 255], [0, 64, 128, 128]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("side", [8, 20, 32, 50, 100])
def test_a_value_that_is_not_finite_stays_where_it_is(dtype: Any, value: float, side: int) -> None:
    values = np.random.default_rng(2).random((32, 32, 4)).astype(dtype)
    plain = resize(values, Extent(side, side)).astype(np.float32)
    values[12, 20, 1] = value
    scaled = resize(values, Extent(side, side))
    assert scaled.dtype == dtype
    # Cubic interpolation looks at two pixels on each side.
    reach = max(1, side / 32)
    y, x = np.ogrid[:side, :side]
    away = (abs((y + 0.5) / side * 32 - 12.5) > 2 + 1 / reach) | (
        abs((x + 0.5) / side * 32 - 20.5) > 2 + 1 / reach
    )
    np.testing.assert_array_equal(scaled[away].astype(np.float32), plain[away])
    np.testing.assert_array_equal(scaled[..., [0, 2, 3]].astype(np.float32), plain[..., [0, 2, 3]])
    found = scaled[..., 1].astype(np.float32)
    finite = found[np.isfinite(found)]
    assert finite.size >= (1 - 2 / 32**2) * side**2
    assert ((finite >= 0) & (finite <= 1)).all()
    if side >= 32:
        at = int((12 + 0.5) / 32 * side), int((20 + 0.5) / 32 * side)
        np.testing.assert_array_equal(found[at], np.float32(value))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_everywhere_stays_so(value: float) -> None:
    for side in (8, 50):
        scaled = resize(np.full((32, 32, 4), value, np.float32), Extent(side, side))
        np.testing.assert_array_equal(scaled, np.full((side, side, 4), value, np.float32))


@pytest.mark.parametrize("limit", [Extent(16, 16), Extent(100, 100)])
def test_fit_keeps_a_layer_with_one_pixel_that_is_no_number(limit: Extent) -> None:
    pixels = np.full((32, 32, 4), 0.5, np.float32)
    pixels[..., 3] = 1
    pixels[5, 5, 0] = np.nan
    fitted = Source.of(pixels).with_mode("img2img").fitted(limit)
    assert np.isnan(fitted.pixels[..., 0]).mean() < 2 / 32**2
    np.testing.assert_allclose(fitted.pixels[..., 1:3], 0.5, rtol=1e-6)
