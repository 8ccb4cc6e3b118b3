"""The desk: an editor's jobs and its connection, for a foreign event loop.

The editor watches `Desk.fd`; whenever it wakes, and after each call here that sends, it goes
through what `hear` gives. While jobs run it calls `check` every `CHECK` seconds. Nothing waits.

    desk = Desk("Krita")
    desk.open()
    job = desk.submit(request, frames, about=where_the_results_go)
    for notice in desk.hear():
        ...
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

from . import wire
from .connection import PATIENCE, Connection, connect, process_lives, remedy
from .errors import (
    DaemonUnavailableError,
    GenerationFailedError,
    UnderpaintError,
    from_code,
)
from .geometry import Box
from .rules import describe_seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .request import Request
    from .wire import Frame

CHECK = 2.0
"""Seconds between two looks whether the daemon is still there, while jobs run."""

_SLOWEST = 500_000  # bytes a second of the slowest line that is waited for


@dataclass
class Job:
    """One job of this editor's.

    Parameters
    ----------
    name : str
        Its id on the wire.
    request : Request
        What was asked for.
    about : any
        The editor's own note of where the results go.
    pace : Pace
        Tells how long it will take.
    pictures : int
        How many have come.
    position : int
        How many jobs run or wait before it; 0 while it runs.
    """

    name: str
    request: Request
    about: Any
    pace: Pace
    pictures: int = 0
    position: int = 0


@dataclass(frozen=True)
class Greeted:
    """The daemon has answered; `default_model` is empty where it has no model."""

    default_model: str


@dataclass(frozen=True)
class ModelsListed:
    """What the daemon can paint with."""

    models: tuple[wire.ModelEntry, ...]


@dataclass(frozen=True)
class Advanced:
    """A job is further.

    Parameters
    ----------
    job : Job
    fraction : float or None
        0..1 of the whole job; None where nobody can know.
    text : str
        The same for the artist.
    """

    job: Job
    fraction: float | None
    text: str


@dataclass(frozen=True)
class Queued:
    """A job's place in the queue is another; `Job.position` says which."""

    job: Job


@dataclass(frozen=True)
class Previewed:
    """What an image looks like so far: RGBA, u1, to be scaled to `area` on the canvas."""

    job: Job
    area: Box
    frame: Frame


@dataclass(frozen=True)
class Painted:
    """A picture has come."""

    job: Job
    picture: wire.Picture
    frame: Frame


@dataclass(frozen=True)
class Ended:
    """A job has ended; `error` is None where all its pictures have come."""

    job: Job
    error: UnderpaintError | None


@dataclass(frozen=True)
class Refused:
    """The daemon could not answer a message that was about no job."""

    error: UnderpaintError


@dataclass(frozen=True)
class Lost:
    """The daemon has gone; all jobs have ended before."""

    error: UnderpaintError


Notice = Union[Greeted, ModelsListed, Advanced, Queued, Previewed, Painted, Ended, Refused, Lost]


@dataclass
class Pace:
    """How fast a job's steps go by."""

    first: tuple[int, float] | None = None

    def seconds_left(self, done: int, total: int, now: float) -> float | None:
        """Estimate; None until two steps have been seen.

        Parameters
        ----------
        done, total : int
            Steps of the whole job.
        now : float
            Seconds of a clock that only goes forward.
        """
        if self.first is None or done < self.first[0]:
            self.first = (done, now)
        since, began = self.first
        if done <= since:
            return None
        return (now - began) / (done - since) * (total - done)


def describe_progress(progress: wire.Progress, pace: Pace, now: float) -> tuple[float | None, str]:
    """Give a progress message as a fraction (or None) and a sentence for the artist."""
    if not progress.steps:
        return None, f"{progress.phase}..."
    total = progress.steps * max(progress.images, 1)
    done = progress.steps * max(progress.image - 1, 0) + progress.step * progress.together
    left = pace.seconds_left(done, total, now)
    parts = [f"Step {progress.step} of {progress.steps}"]
    if progress.images > 1:
        parts.append(f"image {progress.image} of {progress.images}")
    if left is not None:
        parts.append(f"{describe_seconds(left)} left")
    return done / total, ", ".join(parts)


class Desk:
    """See the module.

    Parameters
    ----------
    editor : str
        Its name, for the daemon's log.
    """

    def __init__(self, editor: str) -> None:
        self.editor = editor
        self.jobs: dict[str, Job] = {}
        self._connection: Connection | None = None
        self._heard = 0.0
        self._patience = PATIENCE
        self._asked_about: frozenset[str] = frozenset()

    @property
    def fd(self) -> int | None:
        """The descriptor to watch for reading (edge-triggered); None without a connection."""
        return None if self._connection is None else self._connection.fd

    # ---- asking ----------------------------------------------------------------------------

    def open(self) -> None:
        """Connect, if not connected to a daemon that lives, and greet.

        `Greeted` and `ModelsListed` follow.

        Raises
        ------
        DaemonUnavailableError
            Where no daemon runs, or pyzmq is missing.
        """
        if self._connection is not None and (self.jobs or not self._gone()):
            return
        self.close()
        self._connection = connect()
        self._heard, self._patience = time.monotonic(), PATIENCE
        self._connection.send(wire.Hello(client=f"{self.editor} pid {os.getpid()}"))
        self._connection.send(wire.AskModels())

    def submit(
        self,
        request: Request,
        frames: dict[str, Frame],
        about: Any = None,
        *,
        previews: bool = False,
    ) -> Job:
        """Send a job off; `Advanced`, `Painted` and in the end `Ended` follow.

        Parameters
        ----------
        request : Request
            What to make.
        frames : dict of str to Frame
            As `Connection.submit` takes them: `layer`, `selection`, `mask`.
        about : any
            The editor's own note of where the results go.
        previews : bool
            Whether `Previewed` is to come a few times a second.

        Raises
        ------
        DaemonUnavailableError
            Where no daemon runs.
        """
        self.open()
        assert self._connection is not None  # noqa: S101 - `open` raises where it is not made
        name = self._connection.submit(
            request,
            frames.get("layer"),
            frames.get("selection"),
            frames.get("mask"),
            previews="quick" if previews else "",
        )
        job = Job(name, request, about, pace=Pace())
        if not self.jobs:
            self._heard = time.monotonic()
        self.jobs[job.name] = job
        # What it sends goes before what it hears: a slow line needs time for pixels.
        self._patience += sum(memoryview(f.data).nbytes for f in frames.values()) / _SLOWEST
        return job

    def cancel(self, job: Job) -> None:
        """Ask for a job to stop; `Ended` with a `CancelledError` follows."""
        if self._connection is not None and job.name in self.jobs:
            self._connection.cancel(job.name)

    def prefer(self, job: Job) -> None:
        """Ask for a job to be the next of this editor's."""
        if self._connection is not None and job.name in self.jobs:
            self._connection.prefer(job.name)

    def close(self) -> None:
        """Let go of the daemon; jobs that run are cancelled by it."""
        self.jobs.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # ---- hearing ---------------------------------------------------------------------------

    def hear(self) -> Iterator[Notice]:
        """Give what the daemon has said since, without waiting."""
        while self._connection is not None:
            try:
                received = self._connection.receive(0)
            except UnderpaintError as error:  # it speaks another protocol
                yield from self._lose(error)
                return
            if received is None:
                return
            self._heard = time.monotonic()
            yield from self._understand(*received)

    def check(self) -> Iterator[Notice]:
        """Look whether the daemon is still there, and ask it to say so.

        What it has said is heard first, so that an editor that was busy itself loses nothing.
        """
        yield from self.hear()
        if self._connection is None:
            return
        if self._gone():
            yield from self._lose(
                DaemonUnavailableError("the Underpaint daemon has ended; start it again")
            )
        elif time.monotonic() - self._heard > self._patience:
            yield from self._lose(
                DaemonUnavailableError(
                    f"the Underpaint daemon has said nothing for {self._patience:.0f} seconds;"
                    f" {remedy(self._connection.info)}"
                )
            )
        else:
            self._asked_about = frozenset(self.jobs)
            self._connection.send(wire.AskStatus())

    def _gone(self) -> bool:
        """Say whether the daemon that this is connected to runs no more, as far as can be seen."""
        if self._connection is None:
            return True
        info = self._connection.info
        return info.endpoint.startswith("ipc:") and not process_lives(info.pid)

    def _understand(self, message: wire.Message, frames: tuple[Frame, ...]) -> Iterator[Notice]:
        if isinstance(message, wire.Welcome):
            yield Greeted(message.default_model)
        elif isinstance(message, wire.Models):
            yield ModelsListed(message.models)
        elif isinstance(message, wire.Status):
            yield from self._forgotten({listed.job for listed in message.jobs})
        elif isinstance(message, wire.Failed) and not message.job:
            error = from_code(message.code, message.message)
            if isinstance(error, DaemonUnavailableError):  # this machine is let in no more
                yield from self._lose(error)
            else:
                yield Refused(error)
        else:
            job = self.jobs.get(getattr(message, "job", ""))
            if job is not None:
                yield from self._about(job, message, frames)

    def _about(
        self, job: Job, message: wire.Message, frames: tuple[Frame, ...]
    ) -> Iterator[Notice]:
        if isinstance(message, wire.Accepted):
            if message.position != job.position:
                job.position = message.position
                yield Queued(job)
            if message.position and len(self.jobs) == 1:
                yield Advanced(job, None, f"Waiting: {message.position} before it")
        elif isinstance(message, wire.Progress):
            if job.position:
                job.position = 0
                yield Queued(job)
            yield Advanced(job, *describe_progress(message, job.pace, time.monotonic()))
        elif isinstance(message, wire.Preview):
            yield Previewed(job, Box(*message.area), frames[0])
        elif isinstance(message, wire.Picture):
            job.pictures += 1
            yield Painted(job, message, frames[0])
        elif isinstance(message, wire.Done):
            yield self._end(job, None)
        elif isinstance(message, wire.Failed):
            yield self._end(job, from_code(message.code, message.message))

    def _end(self, job: Job, error: UnderpaintError | None) -> Ended:
        del self.jobs[job.name]
        return Ended(job, error)

    def _forgotten(self, known: set[str]) -> Iterator[Notice]:
        """End the jobs that the daemon does not know: it was restarted in the meantime."""
        for job in list(self.jobs.values()):
            if job.name in known or job.name not in self._asked_about:
                continue  # of those sent since the question it could not speak
            yield self._end(
                job,
                GenerationFailedError(
                    "the Underpaint daemon was restarted and no longer knows this job; generate"
                    " again"
                ),
            )

    def _lose(self, error: UnderpaintError) -> Iterator[Notice]:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        for job in list(self.jobs.values()):
            yield self._end(job, error)
        yield Lost(error)
