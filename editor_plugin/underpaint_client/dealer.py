"""The ZeroMQ DEALER socket to the daemon, and the messages on it where they need no packing.

`connection` imports zmq and passes the module in, so that everything else loads without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import wire
from .errors import DaemonUnavailableError
from .locate import START_HINT

if TYPE_CHECKING:
    from typing import Protocol

    from .frames import Frame
    from .home import ConnectionInfo
    from .messages import Message

    Received = tuple[Message, tuple[Frame, ...]]

    class MessageSocket(Protocol):
        """Sends and receives whole messages; `DirectSocket` and `SlowLine` are the two kinds."""

        socket: Any
        """The zmq socket to poll; each time it is readable, `receive` returns one message."""

        def send(self, message: Message, frames: tuple[Frame, ...]) -> None:
            """Send a message without waiting."""

        def receive(self) -> Received:
            """Return the message that has arrived, or raise an `UnderpaintError`."""

        def close(self, patience: float) -> None:
            """Close; what was not sent yet has some seconds left."""


def open_dealer(zmq: Any, context: Any, info: ConnectionInfo) -> Any:
    """Return a DEALER socket that is connected to a daemon.

    Raises
    ------
    DaemonUnavailableError
        If the endpoint or the keys are not valid.
    """
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, 0)
    socket.setsockopt(zmq.RCVHWM, 0)
    try:
        if info.server_public:
            socket.curve_serverkey = info.server_public.encode("ascii")
            socket.curve_publickey = info.client_public.encode("ascii")
            socket.curve_secretkey = info.client_secret.encode("ascii")
        socket.connect(info.endpoint)
    except (zmq.ZMQError, ValueError) as error:
        socket.close(linger=0)
        raise DaemonUnavailableError(
            "cannot connect to {endpoint!r} ({error}); {hint}",
            endpoint=info.endpoint,
            error=error,
            hint=START_HINT,
        ) from None
    return socket


class DirectSocket:
    """Sends messages as they are: to a daemon on the same machine.

    Parameters
    ----------
    context : zmq.Context
        Ended with the socket.
    dealer : zmq.Socket
    """

    def __init__(self, context: Any, dealer: Any) -> None:
        self._context = context
        self.socket = dealer

    def send(self, message: Message, frames: tuple[Frame, ...]) -> None:
        """Send a message. Pixels are not copied."""
        self.socket.send_multipart(wire.encode(message, frames), copy=False)

    def receive(self) -> Received:
        """Return the message that has arrived.

        Raises
        ------
        UnderpaintError
            If it cannot be read.
        """
        parts = self.socket.recv_multipart(copy=False)
        return wire.decode([part.buffer for part in parts])

    def close(self, patience: float) -> None:
        """Close; what was not sent yet has some seconds left."""
        self.socket.close(linger=int(1000 * patience))
        self._context.term()
