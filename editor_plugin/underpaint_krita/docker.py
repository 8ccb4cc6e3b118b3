"""The docker: the form, the line that says what will happen, and the jobs."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from krita import DockWidget, Krita

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
from underpaint_client.errors import CancelledError, DaemonUnavailableError, UnderpaintError
from underpaint_client.form import FIELDS, Form, describe_strength, draw_seed
from underpaint_client.launch import start_command, start_daemon
from underpaint_client.layers import describe_end, name_group, name_layer
from underpaint_client.rules import STARTER_MESSAGE, STARTER_MODEL, check_request
from underpaint_client.survey import Survey, describe_run, settle
from underpaint_client.wire import Frame

from . import canvas
from .controls import Control, slide
from .qt import QtCore, QtWidgets

DOCKER = "underpaint"
_KEY = "underpaint/form"
_LOOK_AGAIN = 100  # milliseconds


@dataclass
class Batch:
    """What has come of a job, and where it goes."""

    place: canvas.Place
    results: list[tuple[str, Frame]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    title: str = ""
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since it was sent."""
        return time.monotonic() - self.began

    def add(self, painted: Painted) -> None:
        """Keep a picture."""
        recipe = painted.picture.recipe
        self.results.append((name_layer(recipe), painted.frame))
        self.notes += [note for note in recipe.notes if note not in self.notes]


class UnderpaintDocker(DockWidget):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName(DOCKER)
        self.setWindowTitle("Underpaint")
        self.desk = Desk("Krita")
        self._filling = False
        self._document = ""
        self._forms: dict[str, Form] = {}
        self._survey: Survey | None = None
        self._starting: Any = None
        self._default_model = ""
        self._natives: dict[str, int] = {}
        self._homeless: list[Batch] = []
        self._notifier: Any = None
        self._heart = QtCore.QTimer(self)
        self._heart.setInterval(int(1000 * CHECK))
        self._heart.timeout.connect(self._beat)
        self._build()
        self._fill(Form.from_text(Krita.instance().readSetting(DOCKER, "form", "")))
        QtCore.QTimer.singleShot(0, self._greet)

    # ---- how it looks ----------------------------------------------------------------------

    def _build(self) -> None:
        self.controls = {field.name: Control(field, self._changed) for field in FIELDS}
        body = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(body)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(6)
        for name in ("prompt", "negative_prompt"):
            self.controls[name].widget.entered.connect(lambda: self.press("generate"))
            column.addWidget(self.controls[name].widget)
        column.addLayout(self._strength())
        self.plan = self._label("plan", "What the next run will do")
        column.addWidget(self.plan)
        column.addLayout(self._buttons())
        self.progress = QtWidgets.QProgressBar()
        self.progress.setObjectName("progress")
        self.progress.setAccessibleName("Progress")
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(8)
        column.addWidget(self.progress)
        self.status = self._label("status", "What happened last")
        column.addWidget(self.status)
        self.remedy = QtWidgets.QPushButton()
        self.remedy.setObjectName("remedy")
        self.remedy.clicked.connect(self._remedy)
        column.addWidget(self.remedy)
        column.addLayout(self._rows())
        column.addStretch(1)
        scroll = QtWidgets.QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(body)
        self.setWidget(scroll)
        self._offer()
        self._show_jobs()

    def _strength(self) -> Any:
        strength = self.controls["strength"]
        strength.widget.setFixedWidth(64)
        self.words = QtWidgets.QLabel()
        self.words.setObjectName("strength_words")
        grid = QtWidgets.QGridLayout()
        grid.setVerticalSpacing(2)
        title = QtWidgets.QLabel("&Strength")
        title.setBuddy(strength.widget)
        grid.addWidget(title, 0, 0)
        self.words.setAlignment(QtCore.Qt.AlignmentFlag.AlignRight)
        grid.addWidget(self.words, 0, 1, 1, 2)
        grid.addWidget(slide(strength), 1, 0, 1, 2)
        grid.addWidget(strength.widget, 1, 2)
        grid.setColumnStretch(1, 1)
        return grid

    def _rows(self) -> Any:
        form = QtWidgets.QFormLayout()
        form.setFieldGrowthPolicy(QtWidgets.QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setHorizontalSpacing(8)
        form.setVerticalSpacing(4)
        for name in ("mode", "steps", "guidance_scale", "seed", "images", "sampler", "model",
                     "fill", "result"):  # fmt: skip
            control = self.controls[name]
            if name == "seed":
                form.addRow(control.field.label, self._seed())
                continue
            form.addRow(control.field.label, control.widget)
            if name == "steps":
                form.addRow("", self.controls["compensate"].widget)
        return form

    def _seed(self) -> Any:
        self.dice = self._tool("seed_dice", "New", "Draw a new seed")
        self.dice.clicked.connect(self._throw_dice)
        self.lock = self._tool("seed_locked", "Lock", "Take this seed again and again")
        self.lock.setCheckable(True)
        self.lock.toggled.connect(lambda _on: self._changed())
        row = QtWidgets.QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.controls["seed"].widget, 1)
        row.addWidget(self.dice)
        row.addWidget(self.lock)
        return row

    def _tool(self, name: str, text: str, tip: str) -> Any:
        button = QtWidgets.QToolButton()
        button.setObjectName(name)
        button.setText(text)
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        return button

    def _buttons(self) -> Any:
        self.generate = QtWidgets.QPushButton("Generate")
        self.generate.setObjectName("generate")
        self.generate.setToolTip("Paint, as the line above says (Ctrl+Enter in the text)")
        self.generate.setAccessibleName("Generate")
        self.generate.clicked.connect(lambda: self.press("generate"))
        self.cancel = QtWidgets.QPushButton("Cancel")
        self.cancel.setObjectName("cancel")
        self.cancel.setToolTip("Stop what this docker asked for; what has come stays")
        self.cancel.setAccessibleName("Cancel")
        self.cancel.clicked.connect(lambda: self.press("cancel"))
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.generate, 2)
        row.addWidget(self.cancel, 1)
        return row

    def _label(self, name: str, accessible: str) -> Any:
        label = QtWidgets.QLabel()
        label.setObjectName(name)
        label.setAccessibleName(accessible)
        label.setWordWrap(True)
        label.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)
        label.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        return label

    # ---- the form --------------------------------------------------------------------------

    @property
    def form(self) -> Form:
        """What the controls hold."""
        values = {name: control.value for name, control in self.controls.items()}
        return Form(seed_locked=self.lock.isChecked(), **values)

    def _fill(self, form: Form) -> None:
        self._filling = True
        for name, value in asdict(form).items():
            if name in self.controls:
                self.controls[name].value = value
        self.lock.setChecked(form.seed_locked)
        self._filling = False
        self._describe_run()

    def _throw_dice(self) -> None:
        self.controls["seed"].value = draw_seed()

    def _changed(self) -> None:
        if self._filling:
            return
        Krita.instance().writeSetting(DOCKER, "form", self.form.to_text())
        self._describe_run()

    def canvasChanged(self, _canvas: Any) -> None:  # noqa: N802 - Krita calls it
        """Look at the document that came to the front, once it is whole."""
        QtCore.QTimer.singleShot(0, self._to_front)

    def _to_front(self) -> None:
        document = Krita.instance().activeDocument()
        if document is None:
            return
        root = document.rootNode().uniqueId().toString()
        if root != self._document:
            self._forms[self._document] = self.form
            self._document = root
            if root not in self._forms:
                text = bytes(document.annotation(_KEY)).decode("utf-8", "replace")
                self._forms[root] = Form.from_text(text, self.form)
            self._fill(self._forms[root])
        self._look()

    def enterEvent(self, event: Any) -> None:  # noqa: N802 - Qt calls it
        """Look at the canvas again: Krita does not say when something was painted."""
        super().enterEvent(event)
        self._look()

    def _look(self) -> None:
        try:
            self._survey = canvas.look(canvas.Place.of_active())
        except UnderpaintError as error:
            self._survey = None
            self.plan.setText(_sentence(error))
        self._describe_run()

    def _describe_run(self) -> None:
        form = self.form
        self.words.setText(describe_strength(form.strength))
        if self._survey is not None:
            try:
                self.plan.setText(describe_run(form.request(0), self._survey))
            except UnderpaintError as error:
                self.plan.setText(_sentence(error))

    # ---- the daemon ------------------------------------------------------------------------

    def _greet(self) -> None:
        try:
            self.desk.open()
        except DaemonUnavailableError:
            self._away()
        else:
            self._listen()

    def _away(self, why: str = "The Underpaint daemon is not running.") -> None:
        self._stop_listening()
        self._say(why)
        self._offer()

    def _listen(self) -> None:
        fd = self.desk.fd
        if fd is not None and self._notifier is None:
            self._notifier = QtCore.QSocketNotifier(fd, QtCore.QSocketNotifier.Type.Read, self)
            self._notifier.activated.connect(lambda *_: self._heed(self.desk.hear()))
        # The descriptor tells of changes only: what came meanwhile is taken now.
        QtCore.QTimer.singleShot(0, lambda: self._heed(self.desk.hear()))

    def _stop_listening(self) -> None:
        if self._notifier is not None:
            self._notifier.setEnabled(False)
            self._notifier.deleteLater()
            self._notifier = None

    def _beat(self) -> None:
        self._heed(self.desk.check())
        if self.desk.fd is not None:
            self._listen()

    def _start_daemon(self) -> None:
        try:
            self._starting = start_daemon()
        except DaemonUnavailableError as error:
            self._say(_sentence(error))
            return
        self._say("Starting the daemon...")
        self._offer()
        self._look_for_daemon()

    def _look_for_daemon(self) -> None:
        """Connect as soon as what starts the daemon has ended, which is when it runs."""
        if self._starting.poll() is None:
            QtCore.QTimer.singleShot(_LOOK_AGAIN, self._look_for_daemon)
            return
        said = self._starting.stderr.read().decode("utf-8", "replace").strip()
        self._starting = None
        try:
            self.desk.open()
        except DaemonUnavailableError as error:
            self._away(f"The daemon does not start: {said or error}")
        else:
            self._listen()

    def _heed(self, notices: Iterable[Notice]) -> None:
        for notice in notices:
            if isinstance(notice, Greeted):
                self._default_model = notice.default_model
                self._offer()
                if not self.desk.jobs:
                    self._say(self._ready())
            elif isinstance(notice, ModelsListed):
                self._list_models(notice)
            elif isinstance(notice, Advanced):
                self._advance(notice)
            elif isinstance(notice, Painted):
                notice.job.about.add(notice)
            elif isinstance(notice, Ended):
                self._end(notice)
            elif isinstance(notice, Refused):
                self._say(_sentence(notice.error))
            elif isinstance(notice, Lost):
                self._away(_sentence(notice.error))

    def _ready(self) -> str:
        model = self.controls["model"].value or self._default_model
        if model == STARTER_MODEL:
            return f"{STARTER_MESSAGE} in the Model list."
        return "Ready." if model else "There is no model yet: put one into the models folder."

    def _list_models(self, notice: ModelsListed) -> None:
        box = self.controls["model"].widget
        chosen = self.controls["model"].value
        self._filling = True
        box.clear()
        box.addItem(f"Default ({self._default_model})" if self._default_model else "Default", "")
        for entry in notice.models:
            self._natives[entry.name] = entry.native
            box.addItem(entry.name, entry.name)
            index = box.count() - 1
            tip = entry.problem or f"{entry.family}, {entry.native} pixels"
            box.setItemData(index, tip, QtCore.Qt.ItemDataRole.ToolTipRole)
            box.model().item(index).setEnabled(not entry.problem)
        self.controls["model"].value = chosen
        self._filling = False

    # ---- jobs ------------------------------------------------------------------------------

    def press(self, button: str) -> None:
        """Do what `generate` or `cancel` does, from a shortcut too."""
        if button == "cancel":
            for job in list(self.desk.jobs.values()):
                self.desk.cancel(job)
            self._listen()
            return
        try:
            self._generate()
        except DaemonUnavailableError as error:
            self._away(_sentence(error))
        except UnderpaintError as error:
            self._say(_sentence(error))

    def _generate(self) -> None:
        form = self.form
        request = form.request(draw_seed())
        check_request(request)
        place = canvas.Place.of_active()
        self.desk.open()
        native = self._natives.get(form.model or self._default_model, 0)
        frames = canvas.read_layer(place, native, whole=form.result == "layer")
        request = settle(request, frames, nothing=canvas.has_nothing(place))
        self.desk.submit(request, frames, Batch(place))
        self._listen()
        self._say("Sent.")
        self._show_jobs()
        if request.seed is not None:
            self.controls["seed"].value = request.seed
        # Not at each change of the form: it makes the document a changed one.
        place.document.setAnnotation(_KEY, "Underpaint's settings", self.form.to_text().encode())
        self._look()

    def _advance(self, notice: Advanced) -> None:
        self._say(notice.text)
        self.progress.setRange(0, 0 if notice.fraction is None else 1000)
        self.progress.setValue(round(1000 * (notice.fraction or 0)))

    def _end(self, ended: Ended) -> None:
        batch: Batch = ended.job.about
        self._show_jobs()
        notes = [*batch.notes, *(canvas.remarks(batch.place) if batch.place.open else ())]
        came, wanted = len(batch.results), ended.job.request.images
        told = describe_end(wanted, came, batch.seconds, notes)
        if isinstance(ended.error, CancelledError):
            told = f"Cancelled. {told}" if batch.results else "Cancelled."
        elif ended.error is not None:
            told = _sentence(ended.error)
        self._say(told)
        if batch.results:
            request = ended.job.request
            batch.title = name_group(request.prompt, request.seed or 0, len(batch.results))
            self._insert(batch)

    def _insert(self, batch: Batch) -> None:
        """Insert what came, or keep it where its document was closed."""
        if batch.place.open:
            canvas.insert(batch.place, batch.title, batch.results)
            return
        self._homeless.append(batch)
        self._say("The document was closed; its result is kept here.")
        self._offer()

    def _show_jobs(self) -> None:
        running = bool(self.desk.jobs)
        self.cancel.setEnabled(running)
        if running and not self._heart.isActive():
            self._heart.start()
        elif not running:
            self._heart.stop()
            self.progress.setRange(0, 1000)
            self.progress.setValue(0)

    # ---- words -----------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        self.status.setText(text)

    def _offer(self) -> None:
        """Show a button for what can be done about the state things are in."""
        remedy = ""
        if self._homeless:
            remedy = "Open as a new document"
        elif self.desk.fd is None and self._starting is None and start_command():
            remedy = "Start the daemon"
        self.remedy.setText(remedy)
        self.remedy.setAccessibleName(remedy)
        self.remedy.setVisible(bool(remedy))

    def _remedy(self) -> None:
        if not self._homeless:
            self._start_daemon()
            return
        while self._homeless:
            batch = self._homeless[0]
            canvas.open_as_document(batch.place.canvas.extent, batch.title, batch.results)
            del self._homeless[0]  # not before it is safe
        self._offer()


def _sentence(error: UnderpaintError) -> str:
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
