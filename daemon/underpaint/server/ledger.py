"""The ledger: what becomes of jobs, in memory and on disk.

A job that was accepted ends in pictures or in an error, though its client, its worker or the daemon
dies meanwhile: it waits in the store until its client says that it has what came of it. That it is
accepted is told after it was written. What comes of it is told at once, and written a moment later
unless the client has it by then, which saves the disk nearly all of it: a daemon that dies in that
moment paints it again, the same.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from underpaint_client import wire
from underpaint_client.errors import (
    BadInputError,
    CancelledError,
    GenerationFailedError,
    UnderpaintError,
    UnknownJobError,
)
from underpaint_client.rules import draw_seeds

from .clerk import Clerk
from .incoming import read_message
from .jobs import MAX_JOBS, MAX_SHARE, Client, Job, Jobs
from .places import log_file
from .store import ENDED, QUEUED, RUNNING, Kept, Retention, Store

if TYPE_CHECKING:
    from underpaint_client.wire import Bytes, Frame

    Tell = Callable[[Client, list[Bytes]], bool]

log = logging.getLogger(__name__)

MOMENT = 2.0
"""Seconds that a living client has to say that it has what came."""

MAX_DEATHS = 2
"""A job that so many processes have ended with is not tried again."""

NO_LONGER_KNOWN = "the daemon no longer knows this job; generate again"


class _Results(NamedTuple):
    """What the store has of a job that a client asks for."""

    kept: Kept | None
    pictures: list[list[Bytes]]


@dataclass
class _Unwritten:
    """What came of a job and was told, but not yet written.

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


class Ledger:
    """See the module.

    Parameters
    ----------
    store : Store
        Its own from now on.
    retention : Retention
        How long results wait.
    tell : callable
        Sends a message to a client; False where that has gone.
    greet : callable
        Tells a job's client that it is accepted.
    """

    def __init__(
        self, store: Store, retention: Retention, tell: Tell, greet: Callable[[Job], None]
    ) -> None:
        self.jobs = Jobs()
        self._retention = retention
        self._tell = tell
        self._greet = greet
        self._unwritten: dict[str, _Unwritten] = {}
        self._unpruned = 0  # bytes of pictures since the last look
        self._delivered: dict[str, Client] = {}  # who has been sent all of an ended job
        self._adding: Counter[str | Client] = Counter()  # bytes that are not written yet
        self._restore(store)
        self._clerk = Clerk(store)
        self.answer = self._clerk.answer
        self.fd = self._clerk.fd

    def close(self) -> None:
        """Leave all jobs for the next start."""
        for client in {job.client for job in self.jobs}:
            self._tell(client, wire.encode(wire.Leaving()))
        for job in self.jobs:
            if job.cancelled is not None:
                self.fail(job, CancelledError("cancelled"))
            elif job.worker is not None:
                self._mark(job, QUEUED)
        for name in list(self._unwritten):
            self._write(name)
        self._clerk.close()

    # ---- the beginning ---------------------------------------------------------------------

    def _restore(self, store: Store) -> None:
        """Take up what an earlier daemon left: what waited waits, what ran is tried again."""
        store.prune(self._retention, time.time())
        for kept in store.unfinished():
            deaths = kept.deaths + (kept.state == RUNNING)
            try:
                if deaths >= MAX_DEATHS:
                    raise GenerationFailedError(_given_up("the daemon ended"))
                job = _revived(kept, store.submission(kept.name), deaths)
                job.pictures |= store.numbers(kept.name)
            except (UnderpaintError, OSError, ValueError) as error:
                failed = wire.Failed(kept.name, GenerationFailedError.code, str(error))
                store.end(kept.name, wire.encode(failed)[0])
            else:
                store.mark(kept.name, QUEUED, deaths)
                self.jobs.take_back(job)
        if waiting := len(list(self.jobs)):
            log.info("jobs that go on from before: %d", waiting)

    # ---- clients ---------------------------------------------------------------------------

    def accept(
        self, client: Client, submit: wire.Submit, frames: tuple[Frame, ...], *, trusted: bool
    ) -> None:
        """Take a job in; one that is here already is followed instead.

        Parameters
        ----------
        client : Client
        submit, frames
            The message.
        trusted : bool
            Whether the client may open models anywhere on this machine.

        Raises
        ------
        BadInputError
            There is no room, or another job of that id.
        """
        digest = _digest(submit, frames)
        known = self.jobs.get(submit.job)
        if known is not None:
            if known.digest != digest or known.owner != client.owner:
                raise _another(submit.job)
            self._hand_over(known, client)
            return
        self._write(submit.job)  # of one that has just ended
        # Drawn now, so that another try paints the same.
        submit = replace(submit, request=draw_seeds(submit.request))
        job = Job(client, submit, frames, trusted=trusted, digest=digest)
        self.jobs.add(job)
        written = self._charge(job)

        def then(found: Kept | None, error: Exception | None) -> None:
            written()
            if found is not None:
                if self.jobs.get(job.name) is job:
                    self.jobs.remove(job.name)  # should it run already, nobody hears of it
                self._unwritten.pop(job.name, None)
                if found.digest == digest and found.owner == client.owner:
                    self.follow(job.client, (job.name,))
                else:
                    self._refuse(job.client, job.name, _another(job.name))
                return
            if error is not None:
                job.remark = (
                    f"it could not be written to the disk ({_why(error)}), so it is lost if the"
                    " daemon ends before it is done"
                )
            self._greet(job)
            for say in job.unsaid:
                say()
            job.unsaid.clear()

        parts = wire.encode(submit, frames)

        def add(store: Store) -> Kept | None:
            found = store.add(job.name, parts, owner=client.owner, trusted=trusted, digest=digest)
            job.stale = found is not None
            return found

        self._clerk.do(add, then)

    def when_done(self, then: Callable[[], object]) -> None:
        """Call something when the store has done all that it was asked until now."""
        self._clerk.do(lambda _: None, lambda *_: then())

    def _charge(self, job: Job) -> Callable[[], None]:
        """Count a job that is to be written; returns what is to be called when it was.

        Who cancels what was just sent has no job waiting, and could still fill the memory.
        """
        who = job.owner or job.client
        size = max(MAX_SHARE // MAX_JOBS, job.size)
        if self._adding[who] and self._adding[who] + size > MAX_SHARE:
            self.jobs.remove(job.name)
            raise BadInputError(
                "the jobs of this client come faster than they can be written to the disk; wait"
                " until some are accepted"
            )
        self._adding[who] += size

        def written() -> None:
            self._adding[who] -= size
            if not self._adding[who]:
                del self._adding[who]

        return written

    def follow(self, client: Client, names: Iterable[str]) -> None:
        """Send what becomes of jobs, and has become of them, to this client from now on."""
        for name in names:
            job = self.jobs.get(name)
            if job is not None and job.owner == client.owner:
                self._hand_over(job, client)
                continue
            self._write(name)
            if self._delivered.get(name) != client:
                self._fetch(name, functools.partial(self._send_ended, client, name))

    def _hand_over(self, job: Job, client: Client) -> None:
        if job.client == client:
            return
        self._write(job.name)
        self.jobs.hand_over(job, client)

        def then(found: _Results) -> None:
            for parts in found.pictures:
                self._tell(job.client, parts)

        if job.told is not None:  # else it is not in safety yet
            job.told = 0
            self._tell(client, wire.encode(wire.Accepted(job.name, 0)))
        self._fetch(job.name, then)

    def _fetch(self, name: str, then: Callable[[_Results], None]) -> None:
        self._clerk.do(
            lambda store: _Results(store.find(name), store.pictures(name)),
            lambda found, _: then(found or _Results(None, [])),
        )

    def _send_ended(self, client: Client, name: str, found: _Results) -> None:
        kept = found.kept
        if kept is None or kept.owner != client.owner:
            self._refuse(client, name, UnknownJobError(NO_LONGER_KNOWN))
        elif kept.ending is None:  # it was taken
            taken = "the results of this job have been fetched already; generate again"
            self._refuse(client, name, GenerationFailedError(taken))
        else:
            ending: list[Bytes] = [kept.ending]
            told = all(self._tell(client, parts) for parts in [*found.pictures, ending])
            if told and kept.state == ENDED:
                self._delivered[name] = client

    def _refuse(self, client: Client, name: str, error: UnderpaintError) -> None:
        self._tell(client, wire.encode(wire.Failed(name, error.code, str(error))))

    def take(self, client: Client, name: str) -> None:
        """Let go of an ended job, whose results are in safety."""

        def work(store: Store) -> None:
            kept = store.find(name)
            if kept is not None and kept.state == ENDED and kept.owner == client.owner:
                store.take(name)

        self._delivered.pop(name, None)
        job = self.jobs.get(name)
        if job is not None and job.owner == client.owner:
            job.taken = True  # it is being cancelled, and nobody will come back for it
            return
        unwritten = self._unwritten.get(name)
        if unwritten is None:
            self._clerk.do(work)
        elif unwritten.ended and unwritten.job.owner == client.owner:
            del self._unwritten[name]
            self._clerk.do(lambda store: store.take(name))

    def tell_waiting(self, client: Client) -> None:
        """Tell a client of the jobs of its owner that no client follows."""

        def then(ended: list[Kept] | None, _: Exception | None) -> None:
            alone = [
                kept for kept in ended or () if not self._is_there(self._delivered.get(kept.name))
            ]
            jobs = [
                wire.WaitingJob(job.name, job.submit.request, job.submit.note, ended=False)
                for job in self.jobs
                if job.owner == client.owner and not self._is_there(job.client)
            ]
            listed = [found for kept in alone if (found := _waiting(kept)) is not None]
            self._tell(client, wire.encode(wire.Waiting(as_many_as_fit([*listed, *jobs]))))

        for name in list(self._unwritten):
            self._write(name)
        self._clerk.do(lambda store: store.ended(client.owner), then)

    def _is_there(self, client: Client | None) -> bool:
        return client is not None and self._tell(client, wire.encode(wire.Followed()))

    def lose(self, client: Client) -> None:
        """Let the jobs of a client that has gone go on without it."""
        if client.entrance < 0:
            return
        for job in self.jobs.of(client):
            log.info("job %s: its client has gone; what comes of it waits", job.name)
            self.jobs.hand_over(job, Client.nobody(client.owner))
        for name, unwritten in list(self._unwritten.items()):
            if unwritten.job.client in {client, Client.nobody(client.owner)}:
                self._write(name)

    # ---- workers ---------------------------------------------------------------------------

    def start(self, job: Job, worker: int) -> None:
        """Note that a worker has a job."""
        self.jobs.start(job, worker)
        self._mark(job, RUNNING)

    def keep(self, job: Job, picture: wire.Picture, parts: list[Bytes]) -> None:
        """Keep one of a job's pictures, and send it; what an earlier try has made is passed over.

        Parameters
        ----------
        job : Job
        picture : Picture
        parts : list of bytes-like
            The same as it travels.
        """
        if picture.index in job.pictures:
            return
        job.pictures.add(picture.index)
        self._unpruned += sum(memoryview(part).nbytes for part in parts)
        self._write_later(job, lambda store: store.add_picture(job.name, picture.index, parts))
        self._say(job, lambda: self._send(job, parts))

    def end(self, job: Job, ending: wire.Done | wire.Failed) -> None:
        """Note how a job ended, and say it."""
        self.jobs.remove(job.name)
        parts = wire.encode(ending)
        cancelled = isinstance(ending, wire.Failed) and ending.code == CancelledError.code
        if cancelled and not job.pictures:  # there is nothing to come back for
            self._do(job, lambda store: store.take(job.name, parts[0]))
            self._say(job, lambda: self._send(job, parts))
            return

        def say() -> None:
            if self._send(job, parts):
                self._delivered[job.name] = job.client
            else:
                self._write(job.name)

        self._write_later(job, lambda store: store.end(job.name, parts[0]))
        if job.taken:
            self._unwritten.pop(job.name)
            self._do(job, lambda store: store.take(job.name))
        else:
            self._unwritten[job.name].ended = True
        self._say(job, say)
        if self._unpruned > self._retention.gigabytes * 2**30 / 4:
            self.prune()

    def fail(self, job: Job, error: UnderpaintError) -> None:
        """End a job with an error."""
        self.end(job, wire.Failed(job.name, error.code, str(error)))

    def survive(self, job: Job, end: str) -> None:
        """Try a job again whose worker died, unless that has happened before.

        Parameters
        ----------
        job : Job
        end : str
            How it died, to go on after "the worker".
        """
        job.deaths += 1
        if job.cancelled is not None:
            self.fail(job, CancelledError("cancelled"))
        elif job.deaths >= MAX_DEATHS:
            self.fail(job, GenerationFailedError(_given_up(f"the worker {end}")))
        else:
            log.info("job %s is tried again", job.name)
            self.jobs.put_back(job)
            self._mark(job, QUEUED)
            again = wire.Progress(job.name, f"The worker {end}. Starting again")
            self._send(job, wire.encode(again))

    def _mark(self, job: Job, state: str) -> None:
        deaths = job.deaths
        self._do(job, lambda store: store.mark(job.name, state, deaths))

    def _say(self, job: Job, say: Callable[[], object]) -> None:
        """Say something about a job; that it is accepted comes first."""
        if job.told is None:
            job.unsaid.append(say)
        else:
            say()

    def _write_later(self, job: Job, work: Callable[[Store], None]) -> None:
        due = time.monotonic() + MOMENT
        self._unwritten.setdefault(job.name, _Unwritten(job, due)).works.append(work)

    def _write(self, name: str) -> None:
        """Write what came of a job and is not written yet."""
        unwritten = self._unwritten.pop(name, None)
        if unwritten is None:
            return

        def then(_: None, error: Exception | None) -> None:
            if error is not None:  # better no picture than one that is missing without a word
                told = f"a picture could not be written to the disk ({_why(error)}); make room, and"
                lost = wire.Failed(name, GenerationFailedError.code, f"{told} generate again")
                self._do(unwritten.job, lambda store: store.end(name, wire.encode(lost)[0]))

        for work in unwritten.works:
            self._do(unwritten.job, work, then)

    def _do(
        self,
        job: Job,
        work: Callable[[Store], None],
        then: Callable[[None, Exception | None], object] | None = None,
    ) -> None:
        """Have something done with a job's record; another job's of the same id is left alone."""
        self._clerk.do(lambda store: None if job.stale else work(store), then)

    def write(self) -> None:
        """Write what its client has not fetched in a moment."""
        now = time.monotonic()
        for name, unwritten in list(self._unwritten.items()):
            if now > unwritten.due:
                self._write(name)

    def _send(self, job: Job, parts: list[Bytes]) -> bool:
        return self._tell(job.client, parts)

    # ---- from time to time -----------------------------------------------------------------

    def prune(self) -> None:
        """Remove results that have waited too long."""

        def then(gone: list[str] | None, _: Exception | None) -> None:
            for name in gone or ():
                self._delivered.pop(name, None)
                log.info("job %s: its results have waited too long, and were removed", name)

        self._unpruned = 0
        self._clerk.do(lambda store: store.prune(self._retention, time.time()), then)


def _digest(submit: wire.Submit, frames: tuple[Frame, ...]) -> bytes:
    """Give what tells a job from another of its id, however its pixels were packed."""
    looks = [(frame.name, frame.box, frame.dtype, frame.channels) for frame in frames]
    return hashlib.sha256(repr((replace(submit, packed=False), looks)).encode()).digest()


def _revived(kept: Kept, parts: list[Bytes], deaths: int) -> Job:
    """Give a job as it was before the daemon ended.

    Raises
    ------
    UnderpaintError
        What was kept is of another version.
    """
    envelope = wire.open_envelope(parts)
    submit = read_message(envelope)
    if not isinstance(submit, wire.Submit):
        raise GenerationFailedError(NO_LONGER_KNOWN)
    nobody = Client.nobody(kept.owner)
    return Job(
        nobody,
        submit,
        envelope.frames,
        trusted=kept.trusted,
        digest=kept.digest,
        deaths=deaths,
        told=0,
    )


def as_many_as_fit(jobs: list[wire.WaitingJob]) -> tuple[wire.WaitingJob, ...]:
    """Give the first of the jobs: as many as a message's header may hold, with room to spare."""
    sizes = itertools.accumulate(len(wire.encode(wire.Waiting((job,)))[0]) for job in jobs)
    return tuple(job for job, size in zip(jobs, sizes, strict=True) if size < wire.MAX_HEADER // 2)


def _waiting(kept: Kept) -> wire.WaitingJob | None:
    """Describe a job that ended; None for one of another version, which nobody here can read."""
    try:
        body = json.loads(kept.header)["body"]
        request = wire.read_request(body["request"])
        return wire.WaitingJob(kept.name, request, body["note"], ended=True)
    except (ValueError, TypeError, LookupError):
        log.warning("job %s was kept by another version of Underpaint", kept.name)
        return None


def _another(name: str) -> BadInputError:
    return BadInputError(f"job {name!r} is already here and another; give each job its own id")


def _given_up(how: str) -> str:
    return (
        f"{how} while it ran this job, and so it was the time before; it is not tried again. Make"
        f" the picture smaller or choose another model; {log_file()} says more"
    )


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
