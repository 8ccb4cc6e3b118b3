"""Runs inside Krita: carries out the scenarios that the tests name, one after the other.

A scenario is a generator. It yields what it waits for: a function that gives something true, or a
number of seconds. Nothing here opens an event loop of its own, as Krita would then hold back what
its layers wait for.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from krita import Krita
from PyQt5 import QtCore, QtWidgets

FOLDER = Path(os.environ["UNDERPAINT_AGENT"])
PATIENCE = 60.0
sys.path.insert(0, os.environ["UNDERPAINT_SCENARIOS"])


class Agent(QtCore.QObject):
    def __init__(self) -> None:
        super().__init__()
        self.results: dict[str, dict[str, Any]] = {}
        self.errors: list[str] = []
        self.name, self.said = "", dict[str, Any]()
        self.run: Iterator[Any] = iter(())
        self.wait: Any = None
        self.deadline = 0.0
        sys.excepthook = self.fail

    def fail(self, *found: Any) -> None:
        self.errors.append("".join(traceback.format_exception(*found)))
        print(self.errors[-1], file=sys.stderr, flush=True)

    def begin(self) -> None:
        self.module = importlib.import_module("scenarios")
        self.scenarios = iter(os.environ["UNDERPAINT_RUN"].split(","))
        self.next()

    def next(self) -> None:
        name = next(self.scenarios, None)
        if name is None:
            self.write()
            os._exit(0)
        self.name, self.said = name, {}
        self.errors.clear()
        self.run = getattr(self.module, name)(self.said)
        self.wait = None
        self.tick()

    def tick(self) -> None:
        try:
            self.advance()
        except StopIteration:
            self.end("".join(self.errors))
        except Exception:  # noqa: BLE001 - whatever it is, the next scenario runs
            self.end(traceback.format_exc())
        else:
            QtCore.QTimer.singleShot(10, self.tick)

    def advance(self) -> None:
        if self.errors:
            raise RuntimeError(self.errors[0])
        now = time.monotonic()
        waits = not self.wait() if callable(self.wait) else now < (self.wait or 0)
        if waits and now > self.deadline:
            raise TimeoutError(f"waited {PATIENCE} s")
        if not waits:
            found = next(self.run)
            self.wait = now + found if isinstance(found, int | float) else found
            self.deadline = now + PATIENCE

    def end(self, error: str) -> None:
        QtWidgets.QApplication.primaryScreen().grabWindow(0).save(str(FOLDER / f"{self.name}.png"))
        self.results[self.name] = {"error": error, **self.said}
        self.write()
        for document in Krita.instance().documents():
            document.setModified(False)
            document.close()
        QtCore.QTimer.singleShot(300, self.next)

    def write(self) -> None:
        draft = FOLDER / "results.draft"
        draft.write_text(json.dumps(self.results), encoding="utf-8")
        draft.replace(FOLDER / "results.json")


agent = Agent()


def started() -> None:
    window = Krita.instance().activeWindow()
    if window is None:
        QtCore.QTimer.singleShot(200, started)
        return
    window.qwindow().setGeometry(0, 0, 1600, 1000)
    for docker in Krita.instance().dockers():
        docker.setVisible(docker.objectName() in ("underpaint", "KisLayerBox"))
    QtCore.QTimer.singleShot(500, agent.begin)


notifier = Krita.instance().notifier()
notifier.setActive(True)
notifier.windowCreated.connect(started)
