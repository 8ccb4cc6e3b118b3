"""Nobody makes the daemon hold more than it should: unread, unfinished, unpacked, or asked for."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import zmq

from daemons import until
from faults.fuzzing import memory
from limited import limited_daemon, new_guest
from underpaint_client import Connection, connect, messages, wire
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.home import ConnectionInfo, read_connection_file
from underpaint_client.inputs import InputFrames
from underpaint_client.request import Request

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs limits on processes")

SMALL = """
from functools import partial
from underpaint.server import connections, endpoints, memory_watch, unread
endpoints.Unread = partial(unread.Unread, max_each=2**24, max_previews=2**23)
connections.MAX_AHEAD = connections.MAX_AHEAD_IN_ALL = memory_watch.MAX_UNFINISHED = 2**24
connections.LOOK = 0.05
"""
"""Budgets of sixteen megabytes, and looks so often that little comes between two of them: a socket
of this machine carries a gigabyte per second, which a loaded machine's usual looks do not see."""

SIDE = 1024
FRAME = Frame("layer", Box(0, 0, SIDE, SIDE), "u1", "RGBA", bytes(SIDE * SIDE * 4))
NULL = Request.of(strength=0.0)


@pytest.fixture
def small(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[str]]:
    monkeypatch.setenv("UNDERPAINT_MODEL", "none")
    with limited_daemon("--bind", "tcp://127.0.0.1:*", "--device", "cpu", before=SMALL) as process:
        yield process


def test_jobs_of_a_client_that_reads_nothing_wait(small: subprocess.Popen[str]) -> None:
    count = 24
    with zmq.Context() as context, context.socket(zmq.DEALER) as lazy, connect() as other:
        lazy.linger, lazy.rcvhwm = 0, 1
        lazy.connect(other.info.endpoint)
        for number in range(count):
            lazy.send_multipart(wire.encode(messages.Submit(f"j{number}", NULL), (FRAME,)))
        until(lambda: other.status().workers[0].state == "idle", 120)
        until(lambda: len(other.status().jobs) > count // 4)  # they all came, and some wait
        job = other.submit(NULL, InputFrames(FRAME))  # while another's does not
        assert isinstance([message for message, _ in other.events(job)][-1], messages.Done)
        status = other.status()
        assert status.workers[0].state == "idle"
        assert {one.state for one in status.jobs} == {"queued"}
        assert len(status.jobs) > count // 4
        lazy.send_multipart(wire.encode(messages.AskStatus()))  # it gets no answer
        done, pictures = 0, 0
        while done < count:  # and all of them when it reads
            assert lazy.poll(60_000)
            message, frames = wire.decode(list(lazy.recv_multipart()))
            assert not isinstance(message, messages.Status)
            done += isinstance(message, messages.Done)
            pictures += isinstance(message, messages.Picture)
            for frame in frames:
                assert bytes(frame.data) == FRAME.data
        assert pictures == count


@contextmanager
def broken_line(info: ConnectionInfo, after: int) -> Iterator[ConnectionInfo]:
    """Stand between a client and the daemon, and let no more than so many bytes pass."""
    host, _, port = info.endpoint.removeprefix("tcp://").rpartition(":")

    def carry(come: socket.socket, go: socket.socket, left: float) -> None:
        with suppress(OSError):
            while data := come.recv(2**16):
                if left > 0:
                    go.sendall(data)
                left -= len(data)
        for one in (come, go):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))

        def serve() -> None:
            with suppress(OSError):
                while True:
                    near, _ = listening.accept()
                    far = socket.create_connection((host, int(port)))
                    for one in (near, far):
                        stack.callback(one.close)
                    ways = ((near, far, float(after)), (far, near, float("inf")))
                    for way in ways:
                        threading.Thread(target=carry, args=way, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield replace(info, endpoint=f"tcp://127.0.0.1:{listening.getsockname()[1]}")


def dealer(context: zmq.Context[zmq.Socket[bytes]], info: ConnectionInfo) -> zmq.Socket[bytes]:
    """Return a socket that does not connect again, and does not wait for ever."""
    found = context.socket(zmq.DEALER)
    found.linger, found.reconnect_ivl, found.sndtimeo = 0, -1, 2000
    if info.server_public:
        found.curve_serverkey = info.server_public.encode()
        found.curve_publickey = info.client_public.encode()
        found.curve_secretkey = info.client_secret.encode()
    found.connect(info.endpoint)
    return found


UNCOUNTED = """
from underpaint.server import accepted_connection
accepted_connection.AcceptedConnection.is_counted = property(lambda _: False)
"""
"""As on systems that do not tell how much a TCP connection has received."""


MOST = 1000
"""Megabytes: the budget, and what comes between two looks at it."""


def send_without_end(info: ConnectionInfo, part: bytes, count: int, pid: int, most: int) -> float:
    """Send a message of very many parts, and return how far the daemon's memory grew, in MB."""
    before = grown = memory(pid)
    with zmq.Context() as context, dealer(context, info) as endless:
        events = endless.get_monitor_socket(zmq.EVENT_DISCONNECTED)

        def is_over() -> bool:
            nonlocal grown
            grown = max(grown, memory(pid))
            return bool(events.poll(20)) or grown > before + most

        endless.send_multipart(wire.encode(messages.Hello()))
        for _ in range(count):
            endless.send(part, zmq.SNDMORE, copy=False)
        endless.send(b"")  # nothing is sent before
        until(is_over, 60)
        endless.disable_monitor()
        events.close(0)
    return grown - before


@pytest.mark.parametrize(
    ("is_local", "before", "part", "count"),
    [
        (False, "", bytes(2**20), 3000),
        (False, UNCOUNTED, bytes(2**20), 3000),
        (True, "", bytes(2**20), 3000),
        (True, "", b"", 2_000_000),
    ],
    ids=["guest", "guest whose bytes are not counted", "this machine's own", "empty parts"],
)
def test_a_message_that_does_not_end_is_not_kept(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_local: bool,
    before: str,
    part: bytes,
    count: int,
) -> None:
    monkeypatch.setenv("UNDERPAINT_MODEL", "none")
    options = ("--bind", "tcp://127.0.0.1:*", "--device", "cpu")
    with (
        limited_daemon(*options, before=SMALL + before) as process,
        ExitStack() as stack,
        connect() as other,
    ):
        until(lambda: other.status().workers[0].state == "idle", 120)
        guest = new_guest()
        far = stack.enter_context(Connection(guest))
        far.hello(20)
        endless = other.info if is_local else stack.enter_context(broken_line(guest, 2000 * 2**20))
        grown = send_without_end(endless, part, count, process.pid, MOST)
        assert grown < MOST
        for innocent in (other, far):  # they neither wait nor lose anything
            job = innocent.submit(NULL, InputFrames(FRAME))
            assert isinstance([m for m, _ in innocent.events(job)][-1], messages.Done)
        assert other.hello().pid == process.pid


def test_messages_of_very_many_names_or_parts_are_refused(small: subprocess.Popen[str]) -> None:
    info = read_connection_file()
    assert info
    names = tuple(f"{number:08d}" for number in range(80_000))
    with zmq.Context() as context, context.socket(zmq.DEALER) as raw, connect() as other:
        raw.linger = 0
        raw.connect(info.endpoint)
        raw.send_multipart(wire.encode(messages.Follow(names)))
        message, _ = wire.decode(list(raw.recv_multipart()))
        assert isinstance(message, messages.Failed)
        assert "80000 jobs are too many; follow 2048 at once" in message.message
        raw.send_multipart([bytes(wire.encode(messages.Hello())[0]), *[b""] * 100_000])
        message, _ = wire.decode(list(raw.recv_multipart()))
        assert isinstance(message, messages.Failed)
        assert "frames are declared" in message.message
        raw.send_multipart(wire.encode(messages.Follow(names[:2048])))
        other.hello()
        told = [wire.decode(list(raw.recv_multipart()))[0] for _ in range(2049)]
        assert {getattr(message, "job", "") for message in told} == {"", *names[:2048]}
