"""Results that are not written yet: kept for a moment, in which the client may fetch them.

What is to be written waits here and not in the thread of the store, which is given little at a
time. So what is acknowledged meanwhile is never written, and other questions to the store wait for
no more than that. The order of what is written about one job is kept.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .job_queue import Job
from .store import Store
from .store_thread import StoreThread

MOMENT = 2.0
"""Seconds in which a connected client can acknowledge results before they are written."""

MAX_KEPT = 2**28
"""Bytes that are kept in memory: beyond, the oldest are written at once, and no worker paints the
next picture before there is room."""

AT_ONCE = 2**24
"""Bytes that the store is given at once; of a larger picture one."""

Then = Callable[[Any, Exception | None], object]


@dataclass
class _Work:
    """One thing to be written about a job, or to be done once all before it was handed over.

    Parameters
    ----------
    job : Job or None
        None for what is to be done in this thread.
    work : callable
    size : int
        Bytes that are kept for it.
    then : callable or None
        Is told how it went.
    """

    job: Job | None
    work: Callable[..., object]
    size: int = 0
    then: Then | None = None


@dataclass
class Unwritten:
    """The results of a job that were sent, but are not yet written.

    Parameters
    ----------
    job : Job
    due : float
        When it is written, by the monotonic clock.
    works : deque of _Work
        In their order.
    ended : bool
        Whether nothing more will come.
    """

    job: Job
    due: float
    works: deque[_Work] = field(default_factory=deque)
    ended: bool = False


class UnwrittenResults:
    """See the module; by job, in the order in which they came.

    Parameters
    ----------
    store_thread : StoreThread
    """

    def __init__(self, store_thread: StoreThread) -> None:
        self._store_thread = store_thread
        self._unwritten: OrderedDict[str, Unwritten] = OrderedDict()
        self._size = 0  # of all that waits, and of what the store was given
        self._given = 0

    def __iter__(self) -> Iterator[Unwritten]:
        return iter(tuple(self._unwritten.values()))

    @property
    def is_full(self) -> bool:
        """Whether so much is kept that no more should come."""
        return self._size > MAX_KEPT

    def get(self, name: str) -> Unwritten | None:
        """Return what is not written of a job."""
        return self._unwritten.get(name)

    def forget(self, name: str) -> None:
        """Write nothing of what came of a job and the store was not given yet."""
        unwritten = self._unwritten.pop(name, None)
        for one in unwritten.works if unwritten else ():
            self._size -= one.size
            if one.job is None:
                one.work()

    def add(
        self,
        job: Job,
        work: Callable[[Store], None],
        then: Then | None = None,
        *,
        size: int = 0,
        is_last: bool = False,
    ) -> None:
        """Write something about a job in a moment.

        Parameters
        ----------
        job : Job
        work : callable
            Is given the store, in its thread.
        then : callable, optional
            Is told how that went.
        size : int
            Bytes that are kept for it.
        is_last : bool
            Whether nothing more comes.
        """
        due = time.monotonic() + MOMENT
        unwritten = self._unwritten.setdefault(job.name, Unwritten(job, due))
        unwritten.works.append(_Work(job, work, size, then))
        unwritten.ended |= is_last
        self._size += size
        self._hand_over()

    def write(self, name: str, then: Callable[[], object] | None = None) -> None:
        """Write what came of a job and is not written yet, before all that waits for its moment.

        Parameters
        ----------
        name : str
        then : callable, optional
            Is called when the store was given all of it: what it is asked after comes after.
        """
        unwritten = self._unwritten.get(name)
        if unwritten is None:
            if then is not None:
                then()
            return
        unwritten.due = -1.0
        if then is not None:
            unwritten.works.append(_Work(None, then))
        self._hand_over()

    def write_all(self) -> None:
        """Pass everything to the store now."""
        for name in list(self._unwritten):
            while (unwritten := self._unwritten.get(name)) is not None:
                self._hand_over_one(name, unwritten)

    def write_due(self) -> None:
        """Write what its client has not fetched in a moment."""
        self._hand_over()

    def do(self, job: Job, work: Callable[[Store], None]) -> None:
        """Have something done with a job's record, after what is written about it before."""
        unwritten = self._unwritten.get(job.name)
        if unwritten is None:
            self._give(job, work)
        else:
            unwritten.works.append(_Work(job, work))

    def _give(self, job: Job, work: Callable[[Store], object], then: Then | None = None) -> None:
        """Have the store do it; another job's record of the same id is left alone."""

        def unless_stale(store: Store) -> object:
            return None if job.stale else work(store)

        self._store_thread.do(unless_stale, then)

    def _hand_over(self) -> None:
        """Pass what is due to the store, at most `AT_ONCE` bytes at a time."""
        while self._given < AT_ONCE and (name := self._next()) is not None:
            self._unwritten.move_to_end(name)  # the next is another's
            self._hand_over_one(name, self._unwritten[name])

    def _next(self) -> str | None:
        now = time.monotonic()
        for is_asked_for in (True, False):
            for name, unwritten in self._unwritten.items():
                if unwritten.due < 0 if is_asked_for else now > unwritten.due or self.is_full:
                    return name
        return None

    def _hand_over_one(self, name: str, unwritten: Unwritten) -> None:
        one = unwritten.works.popleft()
        if not unwritten.works:
            del self._unwritten[name]
        if one.job is None:
            one.work()
            return

        def then(_: None, error: Exception | None) -> None:
            self._given -= one.size
            self._size -= one.size
            if one.then is not None:
                one.then(None, error)
            self._hand_over()

        self._given += one.size
        self._give(one.job, one.work, then)
