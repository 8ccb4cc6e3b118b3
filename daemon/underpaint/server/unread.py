"""The bytes that were sent to clients and that they have not read yet."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import zmq

from .job_queue import Client

if TYPE_CHECKING:
    from underpaint_client.frames import Bytes

MAX_EACH = 2**28
"""Bytes that one client, or key, may leave unread: beyond, its jobs wait and it gets no answers."""

MAX_ALL = 2**30
"""Bytes in all, beyond which this holds for every client that leaves more than `MAX_PREVIEWS`."""

MAX_PREVIEWS = 2**24
"""Bytes of unread messages beyond which a client is sent no previews."""

SMALLEST = 2**12
"""Bytes below which a part is not counted; messages of such parts are limited by their number."""


class Unread:
    """Counts what ZeroMQ holds of the messages to each client.

    Parameters
    ----------
    max_each, max_all, max_previews : int
        As `MAX_EACH`, `MAX_ALL` and `MAX_PREVIEWS`.
    """

    def __init__(
        self, max_each: int = MAX_EACH, max_all: int = MAX_ALL, max_previews: int = MAX_PREVIEWS
    ) -> None:
        self._max_each, self._max_all, self._max_previews = max_each, max_all, max_previews
        self._sent: dict[str | Client, deque[tuple[zmq.MessageTracker, int]]] = {}

    def count(self, client: Client, parts: list[Bytes]) -> list[Bytes | zmq.Frame]:
        """Return the parts as they are to be sent, and count them from now on.

        If they are not sent after all, they no longer count once they are freed.
        """
        counted: list[Bytes | zmq.Frame] = []
        for part in parts:
            size = memoryview(part).nbytes
            if size < SMALLEST:
                counted.append(part)
                continue
            frame = zmq.Frame(part, track=True, copy_threshold=0)
            if isinstance(frame.tracker, zmq.MessageTracker):
                self._sent.setdefault(_who(client), deque()).append((frame.tracker, size))
            counted.append(frame)
        return counted

    def of(self, client: Client) -> int:
        """Return the bytes that a client, or all with its key, has not read."""
        return self._of(_who(client)) if self._sent else 0

    def _of(self, who: str | Client) -> int:
        sent = self._sent.get(who)
        if not sent:
            return 0
        left = deque((tracker, size) for tracker, size in sent if not tracker.done)
        if left:
            self._sent[who] = left
        else:
            del self._sent[who]
        return sum(size for _, size in left)

    def in_all(self) -> int:
        """Return the bytes that nobody has read."""
        return sum(self._of(who) for who in list(self._sent))

    def is_too_much(self, client: Client) -> bool:
        """Return whether a client should read before it is sent more."""
        mine = self.of(client)
        if mine > self._max_each:
            return True
        return mine > self._max_previews and self.in_all() > self._max_all

    def accepts_previews(self, client: Client) -> bool:
        """Return whether a client has read enough to be sent previews."""
        return self.of(client) <= self._max_previews


def _who(client: Client) -> str | Client:
    return client.owner or client
