"""What was painted meets what is kept: casts go, edges meet, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from runs import make, texture, with_hole
from underpaint.engine import Engine
from underpaint.engine.blending import FADE, MOST_CAST, match_surroundings
from underpaint.engine.pixels import Floats, Mask, fraction, resize
from underpaint.engine.source import Source
from underpaint_client.geometry import Extent

SIDE = 192
CELL = 8
LEVEL = 1 / 255


def disc(radius: float = 50, side: int = SIDE) -> Mask:
    y, x = np.mgrid[:side, :side]
    return np.asarray(np.hypot(x - side / 2, y - side / 2) < radius)


def layer(colour: Floats, hole: Mask) -> NDArray[np.uint8]:
    rgb = np.rint(colour * 255).astype(np.uint8)
    return np.dstack([rgb, np.where(hole, 0, 255).astype(np.uint8)])


def match(colour: Floats, hole: Mask, painted: Floats) -> Floats:
    source = Source.of(layer(colour, hole)).with_mode("inpaint")
    return match_surroundings(source, source.box, painted, CELL)


def scene(seed: int = 0, side: int = SIDE) -> Floats:
    """Colours that change slowly, with fine texture, away from black and white."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((6, 6, 3)).astype(np.float32)
    slow = np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC))
    return np.clip(0.25 + 0.4 * slow + 0.08 * rng.random((side, side, 3)), 0.15, 0.85).astype("f4")


def flat(value: float) -> Floats:
    return np.full((SIDE, SIDE, 3), value, np.float32)


CASTS = [(20, 20, 20), (-15, 4, 0), (8, -8, 25)]


@pytest.mark.parametrize("cast", CASTS)
@pytest.mark.parametrize("kept", [scene(1), flat(0.5)], ids=["scene", "flat"])
def test_a_cast_of_the_autoencoder_goes_and_no_contrast_with_it(
    kept: Floats, cast: tuple[int, ...]
) -> None:
    hole, shift = disc(), np.array(cast, np.float32) / 255
    whole = np.where(hole[..., np.newaxis], scene(2), kept).astype(np.float32)
    plain = match(kept, hole, whole)
    found = match(kept, hole, (whole + shift).astype(np.float32))
    left = np.abs((found - plain)[hole]).mean(axis=0)
    assert (left < 0.02 * np.abs(shift) + 0.05 * LEVEL).all()
    inside = disc(20)  # where the edge has no say any more
    assert found[inside].std(axis=0) == pytest.approx(scene(2)[inside].std(axis=0), rel=0.02)


def edge_step(kept: Floats, hole: Mask, found: Floats) -> float:
    """The median difference between a hole's pixels and the kept ones beside them."""
    shown = np.where(hole[..., np.newaxis], found, kept)
    beside = hole[:, 1:] != hole[:, :-1]
    return float(np.median(np.abs(np.diff(shown, axis=1)[beside])))


@pytest.mark.parametrize("step", [0.1, 0.25, -0.25])
def test_an_edge_meets_what_is_kept_and_the_middle_stays_as_painted(step: float) -> None:
    """A decoder smooths: half of the step lies on either side of the edge."""
    hole = disc(60)
    blurred = np.asarray(cv2.GaussianBlur(hole.astype(np.float32), (0, 0), 2))
    painted = flat(0.5) + np.float32(step) * blurred[..., np.newaxis]
    found, own = match(flat(0.5), hole, painted), edge_step(painted, hole, painted)
    assert edge_step(flat(0.5), hole, painted) > 2 * own
    assert edge_step(flat(0.5), hole, found) < 1.35 * own
    middle = disc(60 - 4 * FADE * CELL)
    assert np.abs(found - painted)[middle].max() <= float(MOST_CAST) + 0.02 * abs(step)


@pytest.mark.parametrize(
    "hole",
    [
        np.zeros((SIDE, SIDE), np.bool_),
        np.ones((SIDE, SIDE), np.bool_),
    ],
    ids=["nothing changes", "nothing is kept"],
)
def test_what_has_no_surroundings_stays_as_it_is(hole: Mask) -> None:
    painted = scene(3)
    assert match(scene(1), hole, painted) is painted


def hidden_beside(source: NDArray[np.uint8]) -> Source:
    """Half of the hole is selected; what is erased and not selected cannot be seen."""
    selection = np.zeros(source.shape[:2], np.uint8)
    selection[:, : SIDE // 2] = 255
    return Source.of(source, selection).with_mode("inpaint")


def test_pixels_that_cannot_be_seen_have_no_say() -> None:
    hole, painted = disc(60), scene(3)
    found = []
    for hidden in (scene(4), 1 - scene(4)):
        colour = np.where(hole[..., np.newaxis], hidden, scene(1))
        source = hidden_beside(layer(colour, hole))
        found.append(match_surroundings(source, source.box, painted, CELL))
    np.testing.assert_array_equal(found[0], found[1])


def test_pixels_whose_colour_is_lost_have_no_say() -> None:
    kept = scene(1)
    kept[:, -40:] = 0
    hole = disc()
    pixels = layer(kept, hole)
    pixels[:, -40:] = 0  # as Clear leaves them
    selection = np.full(hole.shape, 255, np.uint8)
    selection[:, -40:] = 0
    source = Source.of(pixels, selection).with_mode("inpaint")
    found = match_surroundings(source, source.box, kept, CELL)
    np.testing.assert_allclose(found[hole], kept[hole], atol=LEVEL)


SHAPES: dict[str, Callable[[Any, Any], Any]] = {
    "line": lambda y, x: abs(x - 90) < 2,
    "checkerboard": lambda y, x: (x // 8 + y // 8) % 2 == 0,
    "dots": lambda y, x: (x % 9 == 0) & (y % 9 == 0),
    "rings": lambda y, x: np.hypot(x - 90, y - 80) % 30 < 12,
    "corner": lambda y, x: (x > 150) & (y > 140),
    "half": lambda y, x: x > 100,
    "one pixel": lambda y, x: (x == 5) & (y == 7),
    "all but one": lambda y, x: (x != 5) | (y != 7),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [(183, 171), (64, 300)], ids=str)
def test_any_hole_that_was_painted_as_it_was_stays_so(shape: str, size: tuple[int, int]) -> None:
    y, x = np.mgrid[: size[0], : size[1]]
    hole = np.asarray(SHAPES[shape](y, x))
    colour = scene(5, 300)[: size[0], : size[1]]
    pixels = layer(colour, hole)
    found = match(colour, hole, fraction(pixels[..., :3]))
    np.testing.assert_allclose(found, fraction(pixels[..., :3]), atol=1e-5)


@pytest.mark.parametrize("scale", [0.5, 0.73, 1.6])
def test_a_picture_that_the_model_sees_scaled_is_matched_alike(scale: float) -> None:
    hole, cast = disc(), np.float32(20 / 255)
    size = Extent(round(SIDE * scale), round(SIDE * scale))
    painted = resize(scene(1), size)
    left = match(scene(1), hole, painted + cast) - match(scene(1), hole, painted)
    assert np.abs(left).mean() < LEVEL


def test_colours_stay_within_their_range() -> None:
    hole = disc()
    found = match(np.ones_like(scene(1)), hole, 0.9 * scene(1))
    assert found.min() >= 0
    assert found.max() <= 1


@pytest.mark.parametrize("blend", ["seamless", "none"])
def test_the_recipe_says_how_edges_were_made(engine: Engine, blend: str) -> None:
    picture = make(engine, with_hole(texture(48, 48)), blend=blend)
    assert picture.recipe.request.output.blend == blend


def test_edges_are_matched_unless_it_is_switched_off(engine: Engine) -> None:
    hole = with_hole(texture(48, 48))
    plain, matched = make(engine, hole, blend="none"), make(engine, hole)
    changed = (plain.pixels != matched.pixels).any(axis=-1)
    assert changed[hole[..., 3] == 0].mean() > 0.5
    assert not changed[hole[..., 3] == 255].any()


def test_where_all_changes_it_makes_no_difference(engine: Engine) -> None:
    plain, matched = (make(engine, texture(48, 48), blend=one) for one in ("none", "seamless"))
    np.testing.assert_array_equal(plain.pixels, matched.pixels)
