"""The docker: the form, the plan line, the session's messages and jobs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

from krita import Canvas, DockWidget, Krita

from underpaint_client.frames import Frame
from underpaint_client.parsed_prompt import PromptError
from underpaint_client.prompt_completion import Candidates, Kind
from underpaint_client.sentences import Sentence, sentence
from underpaint_editor.buttons import BUTTONS, SPOKEN
from underpaint_editor.form import PROMPTS, Form
from underpaint_editor.found_form import PICTURES
from underpaint_editor.layers import preview_size
from underpaint_editor.lists import ListedChoice
from underpaint_editor.panel import Panel
from underpaint_editor.results import Thumbnail
from underpaint_editor.turns import Turns

from .canvas import KritaDocument, load_form
from .control_menu import ControlMenu
from .controls import (
    Control,
)
from .downloads_dialog import DownloadsDialog
from .form_view import FormView
from .images import image_of, scaled
from .key_watch import KeyWatch
from .prompt_popup import PromptPopup, mark_error
from .qt import QtCore, QtGui, QtWidgets
from .queue_list import QueueList
from .result_row import ResultRow
from .role_rows import RoleRows
from .selected import KritaResult
from .session import KritaEventLoop, session, signals
from .tree import id_of, layer_names
from .widgets import make_label, set_enabled, set_up_button

DOCKER = "underpaint"


class UnderpaintDocker(DockWidget):
    """See the module. It is the `Toolkit` of its panel."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName(DOCKER)
        self.setWindowTitle("Underpaint")
        self._document = ""
        self._forms: dict[str, Form] = {}
        self._listed: dict[str, list[ListedChoice]] = {}
        self.session = session()
        self.panel = Panel(self.session, self)
        self._keys = KeyWatch(self._end_comparison)
        self._turns = Turns(KritaEventLoop(signals()))
        self._downloads: DownloadsDialog | None = None
        self._build()
        self.panel.fill(Form.from_text(Krita.instance().readSetting(DOCKER, "form", "")))
        signals().message.connect(self.status.setText)
        signals().progress.connect(self._show_progress)
        signals().preview.connect(self._show_preview)
        signals().refresh.connect(self._refresh)
        self.status.setText(self.session.last_message)
        self._refresh()

    # ---- layout ----------------------------------------------------------------------------

    def _build(self) -> None:
        self._view = FormView(self.panel)
        self._fields, self.lock = self._view.fields, self._view.lock
        self.control_menu = ControlMenu(lambda: self.session.control_pictures, self.make_control)
        self._role = RoleRows(self._change_role, self.control_menu)
        body = QtWidgets.QWidget()
        column = QtWidgets.QVBoxLayout(body)
        column.setContentsMargins(4, 6, 4, 6)
        column.setSpacing(6)
        self._popups: list[PromptPopup] = []
        for name in PROMPTS:
            edit = self._fields.texts[name].widget
            edit.entered.connect(lambda: self.press("generate"))
            column.addWidget(edit)
            self._popups.append(PromptPopup(edit, functools.partial(self._candidates, name)))
        self._fields.texts["prompt"].widget.stepped.connect(self.panel.recall_prompt)
        column.addLayout(self._view.strength)
        self.plan = make_label("plan")
        column.addWidget(self.plan)
        self.offer = self._make_button("offer", self.panel.accept_offer)
        self.offer.setFlat(True)
        column.addWidget(self.offer)
        column.addLayout(self._make_buttons())
        self.result_row = ResultRow(
            self._fields.numbers["vary_amount"].widget, self._show_result, self.use_result
        )
        self.result_row.buttons["compare"].pressed.connect(self._compare)
        self.result_row.buttons["compare"].released.connect(self._end_comparison)
        column.addWidget(self.result_row)
        self.progress = _make_progress()
        column.addWidget(self.progress)
        self.status = make_label("status")
        column.addWidget(self.status)
        self.queue = QueueList(self.session)
        column.addLayout(self.queue)
        self.preview = make_label("preview")
        self.preview.hide()
        column.addWidget(self.preview)
        self.remedy = self._make_button("remedy", self.session.apply_remedy)
        column.addWidget(self.remedy)
        column.addLayout(self._role.layout)
        column.addLayout(self._view.rows)
        picture = set_up_button("picture", QtWidgets.QPushButton())
        picture.clicked.connect(self._choose_picture)
        column.addWidget(picture)
        column.addStretch(1)
        scroll = QtWidgets.QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(body)
        self.setWidget(scroll)

    def _make_button(self, name: str, action: Callable[[], None]) -> QtWidgets.QPushButton:
        """Return a button whose text and meaning change with the state."""
        button = QtWidgets.QPushButton()
        button.setObjectName(name)
        button.clicked.connect(lambda: self._turns.take(action))
        return button

    def _candidates(self, field: str, kind: Kind) -> Candidates:
        return self.panel.candidates(field, kind, layer_names)

    def _make_buttons(self) -> QtWidgets.QHBoxLayout:
        self.generate = set_up_button("generate", QtWidgets.QPushButton())
        self.generate.clicked.connect(lambda: self.press("generate"))
        self.cancel = set_up_button("cancel", QtWidgets.QPushButton())
        self.cancel.clicked.connect(lambda: self.press("cancel"))
        row = QtWidgets.QHBoxLayout()
        row.addWidget(self.generate, 2)
        row.addWidget(self.cancel, 1)
        return row

    # ---- the form --------------------------------------------------------------------------

    @property
    def controls(self) -> Mapping[str, Control]:
        """The form's controls, by the names of the fields."""
        return self._fields.all

    @property
    def role_controls(self) -> Mapping[str, Control]:
        """The controls of the layer's role, by the names of the fields."""
        return self._role.controls

    def show_role(self, *, enabled: bool, details: bool, refusal: Sentence) -> None:
        """Show the controls of the layer's role, and whether Generate can be pressed."""
        set_enabled(self.generate, not refusal)
        self.generate.setToolTip(refusal or BUTTONS["generate"].tip)
        self._role.show(enabled=enabled, details=details)

    def _change_role(self) -> None:
        if not self.panel.filling:  # a turn may come only after that
            self._turns.take(self._keep_role)

    def _keep_role(self) -> None:
        self.panel.role_edited(KritaDocument.of_active)
        self.panel.survey_document(lambda: self._find_document().survey())

    def is_seed_locked(self) -> bool:
        """Return whether the button that locks the seed is down."""
        return self.lock.isChecked()

    def set_seed_locked(self, locked: bool) -> None:
        """Set the button that locks the seed."""
        self.lock.setChecked(locked)

    def show_own(self, values: Mapping[str, float | str]) -> None:
        """Show what the model has in the fields that are left to it."""
        self._view.show_own(values)

    def show_model(self, text: Sentence, picture: Frame | None) -> None:
        """Show what the chosen model is."""
        self._view.model_facts.show_model(text, picture)

    def show_plan(self, text: Sentence) -> None:
        """Show the plan line."""
        self.plan.setText(text)

    def show_offer(self, text: Sentence) -> None:
        """Show the button for the other choice, or hide it."""
        self.offer.setText(text)
        self.offer.setAccessibleName(text)
        self.offer.setVisible(bool(text))

    def mark_error(self, name: str, error: PromptError | None) -> None:
        """Underline in a prompt what cannot be read."""
        mark_error(self._fields.texts[name].widget, error)

    def show_strength(self, text: Sentence) -> None:
        """Show the description of the strength."""
        self._view.show_strength(text)

    def save_form(self) -> None:
        """Save the form in Krita's settings."""
        Krita.instance().writeSetting(DOCKER, "form", self.panel.form.to_text())

    def show_downloads(self) -> None:
        """Show the window with the models that can be downloaded."""
        if self._downloads is None:
            self._downloads = DownloadsDialog(self.session.downloads, self)
        self._downloads.open_window()

    def _choose_picture(self) -> None:
        """Let the artist choose the picture whose settings to use; Krita goes on meanwhile."""
        title = sentence("Use the settings of a picture")
        dialog = QtWidgets.QFileDialog(self, title)
        dialog.setNameFilter(f"{sentence('Pictures')} ({' '.join(PICTURES)})")
        dialog.setFileMode(QtWidgets.QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(QtCore.Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self.use_picture)
        dialog.open()

    def use_picture(self, file: str) -> None:
        """Use the settings of a picture."""
        self._turns.take(lambda: self.panel.use_picture(Path(file)))

    # ---- the document and the selected result ----------------------------------------------

    def canvasChanged(self, _canvas: Canvas | None) -> None:  # noqa: N802 - Krita calls it
        """Show the form of the document that has become active, once Krita has finished that."""
        QtCore.QTimer.singleShot(0, self._change_document)

    def _change_document(self) -> None:
        self._turns.take(self._show_active_document)

    def _show_active_document(self) -> None:
        document = Krita.instance().activeDocument()
        root = None if document is None else document.rootNode()
        if document is None or root is None:
            return
        name = id_of(root)
        if name != self._document:
            self._forms[self._document] = self.panel.form
            self._document = name
            if name not in self._forms:
                self._forms[name] = Form.from_text(load_form(document), self.panel.form)
            self.panel.fill(self._forms[name])
        self._show_layer()

    def enterEvent(self, event: QtCore.QEvent) -> None:  # noqa: N802 - Qt calls it
        """Survey the canvas again: Krita sends no signal after a brush stroke."""
        super().enterEvent(event)
        self._look()

    def _look(self) -> None:
        """Show what there is now, unless something is under way that shows it in the end."""
        self._turns.take(self._show_layer)

    def _show_layer(self) -> None:
        """Show the selected result and the plan line of the active layer."""
        self._end_comparison()
        self.panel.show_selected(KritaResult.of_active())
        self.panel.show_role(KritaDocument.of_active)
        self.panel.survey_document(lambda: self._find_document().survey())

    def _find_document(self) -> KritaDocument:
        """Return the document of the layer to paint on; see `Panel.find_document`."""
        return self.panel.find_document(KritaResult.of_active(), KritaDocument.of_active)

    def use_result(self, name: str) -> None:
        """Do what one of the buttons for the selected result does."""

        def use() -> None:
            self.panel.use_selected(name, KritaResult.of_active())
            self._show_layer()

        self._turns.take(use)

    def _show_result(self, index: int) -> None:
        def show() -> None:
            selected = KritaResult.of_active()
            if selected is not None and index < len(selected.results):
                selected.show(index)
            self._show_layer()

        self._turns.take(show)

    def _compare(self) -> None:
        self._turns.take(self._hide_results)

    def _hide_results(self) -> None:
        """Show the source layer without its results, until a key is pressed.

        The key may be a shortcut that saves the document, which would be saved without its results.
        """
        self._end_comparison()
        self.panel.compare(KritaResult.of_active())
        self._keys.start()
        if not self.result_row.buttons["compare"].isDown():  # it was released meanwhile
            self._end_comparison()

    def _end_comparison(self) -> None:
        """Show the results that Compare has hidden."""
        self._keys.stop()
        self.panel.end_comparison()

    def show_result_buttons(self, enabled: Mapping[str, bool] | None, page: Sentence) -> None:
        """Show the buttons for a selected result, or hide them."""
        self.result_row.show_buttons(enabled, page)

    def show_thumbnail(
        self, slot: int, thumbnail: Thumbnail | None, image: QtGui.QImage | None
    ) -> None:
        """Show one of the batch's results, or hide its slot."""
        self.result_row.show_thumbnail(slot, thumbnail, image)

    # ---- the session -----------------------------------------------------------------------

    def press(self, button: str) -> None:
        """Do what `generate`, `cancel` or a button for the result does; shortcuts call this too."""
        if button == "cancel":
            self.session.cancel()
        elif button == "generate":
            self._turns.take(self._generate)
        else:
            self.use_result(button)

    def make_control(self, kind: str) -> None:
        """Make a control layer of the active layer; `kind` is one of `CONTROL_PICTURES`."""
        make = self.session.make_control_layer
        self._turns.take(lambda: make(kind, KritaDocument.of_active))

    def _generate(self) -> None:
        sent = self.session.generate(self.panel.form, self._find_document)
        if sent is not None:
            self._fields.numbers["seed"].value = sent.value("seed")
        self._show_layer()

    def _show_progress(self, fraction: float | None) -> None:
        self.progress.setUpdatesEnabled(False)  # else each call below would repaint at once
        self.progress.setRange(0, 0 if fraction is None else 1000)
        self.progress.setValue(round(1000 * (fraction or 0)))
        self.progress.setUpdatesEnabled(True)

    def _show_preview(self, frame: Frame | None) -> None:
        self.preview.setVisible(frame is not None)
        if frame is not None:
            image = image_of(frame.data, frame.box.extent)
            fitting = scaled(image, preview_size(frame.box.extent))
            self.preview.setPixmap(QtGui.QPixmap.fromImage(fitting))

    def _refresh(self) -> None:
        self._turns.take(self._show_session)

    def _show_session(self) -> None:
        """Show the session's jobs, models and remedy."""
        if not self.panel.comparing:  # else the results that Compare hides would count as hidden
            self.panel.show_selected(KritaResult.of_active())
        # Only now: a job may have ended inside these calls of Krita's API.
        running, remedy = self.session.running, self.session.remedy
        set_enabled(self.cancel, running)
        if not running:
            self._show_progress(0)
        set_enabled(self.remedy, remedy is not None)
        label = "" if remedy is None else remedy.label
        self.remedy.setText(label)
        self.remedy.setAccessibleName(label)
        self.remedy.setVisible(remedy is not None)
        self.queue.show_entries(self.session.queue)
        for name, choices in self.session.choices.items():
            self._list_choices(name, choices)
        self.panel.follow_model()
        for popup in self._popups:
            popup.completer.refresh()

    def _list_choices(self, name: str, choices: list[ListedChoice]) -> None:
        if choices == self._listed.get(name):
            return
        control = self._fields.choices[name]
        self._listed[name], chosen, self.panel.filling = choices, control.value, True
        control.widget.clear()
        model = control.widget.model()
        for index, choice in enumerate(choices):
            control.widget.addItem(choice.label, choice.value)
            control.widget.setItemData(index, choice.tip, QtCore.Qt.ItemDataRole.ToolTipRole)
            item = model.item(index) if isinstance(model, QtGui.QStandardItemModel) else None
            if item is not None:
                item.setEnabled(choice.usable)
        control.value = chosen
        self.panel.filling = False


def _make_progress() -> QtWidgets.QProgressBar:
    bar = QtWidgets.QProgressBar()
    bar.setObjectName("progress")
    bar.setAccessibleName(SPOKEN["progress"])
    bar.setTextVisible(False)
    bar.setFixedHeight(8)
    return bar
