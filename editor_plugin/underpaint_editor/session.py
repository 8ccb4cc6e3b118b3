"""The session: what an editor has asked of the daemon, and what happens to the results.

There is one for the whole editor, whatever windows come and go. What it needs of the editor is in
`contract`: an event loop, a listener, and documents.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from underpaint_client.address import Address
from underpaint_client.descriptions import STARTER_MESSAGE
from underpaint_client.errors import (
    CancelledError,
    DaemonUnavailableError,
    GenerationFailedError,
    UnderpaintError,
    to_sentence,
)
from underpaint_client.rules import STARTER_MODEL, check_request
from underpaint_client.seeds import draw_seed

from .batch import Batch
from .form import Form
from .jobs import (
    CHECK,
    Advanced,
    Ended,
    Greeted,
    Job,
    JobTracker,
    Lost,
    ModelsListed,
    Notice,
    Painted,
    Previewed,
    Refused,
    ResultsWait,
)
from .launch import start_command, start_daemon
from .layers import crop_preview, describe_job, describe_outcome, describe_waiting, name_group
from .log import log_event, log_exception
from .prompts import PromptHistory
from .survey import resolve_mode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from underpaint_client.messages import ModelEntry, WaitingJob
    from underpaint_client.request import Request

    from .contract import Document, EventLoop, Listener
    from .tag import Tag

_TURN = 0.02  # seconds that are spent on the daemon's messages before the editor has its turn,
_PAUSE = 0.03  # which is at least this long,
_LONGEST_PAUSE = 0.1  # and at most this, however long the messages took
_POLL_START = 100  # milliseconds
_POLL_REDO = 500  # milliseconds
_ASK_WAITING_AGAIN = 5000  # milliseconds in which the daemon has noticed that another editor died


class Remedy(Enum):
    """What the artist can do about the session's state with one button; the value is its label."""

    OPEN_AS_DOCUMENT = "Open as a new document"
    INSERT = "Insert the result"
    KEEP_PREVIEW = "Keep the preview"
    FETCH = "Fetch waiting results"
    START_DAEMON = "Start the daemon"

    @property
    def label(self) -> str:
        """The button's label, in plain English."""
        return self.value


@dataclass(frozen=True)
class ModelChoice:
    """A model to choose: its value in the form, what it is called, more, and whether it works."""

    value: str
    label: str
    tip: str = ""
    usable: bool = True


@dataclass(frozen=True)
class QueueEntry:
    """One of several jobs, in words, and whether it waits."""

    job: Job
    text: str
    waits: bool


class Session:
    """See the module.

    Parameters
    ----------
    editor : str
        Its name, for the daemon's log.
    loop : EventLoop
    listener : Listener
    find_document : callable
        Returns the document of an address; one that is not open if the editor has none.
    """

    def __init__(
        self,
        editor: str,
        loop: EventLoop,
        listener: Listener,
        find_document: Callable[[Address], Document],
    ) -> None:
        self.tracker = JobTracker(editor)
        self.models: tuple[ModelEntry, ...] = ()
        self.default_model = ""
        self.last_message = ""
        self.history = PromptHistory()
        self._loop = loop
        self._listener = listener
        self._find_document = find_document
        self._undelivered: list[Batch] = []
        self._deferred: list[Batch] = []  # until nothing can be redone
        self._waiting: list[WaitingJob] = []
        self._cancelled: Batch | None = None
        self._start_process: Any = None
        self._stop_watching: Callable[[], None] | None = None
        self._watched_fd = -1
        self._heartbeat_scheduled = False
        self._pausing = False
        self._resting = False
        loop.call_later(0, self._connect)

    @property
    def running(self) -> bool:
        """Whether there are jobs."""
        return bool(self.tracker.jobs)

    @property
    def queue(self) -> list[QueueEntry]:
        """The jobs of this editor, that which runs first; empty where there is but one."""
        jobs = sorted(self.tracker.jobs.values(), key=lambda job: job.position)
        if len(jobs) < 2:
            return []
        return [
            QueueEntry(job, describe_job(job.request.prompt, job.position), waits=job.position > 0)
            for job in jobs
        ]

    @property
    def model_choices(self) -> list[ModelChoice]:
        """What to offer for the form's model."""
        default = f"Default ({self.default_model})" if self.default_model else "Default"
        return [
            ModelChoice("", default),
            *(
                ModelChoice(m.name, m.name, m.problem or f"{m.native} pixels", not m.problem)
                for m in self.models
            ),
        ]

    @property
    def remedy(self) -> Remedy | None:
        """What to offer on the button for remedies; None to hide it."""
        if self._undelivered:
            return Remedy.OPEN_AS_DOCUMENT
        if self._deferred:
            return Remedy.INSERT
        if self._cancelled is not None and self._cancelled.document.is_open:
            return Remedy.KEEP_PREVIEW
        if self._waiting and self.tracker.fd is not None:
            return Remedy.FETCH
        away = self.tracker.fd is None and self._start_process is None
        return Remedy.START_DAEMON if away and start_command() else None

    # ---- the artist's actions ---------------------------------------------------------------

    def generate(self, form: Form, find_document: Callable[[], Document]) -> Form | None:
        """Send the job that the form describes.

        Parameters
        ----------
        form : Form
        find_document : callable
            Returns the document of the active layer, or raises an `UnderpaintError`.

        Returns
        -------
        Form or None
            The form with the seed that was used; None if the job could not be sent, which the
            listener was told.
        """
        try:
            request = form.request(draw_seed())
            document = find_document()
            self.send(request, document, previews=form.previews)
        except UnderpaintError as error:
            self.report(to_sentence(error))
        else:
            sent = replace(form, seed=request.seed or 0)
            document.save_form(sent.to_text())
            self.history.add(form.prompt)
            return sent
        return None

    def vary(
        self, tag: Tag, layer: Any, form: Form, find_source: Callable[[], Document]
    ) -> Batch | None:
        """Send a job for variations of a result.

        Parameters
        ----------
        tag : Tag
            What the result's layer carries.
        layer : any
            That layer: the variations are inserted above it.
        form : Form
            Says how far from it, and how many.
        find_source : callable
            Returns the document of the layer that it was made from.

        Returns
        -------
        Batch or None
            None if it could not be sent, which the listener was told.
        """
        try:
            request = tag.variations(form.vary_amount, form.images, draw_seed())
            batch = self.send(request, find_source(), into=layer, previews=form.previews)
        except UnderpaintError as error:
            self.report(to_sentence(error))
            return None
        if tag.recipe is not None:
            recipe = tag.recipe
            batch.expected_source, batch.expected_model = recipe.source_hash, recipe.model_hash
        return batch

    def send(
        self, request: Request, document: Document, *, into: Any = None, previews: bool = False
    ) -> Batch:
        """Send a request, with the pixels of a document.

        Parameters
        ----------
        request : Request
        document : Document
            Its layer is read, and the results are inserted into it.
        into : any
            As `Batch`.
        previews : bool
            Whether to show live previews.

        Raises
        ------
        UnderpaintError
            If it cannot be sent.
        """
        check_request(request)
        try:
            self.tracker.open()
        except DaemonUnavailableError as error:
            self._report_unavailable(to_sentence(error))
            raise
        model = request.model or self.default_model
        native = next((entry.native for entry in self.models if entry.name == model), 0)
        frames = document.read(native, whole=request.result == "layer")
        request = resolve_mode(request, frames, document.is_empty)
        batch, self._cancelled = Batch(document, into, had_redo=document.can_redo is True), None
        note = document.address.to_text()
        job = self.tracker.submit(request, frames, batch, previews=previews, note=note)
        box = frames["layer"].box
        log_event(f"sent job {job.name}: {request.mode}, {box.width} x {box.height} pixels")
        self._watch_connection()
        self._schedule_heartbeat()
        self.report("Sent.")
        self._listener.refresh()
        return batch

    def cancel(self, job: Job | None = None) -> None:
        """Cancel a job, or all of them. Their finished images are inserted."""
        for one in list(self.tracker.jobs.values()) if job is None else [job]:
            self.tracker.cancel(one)
        self._handle_events()
        self._watch_connection()

    def prefer(self, job: Job) -> None:
        """Run a job before the others in the queue."""
        self.tracker.prefer(job)
        self._watch_connection()

    def apply_remedy(self) -> None:
        """Do what `remedy` offers."""
        remedy = self.remedy
        if remedy is Remedy.START_DAEMON:
            self._start_daemon()
        if remedy is Remedy.KEEP_PREVIEW:
            self._keep_preview()
        try:
            while self._undelivered:
                self._open_as_document(self._undelivered[0])
                del self._undelivered[0]  # not before it is safe
            if remedy is Remedy.INSERT:
                while self._deferred:
                    self._insert_first_deferred()
            elif self.remedy is Remedy.FETCH:
                self._fetch()
        except Exception as error:  # noqa: BLE001 - whatever the editor has, it can be tried again
            log_exception("the remedy", error)
            self.report(f"That failed ({error}). Nothing is lost; try again.")
        self._listener.refresh()

    def _fetch(self) -> None:
        """Fetch results that an earlier start of this editor did not receive."""
        while self._waiting:
            waiting = self._waiting.pop(0)
            document = self._find_document(Address.from_text(waiting.note))
            self.tracker.fetch(waiting, Batch(document, fetched=True))
        self._watch_connection()
        self._schedule_heartbeat()

    # ---- the daemon ------------------------------------------------------------------------

    def _connect(self) -> None:
        try:
            self.tracker.open()
        except DaemonUnavailableError as error:
            self._report_unavailable(to_sentence(error))
        else:
            self._watch_connection()

    def _ask_waiting_again(self) -> None:
        """Ask again for waiting results: the daemon needs seconds to notice that an editor died."""
        self.tracker.ask_waiting()
        self._watch_connection()

    def _report_unavailable(self, why: str) -> None:
        if self.tracker.fd is None:
            self._unwatch()
        self.report(why)
        self._listener.refresh()

    def _watch_connection(self) -> None:
        if self.tracker.fd is None or self._resting:
            return
        self._watch(self.tracker.fd)
        # The descriptor tells of changes only: what came meanwhile is taken now.
        self._loop.call_later(0, self._handle_events)

    def _watch(self, fd: int) -> None:
        if self._stop_watching is None or self._watched_fd != fd:
            self._unwatch()
            self._watched_fd = fd
            self._stop_watching = self._loop.watch(fd, self._handle_events)

    def _unwatch(self) -> None:
        if self._stop_watching is not None:
            self._stop_watching()
            self._stop_watching = None

    def _handle_events(self) -> None:
        self._handle_notices_briefly(self.tracker.hear)

    def _handle_notices_briefly(self, listen: Callable[[float], Iterable[Notice]]) -> None:
        """Handle notices for a short time, then pause for as long.

        Otherwise a daemon that sends without end would keep the editor from drawing and from its
        own input. Nothing is handled during the call and the pause: an editor that handles events
        inside its own calls would let a later message overtake an earlier one.

        Parameters
        ----------
        listen : callable
            Takes seconds and returns notices: `JobTracker.hear` or `JobTracker.check`.
        """
        if self._pausing:
            return  # what has come is taken after the pause
        self._pausing, more, began = True, True, time.monotonic()
        try:
            more = self.handle_notices(listen(_TURN))
        finally:
            spent = time.monotonic() - began
            if more or spent >= _TURN:
                pause = min(max(spent, _PAUSE), _LONGEST_PAUSE)
                self._resting = True
                self._unwatch()  # it can be read all the while, and would keep the loop busy
                self._loop.call_later(int(1000 * pause), self._end_pause)
            else:
                self._pausing = False

    def _end_pause(self) -> None:
        self._pausing = self._resting = False
        if self.tracker.fd is not None:
            self._watch(self.tracker.fd)
        self._handle_events()

    def _schedule_heartbeat(self) -> None:
        if not self._heartbeat_scheduled:
            self._heartbeat_scheduled = True
            self._loop.call_later(int(1000 * CHECK), self._heartbeat)

    def _heartbeat(self) -> None:
        self._heartbeat_scheduled = False
        if self.running:
            try:
                self._handle_notices_briefly(self.tracker.check)
                self._watch_connection()
            finally:
                self._schedule_heartbeat()

    def _start_daemon(self) -> None:
        if self._start_process is not None:
            return
        try:
            self._start_process = start_daemon()
        except DaemonUnavailableError as error:
            log_exception("starting the daemon", error)
            self.report(to_sentence(error))
            return
        log_event("starting the daemon")
        self.report("Starting the daemon...")
        self._await_daemon()

    def _await_daemon(self) -> None:
        """Connect as soon as what starts the daemon has ended, which is when it runs."""
        if self._start_process.poll() is None:
            self._loop.call_later(_POLL_START, self._await_daemon)
            return
        message = self._start_process.communicate()[1].decode("utf-8", "replace").strip()
        self._start_process = None
        try:
            self.tracker.open()
        except DaemonUnavailableError as error:
            self._report_unavailable(f"The daemon could not be started: {message or error}")
        else:
            self._watch_connection()
            self._listener.refresh()

    def handle_notices(self, notices: Iterable[Notice]) -> bool:
        """Handle notices in their order; return whether there were any.

        Of consecutive progress and previews, only the last are shown.
        """
        advanced: Advanced | None = None
        previews: dict[str, Previewed] = {}
        came = changed = False
        for notice in notices:
            came = True
            if isinstance(notice, Advanced):
                advanced = notice
            elif isinstance(notice, Previewed):
                notice.job.about.latest_preview = notice
                previews[notice.job.name] = notice
            else:
                self._show_latest(advanced, previews)
                advanced, changed = None, True
                self._handle_notice(notice)
        self._show_latest(advanced, previews)
        if changed:
            self._listener.refresh()
        return came

    def _show_latest(self, advanced: Advanced | None, previews: dict[str, Previewed]) -> None:
        """Show progress and previews, and clear the previews."""
        if advanced is not None:
            self.report(advanced.text)
            self._listener.show_progress(advanced.fraction)
        for previewed in previews.values():
            self._show_preview(previewed)
        previews.clear()

    def _handle_notice(self, notice: Notice) -> None:
        """Handle a notice that changes the session's state."""
        if isinstance(notice, Painted):
            notice.job.about.add(notice)
        elif isinstance(notice, Ended):
            self._finish(notice)
        elif isinstance(notice, Refused):
            self.report(to_sentence(notice.error))
        else:
            self._handle_daemon_notice(notice)

    def _handle_daemon_notice(self, notice: Notice) -> None:
        """Handle a notice about the daemon."""
        if isinstance(notice, Greeted):
            log_event("connected to the daemon")
            self.default_model = notice.default_model
            self._loop.call_later(_ASK_WAITING_AGAIN, self._ask_waiting_again)
            if notice.remark:
                self.report(f"{notice.remark[:1].upper()}{notice.remark[1:]}.")
            elif not self.running:
                self.report(self._describe_readiness())
        elif isinstance(notice, ResultsWait):
            self._offer_waiting(notice.jobs)
        elif isinstance(notice, ModelsListed):
            self.models = notice.models
        elif isinstance(notice, Lost):
            log_event("the daemon was stopped" if notice.meant else "lost the daemon")
            self._report_unavailable(to_sentence(notice.error))
            if self.running and not notice.meant and start_command():
                self._start_daemon()

    def _offer_waiting(self, jobs: Iterable[WaitingJob]) -> None:
        """Offer the waiting results of this editor that are not here already."""
        kept = [*self._undelivered, *self._deferred]
        here = {batch.job.name for batch in kept if batch.job is not None}
        addresses = {job.job: Address.from_text(job.note) for job in jobs}
        self._waiting = [
            job
            for job in jobs
            if addresses[job.job].editor == self.tracker.editor and job.job not in here
        ]
        if self._waiting and not self.running:
            self.report(describe_waiting([addresses[job.job].document for job in self._waiting]))

    def _describe_readiness(self) -> str:
        if self.default_model == STARTER_MODEL:
            return f"{STARTER_MESSAGE}: put its folder into Underpaint's models folder."
        return "Ready." if self.default_model else "No model is installed."

    # ---- results ---------------------------------------------------------------------------

    def _show_preview(self, previewed: Previewed) -> None:
        batch: Batch = previewed.job.about
        self._listener.show_preview(previewed.frame)
        cropped = crop_preview(previewed.frame, previewed.area)
        if cropped is not None and batch.document.is_open:
            try:
                batch.document.show_preview(*cropped)
            except Exception as error:  # noqa: BLE001 - the job goes on without its preview
                log_exception("showing a preview", error)

    def _finish(self, ended: Ended) -> None:
        batch: Batch = ended.job.about
        batch.job, batch.given_up, batch.error = ended.job, ended.given_up, ended.error
        try:
            batch.document.remove_preview()
        except Exception as error:  # noqa: BLE001 - the results matter more
            log_exception("removing a preview", error)
        if not self.running:
            self._listener.show_preview(None)
        try:
            message = self._deliver(ended, batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the pictures must not be lost
            log_exception("processing results", error)
            message = f"The result could not be processed ({error})."
            batch.error = batch.error or GenerationFailedError(message)
            if batch.results and batch not in self._undelivered:
                self._undelivered.append(batch)
        batch.ended = True
        how = "done" if ended.error is None else ended.error.code
        log_event(f"job {ended.job.name} ended: {how}, {len(batch.results)} images")
        self.report(message)

    def _deliver(self, ended: Ended, batch: Batch) -> str:
        """Insert the results of a job, and return a message about how it ended."""
        came, request = len(batch.results), ended.job.request
        notes = [
            *batch.notes,
            *(batch.document.placement_notes() if batch.document.is_open else ()),
        ]
        if ended.job.remark and ended.error is not None:
            notes.append(ended.job.remark)
        message = describe_outcome(request.images, came, time.monotonic() - batch.started, notes)
        if isinstance(ended.error, CancelledError):
            told = to_sentence(ended.error)  # it may say who that was
            message = f"{told} {message}" if came else told
        elif ended.error is not None:
            message = to_sentence(ended.error)
        if came:
            batch.title = name_group(
                request.prompt, request.seed or 0, 1 if request.variation_amount else came
            )
            message = self._insert(batch) or message
        elif not ended.given_up:
            self.tracker.take(ended.job)
        if isinstance(ended.error, CancelledError) and batch.latest_preview is not None:
            batch.title = batch.title or name_group(request.prompt, request.seed or 0, 1)
            self._cancelled = batch
        return message

    def _insert(self, batch: Batch) -> str:
        """Insert results, or keep them and return a message that says why; else an empty one."""
        if not batch.document.is_open and not batch.fetched:
            self._undelivered.append(batch)
            return "The document was closed. Its result is kept: open it as a new document."
        if batch.clears_redo:
            if not self._deferred:
                self._loop.call_later(_POLL_REDO, self._insert_deferred)
            self._deferred.append(batch)
            return (
                "The result is ready. Inserting it would clear your redo history: redo first, or"
                f" press {Remedy.INSERT.label}."
            )
        try:
            self._insert_or_open(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the pictures must not be lost
            log_exception("inserting results", error)
            self._undelivered.append(batch)
            batch.error = GenerationFailedError(f"the result could not be inserted ({error})")
            return f"{to_sentence(batch.error)} It is kept: open it as a new document."
        return ""

    def _insert_first_deferred(self) -> None:
        """Insert the first deferred batch, even if that clears the redo history."""
        batch = self._deferred.pop(0)  # before: `_insert_deferred` may be called meanwhile
        try:
            self._insert_or_open(batch)
        except Exception:
            self._deferred.insert(0, batch)
            raise
        self.report(f"Inserted: {batch.title}.")

    def _insert_deferred(self) -> None:
        """Insert deferred batches, as soon as that does not clear the redo history."""
        for batch in list(self._deferred):
            if batch.document.is_open and batch.document.can_redo is not False:
                continue
            self._deferred.remove(batch)
            self.report(self._insert(batch) or f"Inserted: {batch.title}.")
            self._listener.refresh()
        if self._deferred:
            self._loop.call_later(_POLL_REDO, self._insert_deferred)

    def _insert_or_open(self, batch: Batch) -> None:
        """Insert results, or open them as a document; then let the daemon forget them."""
        if not batch.document.is_open:
            self._open_as_document(batch)
            return
        if batch.fetched and batch.job is not None:
            there = batch.document.inserted_images(batch.job.name)  # the editor died right after
            batch.results = [one for one in batch.results if one.index not in there]
        if batch.results:
            batch.group = batch.document.insert(batch.title, batch.results, batch.into)
        self._acknowledge(batch)

    def _open_as_document(self, batch: Batch) -> None:
        batch.document.open_as_document(batch.title, batch.results)
        self._acknowledge(batch)
        self.report(f"Opened as a new document: {batch.title}.")

    def _acknowledge(self, batch: Batch) -> None:
        """Tell the daemon to forget a job, unless it may have more results of it."""
        if batch.job is not None and not batch.given_up:
            self.tracker.take(batch.job)

    def _keep_preview(self) -> None:
        """Insert the last preview of the job that was cancelled."""
        batch, self._cancelled = self._cancelled, None
        preview = None if batch is None else batch.last_preview()
        if batch is None or preview is None:
            return
        try:
            batch.document.insert(batch.title, [preview], batch.into)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not be lost
            log_exception("inserting a preview", error)
            self._cancelled = batch
            self.report(f"The preview could not be inserted ({error}).")
        else:
            self.report(f"Kept: {preview.name}.")

    def report(self, text: str) -> None:
        """Show the artist a message."""
        self.last_message = text
        self._listener.show_message(text)
