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
from underpaint.server import connections, unread
unread.MAX_EACH, unread.MAX_PREVIEWS = 2**24, 2**23
connections.MAX_AHEAD = connections.MAX_AHEAD_IN_ALL = 2**24
"""
"""Budgets of sixteen megabytes."""

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


def test_a_message_that_does_not_end_is_not_kept(small: subprocess.Popen[str]) -> None:
    guest = new_guest()
    with connect() as connection:
        until(lambda: connection.status().workers[0].state == "idle", 120)
    before = most = memory(small.pid)
    with (
        broken_line(guest, 200 * 2**20) as broken,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as endless,
    ):
        endless.linger = 0
        endless.reconnect_ivl = -1
        endless.curve_serverkey = broken.server_public.encode()
        endless.curve_publickey = broken.client_public.encode()
        endless.curve_secretkey = broken.client_secret.encode()
        endless.connect(broken.endpoint)
        events = endless.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        for _ in range(300):
            endless.send(bytes(2**20), zmq.SNDMORE)
        endless.send(b"")
        until(lambda: bool(events.poll(100)) or memory(small.pid) > before + 150, 60)
        most = memory(small.pid)
        endless.disable_monitor()
        events.close(0)
    assert most < before + 150
    with Connection(guest) as again:
        again.hello(20)
    with connect() as connection:
        assert connection.hello().pid == small.pid


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
