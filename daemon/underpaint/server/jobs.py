"""The queue: which jobs there are, in which order, and whose they are. Touches no socket."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from underpaint_client.errors import BadInputError
from underpaint_client.wire import Frame, JobStatus, Submit

MAX_JOBS = 64
"""Jobs that one client may have waiting."""

MAX_BYTES = 8 * 2**30
"""Bytes of pixels that may wait in all."""


@dataclass(frozen=True)
class Client:
    """Who sent a job: the socket it came in by, and its address there."""

    entrance: int
    identity: bytes


@dataclass
class Job:
    """A request on its way.

    Parameters
    ----------
    client : Client
        Whose it is.
    submit : Submit
        The message it came as.
    frames : tuple of Frame
        Its pixels.
    worker : int or None
        The number of the worker that runs it; None while it waits.
    cancelled : float or None
        When its worker was told to stop, by the monotonic clock.
    """

    client: Client
    submit: Submit
    frames: tuple[Frame, ...] = field(repr=False)
    worker: int | None = None
    cancelled: float | None = None

    @property
    def name(self) -> str:
        """The job's id."""
        return self.submit.job

    @property
    def size(self) -> int:
        """How many bytes its pixels take."""
        return sum(memoryview(frame.data).nbytes for frame in self.frames)


class Jobs:
    """All jobs that are queued or running, oldest first."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def __iter__(self) -> Iterator[Job]:
        return iter(tuple(self._jobs.values()))

    def __contains__(self, name: str) -> bool:
        return name in self._jobs

    def add(self, job: Job) -> int:
        """Put a job at the end.

        Returns
        -------
        int
            How many jobs wait or run before it.

        Raises
        ------
        BadInputError
            Where there is one of that id, or no room.
        """
        if job.name in self._jobs:
            raise BadInputError(f"job {job.name!r} is already here; give each job its own id")
        if len(self.of(job.client)) >= MAX_JOBS:
            raise BadInputError(f"{MAX_JOBS} jobs of this client wait already; let some finish")
        if sum(other.size for other in self) + job.size > MAX_BYTES and self._jobs:
            raise BadInputError(
                f"the pixels of all waiting jobs are over {MAX_BYTES >> 30} GiB; let some finish"
            )
        position = len(self._jobs)
        self._jobs[job.name] = job
        return position

    def get(self, name: str) -> Job | None:
        """Give a job by its id."""
        return self._jobs.get(name)

    def remove(self, name: str) -> Job | None:
        """Forget a job that has ended."""
        return self._jobs.pop(name, None)

    def waiting(self) -> Job | None:
        """Give the job whose turn it is."""
        return next((job for job in self if job.worker is None), None)

    def of(self, client: Client) -> list[Job]:
        """Give a client's jobs."""
        return [job for job in self if job.client == client]

    def on(self, worker: int) -> Job | None:
        """Give the job that a worker runs."""
        return next((job for job in self if job.worker == worker), None)

    def status(self) -> tuple[JobStatus, ...]:
        """Describe them all."""
        return tuple(
            JobStatus(
                job.name,
                "queued" if job.worker is None else "running",
                job.submit.request.prompt[:200],
            )
            for job in self
        )
