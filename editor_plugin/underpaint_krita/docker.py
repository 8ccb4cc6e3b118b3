"""The docker: the form, the line that says what will happen, and what the office says."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from krita import DockWidget, Krita

from underpaint_client.errors import UnderpaintError, to_sentence
from underpaint_client.form import FIELDS, Form, describe_strength, draw_seed
from underpaint_client.survey import Survey, describe_run

from . import canvas
from .controls import Control, slide
from .office import office
from .qt import QtCore, QtWidgets

DOCKER = "underpaint"


class UnderpaintDocker(DockWidget):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName(DOCKER)
        self.setWindowTitle("Underpaint")
        self._filling = False
        self._document = ""
        self._forms: dict[str, Form] = {}
        self._survey: Survey | None = None
        self._listed: list[tuple[str, str, str]] = []
        self.office = office()
        self._build()
        self._fill(Form.from_text(Krita.instance().readSetting(DOCKER, "form", "")))
        self.office.said.connect(self.status.setText)
        self.office.moved.connect(self._show_progress)
        self.office.changed.connect(self._show_office)
        self.status.setText(self.office.last_said)
        self._show_office()

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
        self.remedy.clicked.connect(self.office.put_right)
        column.addWidget(self.remedy)
        column.addLayout(self._rows())
        column.addStretch(1)
        scroll = QtWidgets.QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(body)
        self.setWidget(scroll)

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
                self._forms[root] = Form.from_text(canvas.recall(document), self.form)
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
            self.plan.setText(to_sentence(error))
        self._describe_run()

    def _describe_run(self) -> None:
        form = self.form
        self.words.setText(describe_strength(form.strength))
        if self._survey is not None:
            try:
                self.plan.setText(describe_run(form.request(0), self._survey))
            except UnderpaintError as error:
                self.plan.setText(to_sentence(error))

    # ---- the office ------------------------------------------------------------------------

    def press(self, button: str) -> None:
        """Do what `generate` or `cancel` does, from a shortcut too."""
        if button == "cancel":
            self.office.cancel()
            return
        sent = self.office.generate(self.form)
        if sent is not None:
            self.controls["seed"].value = sent.seed
        self._look()

    def _show_progress(self, fraction: float | None) -> None:
        self.progress.setRange(0, 0 if fraction is None else 1000)
        self.progress.setValue(round(1000 * (fraction or 0)))

    def _show_office(self) -> None:
        running, remedy = self.office.running, self.office.remedy
        self.cancel.setEnabled(running)
        if not running:
            self._show_progress(0)
        self.remedy.setText(remedy)
        self.remedy.setAccessibleName(remedy)
        self.remedy.setVisible(bool(remedy))
        self._list_models()

    def _list_models(self) -> None:
        default = self.office.default_model
        wanted = [
            ("", f"Default ({default})" if default else "Default", ""),
            *((m.name, m.name, m.problem or f"{m.native} pixels") for m in self.office.models),
        ]
        control = self.controls["model"]
        if wanted == self._listed:
            return
        self._listed, chosen, self._filling = wanted, control.value, True
        control.widget.clear()
        for index, (name, label, tip) in enumerate(wanted):
            control.widget.addItem(label, name)
            control.widget.setItemData(index, tip, QtCore.Qt.ItemDataRole.ToolTipRole)
        for index, entry in enumerate(self.office.models, start=1):
            control.widget.model().item(index).setEnabled(not entry.problem)
        control.value = chosen
        self._filling = False
