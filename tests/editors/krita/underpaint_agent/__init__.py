"""Runs inside Krita: carries out the scenarios that the tests name."""

from __future__ import annotations

import importlib
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from krita import Krita

if TYPE_CHECKING or "PyQt6.QtCore" not in sys.modules:  # `krita` has imported its own
    from PyQt5 import QtCore, QtWidgets
else:
    from PyQt6 import QtCore, QtWidgets

BEGAN = time.monotonic()
PATIENCE = 120.0
"""Seconds in which Krita's window has to be there."""

_HERE = Path(os.environ["UNDERPAINT_SCENARIOS"])
sys.path[:0] = [str(_HERE), str(_HERE.parent)]
sys.path.append(str(_HERE.parents[1]))

from driver import Driver  # noqa: E402


def shoot(file: Path) -> None:
    QtWidgets.QApplication.primaryScreen().grabWindow(0).save(str(file))


def quit_krita() -> None:
    os._exit(0)  # asked to end by itself, it crashes


def started() -> None:
    window = Krita.instance().activeWindow()
    if window is None:
        # Without a window manager, a window that asked for the focus before it could be seen has
        # none, and Krita then has no active window.
        for one in Krita.instance().windows():
            one.activate()
        if time.monotonic() - BEGAN > PATIENCE:
            sys.stderr.write("Krita has no active window\n")
            os._exit(3)
        QtCore.QTimer.singleShot(200, started)
        return
    window.qwindow().setGeometry(QtWidgets.QApplication.primaryScreen().geometry())
    hide_dockers()
    QtCore.QTimer.singleShot(500, begin)


def hide_dockers() -> None:
    """Show two dockers alone."""
    for docker in Krita.instance().dockers():
        docker.setVisible(docker.objectName() in ("underpaint", "KisLayerBox"))


def opened() -> None:
    """Hide what Krita shows with the first document, from 5.2 on."""
    notifier.viewCreated.disconnect(opened)
    QtCore.QTimer.singleShot(0, hide_dockers)


def begin() -> None:
    scenarios = importlib.import_module("scenarios")
    later, clear = QtCore.QTimer.singleShot, scenarios.close_all
    Driver(scenarios, later, shoot, clear, quit_krita, scenarios.is_busy).next()


notifier = Krita.instance().notifier()
notifier.setActive(True)
notifier.windowCreated.connect(started)
notifier.viewCreated.connect(opened)
