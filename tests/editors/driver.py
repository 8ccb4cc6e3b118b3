"""Carries out scenarios inside an editor, one after the other.

A scenario is a generator. It yields what it waits for: a function that gives something true, or a
number of seconds. Nothing here opens an event loop of its own, as an editor would then hold back
what its layers wait for.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

FOLDER = Path(os.environ["UNDERPAINT_AGENT"])
PATIENCE = 60.0
STILL, TURNS = 0.2, 8
"""For how many seconds and turns of the event loop something has to stay the same."""


class Settled:
    """A wait until an editor has done what was begun: what a function returns stays the same.

    Parameters
    ----------
    read : callable
    changed : bool
        Whether to wait for a first change, as after a key that goes through the screen.
    at_most : float
        Seconds.
    """

    def __init__(
        self, read: Callable[[], object], *, changed: bool = False, at_most: float = 1.0
    ) -> None:
        self.read, self.changed = read, not changed
        self.since = time.monotonic()
        self.end = self.since + at_most
        self.turns, self.before = 0, read()

    def __call__(self) -> bool:
        now, found = time.monotonic(), self.read()
        if found != self.before:
            self.before, self.changed, self.since, self.turns = found, True, now, 0
        self.turns += 1
        still = self.changed and self.turns > TURNS and now - self.since >= STILL
        return still or now >= self.end


class Driver:
    """See the module.

    Parameters
    ----------
    scenarios : module
        Whose functions `UNDERPAINT_RUN` names.
    later : callable
        Calls a function after some milliseconds.
    shoot : callable
        Writes a picture of the screen.
    clear : callable
        Closes what a scenario left open.
    quit_editor : callable
        Ends the editor.
    busy : callable, optional
        Whether the plug-in is in the middle of something, inside of which the editor handles
        events. An artist's hand is not as fast.
    """

    def __init__(
        self,
        scenarios: ModuleType,
        later: Callable[[int, Callable[[], None]], None],
        shoot: Callable[[Path], None],
        clear: Callable[[], None],
        quit_editor: Callable[[], None],
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self.module, self.later, self.shoot = scenarios, later, shoot
        self.clear, self.quit_editor, self.busy = clear, quit_editor, busy
        self.names = iter(os.environ["UNDERPAINT_RUN"].split(","))
        self.results: dict[str, dict[str, Any]] = {}
        self.errors: list[str] = []
        self.name, self.said = "", dict[str, Any]()
        self.run: Iterator[Any] = iter(())
        self.wait: Any = None
        self.deadline = self.began = self.slept = 0.0
        sys.excepthook = self.fail

    def fail(self, *found: Any) -> None:
        self.errors.append("".join(traceback.format_exception(*found)))
        print(self.errors[-1], file=sys.stderr, flush=True)

    def next(self) -> None:
        name = next(self.names, None)
        if name is None:
            self.write()
            self.quit_editor()
            return
        self.name, self.said = name, {}
        self.errors.clear()
        self.run = getattr(self.module, name)(self.said)
        self.wait, self.began, self.slept = None, time.monotonic(), 0.0
        self.tick()

    def tick(self) -> None:
        if self.busy():
            self.later(10, self.tick)
            return
        try:
            self.advance()
        except StopIteration:
            self.end("".join(self.errors))
        except Exception:  # noqa: BLE001 - whatever it is, the next scenario runs
            self.end(traceback.format_exc())
        else:
            self.later(10, self.tick)

    def advance(self) -> None:
        if self.errors:
            raise RuntimeError(self.errors[0])
        now = time.monotonic()
        waits = not self.wait() if callable(self.wait) else now < (self.wait or 0)
        if waits and now > self.deadline:
            raise TimeoutError(f"waited {PATIENCE} s")
        if not waits:
            found = next(self.run)
            if isinstance(found, (int, float)):
                self.slept += found
                self.wait = now + found
            else:
                self.wait = found
            self.deadline = now + PATIENCE

    def end(self, error: str) -> None:
        self.shoot(FOLDER / f"{self.name}.png")
        took = {"seconds": time.monotonic() - self.began, "slept": self.slept}
        self.results[self.name] = {"error": error, "took": took, **self.said}
        self.write()
        self.clear()
        self.later(300, self.next)

    def write(self) -> None:
        draft = FOLDER / "results.draft"
        draft.write_text(json.dumps(self.results), encoding="utf-8")
        draft.replace(FOLDER / "results.json")
