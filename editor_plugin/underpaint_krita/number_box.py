"""Qt's box for a number, in which a decimal point and a decimal comma count alike.

Qt's own takes the sign of another language for one that sets thousands apart: 0,45 became 45, which
is more than the field can have.
"""

from __future__ import annotations

import re

from underpaint_editor.form import read_number

from .qt import QtGui, QtWidgets

_PART = re.compile(r"[-+0-9.,' \u00a0\u202f]*")


class NumberBox(QtWidgets.QDoubleSpinBox):
    """A number. One that is out of range becomes the nearest in range.

    A text that cannot be read leaves the number that was there before.
    """

    _before = 0.0

    def validate(self, text: str, position: int) -> tuple[QtGui.QValidator.State, str, int]:
        """Return whether a text can be read as a number, or may become one."""
        state = QtGui.QValidator.State
        if read_number(text, self.decimals()) is not None:
            return state.Acceptable, text, position
        return state.Intermediate if _PART.fullmatch(text) else state.Invalid, text, position

    def valueFromText(self, text: str) -> float:  # noqa: N802 - Qt calls it
        """Return the number that was typed."""
        number = read_number(text, self.decimals())
        return self.value() if number is None else min(max(number, self.minimum()), self.maximum())

    def fixup(self, _text: str) -> str:
        """Return what takes the place of a text that cannot be read."""
        return self.textFromValue(self._before)

    def focusInEvent(self, event: QtGui.QFocusEvent) -> None:  # noqa: N802 - Qt calls it
        """Keep the number that is there before another one is typed."""
        self._before = self.value()
        super().focusInEvent(event)
