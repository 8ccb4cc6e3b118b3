"""The tracker: an editor's jobs and its connection, for a foreign event loop.

The editor watches `JobTracker.fd`; whenever it wakes, and after each call here that sends, it goes
through what `hear` gives. While jobs run it calls `check` every `CHECK` seconds. Nothing waits.

A daemon that ends or falls silent ends no job: `check` looks for it, and once it is back the jobs
go on where they were, each picture coming once.

    tracker = JobTracker("Krita")
    tracker.open()
    job = tracker.submit(request, frames, about=where_the_results_go)
    for notice in tracker.hear():
        ...
"""

from __future__ import annotations

import contextlib
import math
import os
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Union

from underpaint_client import messages
from underpaint_client.connection import Connection, connect, remedy
from underpaint_client.descriptions import describe_seconds
from underpaint_client.errors import (
    DaemonStoppedError,
    DaemonUnavailableError,
    TurnedAwayError,
    UnderpaintError,
)
from underpaint_client.following import Action, Event, Following, State, find_error, perform
from underpaint_client.geometry import Box
from underpaint_client.patience import Silence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from underpaint_client.frames import Frame
    from underpaint_client.request import Request

CHECK = 2.0
"""Seconds between two looks whether the daemon is still there, while jobs run."""

AWAY = 120.0
"""Seconds after which an editor no longer waits for a daemon; its jobs are offered later."""


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
    following : Following
        What has become of it; made from `name` where it is left out.
    """

    name: str
    request: Request
    about: Any
    pace: Pace
    following: Following = field(default=None, repr=False)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.following = self.following or Following(self.name)

    @property
    def accepted(self) -> bool:
        """Whether the job is not to be sent again; see `Following.accepted`."""
        return self.following.accepted

    @property
    def pictures(self) -> set[int]:
        """The indexes of the pictures that have come."""
        return self.following.pictures

    @property
    def remark(self) -> str:
        """What the daemon says of how it keeps the job; mostly empty."""
        return self.following.remark

    @property
    def position(self) -> int:
        """How many jobs run or wait before it; 0 while it runs."""
        return self.following.position


@dataclass(frozen=True)
class Greeted:
    """The daemon has answered; `default_model` is empty where it has no model.

    `remark` is a sentence for the artist, and mostly empty.
    """

    default_model: str
    remark: str = ""


@dataclass(frozen=True)
class ResultsWait:
    """Jobs of this user that nobody follows: an editor ended before their results came."""

    jobs: tuple[messages.WaitingJob, ...]


@dataclass(frozen=True)
class ModelsListed:
    """What the daemon can paint with."""

    models: tuple[messages.ModelEntry, ...]


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
    """What an image looks like so far: RGBA, u1, to be scaled to `area` on the canvas.

    `image` counts from 1; `step` of `steps` were run.
    """

    job: Job
    area: Box
    frame: Frame
    image: int = 1
    step: int = 0
    steps: int = 0


@dataclass(frozen=True)
class Painted:
    """A picture has come."""

    job: Job
    picture: messages.Picture
    frame: Frame


@dataclass(frozen=True)
class Ended:
    """A job has ended; `error` is None where all its pictures have come.

    `given_up` where only this side has: the daemon may have more of it, and offers that later.
    """

    job: Job
    error: UnderpaintError | None
    given_up: bool = False


@dataclass(frozen=True)
class Refused:
    """The daemon could not answer a message that was about no job."""

    error: UnderpaintError


@dataclass(frozen=True)
class Lost:
    """The daemon has gone; jobs wait for it to come back. `meant` where it was told to end."""

    error: UnderpaintError
    meant: bool = False


Notice = Union[
    Greeted, ModelsListed, ResultsWait, Advanced, Queued, Previewed, Painted, Ended, Refused, Lost,
]  # fmt: skip


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


def describe_progress(
    progress: messages.Progress, pace: Pace, now: float
) -> tuple[float | None, str]:
    """Return a progress message as a fraction (or None) and a sentence for the artist."""
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


class JobTracker:
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
        # Pixels are waited for on any line: which one it is may change on reconnection.
        self._silence = Silence(0.0, slow=True)
        self._away_since: float | None = None
        self._untold: list[tuple[Following, tuple[Action, ...]]] = []  # until there is a daemon
        self._ended: list[Ended] = []  # here, without a word from the daemon

    @property
    def fd(self) -> int | None:
        """The descriptor to watch for reading (edge-triggered); None without a connection."""
        return None if self._connection is None else self._connection.fd

    # ---- asking ----------------------------------------------------------------------------

    def open(self) -> None:
        """Connect, if not connected to a daemon that lives, greet, and go on with the jobs.

        `Greeted`, `ModelsListed` and `ResultsWait` follow.

        Raises
        ------
        DaemonUnavailableError
            Where no daemon runs, or pyzmq is missing.
        """
        if self._connection is not None and not self._gone():
            return
        self._hang_up()
        self._connection = connection = connect()
        self._silence.begin(time.monotonic())
        connection.send(messages.Hello(client=f"{self.editor} pid {os.getpid()}"))
        connection.send(messages.AskModels())
        for following, actions in self._untold:
            perform(connection, following, actions)
        self._untold.clear()
        unsent = [job for job in self.jobs.values() if not job.accepted]
        known = self._to_follow(Event.CONNECTED, [j for j in self.jobs.values() if j.accepted])
        if known:
            connection.follow(*known)
        for job in unsent:
            self._do(job, Event.CONNECTED)
        self.ask_waiting()  # after: what is followed does not wait

    def submit(
        self,
        request: Request,
        frames: dict[str, Frame],
        about: Any = None,
        *,
        previews: bool = False,
        note: str = "",
    ) -> Job:
        """Send a job off; `Advanced`, `Painted` and in the end `Ended` follow.

        Parameters
        ----------
        request : Request
            What to make.
        frames : dict of str to Frame
            Called as the fields of `InputFrames`: `layer`, `selection`, `mask`.
        about : any
            The editor's own note of where the results go.
        previews : bool
            Whether `Previewed` is to come a few times a second.
        note : str
            The same as `about` for another start of this editor.

        Raises
        ------
        DaemonUnavailableError
            Where no daemon runs.
        """
        self.open()
        submit = messages.Submit(uuid.uuid4().hex, request, "quick" if previews else "", note)
        following = Following.submitted(submit, tuple(frames.values()))
        job = Job(submit.job, request, about, Pace(), following)
        if not self.jobs:
            self._silence.begin(time.monotonic())
        self.jobs[job.name] = job
        self._do(job, Event.CONNECTED)
        return job

    def ask_waiting(self) -> None:
        """Ask what waits; `ResultsWait` follows."""
        if self._connection is not None:
            self._connection.send(messages.AskWaiting())

    def fetch(self, waiting: messages.WaitingJob, about: Any = None) -> Job:
        """Follow a job that waits; its pictures come as if it were this editor's."""
        job = Job(waiting.job, waiting.request, about, Pace(), Following(waiting.job, State.LOST))
        self.jobs[job.name] = job
        if self._connection is not None:
            self._do(job, Event.CONNECTED)
        return job

    def _do(self, job: Job, event: Event) -> None:
        """Take an event, and do what follows from it; without a daemon, when there is one."""
        actions = job.following.handle(event)
        if self._connection is None and actions:
            self._untold.append((job.following, actions))
        else:
            self._perform(job, actions)

    def _perform(self, job: Job, actions: tuple[Action, ...]) -> None:
        if self._connection is None:
            return
        perform(self._connection, job.following, actions)
        if Action.SUBMIT in actions and job.following.submission is not None:
            # What it sends goes before what it hears: a slow line needs time for pixels.
            self._silence.sent(*job.following.submission)

    def _to_follow(self, event: Event, jobs: Iterable[Job]) -> list[str]:
        """Have an event happen to jobs; return those to follow, which one message can ask for."""
        return [job.name for job in jobs if Action.FOLLOW in job.following.handle(event)]

    def cancel(self, job: Job) -> None:
        """Ask for a job to stop; `Ended` with a `CancelledError` follows.

        A daemon that is away will be told when it is back.
        """
        if job.name not in self.jobs:
            return
        self._do(job, Event.CANCEL)
        if job.following.ended:
            self._ended.append(self._end(job))

    def take(self, job: Job) -> None:
        """Say that what came of a job is in safety; the daemon forgets it."""
        self._do(job, Event.TAKE)

    def prefer(self, job: Job) -> None:
        """Ask for a job to be the next of this editor's."""
        if self._connection is not None and job.name in self.jobs:
            self._connection.prefer(job.name)

    def close(self) -> None:
        """Let go of the daemon; its jobs go on, and what comes of them is offered later."""
        self.jobs.clear()
        self._silence = Silence(0.0, slow=True)
        self._hang_up()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close(0 if self._gone() else 0.05)
            self._connection = None
        for job in self.jobs.values():
            job.following.handle(Event.DISCONNECTED)

    # ---- hearing ---------------------------------------------------------------------------

    def hear(self, seconds: float = math.inf) -> Iterator[Notice]:
        """Return what the daemon has said since, without waiting.

        Parameters
        ----------
        seconds : float
            Time after which no further message is taken; the rest waits for the next call.
        """
        deadline = time.monotonic() + seconds
        while self._ended:
            yield self._ended.pop(0)
        while self._connection is not None and time.monotonic() < deadline:
            try:
                received = self._connection.receive(0)
            except UnderpaintError as error:  # it speaks another protocol
                self._hang_up()
                yield from self.give_up(error)
                yield Lost(error, meant=True)
                return
            if received is None:
                return
            self._silence.heard(received[0], time.monotonic())
            self._away_since = None
            yield from self._understand(*received)

    def check(self, seconds: float = math.inf) -> Iterator[Notice]:
        """Look whether the daemon is still there, and ask it to say so; or look for it.

        What it has said is heard first, for as long as `hear` says, so that an editor that was busy
        itself loses nothing.
        """
        yield from self.hear(seconds)
        away = time.monotonic() - (self._away_since or time.monotonic())
        if away > AWAY and self.jobs:
            told = f"the Underpaint daemon has been away for {describe_seconds(away)}"
            yield from self.give_up(
                DaemonUnavailableError(f"{told}; what it has of this is offered when it is back")
            )
        if self._connection is None:
            self._look()
        elif self._gone():
            self._hang_up()
            yield Lost(DaemonUnavailableError("the Underpaint daemon has ended unexpectedly"))
        elif self._silence.is_too_long(now := time.monotonic()):
            info, silent = self._connection.info, now - self._silence.since
            self._away_since = self._away_since or self._silence.since
            self._silence.wait_longer()
            self._hang_up()
            yield Lost(
                DaemonUnavailableError(
                    f"the Underpaint daemon has said nothing for {silent:.0f} seconds; it is waited"
                    f" for; {remedy(info)}"
                )
            )
        else:  # should the line have been cut, they come here
            self._connection.follow(*self._to_follow(Event.CHECK, self.jobs.values()))

    def _look(self) -> None:
        """Look for a daemon that was away."""
        self._away_since = self._away_since or time.monotonic()
        with contextlib.suppress(DaemonUnavailableError):
            self.open()

    def give_up(self, error: UnderpaintError) -> Iterator[Ended]:
        """End all jobs here. What the daemon has of them waits there."""
        for job in list(self.jobs.values()):
            job.following.give_up(error)
            yield self._end(job)

    def _gone(self) -> bool:
        """Return whether the connected daemon has ended, as far as can be seen."""
        try:
            if self._connection is not None:
                self._connection.see_process()
        except DaemonUnavailableError:
            return True
        return self._connection is None

    def _understand(self, message: messages.Message, frames: tuple[Frame, ...]) -> Iterator[Notice]:
        if isinstance(message, messages.Welcome):
            yield Greeted(message.default_model, message.remark)
        elif isinstance(message, messages.Models):
            yield ModelsListed(message.models)
        elif isinstance(message, messages.Waiting):
            yield ResultsWait(tuple(one for one in message.jobs if one.job not in self.jobs))
        elif (error := find_error(message)) is not None:
            yield from self._understand_error(error)
        else:
            job = self.jobs.get(getattr(message, "job", ""))
            if job is not None:
                yield from self._about(job, message, frames)

    def _understand_error(self, error: UnderpaintError) -> Iterator[Notice]:
        if isinstance(error, DaemonStoppedError):
            self._hang_up()
            told = f"{error}; jobs go on when it starts again"
            yield Lost(DaemonStoppedError(told), meant=True)
        elif isinstance(error, TurnedAwayError):
            self._hang_up()
            yield from self.give_up(error)
            yield Lost(error, meant=True)
        else:
            yield Refused(error)

    def _about(
        self, job: Job, message: messages.Message, frames: tuple[Frame, ...]
    ) -> Iterator[Notice]:
        step = job.following.hear(message)
        self._perform(job, step.actions)
        if step.moved:
            yield Queued(job)
        if job.following.ended:
            yield self._end(job)
        elif step.news:
            yield from self._tell(job, message, frames)

    def _tell(
        self, job: Job, message: messages.Message, frames: tuple[Frame, ...]
    ) -> Iterator[Notice]:
        if isinstance(message, messages.Accepted):
            if message.position and len(self.jobs) == 1:
                yield Advanced(job, None, f"Waiting: {message.position} ahead")
        elif isinstance(message, messages.Progress):
            yield Advanced(job, *describe_progress(message, job.pace, time.monotonic()))
        elif isinstance(message, messages.Preview):
            area = Box(*message.area)
            yield Previewed(job, area, frames[0], message.image, message.step, message.steps)
        elif isinstance(message, messages.Picture):
            yield Painted(job, message, frames[0])

    def _end(self, job: Job) -> Ended:
        del self.jobs[job.name]
        self._silence.forget(job.name)
        return Ended(job, job.following.error, job.following.given_up)
