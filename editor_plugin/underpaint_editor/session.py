"""The session: what an editor has asked of the daemon, and what comes of it.

There is one in each editor, whatever windows come and go. It needs three things of the editor:
an event loop, places to read layers from and insert results into, and somebody to tell.
"""

from __future__ import annotations

import time
from contextlib import suppress
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
from .layers import crop_preview, describe_end, describe_job, describe_waiting, name_group
from .prompts import PromptHistory
from .survey import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    from underpaint_client.frames import Frame
    from underpaint_client.messages import ModelEntry, WaitingJob
    from underpaint_client.request import Request

    from .batch import Place
    from .tag import Tag

    class Loop(Protocol):
        """An editor's event loop."""

        def watch(self, fd: int, call: Callable[[], None]) -> Callable[[], None]:
            """Call whenever the descriptor can be read; return what ends that."""

        def later(self, milliseconds: int, call: Callable[[], None]) -> None:
            """Call once, not before the present call is over."""

    class Listener(Protocol):
        """Who shows what the session says."""

        def said(self, text: str) -> None:
            """Take what the artist should know now: one sentence or a few."""

        def moved(self, fraction: float | None) -> None:
            """Take how far the job that runs is, 0..1; None where nobody can know."""

        def previewed(self, frame: Frame | None) -> None:
            """Take what the picture looks like so far: RGBA, u1; None where nothing runs."""

        def changed(self) -> None:
            """Look again: jobs, models or `remedy` are others than before."""


_AT_ONCE = 0.02  # seconds that are spent on the daemon's messages before the editor has its turn,
_REST = 0.03  # which is at least this long,
_LONGEST_REST = 0.1  # and at most this, however long the messages took
_LOOK_AGAIN = 100  # milliseconds
_LOOK_FOR_REDO = 500  # milliseconds
_ASK_AGAIN = 5000  # milliseconds in which the daemon has noticed that another editor died


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
    loop : Loop
        The editor's.
    listener : Listener
        Is told of everything.
    find_place : callable
        Gives the place of an address; one that is not open where there is no such.
    """

    def __init__(
        self, editor: str, loop: Loop, listener: Listener, find_place: Callable[[Address], Place]
    ) -> None:
        self.tracker = JobTracker(editor)
        self.models: tuple[ModelEntry, ...] = ()
        self.default_model = ""
        self.last_said = ""
        self.history = PromptHistory()
        self._loop = loop
        self._listener = listener
        self._find_place = find_place
        self._homeless: list[Batch] = []
        self._held: list[Batch] = []  # until nothing can be redone
        self._waiting: list[WaitingJob] = []
        self._stopped: Batch | None = None
        self._starting: Any = None
        self._unwatch: Callable[[], None] | None = None
        self._watched = -1
        self._beating = False
        self._pausing = False
        loop.later(0, self._greet)

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
        if self._homeless:
            return Remedy.OPEN_AS_DOCUMENT
        if self._held:
            return Remedy.INSERT
        if self._stopped is not None and self._stopped.place.open:
            return Remedy.KEEP_PREVIEW
        if self._waiting and self.tracker.fd is not None:
            return Remedy.FETCH
        away = self.tracker.fd is None and self._starting is None
        return Remedy.START_DAEMON if away and start_command() else None

    # ---- what the artist does --------------------------------------------------------------

    def generate(self, form: Form, find_place: Callable[[], Place]) -> Form | None:
        """Send off what the form asks for.

        Parameters
        ----------
        form : Form
        find_place : callable
            Gives the active layer's place, or raises an `UnderpaintError`.

        Returns
        -------
        Form or None
            The form with the seed that was drawn; None where it could not be sent, which was said.
        """
        try:
            request = form.request(draw_seed())
            place = find_place()
            self.send(request, place, previews=form.previews)
        except UnderpaintError as error:
            self._say(to_sentence(error))
        else:
            sent = replace(form, seed=request.seed or 0)
            place.remember(sent.to_text())
            self.history.add(form.prompt)
            return sent
        return None

    def vary(
        self, tag: Tag, layer: Any, form: Form, find_source: Callable[[], Place]
    ) -> Batch | None:
        """Send off for variations of a result.

        Parameters
        ----------
        tag : Tag
            What the result's layer carries.
        layer : any
            That layer: the variations come to lie beside it.
        form : Form
            Says how far from it, and how many.
        find_source : callable
            Gives the place of the layer that it was made from.

        Returns
        -------
        Batch or None
            None where it could not be sent, which was said.
        """
        try:
            request = tag.variations(form.vary_amount, form.images, draw_seed())
            batch = self.send(request, find_source(), into=layer, previews=form.previews)
        except UnderpaintError as error:
            self._say(to_sentence(error))
            return None
        if tag.recipe is not None:
            batch.expected, batch.expected_model = tag.recipe.source_hash, tag.recipe.model_hash
        return batch

    def send(
        self, request: Request, place: Place, *, into: Any = None, previews: bool = False
    ) -> Batch:
        """Send a request off, with the pixels of a place.

        Parameters
        ----------
        request : Request
        place : Place
            Whose layer is read, and to which the results go.
        into : any
            As `Batch`.
        previews : bool
            Whether the listener is shown what comes of it meanwhile.

        Raises
        ------
        UnderpaintError
            Where it cannot be sent.
        """
        check_request(request)
        try:
            self.tracker.open()
        except DaemonUnavailableError as error:
            self._away(to_sentence(error))
            raise
        model = request.model or self.default_model
        native = next((entry.native for entry in self.models if entry.name == model), 0)
        frames = place.read(native, whole=request.result == "layer")
        request = settle(request, frames, place.has_nothing)
        batch, self._stopped = Batch(place, into, had_redo=place.can_redo is True), None
        self.tracker.submit(request, frames, batch, previews=previews, note=place.address.to_text())
        self._listen()
        self._beat_later()
        self._say("Sent.")
        self._listener.changed()
        return batch

    def cancel(self, job: Job | None = None) -> None:
        """Ask for a job to stop, or for all; what has come of them stays."""
        for one in list(self.tracker.jobs.values()) if job is None else [job]:
            self.tracker.cancel(one)
        self._hear()
        self._listen()

    def prefer(self, job: Job) -> None:
        """Ask for a job to be the next."""
        self.tracker.prefer(job)
        self._listen()

    def put_right(self) -> None:
        """Do what `remedy` says."""
        remedy = self.remedy
        if remedy is Remedy.START_DAEMON:
            self._start_daemon()
        if remedy is Remedy.KEEP_PREVIEW:
            self._keep_preview()
        try:
            while self._homeless:
                self._open_as_document(self._homeless[0])
                del self._homeless[0]  # not before it is safe
            if remedy is Remedy.INSERT:
                while self._held:
                    self._put_held()
            elif self.remedy is Remedy.FETCH:
                self._fetch()
        except Exception as error:  # noqa: BLE001 - whatever the editor has, it can be tried again
            self._say(f"That failed ({error}). Nothing is lost; try again.")
        self._listener.changed()

    def _fetch(self) -> None:
        """Ask for what an earlier start of this editor did not live to see."""
        while self._waiting:
            waiting = self._waiting.pop(0)
            place = self._find_place(Address.from_text(waiting.note))
            self.tracker.fetch(waiting, Batch(place, fetched=True))
        self._listen()
        self._beat_later()

    # ---- the daemon ------------------------------------------------------------------------

    def _greet(self) -> None:
        try:
            self.tracker.open()
        except DaemonUnavailableError as error:
            self._away(to_sentence(error))
        else:
            self._listen()

    def _ask_again(self) -> None:
        """Ask once more what waits: whose editor died just before is not known at once."""
        self.tracker.ask_waiting()
        self._listen()

    def _away(self, why: str) -> None:
        if self.tracker.fd is None and self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        self._say(why)
        self._listener.changed()

    def _listen(self) -> None:
        fd = self.tracker.fd
        if fd is None:
            return
        if self._unwatch is None or self._watched != fd:
            if self._unwatch is not None:
                self._unwatch()
            self._watched = fd
            self._unwatch = self._loop.watch(fd, self._hear)
        # The descriptor tells of changes only: what came meanwhile is taken now.
        self._loop.later(0, self._hear)

    def _hear(self) -> None:
        self._take_turn(self.tracker.hear)

    def _take_turn(self, listen: Callable[[float], Iterable[Notice]]) -> None:
        """Take what the daemon has said for a short while, then leave the editor as long.

        Otherwise a daemon that speaks as fast as it is heard would keep the editor from painting
        and from its own input. Nothing is taken meanwhile: an editor that handles events inside of
        its own calls would let a later message overtake an earlier one.

        Parameters
        ----------
        listen : callable
            Takes seconds and gives notices: `JobTracker.hear` or `JobTracker.check`.
        """
        if self._pausing:
            return  # what has come is taken after the pause
        self._pausing, more, began = True, True, time.monotonic()
        try:
            more = self._heed(listen(_AT_ONCE))
        finally:
            spent = time.monotonic() - began
            if more or spent >= _AT_ONCE:
                pause = min(max(spent, _REST), _LONGEST_REST)
                self._loop.later(int(1000 * pause), self._end_pause)
            else:
                self._pausing = False

    def _end_pause(self) -> None:
        self._pausing = False
        self._hear()

    def _beat_later(self) -> None:
        if not self._beating:
            self._beating = True
            self._loop.later(int(1000 * CHECK), self._beat)

    def _beat(self) -> None:
        self._beating = False
        if self.running:
            try:
                self._take_turn(self.tracker.check)
                self._listen()
            finally:
                self._beat_later()

    def _start_daemon(self) -> None:
        if self._starting is not None:
            return
        try:
            self._starting = start_daemon()
        except DaemonUnavailableError as error:
            self._say(to_sentence(error))
            return
        self._say("Starting the daemon...")
        self._look_for_daemon()

    def _look_for_daemon(self) -> None:
        """Connect as soon as what starts the daemon has ended, which is when it runs."""
        if self._starting.poll() is None:
            self._loop.later(_LOOK_AGAIN, self._look_for_daemon)
            return
        told = self._starting.communicate()[1].decode("utf-8", "replace").strip()
        self._starting = None
        try:
            self.tracker.open()
        except DaemonUnavailableError as error:
            self._away(f"The daemon could not be started: {told or error}")
        else:
            self._listen()
            self._listener.changed()

    def _heed(self, notices: Iterable[Notice]) -> bool:
        """Take notices in their order; return whether there were any.

        Of progress and previews that follow each other only the last are shown.
        """
        advanced: Advanced | None = None
        previews: dict[str, Previewed] = {}
        came = changed = False
        for notice in notices:
            came = True
            if isinstance(notice, Advanced):
                advanced = notice
            elif isinstance(notice, Previewed):
                notice.job.about.seen = notice
                previews[notice.job.name] = notice
            else:
                self._show(advanced, previews)
                advanced, changed = None, True
                self._take(notice)
        self._show(advanced, previews)
        if changed:
            self._listener.changed()
        return came

    def _show(self, advanced: Advanced | None, previews: dict[str, Previewed]) -> None:
        """Show how far things are, and forget the previews."""
        if advanced is not None:
            self._say(advanced.text)
            self._listener.moved(advanced.fraction)
        for previewed in previews.values():
            self._preview(previewed)
        previews.clear()

    def _take(self, notice: Notice) -> None:
        """Take a notice after which things are others than before."""
        if isinstance(notice, Painted):
            notice.job.about.add(notice)
        elif isinstance(notice, Ended):
            self._end(notice)
        elif isinstance(notice, Refused):
            self._say(to_sentence(notice.error))
        else:
            self._take_news(notice)

    def _take_news(self, notice: Notice) -> None:
        """Take a notice of the daemon itself."""
        if isinstance(notice, Greeted):
            self.default_model = notice.default_model
            self._loop.later(_ASK_AGAIN, self._ask_again)
            if notice.remark:
                self._say(f"{notice.remark[:1].upper()}{notice.remark[1:]}.")
            elif not self.running:
                self._say(self._ready())
        elif isinstance(notice, ResultsWait):
            self._offer(notice.jobs)
        elif isinstance(notice, ModelsListed):
            self.models = notice.models
        elif isinstance(notice, Lost):
            self._away(to_sentence(notice.error))
            if self.running and not notice.meant and start_command():
                self._start_daemon()

    def _offer(self, jobs: Iterable[WaitingJob]) -> None:
        """Offer what waits for this editor, not for another one, nor lies here already."""
        kept = [*self._homeless, *self._held]
        here = {batch.job.name for batch in kept if batch.job is not None}
        addresses = {job.job: Address.from_text(job.note) for job in jobs}
        self._waiting = [
            job
            for job in jobs
            if addresses[job.job].editor == self.tracker.editor and job.job not in here
        ]
        if self._waiting and not self.running:
            self._say(describe_waiting([addresses[job.job].document for job in self._waiting]))

    def _ready(self) -> str:
        if self.default_model == STARTER_MODEL:
            return f"{STARTER_MESSAGE}: put its folder into Underpaint's models folder."
        return "Ready." if self.default_model else "No model is installed."

    # ---- what comes of it ------------------------------------------------------------------

    def _preview(self, previewed: Previewed) -> None:
        batch: Batch = previewed.job.about
        self._listener.previewed(previewed.frame)
        cropped = crop_preview(previewed.frame, previewed.area)
        if cropped is not None and batch.place.open:
            with suppress(Exception):  # whatever the editor has against it, the job goes on
                batch.place.show_preview(*cropped)

    def _end(self, ended: Ended) -> None:
        batch: Batch = ended.job.about
        batch.job, batch.given_up, batch.error = ended.job, ended.given_up, ended.error
        with suppress(Exception):
            batch.place.end_preview()
        if not self.running:
            self._listener.previewed(None)
        try:
            told = self._settle(ended, batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the pictures must not be lost
            told = f"The result could not be processed ({error})."
            batch.error = batch.error or GenerationFailedError(told)
            if batch.results and batch not in self._homeless:
                self._homeless.append(batch)
        batch.ended = True
        self._say(told)

    def _settle(self, ended: Ended, batch: Batch) -> str:
        """Put what came into its place, and return how the run ended."""
        came, request = len(batch.results), ended.job.request
        notes = [*batch.notes, *(batch.place.remarks() if batch.place.open else ())]
        if ended.job.remark and ended.error is not None:
            notes.append(ended.job.remark)
        told = describe_end(request.images, came, time.monotonic() - batch.began, notes)
        if isinstance(ended.error, CancelledError):
            told = f"Cancelled. {told}" if came else "Cancelled."
        elif ended.error is not None:
            told = to_sentence(ended.error)
        if came:
            batch.title = name_group(
                request.prompt, request.seed or 0, 1 if request.variation_amount else came
            )
            told = self._insert(batch) or told
        elif not ended.given_up:
            self.tracker.take(ended.job)
        if isinstance(ended.error, CancelledError) and batch.seen is not None:
            batch.title = batch.title or name_group(request.prompt, request.seed or 0, 1)
            self._stopped = batch
        return told

    def _insert(self, batch: Batch) -> str:
        """Insert what came, or keep it where that cannot be; return why, or nothing."""
        if not batch.place.open and not batch.fetched:
            self._homeless.append(batch)
            return "The document was closed. Its result is kept: open it as a new document."
        if batch.ends_redo:
            if not self._held:
                self._loop.later(_LOOK_FOR_REDO, self._insert_held)
            self._held.append(batch)
            return (
                "The result is ready. Inserting it would clear your redo history: redo first, or"
                f" press {Remedy.INSERT.label}."
            )
        try:
            self._put(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, the pictures must not be lost
            self._homeless.append(batch)
            batch.error = GenerationFailedError(f"the result could not be inserted ({error})")
            return f"{to_sentence(batch.error)} It is kept: open it as a new document."
        return ""

    def _put_held(self) -> None:
        """Put the first that was held back into its place, whatever that clears."""
        batch = self._held.pop(0)  # before: `_insert_held` may be called meanwhile
        try:
            self._put(batch)
        except Exception:
            self._held.insert(0, batch)
            raise
        self._say(f"Inserted: {batch.title}.")

    def _insert_held(self) -> None:
        """Insert what was held back, as soon as that clears nothing."""
        for batch in list(self._held):
            if batch.place.open and batch.place.can_redo is not False:
                continue
            self._held.remove(batch)
            self._say(self._insert(batch) or f"Inserted: {batch.title}.")
            self._listener.changed()
        if self._held:
            self._loop.later(_LOOK_FOR_REDO, self._insert_held)

    def _put(self, batch: Batch) -> None:
        """Put results into their document, or one of their own; then the daemon may forget them."""
        if not batch.place.open:
            self._open_as_document(batch)
            return
        if batch.fetched and batch.job is not None:
            there = batch.place.has(batch.job.name)  # the editor died right after
            batch.results = [one for one in batch.results if one.index not in there]
        if batch.results:
            batch.group = batch.place.insert(batch.title, batch.results, batch.into)
        self._let_go(batch)

    def _open_as_document(self, batch: Batch) -> None:
        batch.place.open_as_document(batch.title, batch.results)
        self._let_go(batch)

    def _let_go(self, batch: Batch) -> None:
        """Tell the daemon that it may forget a job, unless more of it is to come."""
        if batch.job is not None and not batch.given_up:
            self.tracker.take(batch.job)

    def _keep_preview(self) -> None:
        """Insert what a job that was cancelled had come to."""
        batch, self._stopped = self._stopped, None
        preview = None if batch is None else batch.last_preview()
        if batch is None or preview is None:
            return
        try:
            batch.place.insert(batch.title, [preview], batch.into)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not be lost
            self._stopped = batch
            self._say(f"The preview could not be inserted ({error}).")
        else:
            self._say(f"Kept: {preview.name}.")

    def tell(self, text: str) -> None:
        """Say something that the editor has done itself."""
        self._say(text)

    def _say(self, text: str) -> None:
        self.last_said = text
        self._listener.said(text)
