"""One job's state as its client sees it: a pure state machine.

Messages of the daemon and events of the connection go in. What to send, and whether to notify the
client of a message, comes out. There is no socket here and no clock: their owner feeds the machine,
and carries out its actions with `perform`. `RULES` contains all of it; the README beside this
package has the diagram.

    following = Following.submitted(submit, frames)
    perform(connection, following, following.handle(Event.CONNECTED))
    ...
    step = following.handle_message(message)
    perform(connection, following, step.actions)
    if step.notify:
        show(message)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from . import messages
from .errors import (
    CancelledError,
    DaemonStoppedError,
    DaemonUnavailableError,
    GenerationFailedError,
    ResultsKeptError,
    TurnedAwayError,
    UnderpaintError,
    UnknownJobError,
    from_code,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Protocol

    from .frames import Frame
    from .messages import Message

    Submission = tuple[messages.Submit, tuple[Frame, ...]]

    class Line(Protocol):
        """What sends a client's messages to the daemon; a `Connection` is one."""

        def send(self, message: Message, frames: tuple[Frame, ...] = ()) -> None:
            """Send a message."""

        def follow(self, *jobs: str) -> None:
            """Send `Follow`."""

        def cancel(self, job: str) -> None:
            """Send `Cancel`."""

        def acknowledge(self, job: str) -> None:
            """Send `Taken`."""


class State(Enum):
    """Where a job is, as far as its client knows."""

    UNSENT = "unsent"
    """It will be submitted, again or for the first time, as soon as there is a daemon."""
    SENT = "sent"
    """It was submitted; the daemon has not confirmed it."""
    LOST = "lost"
    """The daemon has it, but is away; the client asks for the job when the daemon is back."""
    ASKED = "asked"
    """The daemon was asked for its state, or to stop it."""
    QUEUED = "queued"
    """It waits for others."""
    RUNNING = "running"
    """It is the first in the queue, or runs."""
    DELIVERING = "delivering"
    """Some of its pictures have arrived."""
    DONE = "done"
    """All its pictures have arrived."""
    FAILED = "failed"
    """It ended with an error; the finished pictures have arrived."""
    KEPT = "kept"
    """It ended, and the daemon keeps pictures that it could not read."""
    GIVEN_UP = "given_up"
    """The client no longer waits; the daemon keeps what it has of the job."""
    ACKNOWLEDGED = "acknowledged"
    """It ended, and the daemon was told to forget it."""


class Event(Enum):
    """What can happen to a job: messages, changes of the connection, requests of the client."""

    ACCEPTED = "accepted"
    """The daemon has it, and others are before it."""
    FIRST = "first"
    """The daemon has it, and no other is before it."""
    PROGRESS = "progress"
    """It has made progress, or a preview has arrived."""
    PICTURE = "picture"
    """A picture has arrived for the first time."""
    REPEATED = "repeated"
    """A picture has arrived again."""
    DONE = "done"
    """The daemon has sent all pictures."""
    FAILED = "failed"
    """The daemon has ended it with an error."""
    UNKNOWN = "unknown"
    """The daemon does not know it."""
    KEPT = "kept"
    """The daemon could not read all of its pictures."""
    CONNECTED = "connected"
    """There is a connection to a daemon."""
    DISCONNECTED = "disconnected"
    """The connection is gone: the daemon was stopped, has died, or is silent."""
    CHECK = "check"
    """Nothing has arrived for a moment; the connection may have been cut unnoticed."""
    CANCEL = "cancel"
    """The client wants it to stop."""
    ACKNOWLEDGE = "acknowledge"
    """The client has stored the results, or does not want them."""
    GIVE_UP = "give_up"
    """The client stops waiting: the daemon was away for too long, or revoked access."""


class Action(Enum):
    """What the client does about an event."""

    NOTIFY = "notify"
    """Tell whoever waits for the job."""
    SUBMIT = "submit"
    FOLLOW = "follow"
    CANCEL = "cancel"
    ACKNOWLEDGE = "acknowledge"


ENDED = frozenset((State.DONE, State.FAILED, State.KEPT, State.GIVEN_UP, State.ACKNOWLEDGED))
"""The states in which nothing more will arrive."""

OFFLINE = (State.UNSENT, State.LOST)
"""The states in which there is no connection to the daemon."""

NOT_ACCEPTED = (State.UNSENT, State.SENT)
"""The states in which the daemon may not have the job."""


@dataclass(frozen=True)
class Transition:
    """What follows from an event in a state: the next state, and what to do."""

    state: State
    actions: tuple[Action, ...] = ()


_KNOWN = (State.ASKED, State.QUEUED, State.RUNNING, State.DELIVERING)
_ONLINE = (State.SENT, *_KNOWN)
_OPEN = (*OFFLINE, *_ONLINE)
_NOTIFY = (Action.NOTIFY,)

RULES: tuple[tuple[tuple[State, ...], tuple[Event, ...], State | None, tuple[Action, ...]], ...] = (
    # in these states, at these events: the next state (None: the same), what to do.
    # A later rule has precedence over an earlier one. What no rule names changes nothing.
    (_ONLINE, (Event.ACCEPTED,), State.QUEUED, _NOTIFY),
    (_ONLINE, (Event.FIRST, Event.PROGRESS), State.RUNNING, _NOTIFY),
    (_ONLINE, (Event.PICTURE,), State.DELIVERING, _NOTIFY),
    (_ONLINE, (Event.REPEATED,), State.DELIVERING, ()),
    (_ONLINE, (Event.DONE,), State.DONE, _NOTIFY),
    (_ONLINE, (Event.FAILED, Event.UNKNOWN), State.FAILED, _NOTIFY),
    (_ONLINE, (Event.KEPT,), State.KEPT, _NOTIFY),
    (_ONLINE, (Event.CHECK,), None, (Action.FOLLOW,)),
    # What was painted came; the position may change when another worker goes on with it.
    ((State.DELIVERING,), (Event.ACCEPTED, Event.FIRST, Event.PROGRESS), None, _NOTIFY),
    # It was lost on its way. A job is its id, so sending it twice does no harm.
    ((State.SENT,), (Event.UNKNOWN,), None, (Action.SUBMIT,)),
    ((State.UNSENT,), (Event.CONNECTED,), State.SENT, (Action.SUBMIT,)),
    ((State.LOST,), (Event.CONNECTED,), State.ASKED, (Action.FOLLOW,)),
    ((State.SENT,), (Event.DISCONNECTED,), State.UNSENT, ()),
    (_KNOWN, (Event.DISCONNECTED,), State.LOST, ()),
    # It is not wanted any more, so it is not sent again if it was lost on its way.
    ((State.SENT,), (Event.CANCEL,), State.ASKED, (Action.CANCEL,)),
    # Had the line been cut unnoticed, the job would not be this client's to cancel.
    (_KNOWN, (Event.CANCEL,), None, (Action.FOLLOW, Action.CANCEL)),
    # It is over for the client; the daemon is told when it is back.
    (OFFLINE, (Event.CANCEL,), State.FAILED, (Action.FOLLOW, Action.CANCEL)),
    (_OPEN, (Event.GIVE_UP,), State.GIVEN_UP, ()),
    # Before the end it says that the results will not be wanted.
    (_OPEN, (Event.ACKNOWLEDGE,), None, (Action.ACKNOWLEDGE,)),
    ((State.DONE, State.FAILED), (Event.ACKNOWLEDGE,), State.ACKNOWLEDGED, (Action.ACKNOWLEDGE,)),
)


def _table() -> dict[tuple[State, Event], Transition]:
    table = {(state, event): Transition(state) for state in State for event in Event}
    for states, events, after, actions in RULES:
        for state in states:
            for event in events:
                table[state, event] = Transition(after or state, actions)
    return table


TABLE = _table()
"""The transition of every pair of state and event."""


MAX_RESENDS = 3
"""How often a job is sent again after the daemon has said that it does not know it. A daemon that
never knows it has refused the message without finding out which job it was about."""


@dataclass(frozen=True)
class Step:
    """What follows from a message of the daemon.

    Parameters
    ----------
    notify : bool
        Whether whoever waits for the job should be told of the message.
    actions : tuple of Action
        What to `perform`.
    moved : bool
        Whether `Following.position` has changed.
    """

    notify: bool = False
    actions: tuple[Action, ...] = ()
    moved: bool = False


@dataclass
class Following:
    """One job's state, and what has arrived.

    Parameters
    ----------
    job : str
        Its id.
    state : State
        Without it, this client has submitted the job already, or asked for it.
    submission : tuple or None
        The message and its frames, to be sent again until the daemon has confirmed the job.

    Attributes
    ----------
    pictures : set of int
        The indexes of those that have arrived.
    position : int
        How many jobs run or wait before it; 0 while it runs.
    remark : str
        What the daemon says about how it stores the job; mostly empty.
    error : UnderpaintError or None
        Why it ended, where that was not with all its pictures.
    resends : int
        How often the daemon has not known it right after it was sent.
    """

    job: str
    state: State = State.ASKED
    submission: Submission | None = field(default=None, repr=False)
    pictures: set[int] = field(default_factory=set)
    position: int = 0
    remark: str = ""
    error: UnderpaintError | None = None
    resends: int = 0

    @classmethod
    def submitted(cls, submit: messages.Submit, frames: tuple[Frame, ...]) -> Following:
        """Return the state of a job that will be submitted once there is a connection."""
        return cls(submit.job, State.UNSENT, (submit, frames))

    @property
    def ended(self) -> bool:
        """Whether nothing more will arrive."""
        return self.state in ENDED

    @property
    def accepted(self) -> bool:
        """Whether the job is not to be sent again: the daemon has it, or it was cancelled."""
        return self.state not in NOT_ACCEPTED

    @property
    def given_up(self) -> bool:
        """Whether only this client has ended it: the daemon may have more of it."""
        return self.state in (State.KEPT, State.GIVEN_UP)

    def handle(self, event: Event) -> tuple[Action, ...]:
        """Handle an event: change the state, and return the actions to `perform`."""
        if event is Event.CANCEL and self.state in OFFLINE:
            self.error = CancelledError("cancelled")
        transition = TABLE[self.state, event]
        self.state = transition.state
        if self.accepted:
            self.submission = None  # pixels need memory
        return transition.actions

    def give_up(self, error: UnderpaintError) -> None:
        """Stop waiting for the job, for a reason."""
        if not self.ended:
            self.error = error
        self.handle(Event.GIVE_UP)

    def handle_message(self, message: Message) -> Step:
        """Handle a message of the daemon. Messages that are not about this job change nothing."""
        event = None if getattr(message, "job", None) != self.job else self._event(message)
        if event is None:
            return Step()
        before = self.position
        actions = self.handle(event)
        notify = Action.NOTIFY in actions
        if notify:
            self._record(message)
        sends = tuple(action for action in actions if action is not Action.NOTIFY)
        return Step(notify, sends, moved=self.position != before)

    def _event(self, message: Message) -> Event | None:
        """Return the event that a message about this job is; None if it is none."""
        if isinstance(message, messages.Accepted):
            return Event.ACCEPTED if message.position else Event.FIRST
        if isinstance(message, (messages.Progress, messages.Preview)):
            return Event.PROGRESS
        if isinstance(message, messages.Picture):
            return Event.REPEATED if message.index in self.pictures else Event.PICTURE
        if isinstance(message, messages.Done):
            return Event.DONE
        if isinstance(message, messages.Failed):
            is_unknown = message.code == UnknownJobError.code
            self.resends += is_unknown and self.state is State.SENT
            special = {ResultsKeptError.code: Event.KEPT}
            if self.resends <= MAX_RESENDS:
                special[UnknownJobError.code] = Event.UNKNOWN
            return special.get(message.code, Event.FAILED)
        return None

    def _record(self, message: Message) -> None:
        if isinstance(message, messages.Accepted):
            self.position = message.position
            self.remark = message.remark or self.remark
        elif isinstance(message, messages.Progress):
            self.position = 0
        elif isinstance(message, messages.Picture):
            self.pictures.add(message.index)
        elif isinstance(message, messages.Failed):
            self.error = from_code(message.code, message.message)
            if self.resends > MAX_RESENDS:
                self.error = GenerationFailedError(
                    "the daemon did not take this job, though it was sent {times} times; make the"
                    " request shorter, or see `underpaint doctor --report` for the reason",
                    times=self.resends,
                )


def perform(line: Line, following: Following, actions: Iterable[Action]) -> None:
    """Send what the state machine's actions ask for."""
    for action in actions:
        if action is Action.SUBMIT and following.submission is not None:
            line.send(*following.submission)
        elif action is Action.FOLLOW:
            line.follow(following.job)
        elif action is Action.CANCEL:
            line.cancel(following.job)
        elif action is Action.ACKNOWLEDGE:
            line.acknowledge(following.job)


def find_error(message: Message) -> UnderpaintError | None:
    """Return the error that a message says, if it is about the daemon and not about a job.

    Returns
    -------
    DaemonStoppedError
        The daemon was stopped.
    TurnedAwayError
        Access was revoked.
    UnderpaintError
        The daemon has refused a message that names no job.
    None
        The message is about a job, or is not an error.
    """
    if isinstance(message, messages.Leaving):
        return DaemonStoppedError("the Underpaint daemon was stopped")
    if isinstance(message, messages.Failed) and not message.job:
        if message.code == DaemonUnavailableError.code:
            return TurnedAwayError(message.message)
        return from_code(message.code, message.message)
    return None
