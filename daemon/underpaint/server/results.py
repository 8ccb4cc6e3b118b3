"""The results of jobs that have ended: they wait until their client has them.

Results are sent from the disk. What cannot be read this time is kept, and its client is told so.
"""

from __future__ import annotations

import functools
import itertools
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from underpaint_client import messages, wire
from underpaint_client.errors import (
    GenerationFailedError,
    ResultsKeptError,
    UnderpaintError,
    UnknownJobError,
)
from underpaint_client.sentences import Listing, sentence

from .job_queue import Client, Job, JobQueue
from .recovery import NO_LONGER_KNOWN, restore_job
from .store import Store
from .store_thread import StoreThread, describe_error
from .stored_job import ENDED, QUEUED, RUNNING, Pictures, StoredJob
from .unwritten import UnwrittenResults

if TYPE_CHECKING:
    from underpaint_client.frames import Bytes

    Send = Callable[[Client, list[Bytes]], bool]

log = logging.getLogger(__name__)

MAX_REFUSALS = 4096
"""Refusals that are remembered; of more, the oldest are not."""


class StoredResults(NamedTuple):
    """What the store has of a job that a client asks for, or why that could not be read."""

    kept: StoredJob | None
    pictures: Pictures
    error: str = ""


class Results:
    """See the module.

    Parameters
    ----------
    queue : JobQueue
        Gets the jobs that turn out not to have ended.
    store_thread : StoreThread
    unwritten : UnwrittenResults
    send : callable
        Sends a message to a client; False if that has gone.
    follow : callable
        Has a client follow jobs, wherever they are.
    unread : set of str
        The ids of jobs that could not be read, as `recover` returns them.
    """

    def __init__(
        self,
        queue: JobQueue,
        store_thread: StoreThread,
        unwritten: UnwrittenResults,
        send: Send,
        follow: Callable[[Client, Iterable[str]], None],
        unread: set[str],
    ) -> None:
        self._queue = queue
        self._store_thread = store_thread
        self._unwritten = unwritten
        self._send = send
        self._follow = follow
        self._unread = unread
        self._delivered: dict[str, Client] = {}  # who has been sent all of an ended job
        # Who was last told of a job something else than how it ended, and cannot have it whole.
        self._refused: OrderedDict[tuple[Client, str], None] = OrderedDict()

    def try_unread(self, name: str, then: Callable[[str], object]) -> None:
        """Read a job again that could not be read; `then` is given why that failed, or nothing."""

        def work(store: Store) -> Job | None:
            kept = store.find(name)
            unfinished = kept is not None and kept.state in {QUEUED, RUNNING}
            return restore_job(store, kept) if kept is not None and unfinished else None

        def answer(job: Job | None, error: Exception | None) -> None:
            if error is None:
                self._unread.discard(name)
                if job is not None and name not in self._queue:
                    self._queue.requeue(job)
            then("" if error is None else describe_error(error))

        self._store_thread.do(work, answer)

    def send(self, client: Client, name: str, without: frozenset[int] = frozenset()) -> None:
        """Send a client the results of a job that has ended, without the pictures that it has."""
        self._unwritten.write(name, functools.partial(self._send_written, client, name, without))

    def _send_written(self, client: Client, name: str, without: frozenset[int]) -> None:
        if name in self._unread:
            self.try_unread(name, functools.partial(self._send_unread, client, name))
        elif self._delivered.get(name) != client:
            send = functools.partial(self._send_ended, client, name)
            self.fetch(name, send, without)

    def _send_unread(self, client: Client, name: str, why: str) -> None:
        if why:
            self.refuse(client, name, _kept_though(why))
        else:
            self._follow(client, (name,))

    def fetch(
        self,
        name: str,
        then: Callable[[StoredResults], None],
        without: frozenset[int] = frozenset(),
    ) -> None:
        """Call `then` with what the store has of a job, but for some of its pictures."""

        def answer(
            found: tuple[StoredJob | None, Pictures] | None, error: Exception | None
        ) -> None:
            if found is not None:
                then(StoredResults(*found))
            elif error is not None:
                then(StoredResults(None, Pictures([], {}), describe_error(error)))

        self._store_thread.do(
            lambda store: (store.find(name), store.pictures(name, without)), answer
        )

    def _send_ended(self, client: Client, name: str, found: StoredResults) -> None:
        kept = found.kept
        if found.error:
            self.refuse(client, name, _kept_though(found.error))
        elif kept is None or kept.owner != client.owner:
            self.refuse(client, name, UnknownJobError(NO_LONGER_KNOWN))
        elif kept.state in {QUEUED, RUNNING}:  # it ended, and that could not be written
            self._unread.add(name)
            self.try_unread(name, functools.partial(self._send_unread, client, name))
        elif kept.ending is None:  # it was taken
            taken = "the results of this job have been fetched already; generate again"
            self.refuse(client, name, GenerationFailedError(taken))
        elif all(self._send(client, parts) for parts in found.pictures.whole):
            if found.pictures.unreadable:
                self.refuse(client, name, _unreadable(name, found.pictures.unreadable))
            elif self._send(client, [kept.ending]) and kept.state == ENDED:
                self.note_delivered(name, client)

    def note_delivered(self, name: str, client: Client) -> None:
        """Note that a client has been sent all of an ended job."""
        self._refused.pop((client, name), None)
        self._delivered[name] = client

    def refuse(self, client: Client, name: str, error: UnderpaintError) -> None:
        """Send a client an error about a job other than its ending; `name` may be empty.

        Clients say that they have `Taken` a job after whatever they take for its end. After this,
        that word is not believed, until the client has been sent all there is.
        """
        if name:
            self._refused[client, name] = None
            self._refused.move_to_end((client, name))
            if len(self._refused) > MAX_REFUSALS:
                self._refused.popitem(last=False)
        self._send(client, wire.encode(messages.Failed(name, error.code, error.sentence)))

    def is_refused(self, client: Client, name: str) -> bool:
        """Return whether the last message to a client was that the job cannot be sent whole."""
        return (client, name) in self._refused

    def acknowledge(self, client: Client, name: str) -> None:
        """Forget an ended job, since its client has the results."""

        def work(store: Store) -> None:
            kept = store.find(name)
            if kept is not None and kept.state == ENDED and kept.owner == client.owner:
                store.mark_taken(name)

        unwritten = self._unwritten.get(name)
        if unwritten is None:
            self._store_thread.do(work)
        elif unwritten.ended and unwritten.job.owner == client.owner:
            self._unwritten.forget(name)
            self._store_thread.do(lambda store: store.mark_taken(name))

    def send_waiting(self, client: Client) -> None:
        """Send a client the list of its owner's jobs that no client follows."""
        # Nobody waits for the pixels: what is not written yet is known without the store.
        alone = {
            one.job.name: one.job
            for one in self._unwritten
            if one.ended and one.job.owner == client.owner and not self._is_there(one.job.client)
        }
        for name in alone:
            self._unwritten.write(name)
        followers = {one for one in self._delivered.values() if one.owner == client.owner}
        present = {one for one in followers if self._is_there(one)}
        had = frozenset(name for name, one in self._delivered.items() if one in present)
        others = tuple(self._unread)

        def work(store: Store) -> list[StoredJob]:
            unread = [kept for name in others if (kept := store.find(name)) is not None]
            mine = [kept for kept in unread if kept.owner == client.owner]
            return [*store.ended(client.owner, without=had, room=wire.MAX_HEADER // 2), *mine]

        def then(found: list[StoredJob] | None, error: Exception | None) -> None:
            if error is not None:
                self.refuse(client, "", _kept_though(describe_error(error)))
                return
            listed = [
                one
                for kept in found or ()
                if kept.name not in alone
                and not self._is_there(self._delivered.get(kept.name))
                and (one := _waiting(kept)) is not None
            ]
            listed += [_waiting_job(job, ended=True) for job in alone.values()]
            listed += [
                _waiting_job(job, ended=False)
                for job in self._queue
                if job.owner == client.owner and not self._is_there(job.client)
            ]
            self._send(client, wire.encode(messages.Waiting(as_many_as_fit(listed))))

        self._store_thread.do(work, then)

    def _is_there(self, client: Client | None) -> bool:
        return client is not None and self._send(client, wire.encode(messages.Followed()))

    def forget_client(self, client: Client) -> None:
        """Write what a client has not taken that has gone."""
        for refused in [refused for refused in self._refused if refused[0] == client]:
            del self._refused[refused]
        for unwritten in self._unwritten:
            if unwritten.job.client in {client, Client.nobody(client.owner)}:
                self._unwritten.write(unwritten.job.name)

    def forget_owner(self, owner: str) -> None:
        """Drop the results of an owner whose access was revoked."""
        for unwritten in self._unwritten:
            if unwritten.job.owner == owner:
                self._unwritten.forget(unwritten.job.name)
        for name, client in list(self._delivered.items()):
            if client.owner == owner:
                del self._delivered[name]
        self._store_thread.do(lambda store: store.forget_owner(owner))

    def forget_delivery(self, name: str) -> None:
        """Forget who has been sent all of a job."""
        self._delivered.pop(name, None)

    def try_all_unread(self) -> None:
        """Read all jobs again that could not be read."""
        for name in list(self._unread):
            self.try_unread(name, lambda _: None)


def as_many_as_fit(jobs: list[messages.WaitingJob]) -> tuple[messages.WaitingJob, ...]:
    """Return the first of the jobs: as many as a message's header may hold, with room to spare."""
    sizes = itertools.accumulate(len(wire.encode(messages.Waiting((job,)))[0]) for job in jobs)
    return tuple(job for job, size in zip(jobs, sizes, strict=True) if size < wire.MAX_HEADER // 2)


def _waiting_job(job: Job, *, ended: bool) -> messages.WaitingJob:
    return messages.WaitingJob(job.name, job.submit.request, job.submit.note, ended=ended)


def _waiting(kept: StoredJob) -> messages.WaitingJob | None:
    """Return a kept job for the list of what waits; None for one that another version wrote."""
    try:
        body = json.loads(kept.header)["body"]
        request = wire.read_request(body["request"])
        return messages.WaitingJob(kept.name, request, body["note"], ended=kept.state == ENDED)
    except (ValueError, TypeError, LookupError):
        log.warning("job %s was kept by another version of Underpaint", kept.name)
        return None


def _kept_though(why: str) -> ResultsKeptError:
    return ResultsKeptError(
        "the results of this job could not be read ({reason}); the daemon keeps them: fetch them"
        " again, or see `underpaint results`",
        reason=why,
    )


def _unreadable(name: str, found: dict[int, str]) -> ResultsKeptError:
    """Return which pictures could not be read."""
    pictures = Listing(
        sentence("picture {number} ({reason})", number=number + 1, reason=why)
        for number, why in found.items()
    )
    return ResultsKeptError(
        "these could not be read: {pictures}; everything else was delivered, and the daemon keeps"
        " all of it: fetch it again, or `underpaint results --drop {job}` forgets it",
        pictures=pictures,
        job=name[:8],
    )
