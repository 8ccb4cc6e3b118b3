"""The queue: which jobs there are, in which order, and whose they are. Touches no socket."""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from underpaint_client.errors import BadInputError
from underpaint_client.inputs import InputFrames
from underpaint_client.messages import JobStatus, Submit

from .job_state import JobState

MAX_JOBS = 64
"""Jobs that one client may have waiting; from elsewhere, one key over all its connections."""

MAX_WAITING = 1024
"""Jobs that may wait in all."""

MAX_BYTES = 8 * 2**30
"""Bytes of pixels that may wait in all."""

MAX_SHARE = MAX_BYTES // 2
"""Bytes of pixels that one client's jobs may have of them."""

MAX_REMOTE = 2 * 2**30
"""Bytes of pixels of one job from another machine, unpacked: 16384 x 16384 of RGBA with 8 bits a
channel and a selection, or half as many with 16 bits."""


@dataclass(frozen=True)
class Client:
    """Who sent a job: the socket it came in by, its address there, and whose it is.

    `endpoint` is -1 for nobody. `owner` is the client's public key where it came in by TCP, and
    empty on ipc, which is this user's own.
    """

    endpoint: int
    identity: bytes
    owner: str = ""

    @classmethod
    def nobody(cls, owner: str) -> Client:
        """Stand in for a client that has gone."""
        return cls(-1, b"", owner)

    def is_same(self, other: Client) -> bool:
        """Return whether that is the same person: by key, or where there is none by connection."""
        return self == other or bool(self.owner and self.owner == other.owner)


@dataclass
class Job:
    """A request on its way.

    Parameters
    ----------
    client : Client
        Whose it is.
    submit : Submit
        The message it came as.
    inputs : InputFrames
        Its pixels.
    trusted : bool
        Whether its client may open models anywhere on this machine.
    digest : bytes
        Of the message that it came as, to know that again.
    kept : int
        Bytes of its pictures that were to be written since this daemon began.
    state : JobState
        Where it is in its life.
    stale : bool
        Whether the record of its id is another job's, or gone. Set and read by the thread of the
        store, which knows it first.
    """

    client: Client
    submit: Submit
    inputs: InputFrames = field(repr=False)
    trusted: bool = False
    digest: bytes = b""
    stale: bool = False
    kept: int = 0
    state: JobState = field(init=False)

    def __post_init__(self) -> None:
        self.state = JobState(self.name)

    @property
    def name(self) -> str:
        """The job's id."""
        return self.submit.job

    @property
    def owner(self) -> str:
        """Who may have its results."""
        return self.client.owner

    @property
    def worker(self) -> int | None:
        """The number of the worker that runs it; None while it waits."""
        return self.state.worker

    @property
    def size(self) -> int:
        """Return how many bytes its pixels take, unpacked: what they become in the worker."""
        return sum(frame.size for frame in self.inputs.frames)


class WriteLimit:
    """Bounds what one client's jobs take until they are on the disk.

    Who cancels what was just sent has no job waiting, and could still fill the memory.
    """

    def __init__(self) -> None:
        self._bytes: Counter[str | Client] = Counter()

    def charge(self, job: Job) -> Callable[[], None]:
        """Count a job that is to be written; return what is to be called when it was.

        Raises
        ------
        BadInputError
            Too much of the client is not written yet.
        """
        who = job.owner or job.client
        size = max(MAX_SHARE // MAX_JOBS, job.size)
        if self._bytes[who] and self._bytes[who] + size > MAX_SHARE:
            raise BadInputError(
                "this client sends jobs faster than they can be written to the disk; wait"
                " until some are accepted"
            )
        self._bytes[who] += size

        def written() -> None:
            self._bytes[who] -= size
            if not self._bytes[who]:
                del self._bytes[who]

        return written


class JobQueue:
    """All jobs that are queued or running, oldest first.

    Clients take turns: however many jobs one client sends, the next job of another waits for at
    most one of them (for as many as there are workers).

    Parameters
    ----------
    max_bytes : int
        Of the pixels of all jobs; one job may always have more.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._jobs: dict[str, Job] = {}
        self._run_once = 0
        self._positions: dict[str, int] | None = None  # until the queue changes
        self._served: dict[Client, float] = {}  # the turn at which each was served last

    def __iter__(self) -> Iterator[Job]:
        return iter(tuple(self._jobs.values()))

    def __contains__(self, name: str) -> bool:
        return name in self._jobs

    def add(self, job: Job) -> None:
        """Add a job at the end.

        Raises
        ------
        BadInputError
            If there is one of that id, or no room.
        """
        if job.name in self._jobs:
            raise BadInputError(
                "job {name!r} already exists; give each job its own id", name=job.name
            )
        if len(self._jobs) >= MAX_WAITING:
            raise BadInputError(
                "{most} jobs are waiting already; wait until some have finished", most=MAX_WAITING
            )
        mine = [other for other in self if other.client.is_same(job.client)]
        if len(mine) >= MAX_JOBS:
            raise BadInputError(
                "{most} jobs of this client are waiting already; wait until some have finished",
                most=MAX_JOBS,
            )
        if job.owner and job.size > MAX_REMOTE:
            raise BadInputError(
                "the pixels of this job are {size:.1f} GiB unpacked, but at most {most} GiB may"
                " come from another machine; crop the layer, or use 8 bits a channel",
                size=job.size / 2**30,
                most=MAX_REMOTE >> 30,
            )
        if sum(other.size for other in mine) + job.size > MAX_SHARE and mine:
            raise BadInputError(
                "the pixels of this client's waiting jobs are over {most} GiB; wait until some"
                " have finished",
                most=MAX_SHARE >> 30,
            )
        if sum(other.size for other in self) + job.size > self._max_bytes and self._jobs:
            raise BadInputError(
                "the pixels of all waiting jobs are over {most} GiB; wait until some have finished",
                most=self._max_bytes >> 30,
            )
        self.requeue(job)

    def requeue(self, job: Job) -> None:
        """Add a job at the end again, regardless of the limits."""
        # Who comes, or comes back, goes after all that wait since before, and before who had the
        # last turn: else those who send one job after the other would always be first.
        self._served.setdefault(job.client, self._run_once - 0.5)
        self._jobs[job.name] = job
        self._positions = None

    def hand_over(self, job: Job, client: Client) -> None:
        """Make a job another client's."""
        former, job.client = job.client, client
        self._positions = None
        if job.name in self._jobs:
            self._served.setdefault(client, self._served.get(former, self._run_once - 0.5))
        if not self.of(former):
            self._served.pop(former, None)

    def get(self, name: str) -> Job | None:
        """Return a job by its id."""
        return self._jobs.get(name)

    def remove(self, name: str) -> Job | None:
        """Forget a job that has ended."""
        job = self._jobs.pop(name, None)
        self._positions = None
        if job is not None and not self.of(job.client):
            self._served.pop(job.client, None)
        return job

    def waiting(self, ready: Callable[[Client], bool] = lambda _: True) -> Job | None:
        """Return the job whose turn it is, of those whose client is ready for what comes of it."""
        return next((job for job in self._order() if ready(job.client)), None)

    def note_turn(self, job: Job) -> None:
        """Record that a worker has a job: its client has had its turn."""
        self._positions = None
        self._run_once += 1
        self._served[job.client] = self._run_once

    def prefer(self, job: Job) -> None:
        """Move a job before the other waiting jobs of its client."""
        self._positions = None
        others = [one for one in self.of(job.client) if one is not job and one.worker is None]
        for one in others:  # a dict keeps the order in which its keys came
            del self._jobs[one.name]
            self._jobs[one.name] = one

    def positions(self) -> dict[str, int]:
        """Return how many jobs run or wait before each that waits; the same until that changes."""
        if self._positions is None:
            running = sum(job.worker is not None for job in self._jobs.values())
            self._positions = {job.name: running + n for n, job in enumerate(self._order())}
        return self._positions

    def _order(self) -> Iterator[Job]:
        """Return the jobs that wait in the order in which they will run."""
        queues: dict[Client, deque[Job]] = {}
        for job in self._jobs.values():
            if job.worker is None:
                queues.setdefault(job.client, deque()).append(job)
        # Of those served equally long ago, the oldest job's client.
        turns = [(self._served[one], age, queues[one]) for age, one in enumerate(queues)]
        heapq.heapify(turns)
        turn = self._run_once
        while turns:
            _, age, jobs = turns[0]
            yield jobs.popleft()
            turn += 1
            if jobs:
                heapq.heapreplace(turns, (turn, age, jobs))
            else:
                heapq.heappop(turns)

    def of(self, client: Client) -> list[Job]:
        """Return a client's jobs."""
        return [job for job in self if job.client == client]

    def on(self, worker: int) -> Job | None:
        """Return the job that a worker runs."""
        return next((job for job in self if job.worker == worker), None)

    def status(self) -> tuple[JobStatus, ...]:
        """Describe them all."""
        return tuple(
            JobStatus(
                job.name,
                "queued" if job.worker is None else "running",
                job.submit.request.prompt.positive[:200],
            )
            for job in self
        )
