"""Between the queue and the pool: assigns waiting jobs to idle workers, and handles their messages.

What happens to a job when its worker dies, hangs or is cancelled begins here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from underpaint_client import messages, wire
from underpaint_client.errors import DaemonUnavailableError, GenerationFailedError
from underpaint_client.sentences import as_sentence

from .job_events import Finished, NoWorker, Painted, Reported, WorkerDied
from .job_queue import Job
from .paths import log_file
from .pool import JobMessage, Pool
from .recovery import describe_deaths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underpaint_client.frames import Bytes

    from .endpoints import Endpoints
    from .jobs import Jobs
    from .pool import Worker
    from .watchdog import WatchdogLimits


class Dispatcher:
    """See the module. It is the pool's listener.

    Parameters
    ----------
    workers : sequence of (str, Worker)
        As `Pool`.
    jobs : Jobs
    endpoints : Endpoints
    limits : WatchdogLimits
    """

    def __init__(
        self,
        workers: Sequence[tuple[str, Worker]],
        jobs: Jobs,
        endpoints: Endpoints,
        limits: WatchdogLimits,
    ) -> None:
        self.pool = Pool(workers, self, limits=limits)
        self._jobs = jobs
        self._queue = jobs.queue
        self._endpoints = endpoints
        self._paused: dict[int, Job] = {}  # by worker: who waits until there is room

    def assign(self) -> None:
        """Assign waiting jobs to idle workers; end all jobs if no worker stays alive."""
        for worker, paused in list(self._paused.items()):
            self._let_go_on(worker, paused)
        if self.pool.may_start_again() and self._queue.waiting() is not None:
            self.pool.start_again()
        if self.pool.is_broken:
            for job in self._queue:
                self._jobs.handle(
                    job,
                    NoWorker(
                        DaemonUnavailableError(
                            "the worker does not start or stay alive; look into {log}, then"
                            " `underpaint stop` and start again",
                            log=log_file(),
                        )
                    ),
                )
        for worker in self.pool.idle():
            waiting = self._queue.waiting(self._endpoints.keeps_up)
            if waiting is not None:
                self._run(waiting, worker)

    def _run(self, job: Job, worker: int) -> None:
        self._jobs.start(job, worker)
        order = messages.Run(
            job.name,
            job.submit.request,
            allow_paths=job.trusted,
            previews=job.submit.previews,
            packed=job.submit.packed,
        )
        self.pool.run(worker, order, job.inputs.frames)

    # ---- what the pool says ----------------------------------------------------------------

    def on_message(self, worker: int, message: JobMessage, parts: list[Bytes]) -> None:
        """Handle a worker's message about a job; skip previews if its client cannot keep up."""
        job = self._queue.get(message.job)
        if job is None or job.worker != worker:
            return  # it has ended, or is another worker's by now
        match message:
            case messages.Picture():
                is_read = self._endpoints.keeps_up(job.client)
                self._jobs.handle(job, Painted(message.index, parts, is_read))
                self._let_go_on(worker, job)
            case messages.Done() | messages.Failed():
                self._jobs.handle(job, Finished(message))
            case messages.Preview() if not self._endpoints.accepts_previews(job.client):
                pass
            case _:
                self._jobs.handle(job, Reported(parts))

    def _let_go_on(self, worker: int, job: Job) -> None:
        """Let a worker paint the job's next picture once there is memory for it."""
        if job.worker != worker:
            self._paused.pop(worker, None)
        elif self._jobs.has_room(job):
            self._paused.pop(worker, None)
            self.pool.go_on(worker, job.name)
        else:
            self._paused[worker] = job
            self.pool.note_pause(worker)

    def on_death(self, worker: int, end: str) -> None:
        """Try the job of a worker that died again, or end it."""
        job = self._queue.on(worker)
        if job is not None:
            error = GenerationFailedError(describe_deaths(as_sentence(end)))
            self._jobs.handle(job, WorkerDied(end, error))

    def on_delay(self, worker: int, word: str) -> None:
        """Report to the client of a job why it takes longer."""
        job = self._queue.on(worker)
        if job is not None:
            self._jobs.handle(job, Reported(wire.encode(messages.Progress(job.name, word))))
