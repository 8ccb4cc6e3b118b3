"""The life of one job, as a state machine: events in, instructions out.

`JobState.handle` takes what happened to a job and returns what is to be done about it. It touches
no socket, no file, no thread and no clock; `Jobs` carries the instructions out, in their order.
README.md shows the states and their transitions as a diagram.

Beside its state a job is *accepted* or not: its client hears of it only once its record is on the
disk, though a worker may have begun and even ended it by then. And a client that takes over a job
is sent the earlier pictures first, which are read from the disk. What is to be said meanwhile is
deferred until then.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from underpaint_client import messages, wire
from underpaint_client.errors import CancelledError, GenerationFailedError, UnderpaintError
from underpaint_client.frames import Bytes
from underpaint_client.sentences import Listing, join_sentences, sentence

from .job_events import (
    CancelAsked,
    DaemonStops,
    Event,
    Finished,
    ForgetUnwritten,
    Greet,
    HandedOver,
    Instruction,
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

MAX_DEATHS = 2
"""A job that so many workers have died with is not tried again."""


TRANSITIONS: dict[tuple[State, type[Event]], frozenset[State]] = {
    (State.QUEUED, Started): frozenset({State.RUNNING}),
    (State.QUEUED, CancelAsked): frozenset({State.ENDED}),
    (State.QUEUED, NoWorker): frozenset({State.ENDED}),
    (State.QUEUED, Superseded): frozenset({State.DROPPED}),
    (State.QUEUED, Revoked): frozenset({State.DROPPED}),
    (State.RUNNING, Finished): frozenset({State.ENDED}),
    (State.RUNNING, WorkerDied): frozenset({State.QUEUED, State.ENDED}),
    (State.RUNNING, NoWorker): frozenset({State.ENDED}),
    (State.RUNNING, NotWritten): frozenset({State.CANCELLING}),
    (State.RUNNING, CancelAsked): frozenset({State.CANCELLING}),
    (State.RUNNING, Superseded): frozenset({State.DROPPED}),
    (State.RUNNING, Revoked): frozenset({State.CANCELLING}),
    (State.RUNNING, DaemonStops): frozenset({State.QUEUED}),
    (State.CANCELLING, Finished): frozenset({State.ENDED, State.DROPPED}),
    (State.CANCELLING, WorkerDied): frozenset({State.ENDED, State.DROPPED}),
    (State.CANCELLING, NoWorker): frozenset({State.ENDED, State.DROPPED}),
    (State.CANCELLING, Superseded): frozenset({State.DROPPED}),
    (State.CANCELLING, DaemonStops): frozenset({State.ENDED, State.DROPPED}),
    (State.ENDED, Superseded): frozenset({State.DROPPED}),
}
"""The states that each event may lead to; events that are not here leave a state as it is."""


class ImpossibleTransitionError(Exception):
    """A job moved as `TRANSITIONS` does not allow: a mistake in this module."""


def draw_diagram() -> str:
    """Return the states and transitions as a Mermaid diagram."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for (source, event), targets in TRANSITIONS.items():
        for target in sorted(targets, key=list(State).index):
            arrows.setdefault((source, target), []).append(event.__name__)
    lines = ["stateDiagram-v2", f"    [*] --> {State.QUEUED.value}"]
    lines += [
        f"    {source.value} --> {target.value}: {', '.join(events)}"
        for (source, target), events in arrows.items()
    ]
    lines += [f"    {state.value} --> [*]" for state in (State.ENDED, State.DROPPED)]
    return "\n".join(lines)


@dataclass
class JobState:
    """The state of one job. Only `handle` changes it.

    Parameters
    ----------
    name : str
        The job's id.
    current : State
    worker : int or None
        The number of the worker that runs it.
    deaths : int
        How many workers, or daemons, have died while they ran it.
    pictures : set of int
        The indexes of those that have come.
    position : int or None
        The position in the queue that its client knows of; None until it is accepted.
    remark : str
        What its client should know of how it is kept.
    is_taken : bool
        Whether its client has no more use for it.
    is_revoked : bool
        Whether the key of its owner was revoked.
    is_complete : bool
        Whether its client has, or will have, all earlier pictures.
    lost : dict of int to str
        Why pictures could not be written, by their indexes: who fetches the job later lacks them.
    unsent : set of int
        Those that its client was not sent, as it does not read; they are on the disk, or will be.
    reading : int
        How often its earlier pictures are being read for a client that took over.
    cancelled_by : str
        Who had it cancelled while it ran; empty where that was its client.
    """

    name: str
    current: State = State.QUEUED
    worker: int | None = None
    deaths: int = 0
    pictures: set[int] = field(default_factory=set)
    position: int | None = None
    remark: str = ""
    is_taken: bool = False
    is_revoked: bool = False
    is_complete: bool = True
    lost: dict[int, str] = field(default_factory=dict)
    unsent: set[int] = field(default_factory=set)
    reading: int = 0
    cancelled_by: str = ""
    _deferred: list[Instruction] = field(default_factory=list, repr=False)
    _ending: messages.Done | messages.Failed | None = field(default=None, repr=False)

    @property
    def is_deferring(self) -> bool:
        """Whether what is said now is heard later, and is kept until then."""
        return not self.is_accepted or bool(self.reading)

    @property
    def is_accepted(self) -> bool:
        """Whether the client was told of the job."""
        return self.position is not None

    def handle(self, event: Event) -> Instructions:  # noqa: PLR0911 - one for each kind of event
        """Return what is to be done about an event, in this order, and change the state.

        Events that have no meaning in a state, such as messages of a worker that runs another
        job of the same id, change nothing.
        """
        if self.current is State.DROPPED:
            return ()
        match event:
            case Recorded() | HandedOver() | PicturesRead() | Moved():
                return self._handle_client(event)
            case Superseded():
                # A worker that runs it is not told yet; one that cancels it is.
                stop = self._stop_worker() if self.current is State.RUNNING else ()
                self._move(event, State.DROPPED)
                return LeaveQueue(), ForgetUnwritten(), *stop
            case NotWritten(index, why):
                return self._handle_not_written(event, index, why)
            case Taken():
                self.is_taken = True
                return ()
        match self.current:
            case State.QUEUED:
                return self._handle_queued(event)
            case State.RUNNING:
                return self._handle_running(event)
            case State.CANCELLING:
                return self._handle_cancelling(event)
        return ()

    def _move(self, event: Event, target: State) -> None:
        if target not in TRANSITIONS.get((self.current, type(event)), ()):
            raise ImpossibleTransitionError(f"{self.current} --{event}--> {target}")
        self.current = target
        if target not in {State.RUNNING, State.CANCELLING}:
            self.worker = None

    # ---- what the client hears -------------------------------------------------------------

    def _handle_client(self, event: Recorded | HandedOver | PicturesRead | Moved) -> Instructions:
        match event:
            case Recorded(position, remark):
                self.position, self.remark = position, remark
                return Greet(), *self._release()
            case Moved(position):
                if self.current is not State.QUEUED or self.position in {None, position}:
                    return ()
                self.position = position
                return (self._accepted(),)
            case HandedOver():
                self.reading += 1
                self.unsent.clear()  # it is sent all there is until now
                accepted: Instructions = ()
                if self.is_accepted:  # else it is not in safety yet
                    self.position = 0
                    accepted = (self._accepted(),)
                return WriteNow(), *accepted, ReadPictures()
            case PicturesRead(pictures, is_complete):
                if not self.reading:
                    return ()
                # What could not be read is read again at the end, and said if that fails too.
                self.is_complete = is_complete and not self.lost
                self.reading -= 1
                return *(Send(parts) for parts in pictures), *self._release()

    def _accepted(self) -> Send:
        return Send(wire.encode(messages.Accepted(self.name, self.position or 0)))

    def _mention(self, parts: list[Bytes]) -> Instructions:
        """Return what sends something that a client need not know, if it knows of the job."""
        return (Send(parts),) if self.is_accepted else ()

    def _say(self, instruction: Instruction) -> Instructions:
        """Return what says something, or defer it until the client may hear it."""
        self._deferred.append(instruction)
        return self._release()

    def _release(self) -> Instructions:
        if self.is_deferring:
            return ()
        released, self._deferred = self._deferred, []
        if self.is_complete and not self.unsent:
            return tuple(released)
        sent = frozenset(self.pictures - self.unsent) if self.is_complete else frozenset[int]()
        again = SendAllAgain(sent)
        return tuple(again if isinstance(one, SendEnding) else one for one in released)

    # ---- what workers do -------------------------------------------------------------------

    def _handle_queued(self, event: Event) -> Instructions:
        match event:
            case Started(worker):
                self._move(event, State.RUNNING)
                self.worker = worker
                return (Mark(State.RUNNING),)
            case CancelAsked(by):
                told = _cancelled_by(by) if by else "cancelled before it began"
                return self._end(event, self._failed(CancelledError(told)))
            case NoWorker(error):
                return self._end(event, self._failed(error))
            case Revoked():
                self._move(event, State.DROPPED)
                self.is_revoked = True
                return LeaveQueue(), ForgetUnwritten()
        return ()

    def _handle_running(self, event: Event) -> Instructions:  # noqa: PLR0911 - as above
        match event:
            case Reported() | Painted() | Finished() | NoWorker():
                return self._handle_message(event)
            case WorkerDied(end, error):
                self.deaths += 1
                if self.deaths >= MAX_DEATHS:
                    return self._end(event, self._failed(error))
                self._move(event, State.QUEUED)
                phase = join_sentences(end, sentence("Starting again"), stop=False)
                again = messages.Progress(self.name, phase)
                return QueueAgain(), Mark(State.QUEUED), *self._mention(wire.encode(again))
            case CancelAsked(by):
                self._move(event, State.CANCELLING)
                self.cancelled_by = by
                return self._stop_worker()
            case Revoked():
                self._move(event, State.CANCELLING)
                self.is_revoked = True
                return ForgetUnwritten(), *self._stop_worker()
            case DaemonStops():
                self._move(event, State.QUEUED)
                return (Mark(State.QUEUED),)
        return ()

    def _handle_cancelling(self, event: Event) -> Instructions:
        match event:
            case Reported() | Painted() | Finished() | NoWorker():
                return self._handle_message(event)
            case WorkerDied() | DaemonStops():
                return self._end(event, self._failed(CancelledError(self._cancelled())))
            case Revoked():
                self.is_revoked = True
                return (ForgetUnwritten(),)
        return ()

    def _handle_message(self, event: Reported | Painted | Finished | NoWorker) -> Instructions:
        match event:
            case Reported(parts):
                return self._mention(parts)
            case Painted(index, parts, is_read):
                # What an earlier try has made is passed over.
                if index in self.pictures or self.is_revoked:
                    return ()
                self.pictures.add(index)
                if is_read:
                    return KeepPicture(index, parts), *self._say(Send(parts))
                self.unsent.add(index)
                return KeepPicture(index, parts), WriteNow()
            case Finished(ending):
                return self._end(event, self._with_canceller(ending))
            case NoWorker(error):
                return self._end(event, self._failed(error))

    def _cancelled(self) -> str:
        return _cancelled_by(self.cancelled_by) if self.cancelled_by else "cancelled"

    def _with_canceller(
        self, ending: messages.Done | messages.Failed
    ) -> messages.Done | messages.Failed:
        is_cancelled = isinstance(ending, messages.Failed) and ending.code == CancelledError.code
        if is_cancelled and self.cancelled_by:
            return messages.Failed(self.name, CancelledError.code, self._cancelled())
        return ending

    def _handle_not_written(self, event: Event, index: int, why: str) -> Instructions:
        self.lost[index] = why
        if self.current is State.RUNNING and index in self.unsent:  # nobody will ever have it
            self._move(event, State.CANCELLING)
            return self._stop_worker()
        if self._ending is None or self.is_taken:
            return ()
        return (KeepEnding(wire.encode(self._with_lost(self._ending))[0]),)

    def _with_lost(
        self, ending: messages.Done | messages.Failed
    ) -> messages.Done | messages.Failed:
        """Return what is kept as the ending: better no picture than one missing without a word."""
        if not self.lost:
            return ending
        told = sentence(
            "these pictures could not be written to the disk: {pictures}; make room, and generate"
            " again",
            pictures=Listing(
                sentence("{number} ({reason})", number=index + 1, reason=why)
                for index, why in sorted(self.lost.items())
            ),
        )
        if isinstance(ending, messages.Failed) and not self.unsent & self.lost.keys():
            both = sentence("{error}; {more}", error=ending.message, more=told)
            return messages.Failed(self.name, ending.code, both)
        return messages.Failed(self.name, GenerationFailedError.code, told)

    def _stop_worker(self) -> Instructions:
        return () if self.worker is None else (StopWorker(self.worker),)

    # ---- the end ---------------------------------------------------------------------------

    def _failed(self, error: UnderpaintError) -> messages.Failed:
        return messages.Failed(self.name, error.code, error.sentence)

    def _end(self, event: Event, ending: messages.Done | messages.Failed) -> Instructions:
        parts = wire.encode(ending)
        if self.is_revoked:
            self._move(event, State.DROPPED)
            return LeaveQueue(), *self._mention(parts)
        self._move(event, State.ENDED)
        is_cancelled = isinstance(ending, messages.Failed) and ending.code == CancelledError.code
        if is_cancelled and not self.pictures:  # there is nothing to come back for
            return LeaveQueue(), TakeRecord(parts[0]), *self._say(Send(parts))
        self._ending = ending
        keep = KeepEnding(wire.encode(self._with_lost(ending))[0])
        kept: Instructions = (keep,)
        if self.is_taken:
            kept = keep, ForgetUnwritten(), TakeRecord()
        return LeaveQueue(), *kept, *self._say(SendEnding(parts))


def _cancelled_by(who: str) -> str:
    return sentence("cancelled by {user}", user=who)
