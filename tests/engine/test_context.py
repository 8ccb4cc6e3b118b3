"""A layer over a picture: what the model sees of both, and what of the layer it changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from runs import BASE, texture, with_hole
from underpaint.engine import Engine, Inputs, Picture
from underpaint.engine.context import lay_over_context
from underpaint.engine.pixels import FULL, fraction
from underpaint.engine.source import Source
from underpaint_client.errors import BadInputError

SIDE = 64
EMPTY = np.zeros((SIDE, SIDE, 4), np.uint8)
PAINTING = texture(SIDE, SIDE, seed=3)
HALF = np.zeros((SIDE, SIDE), np.uint8)
HALF[:, : SIDE // 2] = 255


def generate(
    engine: Engine, layer: Any, context: Any, selection: Any = None, **changes: Any
) -> list[Picture]:
    rasters = {} if context is None else {"context": context}
    asked = BASE.with_values(context="layer" if context is None else "below", **changes)
    return list(engine.generate(asked, Inputs(layer, selection, rasters=rasters)))


def one_pixel(
    layer: tuple[int, ...], below: tuple[int, ...], selected: int = 255
) -> tuple[list[int], float]:
    """Return what the model sees of one pixel, RGBA, and how much of its colour is known."""
    source = Source.of(
        np.array([[layer]], np.uint8),
        np.array([[selected]], np.uint8),
        context=np.array([[below]], np.uint8),
    ).with_mode("inpaint")
    seen = lay_over_context(source, source.box)
    return seen.pixels[0, 0].tolist(), float(seen.known_in(seen.box)[0, 0])


RED, BLUE, NOTHING = (200, 0, 0), (0, 0, 100, 255), (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("layer", "below", "selected", "seen", "known"),
    [
        # Selected: the layer's own colour, also under alpha 0; the colour below where it is lost.
        ((*RED, 255), BLUE, 255, [*RED, 255], 1),
        ((*RED, 128), BLUE, 255, [*RED, 128], 1),
        ((*RED, 0), BLUE, 255, [*RED, 0], 1),
        (NOTHING, BLUE, 255, [0, 0, 100, 0], 1),
        (NOTHING, (0, 0, 100, 1), 255, [0, 0, 100, 0], 1),
        # Not selected: what can be seen.
        ((*RED, 255), BLUE, 0, [*RED, 255], 1),
        ((*RED, 0), BLUE, 0, list(BLUE), 1),
        (NOTHING, BLUE, 0, list(BLUE), 1),
        ((*RED, 102), BLUE, 0, [80, 0, 60, 255], 1),
        ((*RED, 0), (0, 0, 100, 51), 0, [0, 0, 100, 51], 1),
        # Selected in part: in between.
        ((*RED, 0), BLUE, 51, [40, 0, 80, 204], 1),
        # Nothing is below: as without a context.
        ((*RED, 7), NOTHING, 0, [*RED, 7], 1),
        ((*RED, 0), (9, 9, 9, 0), 0, [*RED, 0], 1),
        (NOTHING, NOTHING, 0, [*NOTHING], 0),
        (NOTHING, (9, 9, 9, 0), 255, [*NOTHING], 0),
    ],
)
def test_what_the_model_sees_of_a_pixel(
    layer: tuple[int, ...], below: tuple[int, ...], selected: int, seen: list[int], known: float
) -> None:
    assert one_pixel(layer, below, selected) == (seen, known)


layers = hnp.arrays(np.uint8, (6, 5, 4), elements=st.sampled_from([0, 1, 90, 254, 255]))
selections = hnp.arrays(np.uint8, (6, 5), elements=st.sampled_from([0, 1, 128, 255]))


@given(layers, layers, selections, st.sampled_from([np.uint8, np.uint16, np.float16, np.float32]))
def test_the_model_sees_the_picture_where_nothing_is_selected(
    layer: Any, below: Any, selection: Any, dtype: Any
) -> None:
    """By Porter and Duff, and the own colour where all is selected; for each depth."""
    full = FULL[np.dtype(dtype)] / 255
    source = Source.of(
        (layer * full).astype(dtype), selection, context=(below * full).astype(dtype)
    ).with_mode("inpaint")
    seen = fraction(lay_over_context(source, source.box).pixels)
    top, bottom = fraction(source.pixels), fraction((below * full).astype(dtype))
    a, b = top[..., 3:], bottom[..., 3:]
    shown = a + b * (1 - a)
    over = (a * top[..., :3] + b * (1 - a) * bottom[..., :3]) / np.maximum(shown, 1e-6)
    out = (selection == 0) & (b[..., 0] > 0)
    np.testing.assert_allclose(seen[out], np.dstack([over, shown])[out], atol=0.003)
    own = (selection == 255) & (layer.any(axis=-1))
    np.testing.assert_array_equal(seen[own], top[own])


@given(layers, selections, st.sampled_from(["inpaint", "img2img", "txt2img"]))
def test_where_nothing_is_below_all_is_as_without(layer: Any, selection: Any, mode: str) -> None:
    below = layer.copy()
    below[..., 3] = 0
    source = Source.of(layer, selection, context=below).with_mode(mode)
    seen = lay_over_context(source, source.box)
    np.testing.assert_array_equal(seen.pixels, layer)
    np.testing.assert_array_equal(seen.known_in(seen.box), source.known_in(source.box))
    np.testing.assert_array_equal(seen.change_in(seen.box), source.change_in(source.box))
    alone = replace(source, context=None)
    assert lay_over_context(alone, alone.box) is alone


def test_a_context_of_nothing_changes_no_bit(engine: Engine) -> None:
    layer = with_hole(texture(SIDE, SIDE))
    (alone,) = generate(engine, layer, None, HALF)
    (over,) = generate(engine, layer, EMPTY, HALF)
    np.testing.assert_array_equal(over.pixels, alone.pixels)
    assert over.recipe.facts.source_hash == alone.recipe.facts.source_hash
    assert over.recipe.facts.context_hash
    assert not alone.recipe.facts.context_hash


def test_an_empty_layer_over_a_painting_is_painted_as_the_painting_would_be(
    engine: Engine,
) -> None:
    """What comes onto the empty layer is what comes of an erased painting, to the bit."""
    (found,) = generate(engine, EMPTY, PAINTING, HALF, result="patch")
    erased = PAINTING.copy()
    erased[HALF > 0, 3] = 0
    (like,) = generate(engine, erased, None, HALF, result="patch")
    assert found.recipe.request.mode == "inpaint"
    assert found.recipe.request.source.context == "below"
    assert found.recipe.facts.source_hash == like.recipe.facts.source_hash
    shown, expected = found.pixels, like.pixels
    assert found.box == like.box
    np.testing.assert_array_equal(shown, expected)
    np.testing.assert_array_equal(shown[..., 3], 255)


def test_the_whole_layer_gets_what_is_selected_alone(engine: Engine) -> None:
    (found,) = generate(engine, EMPTY, PAINTING, HALF, result="layer")
    assert not found.pixels[HALF == 0].any()
    np.testing.assert_array_equal(found.pixels[..., 3], HALF)


@pytest.mark.parametrize("mode", ["auto", "inpaint", "img2img", "txt2img"])
@pytest.mark.parametrize("blend", ["seamless", "none"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_kept_pixels_stay_bit_for_bit(engine: Engine, mode: str, blend: str, dtype: Any) -> None:
    full = FULL[np.dtype(dtype)] / 255
    layer = (with_hole(texture(SIDE, SIDE)) * full).astype(dtype)
    layer[:8, :, 3] *= 0  # erased, and not selected
    changed = {"mode": mode, "blend": blend, "steps": 2}
    (found,) = generate(engine, layer, (PAINTING * full).astype(dtype), HALF, **changed)
    kept = (HALF == 0) | ((layer[..., 3] == layer[..., 3].max()) & (mode in ("auto", "inpaint")))
    np.testing.assert_array_equal(found.pixels[kept], layer[kept])
    assert (found.pixels != layer).any()


def test_the_picture_below_matters_and_hidden_colour_goes_first(engine: Engine) -> None:
    other = PAINTING.copy()
    other[:, : SIDE // 2, :3] = 255 - other[:, : SIDE // 2, :3]  # where it is selected alone
    seen = {}
    guides = PAINTING.copy()
    guides[..., 3] = 0
    for name, layer in (("lost", EMPTY), ("guided", guides)):
        found = [generate(engine, layer, below, HALF)[0] for below in (PAINTING, other)]
        seen[name] = [one.recipe.facts.source_hash for one in found]
        assert found[0].recipe.facts.context_hash != found[1].recipe.facts.context_hash
    assert seen["lost"][0] != seen["lost"][1]
    assert seen["guided"][0] == seen["guided"][1] == seen["lost"][0]


def test_what_is_already_in_the_context_does_not_matter(engine: Engine) -> None:
    """The picture of an editor may have the layer in it."""
    layer = with_hole(texture(SIDE, SIDE))
    flattened = np.where(layer[..., 3:] > 0, layer, PAINTING)
    apart, together = (generate(engine, layer, below, HALF)[0] for below in (PAINTING, flattened))
    np.testing.assert_array_equal(apart.pixels, together.pixels)


@pytest.mark.parametrize(
    ("layer", "below", "selection", "mode"),
    [
        (EMPTY, PAINTING, HALF, "inpaint"),
        (EMPTY, PAINTING, None, "txt2img"),
        (EMPTY, np.full_like(EMPTY, 255), HALF, "txt2img"),  # white paper
        (EMPTY, EMPTY, HALF, "txt2img"),
        (with_hole(PAINTING), PAINTING, None, "inpaint"),
        (np.full_like(EMPTY, 255), EMPTY, None, "img2img"),  # it may have layers around it
    ],
)
def test_automatic_is_decided_by_the_pixels(
    engine: Engine, layer: Any, below: Any, selection: Any, mode: str
) -> None:
    (found,) = generate(engine, layer, below, selection, steps=1)
    assert found.recipe.request.mode == mode


def test_a_chain_and_a_fitted_layer_see_it_too(engine: Engine) -> None:
    chained = generate(engine, EMPTY, PAINTING, HALF, images=2, chain=True, steps=2)
    assert {one.recipe.facts.context_hash for one in chained} != {""}
    assert not np.array_equal(chained[0].pixels, chained[1].pixels)
    size = {"fit": True, "width": 2 * SIDE, "height": 2 * SIDE, "steps": 2}
    (fitted,) = generate(engine, EMPTY, PAINTING, HALF, **size)
    assert fitted.pixels.shape == (2 * SIDE, 2 * SIDE, 4)
    assert not fitted.pixels[:, SIDE + 4 :].any()


@pytest.mark.parametrize(
    ("request_context", "inputs", "told"),
    [
        ("below", Inputs(PAINTING), "context 'below' needs a picture of what is below"),
        ("layer", Inputs(PAINTING, rasters={"context": PAINTING}), "the raster 'context' came"),
        ("below", Inputs(rasters={"context": PAINTING}), "a context came without a layer"),
        (
            "below",
            Inputs(PAINTING, rasters={"context": PAINTING[:9]}),
            "the context has 64 x 9 pixels and the layer 64 x 64",
        ),
        (
            "below",
            Inputs(PAINTING, rasters={"context": PAINTING[..., :3]}),
            "context of shape .* cannot be used",
        ),
        (
            "below",
            Inputs(PAINTING, rasters={"context": PAINTING.astype(float)}),
            "context of shape .* and depth float64 cannot be used",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_used_is_named(
    engine: Engine, request_context: str, inputs: Inputs, told: str
) -> None:
    with pytest.raises(BadInputError, match=told):
        next(engine.generate(BASE.with_values(context=request_context), inputs))
