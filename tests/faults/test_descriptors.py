"""Nobody uses up the daemon's descriptors, and its own user gets in whoever tries."""

from __future__ import annotations

import random
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import zmq

from daemons import RUN, until
from limited import count_descriptors, limited_daemon, new_guest
from underpaint_client import Connection, connect, messages, wire
from underpaint_client.home import ConnectionInfo

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")

DESCRIPTORS = 512
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00CURVE" + bytes(47)
TCP = ("--bind", "tcp://127.0.0.1:*")


@pytest.fixture
def daemon_of_few_files(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[subprocess.Popen[str]]:
    monkeypatch.setenv("UNDERPAINT_MODEL", "none")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with limited_daemon(*TCP, descriptors=DESCRIPTORS) as process:
        yield process
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def hold_plain(info: ConnectionInfo, count: int) -> Iterator[socket.socket]:
    """Open connections that say nothing, half a greeting, a whole one, or anything."""
    rng = random.Random(1)
    host, _, port = info.endpoint.removeprefix("tcp://").rpartition(":")
    for number in range(count):
        found = socket.socket()
        found.setblocking(False)
        with suppress(BlockingIOError):
            found.connect((host, int(port)))
        with suppress(OSError):
            found.send([GREETING, GREETING[:20], rng.randbytes(500), b"\0"][number % 4])
        yield found


def hold_sockets(info: ConnectionInfo, count: int) -> Iterator[zmq.Socket[bytes]]:
    """Open connections that complete the handshake, every second of which says something."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    context.set(zmq.MAX_SOCKETS, 4096)
    for number in range(count):
        found = context.socket(zmq.DEALER)
        found.linger = 0
        found.reconnect_ivl = 1000
        if info.server_public:
            found.curve_serverkey = info.server_public.encode()
            found.curve_publickey = info.client_public.encode()
            found.curve_secretkey = info.client_secret.encode()
        found.connect(info.endpoint)
        if number % 2:
            found.send_multipart(wire.encode(messages.Hello()))
        yield found


def own(_: ConnectionInfo) -> ConnectionInfo:
    with connect() as connection:
        return connection.info


def greet() -> None:
    with connect() as connection:
        connection.hello(20)


@pytest.mark.parametrize(
    ("hold", "count", "whose"),
    [
        (hold_plain, 3000, lambda guest: guest),
        (hold_sockets, 700, lambda guest: guest),
        (hold_sockets, 700, own),
    ],
    ids=["strangers", "a guest", "a script of one's own"],
)
def test_many_connections_neither_end_the_daemon_nor_keep_its_user_out(
    daemon_of_few_files: subprocess.Popen[str],
    hold: Callable[[ConnectionInfo, int], Iterator[zmq.Socket[bytes] | socket.socket]],
    count: int,
    whose: Callable[[ConnectionInfo], ConnectionInfo],
) -> None:
    guest = new_guest()
    most = 0
    with ExitStack() as stack:
        for number, one in enumerate(hold(whose(guest), count)):
            stack.callback(one.close)
            if number % 100 == 0:
                most = max(most, count_descriptors(daemon_of_few_files.pid))
                greet()
        until(lambda: count_descriptors(daemon_of_few_files.pid) < DESCRIPTORS * 3 // 4)
        greet()
        if whose is not own:
            with Connection(new_guest()) as other:  # with another key, from the same address
                other.hello(20)
    assert daemon_of_few_files.poll() is None
    assert most < DESCRIPTORS
    until(lambda: count_descriptors(daemon_of_few_files.pid) < 120)
    with Connection(guest) as again:
        again.hello(20)


def test_silent_connections_are_closed(daemon_of_few_files: subprocess.Popen[str]) -> None:
    guest = new_guest()
    before = count_descriptors(daemon_of_few_files.pid)
    with zmq.Context() as context, ExitStack() as stack:
        for _ in range(20):
            one = stack.enter_context(context.socket(zmq.DEALER))
            one.linger, one.reconnect_ivl = 0, -1
            one.curve_serverkey = guest.server_public.encode()
            one.curve_publickey = guest.client_public.encode()
            one.curve_secretkey = guest.client_secret.encode()
            one.connect(guest.endpoint)
        time.sleep(4)  # the handshake's time is over, and they are still there
        assert count_descriptors(daemon_of_few_files.pid) >= before + 20
        until(lambda: count_descriptors(daemon_of_few_files.pid) < before + 20)


def test_too_few_descriptors_for_tcp_are_said(home: Path) -> None:
    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))

    process = subprocess.run(
        [sys.executable, *RUN[1:], "serve", *TCP],
        preexec_fn=lower, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert process.returncode == 3
    assert "200 files open, too few to listen on tcp://127.0.0.1:*" in process.stderr
    assert "ulimit -n" in process.stderr
    assert "Traceback" not in process.stderr
