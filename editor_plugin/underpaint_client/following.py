"""The fate of one job as its client sees it: a pure state machine.

Messages of the daemon and what befalls the line go in. What to send, and whether the client should
be told of a message, comes out. There is no socket here and no clock: whoever owns these feeds the
machine, and carries out what it answers with `perform`. `RULES` is the whole of it; the README
beside this package draws it.

    following = Following.submitted(submit, frames)
    perform(connection, following, following.handle(Event.CONNECTED))
    ...
    step = following.hear(message)
    perform(connection, following, step.actions)
    if step.news:
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
        """What carries a client's messages to the daemon; a `Connection` is one."""

        def send(self, message: Message, frames: tuple[Frame, ...] = ()) -> None:
            """Send a message."""

        def follow(self, *jobs: str) -> None:
            """Send `Follow`."""

        def cancel(self, job: str) -> None:
            """Send `Cancel`."""

        def take(self, job: str) -> None:
            """Send `Taken`."""


class State(Enum):
    """Where a job is, as far as its client knows."""

    UNSENT = "unsent"
    """It is to be submitted, again or for the first time, as soon as there is a daemon."""
    SENT = "sent"
    """It was submitted; the daemon has not said that it has it."""
    LOST = "lost"
    """The daemon has it and is away; the job is asked for when the daemon is back."""
    ASKED = "asked"
    """The daemon was asked what has become of it, or to stop it."""
    QUEUED = "queued"
    """It waits for others."""
    RUNNING = "running"
    """It is the first in the queue, or runs."""
    DELIVERING = "delivering"
    """Some of its pictures have come."""
    DONE = "done"
    """All its pictures have come."""
    FAILED = "failed"
    """It ended with an error; what pictures there are have come."""
    KEPT = "kept"
    """It ended, and the daemon keeps pictures that it could not read."""
    GIVEN_UP = "given_up"
    """The client waits no longer; what the daemon has of the job stays there."""
    TAKEN = "taken"
    """It ended, and the daemon was told to forget it."""


class Event(Enum):
    """What can happen to a job: words of the daemon, changes of the line, the client's wishes."""

    ACCEPTED = "accepted"
    """The daemon has it, and others are before it."""
    FIRST = "first"
    """The daemon has it, and no other is before it."""
    PROGRESS = "progress"
    """It is further, or a preview of it has come."""
    PICTURE = "picture"
    """A picture has come for the first time."""
    REPEATED = "repeated"
    """A picture has come that had come before."""
    DONE = "done"
    """The daemon has sent all."""
    FAILED = "failed"
    """The daemon has ended it with an error."""
    UNKNOWN = "unknown"
    """The daemon does not know it."""
    KEPT = "kept"
    """The daemon could not read all of its pictures."""
    CONNECTED = "connected"
    """There is a line to a daemon."""
    DISCONNECTED = "disconnected"
    """There is none any more: the daemon was stopped, has died, or has said nothing for long."""
    CHECK = "check"
    """Nothing was heard for a moment; the line may have been cut unnoticed."""
    CANCEL = "cancel"
    """The client wants it to stop."""
    TAKE = "take"
    """The client has its results in safety, or does not want them."""
    GIVE_UP = "give_up"
    """The client stops waiting: the daemon was away for too long, or turned the client away."""


class Action(Enum):
    """What the client does about an event."""

    TELL = "tell"
    """Hand the message on to whom it concerns."""
    SUBMIT = "submit"
    FOLLOW = "follow"
    CANCEL = "cancel"
    TAKE = "take"


ENDED = frozenset((State.DONE, State.FAILED, State.KEPT, State.GIVEN_UP, State.TAKEN))
"""The states in which nothing more is to come."""

AWAY = (State.UNSENT, State.LOST)
"""The states in which there is no line to the daemon."""

NOT_ACCEPTED = (State.UNSENT, State.SENT)
"""The states in which the daemon may not have the job."""


@dataclass(frozen=True)
class Transition:
    """What follows from an event in a state: the next state, and what to do."""

    state: State
    actions: tuple[Action, ...] = ()


_KNOWN = (State.ASKED, State.QUEUED, State.RUNNING, State.DELIVERING)
_HEARING = (State.SENT, *_KNOWN)
_OPEN = (*AWAY, *_HEARING)
_TELL = (Action.TELL,)

RULES: tuple[tuple[tuple[State, ...], tuple[Event, ...], State | None, tuple[Action, ...]], ...] = (
    # in these states, at these events: the next state (None: the same), what to do.
    # A later rule has precedence over an earlier one. What no rule names changes nothing.
    (_HEARING, (Event.ACCEPTED,), State.QUEUED, _TELL),
    (_HEARING, (Event.FIRST, Event.PROGRESS), State.RUNNING, _TELL),
    (_HEARING, (Event.PICTURE,), State.DELIVERING, _TELL),
    (_HEARING, (Event.REPEATED,), State.DELIVERING, ()),
    (_HEARING, (Event.DONE,), State.DONE, _TELL),
    (_HEARING, (Event.FAILED, Event.UNKNOWN), State.FAILED, _TELL),
    (_HEARING, (Event.KEPT,), State.KEPT, _TELL),
    (_HEARING, (Event.CHECK,), None, (Action.FOLLOW,)),
    # What was painted came; the position may change when another worker goes on with it.
    ((State.DELIVERING,), (Event.ACCEPTED, Event.FIRST, Event.PROGRESS), None, _TELL),
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
    (AWAY, (Event.CANCEL,), State.FAILED, (Action.FOLLOW, Action.CANCEL)),
    (_OPEN, (Event.GIVE_UP,), State.GIVEN_UP, ()),
    # Before the end it says that the results will not be wanted.
    (_OPEN, (Event.TAKE,), None, (Action.TAKE,)),
    ((State.DONE, State.FAILED), (Event.TAKE,), State.TAKEN, (Action.TAKE,)),
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
    """What a message of the daemon comes to.

    Parameters
    ----------
    news : bool
        Whether whoever waits for the job should be told of the message.
    actions : tuple of Action
        What to `perform`.
    moved : bool
        Whether `Following.position` has changed.
    """

    news: bool = False
    actions: tuple[Action, ...] = ()
    moved: bool = False


@dataclass
class Following:
    """One job's state, and what has come of it.

    Parameters
    ----------
    job : str
        Its id.
    state : State
        Without it, the daemon was asked for the job by this client's line, or sent it.
    submission : tuple or None
        The message and its frames, to be sent again until the daemon has the job in safety.

    Attributes
    ----------
    pictures : set of int
        The indexes of those that have come.
    position : int
        How many jobs run or wait before it; 0 while it runs.
    remark : str
        What the daemon says of how it keeps the job; mostly empty.
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
        """Return the machine of a job that is to be submitted when connected."""
        return cls(submit.job, State.UNSENT, (submit, frames))

    @property
    def ended(self) -> bool:
        """Whether nothing more is to come."""
        return self.state in ENDED

    @property
    def accepted(self) -> bool:
        """Whether the job is not to be sent again: the daemon has it, or it was cancelled."""
        return self.state not in NOT_ACCEPTED

    @property
    def given_up(self) -> bool:
        """Whether it has ended on this side alone: the daemon may have more of it."""
        return self.state in (State.KEPT, State.GIVEN_UP)

    def handle(self, event: Event) -> tuple[Action, ...]:
        """Go on to the state that an event leads to, and return what to `perform`."""
        if event is Event.CANCEL and self.state in AWAY:
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

    def hear(self, message: Message) -> Step:
        """Take a message of the daemon. Messages of other jobs, and of none, change nothing."""
        event = None if getattr(message, "job", None) != self.job else self._event(message)
        if event is None:
            return Step()
        before = self.position
        actions = self.handle(event)
        news = Action.TELL in actions
        if news:
            self._note(message)
        sends = tuple(action for action in actions if action is not Action.TELL)
        return Step(news, sends, moved=self.position != before)

    def _event(self, message: Message) -> Event | None:
        """Return what a message of this job means to it; None for what is no news of a job."""
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

    def _note(self, message: Message) -> None:
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
                    f"the daemon did not take this job, though it was sent {self.resends} times;"
                    " make the request shorter, or see `underpaint doctor --report` for the reason"
                )


def perform(line: Line, following: Following, actions: Iterable[Action]) -> None:
    """Send what a machine has answered."""
    for action in actions:
        if action is Action.SUBMIT and following.submission is not None:
            line.send(*following.submission)
        elif action is Action.FOLLOW:
            line.follow(following.job)
        elif action is Action.CANCEL:
            line.cancel(following.job)
        elif action is Action.TAKE:
            line.take(following.job)


def find_error(message: Message) -> UnderpaintError | None:
    """Return what a message that is about no job says of the daemon, or of a message sent to it.

    Returns
    -------
    DaemonStoppedError
        The daemon ends as it was told to.
    TurnedAwayError
        It no longer lets this machine in.
    UnderpaintError
        Otherwise: it has refused a message that names no job.
    None
        The message is no such.
    """
    if isinstance(message, messages.Leaving):
        return DaemonStoppedError("the Underpaint daemon was stopped")
    if isinstance(message, messages.Failed) and not message.job:
        if message.code == DaemonUnavailableError.code:
            return TurnedAwayError(message.message)
        return from_code(message.code, message.message)
    return None
