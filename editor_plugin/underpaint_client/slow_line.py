"""A thread between a connection and a slow line: it packs and sends, hears and unpacks.

Pixels take a moment to pack, and no editor shall wait for that. The thread alone owns the socket to
the daemon; the connection has one end of a pair, on which a word says that there is something in
the box beside it, so that its descriptor wakes an event loop as the daemon's own would.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from . import messages, wire
from .errors import DaemonUnavailableError, UnderpaintError
from .packing import Packer, unpack

if TYPE_CHECKING:
    from .frames import Frame
    from .messages import Message

    Received = tuple[Message, tuple[Frame, ...]]

_ENDPOINT = "inproc://carrier"  # each connection has a context of its own


class SlowLine:
    """See the module.

    Parameters
    ----------
    zmq : module
        Handed in, as `connection` alone imports it.
    context : zmq.Context
        The connection's; ended by this thread.
    dealer : zmq.Socket
        The socket to the daemon, from now on this thread's.
    """

    def __init__(self, zmq: Any, context: Any, dealer: Any) -> None:
        self._zmq, self._context, self._dealer = zmq, context, dealer
        self._packer: Packer | None = None  # until the daemon has said that it takes them
        self._outbox: deque[Received | None] = deque()
        self._inbox: deque[Received | UnderpaintError] = deque()
        self.end = self._pair()
        self.end.bind(_ENDPOINT)
        self._far_end = self._pair()
        self._far_end.connect(_ENDPOINT)
        self._patience = 0.0
        self._thread = threading.Thread(target=self._run, name="carrier", daemon=True)
        self._thread.start()

    def _pair(self) -> Any:
        pair = self._context.socket(self._zmq.PAIR)
        pair.setsockopt(self._zmq.SNDHWM, 0)
        pair.setsockopt(self._zmq.RCVHWM, 0)
        return pair

    # ---- the connection's side -------------------------------------------------------------

    def send(self, message: Message, frames: tuple[Frame, ...]) -> None:
        """Have a message sent."""
        self._outbox.append((message, frames))
        self.end.send(b"")

    def receive(self) -> Received:
        """Take what its word has come for.

        Raises
        ------
        UnderpaintError
            Where it was nothing that can be read.
        """
        self.end.recv()
        received = self._inbox.popleft()
        if isinstance(received, UnderpaintError):
            raise received
        return received

    def close(self, patience: float) -> None:
        """Let go; the thread ends by itself.

        Parameters
        ----------
        patience : float
            Seconds that what was not yet sent may still take.
        """
        self._patience = patience
        self._outbox.append(None)
        self.end.send(b"")
        self.end.close()
        self._thread.join(patience)

    # ---- the thread's ----------------------------------------------------------------------

    def _run(self) -> None:
        poller = self._zmq.Poller()
        poller.register(self._far_end, self._zmq.POLLIN)
        poller.register(self._dealer, self._zmq.POLLIN)
        while True:
            for socket, _ in poller.poll():
                if socket is self._dealer:
                    self._hear()
                elif not self._carry():
                    self._far_end.close(linger=0)
                    self._dealer.close(linger=int(1000 * self._patience))
                    self._context.term()
                    return

    def _carry(self) -> bool:
        """Send one message; return whether there may be more."""
        self._far_end.recv()
        going = self._outbox.popleft()
        if going is None:
            return False
        message, frames = going
        try:
            if self._packer is not None:
                message, frames = self._packer.outgoing(message, frames)
            self._send(message, frames)
        except Exception as error:  # noqa: BLE001 - this thread must go on, and somebody be told
            self._deliver_failure(message, error)
        return True

    def _send(self, message: Message, frames: tuple[Frame, ...]) -> None:
        self._dealer.send_multipart(wire.encode(message, frames), copy=False)

    def _hear(self) -> None:
        try:
            parts = [part.buffer for part in self._dealer.recv_multipart(copy=False)]
            message, frames = wire.decode(parts)
            if isinstance(message, messages.Welcome) and message.packed:
                self._packer = self._packer or Packer()
            if self._packer is not None:
                self._packer.heard(message)
            if isinstance(message, messages.Want):
                again = self._packer.again(message) if self._packer is not None else None
                if again is not None:
                    self._send(*again)
                return
            self._deliver((message, tuple(unpack(frame) for frame in frames)))
        except UnderpaintError as error:
            self._deliver(error)
        except Exception as error:  # noqa: BLE001 - as above
            self._deliver(DaemonUnavailableError(f"what the daemon said cannot be read ({error})"))

    def _deliver_failure(self, message: Message, error: Exception) -> None:
        code = error.code if isinstance(error, UnderpaintError) else "failed"
        told = str(error) or type(error).__name__
        self._deliver((messages.Failed(getattr(message, "job", ""), code, told), ()))

    def _deliver(self, received: Received | UnderpaintError) -> None:
        self._inbox.append(received)
        self._far_end.send(b"")
