"""Small helpers for Qt's widgets."""

from __future__ import annotations

from typing import TypeVar

from underpaint_editor.buttons import BUTTONS, SPOKEN

from .qt import QtCore, QtGui, QtWidgets

_Button = TypeVar("_Button", bound=QtWidgets.QAbstractButton)


def set_up_button(name: str, widget: _Button) -> _Button:
    """Return a button with the text and tooltip of one of `buttons.BUTTONS`."""
    button = BUTTONS[name]
    widget.setObjectName(name)
    widget.setText(button.label)
    widget.setToolTip(button.tip)
    widget.setAccessibleName(button.label if button.label.isalpha() else button.tip)
    return widget


def make_label(name: str) -> QtWidgets.QLabel:
    """Return an empty label for one of the texts in `buttons.SPOKEN`."""
    label = QtWidgets.QLabel()
    label.setObjectName(name)
    label.setAccessibleName(SPOKEN[name])
    label.setWordWrap(True)
    label.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)
    label.setTextFormat(QtCore.Qt.TextFormat.PlainText)
    return label


def set_enabled(button: QtWidgets.QAbstractButton, enabled: bool) -> None:
    """Enable or disable a button.

    A button that has the keyboard focus gives it up first. Qt would pass the focus on to a number
    or a text, which would receive the Ctrl+Z that is meant for the image.
    """
    if not enabled and button.hasFocus():
        button.clearFocus()
    button.setEnabled(enabled)


def make_checkable(button: _Button) -> _Button:
    """Return a button that stays pressed, and stands out while it is."""
    button.setCheckable(True)
    button.toggled.connect(lambda _on: show_checked(button))
    return button


def show_checked(button: QtWidgets.QAbstractButton) -> None:
    """Highlight a button while it is pressed, which Krita's themes hardly show."""
    plain = (button.parentWidget() or button).palette()  # of the current theme
    button.setPalette(highlighted(plain) if button.isChecked() else plain)


def highlighted(palette: QtGui.QPalette) -> QtGui.QPalette:
    """Return a palette that makes a button stand out, in the colours of the current theme."""
    colours, role = QtGui.QPalette(palette), QtGui.QPalette.ColorRole
    colours.setColor(role.Button, palette.color(role.Highlight))
    colours.setColor(role.ButtonText, palette.color(role.HighlightedText))
    return colours


def make_form() -> QtWidgets.QFormLayout:
    """Return a layout of rows, each a label and a control, as the docker has them."""
    form = QtWidgets.QFormLayout()
    form.setFieldGrowthPolicy(QtWidgets.QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setRowWrapPolicy(QtWidgets.QFormLayout.RowWrapPolicy.WrapLongRows)
    form.setHorizontalSpacing(6)
    form.setVerticalSpacing(4)
    return form
