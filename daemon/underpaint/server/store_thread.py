"""Keeps the store in a thread of its own, so that the daemon answers meanwhile.

What is asked of it is done in the order of asking, and so are the answers: whoever tells a client
something in `then` tells it after it was written.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .store import Store

T = TypeVar("T")

log = logging.getLogger(__name__)


class StoreThread:
    """See the module. All but the work itself happens in the thread that makes this.

    Parameters
    ----------
    store : Store
        Its own from now on.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._answers: deque[Callable[[], object]] = deque()
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)

    @property
    def fd(self) -> int:
        """The descriptor that can be read when there are answers."""
        return self._ear.fileno()

    def do(
        self,
        work: Callable[[Store], T],
        then: Callable[[T | None, Exception | None], object] | None = None,
    ) -> None:
        """Have something done with the store.

        Parameters
        ----------
        work : callable
            Is given the store, in the store's thread.
        then : callable, optional
            Is given what came of it, or why nothing did, when `answer` is called after.
        """

        def carry_out() -> None:
            result, error = None, None
            try:
                result = work(self._store)
            except Exception as found:  # noqa: BLE001 - the daemon must go on, store or not
                error = found
                log.error("the store failed: %s: %s", type(error).__name__, error)  # noqa: TRY400
            if then is not None:
                self._answers.append(lambda: then(result, error))
                self._ring()

        self._thread.submit(carry_out)

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it rings already
            self._bell.send(b"!")

    def answer(self) -> None:
        """Call every `then` whose work is done."""
        with contextlib.suppress(BlockingIOError):
            while self._ear.recv(4096):
                pass
        while self._answers:
            try:
                self._answers.popleft()()
            except Exception:  # whatever one of them does, the others must be heard
                log.exception("an answer of the store's was not understood")

    def finish(self) -> None:
        """Wait until all that was asked for is done, and call what waits for that."""
        self._thread.submit(lambda: None).result()
        self.answer()

    def close(self) -> None:
        """Finish what was asked for, and close the store."""
        self._thread.shutdown()
        self.answer()
        self._store.close()
        self._bell.close()
        self._ear.close()


def describe_error(error: Exception) -> str:
    """Return why the store failed, to be shown to people."""
    return getattr(error, "strerror", None) or str(error)
