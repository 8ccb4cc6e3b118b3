"""The form's fields as Qt controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar, Union

from underpaint_editor import controls as editor_controls
from underpaint_editor.buttons import BUTTONS
from underpaint_editor.form import (
    FIELDS,
    Choice,
    Field,
    Number,
    Switch,
    Text,
    describe_own,
)

from .number_box import NumberBox
from .prompt_edit import PromptEdit
from .qt import QtCore, QtWidgets
from .widgets import make_checkable, set_up_button, show_checked

_NARROWEST = 60  # pixels, for a docker of 250 pixels
_SLIDES = 100  # a slider's positions for each 1.0

_Widget = TypeVar("_Widget", bound=QtWidgets.QWidget)


class _WheelFilter(QtCore.QObject):
    """Lets the mouse wheel scroll the docker, not change the control under the pointer."""

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:  # noqa: N802 - Qt calls it
        """Pass the wheel on to the docker, unless the control was clicked before."""
        wheel = event.type() == QtCore.QEvent.Type.Wheel
        if wheel and isinstance(watched, QtWidgets.QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return False


def _ignore_wheel(widget: _Widget) -> _Widget:
    widget.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
    widget.installEventFilter(_WheelFilter(widget))
    return widget


def _describe(widget: _Widget, field: Field) -> _Widget:
    """Return a widget with the name and tooltip of its field."""
    widget.setObjectName(field.name)
    widget.setToolTip(f"<qt>{field.tip}</qt>")
    widget.setAccessibleName(field.label)
    widget.setAccessibleDescription(field.tip)
    return widget


class TextControl:
    """A text field's widget, and its value.

    Parameters
    ----------
    field : Text
    changed : callable
        Called after each change of the value.
    """

    def __init__(self, field: Text, changed: Callable[[], None]) -> None:
        self.field = field
        self.widget = edit = _describe(PromptEdit(), field)
        edit.setPlaceholderText(field.label)
        edit.setTabChangesFocus(True)
        line = edit.fontMetrics().lineSpacing()
        frame = 2 * (edit.frameWidth() + int(edit.document().documentMargin()))
        edit.setFixedHeight(field.lines * line + frame)
        if field.lines == 1:  # from 5.15.15 on, Qt shows arrows there without need
            edit.setVerticalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        edit.textChanged.connect(changed)

    @property
    def value(self) -> str:
        """The text."""
        return self.widget.toPlainText()

    @value.setter
    def value(self, value: str) -> None:
        self.widget.setPlainText(value)


class NumberControl:
    """A number field's widget, and its value; see `TextControl`.

    `shown` is the widget, beside the button that leaves the number to the model where it may be.
    """

    def __init__(self, field: Number, changed: Callable[[], None]) -> None:
        self.field = field
        self._changed = changed
        self._own: float | None = None
        self._auto: QtWidgets.QToolButton | None = None
        self._whole = not field.decimals
        self.widget = box = NumberBox()
        box.setDecimals(field.decimals)
        box.setRange(field.minimum, field.maximum)
        box.setSingleStep(field.step)
        _describe(self.widget, field)
        self.widget.setMinimumWidth(_NARROWEST)
        self.widget.valueChanged.connect(lambda _value: self._edited())
        _ignore_wheel(self.widget)
        self.shown: QtWidgets.QWidget = self._add_auto() if field.by_model else self.widget

    def _add_auto(self) -> QtWidgets.QWidget:
        self._auto = auto = make_checkable(set_up_button("auto", QtWidgets.QToolButton()))
        auto.setObjectName(f"{self.field.name}_auto")
        auto.setAccessibleName(f"{self.field.label}: {BUTTONS['auto'].label}")
        auto.setChecked(True)
        auto.toggled.connect(lambda _on: self._toggled())
        both = QtWidgets.QWidget()
        row = QtWidgets.QHBoxLayout(both)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.widget, 1)
        row.addWidget(auto)
        return both

    def _edited(self) -> None:
        """Take a number that was typed for the artist's own."""
        if self._auto is not None and self._auto.isChecked():
            self._auto.setChecked(False)  # which sends `toggled`
        else:
            self._changed()

    def _toggled(self) -> None:
        if self._auto is not None and self._auto.isChecked():
            self._show(self._own)
        self._changed()

    def _show(self, number: float | None) -> None:
        """Show a number without a signal."""
        if number is None or number == self.widget.value():  # the text may be half typed
            return
        self.widget.blockSignals(True)
        self.widget.setValue(number)
        self.widget.blockSignals(False)

    def show_own(self, number: float) -> None:
        """Show the model's number while the field is left to it."""
        self._own = number
        if self._auto is not None:
            show_checked(self._auto)  # the theme may have changed
        if self.value is None:
            self._show(number)

    @property
    def value(self) -> float | None:
        """The number, an int if the field has no decimals; None if it is left to the model."""
        if self._auto is not None and self._auto.isChecked():
            return None
        value = self.widget.value()
        return int(value) if self._whole else round(value, self.field.decimals)

    @value.setter
    def value(self, value: float | None) -> None:
        if self._auto is not None:
            self._auto.setChecked(value is None)
        if value is not None:
            self.widget.setValue(value)


class ChoiceControl:
    """The widget of a choice, and its value; see `TextControl`."""

    def __init__(self, field: Choice, changed: Callable[[], None]) -> None:
        self.field = field
        self.widget = box = _describe(QtWidgets.QComboBox(), field)
        for value, label in field.options.items():
            box.addItem(label, value)
        box.setMinimumContentsLength(6)
        box.setSizeAdjustPolicy(
            QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        box.currentIndexChanged.connect(lambda _index: changed())
        _ignore_wheel(box)

    @property
    def value(self) -> str:
        """The chosen value; empty if the list is."""
        return self.widget.currentData() or ""

    @value.setter
    def value(self, value: str) -> None:
        index = self.widget.findData(value)
        if index < 0:  # such as a model that is not installed now
            self.widget.addItem(value, value)
            index = self.widget.count() - 1
        self.widget.setCurrentIndex(index)

    def show_own(self, value: str) -> None:
        """Show what the model has beside the option that leaves it to the model."""
        first, label = next(iter(self.field.options.items()))
        index, text = self.widget.findData(first), describe_own(label, value)
        if self.widget.itemText(index) != text:
            self.widget.setItemText(index, text)


class SwitchControl:
    """The widget of a switch, and its value; see `TextControl`."""

    def __init__(self, field: Switch, changed: Callable[[], None]) -> None:
        self.field = field
        self.widget = _describe(QtWidgets.QCheckBox(field.label), field)
        self.widget.toggled.connect(lambda _on: changed())

    @property
    def value(self) -> bool:
        """Whether it is on."""
        return self.widget.isChecked()

    @value.setter
    def value(self, value: bool) -> None:
        self.widget.setChecked(value)


Control = Union[TextControl, NumberControl, ChoiceControl, SwitchControl]


Controls = editor_controls.Controls[TextControl, NumberControl, ChoiceControl, SwitchControl]


def make_controls(changed: Callable[[], None], fields: Sequence[Field] = FIELDS) -> Controls:
    """Return the form's controls; `changed` is called after each change of a value."""
    return editor_controls.make_controls(
        TextControl, NumberControl, ChoiceControl, SwitchControl, changed, fields
    )


def make_slider(control: NumberControl) -> QtWidgets.QSlider:
    """Return a slider that moves together with a number's control."""
    field = control.field
    slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal)
    slider.setObjectName(f"{field.name}_slider")
    slider.setToolTip(control.widget.toolTip())
    slider.setAccessibleName(field.label)
    slider.setRange(0, _SLIDES)
    slider.setSingleStep(5)
    slider.setPageStep(10)
    slider.setMinimumWidth(_NARROWEST)

    def set_number(position: int) -> None:
        control.value = position / _SLIDES

    slider.valueChanged.connect(set_number)
    control.widget.valueChanged.connect(lambda value: _move(slider, round(value * _SLIDES)))
    return _ignore_wheel(slider)


def _move(slider: QtWidgets.QSlider, position: int) -> None:
    """Move a slider without a signal, which would round the number to the slider's step."""
    slider.blockSignals(True)
    slider.setValue(position)
    slider.blockSignals(False)
