"""The session of this Krita, on Qt's event loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from underpaint_editor.session import Session

from .canvas import Place
from .qt import QtCore


class Signals(QtCore.QObject):
    """What the session says; dockers connect to it, and come and go."""

    said = QtCore.pyqtSignal(str)
    moved = QtCore.pyqtSignal(object)
    previewed = QtCore.pyqtSignal(object)
    changed = QtCore.pyqtSignal()


class _Loop:
    def __init__(self, parent: Any) -> None:
        self._parent = parent

    def watch(self, fd: int, call: Callable[[], None]) -> Callable[[], None]:
        notifier = QtCore.QSocketNotifier(fd, QtCore.QSocketNotifier.Type.Read, self._parent)
        notifier.activated.connect(lambda *_: call())

        def end() -> None:
            notifier.setEnabled(False)
            notifier.deleteLater()

        return end

    def later(self, milliseconds: int, call: Callable[[], None]) -> None:
        QtCore.QTimer.singleShot(milliseconds, call)


class _Listener:
    def __init__(self, signals: Signals) -> None:
        self.said = signals.said.emit
        self.moved = signals.moved.emit
        self.previewed = signals.previewed.emit
        self.changed = signals.changed.emit


@functools.cache
def signals() -> Signals:
    """Return what says what the session says."""
    return Signals()


@functools.cache
def session() -> Session:
    """Return the one session of this Krita."""
    return Session("Krita", _Loop(signals()), _Listener(signals()), Place.find)
