"""The form's fields as Qt controls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from underpaint_editor.form import Choice, Field, Number, Switch, Text

from .qt import QtCore, QtWidgets

_NARROWEST = 60  # pixels; a docker of 250 must not cut off
_SLIDES = 100  # a slider's positions for each 1.0


class Control:
    """One field's widget, and its value.

    Parameters
    ----------
    field : Field
        What it is for; the widget is called by its name.
    changed : callable
        Called after each change of the value.
    """

    def __init__(self, field: Field, changed: Callable[[], None]) -> None:
        self.field = field
        make, self._get, self._set = _KINDS[type(field)]
        self.widget = make(field, changed)
        self.widget.setObjectName(field.name)
        self.widget.setToolTip(f"<qt>{field.tip}</qt>")
        self.widget.setAccessibleName(field.label)
        self.widget.setAccessibleDescription(field.tip)

    @property
    def value(self) -> Any:
        """What it shows."""
        return self._get(self.widget)

    @value.setter
    def value(self, value: Any) -> None:
        self._set(self.widget, value)


class PromptEdit(QtWidgets.QPlainTextEdit):
    """Several lines of text, in which Ctrl+Enter generates and Tab goes on.

    An arrow key that can go no further asks for an earlier (-1) or later text (1).
    """

    entered = QtCore.pyqtSignal()
    stepped = QtCore.pyqtSignal(int)

    def event(self, event: Any) -> bool:
        """Claim Ctrl+Enter, which is Krita's shortcut for its search bar."""
        if event.type() == QtCore.QEvent.Type.ShortcutOverride and _is_ctrl_enter(event):
            event.accept()
            return True
        return bool(super().event(event))

    def keyPressEvent(self, event: Any) -> None:  # noqa: N802 - Qt calls it
        """Look for Ctrl+Enter."""
        if _is_ctrl_enter(event):
            if not event.isAutoRepeat():
                self.entered.emit()
            return
        before = self.textCursor()
        super().keyPressEvent(event)
        step = {QtCore.Qt.Key.Key_Up: -1, QtCore.Qt.Key.Key_Down: 1}.get(event.key())
        plain = event.modifiers() == QtCore.Qt.KeyboardModifier.NoModifier
        if step and plain and self.textCursor() == before:
            self.stepped.emit(step)


def _is_ctrl_enter(event: Any) -> bool:
    enter = event.key() in (QtCore.Qt.Key.Key_Return, QtCore.Qt.Key.Key_Enter)
    return bool(enter and event.modifiers() & QtCore.Qt.KeyboardModifier.ControlModifier)


class KeyWatch(QtCore.QObject):
    """Calls as soon as a key is pressed anywhere in Krita, before any shortcut acts on it."""

    def __init__(self, call: Callable[[], None]) -> None:
        super().__init__()
        self._call = call

    def start(self) -> None:
        """Begin to watch."""
        QtWidgets.QApplication.instance().installEventFilter(self)

    def end(self) -> None:
        """Watch no more."""
        QtWidgets.QApplication.instance().removeEventFilter(self)

    def eventFilter(self, _watched: Any, event: Any) -> bool:  # noqa: N802 - Qt calls it
        """Call for a key that is not merely held; the key itself goes on."""
        if event.type() == QtCore.QEvent.Type.ShortcutOverride and not event.isAutoRepeat():
            self._call()
        return False


class _NoWheel(QtCore.QObject):
    """Lets the wheel scroll the docker instead of changing what happens to lie under it."""

    def eventFilter(self, watched: Any, event: Any) -> bool:  # noqa: N802 - Qt calls it
        """Pass the wheel on, unless the control was clicked before."""
        if event.type() == QtCore.QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False


def _ignore_wheel(widget: Any) -> Any:
    widget.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
    widget.installEventFilter(_NoWheel(widget))
    return widget


def _text(field: Text, changed: Callable[[], None]) -> Any:
    edit = PromptEdit()
    edit.setPlaceholderText(field.label)
    edit.setTabChangesFocus(True)
    line = edit.fontMetrics().lineSpacing()
    frame = 2 * (edit.frameWidth() + int(edit.document().documentMargin()))
    edit.setFixedHeight(field.lines * line + frame)
    edit.textChanged.connect(changed)
    return edit


def _number(field: Number, changed: Callable[[], None]) -> Any:
    if field.decimals:
        box = QtWidgets.QDoubleSpinBox()
        box.setDecimals(field.decimals)
        box.setRange(field.minimum, field.maximum)
        box.setSingleStep(field.step)
    elif field.maximum < 2**31:
        box = QtWidgets.QSpinBox()
        box.setRange(int(field.minimum), int(field.maximum))
    else:  # a seed is larger than Qt's whole numbers
        box = QtWidgets.QDoubleSpinBox()
        box.setDecimals(0)
        box.setRange(field.minimum, field.maximum)
    box.setMinimumWidth(_NARROWEST)
    box.valueChanged.connect(lambda _value: changed())
    return _ignore_wheel(box)


def _set_number(box: Any, value: float) -> None:
    box.setValue(value)


def _get_number(box: Any) -> float | int:
    value = box.value()
    whole = isinstance(value, int) or not box.decimals()
    return int(value) if whole else round(value, box.decimals())


def _choice(field: Choice, changed: Callable[[], None]) -> Any:
    box = QtWidgets.QComboBox()
    for value, label in field.options.items():
        box.addItem(label, value)
    box.setMinimumContentsLength(6)
    box.setSizeAdjustPolicy(
        QtWidgets.QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
    )
    box.currentIndexChanged.connect(lambda _index: changed())
    return _ignore_wheel(box)


def _set_choice(box: Any, value: str) -> None:
    index = box.findData(value)
    if index < 0:  # a model that is not there just now
        box.addItem(value, value)
        index = box.count() - 1
    box.setCurrentIndex(index)


def _switch(field: Switch, changed: Callable[[], None]) -> Any:
    box = QtWidgets.QCheckBox(field.label)
    box.toggled.connect(lambda _on: changed())
    return box


_KINDS: dict[type, tuple[Callable[..., Any], Callable[[Any], Any], Callable[[Any, Any], None]]] = {
    Text: (_text, lambda w: w.toPlainText(), lambda w, value: w.setPlainText(value)),
    Number: (_number, _get_number, _set_number),
    Choice: (_choice, lambda w: w.currentData(), _set_choice),
    Switch: (_switch, lambda w: w.isChecked(), lambda w, value: w.setChecked(value)),
}


def make_slider(control: Control) -> Any:
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
    slider.valueChanged.connect(lambda value: control.widget.setValue(value / _SLIDES))
    control.widget.valueChanged.connect(lambda value: _follow(slider, round(value * _SLIDES)))
    return _ignore_wheel(slider)


def _follow(slider: Any, position: int) -> None:
    slider.blockSignals(True)
    slider.setValue(position)
    slider.blockSignals(False)
