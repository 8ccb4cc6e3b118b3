"""Limits on connections: per source address, per key and in all, well below the descriptor limit.

libzmq accepts connections by itself. It ends the process where accepting on a Unix socket finds no
descriptor left, so there must always be some. A thread of its own watches what the daemon's sockets
accept, answers ZeroMQ's authentication requests (ZAP), and shuts connections down that exceed a
limit; libzmq then closes them as if their peer had gone, and a client connects again by itself.

A connection is *silent* until its first message has been read, which takes a key over TCP. As with
sshd's MaxStartups, silent connections have limits of their own. Beyond them the one that has been
silent longest goes, of the source that has most: who completes the handshake at once gets in
whatever others hold open. On this machine the one goes that has said nothing for longest.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import struct
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

import zmq
from zmq.utils import z85

from .accepted_connection import AcceptedConnection, bytes_received, ends_of, shut_down
from .keys import ZAP_DOMAIN
from .memory_watch import MemoryWatch

log = logging.getLogger(__name__)

SILENCE = 10.0
"""Seconds without a byte after which a connection that has sent no whole message is closed."""

MAX_AHEAD = 5 * 2**28
"""Bytes that one key's connections may have sent of messages that are not complete yet: the largest
layer that may travel, and its selection."""

MAX_AHEAD_IN_ALL = 2 * MAX_AHEAD
"""The same, of all connections over TCP."""

MAX_AHEAD_UNKNOWN = 2**16
"""The same, before a key has been shown: a handshake takes about a thousand."""

FEWEST_DESCRIPTORS = 512
"""With fewer the daemon does not listen on TCP: a burst could take them all at once."""

LOOK = 0.5
"""Seconds between two looks at how much has come in over TCP."""

BETWEEN_WARNINGS = 10.0
"""Least seconds between two warnings in the log."""

ENDLESS = "it sends a message without end"


@dataclass(frozen=True)
class Limits:
    """How many connections there may be at once.

    Parameters
    ----------
    local : int
        By ipc, all of them this user's own.
    remote : int
        By TCP in all.
    per_key : int
        By TCP with one key.
    silent : int
        By TCP before the first message, in all; the last `remote` ones can never all be silent.
    per_source : int
        The same from one address.
    """

    local: int
    remote: int
    per_key: int
    silent: int
    per_source: int

    @classmethod
    def within(cls, descriptors: int) -> Limits:
        """Return limits that leave half of all descriptors for everything else."""
        remote = max(8, min(1024, descriptors // 4))
        silent = min(128, remote // 2)
        return cls(
            local=max(8, min(4096, descriptors // 4)),
            remote=remote,
            per_key=min(32, remote // 4),
            silent=silent,
            per_source=min(32, silent // 2),
        )


class ConnectionGuard:
    """See the module.

    Parameters
    ----------
    context : zmq.Context
        The daemon's.
    limits : Limits
    allows : callable
        Says whether a client's public key, in Z85, is let in. Called in the guard's thread.
    memory : MemoryWatch
        Says which connections to close that send messages without end, where no bytes are counted.
    own_key : str
        The key of this machine's own client, which has no limit; empty where it uses ipc.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        limits: Limits,
        allows: Callable[[str], bool],
        memory: MemoryWatch,
        own_key: str = "",
    ) -> None:
        self._context = context
        self._memory = memory
        self._limits = limits
        self._allows = allows
        self._own_key = own_key
        self._lines: dict[int, AcceptedConnection] = {}
        self._silent: dict[str, OrderedDict[int, AcceptedConnection]] = {}
        self._by_key: Counter[str] = Counter()
        # Keys that were let in, by address, whose connections have not said anything yet.
        self._approved: dict[str, deque[str]] = {}
        self._lock = threading.Lock()
        self._monitors: dict[zmq.Socket[bytes], str] = {}
        self._sockets: list[zmq.Socket[bytes]] = []
        self._warned = -BETWEEN_WARNINGS
        self._zap = context.socket(zmq.REP)
        self._zap.setsockopt(zmq.LINGER, 0)
        self._zap.bind("inproc://zeromq.zap.01")
        self._end, self._far_end = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        self._end.bind("inproc://connection-guard")
        self._far_end.connect("inproc://connection-guard")
        self._thread = threading.Thread(target=self._run, name="connection-guard", daemon=True)

    def watch(self, socket: zmq.Socket[bytes], transport: str) -> None:
        """Count the connections of a socket that is not bound yet; before `start`."""
        endpoint = f"inproc://monitor-{len(self._monitors)}"
        socket.monitor(endpoint, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        monitor = self._context.socket(zmq.PAIR)
        # Where this thread falls behind by a thousand events, libzmq's waits for it, and accepts
        # no more.
        monitor.setsockopt(zmq.RCVHWM, 1)
        monitor.setsockopt(zmq.LINGER, 0)
        monitor.connect(endpoint)
        self._monitors[monitor] = transport
        self._sockets.append(socket)

    def start(self) -> None:
        """Start the thread; nobody is let in by TCP before."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        for listener in self._sockets:
            listener.disable_monitor()  # or libzmq would wait for somebody to hear its events
        self._end.send(b"")
        if self._thread.ident is None:
            self._run()
        else:
            self._thread.join()
        self._end.close(0)

    # ---- the daemon's side -----------------------------------------------------------------

    def note_message(self, first_part: zmq.Frame, key: str) -> None:
        """Note that a message was read.

        Parameters
        ----------
        first_part : zmq.Frame
            Any part of it that came over the line.
        key : str
            Its sender, as `jobs.Client.owner`.
        """
        try:
            line = self._lines.get(int(first_part.get("__fd")))
        except (zmq.ZMQError, ValueError, TypeError):
            return  # this libzmq does not tell
        if line is None:
            return
        line.messages += 1
        line.busy_looks = 0
        line.last_progress = time.monotonic()
        if line.key != key:
            with self._lock:
                self._set_key(line, key)

    def shut(self, first_part: zmq.Frame) -> None:
        """Shut down the connection that a message came by."""
        with contextlib.suppress(zmq.ZMQError, ValueError, TypeError), self._lock:
            line = self._lines.get(int(first_part.get("__fd")))
            if line is not None:
                shut_down(line)

    # ---- the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        poller = zmq.Poller()
        for one in (*self._monitors, self._zap, self._far_end):
            poller.register(one, zmq.POLLIN)
        looked = time.monotonic()
        going_on = True
        while going_on:
            for one, _ in poller.poll(int(LOOK * 1000)):
                if one is self._far_end:
                    going_on = False
                elif one is self._zap:
                    self._safely(self._answer_zap)
                else:
                    self._safely(functools.partial(self._hear, one, self._monitors[one]))
            if time.monotonic() - looked > LOOK:
                looked = time.monotonic()
                self._safely(self._look)
        for one in (*self._monitors, self._zap, self._far_end):
            one.close(0)

    def _safely(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception:  # without this thread, strangers could end the daemon
            log.exception("a connection could not be checked")

    def _hear(self, monitor: zmq.Socket[bytes], transport: str) -> None:
        with self._lock:
            for _ in range(1000):
                try:
                    event, _ = monitor.recv_multipart(zmq.DONTWAIT)
                except zmq.Again:
                    return
                kind, descriptor = struct.unpack("=Hi", event)
                if kind == zmq.EVENT_ACCEPTED:
                    self._add(descriptor, transport)
                elif kind == zmq.EVENT_DISCONNECTED:
                    self._remove(descriptor)

    def _add(self, descriptor: int, transport: str) -> None:
        self._remove(descriptor)
        ends = ends_of(descriptor)
        is_local = transport == "ipc"
        if ends is None or isinstance(ends[0], str | bytes) != is_local:
            return  # it is closed already, and its descriptor perhaps another's
        line = AcceptedConnection(descriptor, "" if is_local else str(ends[1][0]), ends)
        self._lines[descriptor] = line
        self._silent.setdefault(line.source, OrderedDict())[descriptor] = line
        self._make_room(line)

    def _remove(self, descriptor: int) -> None:
        line = self._lines.pop(descriptor, None)
        if line is None:
            return
        if line.key is None:
            self._no_longer_silent(line)
            approved, silent = self._approved.get(line.source), self._silent.get(line.source, ())
            while approved and len(approved) > len(silent):
                approved.popleft()  # of a connection that ended without a word
            if not approved:
                self._approved.pop(line.source, None)
        else:
            self._count(line.key, -1)

    def _no_longer_silent(self, line: AcceptedConnection) -> None:
        of_source = self._silent.get(line.source, OrderedDict())
        of_source.pop(line.descriptor, None)
        if not of_source:
            self._silent.pop(line.source, None)

    def _count(self, key: str, more: int) -> None:
        self._by_key[key] += more
        if not self._by_key[key]:
            del self._by_key[key]

    def _set_key(self, line: AcceptedConnection, key: str) -> None:
        if self._lines.get(line.descriptor) is not line:
            return
        if line.key is None:
            self._no_longer_silent(line)
            with contextlib.suppress(KeyError, ValueError):
                self._approved[line.source].remove(key)
        else:
            self._count(line.key, -1)
        line.key = key
        self._count(key, 1)

    def _make_room(self, new: AcceptedConnection) -> None:
        """Shut connections down where the new one is over a limit."""
        if not new.source:
            local = [line for line in self._lines.values() if not line.source]
            if len(local) > self._limits.local:
                quiet = min(local, key=lambda line: line.last_progress)
                self._drop(quiet, f"there are over {self._limits.local} on this machine")
            return
        source = new.source
        if len(self._silent[source]) <= self._limits.per_source:
            sources = {name: len(lines) for name, lines in self._silent.items() if name}
            if sum(sources.values()) <= self._limits.silent:
                return
            source = max(sources, key=lambda name: sources[name])
        oldest = next(iter(self._silent[source].values()))
        self._drop(oldest, f"too many connections without a key, {source} has most")

    def _drop(self, line: AcceptedConnection, why: str) -> None:
        self._warn("a connection was closed: %s", why)
        self._remove(line.descriptor)
        shut_down(line)

    def _warn(self, text: str, *values: object) -> None:
        if time.monotonic() - self._warned > BETWEEN_WARNINGS:
            self._warned = time.monotonic()
            log.warning(text, *values)

    def _answer_zap(self) -> None:
        try:
            parts = self._zap.recv_multipart(zmq.DONTWAIT)
        except zmq.ZMQError:
            return
        version, request = [*parts[:2], b"", b""][:2]
        status, text, user = b"400", b"refused", b""
        if len(parts) == 7 and version == b"1.0" and parts[2] == ZAP_DOMAIN.encode():
            address, mechanism, public = parts[3].decode("latin-1"), parts[5], parts[6]
            key = z85.encode(public).decode("ascii")
            if mechanism == b"CURVE" and self._allows(key):
                with self._lock:
                    has_room = self._approve(key, address)
                # 300 closes the connection, and lets the client try again.
                status, text = (b"200", b"OK") if has_room else (b"300", b"too many connections")
                user = key.encode("ascii") if has_room else b""
        self._zap.send_multipart([b"1.0", request, status, text, user, b""])

    def _approve(self, key: str, address: str) -> bool:
        """Return whether one more connection of a key has room, and count it."""
        if key != self._own_key:
            waiting = sum(known == key for keys in self._approved.values() for known in keys)
            remote = sum(self._by_key.values()) - self._by_key[""]
            if (
                self._by_key[key] + waiting >= self._limits.per_key
                or remote >= self._limits.remote - self._limits.silent
            ):
                self._warn("a client with a key was refused: it has too many connections")
                return False
        self._approved.setdefault(address, deque(maxlen=self._limits.silent)).append(key)
        return True

    # ---- bytes -----------------------------------------------------------------------------

    def _look(self) -> None:
        """Close what is silent, and what sends messages that do not end."""
        with self._lock:
            self._look_at_all()

    def _look_at_all(self) -> None:
        now = time.monotonic()
        ahead: Counter[str] = Counter()
        remote = [line for line in self._lines.values() if line.source]
        for line in remote:
            received = bytes_received(line)
            if received != line.received:
                line.received, line.last_progress = received, now
            if line.messages != line.seen_messages:
                line.seen_messages, line.base = line.messages, line.received
            if line.key is None:
                unknown = not self._approved.get(line.source)
                if now - line.last_progress > SILENCE or (
                    unknown and line.ahead > MAX_AHEAD_UNKNOWN
                ):
                    self._drop(line, "it has shown no key, or sent nothing")
                    continue
            ahead[line.key or ""] += line.ahead
        over = [key for key, count in ahead.items() if count > MAX_AHEAD]
        if not over and sum(ahead.values()) > MAX_AHEAD_IN_ALL:
            over = [max(ahead, key=lambda key: ahead[key])]
        for key in over:
            its = [line for line in remote if (line.key or "") == key]
            self._drop(max(its, key=lambda line: line.ahead), ENDLESS)
        uncounted = [line for line in self._lines.values() if not line.is_counted]
        for line in self._memory.look(uncounted, sum(ahead.values())):
            self._drop(line, ENDLESS)
