"""What the model sees is sRGB, and what is kept is never converted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from imagecodecs import cms_profile

from colour_profiles import grey_profile, linear_profile, wide_profile
from runs import BASE, texture, with_hole
from underpaint.engine import Engine, Inputs, Picture
from underpaint.engine.colour import SRGB, read_space
from underpaint.engine.context import as_model_sees
from underpaint.engine.pixels import FULL, fraction, quantize
from underpaint.engine.source import Source
from underpaint_client.errors import BadInputError
from underpaint_client.inputs import MAX_PROFILE

PROFILES = {"wide": wide_profile(), "linear": linear_profile(), "none": b""}


def as_raster(profile: bytes) -> Any:
    return np.frombuffer(profile, np.uint8).reshape(1, -1, 1)


def in_space(profile: bytes, layer: Any, dtype: Any) -> Any:
    """Return an sRGB layer in another space, at a depth."""
    values = fraction(layer)
    values[..., :3] = read_space(profile).from_srgb(values[..., :3])
    return quantize(values, np.dtype(dtype))


def make(engine: Engine, layer: Any, profile: bytes, **changes: Any) -> Picture:
    rasters = {"profile": as_raster(profile)} if profile else {}
    (picture,) = engine.generate(BASE.with_values(**changes), Inputs(layer, rasters=rasters))
    return picture


# ---- the space -----------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [b"", bytes(cms_profile("srgb"))])
def test_srgb_is_not_converted(profile: bytes) -> None:
    assert read_space(profile) is SRGB


@pytest.mark.parametrize("profile", [wide_profile(), linear_profile()])
def test_both_ways_and_back(profile: bytes) -> None:
    space = read_space(profile)
    colours = np.random.default_rng(1).random((40, 40, 3), np.float32)
    there = space.from_srgb(colours)
    assert abs(there - colours).max() > 0.05
    np.testing.assert_allclose(space.to_srgb(there), colours, atol=2e-3)


@pytest.mark.parametrize("profile", [b"x" * 300, wide_profile()[:200], grey_profile(1.0)])
def test_a_profile_that_cannot_be_used_is_said(engine: Engine, profile: bytes) -> None:
    layer = with_hole(texture(64, 64))
    picture = make(engine, layer, profile)
    assert any("colour profile cannot be used" in note for note in picture.recipe.facts.notes)
    assert picture.pixels.tobytes() == make(engine, layer, b"").pixels.tobytes()


@pytest.mark.parametrize(
    "raster",
    [
        np.zeros((2, 8, 1), np.uint8),
        np.zeros((1, 8, 1), np.uint16),
        np.zeros((1, MAX_PROFILE + 1, 1), np.uint8),
    ],
)
def test_what_is_no_row_of_bytes_is_refused(engine: Engine, raster: Any) -> None:
    with pytest.raises(BadInputError, match="colour profile"):
        list(engine.generate(BASE, Inputs(texture(16, 16), rasters={"profile": raster})))


def test_a_profile_needs_a_layer(engine: Engine) -> None:
    with pytest.raises(BadInputError, match="without a layer"):
        list(engine.generate(BASE, Inputs(rasters={"profile": as_raster(wide_profile())})))


# ---- what is painted -----------------------------------------------------------------------


@pytest.mark.parametrize("blend", ["seamless", "none"])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("name", ["wide", "linear"])
def test_it_is_painted_as_in_srgb(engine: Engine, name: str, dtype: Any, blend: str) -> None:
    layer, profile = with_hole(texture(64, 64)), PROFILES[name]
    expected = fraction(make(engine, layer, b"", blend=blend).pixels)
    found = fraction(make(engine, in_space(profile, layer, dtype), profile, blend=blend).pixels)
    seen = read_space(profile).to_srgb(np.ascontiguousarray(found[..., :3]))
    assert abs(seen - expected[..., :3]).max() <= 1 / 255
    untouched = make(engine, in_space(profile, layer, dtype), b"", blend=blend).pixels
    assert abs(fraction(untouched)[..., :3] - found[..., :3]).max() > 5 / 255


@pytest.mark.parametrize("kind", ["layer", "patch"])
@pytest.mark.parametrize("mode", ["inpaint", "img2img", "txt2img"])
@pytest.mark.parametrize("name", ["wide", "linear"])
@pytest.mark.parametrize("dtype", FULL)
def test_ten_rounds_change_no_kept_bit(
    engine: Engine, dtype: Any, name: str, mode: str, kind: str
) -> None:
    layer = in_space(PROFILES[name], with_hole(texture(64, 64)), dtype)
    selection = np.zeros((64, 64), np.uint8)
    selection[10:40, 10:50] = 255
    current = layer
    for seed in range(10 if (mode, kind) == ("inpaint", "layer") else 1):
        request = BASE.with_values(steps=2, seed=seed, mode=mode, result=kind)
        inputs = Inputs(current, selection, rasters={"profile": as_raster(PROFILES[name])})
        (picture,) = engine.generate(request, inputs)
        if picture.kind == "layer":
            kept = selection == 0
            if mode == "inpaint":
                kept |= layer[..., 3] == FULL[np.dtype(dtype)]
            assert picture.pixels[kept].tobytes() == layer[kept].tobytes()
            assert (picture.pixels[~kept] != layer[~kept]).any()
            current = np.dstack([picture.pixels[..., :3], layer[..., 3]])
        else:
            outside = np.ones((64, 64), bool)
            box = picture.box
            outside[box.y : box.bottom, box.x : box.right] = False
            assert outside[selection == 0].any()


def test_a_context_is_in_the_space_of_the_layer(engine: Engine) -> None:
    below, profile = texture(64, 64), PROFILES["wide"]
    layer = np.zeros_like(below)
    request = BASE.with_values(mode="inpaint", context="below")

    def paint(layer: Any, below: Any, profile: bytes) -> Any:
        rasters = {"context": below}
        if profile:
            rasters["profile"] = as_raster(profile)
        selection = np.zeros((64, 64), np.uint8)
        selection[20:40, 20:40] = 255
        (picture,) = engine.generate(request, Inputs(layer, selection, rasters=rasters))
        return fraction(picture.pixels)[20:40, 20:40, :3]

    expected = paint(layer, below, b"")
    found = paint(layer.astype(np.uint16), in_space(profile, below, np.uint16), profile)
    seen = read_space(profile).to_srgb(np.ascontiguousarray(found))
    assert abs(seen - expected).max() <= 1.5 / 255


def test_a_chain_goes_on_in_the_space_of_the_layer(engine: Engine) -> None:
    layer, profile = with_hole(texture(64, 64)), PROFILES["wide"]
    request = BASE.with_values(images=2, chain=True)
    *_, expected = engine.generate(request, Inputs(layer.astype(np.uint16) * 257))
    rasters = {"profile": as_raster(profile)}
    *_, found = engine.generate(
        request, Inputs(in_space(profile, layer, np.uint16), rasters=rasters)
    )
    seen = read_space(profile).to_srgb(fraction(found.pixels)[..., :3])
    assert abs(seen - fraction(expected.pixels)[..., :3]).max() <= 2 / 255


def test_colour_that_is_lost_in_part_is_converted_by_its_share() -> None:
    whole = np.full((4, 4, 4), 0.5, np.float32)
    space = read_space(PROFILES["linear"])
    source = Source.of((whole * [0.5, 0.5, 0.5, 1]).astype(np.float32), space=space).with_mode(
        "img2img"
    )
    half = replace(source, known=np.full((4, 4), 0.5, np.float32))
    seen = as_model_sees(half, half.box)
    expected = space.to_srgb(whole[..., :3]) / 2
    assert expected.max() > 0.3
    np.testing.assert_allclose(seen.pixels[..., :3], expected, atol=1e-4)
