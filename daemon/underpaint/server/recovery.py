"""What an earlier daemon left: its jobs go on where they were."""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING

from underpaint_client import messages, wire
from underpaint_client.errors import (
    BadInputError,
    GenerationFailedError,
    OtherProtocolError,
    UnderpaintError,
)
from underpaint_client.inputs import InputFrames
from underpaint_client.sentences import Sentence, sentence

from .job_queue import Client, Job, JobQueue
from .job_state import MAX_DEATHS, JobState
from .paths import log_file
from .pixel_files import DamagedFileError
from .store import Store
from .store_thread import describe_error
from .stored_job import QUEUED, RUNNING, StoredJob
from .validation import read_message

if TYPE_CHECKING:
    from underpaint_client.frames import Bytes

log = logging.getLogger(__name__)

NO_LONGER_KNOWN = "the daemon no longer knows this job; generate again"


def recover(store: Store, queue: JobQueue) -> set[str]:
    """Continue what an earlier daemon left: waiting jobs wait, running ones are tried again.

    Nothing is removed here, since the clients that want it may come back first.

    Nothing is removed here: first the clients may come back that want it.

    Parameters
    ----------
    store : Store
    queue : JobQueue
        Gets all jobs that go on.

    Returns
    -------
    set of str
        The ids of jobs that could not be read, and stay as they are.
    """
    unread: set[str] = set()
    for kept in store.unfinished():
        try:
            job = restore_job(store, kept)
        except (OSError, sqlite3.Error) as error:
            log.error("job %s could not be read: %s", kept.name, describe_error(error))  # noqa: TRY400
            unread.add(kept.name)
        else:
            if job is not None:
                queue.requeue(job)
    if waiting := len(list(queue)):
        log.info("jobs continued from the last start: %d", waiting)
    return unread


def restore_job(store: Store, kept: StoredJob) -> Job | None:
    """Return a job as it was before the daemon ended; None if it ends by that.

    Raises
    ------
    OSError, sqlite3.Error
        It could not be read this time, and stays as it is.
    """
    deaths = kept.deaths + (kept.state == RUNNING)
    try:
        if deaths >= MAX_DEATHS:
            raise GenerationFailedError(describe_deaths(sentence("the daemon ended")))
        job = _read_job(kept, store.submission(kept.name))
    except (UnderpaintError, DamagedFileError, ValueError) as error:
        told = error.sentence if isinstance(error, UnderpaintError) else str(error)
        failed = messages.Failed(kept.name, GenerationFailedError.code, told)
        store.end(kept.name, wire.encode(failed)[0])
        return None
    # The earlier daemon has told the client that it was accepted.
    pictures = set(store.numbers(kept.name))
    job.state = JobState(kept.name, deaths=deaths, pictures=pictures, position=0)
    store.mark(kept.name, QUEUED, deaths)
    return job


def _read_job(kept: StoredJob, parts: list[Bytes]) -> Job:
    """Return a job as it was before the daemon ended.

    Raises
    ------
    UnderpaintError
        What was kept is of another version.
    """
    try:
        envelope = wire.open_envelope(parts)
        submit = read_message(envelope)
    except OtherProtocolError as error:
        told = sentence(
            "it is of protocol {protocol}, and not {expected}",
            protocol=error.protocol,
            expected=wire.PROTOCOL,
        )
        raise _of_another_version(told) from None
    except BadInputError as error:
        raise _of_another_version(error.sentence) from None
    if not isinstance(submit, messages.Submit):
        raise GenerationFailedError(NO_LONGER_KNOWN)
    inputs = InputFrames.of(envelope.frames)
    nobody = Client.nobody(kept.owner)
    return Job(nobody, submit, inputs, trusted=kept.trusted, digest=kept.digest)


def _of_another_version(why: Sentence) -> GenerationFailedError:
    return GenerationFailedError(
        "the job was kept by another version of Underpaint, and this one cannot run it ({reason});"
        " generate again",
        reason=why,
    )


def describe_deaths(end: Sentence) -> Sentence:
    """Return why a job is not tried again, after `end` during it, a clause."""
    return sentence(
        "{end}, for the second time during this job, so the job is not tried again. Make the"
        " picture smaller or choose another model; see {log} for details",
        end=end,
        log=log_file(),
    )
