from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpaint.engine.grid import GRID, GridMask
from underpaint.engine.islands import MOST_ISLANDS, find_islands
from underpaint.engine.plan import WorkArea, choose_work_area
from underpaint_client.geometry import Box, Extent


def changing_in(layer: Box, *holes: Box) -> GridMask:
    """Return the squares of a layer that holes on the canvas touch."""
    x, y = layer.x // GRID, layer.y // GRID
    squares = np.zeros((-(-layer.bottom // GRID) - y, -(-layer.right // GRID) - x), np.bool_)
    for hole in holes:
        squares[
            hole.y // GRID - y : -(-hole.bottom // GRID) - y,
            hole.x // GRID - x : -(-hole.right // GRID) - x,
        ] = True
    return GridMask(x * GRID, y * GRID, squares)


def islands_of(
    layer: Box, *holes: Box, native: int = 512, box: Extent | None = None
) -> list[GridMask]:
    def place(change: Box) -> WorkArea:
        return choose_work_area(change, layer, native, box)

    return find_islands(changing_in(layer, *holes), place)


LARGE = Box(0, 0, 4096, 4096)


def hole(x: int, y: int, side: int = 90) -> Box:
    return Box(x, y, side, side)


@pytest.mark.parametrize(
    ("layer", "holes", "count"),
    [
        (LARGE, [hole(900, 900)], 1),
        # In opposite corners of a picture that the model could paint whole: two smaller runs.
        (Box(0, 0, 1600, 1600), [hole(10, 10), hole(1500, 1500)], 2),
        (LARGE, [hole(0, 0), hole(4000, 0), hole(0, 4000), hole(4000, 4000)], 4),
        # Two eyes of one face: one area of native size holds both.
        (LARGE, [hole(1000, 1000), hole(1250, 1000)], 1),
        # A little further than the native size: one wider area is hardly more than two.
        (LARGE, [hole(1000, 1000), hole(1400, 1000)], 1),
        (LARGE, [hole(1000, 1000), hole(2200, 1000)], 2),
        # Pairs far apart.
        (LARGE, [hole(0, 0), hole(200, 0), hole(3000, 3000), hole(3200, 3100)], 2),
        # Each is as much as the model can paint at once: together they would lose detail.
        (LARGE, [hole(0, 0, 700), hole(900, 0, 700)], 2),
        # A layer that starts left of the canvas, off the grid.
        (Box(-1000, -37, 3000, 800), [hole(-990, 0), hole(1900, 600)], 2),
        (Box(5, 5, 70, 70), [Box(5, 5, 1, 1), Box(74, 74, 1, 1)], 1),
    ],
)
def test_how_many(layer: Box, holes: list[Box], count: int) -> None:
    assert len(islands_of(layer, *holes)) == count


def test_a_box_that_was_asked_for_is_the_size_of_each() -> None:
    layer, holes = Box(0, 0, 2000, 2000), [hole(10, 10), hole(1900, 1900)]
    for found in islands_of(layer, *holes, box=Extent(512, 512)):
        assert choose_work_area(found.box, layer, 512, Extent(512, 512)).box.extent == Extent(
            512, 512
        )


def test_they_come_in_reading_order() -> None:
    found = islands_of(LARGE, hole(3000, 3000), hole(3900, 0), hole(0, 0))
    assert [(one.box.x, one.box.y) for one in found] == [(0, 0), (3840, 0), (2944, 2944)]


def test_no_more_than_the_most() -> None:
    holes = [hole(x, y, 20) for x in range(0, 16384, 1024) for y in range(0, 16384, 1024)]
    found = islands_of(Box(0, 0, 16384, 16384), *holes)
    assert len(found) <= MOST_ISLANDS


@given(st.data(), st.sampled_from([256, 512, 1024]))
def test_each_square_is_in_one_of_them(data: st.DataObject, native: int) -> None:
    layer = Box(data.draw(st.integers(-500, 0)), data.draw(st.integers(-500, 0)), 5000, 3000)
    places = data.draw(
        st.lists(st.tuples(st.integers(0, 4400), st.integers(0, 2400)), min_size=1, max_size=30)
    )
    changing = changing_in(layer, *(hole(layer.x + x, layer.y + y) for x, y in places))
    found = find_islands(changing, lambda change: choose_work_area(change, layer, native, None))
    np.testing.assert_array_equal(sum(one.squares.astype(int) for one in found), changing.squares)
    assert len(found) <= MOST_ISLANDS


def test_the_pixels_of_squares() -> None:
    mask = GridMask(-64, 0, np.array([[True, False], [False, True]]))
    assert mask.box == Box(-64, 0, 128, 128)
    inside = mask.pixels_in(Box(-70, -2, 140, 140))
    expected = np.zeros((140, 140), np.bool_)
    expected[2:66, 6:70] = True
    expected[66:130, 70:134] = True
    np.testing.assert_array_equal(inside, expected)
