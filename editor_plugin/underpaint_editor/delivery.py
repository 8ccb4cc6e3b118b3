"""Delivers results: inserts them, opens them as a document, or keeps them until that is possible.

Results are acknowledged, so that the daemon forgets them, only when they are in a document. Until
then they are in `Delivery.undelivered` or `Delivery.deferred`, and with the daemon.
"""

from __future__ import annotations

import time
from enum import Enum
from typing import TYPE_CHECKING

from underpaint_client.errors import (
    CancelledError,
    GenerationFailedError,
    UnderpaintError,
    to_sentence,
)
from underpaint_client.sentences import Sentence, join_sentences, sentence

from .layer_role import role_made
from .layers import describe_control_made, describe_outcome, name_group
from .log import log_event, log_exception
from .remedy import Remedy

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from underpaint_client.request import Request

    from .batch import Batch
    from .contract import EventLoop
    from .job import Job
    from .notices import Ended

_POLL_REDO = 500  # milliseconds


class Destination(Enum):
    """Where a batch of results goes."""

    INSERT = "insert"
    """Into its document."""
    OPEN = "open"
    """Into a new document."""
    KEEP = "keep"
    """Nowhere until the artist asks for it: its document was closed."""
    DEFER = "defer"
    """Nowhere until inserting it clears no redo history."""


def choose_destination(
    *, is_open: bool, fetched: bool, clears_redo: bool, requested: bool
) -> Destination:
    """Return where a batch goes.

    Parameters
    ----------
    is_open : bool
        Whether its document is open.
    fetched : bool
        Whether the artist asked for it in a later start of the editor than the one it was sent by.
    clears_redo : bool
        Whether inserting it now clears what the artist has undone since it was sent.
    requested : bool
        Whether the artist has just asked for it.
    """
    if not is_open:
        return Destination.OPEN if fetched or requested else Destination.KEEP
    return Destination.DEFER if clears_redo and not requested else Destination.INSERT


def _destination_of(batch: Batch, *, requested: bool) -> Destination:
    return choose_destination(
        is_open=batch.document.is_open,
        fetched=batch.fetched,
        clears_redo=batch.clears_redo,
        requested=requested,
    )


def describe_end(
    error: UnderpaintError | None, request: Request, came: int, seconds: float, notes: Sequence[str]
) -> Sentence:
    """Return the status message for a job that has ended.

    Parameters
    ----------
    error : UnderpaintError or None
        As `Ended.error`.
    request : Request
    came : int
        How many images have arrived.
    seconds : float
        Since the job was sent.
    notes : sequence of str
        What the artist should know about the results, each a clause.
    """
    if error is not None and not isinstance(error, CancelledError):
        return to_sentence(error)
    kind = request.control_picture.kind
    if kind and came:
        return describe_control_made(kind, seconds, notes)
    outcome = describe_outcome(request.sampling.images, came, seconds, notes)
    if error is None:
        return outcome
    if not came:
        return to_sentence(error)  # it may say who cancelled it
    return sentence("{error} {outcome}", error=to_sentence(error), outcome=outcome)


class Delivery:
    """See the module.

    Parameters
    ----------
    loop : EventLoop
    acknowledge : callable
        Tells the daemon to forget a job.
    report : callable
        Shows the artist a message.
    refresh : callable
        Called when `remedy` may have changed while no notice is being handled.
    clock : callable
        Returns the seconds of the clock that `Batch.started` was read from.
    """

    def __init__(
        self,
        loop: EventLoop,
        acknowledge: Callable[[Job], None],
        report: Callable[[Sentence], None],
        refresh: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.undelivered: list[Batch] = []
        self.deferred: list[Batch] = []
        self.cancelled: Batch | None = None
        """The batch whose last preview can be kept."""
        self._loop = loop
        self._forget = acknowledge
        self._report = report
        self._refresh = refresh
        self._clock = clock

    @property
    def present(self) -> list[str]:
        """The ids of the jobs whose results are kept here."""
        kept = [*self.undelivered, *self.deferred]
        return [batch.job.name for batch in kept if batch.job is not None]

    @property
    def has_preview(self) -> bool:
        """Whether there is a preview to keep, and its document is open."""
        return self.cancelled is not None and self.cancelled.document.is_open

    # ---- when a job has ended --------------------------------------------------------------

    def finish(self, ended: Ended) -> None:
        """Deliver what a job has produced, and report how it ended."""
        batch: Batch = ended.job.destination
        batch.job, batch.given_up, batch.error = ended.job, ended.given_up, ended.error
        try:
            message = self._deliver(ended, batch)
        except Exception as error:  # noqa: BLE001 - an adapter's fault must not lose the images
            log_exception("processing results", error)
            message = sentence("The result could not be processed ({error}).", error=error)
            batch.error = batch.error or GenerationFailedError(message)
            if batch.results and batch not in self.undelivered:
                self.undelivered.append(batch)
        batch.ended = True
        how = "done" if ended.error is None else ended.error.code
        log_event(f"job {ended.job.name} ended: {how}, {len(batch.results)} images")
        self._report(message)

    def _deliver(self, ended: Ended, batch: Batch) -> Sentence:
        """Deliver the results of a job, and return a message about how it ended."""
        came, request = len(batch.results), ended.job.request
        notes = [
            *batch.notes,
            *(batch.document.placement_notes() if batch.document.is_open else ()),
        ]
        if ended.job.remark and ended.error is not None:
            notes.append(ended.job.remark)
        message = describe_end(ended.error, request, came, self._clock() - batch.started, notes)
        prompt, seed = request.prompt.positive, request.sampling.seed or 0
        if came:
            batch.title = name_group(prompt, seed, 1 if request.variation.amount else came)
            if request.control_picture.kind:
                batch.title = batch.results[0].name
            message = self._place(batch) or message
        elif not ended.given_up:
            self._forget(ended.job)
        if isinstance(ended.error, CancelledError) and batch.latest_preview is not None:
            batch.title = batch.title or name_group(prompt, seed, 1)
            self.cancelled = batch
        return message

    def _place(self, batch: Batch) -> Sentence | None:
        """Put results where they go; return what the artist must be told, if anything."""
        destination = _destination_of(batch, requested=False)
        if destination is Destination.KEEP:
            self.undelivered.append(batch)
            return sentence(
                "The document was closed. Its result is kept: open it as a new document."
            )
        if destination is Destination.DEFER:
            if not self.deferred:
                self._loop.call_later(_POLL_REDO, self._insert_deferred)
            self.deferred.append(batch)
            return sentence(
                "The result is ready. Inserting it would clear your redo history: redo first, or"
                " press {button}.",
                button=Remedy.INSERT.label,
            )
        try:
            self._put(batch, destination)
        except Exception as error:  # noqa: BLE001 - an adapter's fault must not lose the images
            log_exception("inserting results", error)
            self.undelivered.append(batch)
            batch.error = GenerationFailedError(
                "the result could not be inserted ({error})", error=error
            )
            return join_sentences(
                batch.error.sentence, sentence("it is kept: open it as a new document")
            )
        return None

    def _insert_deferred(self) -> None:
        """Insert deferred batches, as soon as that clears no redo history."""
        for batch in list(self.deferred):
            if batch.document.is_open and batch.document.can_redo is not False:
                continue
            self.deferred.remove(batch)
            self._report(self._place(batch) or sentence("Inserted: {group}.", group=batch.title))
            self._refresh()
        if self.deferred:
            self._loop.call_later(_POLL_REDO, self._insert_deferred)

    # ---- when the artist asks --------------------------------------------------------------

    def open_undelivered(self) -> None:
        """Open the undelivered batches as documents. What fails stays undelivered, and raises."""
        while self.undelivered:
            self._put(self.undelivered[0], Destination.OPEN)
            del self.undelivered[0]  # not before it is in a document

    def insert_deferred_now(self) -> None:
        """Insert the deferred batches. What fails stays deferred, and raises."""
        while self.deferred:
            batch = self.deferred.pop(0)  # before: the timer may go off meanwhile
            destination = _destination_of(batch, requested=True)
            try:
                self._put(batch, destination)
            except Exception:
                self.deferred.insert(0, batch)
                raise
            self._report(sentence("Inserted: {group}.", group=batch.title))

    def keep_preview(self) -> None:
        """Insert the last preview of the job that was cancelled."""
        batch, self.cancelled = self.cancelled, None
        preview = None if batch is None else batch.last_preview()
        if batch is None or preview is None:
            return
        try:
            batch.document.insert(batch.title, [preview], batch.into)
        except Exception as error:  # noqa: BLE001 - an adapter's fault must not lose the preview
            log_exception("inserting a preview", error)
            self.cancelled = batch
            self._report(sentence("The preview could not be inserted ({error}).", error=error))
        else:
            self._report(sentence("Kept: {layer}.", layer=preview.name))

    # ---- into a document -------------------------------------------------------------------

    def _put(self, batch: Batch, destination: Destination) -> None:
        """Insert results or open them as a document; then let the daemon forget them."""
        if destination is Destination.OPEN:
            batch.document.open_as_document(batch.title, batch.results)
            self._acknowledge(batch)
            self._report(sentence("Opened as a new document: {group}.", group=batch.title))
            return
        if batch.fetched and batch.job is not None:
            there = batch.document.inserted_images(batch.job.name)  # the editor died right after
            batch.results = [one for one in batch.results if one.index not in there]
        for result in batch.results:
            role = role_made(result.recipe)
            if role is not None:
                batch.document.insert_control_layer(result, role)
        painted = [one for one in batch.results if role_made(one.recipe) is None]
        if painted:
            batch.group = batch.document.insert(batch.title, painted, batch.into)
        self._acknowledge(batch)

    def _acknowledge(self, batch: Batch) -> None:
        """Let the daemon forget a job, unless it may have more results of it."""
        if batch.job is not None and not batch.given_up:
            self._forget(batch.job)
