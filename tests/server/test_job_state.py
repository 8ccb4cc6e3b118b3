"""The life of a job: every event in every state, and what holds whatever happens."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from underpaint.server import job_events, job_state
from underpaint.server.job_events import (
    CancelAsked,
    DaemonStops,
    Event,
    Finished,
    ForgetUnwritten,
    Greet,
    HandedOver,
    Instructions,
    KeepEnding,
    KeepPicture,
    LeaveQueue,
    Mark,
    Moved,
    NotWritten,
    NoWorker,
    Painted,
    PicturesRead,
    QueueAgain,
    ReadPictures,
    Recorded,
    Reported,
    Revoked,
    Send,
    SendAllAgain,
    SendEnding,
    Started,
    State,
    StopWorker,
    Superseded,
    Taken,
    TakeRecord,
    WorkerDied,
    WriteNow,
)
from underpaint.server.job_state import (
    TRANSITIONS,
    ImpossibleTransitionError,
    JobState,
    draw_diagram,
)
from underpaint_client import messages, wire
from underpaint_client.errors import DaemonUnavailableError, GenerationFailedError

README = Path(__file__).parents[2] / "daemon" / "README.md"

DONE = messages.Done("j")
CANCELLED = messages.Failed("j", "cancelled", "cancelled")
DIED = WorkerDied("the worker was killed", GenerationFailedError("it died twice"))
NO_WORKER = NoWorker(DaemonUnavailableError("no worker"))
STOP = CancelAsked()

EVENTS: tuple[Event, ...] = (
    Recorded(3),
    Superseded(),
    Moved(5),
    Started(1),
    Reported([b"progress"]),
    Painted(0, [b"picture"]),
    NotWritten(0, "the disk is full"),
    Finished(DONE),
    DIED,
    NO_WORKER,
    STOP,
    HandedOver(),
    PicturesRead(([b"earlier"],)),
    Taken(),
    Revoked(),
    DaemonStops(),
)

TO_GET_THERE: dict[State, tuple[Event, ...]] = {
    State.QUEUED: (),
    State.RUNNING: (Started(1),),
    State.CANCELLING: (Started(1), STOP),
    State.ENDED: (Started(1), Finished(DONE)),
    State.DROPPED: (Superseded(),),
}

_TAKE_OVER = (WriteNow, Send, ReadPictures)
_CANCELLED = (State.ENDED, LeaveQueue, TakeRecord, Send)

Row = tuple[State | type, ...]

TABLE: dict[tuple[State, type[Event]], Row] = {
    (State.QUEUED, Recorded): (State.QUEUED, Greet),
    (State.QUEUED, Superseded): (State.DROPPED, LeaveQueue, ForgetUnwritten),
    (State.QUEUED, Moved): (State.QUEUED, Send),
    (State.QUEUED, Started): (State.RUNNING, Mark),
    (State.QUEUED, Reported): (State.QUEUED,),
    (State.QUEUED, Painted): (State.QUEUED,),
    (State.QUEUED, NotWritten): (State.QUEUED,),
    (State.QUEUED, Finished): (State.QUEUED,),
    (State.QUEUED, WorkerDied): (State.QUEUED,),
    (State.QUEUED, NoWorker): (State.ENDED, LeaveQueue, KeepEnding, SendEnding),
    (State.QUEUED, CancelAsked): _CANCELLED,
    (State.QUEUED, HandedOver): (State.QUEUED, *_TAKE_OVER),
    (State.QUEUED, PicturesRead): (State.QUEUED,),
    (State.QUEUED, Taken): (State.QUEUED,),
    (State.QUEUED, Revoked): (State.DROPPED, LeaveQueue, ForgetUnwritten),
    (State.QUEUED, DaemonStops): (State.QUEUED,),
    (State.RUNNING, Recorded): (State.RUNNING, Greet),
    (State.RUNNING, Superseded): (State.DROPPED, LeaveQueue, ForgetUnwritten, StopWorker),
    (State.RUNNING, Moved): (State.RUNNING,),
    (State.RUNNING, Started): (State.RUNNING,),
    (State.RUNNING, Reported): (State.RUNNING, Send),
    (State.RUNNING, Painted): (State.RUNNING, KeepPicture, Send),
    (State.RUNNING, NotWritten): (State.RUNNING,),
    (State.RUNNING, Finished): (State.ENDED, LeaveQueue, KeepEnding, SendEnding),
    (State.RUNNING, WorkerDied): (State.QUEUED, QueueAgain, Mark, Send),
    (State.RUNNING, NoWorker): (State.ENDED, LeaveQueue, KeepEnding, SendEnding),
    (State.RUNNING, CancelAsked): (State.CANCELLING, StopWorker),
    (State.RUNNING, HandedOver): (State.RUNNING, *_TAKE_OVER),
    (State.RUNNING, PicturesRead): (State.RUNNING,),
    (State.RUNNING, Taken): (State.RUNNING,),
    (State.RUNNING, Revoked): (State.CANCELLING, ForgetUnwritten, StopWorker),
    (State.RUNNING, DaemonStops): (State.QUEUED, Mark),
    (State.CANCELLING, Recorded): (State.CANCELLING, Greet),
    (State.CANCELLING, Superseded): (State.DROPPED, LeaveQueue, ForgetUnwritten),
    (State.CANCELLING, Moved): (State.CANCELLING,),
    (State.CANCELLING, Started): (State.CANCELLING,),
    (State.CANCELLING, Reported): (State.CANCELLING, Send),
    (State.CANCELLING, Painted): (State.CANCELLING, KeepPicture, Send),
    (State.CANCELLING, NotWritten): (State.CANCELLING,),
    (State.CANCELLING, Finished): (State.ENDED, LeaveQueue, KeepEnding, SendEnding),
    (State.CANCELLING, WorkerDied): _CANCELLED,
    (State.CANCELLING, NoWorker): (State.ENDED, LeaveQueue, KeepEnding, SendEnding),
    (State.CANCELLING, CancelAsked): (State.CANCELLING,),
    (State.CANCELLING, HandedOver): (State.CANCELLING, *_TAKE_OVER),
    (State.CANCELLING, PicturesRead): (State.CANCELLING,),
    (State.CANCELLING, Taken): (State.CANCELLING,),
    (State.CANCELLING, Revoked): (State.CANCELLING, ForgetUnwritten),
    (State.CANCELLING, DaemonStops): _CANCELLED,
    (State.ENDED, Recorded): (State.ENDED, Greet),
    (State.ENDED, Superseded): (State.DROPPED, LeaveQueue, ForgetUnwritten),
    (State.ENDED, HandedOver): (State.ENDED, *_TAKE_OVER),
    (State.ENDED, NotWritten): (State.ENDED, KeepEnding),
    **{
        (State.ENDED, event): (State.ENDED,)
        for event in get_args(Event)
        if event not in {Recorded, Superseded, HandedOver, NotWritten}
    },
    **{(State.DROPPED, event): (State.DROPPED,) for event in get_args(Event)},
}


def after(*happened: Event, accepted: bool = True) -> JobState:
    state = JobState("j", position=0 if accepted else None)
    for event in happened:
        state.handle(event)
    return state


def kinds(instructions: Instructions) -> list[type]:
    return [type(one) for one in instructions]


def test_each_event_is_tried_in_each_state() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event))
    assert set(TO_GET_THERE) == set(State)
    assert set(TABLE) == {(state, type(event)) for state in State for event in EVENTS}


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("current", State, ids=lambda state: state.value)
def test_what_comes_of_each_event_in_each_state(current: State, event: Event) -> None:
    state = after(*TO_GET_THERE[current])
    assert state.current is current
    target, *instructions = TABLE[current, type(event)]
    assert kinds(state.handle(event)) == instructions
    assert state.current is target
    assert (state.worker is not None) == (state.current in {State.RUNNING, State.CANCELLING})


def test_all_transitions_are_listed_and_can_happen() -> None:
    happened = {
        (current, event, target)
        for (current, event), (target, *_) in TABLE.items()
        if target is not current
    }
    rare: tuple[tuple[tuple[Event, ...], Event], ...] = (
        ((DIED, Started(2)), DIED),
        ((Revoked(),), Finished(DONE)),
        ((Painted(0, [b"picture"], is_read=False),), NotWritten(0, "full")),
    )
    for first, event in rare:
        state = after(Started(1), *first)
        before = state.current
        state.handle(event)
        happened.add((before, type(event), state.current))
    lasts: tuple[Event, ...] = (DIED, NO_WORKER, DaemonStops())
    for last in lasts:
        state = after(Started(1), Revoked())
        state.handle(last)
        happened.add((State.CANCELLING, type(last), state.current))
    listed = {
        (source, event, target)
        for (source, event), targets in TRANSITIONS.items()
        for target in targets
    }
    assert happened == listed


def test_a_transition_that_is_not_listed_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRANSITIONS, (State.QUEUED, Started), frozenset())
    with pytest.raises(ImpossibleTransitionError):
        after(Started(1))


def test_what_is_said_before_acceptance_is_heard_after_it() -> None:
    state = after(Started(1), accepted=False)
    assert kinds(state.handle(Painted(0, [b"picture"]))) == [KeepPicture]
    assert state.handle(Reported([b"progress"])) == ()
    assert kinds(state.handle(Finished(DONE))) == [LeaveQueue, KeepEnding]
    greet, picture, ending = state.handle(Recorded(0))
    assert greet == Greet()
    assert picture == Send([b"picture"])
    assert ending == SendEnding(wire.encode(DONE))


@pytest.mark.parametrize("is_complete", [True, False])
def test_who_takes_over_hears_earlier_pictures_first(is_complete: bool) -> None:
    state = after(Started(1), HandedOver())
    assert kinds(state.handle(Painted(1, [b"second"]))) == [KeepPicture]
    state.handle(Finished(DONE))
    first, second, ending = state.handle(PicturesRead(([b"first"],), is_complete))
    assert (first, second) == (Send([b"first"]), Send([b"second"]))
    assert isinstance(ending, SendEnding if is_complete else SendAllAgain)


def test_a_picture_of_an_earlier_try_is_passed_over() -> None:
    state = after(Started(1), Painted(0, [b"picture"]), DIED, Started(1))
    assert state.handle(Painted(0, [b"the same"])) == ()
    assert kinds(state.handle(Painted(1, [b"another"]))) == [KeepPicture, Send]


def test_a_job_that_two_workers_died_with_ends() -> None:
    state = after(Started(1), DIED, Started(2))
    *_, ending = state.handle(DIED)
    assert isinstance(ending, SendEnding)
    assert wire.decode(ending.parts)[0] == messages.Failed("j", "failed", "it died twice")
    assert state.current is State.ENDED


@pytest.mark.parametrize("painted", [True, False])
def test_pictures_of_a_cancelled_job_are_kept(painted: bool) -> None:
    pictures = (Painted(0, [b"picture"]),) if painted else ()
    state = after(Started(1), *pictures, STOP)
    kept = [KeepEnding, SendEnding] if painted else [TakeRecord, Send]
    assert kinds(state.handle(Finished(CANCELLED))) == [LeaveQueue, *kept]


def test_what_comes_of_a_job_that_was_taken_is_not_kept() -> None:
    state = after(Started(1), Taken())
    assert kinds(state.handle(Finished(DONE))) == [
        LeaveQueue,
        KeepEnding,
        ForgetUnwritten,
        TakeRecord,
        SendEnding,
    ]


@pytest.mark.parametrize("late", [False, True])
def test_the_kept_ending_names_a_picture_that_could_not_be_written(late: bool) -> None:
    events: list[Event] = [Painted(0, [b"a"]), Painted(1, [b"b"]), Finished(DONE)]
    events.insert(3 if late else 2, NotWritten(1, "the disk is full"))
    state = after(Started(1))
    done = [one for event in events for one in state.handle(event)]
    *_, kept = [one for one in done if isinstance(one, KeepEnding)]
    message, _ = wire.decode([kept.ending])
    assert isinstance(message, messages.Failed)
    assert "2 (the disk is full)" in message.message
    assert SendEnding(wire.encode(DONE)) in done  # whose client has the picture
    assert kinds(state.handle(NotWritten(0, "the disk is full"))) == [KeepEnding]


def test_who_took_over_is_sent_the_kept_ending_where_a_picture_was_not_written() -> None:
    state = after(Started(1), Painted(0, [b"a"]), NotWritten(0, "full"), HandedOver())
    state.handle(PicturesRead((), is_complete=True))
    *_, last = state.handle(Finished(DONE))
    assert last == SendAllAgain()


def test_what_a_client_does_not_read_it_gets_at_the_end() -> None:
    state = after(Started(1), Painted(0, [b"a"]))
    assert kinds(state.handle(Painted(1, [b"b"], is_read=False))) == [KeepPicture, WriteNow]
    assert kinds(state.handle(Painted(2, [b"c"]))) == [KeepPicture, Send]
    *_, last = state.handle(Finished(DONE))
    assert last == SendAllAgain(without=frozenset({0, 2}))


def test_who_takes_over_has_what_the_former_did_not_read() -> None:
    state = after(Started(1), Painted(0, [b"a"], is_read=False), HandedOver())
    state.handle(PicturesRead(([b"a"],)))
    *_, last = state.handle(Finished(DONE))
    assert last == SendEnding(wire.encode(DONE))


def test_a_job_stops_whose_picture_is_neither_sent_nor_written() -> None:
    state = after(Started(1), Painted(0, [b"a"], is_read=False))
    assert state.handle(NotWritten(0, "the disk is full")) == (StopWorker(1),)
    _, kept, _ = state.handle(Finished(CANCELLED))
    assert isinstance(kept, KeepEnding)
    message, _ = wire.decode([kept.ending])
    assert isinstance(message, messages.Failed)
    assert message.code == "failed"
    assert "1 (the disk is full)" in message.message


def test_what_was_taken_has_no_ending_that_is_put_right() -> None:
    state = after(Started(1), Painted(0, [b"a"]), Taken(), Finished(DONE))
    assert state.handle(NotWritten(0, "full")) == ()


def test_nothing_is_kept_for_an_owner_whose_key_was_revoked() -> None:
    state = after(Started(1), Revoked())
    assert state.handle(Painted(0, [b"picture"])) == ()
    assert kinds(state.handle(Finished(DONE))) == [LeaveQueue, Send]
    assert state.current is State.DROPPED


class Life(RuleBasedStateMachine):
    """Whatever happens in whatever order, and what the daemon would have done about it."""

    def __init__(self) -> None:
        super().__init__()
        self.state = JobState("j")
        self.is_queued = True
        self.said: list[object] = []
        self.endings = 0
        self.sent: Counter[bytes] = Counter()
        self.kept: set[int] = set()
        self.unread: set[bytes] = set()
        self.stops = 0

    def happen(self, event: Event) -> None:
        before, self.worker = self.state.current, self.state.worker
        done = self.state.handle(event)
        if before is not self.state.current:
            assert self.state.current in TRANSITIONS[before, type(event)]
        for one in done:
            self.carry_out(one)

    def carry_out(self, one: object) -> None:
        match one:
            case Greet():
                assert self.said.count(Greet()) == 0
                self.said.append(one)
            case Send(parts):
                self.said.append(one)
                self.sent[bytes(parts[0])] += 1
                self.endings += bytes(parts[0]) not in {b"progress", b"earlier"} and isinstance(
                    self.read(bytes(parts[0])), messages.Failed
                )
            case SendEnding() | SendAllAgain():
                self.said.append(one)
                self.endings += 1
            case LeaveQueue():
                self.is_queued = False
            case KeepPicture(index, _):
                assert index not in self.kept
                self.kept.add(index)
            case StopWorker(worker):
                assert worker == self.worker
                self.stops += 1
            case _:
                pass

    def read(self, part: bytes) -> messages.Message | None:
        return None if part.startswith(b"picture") else wire.decode([part])[0]

    @precondition(lambda self: not self.state.is_accepted)
    @rule(position=st.integers(0, 3))
    def record(self, position: int) -> None:
        self.happen(Recorded(position))

    @rule(worker=st.integers(0, 1))
    def start(self, worker: int) -> None:
        if self.state.current is State.QUEUED:
            self.stops = 0
        self.happen(Started(worker))

    @rule(index=st.integers(0, 2), is_read=st.booleans())
    def paint(self, index: int, is_read: bool) -> None:
        before = set(self.state.pictures)
        self.happen(Painted(index, [b"picture%d" % index], is_read))
        if not is_read and index in self.state.pictures - before:
            self.unread.add(b"picture%d" % index)

    @rule(ending=st.sampled_from([DONE, CANCELLED]))
    def finish(self, ending: messages.Done | messages.Failed) -> None:
        self.happen(Finished(ending))

    # The store answers in the order of asking.
    @precondition(lambda self: self.state.is_accepted)
    @rule(is_complete=st.booleans())
    def read_pictures(self, is_complete: bool) -> None:
        self.happen(PicturesRead(([b"earlier"],), is_complete))

    @rule(
        event=st.sampled_from(
            [
                DIED,
                STOP,
                HandedOver(),
                Moved(2),
                Taken(),
                Reported([b"progress"]),
                DaemonStops(),
                NotWritten(0, "full"),
            ]
        )
    )
    def anything_else(self, event: Event) -> None:
        self.happen(event)

    @rule(event=st.sampled_from([Superseded(), Revoked(), NO_WORKER]), rarely=st.integers(0, 9))
    def end_early(self, event: Event, rarely: int) -> None:
        if rarely == 0:
            self.happen(event)

    @invariant()
    def acceptance_is_heard_first(self) -> None:
        assert not self.said or self.said[0] == Greet()

    @invariant()
    def it_is_in_the_queue_until_it_ends(self) -> None:
        assert self.is_queued == (self.state.current not in {State.ENDED, State.DROPPED})

    @invariant()
    def a_worker_has_it_while_it_runs(self) -> None:
        runs = self.state.current in {State.RUNNING, State.CANCELLING}
        assert runs == (self.state.worker is not None)
        assert self.stops <= 1

    @invariant()
    def its_end_is_heard_once(self) -> None:
        listens = self.state.is_accepted and not self.state.reading
        assert self.endings <= 1
        if self.state.current is State.ENDED and listens:
            assert self.endings == 1
        elif self.state.current not in {State.ENDED, State.DROPPED}:
            assert self.endings == 0

    @invariant()
    def each_picture_is_heard_once(self) -> None:
        heard = {part: times for part, times in self.sent.items() if part.startswith(b"picture")}
        assert set(heard.values()) <= {1}
        listens = self.state.is_accepted and not self.state.reading
        if listens and self.state.current is not State.DROPPED:
            assert set(heard) == {b"picture%d" % index for index in self.kept} - self.unread


Life.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestLife = Life.TestCase


def test_the_readme_shows_the_states_as_they_are() -> None:
    _, _, section = README.read_text(encoding="utf-8").partition("## A job's states\n")
    _, _, rest = section.partition("```mermaid\n")
    shown, _, _ = rest.partition("\n```")
    assert shown == draw_diagram()
    section = section.partition("\n## ")[0]
    for event in get_args(Event):
        assert f"`{event.__name__}`" in section


@pytest.mark.parametrize("module", [job_state, job_events])
def test_a_job_s_state_touches_nothing(module: object) -> None:
    tree = ast.parse(Path(str(getattr(module, "__file__", ""))).read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add("." * node.level + (node.module or ""))
    assert imported <= {
        "__future__",
        "dataclasses",
        "enum",
        "underpaint_client",
        "underpaint_client.errors",
        "underpaint_client.frames",
        "underpaint_client.sentences",
        ".job_events",
    }
