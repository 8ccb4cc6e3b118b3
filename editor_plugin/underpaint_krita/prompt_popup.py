"""The pop-up with completions at the caret of a prompt, and the mark of what cannot be read.

It is a window of its own without a frame, so that it may reach beyond a narrow docker. It never
takes the focus: the prompt's keys pass through here first.
"""

from __future__ import annotations

from collections.abc import Callable

from underpaint_client.parsed_prompt import PromptError
from underpaint_client.prompt_completion import Candidates, Kind
from underpaint_editor.prompt_popup import Completer, Key, Offer

from .prompt_edit import PromptEdit, to_characters, to_units
from .qt import QtCore, QtGui, QtWidgets

_ROWS = 8  # that are shown at once
_WIDEST = 420  # pixels


def _keys() -> dict[int, Key]:
    keys = QtCore.Qt.Key
    return {
        keys.Key_Up: Key.UP,
        keys.Key_Down: Key.DOWN,
        keys.Key_Return: Key.ENTER,
        keys.Key_Enter: Key.ENTER,
        keys.Key_Tab: Key.TAB,
        keys.Key_Escape: Key.ESCAPE,
    }


class PromptPopup(QtWidgets.QListWidget):
    """See the module. It is the `PromptField` of its `Completer`.

    Parameters
    ----------
    edit : PromptEdit
        The prompt.
    candidates : callable
        As `Completer` has it.
    """

    def __init__(self, edit: PromptEdit, candidates: Callable[[Kind], Candidates]) -> None:
        super().__init__(edit)
        self.completer = Completer(self, candidates)
        self._edit, self._keys = edit, _keys()
        self.setObjectName(f"{edit.objectName()}_completions")
        self.setAccessibleName("Completions")
        kinds = QtCore.Qt.WindowType
        self.setWindowFlags(
            kinds.ToolTip | kinds.FramelessWindowHint | kinds.WindowDoesNotAcceptFocus
        )
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_ShowWithoutActivating)
        self.setFrameShape(QtWidgets.QFrame.Shape.Box)  # Krita's themes draw no edge otherwise
        self.setFrameShadow(QtWidgets.QFrame.Shadow.Plain)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        self.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.hide()
        self.itemPressed.connect(lambda item: self.completer.click(self.row(item)))
        self._revision = edit.document().revision()
        edit.typed.connect(self._typed)
        edit.textChanged.connect(self._changed)
        edit.cursorPositionChanged.connect(self._caret_moved)
        edit.installEventFilter(self)

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:  # noqa: N802 - Qt calls it
        """Take the keys of an open pop-up from the prompt, and hide it when the focus goes."""
        kinds = QtCore.QEvent.Type
        if watched is not self._edit:  # its window, which the pop-up does not move with
            if event.type() in (kinds.Move, kinds.Resize):
                self.completer.close()
            return False
        if event.type() in (kinds.FocusOut, kinds.Hide, kinds.Wheel):
            self.completer.close()
            return False
        key = self._key(event)
        if key is None or self.completer.offer is None:
            return False
        if event.type() == kinds.ShortcutOverride:
            event.accept()  # else Krita's shortcut for this key acts
            return True
        return event.type() == kinds.KeyPress and self.completer.press(key)

    def _key(self, event: QtCore.QEvent) -> Key | None:
        if not isinstance(event, QtGui.QKeyEvent):
            return None
        modifiers = QtCore.Qt.KeyboardModifier
        if event.modifiers() not in (modifiers.NoModifier, modifiers.KeypadModifier):
            return None
        return self._keys.get(event.key())

    def _typed(self) -> None:
        self._revision = self._edit.document().revision()
        self.completer.typed()

    def _changed(self) -> None:
        if not self._edit.is_typing:
            self.completer.moved()

    def _caret_moved(self) -> None:
        if self._edit.document().revision() == self._revision:  # else `typed` follows
            self.completer.moved()

    # ---- what the completer calls ----------------------------------------------------------

    def read(self) -> tuple[str, int]:
        """Return the prompt, and the place of the caret in it."""
        text = self._edit.toPlainText()
        return text, to_characters(text, self._edit.textCursor().position())

    def insert(self, start: int, end: int, text: str) -> None:
        """Replace characters of the prompt."""
        before, cursor = self._edit.toPlainText(), self._edit.textCursor()
        cursor.setPosition(to_units(before, start))
        cursor.setPosition(to_units(before, end), QtGui.QTextCursor.MoveMode.KeepAnchor)
        cursor.insertText(text)
        self._edit.setTextCursor(cursor)

    def show_offer(self, offer: Offer) -> None:
        """Show completions at the caret."""
        self._revision = self._edit.document().revision()
        rows = offer.rows
        if rows != [self.item(row).text() for row in range(self.count())]:
            self.clear()
            self.addItems(rows)
        self.setCurrentRow(offer.chosen)
        self._place(len(rows))
        self.show()
        self._edit.window().installEventFilter(self)

    def hide_offer(self) -> None:
        """Hide the pop-up."""
        self.hide()
        self._edit.window().removeEventFilter(self)

    def _place(self, rows: int) -> None:
        """Put the pop-up below the caret, or above it where the screen ends."""
        frame = 2 * self.frameWidth()
        height = self.sizeHintForRow(0) * min(rows, _ROWS) + frame
        bar = self.verticalScrollBar().sizeHint().width() if rows > _ROWS else 0
        width = min(self.sizeHintForColumn(0) + frame + bar + 8, _WIDEST)
        caret, view = self._edit.cursorRect(), self._edit.viewport()
        below, above = view.mapToGlobal(caret.bottomLeft()), view.mapToGlobal(caret.topLeft())
        screen = self._edit.screen().availableGeometry()
        top = below.y() + 2
        if top + height > screen.bottom():
            top = above.y() - height - 2
        left = max(screen.left(), min(below.x(), screen.right() - width))
        self.setGeometry(QtCore.QRect(left, top, width, height))


def mark_error(edit: PromptEdit, error: PromptError | None) -> None:
    """Underline what cannot be read in a prompt; see `contract.Toolkit`."""
    marks = []
    if error is not None:
        text, mark = edit.toPlainText(), QtWidgets.QTextEdit.ExtraSelection()
        cursor = edit.textCursor()
        end = error.position + len(error.excerpt)
        cursor.setPosition(to_units(text, error.position))
        cursor.setPosition(to_units(text, end), QtGui.QTextCursor.MoveMode.KeepAnchor)
        style = QtGui.QTextCharFormat()
        style.setUnderlineStyle(QtGui.QTextCharFormat.UnderlineStyle.WaveUnderline)
        style.setUnderlineColor(QtGui.QColor(220, 50, 47))
        mark.cursor, mark.format = cursor, style
        marks.append(mark)
    edit.setExtraSelections(marks)
