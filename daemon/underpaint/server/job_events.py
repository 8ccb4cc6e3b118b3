"""What happens to a job, and what is to be done about it: the vocabulary of `job_state`."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from underpaint_client import messages
from underpaint_client.errors import UnderpaintError
from underpaint_client.frames import Bytes


class State(enum.Enum):
    """Where a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    """Its worker was told to stop, and has not stopped yet."""
    ENDED = "ended"
    """It has ended; its client was notified or will be."""
    DROPPED = "dropped"
    """It was dropped; no client is notified."""


# ---- events ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recorded:
    """The job is on the disk, or could not be written; it is accepted.

    Parameters
    ----------
    position : int
        How many jobs run or wait before it.
    remark : str
        What its client should know of how it is kept.
    """

    position: int
    remark: str = ""


@dataclass(frozen=True)
class Superseded:
    """The disk holds a job of this id that ended before; this one is another copy of it."""


@dataclass(frozen=True)
class Moved:
    """The queue has changed; the job waits at this position."""

    position: int


@dataclass(frozen=True)
class Started:
    """A worker was given the job."""

    worker: int


@dataclass(frozen=True)
class Reported:
    """The worker sent progress or a preview; `parts` is the message as it travels."""

    parts: list[Bytes]


@dataclass(frozen=True)
class Painted:
    """The worker sent one of the pictures.

    Parameters
    ----------
    index : int
    parts : list of bytes-like
        The message as it travels.
    is_read : bool
        Whether its client reads what it is sent. One that does not gets the picture at the end,
        from the disk, so that no memory is needed meanwhile.
    """

    index: int
    parts: list[Bytes]
    is_read: bool = True


@dataclass(frozen=True)
class NotWritten:
    """One of the pictures could not be written to the disk; its client may have it all the same."""

    index: int
    why: str


@dataclass(frozen=True)
class Finished:
    """The worker said how the job ended."""

    ending: messages.Done | messages.Failed


@dataclass(frozen=True)
class WorkerDied:
    """The worker of the job died.

    Parameters
    ----------
    end : str
        How, as a clause.
    error : UnderpaintError
        What the client is told if the job is not tried again.
    """

    end: str
    error: UnderpaintError


@dataclass(frozen=True)
class NoWorker:
    """No worker stays alive that could run the job."""

    error: UnderpaintError


@dataclass(frozen=True)
class CancelAsked:
    """Somebody wants the job cancelled.

    Parameters
    ----------
    by : str
        What its client is told of who that was; empty where it was the client itself.
    """

    by: str = ""


@dataclass(frozen=True)
class HandedOver:
    """Another client follows the job from now on."""


@dataclass(frozen=True)
class PicturesRead:
    """The earlier pictures were read for the client that took over.

    Parameters
    ----------
    pictures : tuple of list of bytes-like
        Those that could be read, as messages that travel.
    is_complete : bool
        Whether all could be read.
    """

    pictures: tuple[list[Bytes], ...] = ()
    is_complete: bool = True


@dataclass(frozen=True)
class Taken:
    """The client has no more use for the job."""


@dataclass(frozen=True)
class Revoked:
    """The key of the job's owner was revoked."""


@dataclass(frozen=True)
class DaemonStops:
    """The daemon ends; the next one goes on."""


Event = (
    Recorded
    | Superseded
    | Moved
    | Started
    | Reported
    | Painted
    | NotWritten
    | Finished
    | WorkerDied
    | NoWorker
    | CancelAsked
    | HandedOver
    | PicturesRead
    | Taken
    | Revoked
    | DaemonStops
)


# ---- instructions ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Greet:
    """Send the client `Accepted`, with its position and remark."""


@dataclass(frozen=True)
class Send:
    """Send the client a message, as it travels."""

    parts: list[Bytes]


@dataclass(frozen=True)
class SendEnding:
    """Send the client how the job ended; if it has gone, write the results now."""

    parts: list[Bytes]


@dataclass(frozen=True)
class SendAllAgain:
    """Read all results of the job from the disk, and send them with the ending.

    Parameters
    ----------
    without : frozenset of int
        The indexes of pictures that the client was sent before.
    """

    without: frozenset[int] = frozenset()


@dataclass(frozen=True)
class WriteNow:
    """Write the unwritten results of the job."""


@dataclass(frozen=True)
class ReadPictures:
    """Read the earlier pictures, and come back with `PicturesRead`."""


@dataclass(frozen=True)
class KeepPicture:
    """Write a picture in a moment, unless its client has it by then."""

    index: int
    parts: list[Bytes]


@dataclass(frozen=True)
class KeepEnding:
    """Write the ending in a moment, unless its client has it by then."""

    ending: Bytes


@dataclass(frozen=True)
class Mark:
    """Note the state in the job's record, for the next daemon."""

    state: State


@dataclass(frozen=True)
class TakeRecord:
    """Let go of the pictures on the disk, and note how the job ended where that is given."""

    ending: Bytes | None = None


@dataclass(frozen=True)
class ForgetUnwritten:
    """Discard the unwritten results of the job."""


@dataclass(frozen=True)
class QueueAgain:
    """Let the job wait before the others of its client."""


@dataclass(frozen=True)
class LeaveQueue:
    """Take the job out of the queue."""


@dataclass(frozen=True)
class StopWorker:
    """Have a worker cancel the job."""

    worker: int


Instruction = (
    Greet
    | Send
    | SendEnding
    | SendAllAgain
    | WriteNow
    | ReadPictures
    | KeepPicture
    | KeepEnding
    | Mark
    | TakeRecord
    | ForgetUnwritten
    | QueueAgain
    | LeaveQueue
    | StopWorker
)

Instructions = tuple[Instruction, ...]
