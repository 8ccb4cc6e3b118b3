"""The session: what an editor has asked of the daemon, and what happens to the results.

There is one for the whole editor, whatever windows are opened and closed. What it needs of the
editor is in `contract`: an event loop, a listener, and documents. The session itself only connects
the parts:

- `tracker`: the jobs and the connection to the daemon
- `pump`: when the daemon's messages are handled
- `delivery`: where results go
- `daemon_access`: connects to the daemon, or starts one
- `job_inputs`: what a job is sent with
- `remedy` and `lists`: what a panel shows of all that
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from underpaint_client.control_layers import ControlPicture
from underpaint_client.errors import UnderpaintError, to_sentence
from underpaint_client.request import Request
from underpaint_client.rules import check_request
from underpaint_client.seeds import draw_seed
from underpaint_client.sentences import NO_TEXT, Sentence, sentence
from underpaint_client.styles import apply_style, find_style

from .batch import Batch
from .daemon_access import DaemonAccess
from .delivery import Delivery
from .job_inputs import read_inputs
from .launch import Launcher
from .layer_role import refuse_role
from .layers import describe_readiness
from .lists import (
    ListedChoice,
    QueueEntry,
    find_model,
    list_control_pictures,
    list_models,
    list_queue,
    list_styles,
)
from .log import log_event, log_exception
from .model_downloads import ModelDownloads
from .model_pictures import ModelPictures
from .notices import (
    Connected,
    Disconnected,
    DownloadNews,
    Ended,
    ImageReceived,
    ModelPictureReceived,
    ModelsListed,
    Notice,
    PreviewReceived,
    Progressed,
    PromptNamesListed,
    Refused,
    ResultsWaiting,
    skip_outdated,
)
from .prompt_names import PromptSources
from .prompts import PromptHistory
from .pump import Pump
from .remedy import Remedy, choose_remedy
from .tracker import JobTracker
from .waiting import WaitingResults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from underpaint_client.address import Address
    from underpaint_client.model_entry import ModelEntry

    from .contract import Document, EventLoop, Listener
    from .form import Form
    from .job import Job
    from .tag import Tag

_ASK_WAITING_AGAIN = 5000  # milliseconds in which the daemon has noticed that another editor died


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
    tracker : JobTracker, optional
        Without it, one that connects to the running daemon.
    launcher : Launcher, optional
        Without it, the daemon is started by the command that the installer has left.
    clock : callable
        Returns the seconds of a monotonic clock.
    """

    def __init__(
        self,
        editor: str,
        loop: EventLoop,
        listener: Listener,
        find_document: Callable[[Address], Document],
        *,
        tracker: JobTracker | None = None,
        launcher: Launcher | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tracker = tracker or JobTracker(editor)
        self.pump = Pump(loop, self.tracker, self.handle_notices, clock)
        self.models: tuple[ModelEntry, ...] = ()
        self.model_pictures = ModelPictures(self.tracker, self.pump)
        self.prompt_sources = PromptSources(self.tracker, self.pump, self.report)
        self.default_model = ""
        self.last_message: Sentence = NO_TEXT
        self.history = PromptHistory()
        self._loop, self._listener, self._clock = loop, listener, clock
        self._daemon = DaemonAccess(
            loop, self.tracker, self.pump, self.report, listener.refresh, launcher or Launcher()
        )
        self.downloads = ModelDownloads(self._daemon.send, self.report)
        self._delivery = Delivery(
            loop, self.tracker.acknowledge, self.report, listener.refresh, clock
        )
        self._waiting = WaitingResults(self.tracker, find_document)
        loop.call_later(0, self._daemon.connect)

    @property
    def running(self) -> bool:
        """Whether there are jobs."""
        return bool(self.tracker.jobs)

    @property
    def queue(self) -> list[QueueEntry]:
        """The jobs of this editor, the one that runs first; empty if there are fewer than two."""
        return list_queue(self.tracker.jobs.values())

    @property
    def model_choices(self) -> list[ListedChoice]:
        """What to offer for the form's model."""
        return list_models(self.models, self.default_model)

    @property
    def choices(self) -> dict[str, list[ListedChoice]]:
        """What to offer in the fields whose choices the daemon lists, by their names."""
        return {"style": list_styles(self.prompt_sources.styles), "model": self.model_choices}

    @property
    def control_pictures(self) -> list[ListedChoice]:
        """The kinds of control layers to offer to make of a layer."""
        return list_control_pictures(self.prompt_sources.control_pictures)

    def apply_style(self, request: Request) -> Request:
        """Return a request with what its style says; as it is while no styles are known.

        Raises
        ------
        BadInputError
            There is no such style, or it cannot be used.
        """
        styles = self.prompt_sources.styles
        if not (request.style and styles):
            return request
        return apply_style(request, find_style(request.style, styles))

    @property
    def remedy(self) -> Remedy | None:
        """What to offer on the button for remedies; None to hide it."""
        connected = self._daemon.is_connected
        return choose_remedy(
            undelivered=bool(self._delivery.undelivered),
            deferred=bool(self._delivery.deferred),
            has_preview=self._delivery.has_preview,
            waiting=bool(self._waiting),
            connected=connected,
            can_start=not connected and self._daemon.can_start,
        )

    def connect(self) -> None:
        """Connect to the daemon, if there is no connection; report it if there is no daemon."""
        self._daemon.connect()

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
            The form with the seed that was used; None if the job could not be sent: the listener
            was told why.
        """
        try:
            request = form.request(draw_seed())
            document = find_document()
            self.send(request, document, previews=form.previews, start=True)
        except UnderpaintError as error:
            self.report(to_sentence(error))
        else:
            sent = form.with_values(seed=request.sampling.seed or 0)
            document.save_form(sent.to_text())
            self.history.add(request.prompt.positive)
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
            None if it could not be sent; the listener was told why.
        """
        try:
            request = tag.variations(form.vary_amount, form.settings.sampling.images, draw_seed())
            source = find_source()
            batch = self.send(request, source, into=layer, previews=form.previews, start=True)
        except UnderpaintError as error:
            self.report(to_sentence(error))
            return None
        if tag.recipe is not None:
            facts = tag.recipe.facts
            batch.expected_source, batch.expected_model = facts.source_hash, facts.model_hash
        return batch

    def make_control_layer(self, kind: str, find_document: Callable[[], Document]) -> None:
        """Send the job of making a control layer from a layer.

        Parameters
        ----------
        kind : str
            One of `CONTROL_PICTURES`.
        find_document : callable
            Returns the document of the layer, or raises an `UnderpaintError`.
        """
        try:
            self.send(Request(control_picture=ControlPicture(kind)), find_document())
        except UnderpaintError as error:
            self.report(to_sentence(error))

    def send(
        self,
        request: Request,
        document: Document,
        *,
        into: Any = None,
        previews: bool = False,
        start: bool = False,
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
        start : bool
            Whether to start the daemon if none runs. The request waits for it.

        Raises
        ------
        UnderpaintError
            If it cannot be sent.
        """
        check_request(request)
        if not request.control_picture.kind:
            refuse_role(document.role)
        used = self.apply_style(request)
        waits = not self._daemon.open(start=start)
        model = find_model(self.models, self.default_model, used.sampling.model)
        request, frames = read_inputs(
            request,
            document,
            model.native if model else 0,
            edits=model is not None and model.recommended.edits,
        )
        batch = Batch(document, into, had_redo=document.can_redo is True, started=self._clock())
        self._delivery.cancelled = None
        note = document.address.to_text()
        job = self.tracker.submit(request, frames, batch, previews=previews, note=note, wait=waits)
        box = frames["layer"].box
        log_event(f"sent job {job.name}: {request.mode}, {box.width} x {box.height} pixels")
        self.pump.wake()
        self.pump.schedule_checks()
        if not waits:
            self.report(sentence("Sent."))
        self._listener.refresh()
        return batch

    def cancel(self, job: Job | None = None) -> None:
        """Cancel a job, or all of them. Their finished images are inserted."""
        for one in list(self.tracker.jobs.values()) if job is None else [job]:
            self.tracker.cancel(one)
        self.pump.run()
        self.pump.wake()

    def prefer(self, job: Job) -> None:
        """Run a job before the others in the queue."""
        self.tracker.prefer(job)
        self.pump.wake()

    def apply_remedy(self) -> None:
        """Do what `remedy` offers."""
        remedy = self.remedy
        try:
            if remedy is Remedy.START_DAEMON:
                self._daemon.start()
            elif remedy is Remedy.KEEP_PREVIEW:
                self._delivery.keep_preview()
            elif remedy is Remedy.OPEN_AS_DOCUMENT:
                self._delivery.open_undelivered()
            elif remedy is Remedy.INSERT:
                self._delivery.insert_deferred_now()
            elif remedy is Remedy.FETCH:
                self._waiting.fetch(self._clock())
                self.pump.wake()
                self.pump.schedule_checks()
        except Exception as error:  # noqa: BLE001 - an adapter's fault; the artist can try again
            log_exception("the remedy", error)
            self.report(sentence("That failed ({error}). Nothing is lost; try again.", error=error))
        self._listener.refresh()

    # ---- notices ---------------------------------------------------------------------------

    def handle_notices(self, notices: Iterable[Notice]) -> bool:
        """Handle notices in their order; return whether there were any.

        Of consecutive progress and previews, only the last are shown.
        """
        came = changed = False
        for notice in skip_outdated(notices):
            came = True
            if isinstance(notice, Progressed):
                self.report(notice.text)
                self._listener.show_progress(notice.fraction)
            elif isinstance(notice, PreviewReceived):
                self._show_preview(notice)
            elif isinstance(notice, DownloadNews):
                self.downloads.handle(notice.message)
            else:
                changed = True
                self._handle_notice(notice)
        if changed:
            self._listener.refresh()
        return came

    def _handle_notice(self, notice: Notice) -> None:
        """Handle a notice that changes the session's state."""
        if isinstance(notice, ImageReceived):
            notice.job.destination.add(notice)
        elif isinstance(notice, Ended):
            self._finish(notice)
        elif isinstance(notice, Refused):
            if not self.downloads.handle_error(notice.error):
                self.report(to_sentence(notice.error))
        else:
            self._handle_daemon_notice(notice)

    def _handle_daemon_notice(self, notice: Notice) -> None:
        """Handle a notice about the daemon."""
        if isinstance(notice, Connected):
            log_event("connected to the daemon")
            self.default_model = notice.default_model
            self.downloads.reconnect()
            self.model_pictures.clear()
            self.prompt_sources.connect(is_known=notice.prompt_names)
            # The daemon needs seconds to notice that an editor died.
            self._loop.call_later(_ASK_WAITING_AGAIN, self._daemon.ask_waiting)
            if notice.remark or not self.running:
                self.report(describe_readiness(notice.default_model, notice.remark))
        elif isinstance(notice, ResultsWaiting):
            self._waiting.offer(notice.jobs, self._delivery.present)
            if self._waiting and not self.running:
                self.report(self._waiting.describe())
        elif isinstance(notice, ModelsListed):
            self.models = notice.models
        elif isinstance(notice, PromptNamesListed):
            self.prompt_sources.add(notice.names)
        elif isinstance(notice, ModelPictureReceived):
            self.model_pictures.add(notice.model, notice.picture)
        elif isinstance(notice, Disconnected):
            log_event("the daemon was stopped" if notice.planned else "lost the daemon")
            self._daemon.report_unavailable(to_sentence(notice.error))
            if self.running and not notice.planned and self._daemon.can_start:
                self._daemon.start()

    def _show_preview(self, preview: PreviewReceived) -> None:
        self._listener.show_preview(preview.frame)
        preview.job.destination.show_preview(preview)

    def _finish(self, ended: Ended) -> None:
        ended.job.destination.remove_preview()
        if not self.running:
            self._listener.show_preview(None)
        self._delivery.finish(ended)

    def report(self, text: Sentence) -> None:
        """Show the artist a message."""
        self.last_message = text
        self._listener.show_message(text)
