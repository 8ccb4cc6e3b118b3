from __future__ import annotations

import struct
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpaint_client.geometry import Box
from underpaint_client.recommended import Recommended
from underpaint_client.request import Request
from underpaint_client.sentences import Sentence
from underpaint_editor.layers import describe_outcome, intersection, name_group, needed_box
from underpaint_editor.survey import (
    Survey,
    describe_run,
    has_lost_colour,
    survey,
    take_alpha,
)


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 255)), min_size=1, max_size=300))
def test_a_survey_agrees_with_arithmetic(pairs: list[tuple[int, int]]) -> None:
    alpha, selection = (bytes(values) for values in zip(*pairs, strict=True))
    found = survey(alpha, selection)
    most = max((255 - a) * s for a, s in pairs) / 255**2
    assert found.transparent == (most > 0)
    assert found.most_selected == max(selection) / 255
    assert found.most_erased == pytest.approx(max(most, 1 / 255 if most else 0))
    total = sum(selection)
    if total:
        erased = sum((255 - a) * s for a, s in pairs) / (255 * total)
        assert found.erased == pytest.approx(erased, abs=1e-9)
    assert found.selected == pytest.approx(total / (255 * len(pairs)))


def test_nothing_selected_is_everything() -> None:
    found = survey(bytes([255] * 3 + [0]))
    assert found == Survey(
        empty=False, transparent=True, erased=0.25, selected=1, most_erased=1, most_selected=1,
        whole=True,
    )  # fmt: skip
    assert not survey(bytes([255] * 9)).transparent
    assert survey(b"").erased == 0


def test_one_erased_pixel_among_millions_is_seen() -> None:
    alpha = bytearray(b"\xff" * 3_000_000)
    alpha[1_234_567] = 254
    found = survey(bytes(alpha))
    assert found.transparent
    assert found.most_erased == pytest.approx(1 / 255)


def test_shares_of_large_layers_are_estimated_well() -> None:
    row = bytes([0] * 100 + [255] * 300)
    found = survey(row * 4000, bytes([255] * 200 + [0] * 200) * 4000)
    assert found.erased == pytest.approx(0.5, abs=0.02)
    assert found.selected == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("pixels", "channels", "dtype"),
    [
        (bytes([9, 9, 9, 0, 9, 9, 9, 128, 9, 9, 9, 255]), 4, "u1"),
        (bytes([9, 0, 9, 128, 9, 255]), 2, "u1"),
        (struct.pack("<6H", 9, 0, 9, 32896, 9, 65535), 2, "u2"),
        (struct.pack("<6f", 9, 0, 9, 128 / 255, 9, 1.5), 2, "f4"),
        (struct.pack("<6e", 9, -1, 9, 128 / 255, 9, 1), 2, "f2"),
    ],
)
def test_alpha_is_found_at_any_depth(pixels: bytes, channels: int, dtype: str) -> None:
    assert take_alpha(pixels, channels, dtype) == bytes([0, 128, 255])


@pytest.mark.parametrize(
    ("alpha", "selection", "empty", "told"),
    [
        ([0] * 62 + [255] * 38, None, False, "Fills the erased 62 % of the layer"),
        ([0] * 62 + [255] * 38, [255] * 100, False, "Fills the erased 62 % of the selection"),
        ([255] * 100, [255] * 25 + [0] * 75, False, "Repaints 25 % of the layer"),
        ([0] * 100, None, True, "Paints a new picture"),
    ],
)
def test_what_a_run_will_do(
    alpha: list[int], selection: list[int] | None, empty: bool, told: str
) -> None:
    found = survey(bytes(alpha), None if selection is None else bytes(selection), empty=empty)
    steps = 20 if empty else 15
    assert describe_run(Request(), found) == f"{told}, runs {steps} of 20 steps"
    assert describe_run(Request.of(mode="img2img"), found).startswith("Repaints")


ERASED = Survey(
    empty=False, transparent=True, erased=0.5, selected=1, most_erased=1, most_selected=1,
    whole=True, lost=True, notes=(Sentence("the layer is hidden"),),
)  # fmt: skip
FILLS = "Fills the erased 50 % of the layer, runs 15 of 20 steps"
LOST = "Where no colour is left, it is filled from the surrounding colours"


@pytest.mark.parametrize(
    ("asked", "seen", "told"),
    [
        ({}, {}, f"{FILLS}. The layer is hidden. {LOST}"),
        ({}, {"lost": False}, f"{FILLS}. The layer is hidden"),
        ({}, {"notes": ()}, f"{FILLS}. {LOST}"),
        ({"fill": "noise"}, {"notes": ()}, FILLS),
        ({"mode": "img2img"}, {"notes": ()}, "Repaints 100 % of the layer, runs 15 of 20 steps"),
        ({"strength": 0.0}, {}, "Keeps the picture as it is: nothing may change"),
    ],
)
def test_what_the_editor_cannot_do_is_said_before_the_run(
    asked: dict[str, Any], seen: dict[str, Any], told: str
) -> None:
    assert describe_run(Request.of(**asked), replace(ERASED, **seen)) == told


FADING = bytes(range(256))
FEW = Recommended(steps=4, guidance_scale=1.0)


@pytest.mark.parametrize(
    ("alpha", "selection", "asked", "model", "told"),
    [
        (FADING, None, {}, FEW, "the model runs 3 steps, so partial change comes in 3 levels"),
        (FADING, b"\xff" * 256, {}, FEW, "comes in 3 levels"),
        (FADING, None, {"strength": 1.0}, FEW, "comes in 4 levels"),
        (FADING, None, {"strength": 0.25}, FEW, "runs 1 step, so partial change is rounded"),
        (bytes(256), FADING, {}, FEW, "comes in 3 levels"),
        (b"\xff" * 256, FADING, {}, FEW, "comes in 3 levels"),
        (bytes(128) + b"\xff" * 128, None, {}, FEW, ""),
        (bytes(120) + bytes(range(0, 255, 32)) + b"\xff" * 128, None, {}, FEW, ""),
        (b"\xff" * 256, None, {}, FEW, ""),
        (FADING, None, {"steps": 20}, FEW, ""),
        (FADING, None, {"strength": 0.0}, FEW, ""),
        (FADING, None, {}, Recommended(), ""),
    ],
)
def test_the_levels_of_a_model_of_few_steps_are_told_where_change_is_soft(
    alpha: bytes, selection: bytes | None, asked: dict[str, Any], model: Recommended, told: str
) -> None:
    found = describe_run(Request.of(**asked), survey(alpha, selection), model)
    assert ("partial change" in found) == bool(told)
    assert told.lower() in found.lower()


@pytest.mark.parametrize(
    ("pixels", "selection", "lost"),
    [
        ([[9, 9, 9, 255], [0, 0, 0, 0]], None, True),
        ([[9, 9, 9, 255], [0, 0, 0, 1]], None, False),
        ([[9, 9, 9, 0], [0, 9, 0, 0]], None, False),
        ([[9, 9, 9, 0], [0, 0, 0, 0]], [255, 0], False),
        ([[9, 9, 9, 0], [0, 0, 0, 0]], [0, 1], True),
        ([[0] * 8, [0] * 7 + [1]], [0, 255], False),
    ],
)
def test_a_pixel_without_any_colour_is_seen(
    pixels: list[list[int]], selection: list[int] | None, lost: bool
) -> None:
    data = b"".join(map(bytes, pixels))
    assert has_lost_colour(data, None if selection is None else bytes(selection), 2) == lost


CANVAS = Box(0, 0, 4000, 3000)


@given(
    st.integers(0, 3900), st.integers(0, 2900), st.integers(1, 4000), st.integers(1, 3000),
    st.sampled_from([64, 256, 512, 1024]),
)  # fmt: skip
def test_the_box_that_is_read_holds_all_that_the_engine_looks_at(
    x: int, y: int, width: int, height: int, native: int
) -> None:
    from underpaint.engine.plan import choose_area
    from underpaint_client.geometry import Extent

    selected = intersection(Box(x, y, width, height), CANVAS)
    read = needed_box(selected, CANVAS, native)
    assert CANVAS.contains(read)
    area = choose_area(selected, CANVAS, Extent(native, native))
    assert read.contains(intersection(area, CANVAS)) or read == CANVAS


def test_names_and_ends() -> None:
    assert name_group("a lake", 7, 1) == "a lake (seed 7)"
    assert name_group("# no people\na lake", 7, 1) == "a lake (seed 7)"
    assert name_group("", 2**32 - 1, 2) == "Underpaint (seeds 4294967295 to 0)"
    long = name_group("word " * 50, 1, 1)
    assert len(long) < 55
    assert "…" in long
    assert describe_outcome(1, 1, 3.21, []) == "Done: 1 image in 3.2 s."
    assert describe_outcome(3, 2, 1, ["a note"]) == "Done: 2 images of 3 in 1.0 s. A note."
