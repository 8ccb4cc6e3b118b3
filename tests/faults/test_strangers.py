"""Who is not let in: another user of this machine, and anybody on the network without a key."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import zmq

from daemons import RUN
from limited import limited_daemon, new_guest
from underpaint.server import keys
from underpaint.server.shared_memory import shared_memory_folder
from underpaint_client import Connection, connect, messages, wire
from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.home import ConnectionInfo, read_connection_file
from underpaint_client.request import Request

NOBODY = 65534

AS_ANOTHER_USER = f"""
import json, os, socket, sys
paths = json.loads(sys.argv[1])
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
found = {{}}
for name, (how, path) in paths.items():
    try:
        if how == "connect":
            with socket.socket(socket.AF_UNIX) as one:
                one.connect(path)
        elif how == "list":
            os.listdir(path)
        elif how == "write":
            open(os.path.join(path, "intruder"), "w").close()
        elif how == "kill":
            os.kill(int(path), 15)
        else:
            open(path, "rb").read()
        found[name] = "done"
    except OSError as error:
        found[name] = type(error).__name__
print(json.dumps(found))
"""


@pytest.fixture
def server(home: Path) -> ConnectionInfo:
    """A daemon on ipc and TCP, in a home that all users can look into."""
    home.chmod(0o755)
    process = subprocess.run(
        [*RUN, "serve", "--background", "--bind", "tcp://127.0.0.1:*"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    *_, endpoint, public = process.stderr.split()
    return ConnectionInfo(endpoint, 0, public)


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs to become another user")
def test_another_user_of_this_machine_is_kept_out(server: ConnectionInfo, home: Path) -> None:
    info = read_connection_file()
    assert info
    shared_frames = shared_memory_folder()
    paths = {
        "clients' socket": ("connect", info.endpoint.removeprefix("ipc://")),
        "workers' socket": ("connect", str(home / "run" / "workers.sock")),
        "sockets": ("list", str(home / "run")),
        "keys": ("list", str(home / "keys")),
        "server's key": ("read", str(home / "keys" / "server.json")),
        "allow-list": ("write", str(home / "keys")),
        "connection file": ("read", str(home / "connection.json")),
        "lock": ("read", str(home / "daemon.lock")),
        "log": ("read", str(home / "logs" / "daemon.log")),
        "home": ("write", str(home)),
        "pixels": ("list", str(shared_frames or home / "run")),
        "process": ("kill", str(info.pid)),
    }
    child = subprocess.run(
        [sys.executable, "-c", AS_ANOTHER_USER, json.dumps(paths)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    found = json.loads(child.stdout)
    assert found == dict.fromkeys(paths, "PermissionError")
    with connect() as connection:  # while its own user gets in
        connection.hello()


def dealer(context: zmq.Context[zmq.Socket[bytes]], info: ConnectionInfo) -> zmq.Socket[bytes]:
    found = context.socket(zmq.DEALER)
    found.linger = 0
    if info.server_public:
        found.curve_serverkey = info.server_public.encode()
        found.curve_publickey = info.client_public.encode()
        found.curve_secretkey = info.client_secret.encode()
    found.connect(info.endpoint)
    found.send_multipart([bytes(part) for part in wire.encode(messages.Hello())])
    return found


def test_nobody_comes_in_by_tcp_without_a_key_that_is_allowed(server: ConnectionInfo) -> None:
    public, secret = (key.decode() for key in zmq.curve_keypair())
    another, _ = (key.decode() for key in zmq.curve_keypair())
    strangers = {
        "plain": ConnectionInfo(server.endpoint, 0),
        "unknown key": ConnectionInfo(server.endpoint, 0, server.server_public, public, secret),
        "wrong server": ConnectionInfo(server.endpoint, 0, another, public, secret),
        "another's secret": ConnectionInfo(
            server.endpoint, 0, server.server_public, another, secret
        ),
    }
    with zmq.Context() as context, ExitStack() as stack:
        poller = zmq.Poller()
        for info in strangers.values():
            poller.register(stack.enter_context(dealer(context, info)), zmq.POLLIN)
        assert poller.poll(1500) == []
    with connect() as connection:
        assert connection.status().jobs == ()


def test_noise_on_the_port_disturbs_nobody(home: Path) -> None:
    """No ZeroMQ at all, half a greeting, and more connections than files may be open."""
    with limited_daemon("--bind", "tcp://127.0.0.1:*", descriptors=512) as process:
        make_noise(new_guest())
        assert process.poll() is None


def make_noise(server: ConnectionInfo) -> None:
    rng = random.Random(1)
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00CURVE" + bytes(47)
    host, _, port = server.endpoint.removeprefix("tcp://").rpartition(":")
    with ExitStack() as stack:
        for number in range(600):
            try:
                one = stack.enter_context(socket.create_connection((host, int(port)), 5))
                one.settimeout(5)
                one.sendall([b"", greeting, greeting[:20], rng.randbytes(500)][number % 4])
                if number % 8 == 1:
                    one.sendall(rng.randbytes(2000))
            except OSError:
                continue  # it was thrown out, or this side has no files left
        with connect() as connection:
            assert connection.hello().version
    with connect() as connection:
        connection.hello()


def test_a_guest_who_floods_does_not_keep_others_waiting(server: ConnectionInfo) -> None:

    public, secret = (key.decode() for key in zmq.curve_keypair())
    keys.allow(public, "guest")
    info = ConnectionInfo(server.endpoint, 0, server.server_public, public, secret)
    with Connection(info) as guest, connect() as owner:
        guest.hello()
        for number in range(3000):
            guest.send(
                messages.Submit(f"job-{number}", Request.of(model="none", prompt="x" * 1000))
            )
            if number % 500 == 0:
                owner.hello()
        owner.hello()
        refused = 0
        for message, _ in iter(lambda: guest.receive(5), None):
            if isinstance(message, messages.Failed) and "64 jobs" in message.message:
                refused += 1
            if getattr(message, "job", "") == "job-2999":
                break
        assert refused
        assert len(owner.status().jobs) <= 64


def test_a_daemon_whose_list_cannot_be_read_lets_nobody_in(
    server: ConnectionInfo, home: Path
) -> None:

    public, secret = (key.decode() for key in zmq.curve_keypair())
    keys.allow(public, "guest")
    info = ConnectionInfo(server.endpoint, 0, server.server_public, public, secret)
    with Connection(info) as guest:
        guest.hello()
        keys.allow_list().unlink()
        keys.allow_list().mkdir()
        with pytest.raises(DaemonUnavailableError, match="revoked"):
            guest.hello()
    with connect() as connection:
        connection.hello()
