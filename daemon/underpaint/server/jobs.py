"""The jobs, in memory and on disk: carries out the instructions of their states (`job_state`).

A job that was accepted ends in pictures or in an error, though its client, its worker or the daemon
dies meanwhile: it waits in the store until its client says that it has what came of it. That it is
accepted is told after it was written. What comes of it is told at once, and written a moment later
unless the client has it by then, which saves the disk nearly all of it: a daemon that dies in that
moment paints it again, the same.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from underpaint_client import messages, wire
from underpaint_client.errors import BadInputError, GenerationFailedError
from underpaint_client.seeds import draw_seeds
from underpaint_client.sentences import NO_TEXT, Sentence, sentence

from . import job_events as events
from .job_digest import digest_submission, is_same_submission
from .job_queue import Client, Job, JobQueue, WriteLimit
from .recovery import recover
from .results import Results, StoredResults
from .retention import RAISE_LIMIT, Retention
from .store import Store
from .store_thread import StoreThread, describe_error
from .stored_job import StoredJob
from .unwritten import UnwrittenResults

if TYPE_CHECKING:
    from underpaint_client.frames import Bytes
    from underpaint_client.inputs import InputFrames

    Send = Callable[[Client, list[Bytes]], bool]

log = logging.getLogger(__name__)


class Jobs:
    """See the module.

    Parameters
    ----------
    store : Store
        Its own from now on.
    retention : Retention
        How long results wait.
    send : callable
        Sends a message to a client; False if that has gone.
    greet : callable
        Tells a job's client that it is accepted.
    stop_worker : callable
        Tells a worker to cancel the job of that id.
    """

    def __init__(
        self,
        store: Store,
        retention: Retention,
        send: Send,
        greet: Callable[[Job], None],
        stop_worker: Callable[[int, str], None],
    ) -> None:
        self.queue = JobQueue()
        self._retention = retention
        self._send = send
        self._send_accepted = greet
        self._stop_worker = stop_worker
        self._unpruned = 0  # bytes of pictures since the last look
        self._looked = time.monotonic()
        self._write_limit = WriteLimit()
        unread = recover(store, self.queue)
        self._store_thread = StoreThread(store)
        self._unwritten = UnwrittenResults(self._store_thread)
        self._results = Results(
            self.queue, self._store_thread, self._unwritten, send, self.follow, unread
        )
        self.answer = self._store_thread.answer
        self.fd = self._store_thread.fd
        self.write = self._unwritten.write_due
        self.refuse = self._results.refuse
        self.send_waiting = self._results.send_waiting

    def close(self, *, is_meant: bool = True) -> None:
        """Leave all jobs for the next start.

        Parameters
        ----------
        is_meant : bool
            Whether somebody told the daemon to stop: its clients then leave it at that. Where it
            ends by a fault, they start another.
        """
        for client in {job.client for job in self.queue} if is_meant else ():
            self._send(client, wire.encode(messages.Leaving()))
        for job in self.queue:
            self.handle(job, events.DaemonStops())
        while list(self._unwritten):  # what cannot be written changes the ending
            self._unwritten.write_all()
            self._store_thread.finish()
        self._prune_store(None)  # or short days of work would never count
        self._store_thread.close()

    # ---- clients ---------------------------------------------------------------------------

    def accept(
        self, client: Client, submit: messages.Submit, inputs: InputFrames, *, trusted: bool
    ) -> None:
        """Accept a job; follow it instead if it exists already.

        Parameters
        ----------
        client : Client
        submit : Submit
        inputs : InputFrames
            The message's.
        trusted : bool
            Whether the client may open models anywhere on this machine.

        Raises
        ------
        BadInputError
            If there is no room, or another job has that id.
        """
        digest = digest_submission(submit, inputs.frames)
        known = self.queue.get(submit.job)
        if known is not None:
            if known.owner != client.owner or not is_same_submission(known.digest, digest):
                raise _another(submit.job)
            self._hand_over(known, client)
            return
        # Drawn now, so that another try paints the same.
        submit = replace(submit, request=draw_seeds(submit.request))
        job = Job(client, submit, inputs, trusted=trusted, digest=digest)
        self.queue.add(job)
        try:
            written = self._write_limit.charge(job)
        except BadInputError:
            self.queue.remove(job.name)
            raise

        def then(found: StoredJob | None, error: Exception | None) -> None:
            written()
            if found is not None:
                self.handle(job, events.Superseded())
                same = is_same_submission(found.digest, digest)
                if same and found.owner == client.owner:
                    self.follow(job.client, (job.name,))
                else:
                    self.refuse(job.client, job.name, _another(job.name))
                return
            remark = NO_TEXT
            if error is not None:
                remark = sentence(
                    "it could not be written to the disk ({reason}), so it is lost if the daemon"
                    " ends before it is done",
                    reason=describe_error(error),
                )
            position = self.queue.positions().get(job.name, 0)  # it may run by now
            self.handle(job, events.Recorded(position, remark))

        parts = wire.encode(submit, inputs.frames)
        self._unpruned += len(parts[0])  # which stays when the job has ended

        def add(store: Store) -> StoredJob | None:
            found = store.add(job.name, parts, owner=client.owner, trusted=trusted, digest=digest)
            job.stale = found is not None
            return found

        # First what there is of one of that id that has just ended.
        self._unwritten.write(job.name, lambda: self._store_thread.do(add, then))

    def when_done(self, then: Callable[[], object]) -> None:
        """Call something when the store has done all that it was asked until now."""
        self._store_thread.do(lambda _: None, lambda *_: then())

    def follow(self, client: Client, names: Iterable[str]) -> None:
        """Send the messages of jobs, earlier ones too, to this client from now on."""
        for name in names:
            job = self.queue.get(name)
            if job is not None and job.owner == client.owner:
                self._hand_over(job, client)
            else:
                self._results.send(client, name)

    def _hand_over(self, job: Job, client: Client) -> None:
        if job.client == client:
            return
        self.queue.hand_over(job, client)
        self.handle(job, events.HandedOver())

    def _read_pictures(self, job: Job) -> None:
        def then(found: StoredResults) -> None:
            is_complete = not (found.error or found.pictures.unreadable)
            self.handle(job, events.PicturesRead(tuple(found.pictures.whole), is_complete))

        self._unwritten.write(job.name, lambda: self._results.fetch(job.name, then))

    def acknowledge(self, client: Client, name: str) -> None:
        """Forget an ended job, since its client has the results."""
        if self._results.is_refused(client, name):
            log.info("job %s is kept: its client has not received all results", name)
            return
        self._results.forget_delivery(name)
        job = self.queue.get(name)
        if job is not None and job.owner == client.owner:
            self.handle(job, events.Taken())
        else:
            self._results.acknowledge(client, name)

    def lose(self, client: Client) -> None:
        """Continue the jobs of a client that has gone without it."""
        if client.endpoint < 0:
            return
        for job in self.queue.of(client):
            log.info("job %s: its client has gone; its results are kept", job.name)
            self.queue.hand_over(job, Client.nobody(client.owner))
        self._results.forget_client(client)

    def ask_owners(self, then: Callable[[set[str]], object]) -> None:
        """Call `then` with all owners of jobs or results, on the disk or not."""

        def answer(stored: set[str] | None, _: Exception | None) -> None:
            then((stored or set()) | {job.owner for job in self.queue})

        self._store_thread.do(lambda store: store.owners(), answer)

    def drop(self, owner: str) -> None:
        """Drop all jobs and results of an owner whose access was revoked; stop those that run."""
        for job in self.queue:
            if job.owner == owner:
                job.stale = True  # its record goes before the worker is done with it
                self.handle(job, events.Revoked())
        self._results.forget_owner(owner)

    # ---- what happens to a job -------------------------------------------------------------

    def start(self, job: Job, worker: int) -> None:
        """Note that a worker has a job."""
        self.handle(job, events.Started(worker))
        self.queue.note_turn(job)

    def handle(self, job: Job, event: events.Event) -> None:
        """Handle an event of a job, and carry out the instructions of its state."""
        for instruction in job.state.handle(event):
            self._carry_out(job, instruction)
        limit = self._retention.gigabytes * 2**30 / 4
        if self._unpruned > limit:
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
                self._send_accepted(job)
            case events.Send(parts):
                self._send(job.client, parts)
            case events.SendEnding(parts):
                if self._send(job.client, parts):
                    self._results.note_delivered(job.name, job.client)
                else:
                    self._unwritten.write(job.name)
            case events.SendAllAgain(without):
                self._results.send(job.client, job.name, without)
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
                self._keep_picture(job, index, parts)
            case events.KeepEnding(ending):
                self._unwritten.add(job, lambda store: store.end(job.name, ending), is_last=True)
            case events.WriteNow():
                self._unwritten.write(job.name)
            case events.ForgetUnwritten():
                self._unwritten.forget(job.name)
            case events.Mark(state):
                deaths = job.state.deaths
                self._unwritten.do(job, lambda store: store.mark(job.name, state.value, deaths))
            case events.TakeRecord(last):
                self._unwritten.do(job, lambda store: store.mark_taken(job.name, last))

    def has_room(self, job: Job) -> bool:
        """Return whether there is memory for the next picture of a job that runs."""
        return not self._unwritten.is_full and not job.state.is_deferring

    def _keep_picture(self, job: Job, index: int, parts: list[Bytes]) -> None:
        def then(_: None, error: Exception | None) -> None:
            if error is not None:
                self.handle(job, events.NotWritten(index, describe_error(error)))

        size = sum(memoryview(part).nbytes for part in parts)
        gigabytes = self._retention.gigabytes
        job.kept += size
        if job.kept > gigabytes * 2**30:
            why = sentence(
                "what is kept of one job would be over {most:g} GB; ask for fewer or smaller"
                " images at once, or {way_out}",
                most=gigabytes,
                way_out=RAISE_LIMIT,
            )
            self.handle(job, events.NotWritten(index, why))
            return
        self._unpruned += size
        self._unwritten.add(
            job, lambda store: store.add_picture(job.name, index, parts), then, size=size
        )

    # ---- from time to time -----------------------------------------------------------------

    def prune(self) -> None:
        """Remove results that have waited too long."""

        def then(gone: list[str] | None, _: Exception | None) -> None:
            for name in gone or ():
                self._results.forget_delivery(name)
                log.info("job %s: its results have waited too long, and were removed", name)

        self._unpruned = 0
        self._prune_store(then)
        self._results.try_all_unread()

    def _prune_store(
        self, then: Callable[[list[str] | None, Exception | None], object] | None
    ) -> None:
        now = time.monotonic()  # which stands still while the machine sleeps
        awake, self._looked = now - self._looked, now

        def explain(name: str) -> Bytes:
            told = sentence(
                "the results of this job were removed to make room for newer ones, as they waited"
                " and were over {most:g} GB with those; generate again, or {way}",
                most=self._retention.gigabytes,
                way=Sentence(RAISE_LIMIT),
            )
            return wire.encode(messages.Failed(name, GenerationFailedError.code, told))[0]

        self._store_thread.do(
            lambda store: store.prune(self._retention, time.time(), awake, explain), then
        )


def _another(name: str) -> BadInputError:
    return BadInputError(
        "job {name!r} already exists with other content; give each job its own id", name=name
    )
