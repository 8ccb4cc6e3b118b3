"""What came of jobs and is not written yet: kept for a moment, in which its client may take it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .job_queue import Job
from .store import Store
from .store_thread import StoreThread

Then = Callable[[None, Exception | None], object]

MOMENT = 2.0
"""Seconds that a living client has to say that it has what came."""


@dataclass
class Unwritten:
    """What came of a job and was told, but not yet written.

    Parameters
    ----------
    job : Job
    due : float
        When it is written, by the monotonic clock.
    works : list of (callable, callable or None)
        Write it; and what is told how that went.
    ended : bool
        Whether nothing more will come.
    """

    job: Job
    due: float
    works: list[tuple[Callable[[Store], None], Then | None]] = field(default_factory=list)
    ended: bool = False


class UnwrittenResults:
    """See the module; by job, in the order in which they came.

    Parameters
    ----------
    store_thread : StoreThread
    """

    def __init__(self, store_thread: StoreThread) -> None:
        self._store_thread = store_thread
        self._unwritten: dict[str, Unwritten] = {}

    def __iter__(self) -> Iterator[Unwritten]:
        return iter(tuple(self._unwritten.values()))

    def get(self, name: str) -> Unwritten | None:
        """Return what is not written of a job."""
        return self._unwritten.get(name)

    def forget(self, name: str) -> None:
        """Write nothing of what came of a job."""
        self._unwritten.pop(name, None)

    def add(
        self,
        job: Job,
        work: Callable[[Store], None],
        then: Then | None = None,
        *,
        is_last: bool = False,
    ) -> None:
        """Write something about a job in a moment; nothing more comes after the last."""
        due = time.monotonic() + MOMENT
        unwritten = self._unwritten.setdefault(job.name, Unwritten(job, due))
        unwritten.works.append((work, then))
        unwritten.ended |= is_last

    def write(self, name: str) -> None:
        """Write what came of a job and is not written yet."""
        unwritten = self._unwritten.pop(name, None)
        if unwritten is not None:
            for work, then in unwritten.works:
                self.do(unwritten.job, work, then)

    def write_due(self) -> None:
        """Write what its client has not fetched in a moment."""
        now = time.monotonic()
        for name, unwritten in list(self._unwritten.items()):
            if now > unwritten.due:
                self.write(name)

    def do(
        self,
        job: Job,
        work: Callable[[Store], None],
        then: Then | None = None,
    ) -> None:
        """Have something done with a job's record; another job's of the same id is left alone."""
        self._store_thread.do(lambda store: None if job.stale else work(store), then)
