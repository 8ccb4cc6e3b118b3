"""Results that are not written yet: kept for a moment, in which the client may fetch them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from underpaint_client import messages, wire
from underpaint_client.errors import GenerationFailedError

from .job_queue import Job
from .store import Store
from .store_thread import StoreThread, describe_error

MOMENT = 2.0
"""Seconds in which a connected client can acknowledge results before they are written."""


@dataclass
class Unwritten:
    """The results of a job that were sent, but are not yet written.

    Parameters
    ----------
    job : Job
    due : float
        When it is written, by the monotonic clock.
    works : list of callable
        Write it.
    ended : bool
        Whether nothing more will come.
    """

    job: Job
    due: float
    works: list[Callable[[Store], None]] = field(default_factory=list)
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
        """Discard the unwritten results of a job."""
        self._unwritten.pop(name, None)

    def add(self, job: Job, work: Callable[[Store], None], *, is_last: bool = False) -> None:
        """Write something about a job in a moment; nothing more comes after the last."""
        due = time.monotonic() + MOMENT
        unwritten = self._unwritten.setdefault(job.name, Unwritten(job, due))
        unwritten.works.append(work)
        unwritten.ended |= is_last

    def write(self, name: str) -> None:
        """Write the unwritten results of a job."""
        unwritten = self._unwritten.pop(name, None)
        if unwritten is None:
            return

        def then(_: None, error: Exception | None) -> None:
            if error is not None:  # better no picture than one that is missing without a word
                told = (
                    f"a picture could not be written to the disk ({describe_error(error)}); make"
                    " room, and generate again"
                )
                lost = messages.Failed(name, GenerationFailedError.code, told)
                self.do(unwritten.job, lambda store: store.end(name, wire.encode(lost)[0]))

        for work in unwritten.works:
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
        then: Callable[[None, Exception | None], object] | None = None,
    ) -> None:
        """Run a function on a job's record; another job's record of the same id is left alone."""
        self._store_thread.do(lambda store: None if job.stale else work(store), then)
