"""What clients ask of the store, done a few at a time and for each client in turn.

The store does all that is asked of it in one thread, in order. Somebody who asks without end would
keep the jobs of others from being written.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from underpaint_client.errors import BadInputError

from .job_queue import Client

AT_ONCE = 16
"""Questions that the store has at once."""

MAX_ASKED = 4096
"""Questions of one client, or key, that may wait."""

Work = Callable[[], object]


class Turns:
    """See the module.

    Parameters
    ----------
    when_done : callable
        Calls what it is given when the store has done all that it was asked until now.
    """

    def __init__(self, when_done: Callable[[Work], None]) -> None:
        self._when_done = when_done
        self._waiting: OrderedDict[Hashable, OrderedDict[Hashable, Work]] = OrderedDict()
        self._asked = 0

    def schedule(self, client: Client, question: Hashable, work: Work) -> None:
        """Call a function when it is the client's turn; answer equal questions once.

        Raises
        ------
        BadInputError
            Too many questions of the client wait.
        """
        mine = self._waiting.setdefault(client.owner or client, OrderedDict())
        if len(mine) >= MAX_ASKED:
            raise BadInputError(
                "{most} questions of this client are waiting already; wait for the answers",
                most=MAX_ASKED,
            )
        mine.setdefault((client, question), work)
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and self._asked < AT_ONCE:
            who, mine = self._waiting.popitem(last=False)
            _, work = mine.popitem(last=False)
            if mine:
                self._waiting[who] = mine  # at the end
            self._asked += 1
            try:
                work()
            finally:
                if self._asked == AT_ONCE:
                    self._when_done(self._next)

    def _next(self) -> None:
        self._asked = 0
        self._go_on()
