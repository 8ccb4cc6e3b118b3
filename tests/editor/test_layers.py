from __future__ import annotations

import pytest

from underpaint_client import Box, Frame, Request
from underpaint_client.control_layers import ControlPicture
from underpaint_client.sentences import Sentence
from underpaint_editor.layers import (
    count_batches_above,
    crop_preview,
    describe_job,
    describe_plan_line,
    describe_position,
    next_index,
)


@pytest.mark.parametrize(
    ("above", "place"),
    [([], 0), ([False], 0), ([True], 1), ([True, True, False, True], 2), ([False, True], 0)],
)
def test_the_newest_batch_goes_on_top_of_the_others(above: list[bool], place: int) -> None:
    assert count_batches_above(above) == place


@pytest.mark.parametrize(
    ("shown", "step", "wanted"),
    [
        ([True], 1, 0),
        ([True, False, False], 1, 1),
        ([False, False, True], 1, 0),
        ([True, False, False], -1, 2),
        ([False, False], 1, 0),
        ([False, False], -1, 1),
    ],
)
def test_stepping_through_results(shown: list[bool], step: int, wanted: int) -> None:
    assert next_index(shown, step) == wanted


@pytest.mark.parametrize(
    ("holes", "area", "cropped", "box"),
    [
        ([(0, 0), (3, 2)], Box(10, 20, 40, 30), Box(0, 0, 4, 3), Box(10, 20, 40, 30)),
        ([(1, 1)], Box(10, 20, 40, 30), Box(0, 0, 1, 1), Box(20, 30, 10, 10)),
        ([(1, 0), (2, 1)], Box(0, 0, 41, 31), Box(0, 0, 2, 2), Box(10, 0, 21, 21)),
        ([(3, 2)], Box(-8, -6, 8, 6), Box(0, 0, 1, 1), Box(-2, -2, 2, 2)),
    ],
)
def test_a_preview_is_cropped_to_what_it_shows(
    holes: list[tuple[int, int]], area: Box, cropped: Box, box: Box
) -> None:
    data = b"".join(
        bytes((x, y, 9, 200 if (x, y) in holes else 0)) for y in range(3) for x in range(4)
    )
    found = crop_preview(Frame("preview", Box(0, 0, 4, 3), "u1", "RGBA", data), area)
    assert found is not None
    frame, where = found
    assert (frame.box, where) == (cropped, box)
    x, y = holes[0]
    assert bytes(frame.data).index(bytes((x, y, 9, 200))) == 0


def test_a_preview_that_shows_nothing_is_none() -> None:
    assert (
        crop_preview(Frame("preview", Box(0, 0, 4, 3), "u1", "RGBA", bytes(48)), Box(0, 0, 8, 6))
        is None
    )


@pytest.mark.parametrize(
    ("plan", "cautions", "document", "line"),
    [
        ("Fills 2 % of it", [], "", "Fills 2 % of it"),
        ("Fills 2 % of it", ["it is grey"], "", "Fills 2 % of it. It is grey."),
        ("Fills it", ["it is grey", "so is it"], "a-2", "In a-2: Fills it. It is grey. So is it."),
        ("No layer is selected.", ["it is grey"], "", "No layer is selected. It is grey."),
        ("Fills 2 % of it", [], "a-2", "In a-2: Fills 2 % of it"),
    ],
)
def test_the_plan_line_says_what_cannot_be_done_better(
    plan: str, cautions: list[str], document: str, line: str
) -> None:
    told = describe_plan_line(Sentence(plan), [Sentence(one) for one in cautions], document)
    assert told == line


@pytest.mark.parametrize(("position", "words"), [(0, "running"), (3, "3 ahead")])
def test_a_job_is_listed_with_its_position(position: int, words: str) -> None:
    assert describe_position(position) == words
    assert describe_job(Request.of(prompt="a  lake"), position) == f"a lake: {words}"
    assert describe_job(Request(), position) == f"No prompt: {words}"
    depth = Request(control_picture=ControlPicture("depth"))
    assert describe_job(depth, position) == f"Control layer Depth: {words}"
