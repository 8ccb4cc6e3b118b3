"""The form's controls as the docker shows them: the strength's row, and the rows below."""

from __future__ import annotations

from collections.abc import Mapping

from underpaint_client.sentences import Sentence, sentence
from underpaint_editor.form import ROWS
from underpaint_editor.panel import Panel

from .controls import NumberControl, SwitchControl, make_controls, make_slider
from .model_facts import ModelFacts
from .qt import QtCore, QtWidgets
from .widgets import make_checkable, make_form, set_up_button


class FormView:
    """See the module.

    Parameters
    ----------
    panel : Panel
        Is told what the artist changes.

    Attributes
    ----------
    fields : Controls
        The form's controls.
    lock : QToolButton
        Locks the seed.
    model_facts : ModelFacts
        What the chosen model is.
    strength, rows : QLayout
        To be put into the docker.
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self.fields = make_controls(panel.form_edited)
        self.lock = make_checkable(set_up_button("seed_locked", QtWidgets.QToolButton()))
        self.lock.toggled.connect(lambda _on: panel.form_edited())
        self.model_facts = ModelFacts()
        self._strength_label = QtWidgets.QLabel()
        self._strength_label.setObjectName("strength_words")
        self.strength = self._make_strength()
        self.rows = self._make_rows()

    def _make_strength(self) -> QtWidgets.QGridLayout:
        strength = self.fields.numbers["strength"]
        strength.widget.setFixedWidth(64)
        grid = QtWidgets.QGridLayout()
        grid.setVerticalSpacing(2)
        title = QtWidgets.QLabel(sentence("&Strength"))
        title.setBuddy(strength.widget)
        grid.addWidget(title, 0, 0)
        self._strength_label.setAlignment(QtCore.Qt.AlignmentFlag.AlignRight)
        grid.addWidget(self._strength_label, 0, 1, 1, 2)
        grid.addWidget(make_slider(strength), 1, 0, 1, 2)
        grid.addWidget(strength.widget, 1, 2)
        grid.setColumnStretch(1, 1)
        return grid

    def _make_rows(self) -> QtWidgets.QFormLayout:
        form = make_form()
        for name in ROWS:
            control = self.fields.all[name]
            label = "" if isinstance(control, SwitchControl) else control.field.label
            widget = control.shown if isinstance(control, NumberControl) else control.widget
            form.addRow(label, self._make_seed() if name == "seed" else widget)
            if name == "model":
                form.addRow(self.model_facts)
        return form

    def _make_seed(self) -> QtWidgets.QHBoxLayout:
        dice = set_up_button("seed_dice", QtWidgets.QToolButton())
        dice.clicked.connect(self._panel.draw_seed)
        row = QtWidgets.QHBoxLayout()
        row.setSpacing(4)
        row.addWidget(self.fields.numbers["seed"].widget, 1)
        row.addWidget(dice)
        row.addWidget(self.lock)
        return row

    def show_strength(self, text: Sentence) -> None:
        """Show the description of the strength."""
        self._strength_label.setText(text)

    def show_own(self, values: Mapping[str, float | str]) -> None:
        """Show what the model has in the fields that are left to it."""
        for name, value in values.items():
            if isinstance(value, str):
                self.fields.choices[name].show_own(value)
            else:
                self.fields.numbers[name].show_own(value)
