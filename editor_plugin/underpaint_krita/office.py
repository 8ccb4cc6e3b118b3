"""The office: what this Krita has asked of the daemon, for all its windows.

There is one, whatever windows come and go; dockers show what it says and press its buttons.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from underpaint_client.desk import (
    CHECK,
    Advanced,
    Desk,
    Ended,
    Greeted,
    Lost,
    ModelsListed,
    Notice,
    Painted,
    Refused,
)
from underpaint_client.errors import (
    CancelledError,
    DaemonUnavailableError,
    UnderpaintError,
    to_sentence,
)
from underpaint_client.form import Form, draw_seed
from underpaint_client.launch import start_command, start_daemon
from underpaint_client.layers import describe_end, name_group, name_layer
from underpaint_client.rules import STARTER_MESSAGE, STARTER_MODEL, check_request
from underpaint_client.survey import settle
from underpaint_client.wire import Frame, ModelEntry

from . import canvas
from .qt import QtCore

_LOOK_AGAIN = 100  # milliseconds
_START = "Start the daemon"
_OPEN = "Open as a new document"


@dataclass
class Batch:
    """What has come of a job, and where it goes."""

    place: canvas.Place
    results: list[tuple[str, Frame]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    title: str = ""
    began: float = field(default_factory=time.monotonic)

    def add(self, painted: Painted) -> None:
        """Keep a picture."""
        recipe = painted.picture.recipe
        self.results.append((name_layer(recipe), painted.frame))
        self.notes += [note for note in recipe.notes if note not in self.notes]


class Office(QtCore.QObject):
    """See the module; `office` gives the one there is."""

    said = QtCore.pyqtSignal(str)
    """What the artist should know now: one sentence or a few."""

    moved = QtCore.pyqtSignal(object)
    """How far the job that runs is, 0..1; None where nobody can know."""

    changed = QtCore.pyqtSignal()
    """Jobs, models or `remedy` are others than before."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk("Krita")
        self.models: tuple[ModelEntry, ...] = ()
        self.default_model = ""
        self.last_said = ""
        self._homeless: list[Batch] = []
        self._starting: Any = None
        self._notifier: Any = None
        self._watched = -1
        self._heart = QtCore.QTimer(self)
        self._heart.setInterval(int(1000 * CHECK))
        self._heart.timeout.connect(self._beat)
        QtCore.QTimer.singleShot(0, self._greet)

    @property
    def running(self) -> bool:
        """Whether there are jobs."""
        return bool(self.desk.jobs)

    @property
    def remedy(self) -> str:
        """What a button could do about the state things are in; empty where they are well."""
        if self._homeless:
            return _OPEN
        away = self.desk.fd is None and self._starting is None
        return _START if away and start_command() else ""

    # ---- what the artist does --------------------------------------------------------------

    def generate(self, form: Form) -> Form | None:
        """Send off what the form asks for, on the active layer.

        Returns
        -------
        Form or None
            The form with the seed that was drawn; None where it could not be sent, which was said.
        """
        try:
            return self._generate(form)
        except DaemonUnavailableError as error:
            self._away(to_sentence(error))
        except UnderpaintError as error:
            self._say(to_sentence(error))
        return None

    def cancel(self) -> None:
        """Ask for all jobs to stop; what has come of them stays."""
        for job in list(self.desk.jobs.values()):
            self.desk.cancel(job)
        self._listen()

    def put_right(self) -> None:
        """Do what `remedy` says."""
        if self.remedy == _START:
            self._start_daemon()
        while self._homeless:
            batch = self._homeless[0]
            canvas.open_as_document(batch.place.canvas.extent, batch.title, batch.results)
            del self._homeless[0]  # not before it is safe
        self.changed.emit()

    def _generate(self, form: Form) -> Form:
        request = form.request(draw_seed())
        check_request(request)
        place = canvas.Place.of_active()
        self.desk.open()
        model = form.model or self.default_model
        native = next((entry.native for entry in self.models if entry.name == model), 0)
        frames = canvas.read_layer(place, native, whole=form.result == "layer")
        request = settle(request, frames, nothing=canvas.has_nothing(place))
        self.desk.submit(request, frames, Batch(place))
        self._listen()
        self._heart.start()
        self._say("Sent.")
        self.changed.emit()
        sent = replace(form, seed=request.seed or 0)
        place.remember(sent.to_text())
        return sent

    # ---- the daemon ------------------------------------------------------------------------

    def _greet(self) -> None:
        try:
            self.desk.open()
        except DaemonUnavailableError:
            self._away("The Underpaint daemon is not running.")
        else:
            self._listen()

    def _away(self, why: str) -> None:
        if self.desk.fd is None and self._notifier is not None:
            self._notifier.setEnabled(False)
            self._notifier.deleteLater()
            self._notifier = None
        self._say(why)
        self.changed.emit()

    def _listen(self) -> None:
        fd = self.desk.fd
        if fd is None:
            return
        if self._notifier is None or self._watched != fd:
            self._watched = fd
            self._notifier = QtCore.QSocketNotifier(fd, QtCore.QSocketNotifier.Type.Read, self)
            self._notifier.activated.connect(lambda *_: self._heed(self.desk.hear()))
        # The descriptor tells of changes only: what came meanwhile is taken now.
        QtCore.QTimer.singleShot(0, lambda: self._heed(self.desk.hear()))

    def _beat(self) -> None:
        self._heed(self.desk.check())
        self._listen()

    def _start_daemon(self) -> None:
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
            QtCore.QTimer.singleShot(_LOOK_AGAIN, self._look_for_daemon)
            return
        told = self._starting.communicate()[1].decode("utf-8", "replace").strip()
        self._starting = None
        try:
            self.desk.open()
        except DaemonUnavailableError as error:
            self._away(f"The daemon does not start: {told or error}")
        else:
            self._listen()
            self.changed.emit()

    def _heed(self, notices: Iterable[Notice]) -> None:
        for notice in notices:
            if isinstance(notice, Greeted):
                self.default_model = notice.default_model
                if not self.running:
                    self._say(self._ready())
            elif isinstance(notice, ModelsListed):
                self.models = notice.models
            elif isinstance(notice, Advanced):
                self._say(notice.text)
                self.moved.emit(notice.fraction)
                continue  # nothing that a docker has to look at again
            elif isinstance(notice, Painted):
                notice.job.about.add(notice)
            elif isinstance(notice, Ended):
                self._end(notice)
            elif isinstance(notice, Refused):
                self._say(to_sentence(notice.error))
            elif isinstance(notice, Lost):
                self._away(to_sentence(notice.error))
            self.changed.emit()

    def _ready(self) -> str:
        if self.default_model == STARTER_MODEL:
            return f"{STARTER_MESSAGE}: put a Stable Diffusion folder into Underpaint's models."
        return "Ready." if self.default_model else "There is no model yet."

    # ---- what comes of it ------------------------------------------------------------------

    def _end(self, ended: Ended) -> None:
        batch: Batch = ended.job.about
        if not self.running:
            self._heart.stop()
        came, request = len(batch.results), ended.job.request
        notes = [*batch.notes, *(canvas.remarks(batch.place) if batch.place.open else ())]
        told = describe_end(request.images, came, time.monotonic() - batch.began, notes)
        if isinstance(ended.error, CancelledError):
            told = f"Cancelled. {told}" if came else "Cancelled."
        elif ended.error is not None:
            told = to_sentence(ended.error)
        self._say(told)
        if came:
            batch.title = name_group(request.prompt, request.seed or 0, came)
            self._insert(batch)

    def _insert(self, batch: Batch) -> None:
        """Insert what came, or keep it where its document was closed."""
        if batch.place.open:
            canvas.insert(batch.place, batch.title, batch.results)
        else:
            self._homeless.append(batch)
            self._say("The document was closed; its result is kept here.")

    def _say(self, text: str) -> None:
        self.last_said = text
        self.said.emit(text)


@functools.cache
def office() -> Office:
    """Give the one office of this Krita."""
    return Office()
