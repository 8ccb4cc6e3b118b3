"""A thread between a connection and a slow line: it packs and sends, receives and unpacks.

Packing pixels takes a moment, and no editor should wait for it. The thread alone uses the socket to
the daemon. Messages travel between it and the connection in two queues. A pair of sockets beside
them carries one empty message for each, so that the connection's descriptor wakes an event loop as
the daemon's own socket would.

libzmq connects again by itself after a cut. The daemon then knows nothing of the new connection,
and closes it soon if nothing is said on it, as an idle editor does. So the thread sends the
client's `Hello` again.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from . import messages, wire
from .errors import DaemonUnavailableError, UnderpaintError
from .packing import Packer, unpack

if TYPE_CHECKING:
    from .dealer import Received
    from .frames import Frame
    from .messages import Message

THREAD_NAME = "underpaint connection"

_ENDPOINT = "inproc://underpaint"  # each connection has a context of its own
_MONITOR = "inproc://monitor"

_logger = logging.getLogger("underpaint_client")
_logger.addHandler(logging.NullHandler())


class SlowLine:
    """See the module.

    Parameters
    ----------
    zmq : module
        Passed in, since only `connection` imports it.
    context : zmq.Context
        The connection's; ended by this thread.
    dealer : zmq.Socket
        The socket to the daemon, from now on this thread's.
    packer : Packer, optional
        Knows what the daemon holds; without it, one that knows nothing is made as soon as the
        daemon has said that it accepts packed frames. After a `Hello`, submissions wait for that.
    """

    def __init__(self, zmq: Any, context: Any, dealer: Any, packer: Packer | None = None) -> None:
        self._zmq, self._context, self._dealer = zmq, context, dealer
        self._packer = packer
        self._outbox: deque[Received | None] = deque()
        self._inbox: deque[Received | UnderpaintError] = deque()
        self.socket = self._pair()
        self.socket.bind(_ENDPOINT)
        self._inner = self._pair()
        self._inner.connect(_ENDPOINT)
        self._patience = 0.0
        self._hello: messages.Hello | None = None
        self._is_welcome = False
        self._held: deque[Received] = deque()  # until the daemon says whether it may be packed
        self._handshakes = 0
        dealer.monitor(_MONITOR, zmq.EVENT_HANDSHAKE_SUCCEEDED)
        self._monitor = self._pair()
        self._monitor.connect(_MONITOR)
        self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
        self._thread.start()

    def _pair(self) -> Any:
        pair = self._context.socket(self._zmq.PAIR)
        pair.setsockopt(self._zmq.SNDHWM, 0)
        pair.setsockopt(self._zmq.RCVHWM, 0)
        return pair

    # ---- called by the connection ----------------------------------------------------------

    def send(self, message: Message, frames: tuple[Frame, ...]) -> None:
        """Send a message, in the thread."""
        self._outbox.append((message, frames))
        self.socket.send(b"")

    def receive(self) -> Received:
        """Return the message that has arrived.

        Raises
        ------
        UnderpaintError
            If it cannot be read, or something could not be sent.
        """
        self.socket.recv()
        received = self._inbox.popleft()
        if isinstance(received, UnderpaintError):
            raise received
        return received

    def close(self, patience: float) -> None:
        """Close. The thread ends when it has sent everything, or its time is up.

        Parameters
        ----------
        patience : float
            Seconds that sending what was not sent yet may still take.
        """
        self._patience = patience
        self._outbox.append(None)
        self.socket.send(b"")
        self.socket.close()
        self._thread.join(patience)

    # ---- in the thread ---------------------------------------------------------------------

    def _run(self) -> None:
        poller = self._zmq.Poller()
        poller.register(self._inner, self._zmq.POLLIN)
        poller.register(self._dealer, self._zmq.POLLIN)
        poller.register(self._monitor, self._zmq.POLLIN)
        while True:
            for socket, _ in poller.poll():
                if socket is self._dealer:
                    self._receive_next()
                elif socket is self._monitor:
                    self._greet_again()
                elif not self._send_next():
                    self._inner.close(linger=0)
                    self._dealer.disable_monitor()
                    self._monitor.close(linger=0)
                    self._dealer.close(linger=int(1000 * self._patience))
                    self._context.term()
                    return

    def _send_next(self) -> bool:
        """Send one message; return False when the connection was closed."""
        self._inner.recv()
        queued = self._outbox.popleft()
        if queued is None:
            self._send_held()
            return False
        if isinstance(queued[0], messages.Hello):
            self._hello = queued[0]
        elif self._held or self._must_wait(queued[0]):  # what follows keeps its place
            self._held.append(queued)
            return True
        self._send_packed(*queued)
        return True

    def _must_wait(self, message: Message) -> bool:
        """Return whether the daemon has not said yet whether pixels may be packed."""
        is_asked = self._hello is not None and not self._is_welcome
        return is_asked and self._packer is None and isinstance(message, messages.Submit)

    def _send_held(self) -> None:
        while self._held:
            self._send_packed(*self._held.popleft())

    def _greet_again(self) -> None:
        """Send `Hello` on a connection that libzmq has made again."""
        self._monitor.recv_multipart()
        self._handshakes += 1
        if self._handshakes > 1 and self._hello is not None:
            self._send(self._hello, ())

    def _send_packed(self, message: Message, frames: tuple[Frame, ...]) -> None:
        try:
            if self._packer is not None:
                message, frames = self._packer.outgoing(message, frames)
            self._send(message, frames)
        except UnderpaintError as error:
            self._report_unsent(message, error.code, error.sentence)
        except Exception as error:  # noqa: BLE001 - the thread's boundary: the client is told
            _logger.error("sending failed: %s", type(error).__name__)  # noqa: TRY400 - no content
            self._report_unsent(message, "failed", str(error) or type(error).__name__)

    def _send(self, message: Message, frames: tuple[Frame, ...]) -> None:
        self._dealer.send_multipart(wire.encode(message, frames), copy=False)

    def _receive_next(self) -> None:
        try:
            self._handle([part.buffer for part in self._dealer.recv_multipart(copy=False)])
        except UnderpaintError as error:
            self._deliver(error)
        except Exception as error:  # noqa: BLE001 - the thread's boundary: the client is told
            _logger.error("receiving failed: %s", type(error).__name__)  # noqa: TRY400 - as above
            self._deliver(
                DaemonUnavailableError("cannot read a message of the daemon ({error})", error=error)
            )

    def _handle(self, parts: list[Any]) -> None:
        message, frames = wire.decode(parts)
        if isinstance(message, messages.Welcome):
            self._is_welcome = True
            if message.packed:
                self._packer = self._packer or Packer()
            self._send_held()
        if self._packer is not None:
            self._packer.received(message)
        if isinstance(message, messages.Want):
            again = self._packer.again(message) if self._packer is not None else None
            if again is not None:
                self._send(*again)
            return
        self._deliver((message, tuple(unpack(frame) for frame in frames)))

    def _report_unsent(self, message: Message, code: str, why: str) -> None:
        self._deliver((messages.Failed(getattr(message, "job", ""), code, why), ()))

    def _deliver(self, received: Received | UnderpaintError) -> None:
        self._inbox.append(received)
        self._inner.send(b"")
