"""Read one job's messages from a connection until the job ends, by the rules of `following`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import messages
from .errors import DaemonStoppedError, DaemonUnavailableError, TurnedAwayError
from .following import ENDED, Event, find_error, perform
from .locate import START_HINT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Protocol

    from .dealer import Received
    from .following import Following, Line

    class Channel(Line, Protocol):
        """What reading needs of a connection; a `Connection` is one."""

        def receive(self, timeout: float | None = None) -> Received | None:
            """Return the next message; None if none arrives in time."""

        def put_back(self, received: Iterable[Received]) -> None:
            """Keep messages of other jobs for whoever receives next."""

        def check_alive(self) -> None:
            """Raise a `DaemonUnavailableError` if the daemon has ended or fallen silent."""


_SIGNS_OF_LIFE = (messages.Followed, messages.Incoming)
"""Messages that say nothing about a job."""


def read_job_messages(
    channel: Channel, following: Following, heartbeat: float
) -> Iterator[Received]:
    """Yield the messages of a job that its client should see, until it ends.

    When the job has ended, its results are acknowledged, unless the daemon could not read all of
    them. Messages of other jobs are put back.

    Parameters
    ----------
    channel : Channel
    following : Following
        The job's state. If the channel fails, another one can continue from it.
    heartbeat : float
        Seconds of silence after which to ask the daemon whether it is still there.

    Raises
    ------
    UnderpaintError
        As `Connection.events` says.
    """
    other_jobs: list[Received] = []
    try:
        while following.state not in ENDED:
            received = _receive(channel, following, heartbeat)
            if received is None or isinstance(received[0], _SIGNS_OF_LIFE):
                continue
            if getattr(received[0], "job", None) != following.job:
                other_jobs.append(received)
                continue
            step = following.handle_message(received[0])
            perform(channel, following, step.actions)
            if following.ended:
                perform(channel, following, following.handle(Event.ACKNOWLEDGE))
            if step.notify:
                yield received
    finally:
        channel.put_back(other_jobs)


def _receive(channel: Channel, following: Following, heartbeat: float) -> Received | None:
    """Wait a moment for the next message; tell the job's state if there will be none."""
    try:
        received = channel.receive(heartbeat)
        if received is None:
            channel.check_alive()
            perform(channel, following, following.handle(Event.CHECK))
            return None
        error = find_error(received[0])
        if isinstance(error, DaemonStoppedError):
            raise DaemonStoppedError(
                "{error}; the job goes on when it starts again; {hint}",
                error=error,
                hint=START_HINT,
            )
        if error is not None:
            raise error
    except TurnedAwayError as error:
        following.give_up(error)
        raise
    except DaemonUnavailableError:
        following.handle(Event.DISCONNECTED)
        raise
    return received
