"""One connection that a socket of libzmq has accepted, looked at through its descriptor."""

from __future__ import annotations

import socket
import struct
import sys
import time
from dataclasses import dataclass, field
from typing import Any

_BYTES_RECEIVED = 128
"""Offset of `tcpi_bytes_received` in Linux's `struct tcp_info`, since 4.1."""


@dataclass
class AcceptedConnection:
    """One connection that a socket has accepted.

    Parameters
    ----------
    descriptor : int
        libzmq's.
    source : str
        The peer's address; empty for ipc.
    ends : tuple
        The names of both ends, by which it is told from the next user of its descriptor.
    key : str or None
        Whose it is, as `jobs.Client.owner`; None while it is silent.
    messages : int
        Whole messages that were read from it.
    seen_messages, received, base : int
        Those at the last look; the bytes that had come; the bytes that had come with them.
    last_progress : float
        When something came last, by the monotonic clock.
    busy_looks : int
        Looks since its last whole message at which it had input that was not read yet.
    """

    descriptor: int
    source: str
    ends: tuple[Any, Any]
    key: str | None = None
    messages: int = 0
    seen_messages: int = 0
    received: int = 0
    base: int = 0
    last_progress: float = field(default_factory=time.monotonic)
    busy_looks: int = 0

    @property
    def is_counted(self) -> bool:
        """Whether the system tells how many bytes have come."""
        return bool(self.source) and sys.platform == "linux"

    @property
    def ahead(self) -> int:
        """Bytes that came since the last look at which a message had been read."""
        return self.received - self.base


def _open_again(descriptor: int) -> socket.socket | None:
    """Return a socket object for libzmq's descriptor, to be detached; None if it is no socket."""
    try:
        return socket.socket(fileno=descriptor)
    except OSError:
        return None


def ends_of(descriptor: int) -> tuple[Any, Any] | None:
    """Return the names of both ends of a connection; None if it is closed."""
    found = _open_again(descriptor)
    if found is None:
        return None
    try:
        return found.getsockname(), found.getpeername()
    except OSError:
        return None
    finally:
        found.detach()


def shut_down(line: AcceptedConnection) -> None:
    """End a connection, unless its descriptor is another's by now; libzmq then closes it."""
    found = _open_again(line.descriptor)
    if found is None:
        return
    try:
        if (found.getsockname(), found.getpeername()) == line.ends:
            found.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # its peer has gone
    finally:
        found.detach()


def has_input(line: AcceptedConnection) -> bool:
    """Return whether something has come that libzmq has not read yet."""
    found = _open_again(line.descriptor)
    if found is None:
        return False
    try:
        return bool(found.recv(1, socket.MSG_PEEK))  # libzmq made it non-blocking
    except OSError:
        return False
    finally:
        found.detach()


def bytes_received(line: AcceptedConnection) -> int:
    """Return how many bytes have come over a connection; 0 where the system does not tell."""
    if not line.is_counted:
        return 0
    found = _open_again(line.descriptor)
    if found is None:
        return line.received
    try:
        told = found.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_RECEIVED + 8)
        return int(struct.unpack_from("=Q", told, _BYTES_RECEIVED)[0])
    except (OSError, struct.error):
        return line.received
    finally:
        found.detach()
