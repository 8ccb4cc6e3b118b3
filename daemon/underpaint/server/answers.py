"""Answers that threads have for the daemon: made there, and handled in the daemon's own loop."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)


class Answers:
    """A queue of calls. `add` may be called in any thread, all else in the one that made this."""

    def __init__(self) -> None:
        self._calls: deque[Callable[[], object]] = deque()
        self._wake_writer, self._wake_reader = socket.socketpair()
        self._wake_writer.setblocking(False)
        self._wake_reader.setblocking(False)

    @property
    def fd(self) -> int:
        """The descriptor that can be read when there are answers."""
        return self._wake_reader.fileno()

    def add(self, call: Callable[[], object]) -> None:
        """Have a function called, the next time that `handle` is."""
        self._calls.append(call)
        with contextlib.suppress(OSError):  # it wakes up anyway, or was closed
            self._wake_writer.send(b"!")

    def handle(self) -> None:
        """Call all functions that were added. What one of them raises goes to the log."""
        with contextlib.suppress(BlockingIOError):
            while self._wake_reader.recv(4096):
                pass
        while self._calls:
            try:
                self._calls.popleft()()
            except Exception:  # the boundary between answers: the others must be called too
                log.exception("handling an answer failed")

    def close(self) -> None:
        """Close the descriptors."""
        self._wake_writer.close()
        self._wake_reader.close()
