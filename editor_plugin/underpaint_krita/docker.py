"""The docker: the form, the line that says what will happen, and what the session says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from krita import DockWidget, Krita

from underpaint_editor.form import BUTTONS, FIELDS, RESULT_BUTTONS, ROWS, SPOKEN, Form, Switch
from underpaint_editor.layers import preview_size
from underpaint_editor.lists import ModelChoice, QueueEntry
from underpaint_editor.panel import Panel
from underpaint_editor.results import THUMBNAIL_SIDE, THUMBNAILS, Thumbnail

from .canvas import KritaDocument, load_form
from .controls import Control, KeyWatch, make_slider
from .images import image_of, scaled
from .qt import QtCore, QtGui, QtWidgets
from .selected import KritaResult
from .session import session, signals

DOCKER = "underpaint"
_ABREAST = 3  # thumbnails
_ARROW, _NARROW = 32, 40  # pixels of the narrowest buttons; a docker of 250 must not cut off


class UnderpaintDocker(DockWidget):
    """See the module. It is the panel's `Toolkit`."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName(DOCKER)
        self.setWindowTitle("Underpaint")
        self._document = ""
        self._forms: dict[str, Form] = {}
        self._listed: list[ModelChoice] = []
        self._jobs_listed: list[QueueEntry] = []
        self.session = session()
        self.panel = Panel(self.session, self)
        self._keys = KeyWatch(self._end_comparison)
        self._build()
        self.panel.fill(Form.from_text(Krita.instance().readSetting(DOCKER, "form", "")))
        signals().message.connect(self.status.setText)
        signals().progress.connect(self._show_progress)
        signals().preview.connect(self._show_preview)
        signals().refresh.connect(self._refresh)
        self.status.setText(self.session.last_message)
        self._refresh()

    # ---- how it looks ----------------------------------------------------------------------

    def _build(self) -> None:
        self.controls = {field.name: Control(field, self.panel.form_edited) for field in FIELDS}
        body = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(body)
        column.setContentsMargins(4, 6, 4, 6)
        column.setSpacing(6)
        for name in ("prompt", "negative_prompt"):
            self.controls[name].widget.entered.connect(lambda: self.press("generate"))
            column.addWidget(self.controls[name].widget)
        self.controls["prompt"].widget.stepped.connect(self.panel.recall_prompt)
        column.addLayout(self._strength())
        self.plan = self._label("plan")
        column.addWidget(self.plan)
        column.addLayout(self._buttons())
        column.addWidget(self._result_row())
        self.progress = QtWidgets.QProgressBar()
        self.progress.setObjectName("progress")
        self.progress.setAccessibleName(SPOKEN["progress"])
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(8)
        column.addWidget(self.progress)
        self.status = self._label("status")
        column.addWidget(self.status)
        self.queue = QtWidgets.QVBoxLayout()
        self.queue.setSpacing(2)
        column.addLayout(self.queue)
        self.preview = self._label("preview")
        self.preview.hide()
        column.addWidget(self.preview)
        self.remedy = QtWidgets.QPushButton()
        self.remedy.setObjectName("remedy")
        self.remedy.clicked.connect(self.session.apply_remedy)
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
        self.strength_label = QtWidgets.QLabel()
        self.strength_label.setObjectName("strength_words")
        grid = QtWidgets.QGridLayout()
        grid.setVerticalSpacing(2)
        title = QtWidgets.QLabel("&Strength")
        title.setBuddy(strength.widget)
        grid.addWidget(title, 0, 0)
        self.strength_label.setAlignment(QtCore.Qt.AlignmentFlag.AlignRight)
        grid.addWidget(self.strength_label, 0, 1, 1, 2)
        grid.addWidget(make_slider(strength), 1, 0, 1, 2)
        grid.addWidget(strength.widget, 1, 2)
        grid.setColumnStretch(1, 1)
        return grid

    def _rows(self) -> Any:
        form = QtWidgets.QFormLayout()
        form.setFieldGrowthPolicy(QtWidgets.QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setHorizontalSpacing(6)
        form.setVerticalSpacing(4)
        for name in ROWS:
            control = self.controls[name]
            label = "" if isinstance(control.field, Switch) else control.field.label
            form.addRow(label, self._seed() if name == "seed" else control.widget)
        return form

    def _seed(self) -> Any:
        self.dice = _button("seed_dice", QtWidgets.QToolButton())
        self.dice.clicked.connect(self.panel.draw_seed)
        self.lock = _button("seed_locked", QtWidgets.QToolButton())
        self.lock.setCheckable(True)
        self.lock.toggled.connect(lambda _on: self.panel.form_edited())
        row = QtWidgets.QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.controls["seed"].widget, 1)
        row.addWidget(self.dice)
        row.addWidget(self.lock)
        return row

    def _buttons(self) -> Any:
        self.generate = _button("generate", QtWidgets.QPushButton())
        self.generate.clicked.connect(lambda: self.press("generate"))
        self.cancel = _button("cancel", QtWidgets.QPushButton())
        self.cancel.clicked.connect(lambda: self.press("cancel"))
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.generate, 2)
        row.addWidget(self.cancel, 1)
        return row

    def _result_row(self) -> Any:
        """Return what can be done with a result, shown while one is selected."""
        self.result_row = QtWidgets.QWidget()
        self.result_buttons = {
            name: _button(name, QtWidgets.QPushButton()) for name in RESULT_BUTTONS
        }
        for name, button in self.result_buttons.items():
            button.setMinimumWidth(_NARROW)
            if name != "compare":
                button.clicked.connect(lambda _=False, n=name: self.use_result(n))
        self.result_buttons["compare"].pressed.connect(self._compare)
        self.result_buttons["compare"].released.connect(self._end_comparison)
        buttons = self.result_buttons
        for name in ("previous", "next"):
            buttons[name].setFixedWidth(_ARROW)
        column = QtWidgets.QVBoxLayout(self.result_row)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(self._thumbnails())
        self.page = self._label("page")
        column.addWidget(self.page)
        for line in (
            [buttons[name] for name in ("previous", "next", "compare", "keep")],
            [buttons["vary"], self.controls["vary_amount"].widget, buttons["settings"]],
        ):
            row = QtWidgets.QHBoxLayout()
            row.setSpacing(4)
            for widget in line:
                row.addWidget(widget, widget in (buttons["compare"], buttons["keep"]))
            column.addLayout(row)
        return self.result_row

    def _thumbnails(self) -> Any:
        """Return the grid of the batch's thumbnails."""
        grid = QtWidgets.QGridLayout()
        grid.setSpacing(2)
        self.thumbnails = [QtWidgets.QToolButton() for _ in range(THUMBNAILS)]
        for slot, button in enumerate(self.thumbnails):
            button.setObjectName(f"result_{slot}")
            button.setToolButtonStyle(QtCore.Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            button.setIconSize(QtCore.QSize(THUMBNAIL_SIDE, THUMBNAIL_SIDE))
            button.setCheckable(True)
            button.setSizePolicy(
                QtWidgets.QSizePolicy.Policy.Ignored, button.sizePolicy().verticalPolicy()
            )
            button.clicked.connect(lambda _=False, b=button: self._show_result(b.property("index")))
            grid.addWidget(button, slot // _ABREAST, slot % _ABREAST)
        for column in range(_ABREAST):
            grid.setColumnStretch(column, 1)
        return grid

    def _label(self, name: str) -> Any:
        label = QtWidgets.QLabel()
        label.setObjectName(name)
        label.setAccessibleName(SPOKEN[name])
        label.setWordWrap(True)
        label.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)
        label.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        return label

    # ---- the form --------------------------------------------------------------------------

    def is_seed_locked(self) -> bool:
        """Return whether the button that locks the seed is down."""
        return bool(self.lock.isChecked())

    def set_seed_locked(self, locked: bool) -> None:
        """Set the button that locks the seed."""
        self.lock.setChecked(locked)

    def show_plan(self, text: str) -> None:
        """Show the plan line."""
        self.plan.setText(text)

    def show_strength(self, text: str) -> None:
        """Show the description of the strength."""
        self.strength_label.setText(text)

    def save_form(self) -> None:
        """Keep the form in Krita's settings."""
        Krita.instance().writeSetting(DOCKER, "form", self.panel.form.to_text())

    def canvasChanged(self, _canvas: Any) -> None:  # noqa: N802 - Krita calls it
        """Look at the document that came to the front, once it is whole."""
        QtCore.QTimer.singleShot(0, self._to_front)

    def _to_front(self) -> None:
        document = Krita.instance().activeDocument()
        if document is None:
            return
        root = document.rootNode().uniqueId().toString()
        if root != self._document:
            self._forms[self._document] = self.panel.form
            self._document = root
            if root not in self._forms:
                self._forms[root] = Form.from_text(load_form(document), self.panel.form)
            self.panel.fill(self._forms[root])
        self._look()

    def enterEvent(self, event: Any) -> None:  # noqa: N802 - Qt calls it
        """Look at the canvas again: Krita does not say when something was painted."""
        super().enterEvent(event)
        self._look()

    def _look(self) -> None:
        self._end_comparison()
        self.panel.show_selected(KritaResult.of_active())
        self.panel.survey_document(lambda: KritaDocument.of_active().survey())

    def use_result(self, name: str) -> None:
        """Do what one of the buttons for the selected result does."""
        selected = KritaResult.of_active()
        if selected is not None:
            self.panel.use_selected(name, selected)
        self._look()

    def _show_result(self, index: int) -> None:
        selected = KritaResult.of_active()
        if selected is not None and index < len(selected.results):
            selected.show(index)
        self._look()

    def _compare(self) -> None:
        """Show the layer as it was, while no key is pressed: it may be the one that saves."""
        self._end_comparison()
        self.panel.compare(KritaResult.of_active())
        self._keys.start()

    def _end_comparison(self) -> None:
        """Show the results that Compare has hidden."""
        self._keys.end()
        self.panel.end_comparison()

    def show_result_buttons(self, enabled: Mapping[str, bool] | None, page: str) -> None:
        """Show the buttons for a result."""
        self.result_row.setVisible(enabled is not None)
        self.page.setText(page)
        self.page.setVisible(bool(page))
        for name, usable in (enabled or {}).items():
            _enable(self.result_buttons[name], usable)

    def show_thumbnail(self, slot: int, thumbnail: Thumbnail | None, image: Any) -> None:
        """Show one of the batch's results, or nothing."""
        button = self.thumbnails[slot]
        button.setVisible(thumbnail is not None)
        if thumbnail is not None:
            button.setProperty("index", thumbnail.index)
            button.setIcon(QtGui.QIcon(QtGui.QPixmap.fromImage(image)))
            button.setText(f"{thumbnail.seed}\n{thumbnail.amount}")
            button.setToolTip(thumbnail.tip)
            button.setAccessibleName(thumbnail.tip)
            button.setChecked(thumbnail.shown)
            button.setAutoRaise(not thumbnail.shown)
            button.setFont(self.plan.font())
            button.setPalette(_highlight(self.palette()) if thumbnail.shown else self.palette())

    # ---- the session ------------------------------------------------------------------------

    def press(self, button: str) -> None:
        """Do what `generate` or `cancel` does, from a shortcut too."""
        if button == "cancel":
            self.session.cancel()
            return
        sent = self.session.generate(self.panel.form, KritaDocument.of_active)
        if sent is not None:
            self.controls["seed"].value = sent.value("seed")
        self._look()

    def _show_progress(self, fraction: float | None) -> None:
        self.progress.setUpdatesEnabled(False)  # else each change is painted at once, within it
        self.progress.setRange(0, 0 if fraction is None else 1000)
        self.progress.setValue(round(1000 * (fraction or 0)))
        self.progress.setUpdatesEnabled(True)

    def _show_preview(self, frame: Any) -> None:
        self.preview.setVisible(frame is not None)
        if frame is not None:
            image = image_of(frame.data, frame.box.extent)
            fitting = scaled(image, preview_size(frame.box.extent))
            self.preview.setPixmap(QtGui.QPixmap.fromImage(fitting))

    def _refresh(self) -> None:
        running, remedy = self.session.running, self.session.remedy
        if not self.panel.comparing:  # else results that are hidden for a moment would count
            self.panel.show_selected(KritaResult.of_active())
        _enable(self.cancel, running)
        if not running:
            self._show_progress(0)
        _enable(self.remedy, remedy is not None)
        label = "" if remedy is None else remedy.label
        self.remedy.setText(label)
        self.remedy.setAccessibleName(label)
        self.remedy.setVisible(remedy is not None)
        self._list_jobs()
        self._list_models()

    def _list_jobs(self) -> None:
        """Show this editor's jobs where there are several."""
        entries = self.session.queue
        if entries == self._jobs_listed:
            return
        self._jobs_listed = entries
        while self.queue.count():
            old = self.queue.takeAt(0).widget()
            old.hide()
            old.deleteLater()
        for entry in entries:
            line = QtWidgets.QWidget()
            line.setObjectName("job")
            row = QtWidgets.QHBoxLayout(line)
            row.setContentsMargins(0, 0, 0, 0)
            label = QtWidgets.QLabel(entry.text)
            label.setTextFormat(QtCore.Qt.TextFormat.PlainText)
            label.setSizePolicy(
                QtWidgets.QSizePolicy.Policy.Ignored, label.sizePolicy().verticalPolicy()
            )
            row.addWidget(label, 1)
            for name, act in (("hurry", self.session.prefer), ("drop", self.session.cancel)):
                button = _button(name, QtWidgets.QToolButton())
                button.clicked.connect(lambda _=False, a=act, j=entry.job: a(j))
                button.setEnabled(name == "drop" or entry.waits)
                row.addWidget(button)
            self.queue.addWidget(line)

    def _list_models(self) -> None:
        wanted, control = self.session.model_choices, self.controls["model"]
        if wanted == self._listed:
            return
        self._listed, chosen, self.panel.filling = wanted, control.value, True
        control.widget.clear()
        for index, choice in enumerate(wanted):
            control.widget.addItem(choice.label, choice.value)
            control.widget.setItemData(index, choice.tip, QtCore.Qt.ItemDataRole.ToolTipRole)
            control.widget.model().item(index).setEnabled(choice.usable)
        control.value = chosen
        self.panel.filling = False


def _highlight(palette: Any) -> Any:
    """Return the colours of a button that stands out; the theme may be another next time."""
    colours, role = QtGui.QPalette(palette), QtGui.QPalette.ColorRole
    colours.setColor(role.Button, palette.color(role.Highlight))
    colours.setColor(role.ButtonText, palette.color(role.HighlightedText))
    return colours


def _enable(button: Any, usable: bool) -> None:
    """Let a button be pressed or not.

    One that was pressed with the mouse lets go of the keyboard first. Qt would hand that on to a
    number or a text, which would take the Ctrl+Z that is meant for the picture.
    """
    if not usable and button.hasFocus():
        button.clearFocus()
    button.setEnabled(usable)


def _button(name: str, widget: Any) -> Any:
    button = BUTTONS[name]
    widget.setObjectName(name)
    widget.setText(button.label)
    widget.setToolTip(button.tip)
    widget.setAccessibleName(button.label if button.label.isalpha() else button.tip)
    return widget
