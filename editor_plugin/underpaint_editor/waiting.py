"""Results that wait with the daemon, because the editor that asked for them ended before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from underpaint_client.address import Address
from underpaint_client.sentences import Listing, Sentence, sentence

from .batch import Batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from underpaint_client.messages import WaitingJob

    from .contract import Document
    from .tracker import JobTracker


def select_waiting(
    jobs: Iterable[WaitingJob], editor: str, present: Iterable[str]
) -> list[tuple[WaitingJob, Address]]:
    """Return the waiting jobs of an editor, and where their results go.

    Parameters
    ----------
    jobs : iterable of WaitingJob
        What the daemon has.
    editor : str
        As in `Session`.
    present : iterable of str
        The ids of jobs whose results this editor has received already.
    """
    received = frozenset(present)
    addressed = [(job, Address.from_text(job.note)) for job in jobs if job.job not in received]
    return [(job, address) for job, address in addressed if address.editor == editor]


def describe_waiting(documents: Sequence[str]) -> Sentence:
    """Return the status message for results that wait from an earlier start of the editor.

    Parameters
    ----------
    documents : sequence of str
        The path of each result's document; empty if it had none.
    """
    names = sorted({re.split(r"[/\\]", path)[-1] for path in documents if path})
    if not names:
        return sentence(
            "A result is waiting from an earlier session.",
            "{count} results are waiting from an earlier session.",
            count=len(documents),
        )
    return sentence(
        "A result is waiting from an earlier session ({documents}). Open the document first to"
        " insert it there.",
        "{count} results are waiting from an earlier session ({documents}). Open the document"
        " first to insert them there.",
        count=len(documents),
        documents=Listing(names),
    )


class WaitingResults:
    """The waiting results of this editor, offered until they are fetched.

    Parameters
    ----------
    tracker : JobTracker
    find_document : callable
        As in `Session`.
    """

    def __init__(self, tracker: JobTracker, find_document: Callable[[Address], Document]) -> None:
        self._tracker = tracker
        self._find_document = find_document
        self._jobs: list[tuple[WaitingJob, Address]] = []

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def offer(self, jobs: Iterable[WaitingJob], present: Iterable[str]) -> None:
        """Replace what is offered; parameters as in `select_waiting`."""
        self._jobs = select_waiting(jobs, self._tracker.editor, present)

    def describe(self) -> Sentence:
        """Return what is offered, as a status message."""
        return describe_waiting([address.document for _, address in self._jobs])

    def fetch(self, now: float) -> None:
        """Fetch what is offered.

        Parameters
        ----------
        now : float
            As `Batch.started`.
        """
        while self._jobs:
            job, address = self._jobs.pop(0)
            document = self._find_document(address)
            self._tracker.fetch(job, Batch(document, fetched=True, started=now))
