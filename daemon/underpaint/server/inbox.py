"""Messages as they come off a socket, bounded before anything is built of them."""

from __future__ import annotations

import time

import zmq

from .memory_watch import KeptFrames

LOOK_EVERY = 64
"""Parts of an overlong message between two looks at the clock."""


class Inbox:
    """Reads a ROUTER's messages, and of each no more parts than a reader would take.

    Parameters
    ----------
    socket : zmq.Socket
    most : int
        Parts of the longest message that is taken. One more is kept, so that the reader sees that
        there were too many; all others are dropped as they come.
    kept : KeptFrames
        Counts the parts that are returned for as long as they are in memory.
    """

    def __init__(self, socket: zmq.Socket[bytes], most: int, kept: KeptFrames) -> None:
        self._socket = socket
        self._kept = kept
        self._most = most
        self._parts: list[zmq.Frame] = []

    def receive(self, until: float) -> list[zmq.Frame] | None:
        """Return the parts of the next message, without waiting.

        Parameters
        ----------
        until : float
            When the next socket has its turn, by the monotonic clock: the rest of a message of very
            many parts is dropped another time.

        Returns
        -------
        list of zmq.Frame or None
            None if there is none, or the time has run out.
        """
        parts, number = self._parts, 0
        while True:
            try:
                part = self._socket.recv(zmq.DONTWAIT, copy=False)
            except zmq.Again:
                return None
            if len(parts) <= self._most:
                parts.append(part)
                self._kept.add(part)
            if not part.more:
                self._parts = []
                return parts
            number += 1
            if number % LOOK_EVERY == 0 and time.monotonic() > until:
                return None
