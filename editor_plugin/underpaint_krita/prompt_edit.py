"""The edit field of a prompt, and how Qt counts its characters."""

from __future__ import annotations

from collections.abc import Callable

from underpaint_client.prompt_editing import STEP, change_weight

from .qt import QtCore, QtGui, QtWidgets


class PromptEdit(QtWidgets.QPlainTextEdit):
    """Several lines of text, in which Ctrl+Enter and Shift+Enter generate, and Tab goes on.

    Ctrl+Up and Ctrl+Down change the weight of the words at the caret. `stepped` is sent if an arrow
    key can go no further: -1 for up, 1 for down. `typed` is sent after keys have changed the text.
    """

    is_typing = False
    """Whether a key is changing the text."""

    entered = QtCore.pyqtSignal()
    typed = QtCore.pyqtSignal()
    stepped = QtCore.pyqtSignal(int)

    def event(self, event: QtCore.QEvent) -> bool:
        """Accept Ctrl+Enter, which is Krita's shortcut for its search bar, and our other keys."""
        is_ours = _is_generate_key(event) or _weight_change(event) != 0
        if event.type() == QtCore.QEvent.Type.ShortcutOverride and is_ours:
            event.accept()
            return True
        return bool(super().event(event))

    def keyPressEvent(self, event: QtGui.QKeyEvent) -> None:  # noqa: N802 - Qt calls it
        """Generate on Ctrl+Enter, and send `stepped` for an arrow key without effect."""
        if _is_generate_key(event):
            if not event.isAutoRepeat():
                self.entered.emit()
            return
        if change := _weight_change(event):
            self._change_weight(change)
            return
        before = self.textCursor()
        self._type(lambda: super(PromptEdit, self).keyPressEvent(event))
        key, keys = event.key(), QtCore.Qt.Key
        plain = event.modifiers() == QtCore.Qt.KeyboardModifier.NoModifier
        if key in (keys.Key_Up, keys.Key_Down) and plain and self.textCursor() == before:
            self.stepped.emit(-1 if key == keys.Key_Up else 1)

    def inputMethodEvent(self, event: QtGui.QInputMethodEvent) -> None:  # noqa: N802 - Qt calls it
        """Take what an input method has composed."""
        self._type(lambda: super(PromptEdit, self).inputMethodEvent(event))

    def _type(self, handle: Callable[[], None]) -> None:
        """Let Qt handle a key, and send `typed` if that has changed the text."""
        revision = self.document().revision()
        self.is_typing = True
        handle()
        self.is_typing = False
        if self.document().revision() != revision:
            self.typed.emit()

    def _change_weight(self, change: float) -> None:
        """Change the weight of the words at the caret, as one step to undo."""
        text, cursor = self.toPlainText(), self.textCursor()
        places = (cursor.selectionStart(), cursor.selectionEnd())
        start, end = (to_characters(text, place) for place in places)
        edited = change_weight(text, start, end, change)
        if edited.text != text:
            cursor.select(QtGui.QTextCursor.SelectionType.Document)
            cursor.insertText(edited.text)
        cursor.setPosition(to_units(edited.text, edited.start))
        cursor.setPosition(to_units(edited.text, edited.end), QtGui.QTextCursor.MoveMode.KeepAnchor)
        self.setTextCursor(cursor)


def to_characters(text: str, units: int) -> int:
    """Return how many characters of a text so many of Qt's units are, which are of 16 bits."""
    return len(text.encode("utf-16-le")[: 2 * units].decode("utf-16-le", errors="ignore"))


def to_units(text: str, characters: int) -> int:
    """Undo `to_characters`."""
    return len(text[:characters].encode("utf-16-le")) // 2


def _weight_change(event: QtCore.QEvent) -> float:
    """Return what Ctrl+Up and Ctrl+Down add to a weight; 0 for any other event."""
    if not isinstance(event, QtGui.QKeyEvent):
        return 0
    modifier = QtCore.Qt.KeyboardModifier
    others = modifier.ShiftModifier | modifier.AltModifier
    if not event.modifiers() & modifier.ControlModifier or event.modifiers() & others:
        return 0
    keys = QtCore.Qt.Key
    steps: dict[int, float] = {keys.Key_Up: STEP, keys.Key_Down: -STEP}
    return steps.get(event.key(), 0)


def _is_generate_key(event: QtCore.QEvent) -> bool:
    """Return whether it is Ctrl+Enter or Shift+Enter; tools differ in which of them generates."""
    if not isinstance(event, QtGui.QKeyEvent):
        return False
    enter = event.key() in (QtCore.Qt.Key.Key_Return, QtCore.Qt.Key.Key_Enter)
    modifier = QtCore.Qt.KeyboardModifier
    return enter and bool(event.modifiers() & (modifier.ControlModifier | modifier.ShiftModifier))
