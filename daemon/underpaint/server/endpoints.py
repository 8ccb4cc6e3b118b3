"""The daemon's sockets: bound, guarded, read for one turn after the other, and sent to.

Who may connect, what one of them may take, and where clients find the daemon are decided here.
What a message means is not.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import zmq

from underpaint_client import messages, wire
from underpaint_client.daemon_lock import lock_file
from underpaint_client.errors import BadInputError, DaemonUnavailableError, UnderpaintError
from underpaint_client.frames import MAX_REMOTE_FRAME
from underpaint_client.home import ConnectionInfo, connection_file, write_connection_file
from underpaint_client.sentences import Listing

from . import keys
from .connections import FEWEST_DESCRIPTORS, ConnectionGuard, Limits
from .guests import PathFilter
from .inbox import Inbox
from .job_queue import Client
from .memory_watch import KeptFrames, MemoryWatch
from .paths import private_folder, socket_folder
from .unread import Unread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from underpaint_client.frames import Bytes

    from .config import Config

    Receive = Callable[[zmq.Frame, list[Bytes]], None]

log = logging.getLogger(__name__)

ANNOUNCED = 2**18
"""Bytes of the smallest message whose size a client by TCP is told beforehand: nothing is heard
from the daemon while one message arrives."""

LOOK = 2.0
"""Seconds between two looks at whether the files that lead here are there."""

MAX_UNREAD = 10_000
"""Messages that a client may leave unread before it counts as gone."""

MAX_UNHEARD = 100
"""Messages taken from a client's line before it is answered; more must wait where they are."""

HANDSHAKE = 3000
"""Milliseconds in which who connects must have shown its key; what it sent meanwhile is dropped."""

MAX_PARTS = wire.MAX_FRAMES + 3
"""Parts of the longest message: an address, a header, frames, and a worker's manifest."""

FAIR_SHARE = 0.005
"""Seconds for which one socket's messages are taken before the others have their turn."""

MAX_FRAME = 2**32
"""Bytes of the largest frame that is read: `rules.MAX_PIXELS` of RGBA float32."""

# ZeroMQ's own heartbeat takes a line for dead on which one large frame takes long.
_KEEP_ALIVE = {
    zmq.TCP_KEEPALIVE: 1,
    zmq.TCP_KEEPALIVE_IDLE: 10,  # seconds
    zmq.TCP_KEEPALIVE_INTVL: 5,
    zmq.TCP_KEEPALIVE_CNT: 2,
    zmq.TCP_MAXRT: 15000,  # milliseconds
}

IPC = os.name == "posix"


class Endpoints:
    """See the module.

    Parameters
    ----------
    config : Config
        Without ipc, or where there is none, and without `bind`, it listens on TCP on the loopback.
    descriptors : int
        How many files this process may have open.
    receive : callable
        Is given each message of a client.
    forget : callable
        Is given a client that has gone.

    Attributes
    ----------
    addresses : list of str
        Where clients reach the daemon; the first is for this machine's own.
    allowed : AllowList
        The keys that are let in.
    own_key : str
        The public key of this machine's own clients; empty where they use ipc.
    """

    def __init__(
        self,
        config: Config,
        descriptors: int,
        receive: Callable[[Client, list[Bytes]], None],
        forget: Callable[[Client], None],
    ) -> None:
        self._config = config
        self._receive = receive
        self._forget = forget
        self._descriptors = descriptors
        self._use_ipc = config.ipc and IPC
        self._context = zmq.Context()
        self._poller = zmq.Poller()
        self._unread = Unread()
        self._kept_frames = KeptFrames()
        self._paths = PathFilter()
        self._sockets: list[zmq.Socket[bytes]] = []
        self._bound: list[tuple[zmq.Socket[bytes], str]] = []
        self._inboxes: dict[zmq.Socket[bytes], tuple[Inbox, Receive]] = {}
        self._descriptor_calls: dict[int, Callable[[], object]] = {}
        self._looked = time.monotonic()
        self.addresses: list[str] = []
        self.allowed = keys.AllowList()
        self.own_key = "" if self._use_ipc else keys.own_keys("client").public

    # ---- the beginning and the end ---------------------------------------------------------

    def open(self) -> tuple[zmq.Socket[bytes], str]:
        """Listen for clients and for workers.

        Returns
        -------
        zmq.Socket, str
            The socket of the workers, which is read once `read` names a receiver, and its address.

        Raises
        ------
        DaemonUnavailableError
            An endpoint cannot be bound, or the process may have too few files open.
        """
        bind = self._config.bind
        wanted = list(bind) if bind or self._use_ipc else ["tcp://127.0.0.1:*"]
        if wanted and self._descriptors < FEWEST_DESCRIPTORS:
            raise DaemonUnavailableError(
                "this process may have only {number} files open, too few to listen on {address};"
                " raise the limit to {needed} or more, as `ulimit -n 4096` does in a shell",
                number=self._descriptors,
                address=Listing(wanted),
                needed=FEWEST_DESCRIPTORS,
            )
        limits = Limits.within(self._descriptors)
        lets_in = keys.AllowList().lets_in  # a list of its own, as the guard has its own thread
        memory = MemoryWatch(self._kept_frames.count)
        self._guard = ConnectionGuard(self._context, limits, lets_in, memory, self.own_key)
        try:
            if self._use_ipc:
                self._listen(f"ipc://{socket_folder() / 'clients.sock'}")
            for endpoint in wanted:
                self._listen(endpoint)
            # Workers are this machine's own; where there is no ipc they come in by a locked
            # loopback port, with the client's keys.
            inside = f"ipc://{socket_folder() / 'workers.sock'}" if IPC else "tcp://127.0.0.1:*"
            backend = self._bind(inside)
            self._guard.start()
        except zmq.ZMQError as error:
            self._guard.stop()
            raise DaemonUnavailableError(
                "cannot listen on {address}: {error}; choose another address with --bind, or under"
                " [serve] in config.toml",
                address=", ".join(wanted) or "ipc",
                error=error,
            ) from None
        return backend

    def _bind(self, endpoint: str, *, watched: bool = False) -> tuple[zmq.Socket[bytes], str]:
        transport, _, path = endpoint.partition("://")
        socket = self._context.socket(zmq.ROUTER)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # say so when a client is gone
        socket.setsockopt(zmq.LINGER, 1000)
        socket.setsockopt(zmq.SNDHWM, MAX_UNREAD)
        socket.setsockopt(zmq.RCVHWM, MAX_UNHEARD)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE)
        socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME if transport == "ipc" else MAX_REMOTE_FRAME)
        if transport == "tcp":
            keys.lock_socket(socket)
            for option, value in _KEEP_ALIVE.items():
                socket.setsockopt(option, value)
        if watched:
            self._guard.watch(socket, transport)
        socket.bind(endpoint)
        if transport == "ipc":
            os.chmod(path, 0o600)  # noqa: PTH101 - a socket, not a file
        self._bound.append((socket, endpoint))
        bound = socket.getsockopt(zmq.LAST_ENDPOINT)
        return socket, bound.rstrip(b"\0").decode() if isinstance(bound, bytes) else endpoint

    def _listen(self, endpoint: str) -> None:
        socket, bound = self._bind(endpoint, watched=True)
        self.read(socket, functools.partial(self._receive_from, len(self._sockets)))
        self._sockets.append(socket)
        self.addresses.append(bound)

    def read(self, socket: zmq.Socket[bytes], receive: Receive) -> None:
        """Read a socket from now on.

        Parameters
        ----------
        socket : zmq.Socket
        receive : callable
            Is given the first part of each message, its sender's address, and the others.
        """
        self._inboxes[socket] = Inbox(socket, MAX_PARTS, self._kept_frames), receive
        self._poller.register(socket, zmq.POLLIN)

    def watch_descriptor(self, descriptor: int, call: Callable[[], object]) -> None:
        """Call something whenever a descriptor can be read."""
        self._descriptor_calls[descriptor] = call
        self._poller.register(descriptor, zmq.POLLIN)

    def write_connection_file(self) -> None:
        """Write where the daemon is, for this machine's clients."""
        info = ConnectionInfo(self.addresses[0], os.getpid())
        if self.own_key:
            client, server = keys.own_keys("client"), keys.own_keys("server")
            keys.allow(client.public, "this machine")
            endpoint = keys.reachable(info.endpoint, "127.0.0.1")
            info = ConnectionInfo(
                endpoint, os.getpid(), server.public, client.public, client.secret
            )
        write_connection_file(info)

    def close(self) -> None:
        """Remove the connection file, and close and remove all sockets."""
        connection_file().unlink(missing_ok=True)
        self._guard.stop()
        self._context.destroy(linger=1000)
        for _, endpoint in self._bound:
            transport, _, path = endpoint.partition("://")
            if transport == "ipc":
                Path(path).unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # there is more in it
                    Path(path).parent.rmdir()

    # ---- the loop --------------------------------------------------------------------------

    def poll(self, timeout: int) -> None:
        """Wait for messages, and hand each socket's to its receiver for a fair share of time.

        Parameters
        ----------
        timeout : int
            Milliseconds to wait at most.
        """
        for socket, _ in self._poller.poll(timeout):
            if isinstance(socket, int):
                self._descriptor_calls[socket]()
                continue
            inbox, receive = self._inboxes[socket]
            end = time.monotonic() + FAIR_SHARE
            while time.monotonic() < end:
                parts = inbox.receive(end)
                if parts is None:
                    break
                receive(parts[0], [part.buffer for part in parts[1:]])

    def mend_files(self) -> None:
        """Write the files again by which clients find this daemon, if they were removed."""
        now = time.monotonic()
        if now - self._looked < LOOK or not lock_file().exists():  # the whole home is gone
            return
        self._looked = now
        try:
            for socket, endpoint in self._bound:
                path = Path(endpoint.removeprefix("ipc://"))
                if endpoint.startswith("ipc://") and not path.exists():
                    log.warning("%s was removed; it is written again", path)
                    private_folder(path.parent)
                    socket.bind(endpoint)  # beside what is left of the old one, which harms nobody
                    path.chmod(0o600)
            if not connection_file().exists():
                self.write_connection_file()
        except (OSError, zmq.ZMQError, UnderpaintError) as error:
            log.error("clients may be unable to find this daemon: %s", error)  # noqa: TRY400 - it says all

    # ---- clients ---------------------------------------------------------------------------

    def _receive_from(self, number: int, address: zmq.Frame, parts: list[Bytes]) -> None:
        tcp = self.addresses[number].startswith("tcp")
        client = Client(number, address.bytes, str(address.get("User-Id")) if tcp else "")
        self._guard.note_message(address, client.owner)
        self._receive(client, parts)

    def is_local(self, client: Client) -> bool:
        """Return whether that is this user on this machine, who may do everything here."""
        return client.owner == self.own_key

    def check_allowed(self, client: Client) -> None:
        """Check that a client may still come in.

        Raises
        ------
        DaemonUnavailableError
            Its key was revoked since it connected.
        BadInputError
            It chose its own address, by which it would get what is another's.
        """
        if client.owner and client.owner not in self.allowed:
            raise DaemonUnavailableError(
                "access was revoked: the daemon no longer accepts this machine's key"
            )
        if client.owner and not client.identity.startswith(b"\0"):
            raise BadInputError("a client on another machine must not set its own routing id")

    def send(self, client: Client, parts: list[Bytes]) -> bool:
        """Send a message, and return whether there is somebody to send it to."""
        if client.owner and client.owner not in self.allowed:
            return False
        return client.endpoint >= 0 and self.send_unchecked(client, parts)

    def send_unchecked(self, client: Client, parts: list[Bytes]) -> bool:
        """Send a message, even to a client whose access was revoked; return as `send`."""
        if not self.is_local(client):
            parts = self._paths.apply(parts)
        size = sum(memoryview(part).nbytes for part in parts)
        try:
            if client.owner and size >= ANNOUNCED:  # by TCP
                self._send_parts(client, wire.encode(messages.Incoming(size)))
            self._send_parts(client, self._unread.count(client, parts))
        except zmq.ZMQError as error:
            if error.errno not in (zmq.EHOSTUNREACH, zmq.EAGAIN):
                raise
            self._forget(client)  # gone, or it has stopped to read
            return False
        return True

    def _send_parts(self, client: Client, parts: Sequence[Bytes | zmq.Frame]) -> None:
        self._sockets[client.endpoint].send_multipart(
            [client.identity, *parts], zmq.DONTWAIT, copy=False
        )

    def keeps_up(self, client: Client) -> bool:
        """Return whether a client has read enough of what it was sent to be sent more."""
        return not self._unread.is_too_much(client)

    def accepts_previews(self, client: Client) -> bool:
        """Return whether a client has read enough of what it was sent to be sent previews."""
        return self._unread.accepts_previews(client)
