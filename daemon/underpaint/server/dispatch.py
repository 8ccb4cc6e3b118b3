"""Between the queue and the pool: gives waiting jobs to idle workers, and takes what comes of them.

What happens to a job when its worker dies, hangs or is cancelled begins here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from underpaint_client import messages, wire
from underpaint_client.errors import CancelledError, DaemonUnavailableError

from .job_queue import Job
from .paths import log_file
from .pool import JobMessage, Pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underpaint_client.frames import Bytes

    from .endpoints import Endpoints
    from .jobs import Jobs
    from .pool import Worker


class Dispatcher:
    """See the module. It is the pool's listener.

    Parameters
    ----------
    workers : sequence of (str, Worker)
        As `Pool`.
    jobs : Jobs
    endpoints : Endpoints
    """

    def __init__(
        self, workers: Sequence[tuple[str, Worker]], jobs: Jobs, endpoints: Endpoints
    ) -> None:
        self.pool = Pool(workers, self)
        self._jobs = jobs
        self._queue = jobs.queue
        self._endpoints = endpoints

    def assign(self) -> None:
        """Give waiting jobs to idle workers; end all jobs where no worker stays alive."""
        if self._queue.waiting() is not None:
            self.pool.start_again()
        if self.pool.is_broken:
            for job in self._queue:
                self._jobs.fail(
                    job,
                    DaemonUnavailableError(
                        f"the worker does not start or stay alive; look into {log_file()}, then"
                        " `underpaint stop` and start again"
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
        self.pool.run(worker, order, job.frames, _work_of(job))

    def cancel(self, job: Job, why: str) -> None:
        """Cancel a job: at once where it waits, and else as soon as its worker stops.

        Parameters
        ----------
        job : Job
        why : str
            What its client is told where it waits.
        """
        if job.worker is None:
            self._jobs.fail(job, CancelledError(why))
        else:
            self.stop_running(job)

    def stop_running(self, job: Job) -> None:
        """Tell the worker of a job to stop."""
        if job.worker is not None and not job.cancelled:
            job.cancelled = True
            self.pool.cancel(job.worker, job.name)

    # ---- what the pool says ----------------------------------------------------------------

    def on_message(self, message: JobMessage, parts: list[Bytes]) -> None:
        """Keep a picture or an end, and pass on progress and previews."""
        job = self._queue.get(message.job)
        if job is None:
            return
        if isinstance(message, messages.Picture):
            self._jobs.keep(job, message, parts)
        elif isinstance(message, messages.Done | messages.Failed):
            self._jobs.end(job, message)
        elif job.told is not None:  # acceptance comes first
            is_preview = isinstance(message, messages.Preview)
            if not is_preview or self._endpoints.takes_previews(job.client):
                self._endpoints.send(job.client, parts)

    def on_death(self, worker: int, how: str) -> None:
        """Try the job of a worker that died again, or end it."""
        job = self._queue.on(worker)
        if job is not None:
            self._jobs.survive(job, how)

    def on_delay(self, worker: int, word: str) -> None:
        """Tell the client of a job why it takes longer."""
        job = self._queue.on(worker)
        if job is not None:
            self._endpoints.send(job.client, wire.encode(messages.Progress(job.name, word)))


def _work_of(job: Job) -> float:
    """Return about how many pixels a job has to paint."""
    request = job.submit.request
    pixels = max((frame.box.extent.pixels for frame in job.frames), default=0)
    return float(max(pixels, (request.width or 0) * (request.height or 0)) * request.images)
