from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpaint.engine.plan import BUDGET, batch_size, choose_area, choose_size, fill_up, make_plan
from underpaint_client.geometry import Box, Extent
from underpaint_client.request import Request

NATIVE = Extent(512, 512)


@pytest.mark.parametrize(
    ("change", "layer", "area"),
    [
        # A small hole in a large layer: native size around it, on the grid.
        (Box(1000, 1000, 100, 100), Box(0, 0, 4096, 4096), Box(768, 768, 512, 512)),
        # A hole that needs more than the native size: a quarter of its longer side around it.
        (Box(1024, 1024, 1024, 512), Box(0, 0, 4096, 4096), Box(768, 768, 1536, 1024)),
        # In a corner the area moves inwards.
        (Box(0, 0, 10, 10), Box(0, 0, 4096, 4096), Box(0, 0, 512, 512)),
        (Box(4086, 4086, 10, 10), Box(0, 0, 4096, 4096), Box(3584, 3584, 512, 512)),
        # No more than the layer.
        (Box(10, 10, 10, 10), Box(0, 0, 100, 300), Box(0, 0, 100, 300)),
        # A layer that begins off the canvas.
        (Box(-990, -990, 10, 10), Box(-1000, -1000, 2000, 2000), Box(-1000, -1000, 512, 512)),
        # All of it.
        (Box(0, 0, 3000, 2000), Box(0, 0, 3000, 2000), Box(0, 0, 3000, 2000)),
    ],
)
def test_area(change: Box, layer: Box, area: Box) -> None:
    assert choose_area(change, layer, NATIVE) == area


sides = st.integers(1, 3000)


@given(st.data(), sides, sides, st.sampled_from([64, 256, 512, 1024]))
def test_area_holds_the_change_inside_the_layer(
    data: st.DataObject, width: int, height: int, native: int
) -> None:
    layer = Box(data.draw(st.integers(-99, 99)), data.draw(st.integers(-99, 99)), width, height)
    x = data.draw(st.integers(layer.x, layer.right - 1))
    y = data.draw(st.integers(layer.y, layer.bottom - 1))
    change = Box(
        x,
        y,
        data.draw(st.integers(1, layer.right - x)),
        data.draw(st.integers(1, layer.bottom - y)),
    )
    area = choose_area(change, layer, Extent(native, native))
    assert layer.contains(area)
    assert area.contains(change)
    assert area.width >= min(native, width)
    assert area.height >= min(native, height)


def test_erasing_a_little_more_keeps_the_area() -> None:
    layer = Box(0, 0, 4096, 4096)
    areas = {choose_area(Box(1030, 1030, side, side), layer, NATIVE) for side in range(60, 122)}
    assert len(areas) == 1


@pytest.mark.parametrize(
    ("area", "box", "content"),
    [
        (Extent(512, 512), None, Extent(512, 512)),
        (Extent(700, 600), None, Extent(700, 600)),  # above native: as it is
        (Extent(256, 256), None, Extent(512, 512)),  # below: up to it
        (Extent(256, 512), None, Extent(512, 1024)),
        (Extent(1024, 1024), None, Extent(1024, 1024)),  # the whole budget
        (Extent(2048, 2048), None, Extent(1024, 1024)),  # over it
        (Extent(3000, 2000), None, Extent(1254, 836)),
        (Extent(1024, 768), Extent(512, 512), Extent(512, 384)),
        (Extent(100, 100), Extent(512, 384), Extent(384, 384)),
        (Extent(100, 100), Extent(500, 500), Extent(496, 496)),  # multiples of 16
        (Extent(100, 100), Extent(16384, 16384), Extent(2048, 2048)),  # no more than is bearable
    ],
)
def test_size(area: Extent, box: Extent | None, content: Extent) -> None:
    chosen, notes = choose_size(area, 512, box)
    assert chosen == content
    assert bool(notes) == (content.pixels < area.pixels)


@given(st.integers(8, 16384), st.integers(8, 16384), st.sampled_from([64, 256, 512, 1024]))
def test_size_is_never_distorted_and_stays_in_budget(width: int, height: int, native: int) -> None:
    content, _ = choose_size(Extent(width, height), native, None)
    assert content.pixels <= BUDGET * native**2 + content.width + content.height
    # One scale explains both sides, but for rounding (and a side is never less than a pixel).
    pairs = ((content.width, width), (content.height, height))
    lowest = max((scaled - 0.5) / side if scaled > 1 else 0 for scaled, side in pairs)
    highest = min((scaled + 0.5) / side for scaled, side in pairs)
    assert lowest <= highest * (1 + 1e-12)


def test_a_hole_costs_the_same_on_any_layer() -> None:
    plans = [
        make_plan(
            Request.of(strength=1.0, steps=20), "inpaint",
            Box(0, 0, side, side), Box(400, 400, 300, 300), 1.0, 512, 1000,
        )
        for side in (1024, 4096, 10000)
    ]  # fmt: skip
    assert len({plan.work_size for plan in plans}) == 1


def test_no_step_is_wasted_on_more_change_than_there_is() -> None:
    layer = Box(0, 0, 512, 512)
    plan = make_plan(Request.of(strength=1.0, steps=20), "inpaint", layer, layer, 0.5, 512, 1000)
    assert (plan.steps.schedule, plan.steps.run) == (20, 10)


def test_txt2img_ignores_strength() -> None:
    layer = Box(0, 0, 512, 512)
    plan = make_plan(Request.of(strength=0.3, steps=20), "txt2img", layer, layer, 1.0, 512, 1000)
    assert (plan.strength, plan.steps.run) == (1.0, 20)


@pytest.mark.parametrize(
    ("images", "side", "parallel", "size"),
    [
        (8, 512, False, 1),
        (8, 512, True, 4),
        (2, 512, True, 2),
        (8, 1024, True, 1),
        (8, 2048, True, 1),
    ],
)
def test_batches(images: int, side: int, parallel: bool, size: int) -> None:
    assert batch_size(images, Extent(side, side), 512, parallel=parallel) == size


@pytest.mark.parametrize(
    ("area", "layer", "content", "filled"),
    [
        # Room on the right, room on the left, no room; at scale 1.
        (Box(0, 0, 500, 512), Box(0, 0, 4000, 512), (500, 512), (Box(0, 0, 512, 512), (512, 512))),
        (Box(500, 0, 500, 512), Box(0, 0, 1000, 512), (500, 512),
         (Box(488, 0, 512, 512), (512, 512))),
        (Box(0, 0, 500, 512), Box(0, 0, 500, 512), (500, 512), (Box(0, 0, 500, 512), (500, 512))),
        # At half scale 4 more of the model's pixels are 8 of the layer's.
        (Box(0, 0, 1016, 64), Box(0, 0, 4000, 64), (508, 32), (Box(0, 0, 1024, 64), (512, 32))),
    ],
)  # fmt: skip
def test_context_grows_to_multiples(
    area: Box, layer: Box, content: tuple[int, int], filled: tuple[Box, tuple[int, int]]
) -> None:
    assert fill_up(area, layer, Extent(*content)) == (filled[0], Extent(*filled[1]))


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(0, 500), st.integers(0, 500))
def test_filled_up_keeps_inside_and_undistorted(
    width: int, height: int, right: int, left: int
) -> None:
    layer = Box(-left, 0, left + width + right, height)
    area = Box(0, 0, width, height)
    content, _ = choose_size(area.extent, 512, None)
    grown, size = fill_up(area, layer, content)
    assert layer.contains(grown)
    assert grown.contains(area)
    assert abs(size.width / grown.width - content.width / width) * grown.width <= 0.51 + (
        content.width / width
    )
