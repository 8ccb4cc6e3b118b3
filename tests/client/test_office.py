"""What an office offers for a job that was cancelled, without an editor or a daemon."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from underpaint_client import Box, Frame, Request
from underpaint_client.desk import Ended, Job, Pace, Previewed
from underpaint_client.errors import CancelledError, GenerationFailedError, UnderpaintError
from underpaint_client.office import Batch, Office, Result

AREA = Box(64, 0, 256, 128)
SMALL = Frame("preview", Box(0, 0, 2, 1), "u1", "RGBA", bytes(range(8)))
OFFER = "Keep the sketch"


class Quiet:
    """An event loop in which nothing happens, and a listener who is not listening."""

    def watch(self, fd: int, call: Callable[[], None]) -> Callable[[], None]:
        raise AssertionError(fd)

    def later(self, milliseconds: int, call: Callable[[], None]) -> None:
        pass

    def said(self, text: str) -> None:
        pass

    def moved(self, fraction: float | None) -> None:
        pass

    def previewed(self, frame: Frame | None) -> None:
        pass

    def changed(self) -> None:
        pass


class Place:
    """Takes what is inserted, or refuses."""

    def __init__(self) -> None:
        self.open, self.refuses, self.name = True, False, "source"
        self.inserted: list[tuple[str, Sequence[Result], Any]] = []

    def read(self, native: int, *, whole: bool) -> dict[str, Frame]:
        raise AssertionError(native, whole)

    def has_nothing(self) -> bool:
        raise AssertionError

    def remarks(self) -> Sequence[str]:
        return ()

    def insert(self, title: str, results: Sequence[Result], into: Any = None) -> object:
        if self.refuses:
            raise OSError("full")
        self.inserted.append((title, results, into))
        return title

    def open_as_document(self, title: str, results: Sequence[Result]) -> None:
        raise AssertionError

    def remember(self, text: str) -> None:
        raise AssertionError


def stopped(error: UnderpaintError, *, seen: bool = True, **asked: Any) -> tuple[Office, Place]:
    """An office whose job ended with an error, after its second image was seen halfway."""
    office, place = Office("test", Quiet(), Quiet()), Place()
    batch = Batch(place, "beside")
    job = Job("job", Request(prompt="a lake", seed=7, images=2, **asked), batch, Pace())
    if seen:
        office._heed([Previewed(job, AREA, SMALL, 2, 10, 20)])
    office._heed([Ended(job, error)])
    return office, place


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({}, "sketch of seed 8, step 10 of 20"),
        (
            {"variation_amount": 0.3, "variation_seed": 90},
            "sketch of seed 7 with 91:0.3, step 10 of 20",
        ),
    ],
)
def test_the_sketch_is_inserted_when_asked(asked: dict[str, Any], name: str) -> None:
    office, place = stopped(CancelledError("cancelled"), **asked)
    assert office.remedy == OFFER
    assert place.inserted == []
    office.put_right()
    ((title, (sketch,), into),) = place.inserted
    assert (title, into) == ("a lake (seed 7)", "beside")
    assert (sketch.name, sketch.frame, sketch.area) == (name, SMALL, AREA)
    assert sketch.tag(place).recipe is None
    assert office.remedy != OFFER
    assert office.last_said == f"Kept: {name}."


@pytest.mark.parametrize(
    ("error", "seen"),
    [(CancelledError("cancelled"), False), (GenerationFailedError("the worker was killed"), True)],
)
def test_nothing_is_offered_where_there_is_none(error: UnderpaintError, seen: bool) -> None:
    office, _ = stopped(error, seen=seen)
    assert office.remedy != OFFER


def test_the_offer_goes_with_its_document() -> None:
    office, place = stopped(CancelledError("cancelled"))
    place.open = False
    assert office.remedy != OFFER


def test_a_sketch_that_cannot_be_inserted_is_not_lost() -> None:
    office, place = stopped(CancelledError("cancelled"))
    place.refuses = True
    office.put_right()
    assert office.last_said == "The sketch could not be inserted (full)."
    place.refuses = False
    assert office.remedy == OFFER
    office.put_right()
    assert len(place.inserted) == 1
