"""The ledger: what becomes of jobs, in memory and on disk.

A job that was accepted ends in pictures or in an error, though its client, its worker or the daemon
dies meanwhile: it waits in the store until its client says that it has what came of it. That it is
accepted is told after it was written. What comes of it is told at once, and written a moment later
unless the client has it by then, which saves the disk nearly all of it: a daemon that dies in that
moment paints it again, the same.
"""

from __future__ import annotations

import functools
import itertools
import json
import logging
import sqlite3
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from underpaint_client import messages, wire
from underpaint_client.errors import (
    BadInputError,
    GenerationFailedError,
    ResultsKeptError,
    UnderpaintError,
    UnknownJobError,
)
from underpaint_client.seeds import draw_seeds

from . import job_events as events
from .job_digest import digest_submission
from .job_queue import MAX_JOBS, MAX_SHARE, Client, Job, JobQueue
from .job_state import MAX_DEATHS, JobState
from .paths import log_file
from .pixel_files import DamagedFileError
from .retention import Retention
from .store import ENDED, QUEUED, RUNNING, Pictures, Store, StoredJob
from .store_thread import StoreThread
from .validation import read_message

if TYPE_CHECKING:
    from underpaint_client.frames import Bytes, Frame

    Tell = Callable[[Client, list[Bytes]], bool]

log = logging.getLogger(__name__)

MOMENT = 2.0
"""Seconds that a living client has to say that it has what came."""

MAX_REFUSALS = 4096
"""Refusals that are remembered; of more, the oldest are not."""

NO_LONGER_KNOWN = "the daemon no longer knows this job; generate again"


class _Results(NamedTuple):
    """What the store has of a job that a client asks for, or why that could not be read."""

    kept: StoredJob | None
    pictures: Pictures
    error: str = ""


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


class Jobs:
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
    stop_worker : callable
        Tells a worker to cancel the job of that id.
    """

    def __init__(
        self,
        store: Store,
        retention: Retention,
        tell: Tell,
        greet: Callable[[Job], None],
        stop_worker: Callable[[int, str], None],
    ) -> None:
        self.queue = JobQueue()
        self._retention = retention
        self._tell = tell
        self._greet = greet
        self._stop_worker = stop_worker
        self._unwritten: dict[str, _Unwritten] = {}
        self._unpruned = 0  # bytes of pictures since the last look
        self._delivered: dict[str, Client] = {}  # who has been sent all of an ended job
        # Who was last told of a job something else than how it ended, and cannot have it whole.
        self._refused: OrderedDict[tuple[Client, str], None] = OrderedDict()
        self._unread: set[str] = set()  # jobs that could not be read again yet
        self._looked = time.monotonic()
        self._adding: Counter[str | Client] = Counter()  # bytes that are not written yet
        self._restore(store)
        self._store_thread = StoreThread(store)
        self.answer = self._store_thread.answer
        self.fd = self._store_thread.fd

    def close(self) -> None:
        """Leave all jobs for the next start."""
        for client in {job.client for job in self.queue}:
            self._tell(client, wire.encode(messages.Leaving()))
        for job in self.queue:
            self.handle(job, events.DaemonStops())
        for name in list(self._unwritten):
            self._write(name)
        self._prune_store(None)  # or short days of work would never count
        self._store_thread.close()

    # ---- the beginning ---------------------------------------------------------------------

    def _restore(self, store: Store) -> None:
        """Take up what an earlier daemon left: what waited waits, what ran is tried again."""
        try:
            store.prune(self._retention, time.time(), 0.0)
        except (OSError, sqlite3.Error) as error:
            log.error("results that are too old were not removed: %s", _why(error))  # noqa: TRY400
        for kept in store.unfinished():
            try:
                job = self._take_up(store, kept)
            except (OSError, sqlite3.Error) as error:
                log.error("job %s could not be read: %s", kept.name, _why(error))  # noqa: TRY400
                self._unread.add(kept.name)
            else:
                if job is not None:
                    self.queue.take_back(job)
        if waiting := len(list(self.queue)):
            log.info("jobs that go on from before: %d", waiting)

    def _take_up(self, store: Store, kept: StoredJob) -> Job | None:
        """Return a job as it was before the daemon ended; None where it ends by that.

        Raises
        ------
        OSError, sqlite3.Error
            It could not be read this time, and stays as it is.
        """
        deaths = kept.deaths + (kept.state == RUNNING)
        try:
            if deaths >= MAX_DEATHS:
                raise GenerationFailedError(given_up("the daemon ended"))
            job = _revived(kept, store.submission(kept.name))
        except (UnderpaintError, DamagedFileError, ValueError) as error:
            failed = messages.Failed(kept.name, GenerationFailedError.code, str(error))
            store.end(kept.name, wire.encode(failed)[0])
            return None
        # Its client was told of it by the earlier daemon.
        pictures = set(store.numbers(kept.name))
        job.state = JobState(kept.name, deaths=deaths, pictures=pictures, position=0)
        store.mark(kept.name, QUEUED, deaths)
        return job

    def _try_unread(self, name: str, then: Callable[[str], object]) -> None:
        """Read a job again that could not be read; `then` is given why that failed, or nothing."""

        def work(store: Store) -> Job | None:
            kept = store.find(name)
            unfinished = kept is not None and kept.state in {QUEUED, RUNNING}
            return self._take_up(store, kept) if kept is not None and unfinished else None

        def answer(job: Job | None, error: Exception | None) -> None:
            if error is None:
                self._unread.discard(name)
                if job is not None and name not in self.queue:
                    self.queue.take_back(job)
            then("" if error is None else _why(error))

        self._store_thread.do(work, answer)

    # ---- clients ---------------------------------------------------------------------------

    def accept(
        self, client: Client, submit: messages.Submit, frames: tuple[Frame, ...], *, trusted: bool
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
        digest = digest_submission(submit, frames)
        known = self.queue.get(submit.job)
        if known is not None:
            if known.digest != digest or known.owner != client.owner:
                raise _another(submit.job)
            self._hand_over(known, client)
            return
        self._write(submit.job)  # of one that has just ended
        # Drawn now, so that another try paints the same.
        submit = replace(submit, request=draw_seeds(submit.request))
        job = Job(client, submit, frames, trusted=trusted, digest=digest)
        self.queue.add(job)
        written = self._charge(job)

        def then(found: StoredJob | None, error: Exception | None) -> None:
            written()
            if found is not None:
                self.handle(job, events.Superseded())
                if found.digest == digest and found.owner == client.owner:
                    self.follow(job.client, (job.name,))
                else:
                    self.refuse(job.client, job.name, _another(job.name))
                return
            remark = ""
            if error is not None:
                remark = (
                    f"it could not be written to the disk ({_why(error)}), so it is lost if the"
                    " daemon ends before it is done"
                )
            position = self.queue.positions().get(job.name, 0)  # it may run by now
            self.handle(job, events.Recorded(position, remark))

        parts = wire.encode(submit, frames)
        self._unpruned += len(parts[0])  # which stays when the job has ended

        def add(store: Store) -> StoredJob | None:
            found = store.add(job.name, parts, owner=client.owner, trusted=trusted, digest=digest)
            job.stale = found is not None
            return found

        self._store_thread.do(add, then)

    def when_done(self, then: Callable[[], object]) -> None:
        """Call something when the store has done all that it was asked until now."""
        self._store_thread.do(lambda _: None, lambda *_: then())

    def _charge(self, job: Job) -> Callable[[], None]:
        """Count a job that is to be written; returns what is to be called when it was.

        Who cancels what was just sent has no job waiting, and could still fill the memory.
        """
        who = job.owner or job.client
        size = max(MAX_SHARE // MAX_JOBS, job.size)
        if self._adding[who] and self._adding[who] + size > MAX_SHARE:
            self.queue.remove(job.name)
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
            job = self.queue.get(name)
            if job is not None and job.owner == client.owner:
                self._hand_over(job, client)
                continue
            self._write(name)
            if name in self._unread:
                self._try_unread(name, functools.partial(self._send_unread, client, name))
            elif self._delivered.get(name) != client:
                self._fetch(name, functools.partial(self._send_ended, client, name))

    def _send_unread(self, client: Client, name: str, why: str) -> None:
        if why:
            self.refuse(client, name, _kept_though(why))
        else:
            self.follow(client, (name,))

    def _hand_over(self, job: Job, client: Client) -> None:
        if job.client == client:
            return
        self.queue.hand_over(job, client)
        self.handle(job, events.HandedOver())

    def _read_pictures(self, job: Job) -> None:
        def then(found: _Results) -> None:
            is_complete = not (found.error or found.pictures.unreadable)
            self.handle(job, events.PicturesRead(tuple(found.pictures.whole), is_complete))

        self._fetch(job.name, then)

    def _fetch(self, name: str, then: Callable[[_Results], None]) -> None:
        def answer(
            found: tuple[StoredJob | None, Pictures] | None, error: Exception | None
        ) -> None:
            if found is not None:
                then(_Results(*found))
            elif error is not None:
                then(_Results(None, Pictures([], {}), _why(error)))

        self._store_thread.do(lambda store: (store.find(name), store.pictures(name)), answer)

    def _send_ended(self, client: Client, name: str, found: _Results) -> None:
        kept = found.kept
        if found.error:
            self.refuse(client, name, _kept_though(found.error))
        elif kept is None or kept.owner != client.owner:
            self.refuse(client, name, UnknownJobError(NO_LONGER_KNOWN))
        elif kept.state in {QUEUED, RUNNING}:  # it ended, and that could not be written
            self._unread.add(name)
            self._try_unread(name, functools.partial(self._send_unread, client, name))
        elif kept.ending is None:  # it was taken
            taken = "the results of this job have been fetched already; generate again"
            self.refuse(client, name, GenerationFailedError(taken))
        elif all(self._tell(client, parts) for parts in found.pictures.whole):
            if found.pictures.unreadable:
                self.refuse(client, name, _unreadable(name, found.pictures.unreadable))
            elif self._tell(client, [kept.ending]) and kept.state == ENDED:
                self._note_delivered(name, client)

    def _note_delivered(self, name: str, client: Client) -> None:
        self._refused.pop((client, name), None)
        self._delivered[name] = client

    def refuse(self, client: Client, name: str, error: UnderpaintError) -> None:
        """Tell a client something else of a job than how it ended; `name` may be empty.

        Clients say that they have `Taken` a job after whatever they take for its end. After this,
        that word is not believed, until the client has been sent all there is.
        """
        if name:
            self._refused[client, name] = None
            self._refused.move_to_end((client, name))
            if len(self._refused) > MAX_REFUSALS:
                self._refused.popitem(last=False)
        self._tell(client, wire.encode(messages.Failed(name, error.code, str(error))))

    def take(self, client: Client, name: str) -> None:
        """Let go of an ended job, whose results are in safety."""

        def work(store: Store) -> None:
            kept = store.find(name)
            if kept is not None and kept.state == ENDED and kept.owner == client.owner:
                store.take(name)

        if (client, name) in self._refused:
            log.info("job %s is kept: its client has not been sent all of it", name)
            return
        self._delivered.pop(name, None)
        job = self.queue.get(name)
        if job is not None and job.owner == client.owner:
            self.handle(job, events.Taken())
            return
        unwritten = self._unwritten.get(name)
        if unwritten is None:
            self._store_thread.do(work)
        elif unwritten.ended and unwritten.job.owner == client.owner:
            del self._unwritten[name]
            self._store_thread.do(lambda store: store.take(name))

    def tell_waiting(self, client: Client) -> None:
        """Tell a client of the jobs of its owner that no client follows."""
        for name in list(self._unwritten):
            self._write(name)
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
                self.refuse(client, "", _kept_though(_why(error)))
                return
            alone = [
                kept for kept in found or () if not self._is_there(self._delivered.get(kept.name))
            ]
            jobs = [
                messages.WaitingJob(job.name, job.submit.request, job.submit.note, ended=False)
                for job in self.queue
                if job.owner == client.owner and not self._is_there(job.client)
            ]
            listed = [one for kept in alone if (one := _waiting(kept)) is not None]
            self._tell(client, wire.encode(messages.Waiting(as_many_as_fit([*listed, *jobs]))))

        self._store_thread.do(work, then)

    def _is_there(self, client: Client | None) -> bool:
        return client is not None and self._tell(client, wire.encode(messages.Followed()))

    def lose(self, client: Client) -> None:
        """Let the jobs of a client that has gone go on without it."""
        if client.endpoint < 0:
            return
        for refused in [refused for refused in self._refused if refused[0] == client]:
            del self._refused[refused]
        for job in self.queue.of(client):
            log.info("job %s: its client has gone; what comes of it waits", job.name)
            self.queue.hand_over(job, Client.nobody(client.owner))
        for name, unwritten in list(self._unwritten.items()):
            if unwritten.job.client in {client, Client.nobody(client.owner)}:
                self._write(name)

    def ask_owners(self, then: Callable[[set[str]], object]) -> None:
        """Call `then` with all owners of whom there is something, on the disk or not."""

        def answer(stored: set[str] | None, _: Exception | None) -> None:
            then((stored or set()) | {job.owner for job in self.queue})

        self._store_thread.do(lambda store: store.owners(), answer)

    def drop(self, owner: str) -> None:
        """Drop all jobs and results of an owner who is let in no more; stop those that run."""
        for job in self.queue:
            if job.owner == owner:
                job.stale = True  # its record goes before the worker is done with it
                self.handle(job, events.Revoked())
        for name, unwritten in list(self._unwritten.items()):
            if unwritten.job.owner == owner:
                del self._unwritten[name]
        for name, client in list(self._delivered.items()):
            if client.owner == owner:
                del self._delivered[name]
        self._store_thread.do(lambda store: store.forget_owner(owner))

    # ---- what happens to a job -------------------------------------------------------------

    def start(self, job: Job, worker: int) -> None:
        """Note that a worker has a job."""
        self.handle(job, events.Started(worker))
        self.queue.note_turn(job)

    def handle(self, job: Job, event: events.Event) -> None:
        """Tell a job's state what happened, and do what is to be done about it."""
        for instruction in job.state.handle(event):
            self._carry_out(job, instruction)
        limit = self._retention.gigabytes * 2**30 / 4
        if job.state.current is events.State.ENDED and self._unpruned > limit:
            self.prune()

    def _carry_out(self, job: Job, instruction: events.Instruction) -> None:
        match instruction:
            case events.LeaveQueue():
                if self.queue.get(job.name) is job:
                    self.queue.remove(job.name)
            case events.QueueAgain():
                log.info("job %s is tried again", job.name)
                self.queue.prefer(job)
            case events.StopWorker(worker):
                self._stop_worker(worker, job.name)
            case (
                events.Greet()
                | events.Send()
                | events.SendEnding()
                | events.SendAllAgain()
                | events.ReadPictures()
            ):
                self._carry_out_telling(job, instruction)
            case _:
                self._carry_out_writing(job, instruction)

    def _carry_out_telling(
        self,
        job: Job,
        instruction: events.Greet
        | events.Send
        | events.SendEnding
        | events.SendAllAgain
        | events.ReadPictures,
    ) -> None:
        match instruction:
            case events.Greet():
                self._greet(job)
            case events.Send(parts):
                self._tell(job.client, parts)
            case events.SendEnding(parts):
                if self._tell(job.client, parts):
                    self._note_delivered(job.name, job.client)
                else:
                    self._write(job.name)
            case events.SendAllAgain():
                self.follow(job.client, (job.name,))
            case events.ReadPictures():
                self._read_pictures(job)

    def _carry_out_writing(
        self,
        job: Job,
        instruction: events.KeepPicture
        | events.KeepEnding
        | events.WriteNow
        | events.ForgetUnwritten
        | events.Mark
        | events.TakeRecord,
    ) -> None:
        match instruction:
            case events.KeepPicture(index, parts):
                self._unpruned += sum(memoryview(part).nbytes for part in parts)
                self._write_later(job, lambda store: store.add_picture(job.name, index, parts))
            case events.KeepEnding(ending):
                self._write_later(job, lambda store: store.end(job.name, ending))
                self._unwritten[job.name].ended = True
            case events.WriteNow():
                self._write(job.name)
            case events.ForgetUnwritten():
                self._unwritten.pop(job.name, None)
            case events.Mark(state):
                deaths = job.state.deaths
                self._do(job, lambda store: store.mark(job.name, state.value, deaths))
            case events.TakeRecord(ending):
                self._do(job, lambda store: store.take(job.name, ending))

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
                lost = messages.Failed(name, GenerationFailedError.code, f"{told} generate again")
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
        self._store_thread.do(lambda store: None if job.stale else work(store), then)

    def write(self) -> None:
        """Write what its client has not fetched in a moment."""
        now = time.monotonic()
        for name, unwritten in list(self._unwritten.items()):
            if now > unwritten.due:
                self._write(name)

    # ---- from time to time -----------------------------------------------------------------

    def prune(self) -> None:
        """Remove results that have waited too long."""

        def then(gone: list[str] | None, _: Exception | None) -> None:
            for name in gone or ():
                self._delivered.pop(name, None)
                log.info("job %s: its results have waited too long, and were removed", name)

        self._unpruned = 0
        self._prune_store(then)
        for name in list(self._unread):
            self._try_unread(name, lambda _: None)

    def _prune_store(
        self, then: Callable[[list[str] | None, Exception | None], object] | None
    ) -> None:
        now = time.monotonic()  # which stands still while the machine sleeps
        awake, self._looked = now - self._looked, now
        self._store_thread.do(lambda store: store.prune(self._retention, time.time(), awake), then)


def _revived(kept: StoredJob, parts: list[Bytes]) -> Job:
    """Return a job as it was before the daemon ended.

    Raises
    ------
    UnderpaintError
        What was kept is of another version.
    """
    envelope = wire.open_envelope(parts)
    submit = read_message(envelope)
    if not isinstance(submit, messages.Submit):
        raise GenerationFailedError(NO_LONGER_KNOWN)
    nobody = Client.nobody(kept.owner)
    return Job(nobody, submit, envelope.frames, trusted=kept.trusted, digest=kept.digest)


def as_many_as_fit(jobs: list[messages.WaitingJob]) -> tuple[messages.WaitingJob, ...]:
    """Return the first of the jobs: as many as a message's header may hold, with room to spare."""
    sizes = itertools.accumulate(len(wire.encode(messages.Waiting((job,)))[0]) for job in jobs)
    return tuple(job for job, size in zip(jobs, sizes, strict=True) if size < wire.MAX_HEADER // 2)


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
        f"what there is of this job could not be read ({why}); the daemon keeps it: fetch it again,"
        " or see `underpaint results`"
    )


def _unreadable(name: str, found: dict[int, str]) -> ResultsKeptError:
    """Return which pictures could not be read."""
    which = ", ".join(f"picture {number + 1} ({why})" for number, why in found.items())
    return ResultsKeptError(
        f"this could not be read: {which}; what else there is was delivered, and the daemon keeps"
        f" all of it: fetch it again, or `underpaint results --drop {name[:8]}` forgets it"
    )


def _another(name: str) -> BadInputError:
    return BadInputError(f"job {name!r} is already here and another; give each job its own id")


def given_up(how: str) -> str:
    """Return why a job is not tried again, whose worker died `how`."""
    return (
        f"{how} while it ran this job, and so it was the time before; it is not tried again. Make"
        f" the picture smaller or choose another model; {log_file()} says more"
    )


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
