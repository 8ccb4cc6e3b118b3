"""A bound on the memory of unfinished messages, where the system does not count a peer's bytes.

libzmq keeps the parts of a multipart message to itself until the last one has come. A frame has a
largest size (`ZMQ_MAXMSGSIZE`); a message has none, neither in bytes nor in parts. Over TCP, Linux
tells how many bytes a connection has received (`connections`). No system tells that of a Unix
socket, nor do others of TCP in a way that Python reaches. There the sum is watched instead: what
this process has allocated, less the frames of whole messages, is what unfinished messages take.

Which connection sends them is not known for certain. Those go first at which input waits in several
looks, then those that have not finished a message for longest, and twice as many in each look
until memory falls. A client whose connection is closed without need connects again by itself and
loses nothing that was accepted.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from weakref import finalize

import psutil

from underpaint.models.host_memory import total_memory

from .accepted_connection import has_input

if TYPE_CHECKING:
    import zmq

    from .accepted_connection import AcceptedConnection

MAX_UNFINISHED = 6 * 2**30
"""Bytes of unfinished messages in all: the largest layer of this machine's own, which is
`rules.MAX_PIXELS` of RGBA float32, its selection and its mask. At most half of the memory."""

SMALLEST = 2**12
"""Bytes below which a frame is not counted: their number is limited elsewhere."""


class KeptFrames:
    """Counts the bytes of received frames that are still in memory."""

    def __init__(self) -> None:
        self._bytes = 0
        self._freed: deque[int] = deque()  # by whichever thread let go of the frame last

    def add(self, frame: zmq.Frame) -> None:
        """Count a frame until it is freed; in the thread that receives."""
        size = len(frame)
        if size >= SMALLEST:
            self._bytes += size
            finalize(frame, self._freed.append, size).atexit = False
        while self._freed:
            self._bytes -= self._freed.popleft()

    def count(self) -> int:
        """Return the bytes that are kept; in any thread."""
        return self._bytes - sum(list(self._freed))


class MemoryWatch:
    """See the module.

    Parameters
    ----------
    kept : callable
        Returns the bytes of the frames of whole messages, which others count.
    in_use : callable, optional
        Returns the bytes that this process has allocated.
    limit : int, optional
        Bytes; without it, `MAX_UNFINISHED` or half of the memory.
    """

    def __init__(
        self,
        kept: Callable[[], int],
        in_use: Callable[[], int] | None = None,
        limit: int | None = None,
    ) -> None:
        self._kept = kept
        self._in_use = in_use or allocated_bytes
        self._limit = limit or min(MAX_UNFINISHED, total_memory() // 2)
        self._at_rest = self._in_use() - self._kept()
        self._dropping = 0

    def look(self, lines: Iterable[AcceptedConnection], counted: int) -> list[AcceptedConnection]:
        """Return the connections to close now, which are most likely to send without end.

        Parameters
        ----------
        lines : iterable of AcceptedConnection
            Those whose bytes the system does not count.
        counted : int
            Bytes of unfinished messages of all others.
        """
        unfinished = self._in_use() - self._kept() - counted - self._at_rest
        if unfinished < self._limit // 4:
            self._at_rest += min(unfinished, 0)
            self._dropping = 0
            return []
        suspects = list(lines)
        for line in suspects:
            line.busy_looks += has_input(line)
        if unfinished <= self._limit:
            self._dropping = 0
            return []
        if self._dropping >= len(suspects):  # all are gone, and it was none of them
            self._at_rest += unfinished
            self._dropping = 0
            return []
        self._dropping = 2 * self._dropping or 1
        suspects.sort(key=lambda line: (-line.busy_looks, line.last_progress))
        return suspects[: self._dropping]


class _MallInfo(ctypes.Structure):
    """`struct mallinfo2` of the GNU C library."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks",
            "fordblks", "keepcost",
        )
    ]  # fmt: skip


@functools.cache
def _mallinfo() -> Callable[[], _MallInfo] | None:
    """Return `mallinfo2`, which the GNU C library has since 2.33; None elsewhere."""
    if sys.platform != "linux":
        return None
    found = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if found is not None:
        found.restype, found.argtypes = _MallInfo, ()
    return found


def allocated_bytes() -> int:
    """Return how many bytes this process has allocated.

    Where the C library does not tell, the memory that is this process's alone: it may stay larger
    for a while after much was freed.
    """
    mallinfo = _mallinfo()
    if mallinfo is not None:
        told = mallinfo()
        return int(told.uordblks + told.hblkhd)
    return int(psutil.Process().memory_full_info().uss)
