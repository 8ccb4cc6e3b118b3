"""Slots one after the other, as an editor may handle events inside calls of its own API."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .contract import EventLoop


class Turns:
    """Runs functions one after the other, never one inside another.

    From 5.3 on, Krita handles events while it carries out a call of its API: a click, or a message
    of the daemon's, arrives in the middle of what another one has begun. It has to wait.

    Parameters
    ----------
    loop : EventLoop
        Runs what had to wait.
    """

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop
        self._running = False
        self._waiting: list[Callable[[], None]] = []

    def take(self, function: Callable[[], None]) -> None:
        """Run a function now, or when those that came before it have ended.

        One that waits already is not added again.
        """
        if self._running:
            if function not in self._waiting:
                self._waiting.append(function)
            return
        self._running = True
        try:
            function()
        finally:
            self._running = False
            if self._waiting:
                self._loop.call_later(0, self._take_next)

    def _take_next(self) -> None:
        if self._waiting and not self._running:  # else it is called again
            self.take(self._waiting.pop(0))
