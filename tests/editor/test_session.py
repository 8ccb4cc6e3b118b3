"""What a session offers, without an editor or a daemon."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from editor.fake_connection import FakeConnection
from example_recipe import make_recipe
from underpaint_client import Box, Frame, Request, messages
from underpaint_client.address import Address
from underpaint_client.errors import (
    CancelledError,
    DaemonUnavailableError,
    GenerationFailedError,
    UnderpaintError,
)
from underpaint_client.geometry import Extent
from underpaint_client.sentences import Sentence
from underpaint_editor.batch import Batch, Result
from underpaint_editor.job import Job
from underpaint_editor.launch import Launcher
from underpaint_editor.layer_role import LayerRole, RoleLayer
from underpaint_editor.notices import (
    Disconnected,
    Ended,
    ImageReceived,
    PreviewReceived,
    ResultsWaiting,
)
from underpaint_editor.remedy import Remedy
from underpaint_editor.session import Session
from underpaint_editor.survey import Survey
from underpaint_editor.tracker import JobTracker

AREA = Box(64, 0, 256, 128)
SMALL = Frame("preview", Box(0, 0, 2, 1), "u1", "RGBA", bytes(range(8)))
CLEAR = replace(SMALL, data=bytes(8))
OFFER = Remedy.KEEP_PREVIEW


class Quiet:
    """An event loop in which nothing happens, and a listener who is not listening."""

    def watch(self, fd: int, call: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    def call_later(self, milliseconds: int, call: Callable[[], None]) -> None:
        pass

    def show_message(self, text: str) -> None:
        pass

    def show_progress(self, fraction: float | None) -> None:
        pass

    def show_preview(self, frame: Frame | None) -> None:
        pass

    def refresh(self) -> None:
        pass


class Place:
    """Takes what is inserted, or refuses."""

    def __init__(self) -> None:
        self.is_open, self.refuses, self.layer_id = True, False, "source"
        self.can_redo: bool | None = None
        self.address = Address("test")
        self.there: frozenset[int] = frozenset()
        self.opened: list[Sequence[Result]] = []
        self.previews: list[tuple[Extent, Box] | None] = []
        self.inserted: list[tuple[str, Sequence[Result], Any]] = []
        self.controls: list[tuple[str, LayerRole]] = []

    def survey(self) -> Survey:
        raise AssertionError

    def read(self, native: int, *, whole: bool) -> dict[str, Frame]:
        raise AssertionError(native, whole)

    def is_empty(self) -> bool:
        raise AssertionError

    @property
    def role(self) -> LayerRole | None:
        raise AssertionError

    def set_role(self, role: LayerRole | None) -> None:
        raise AssertionError(role)

    def control_layers(self) -> Sequence[RoleLayer]:
        raise AssertionError

    @property
    def surroundings(self) -> Any:
        raise AssertionError

    def placement_notes(self) -> Sequence[Sentence]:
        return ()

    def insert(self, title: str, results: Sequence[Result], into: Any = None) -> object:
        if self.refuses:
            raise OSError("full")
        self.inserted.append((title, results, into))
        return title

    def insert_control_layer(self, result: Result, role: LayerRole) -> object:
        if self.refuses:
            raise OSError("full")
        self.controls.append((result.name, role))
        return result.name

    def show_preview(self, frame: Frame, area: Box) -> None:
        self.previews.append((frame.box.extent, area))
        if self.refuses:
            raise OSError("full")

    def remove_preview(self) -> None:
        self.previews.append(None)

    def inserted_images(self, job: str) -> frozenset[int]:
        return self.there

    def open_as_document(self, title: str, results: Sequence[Result]) -> None:
        self.opened.append(results)

    def save_form(self, text: str) -> None:
        raise AssertionError


def remedy_of(session: Session) -> Remedy | None:
    """What the session offers now: mypy takes a property for something that does not change."""
    return session.remedy


def stopped(error: UnderpaintError, *, seen: bool = True, **asked: Any) -> tuple[Session, Place]:
    """A session whose job ended with an error, after its second image was seen halfway."""
    place = Place()
    session = Session("test", Quiet(), Quiet(), lambda _: place)
    batch = Batch(place, "beside")
    job = Job("job", Request.of(prompt="a lake", seed=7, images=2, **asked), batch)
    if seen:
        session.handle_notices([PreviewReceived(job, AREA, SMALL, 2, 10, 20)])
    session.handle_notices([Ended(job, error)])
    return session, place


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({}, "preview of seed 8, step 10 of 20"),
        (
            {"variation_amount": 0.3, "variation_seed": 90},
            "preview of seed 7 with 91:0.3, step 10 of 20",
        ),
    ],
)
def test_the_preview_is_inserted_when_asked(asked: dict[str, Any], name: str) -> None:
    session, place = stopped(CancelledError("cancelled"), **asked)
    assert remedy_of(session) == OFFER
    assert place.inserted == []
    session.apply_remedy()
    ((title, (preview,), into),) = place.inserted
    assert (title, into) == ("a lake (seed 7)", "beside")
    assert (preview.name, preview.frame, preview.area) == (name, SMALL, AREA)
    assert preview.tag(place).recipe is None
    assert remedy_of(session) != OFFER
    assert session.last_message == f"Kept: {name}."


@pytest.mark.parametrize(
    ("error", "seen"),
    [(CancelledError("cancelled"), False), (GenerationFailedError("the worker was killed"), True)],
)
def test_nothing_is_offered_where_there_is_none(error: UnderpaintError, seen: bool) -> None:
    session, _ = stopped(error, seen=seen)
    assert remedy_of(session) != OFFER


def test_who_cancelled_is_shown() -> None:
    session, _ = stopped(CancelledError("cancelled by the user of the daemon's machine"))
    assert session.last_message == "Cancelled by the user of the daemon's machine."


def test_the_offer_goes_with_its_document() -> None:
    session, place = stopped(CancelledError("cancelled"))
    place.is_open = False
    assert remedy_of(session) != OFFER


def test_a_preview_that_cannot_be_inserted_is_not_lost() -> None:
    session, place = stopped(CancelledError("cancelled"))
    place.refuses = True
    session.apply_remedy()
    assert session.last_message == "The preview could not be inserted (full)."
    place.refuses = False
    assert remedy_of(session) == OFFER
    session.apply_remedy()
    assert len(place.inserted) == 1


# ---- how much of the editor's time it takes ------------------------------------------------


class Clock:
    """Seconds, of which a glance at it takes one thousandth."""

    now = 0.0

    def monotonic(self) -> float:
        self.now += 0.001
        return self.now


class Loop(Quiet):
    """An event loop that calls nothing by itself, and a listener that notes everything."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, Callable[[], None]]] = []
        self.notes: list[Any] = []
        self.watched: list[int] = []

    def watch(self, fd: int, call: Callable[[], None]) -> Callable[[], None]:
        self.watched.append(fd)
        return lambda: self.watched.remove(fd)

    def call_later(self, milliseconds: int, call: Callable[[], None]) -> None:
        self.calls.append((milliseconds, call))

    def show_message(self, text: str) -> None:
        self.notes.append(text)

    def show_preview(self, frame: Frame | None) -> None:
        self.notes.append(frame)

    def refresh(self) -> None:
        self.notes.append("changed")


def connected(
    place: Place,
    loop: Quiet,
    connection: FakeConnection,
    clock: Callable[[], float] = time.monotonic,
    launcher: Launcher | None = None,
) -> Session:
    """A session that is connected to a fake daemon."""
    tracker = JobTracker("Krita", connect=lambda: connection, clock=clock)
    session = Session(
        "Krita", loop, loop, lambda _: place, tracker=tracker, launcher=launcher, clock=clock
    )
    session.tracker.open()
    connection.sent.clear()
    return session


def steps(count: int) -> list[tuple[Any, tuple[Frame, ...]]]:
    preview = messages.Preview("job", 1, 1, count, (0, 0, 2, 1))
    progress = [messages.Progress("job", "denoising", n + 1, count, 1, 1) for n in range(count)]
    return [message for one in progress for message in ((one, ()), (preview, (SMALL,)))]


def listening(*messages: Any) -> tuple[Session, Loop, FakeConnection]:
    loop, connection = Loop(), FakeConnection(*messages)
    session = connected(Place(), loop, connection, Clock().monotonic)
    loop.calls.clear()
    session.tracker.jobs["job"] = Job("job", Request.of(images=1), Batch(Place()))
    return session, loop, connection


def test_a_daemon_that_speaks_without_end_leaves_the_editor_its_turn() -> None:
    session, loop, connection = listening(*steps(1000))
    session.pump.run()
    left = len(connection.messages)
    assert 1900 < left < 2000
    ((pause, go_on),) = loop.calls
    assert pause >= 30
    session.pump.run()  # the descriptor woke up, or another part of the session looks
    session.pump.check()
    assert len(connection.messages) == left
    go_on()
    assert len(connection.messages) < left
    while connection.messages:
        loop.calls.pop()[1]()
    assert loop.notes[-2].startswith("Step 1000 of 1000")
    assert loop.notes[-1] is SMALL


def test_during_a_pause_the_descriptor_is_not_watched() -> None:
    """It can be read all the while: an event loop that watched it would never rest."""
    session, loop, connection = listening(*steps(1000))
    session.pump.wake()
    assert loop.watched == [1]
    loop.calls.pop()[1]()
    ((_, go_on),) = loop.calls
    session.pump.wake()
    assert loop.watched == []
    connection.messages.clear()
    loop.calls.clear()
    go_on()
    assert loop.watched == [1]


def test_once_all_was_heard_nothing_is_called_again() -> None:
    session, loop, _ = listening(*steps(1))
    session.pump.run()
    loop.calls.pop()[1]()
    assert loop.calls == []
    session.pump.run()
    assert loop.calls == []


def test_of_progress_only_the_last_is_shown_and_nothing_is_overtaken() -> None:
    picture = messages.Picture("job", 0, "patch", make_recipe())
    session, loop, _ = listening(*steps(3), (picture, (SMALL,)), (messages.Done("job"), ()))
    session.pump.run()
    progress, preview, no_preview, end, *more = loop.notes
    assert progress.startswith("Step 3 of 3")
    assert preview is SMALL
    assert no_preview is None
    assert end.startswith("Done: 1 image")
    assert more == ["changed"]


def test_a_slot_that_runs_inside_of_another_changes_nothing() -> None:
    """Krita handles events inside of its own calls."""
    session, loop, connection = listening(*steps(2))
    left: list[int] = []

    def nested(text: str) -> None:
        before = len(connection.messages)
        session.pump.run()
        left.append(before - len(connection.messages))

    loop.show_message = nested  # type: ignore[method-assign]
    session.pump.run()
    assert left == [0]


# ---- what can be redone --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "now", "held"),
    [
        (False, True, True),
        (None, True, True),
        (True, True, False),
        (False, False, False),
        (False, None, False),
    ],
)
def test_a_result_waits_while_it_would_clear_what_can_be_redone(
    before: bool | None, now: bool | None, held: bool
) -> None:
    place = Place()
    place.can_redo = now
    session, told = opened(place)
    session.tracker.jobs["c"] = Job("c", Request(), Batch(place, had_redo=before is True))
    arrive(session, "c", 0)
    assert (place.inserted == []) == held
    assert (remedy_of(session) == Remedy.INSERT) == held
    assert (("acknowledge", "c") in told) == (not held)
    if held:
        assert "clear your redo history" in session.last_message
        session.handle_notices([ResultsWaiting((left("c", "Krita"),))])  # after another connection
        assert remedy_of(session) == Remedy.INSERT
        session.apply_remedy()
        assert len(place.inserted) == 1
        assert told[-1] == ("acknowledge", "c")
        assert remedy_of(session) not in (Remedy.INSERT, Remedy.FETCH)


@pytest.mark.parametrize("later", [False, None, "closed"])
def test_what_was_held_comes_by_itself_once_nothing_can_be_redone(later: Any) -> None:
    place, loop = Place(), Loop()
    place.can_redo = True
    session, _ = opened(place, loop)
    loop.calls.clear()
    session.tracker.jobs["c"] = Job("c", Request(), Batch(place))
    arrive(session, "c", 0)
    ((_, look),) = loop.calls
    look()
    assert place.inserted == []
    if later == "closed":
        place.is_open = False
    else:
        place.can_redo = later
    loop.calls.pop()[1]()
    assert len(place.inserted) == (later is False)
    offers = {False: False, None: Remedy.INSERT, "closed": Remedy.OPEN_AS_DOCUMENT}
    assert remedy_of(session) == offers[later] or later is False
    assert len(loop.calls) == (2 if later is None else 1)


# ---- what an earlier start of the editor has asked for -------------------------------------


def left(name: str, editor: str, document: str = "") -> messages.WaitingJob:
    return messages.WaitingJob(
        name, Request.of(images=2), Address(editor, document).to_text(), ended=True
    )


def opened(
    place: Place, loop: Quiet | None = None, launcher: Launcher | None = None
) -> tuple[Session, list[Any]]:
    """A session, and what it sends to the daemon."""
    connection = FakeConnection()
    return connected(place, loop or Quiet(), connection, launcher=launcher), connection.sent


def arrive(
    session: Session,
    name: str,
    *indexes: int,
    error: UnderpaintError | None = None,
    given_up: bool = False,
) -> None:
    job = session.tracker.jobs.pop(name)
    for index in indexes:
        picture = messages.Picture(name, index, "patch", make_recipe(seed=7 + index))
        session.handle_notices([ImageReceived(job, picture, SMALL)])
    session.handle_notices([Ended(job, error, given_up=given_up)])


@pytest.mark.parametrize("refuses", [False, True])
def test_previews_are_shown_until_the_job_ends(refuses: bool) -> None:
    place = Place()
    place.refuses = refuses
    session, _ = opened(place)
    job = Job("job", Request.of(images=2), Batch(place))
    session.handle_notices([PreviewReceived(job, AREA, SMALL)])
    session.handle_notices([PreviewReceived(job, AREA, CLEAR)])
    assert place.previews == [(Extent(2, 1), AREA)]
    session.tracker.jobs[job.name] = job
    arrive(session, job.name, 0)
    assert place.previews[1:] == [None]
    assert place.inserted == [] if refuses else len(place.inserted) == 1


def test_what_waits_is_offered_to_its_own_editor() -> None:
    session, told = opened(Place())
    session.handle_notices([ResultsWaiting((left("a", "GIMP"), left("b", "the command line")))])
    assert remedy_of(session) != Remedy.FETCH
    session.handle_notices(
        [ResultsWaiting((left("c", "Krita", "/home/me/forest.kra"), left("d", "Krita")))]
    )
    assert remedy_of(session) == Remedy.FETCH
    assert session.last_message == (
        "2 results are waiting from an earlier session (forest.kra). Open the document first to"
        " insert them there."
    )
    session.apply_remedy()
    assert told == [("follow", "c"), ("follow", "d")]
    assert remedy_of(session) != Remedy.FETCH


@pytest.mark.parametrize(("there", "inserted"), [((), [[0, 1]]), ((0,), [[1]]), ((0, 1), [])])
def test_what_lies_there_already_is_not_inserted_again(
    there: tuple[int, ...], inserted: list[list[int]]
) -> None:
    place = Place()
    place.there = frozenset(there)
    session, told = opened(place)
    session.handle_notices([ResultsWaiting((left("c", "Krita"),))])
    session.apply_remedy()
    arrive(session, "c", 0, 1)
    assert [[one.index for one in results] for _, results, _ in place.inserted] == inserted
    assert told[-1] == ("acknowledge", "c")


def test_without_its_document_it_becomes_one() -> None:
    place = Place()
    place.is_open = False
    session, told = opened(place)
    session.handle_notices([ResultsWaiting((left("c", "Krita"),))])
    session.apply_remedy()
    arrive(session, "c", 0)
    assert [[one.index for one in results] for results in place.opened] == [[0]]
    assert told[-1] == ("acknowledge", "c")


def test_what_cannot_be_inserted_is_not_let_go_of() -> None:
    place = Place()
    place.refuses = True
    session, told = opened(place)
    session.handle_notices([ResultsWaiting((left("c", "Krita"),))])
    session.apply_remedy()
    arrive(session, "c", 0)
    assert ("acknowledge", "c") not in told
    assert remedy_of(session) == Remedy.OPEN_AS_DOCUMENT
    session.handle_notices([ResultsWaiting((left("c", "Krita"),))])  # after another connection
    assert remedy_of(session) == Remedy.OPEN_AS_DOCUMENT
    session.apply_remedy()
    assert told[-1] == ("acknowledge", "c")
    assert session.last_message.startswith("Opened as a new document")
    assert remedy_of(session) != Remedy.FETCH


@pytest.mark.parametrize("pictures", [(), (0,)])
def test_what_was_given_up_here_stays_with_the_daemon(pictures: tuple[int, ...]) -> None:
    place = Place()
    session, told = opened(place)
    session.handle_notices([ResultsWaiting((left("c", "Krita"),))])
    session.apply_remedy()
    arrive(session, "c", *pictures, error=DaemonUnavailableError("it stays away"), given_up=True)
    assert ("acknowledge", "c") not in told
    assert len(place.inserted) == len(pictures)


def test_a_daemon_that_died_is_started_when_jobs_wait_for_it() -> None:
    started: list[bool] = []

    def start() -> Any:
        started.append(True)

    session, _ = opened(Place(), launcher=Launcher(lambda: ["underpaint"], start))
    lost = Disconnected(DaemonUnavailableError("it has ended"))
    session.handle_notices([lost])
    assert not started
    session.handle_notices([ResultsWaiting((left("c", "Krita"),))])
    session.apply_remedy()
    session.handle_notices([Disconnected(DaemonUnavailableError("it was stopped"), planned=True)])
    assert not started
    session.handle_notices([lost])
    assert started
