"""The session of this Krita, on Qt's event loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from krita import Krita

from underpaint_editor.log import open_log
from underpaint_editor.session import Session

from .canvas import KritaDocument
from .qt import QtCore


class Signals(QtCore.QObject):
    """Tells the dockers, which come and go, about the session's state."""

    message = QtCore.pyqtSignal(str)
    progress = QtCore.pyqtSignal(object)
    preview = QtCore.pyqtSignal(object)
    refresh = QtCore.pyqtSignal()


class _EventLoop:
    def __init__(self, parent: Any) -> None:
        self._parent = parent

    def watch(self, fd: int, callback: Callable[[], None]) -> Callable[[], None]:
        notifier = QtCore.QSocketNotifier(fd, QtCore.QSocketNotifier.Type.Read, self._parent)
        notifier.activated.connect(lambda *_: callback())

        def end() -> None:
            notifier.setEnabled(False)
            notifier.deleteLater()

        return end

    def call_later(self, milliseconds: int, callback: Callable[[], None]) -> None:
        QtCore.QTimer.singleShot(milliseconds, callback)


class _Listener:
    def __init__(self, signals: Signals) -> None:
        self.show_message = signals.message.emit
        self.show_progress = signals.progress.emit
        self.show_preview = signals.preview.emit
        self.refresh = signals.refresh.emit


@functools.cache
def signals() -> Signals:
    """Return the signals that dockers connect to."""
    return Signals()


@functools.cache
def session() -> Session:
    """Return the one session of this Krita."""
    open_log("Krita", Krita.instance().version())
    return Session("Krita", _EventLoop(signals()), _Listener(signals()), KritaDocument.find)
