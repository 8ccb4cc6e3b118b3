"""Notices a key before one of Krita's shortcuts acts on it."""

from __future__ import annotations

from collections.abc import Callable

from .qt import QtCore, QtGui, QtWidgets


class KeyWatch(QtCore.QObject):
    """Calls a function when any key is pressed in Krita, before a shortcut acts on it."""

    def __init__(self, pressed: Callable[[], None]) -> None:
        super().__init__()
        self._pressed = pressed

    def start(self) -> None:
        """Begin to watch."""
        application = QtWidgets.QApplication.instance()
        if application is not None:
            application.installEventFilter(self)

    def stop(self) -> None:
        """Stop watching."""
        application = QtWidgets.QApplication.instance()
        if application is not None:  # else Krita is quitting
            application.removeEventFilter(self)

    def eventFilter(self, _watched: QtCore.QObject, event: QtCore.QEvent) -> bool:  # noqa: N802 - Qt calls it
        """Call the function for a key that is not repeated, and let the key take effect."""
        override = event.type() == QtCore.QEvent.Type.ShortcutOverride
        if override and isinstance(event, QtGui.QKeyEvent) and not event.isAutoRepeat():
            self._pressed()
        return False
