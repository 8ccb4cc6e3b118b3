"""The server process: routes messages between clients and workers, and answers in milliseconds.

This module has the loop and the answers. Sockets are in `endpoints`, workers in `pool`, what
becomes of jobs in `jobs`, and `dispatch` brings jobs to workers. Nothing here looks at pixels.
"""

from __future__ import annotations

import functools
import logging
import os
import signal
import sys
import time
from typing import TYPE_CHECKING

import underpaint
from underpaint_client import messages, model_messages, prompt_messages, wire
from underpaint_client.errors import (
    BadInputError,
    CancelledError,
    GenerationFailedError,
    OtherProtocolError,
    UnderpaintError,
)
from underpaint_client.home import home
from underpaint_client.inputs import InputFrames

from . import keys, logs
from .config import Config
from .dispatch import Dispatcher
from .downloads import Downloads
from .endpoints import Endpoints
from .frame_cache import FrameCache
from .job_events import CancelAsked, Moved
from .job_queue import Client, Job
from .jobs import Jobs
from .model_answers import ModelAnswers
from .model_list import ModelList
from .paths import acquire_lock, allow_many_files
from .prompt_names import PromptNameList
from .revocation import Revocation, adopt_own_jobs
from .shared_memory import clear_shared_memory
from .status import describe_status
from .store_opening import open_store
from .turns import Turns
from .validation import find_job_name, read_message
from .watchdog import WatchdogLimits
from .workers import WORKER_COMMAND, worker_processes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import FrameType

    from underpaint_client.frames import Bytes, Frame
    from underpaint_client.messages import Message
    from underpaint_client.wire import Envelope


log = logging.getLogger(__name__)

TICK = 250
"""Milliseconds between two looks at whether the workers still live."""

PRUNE = 600.0
"""Seconds between two looks for results that have waited too long."""

MAX_FILES = 2**16
"""Open files to ask the system for: each connection needs one, until it is refused."""

MAX_ERROR_LENGTH = 1000
"""Characters of a refused message that are sent back and logged."""

TELLING = 0.001
"""Seconds, for each waiting job, between two reports of positions."""

_ABOUT_DOWNLOADS = (
    model_messages.AskSuggestions,
    model_messages.StartDownload,
    model_messages.StopDownload,
)

_ABOUT_MODELS = (model_messages.AskModels, model_messages.AskModelPicture)

_LARGE_ANSWERS = (
    *_ABOUT_DOWNLOADS,
    *_ABOUT_MODELS,
    prompt_messages.AskPromptNames,
    messages.AskStatus,
    messages.AskWaiting,
)


class Daemon:
    """One daemon, from its start to its end.

    Parameters
    ----------
    config : Config
        Without ipc, or where there is none, and without `bind`, it listens on TCP on the loopback.
    limits : WatchdogLimits, optional
        When a worker is taken for one that hangs.
    worker_command : sequence of str, optional
        As `WorkerProcess`.

    Raises
    ------
    DaemonUnavailableError
        Another daemon runs in this home, or an endpoint cannot be bound.
    """

    def __init__(
        self,
        config: Config,
        limits: WatchdogLimits | None = None,
        worker_command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        self._lock = acquire_lock()
        sys.setswitchinterval(0.0005)  # the guard of connections must keep up with libzmq
        descriptors = allow_many_files(MAX_FILES)
        clear_shared_memory()
        self._started = time.monotonic()
        self._stopping = False
        store, self._remark = open_store(home() / "jobs")
        self._endpoints = Endpoints(config, descriptors, self._from_client, self._forget)
        adopt_own_jobs(store, self._endpoints.own_key)
        self._jobs = Jobs(
            store, config.retention, self._endpoints.send, self._send_accepted, self._stop_worker
        )
        self._queue = self._jobs.queue
        self._turns = Turns(self._jobs.when_done)
        self._endpoints.watch_descriptor(self._jobs.fd, self._jobs.answer)
        self._models = ModelList()
        self._model_answers = ModelAnswers(self._models, self._send, self._jobs.refuse)
        self._endpoints.watch_descriptor(self._models.fd, self._models.answer)
        self._prompt_names = PromptNameList(self._send)
        self._endpoints.watch_descriptor(self._prompt_names.fd, self._prompt_names.answer)
        self._downloads = Downloads(self._send)
        self._endpoints.watch_descriptor(self._downloads.fd, self._downloads.answer)
        self._pruned = time.monotonic()
        self._frame_cache = FrameCache()
        self._log = logs.LogTurner()
        self._sent_positions: dict[str, int] = {}
        self._positions_due = 0.0
        self._revocation = Revocation(self._endpoints, self._jobs, self._frame_cache)
        command = (*worker_command, "--quantise", config.quantise)
        workers = worker_processes(self._endpoints, self._endpoints.open(), config.devices, command)
        limits = limits or WatchdogLimits()
        self._dispatcher = Dispatcher(workers, self._jobs, self._endpoints, limits)
        self._pool = self._dispatcher.pool

    @property
    def addresses(self) -> list[str]:
        """Where clients reach the daemon."""
        return self._endpoints.addresses

    # ---- the loop --------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until told to stop, by a message or a signal."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        try:
            self._pool.start()
            self._endpoints.write_connection_file()
            log.info("listening on %s, process id %d", ", ".join(self.addresses), os.getpid())
            while not self._stopping:
                self._run_once()
        finally:
            self._close()

    def _run_once(self) -> None:
        self._endpoints.poll(TICK)
        self._pool.watch()
        self._revocation.look()
        self._log.look()
        self._endpoints.mend_files()
        self._dispatcher.assign()
        self._send_positions()
        self._jobs.write()
        if time.monotonic() - self._pruned > PRUNE:
            self._pruned = time.monotonic()
            self._jobs.prune()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        log.info("told to stop by %s", signal.Signals(number).name)
        self._stopping = True

    def _close(self) -> None:
        self._pool.stop()
        self._models.close()
        self._prompt_names.close()
        self._downloads.close()
        self._jobs.close(is_meant=self._stopping)
        clear_shared_memory()
        self._endpoints.close()
        self._lock.release()
        log.info("stopped")

    # ---- clients ---------------------------------------------------------------------------

    def _send(self, client: Client, message: Message, frames: tuple[Frame, ...] = ()) -> None:
        self._endpoints.send(client, wire.encode(message, frames))

    def _forget(self, client: Client) -> None:
        """Continue the jobs of a client that has gone without it."""
        self._frame_cache.forget(client)
        self._downloads.forget(client)
        self._jobs.lose(client)

    def _from_client(self, client: Client, parts: list[Bytes]) -> None:
        job = ""
        try:
            self._endpoints.check_allowed(client)
        except UnderpaintError as error:
            self._forget(client)
            self._endpoints.send_unchecked(
                client, wire.encode(messages.Failed("", error.code, error.sentence))
            )
            return
        try:
            job = find_job_name(parts)
            envelope = wire.open_envelope(parts)
            self._answer(client, read_message(envelope), envelope)
        except OtherProtocolError as error:
            log.info("refused a message of protocol %d", error.protocol)
            failed = messages.Failed(job, error.code, error.sentence)
            known = min(error.protocol, wire.PROTOCOL)  # an older client can read no other
            self._endpoints.send(client, wire.encode(failed, protocol=known))
        except UnderpaintError as error:
            log.info("refused a message: %s", error.code)  # what was wrong may be a prompt
            self._jobs.refuse(client, job, error.shortened(MAX_ERROR_LENGTH))
        except Exception as error:  # whatever one message does, the others must be served
            log.exception("a message failed")
            failure = GenerationFailedError(
                "the daemon failed ({kind}: {error}); its log has the details",
                kind=type(error).__name__,
                error=error,
            )
            self._jobs.refuse(client, job, failure)

    def _answer(self, client: Client, message: Message, envelope: Envelope) -> None:
        if isinstance(message, messages.Hello):
            version, pid, far = underpaint.__version__, os.getpid(), bool(client.owner)
            default = self._models.default()
            self._send(client, messages.Welcome(version, pid, default, self._remark, far, True))
        elif isinstance(message, _LARGE_ANSWERS) and not self._endpoints.keeps_up(client):
            log.info("a client gets no answer, because it does not read what it was sent")
        elif isinstance(message, messages.AskStatus):
            self._send(client, self._status(client))
        elif isinstance(message, _ABOUT_MODELS):
            self._model_answers.answer(client, message)
        elif isinstance(message, prompt_messages.AskPromptNames):
            self._prompt_names.request(client)
        elif isinstance(message, _ABOUT_DOWNLOADS):
            if not self._endpoints.is_local(client):
                raise BadInputError("models are downloaded only on the daemon's own machine")
            self._downloads.handle(client, message)
        elif isinstance(message, messages.AskStop):
            self._stop(client)
        else:
            self._answer_on_jobs(client, message, envelope)

    def _answer_on_jobs(self, client: Client, message: Message, envelope: Envelope) -> None:
        if isinstance(message, messages.Submit):
            self._submit(client, message, envelope.frames)
        elif isinstance(message, messages.Follow):
            self._follow_all(client, message.jobs)
        elif isinstance(message, messages.Taken):
            acknowledge = functools.partial(self._jobs.acknowledge, client, message.job)
            self._turns.schedule(client, ("taken", message.job), acknowledge)
        elif isinstance(message, messages.AskWaiting):
            send = functools.partial(self._jobs.send_waiting, client)
            self._turns.schedule(client, "waiting", send)
        elif isinstance(message, messages.Cancel):
            self._cancel(client, message.job)
        elif isinstance(message, messages.AskCancel):
            self._cancel_anywhere(client, message.job)
        elif isinstance(message, messages.Prefer):
            self._prefer(client, message.job)
        else:
            raise BadInputError("{message}: a client does not send this", message=message.type)

    def _prefer(self, client: Client, name: str) -> None:
        job = self._queue.get(name)
        if job is not None and job.owner == client.owner and job.worker is None:
            self._queue.prefer(job)

    def _follow_all(self, client: Client, names: Iterable[str]) -> None:
        self._send(client, messages.Followed())
        awaited = set(self._frame_cache.awaits(client))
        for name in names:
            if name not in awaited:
                follow = functools.partial(self._follow, client, name)
                self._turns.schedule(client, ("follow", name), follow)

    def _follow(self, client: Client, name: str) -> None:
        if self._endpoints.keeps_up(client):  # else it will ask again when it has read
            self._jobs.follow(client, (name,))

    def _submit(self, client: Client, submit: messages.Submit, frames: tuple[Frame, ...]) -> None:
        complete = self._frame_cache.complete(client, submit.job, frames)
        if complete is None:
            self._send(client, messages.Want(submit.job))
            return
        inputs = InputFrames.of(complete)
        self._jobs.accept(client, submit, inputs, trusted=self._endpoints.is_local(client))

    def _send_accepted(self, job: Job) -> None:
        """Send a client `Accepted`, the first message about its job."""
        position = job.state.position or 0
        self._send(job.client, messages.Accepted(job.name, position, job.state.remark))
        if self._pool.is_starting and not position:  # the others wait for jobs, not for the worker
            self._send(job.client, messages.Progress(job.name, "Starting the worker"))

    def _stop_worker(self, worker: int, job: str) -> None:
        self._pool.cancel(worker, job)

    def _stop(self, client: Client) -> None:
        if not self._endpoints.is_local(client):
            raise BadInputError(
                "only its own machine can stop the daemon; run `underpaint stop` there"
            )
        log.info("told to stop by a client")
        self._stopping = True

    def _send_positions(self) -> None:
        """Send clients the positions of their jobs in the queue, if they have changed."""
        positions = self._queue.positions()
        now = time.monotonic()
        if positions is self._sent_positions or now < self._positions_due:
            return
        self._sent_positions, self._positions_due = positions, now + TELLING * len(positions)
        for name, position in positions.items():
            job = self._queue.get(name)
            if job is not None:
                self._jobs.handle(job, Moved(position))

    def _status(self, client: Client) -> messages.Status:
        return describe_status(
            owner=None if self._endpoints.is_local(client) else client.owner,
            addresses=self.addresses,
            uptime=time.monotonic() - self._started,
            default_model=self._models.default(),
            workers=self._pool.status(),
            queue=self._queue,
        )

    def _cancel(self, client: Client, name: str) -> None:
        if self._frame_cache.give_up(client, name):
            failed = messages.Failed(name, CancelledError.code, "cancelled before it began")
            self._send(client, failed)
            return
        job = self._queue.get(name)
        # By owner: the `Follow` that makes the job this client's may wait for its turn.
        if job is not None and job.owner == client.owner:
            self._jobs.handle(job, CancelAsked())

    def _cancel_anywhere(self, client: Client, name: str) -> None:
        """Cancel a job that may have come by another connection, or from another machine."""
        job = self._queue.get(name)
        if job is not None and job.owner == client.owner:
            self._jobs.handle(job, CancelAsked("`underpaint cancel`"))
        elif job is not None and self._endpoints.is_local(client):
            self._jobs.handle(job, CancelAsked("the user of the daemon's machine"))


def serve(
    config: Config,
    limits: WatchdogLimits | None = None,
    worker_command: Sequence[str] = WORKER_COMMAND,
) -> None:
    """Run a daemon in this process until it is told to stop.

    Parameters
    ----------
    config, limits, worker_command
        As `Daemon`.

    Raises
    ------
    DaemonUnavailableError
        As `Daemon` does.
    """
    logs.set_up()
    os.umask(0o077)  # the libraries that make files for us and the workers know no modes
    daemon = Daemon(config, limits, worker_command)
    if config.bind and sys.stderr.isatty():  # the log holds no keys
        print(keys.invitation(daemon.addresses), file=sys.stderr)
    daemon.run()
