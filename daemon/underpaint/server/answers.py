"""Answers that threads have for the daemon: made there, and handled in the daemon's own loop."""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
import threading
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Executor
from typing import Generic, TypeVar

T = TypeVar("T")

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


class SharedAnswer(Generic[T]):
    """An answer that a thread makes for all who wait for it when it begins.

    Parameters
    ----------
    answers : Answers
        Where those who wait are called.
    thread : Executor
        Of one thread.
    make : callable
        Returns the answer, in the thread. It raises nothing.
    """

    def __init__(self, answers: Answers, thread: Executor, make: Callable[[], T]) -> None:
        self._answers, self._thread, self._make = answers, thread, make
        self._lock = threading.Lock()
        self._waiting: dict[Hashable, Callable[[T], object]] = {}

    def request(self, key: Hashable, then: Callable[[T], object]) -> bool:
        """Have a function called with the answer; of one key, only the first that waits.

        Returns
        -------
        bool
            Whether an answer is to be made that was not to be made before.
        """
        with self._lock:
            is_first = not self._waiting
            self._waiting.setdefault(key, then)
            if is_first:
                self._thread.submit(self._answer)
        return is_first

    def _answer(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        answer = self._make()
        for then in waiting.values():
            self._answers.add(functools.partial(then, answer))
