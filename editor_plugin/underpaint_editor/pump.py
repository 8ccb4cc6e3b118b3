"""The message pump: handles what the daemon sends, and leaves the editor time for itself."""

from __future__ import annotations

import time
from enum import Enum
from typing import TYPE_CHECKING

from .tracker import CHECK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .contract import EventLoop
    from .notices import Notice
    from .tracker import JobTracker

TURN = 0.02
"""Seconds that are spent on the daemon's messages before the editor has its turn."""

_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.03, 0.1  # seconds of the editor's turn


def pause_after(spent: float, *, more: bool) -> float:
    """Return the seconds to pause after messages were handled; 0 for no pause.

    Parameters
    ----------
    spent : float
        Seconds that handling them took.
    more : bool
        Whether there were any, so that more may have arrived.
    """
    if not more and spent < TURN:
        return 0.0
    return min(max(spent, _SHORTEST_PAUSE), _LONGEST_PAUSE)


class _State(Enum):
    READY = "ready"
    HANDLING = "handling"  # an editor may run its event loop inside its own calls
    PAUSED = "paused"


class Pump:
    """See the module.

    A daemon that sends without end would keep the editor from drawing and from its own input. So
    messages are handled for a short time, and then not for at least as long, up to a limit. Nothing
    is handled during the call and the pause: an editor that runs its event loop inside its own
    calls would otherwise let a later message overtake an earlier one.

    Parameters
    ----------
    loop : EventLoop
    tracker : JobTracker
    handle : callable
        Handles notices in their order; returns whether there were any.
    clock : callable
        Returns the seconds of a monotonic clock.
    """

    def __init__(
        self,
        loop: EventLoop,
        tracker: JobTracker,
        handle: Callable[[Iterable[Notice]], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loop = loop
        self._tracker = tracker
        self._handle = handle
        self._clock = clock
        self._state = _State.READY
        self._stop_watching: Callable[[], None] | None = None
        self._watched_fd = -1
        self._check_scheduled = False

    def run(self) -> None:
        """Handle what has arrived, if it is not being handled already."""
        self._run(self._tracker.receive)

    def check(self) -> None:
        """Handle what has arrived, and check that the daemon is still there."""
        self._run(self._tracker.check)

    def wake(self) -> None:
        """Watch the connection, if there is one, and handle what has arrived meanwhile.

        The descriptor is edge-triggered, so this is necessary after each call that sends.
        """
        if self._tracker.fd is None or self._state is _State.PAUSED:
            return
        self._watch(self._tracker.fd)
        self._loop.call_later(0, self.run)

    def unwatch(self) -> None:
        """Stop watching the connection."""
        if self._stop_watching is not None:
            self._stop_watching()
            self._stop_watching = None

    def schedule_checks(self) -> None:
        """Check the daemon regularly for as long as there are jobs."""
        if not self._check_scheduled:
            self._check_scheduled = True
            self._loop.call_later(int(1000 * CHECK), self._check_regularly)

    def _check_regularly(self) -> None:
        self._check_scheduled = False
        if self._tracker.jobs:
            try:
                self.check()
                self.wake()
            finally:
                self.schedule_checks()

    def _run(self, receive: Callable[[float], Iterable[Notice]]) -> None:
        if self._state is not _State.READY:
            return  # what has arrived is handled after the pause
        self._state, more, began = _State.HANDLING, True, self._clock()
        try:
            more = self._handle(receive(TURN))
        finally:
            pause = pause_after(self._clock() - began, more=more)
            self._state = _State.PAUSED if pause else _State.READY
            if pause:
                self.unwatch()  # it stays readable, and would keep the event loop busy
                self._loop.call_later(int(1000 * pause), self._end_pause)

    def _end_pause(self) -> None:
        self._state = _State.READY
        if self._tracker.fd is not None:
            self._watch(self._tracker.fd)
        self.run()

    def _watch(self, fd: int) -> None:
        if self._stop_watching is None or self._watched_fd != fd:
            self.unwatch()
            self._watched_fd = fd
            self._stop_watching = self._loop.watch(fd, self.run)
