"""Keeps the store in a thread of its own, so that the daemon answers meanwhile.

What is asked of it is done in the order of asking, and so are the answers: whoever tells a client
something in `then` tells it after it was written.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from .answers import Answers
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
        self._answers = Answers()

    @property
    def fd(self) -> int:
        """The descriptor that can be read when there are answers."""
        return self._answers.fd

    def do(
        self,
        work: Callable[[Store], T],
        then: Callable[[T | None, Exception | None], object] | None = None,
    ) -> None:
        """Run a function on the store, in its thread.

        Parameters
        ----------
        work : callable
            Called with the store, in the store's thread.
        then : callable, optional
            Called with the result, or the error, the next time `answer` is called.
        """

        def carry_out() -> None:
            result, error = None, None
            try:
                result = work(self._store)
            except Exception as found:  # noqa: BLE001 - the thread's boundary: `then` is given it
                error = found
                log.error("the store failed: %s: %s", type(error).__name__, error)  # noqa: TRY400
            if then is not None:
                self._answers.add(lambda: then(result, error))

        self._thread.submit(carry_out)

    def answer(self) -> None:
        """Call every `then` whose work is done."""
        self._answers.handle()

    def finish(self) -> None:
        """Wait until all that was asked for is done, and call what waits for that."""
        self._thread.submit(lambda: None).result()
        self.answer()

    def close(self) -> None:
        """Finish what was asked for, and close the store."""
        self._thread.shutdown()
        self.answer()
        self._store.close()
        self._answers.close()


def describe_error(error: Exception) -> str:
    """Return why the store failed, to be shown to people."""
    return getattr(error, "strerror", None) or str(error)
