"""The plug-in's session, on Qt's event loop. There is one for each running Krita."""

from __future__ import annotations

import functools
from collections.abc import Callable

from krita import Krita

from underpaint_client.frames import Frame
from underpaint_client.sentences import Sentence
from underpaint_editor.log import open_log
from underpaint_editor.session import Session
from underpaint_editor.unhandled import catch_unhandled

from .canvas import KritaDocument
from .qt import QtCore


class Signals(QtCore.QObject):
    """Passes the session's state on to the dockers, which are created and deleted at any time."""

    message = QtCore.pyqtSignal(str)
    progress = QtCore.pyqtSignal(object)
    preview = QtCore.pyqtSignal(object)
    refresh = QtCore.pyqtSignal()


class KritaEventLoop:
    """Qt's event loop; see `contract.EventLoop`.

    Parameters
    ----------
    parent : QObject
        Owns what watches descriptors.
    """

    def __init__(self, parent: QtCore.QObject) -> None:
        self._parent = parent

    def watch(self, fd: int, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` whenever a descriptor becomes readable; return what stops that."""
        notifier = QtCore.QSocketNotifier(fd, QtCore.QSocketNotifier.Type.Read, self._parent)
        notifier.activated.connect(lambda *_: callback())

        def stop() -> None:
            notifier.setEnabled(False)
            notifier.deleteLater()

        return stop

    def call_later(self, milliseconds: int, callback: Callable[[], None]) -> None:
        """Call `callback` once, after a delay."""
        QtCore.QTimer.singleShot(milliseconds, callback)


class SignalListener:
    """Sends the session's state as signals; see `contract.Listener`."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    def show_message(self, text: Sentence) -> None:
        """Show a status message."""
        self._signals.message.emit(text)

    def show_progress(self, fraction: float | None) -> None:
        """Show how much of the running job is done."""
        self._signals.progress.emit(fraction)

    def show_preview(self, frame: Frame | None) -> None:
        """Show the unfinished image, or remove it."""
        self._signals.preview.emit(frame)

    def refresh(self) -> None:
        """Show the session's jobs, models and remedy."""
        self._signals.refresh.emit()


@functools.cache
def signals() -> Signals:
    """Return the signals that dockers connect to."""
    return Signals()


@functools.cache
def session() -> Session:
    """Return the session, which is created by the first call."""
    open_log("Krita", Krita.instance().version())
    made = Session(
        "Krita", KritaEventLoop(signals()), SignalListener(signals()), KritaDocument.find
    )
    catch_unhandled(made.report)
    return made
