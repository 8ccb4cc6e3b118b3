"""The tracker: an editor's jobs and its connection to the daemon, for a foreign event loop.

The editor watches `JobTracker.fd`. Whenever it becomes readable, and after each call here that
sends something, the editor goes through what `receive` yields. While jobs run, it calls `check`
every `CHECK` seconds. Nothing here waits.

A daemon that ends or falls silent ends no job: `check` looks for it, and once it is back, the jobs
go on where they were. Each image arrives once.

    tracker = JobTracker("Krita")
    tracker.open()
    job = tracker.submit(request, frames, where_the_results_go)
    for notice in tracker.receive():
        ...
"""

from __future__ import annotations

import contextlib
import math
import os
import time
import uuid
from typing import TYPE_CHECKING, Any

from underpaint_client import messages, model_messages, prompt_messages
from underpaint_client.connection import connect
from underpaint_client.descriptions import describe_seconds
from underpaint_client.errors import (
    DaemonStoppedError,
    DaemonUnavailableError,
    TurnedAwayError,
    UnderpaintError,
)
from underpaint_client.following import Action, Event, Following, State, find_error, perform

from .job import Job
from .notices import (
    Disconnected,
    Ended,
    Notice,
    PositionChanged,
    Refused,
    ResultsWaiting,
    describe_answer,
    describe_message,
)
from .presence import DaemonPresence, Presence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from underpaint_client.frames import Frame
    from underpaint_client.request import Request

    from .channel import Channel


CHECK = 2.0
"""Seconds between two calls of `check`, while jobs run."""


class JobTracker:
    """See the module.

    Parameters
    ----------
    editor : str
        Its name, for the daemon's log.
    connect : callable
        Connects to the daemon, or raises a `DaemonUnavailableError`.
    presence : DaemonPresence, optional
        Decides how long to wait for a daemon that is silent or away.
    clock : callable
        Returns the seconds of a monotonic clock.
    """

    def __init__(
        self,
        editor: str,
        *,
        connect: Callable[[], Channel] = connect,
        presence: DaemonPresence | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.editor = editor
        self.jobs: dict[str, Job] = {}
        self._connect = connect
        self._connection: Channel | None = None
        self._presence = presence or DaemonPresence()
        self._clock = clock
        self._postponed: list[tuple[Following, tuple[Action, ...]]] = []  # until there is a daemon
        self._ended: list[Ended] = []  # here, without a message from the daemon

    @property
    def fd(self) -> int | None:
        """The descriptor to watch for reading (edge-triggered); None without a connection."""
        return None if self._connection is None else self._connection.fd

    # ---- sending ---------------------------------------------------------------------------

    def open(self) -> None:
        """Connect, if there is no connection to a living daemon, and go on with the jobs.

        `Connected`, `ModelsListed` and `ResultsWaiting` follow.

        Raises
        ------
        DaemonUnavailableError
            If no daemon runs, or pyzmq is missing.
        """
        if self._connection is not None and self._process_lives():
            return
        self._disconnect()
        self._connection = connection = self._connect()
        self._presence.begin(self._clock())
        connection.send(messages.Hello(client=f"{self.editor} pid {os.getpid()}"))
        connection.send(model_messages.AskModels())
        for following, actions in self._postponed:
            perform(connection, following, actions)
        self._postponed.clear()
        unsent = [job for job in self.jobs.values() if not job.accepted]
        known = self._to_follow(Event.CONNECTED, [j for j in self.jobs.values() if j.accepted])
        if known:
            connection.follow(*known)
        for job in unsent:
            self._handle_event(job, Event.CONNECTED)
        self.ask_waiting()  # afterwards: a job that is followed is not waiting

    def submit(
        self,
        request: Request,
        frames: dict[str, Frame],
        destination: Any = None,
        *,
        previews: bool = False,
        note: str = "",
        wait: bool = False,
    ) -> Job:
        """Submit a job; `Progressed`, `ImageReceived` and in the end `Ended` follow.

        Parameters
        ----------
        request : Request
        frames : dict of str to Frame
            As `Connection.submit` takes them: `layer`, `selection`, `mask`, and further rasters.
        destination : any
            Where the results go; see `Job`.
        previews : bool
            Whether `PreviewReceived` should follow a few times a second.
        note : str
            The destination in a form that another start of this editor understands.
        wait : bool
            Whether the job waits here until there is a daemon, if none runs.

        Raises
        ------
        DaemonUnavailableError
            If no daemon runs, and the job does not wait for one.
        """
        try:
            self.open()
        except DaemonUnavailableError:
            if not wait:
                raise
        submit = messages.Submit(uuid.uuid4().hex, request, "quick" if previews else "", note)
        following = Following.submitted(submit, tuple(frames.values()))
        job = Job(submit.job, request, destination, following=following)
        if not self.jobs:
            self._presence.begin(self._clock())
        self.jobs[job.name] = job
        if self._connection is not None:  # else `open` handles that event
            self._handle_event(job, Event.CONNECTED)
        return job

    def send(self, message: messages.Message) -> None:
        """Send a message that belongs to no job.

        Raises
        ------
        DaemonUnavailableError
            If no daemon runs.
        """
        self.open()
        if self._connection is not None:
            self._connection.send(message)

    def ask_waiting(self) -> None:
        """Ask which results are waiting; `ResultsWaiting` follows."""
        if self._connection is not None:
            self._connection.send(messages.AskWaiting())

    def ask_model_picture(self, model: str) -> None:
        """Ask what a model paints; `ModelPictureReceived` follows, of several for the last."""
        if self._connection is not None:
            self._connection.send(model_messages.AskModelPicture(model))

    def ask_prompt_names(self) -> None:
        """Ask what prompts can name; `PromptNamesListed` follows."""
        if self._connection is not None:
            self._connection.send(prompt_messages.AskPromptNames())

    def fetch(self, waiting: messages.WaitingJob, destination: Any = None) -> Job:
        """Follow a waiting job; its images arrive as if this editor had submitted it."""
        following = Following(waiting.job, State.LOST)
        job = Job(waiting.job, waiting.request, destination, following=following)
        self.jobs[job.name] = job
        if self._connection is not None:
            self._handle_event(job, Event.CONNECTED)
        return job

    def cancel(self, job: Job) -> None:
        """Cancel a job; `Ended` with a `CancelledError` follows.

        A daemon that is away is told when it is back.
        """
        if job.name not in self.jobs:
            return
        self._handle_event(job, Event.CANCEL)
        if job.following.ended:
            self._ended.append(self._end(job))

    def acknowledge(self, job: Job) -> None:
        """Confirm that the results of a job are safe; the daemon then forgets it."""
        self._handle_event(job, Event.ACKNOWLEDGE)

    def prefer(self, job: Job) -> None:
        """Run a job before the others of this editor."""
        if self._connection is not None and job.name in self.jobs:
            self._connection.prefer(job.name)

    def close(self) -> None:
        """Disconnect. The jobs go on; their results are offered later."""
        for name in self.jobs:
            self._presence.forget(name)
        self.jobs.clear()
        self._disconnect()

    def _handle_event(self, job: Job, event: Event) -> None:
        """Handle an event of a job. Without a daemon, what is to be sent is postponed."""
        actions = job.following.handle(event)
        if self._connection is None and actions:
            self._postponed.append((job.following, actions))
        else:
            self._perform(job, actions)

    def _perform(self, job: Job, actions: tuple[Action, ...]) -> None:
        if self._connection is None:
            return
        perform(self._connection, job.following, actions)
        if Action.SUBMIT in actions and job.following.submission is not None:
            self._presence.sent(*job.following.submission)

    def _to_follow(self, event: Event, jobs: Iterable[Job]) -> list[str]:
        """Handle an event of several jobs; return those to follow, to ask in a single message."""
        return [job.name for job in jobs if Action.FOLLOW in job.following.handle(event)]

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close(0.05 if self._process_lives() else 0)
            self._connection = None
        for job in self.jobs.values():
            job.following.handle(Event.DISCONNECTED)

    # ---- receiving -------------------------------------------------------------------------

    def receive(self, seconds: float = math.inf) -> Iterator[Notice]:
        """Yield what has happened since the last call, without waiting.

        Parameters
        ----------
        seconds : float
            Time after which no further message is read; the rest is left for the next call.
        """
        deadline = self._clock() + seconds
        while self._ended:
            yield self._ended.pop(0)
        while self._connection is not None and self._clock() < deadline:
            try:
                received = self._connection.receive(0)
            except UnderpaintError as error:  # it speaks another version of the protocol
                yield from self._stop_for(error)
                return
            if received is None:
                return
            now = self._clock()
            self._presence.received(received[0], now)
            yield from self._handle_message(*received, now)

    def check(self, seconds: float = math.inf) -> Iterator[Notice]:
        """Check that the daemon is still there and let it answer, or look for it.

        What it has sent is handled first, for as long as `receive` says, so that an editor that
        was itself busy loses nothing.
        """
        yield from self.receive(seconds)
        now = self._clock()
        if self.jobs and self._presence.is_absent_too_long(now):
            absent = describe_seconds(self._presence.seconds_absent(now))
            yield from self.give_up(
                DaemonUnavailableError(
                    "the Underpaint daemon has been away for {time}; results that it already has"
                    " are offered when it is back",
                    time=absent,
                )
            )
        connection = self._connection
        presence = self._presence.examine(
            self._clock(), connected=connection is not None, process_lives=self._process_lives()
        )
        if connection is None:
            with contextlib.suppress(DaemonUnavailableError):  # then the next check looks again
                self.open()
        elif presence is Presence.ENDED:
            self._disconnect()
            yield Disconnected(DaemonUnavailableError("the Underpaint daemon ended unexpectedly"))
        elif presence is Presence.SILENT:
            silent = self._presence.seconds_silent(self._clock())
            self._disconnect()
            yield Disconnected(
                DaemonUnavailableError(
                    "the Underpaint daemon has not answered for {seconds:.0f} seconds; jobs go on"
                    " when it answers again; {remedy}",
                    seconds=silent,
                    remedy=connection.remedy,
                )
            )
        else:  # if the connection was replaced, the daemon sends the jobs' messages here again
            connection.follow(*self._to_follow(Event.CHECK, self.jobs.values()))

    def give_up(self, error: UnderpaintError) -> Iterator[Ended]:
        """End all jobs here. The daemon keeps what it has of them."""
        for job in list(self.jobs.values()):
            job.following.give_up(error)
            yield self._end(job)

    def _stop_for(self, error: UnderpaintError) -> Iterator[Notice]:
        """Disconnect from a daemon that will not serve this editor, and end its jobs here."""
        self._disconnect()
        yield from self.give_up(error)
        yield Disconnected(error, planned=True)

    def _process_lives(self) -> bool:
        """Return whether the connected daemon's process runs, as far as that can be seen."""
        try:
            if self._connection is not None:
                self._connection.check_process()
        except DaemonUnavailableError:
            return False
        return self._connection is not None

    def _handle_message(
        self, message: messages.Message, frames: tuple[Frame, ...], now: float
    ) -> Iterator[Notice]:
        notice = describe_answer(message, frames)
        if notice is not None:
            yield notice
        elif isinstance(message, messages.Waiting):
            yield ResultsWaiting(tuple(one for one in message.jobs if one.job not in self.jobs))
        elif (error := find_error(message)) is not None:
            yield from self._handle_error(error)
        else:
            job = self.jobs.get(getattr(message, "job", ""))
            if job is not None:
                yield from self._handle_job_message(job, message, frames, now)

    def _handle_error(self, error: UnderpaintError) -> Iterator[Notice]:
        if isinstance(error, DaemonStoppedError):
            self._disconnect()
            stopped = DaemonStoppedError("{error}; jobs go on when it starts again", error=error)
            yield Disconnected(stopped, planned=True)
        elif isinstance(error, TurnedAwayError):
            yield from self._stop_for(error)
        else:
            yield Refused(error)

    def _handle_job_message(
        self, job: Job, message: messages.Message, frames: tuple[Frame, ...], now: float
    ) -> Iterator[Notice]:
        step = job.following.handle_message(message)
        self._perform(job, step.actions)
        if step.moved:
            yield PositionChanged(job)
        if job.following.ended:
            yield self._end(job)
        elif step.notify:
            alone = len(self.jobs) == 1
            notice = describe_message(job, message, frames, now, alone=alone)
            if notice is not None:
                yield notice

    def _end(self, job: Job) -> Ended:
        del self.jobs[job.name]
        self._presence.forget(job.name)
        return Ended(job, job.following.error, job.following.given_up)
