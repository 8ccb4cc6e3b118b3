"""TCP is never plain, and lets in listed clients only, for as long as they are listed."""

from __future__ import annotations

import dataclasses
import os
import re
import selectors
import stat
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from daemons import RUN, no_connection_threads, until
from underpaint.cli import main
from underpaint.cli.connect import make_info
from underpaint.config_file import config_file
from underpaint.server import keys
from underpaint.server.arrays import to_frame
from underpaint.server.background import start_background
from underpaint.server.config import check_address
from underpaint.server.paths import log_file, make_home
from underpaint_client import Connection, connect, messages, packing, wire
from underpaint_client.errors import BadInputError, DaemonUnavailableError
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.home import (
    ConnectionInfo,
    read_connection_file,
    remote_file,
    write_connection_file,
)
from underpaint_client.inputs import InputFrames
from underpaint_client.packing import with_digest
from underpaint_client.request import Request
from underpaint_editor.notices import Disconnected, Ended, Notice
from underpaint_editor.tracker import JobTracker

LONG = Request.of(prompt="a secret lake", steps=1000, strength=1.0, width=64, height=64)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConnectionInfo]:
    """Where a daemon listens for others; no client is let in yet."""
    folder = tmp_path_factory.mktemp("tcp-home")
    before = os.environ.get("UNDERPAINT_HOME")
    os.environ["UNDERPAINT_HOME"] = str(folder)
    process = subprocess.run(
        [*RUN, "serve", "--background", "--bind", "tcp://127.0.0.1:*"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    _, _, endpoint, public = process.stderr.strip().splitlines()[-1].split()
    yield ConnectionInfo(endpoint, 0, public)
    subprocess.run([*RUN, "stop"], check=True, capture_output=True)
    if before:
        os.environ["UNDERPAINT_HOME"] = before


@pytest.fixture
def guest(server: ConnectionInfo) -> ConnectionInfo:
    """A client from elsewhere that is let in, when the jobs of earlier tests have ended."""
    with connect() as local:
        until(lambda: not local.status().jobs)
    info = stranger(server)
    keys.allow(info.client_public, f"guest {info.client_public[:12]}")
    return info


def stranger(server: ConnectionInfo) -> ConnectionInfo:
    public, secret = (key.decode() for key in zmq.curve_keypair())
    return dataclasses.replace(server, client_public=public, client_secret=secret)


def test_a_listed_client_is_served(guest: ConnectionInfo) -> None:
    assert guest.endpoint.startswith("tcp://127.0.0.1:")
    with Connection(guest) as connection:
        assert connection.hello().version
        frame = to_frame("layer", np.ones((3, 4, 4), np.uint8), Box(0, 0, 4, 3))
        job = connection.submit(Request.of(strength=0.0), InputFrames(frame))
        (picture,) = (f for m, f in connection.events(job) if isinstance(m, messages.Picture))
        assert bytes(picture[0].data) == bytes(frame.data)


class CountingPacker(packing.Packer):
    """Counts the bytes of the frames that are sent."""

    sent = 0

    def outgoing(
        self, message: messages.Message, frames: tuple[Frame, ...]
    ) -> tuple[messages.Message, tuple[Frame, ...]]:
        message, packed = super().outgoing(message, frames)
        self.sent += sum(memoryview(frame.data).nbytes for frame in packed)
        return message, packed


def test_a_layer_travels_once_and_comes_back_as_it_went(guest: ConnectionInfo) -> None:
    pixels = np.zeros((300, 200, 4), np.uint8)
    pixels[..., 0] = np.arange(200)
    frame = to_frame("layer", pixels, Box(0, 0, 200, 300))

    def paint(connection: Connection) -> bytes:
        job = connection.submit(Request.of(strength=0.0), InputFrames(frame))
        (found,) = (f for m, f in connection.events(job) if isinstance(m, messages.Picture))
        return bytes(found[0].data)

    packer = CountingPacker()
    with Connection(guest, packer=packer) as connection:
        connection.hello()
        assert paint(connection) == bytes(frame.data)
        first = packer.sent
        assert first > 0
        assert paint(connection) == bytes(frame.data)
        assert packer.sent == first
    # This client is wrong about what the daemon holds.
    stranger_frame = to_frame("layer", 255 - pixels, Box(0, 0, 200, 300))
    packer = CountingPacker(held=[with_digest(stranger_frame).digest])
    with Connection(guest, packer=packer) as connection:
        connection.hello()
        job = connection.submit(Request.of(strength=0.0), InputFrames(stranger_frame))
        found = [f for m, f in connection.events(job) if isinstance(m, messages.Picture)]
        assert bytes(found[0][0].data) == bytes(stranger_frame.data)


def receive_all(connection: Connection) -> list[messages.Message]:
    """Return all messages up to a job's end; nothing is acknowledged."""
    received: list[messages.Message] = []
    while not any(isinstance(message, messages.Done) for message in received):
        found = connection.receive(30)
        assert found is not None
        received.append(found[0])
    return received


def test_the_size_of_a_large_picture_is_told_before_it(guest: ConnectionInfo) -> None:
    """Nothing is heard while one message arrives: how long that may take follows from its size."""
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 4), np.uint8)
    large = to_frame("layer", noise, Box(0, 0, 400, 400))
    small = to_frame("layer", noise[:10, :10].copy(), Box(0, 0, 10, 10))
    for frame, is_told in ((large, True), (small, False)):
        with Connection(guest) as first, Connection(guest) as again:
            job = first.submit(Request.of(strength=0.0), InputFrames(frame))
            received = receive_all(first)
            again.follow(job)  # as after a cut
            for one in (received, receive_all(again)):
                at = next(n for n, each in enumerate(one) if isinstance(each, messages.Picture))
                before = one[at - 1]
                assert isinstance(before, messages.Incoming) is is_told
                if isinstance(before, messages.Incoming):
                    assert noise.nbytes < before.bytes < 2 * noise.nbytes
                    assert sum(isinstance(each, messages.Incoming) for each in one) == 1
            again.acknowledge(job)
            again.status()


def test_what_is_too_large_for_the_line_fails_that_job_alone(guest: ConnectionInfo) -> None:
    frame = to_frame("layer", np.zeros((64, 64, 4), np.uint8), Box(0, 0, 64, 64))
    with Connection(guest, packer=packing.Packer(max_frame=10)) as connection:
        connection.hello()
        job = connection.submit(LONG, InputFrames(frame))
        ((last, _),) = connection.events(job)
        assert isinstance(last, messages.Failed)
        assert "too much for another machine" in last.message
        connection.hello()


def test_an_event_loop_is_woken(guest: ConnectionInfo) -> None:
    with Connection(guest) as connection, selectors.DefaultSelector() as selector:
        selector.register(connection.fd, selectors.EVENT_READ)
        connection.send(messages.Hello())
        job = connection.submit(Request.of(strength=0.0))
        received: list[messages.Message] = []
        while not any(isinstance(message, messages.Done | messages.Failed) for message in received):
            received += [message for message, _ in connection.drain()]
            if not any(
                isinstance(message, messages.Done | messages.Failed) for message in received
            ):
                assert selector.select(timeout=30), "the descriptor never woke up"
        assert isinstance(received[0], messages.Welcome)
        assert getattr(received[-1], "job", "") == job


def test_connections_that_close_leave_no_thread(guest: ConnectionInfo) -> None:
    for _ in range(5):
        with Connection(guest) as connection:
            connection.send(messages.Hello())
    until(no_connection_threads)


def test_a_cancelled_job_is_not_sent_again(guest: ConnectionInfo) -> None:
    frame = to_frame("layer", np.zeros((64, 64, 4), np.uint8), Box(0, 0, 64, 64))
    packer = packing.Packer(held=[with_digest(frame).digest])
    with Connection(guest, packer=packer) as connection:
        connection.hello()
        job = connection.submit(LONG, InputFrames(frame))
        connection.cancel(job)
        (last,) = (m for m, _ in connection.events(job))
        assert isinstance(last, messages.Failed)
        assert last.code == "cancelled"
        assert connection.status().jobs == ()


def test_damaged_frames_fail_that_job_alone(guest: ConnectionInfo) -> None:
    frame = to_frame("layer", np.zeros((64, 64, 4), np.uint8), Box(0, 0, 64, 64))
    bomb = dataclasses.replace(frame, encoding="packed", data=zlib.compress(bytes(2**20), 9))
    with Connection(guest) as connection:
        job = connection.submit(Request.of(strength=0.0), InputFrames(bomb))
        *_, (last, _) = connection.events(job)
        assert isinstance(last, messages.Failed)
        assert last.code == "bad_input"
        job = connection.submit(Request.of(strength=0.0), InputFrames(frame))
        *_, (last, _) = connection.events(job)
        assert last == messages.Done(job)


def test_a_stranger_gets_no_answer(server: ConnectionInfo, guest: ConnectionInfo) -> None:
    for info in (
        stranger(server),
        dataclasses.replace(guest, server_public=""),  # plain
        dataclasses.replace(guest, server_public=stranger(server).client_public),
    ):
        with pytest.raises(DaemonUnavailableError), Connection(info) as connection:
            connection.hello(timeout=0.5)
    with Connection(guest) as connection:
        connection.hello()


def test_who_is_not_let_in_is_told_what_to_do(server: ConnectionInfo) -> None:
    info = stranger(server)
    with Connection(info) as connection, pytest.raises(DaemonUnavailableError) as told:
        connection.hello(timeout=0.2)
    assert f"underpaint keys allow {info.client_public}" in str(told.value)


def test_a_revoked_client_is_out_at_once(server: ConnectionInfo, guest: ConnectionInfo) -> None:
    with Connection(guest) as connection, connect() as local:
        running, waiting = connection.submit(LONG), connection.submit(LONG)
        connection.hello()
        assert len(local.status().jobs) == 2
        keys.revoke(guest.client_public[:12])
        with pytest.raises(DaemonUnavailableError, match="was revoked"):
            connection.hello()
        until(lambda: not local.status().jobs)
        told = [message for message, _ in connection.drain()]
        ended = [m for m in told if isinstance(m, messages.Picture | messages.Done)]
        assert not ended, (running, waiting)
    with Connection(guest) as connection, pytest.raises(DaemonUnavailableError):
        connection.hello(timeout=0.5)
    with pytest.raises(BadInputError, match="no client is called"):
        keys.revoke(guest.client_public)


def test_an_editor_whose_key_is_revoked_loses_its_jobs_with_a_reason(guest: ConnectionInfo) -> None:
    editor = JobTracker("test", connect=lambda: Connection(guest))
    job = editor.submit(LONG, {})
    received: list[Notice] = []

    def receive() -> list[Notice]:
        received.extend(editor.receive())
        return received

    until(lambda: bool(receive()))
    keys.revoke(guest.client_public)
    received.extend(editor.check())  # it asks, and is told
    until(lambda: isinstance(receive()[-1], Disconnected))
    ended, lost = received[-2:]
    assert isinstance(ended, Ended)
    assert ended.job is job
    assert isinstance(lost, Disconnected)
    assert "was revoked" in str(lost.error)


def test_a_command_line_whose_key_is_revoked_ends(guest: ConnectionInfo, tmp_path: Path) -> None:
    write_connection_file(guest, tmp_path / "remote.json")
    process = subprocess.Popen(
        [*RUN, "generate", "a lake", "-s", "1000", "-W", "64", "-H", "64", "-o", str(tmp_path)],
        env={**os.environ, "UNDERPAINT_HOME": str(tmp_path)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr
    for line in process.stderr:
        if re.match("Starting|Opening|Denoising", line):
            break
    keys.revoke(guest.client_public)
    _, told = process.communicate(timeout=90)
    assert process.returncode == 3, told
    assert "was revoked" in told
    assert "goes on" not in told
    assert "Traceback" not in told


def test_guests_see_no_prompts_but_their_own(server: ConnectionInfo, guest: ConnectionInfo) -> None:
    other = stranger(server)
    keys.allow(other.client_public, "other")
    with Connection(guest) as ann, Connection(other) as bob, connect() as local:
        job = ann.submit(LONG)
        ann.hello()
        assert [one.prompt for one in ann.status().jobs] == ["a secret lake"]
        (seen,) = bob.status().jobs
        assert (seen.job, seen.prompt) == ("", "")
        assert bob.status().endpoints == (server.endpoint,)
        assert [one.job for one in local.status().jobs] == [job]
        bob.cancel(job)
        bob.hello()
        assert len(local.status().jobs) == 1
        ann.cancel(job)
        *_, (last, _) = ann.events(job)
        assert isinstance(last, messages.Failed)


def test_guests_do_not_end_the_daemon(guest: ConnectionInfo) -> None:
    with Connection(guest) as connection:
        connection.send(messages.AskStop())
        with pytest.raises(BadInputError, match="only its own machine"):
            connection.hello()
    with connect() as local:
        local.hello()


def test_nobody_takes_the_place_of_another(guest: ConnectionInfo) -> None:
    """Who names its own address could get what was meant for its last holder."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.routing_id = b"ann"
        socket.curve_serverkey = guest.server_public.encode()
        socket.curve_publickey = guest.client_public.encode()
        socket.curve_secretkey = guest.client_secret.encode()
        socket.connect(guest.endpoint)
        socket.send_multipart([bytes(part) for part in wire.encode(messages.Hello())])
        assert socket.poll(5000)
        message, _ = wire.decode(list(socket.recv_multipart()))
    assert isinstance(message, messages.Failed)
    assert "routing id" in message.message


def test_paths_of_models_are_this_machines_own(guest: ConnectionInfo, tmp_path: Path) -> None:
    outside = Path(os.environ["UNDERPAINT_HOME"]) / "models" / "link"
    outside.parent.mkdir(exist_ok=True)
    outside.symlink_to(tmp_path)
    paths = [str(tmp_path), str(outside), f"{outside.parent}/../..", "../x", "~", "x" * 5000, "a\0"]
    with Connection(guest) as remote:
        for path in paths:
            request = Request.of(model=path, width=64, height=64)
            *_, (last, _) = remote.events(remote.submit(request))
            assert isinstance(last, messages.Failed)
            assert last.code in ("model", "bad_input"), last.message
            assert "is not a model" not in last.message, path
    with connect() as local:
        request = Request.of(model=str(tmp_path), width=64, height=64)
        *_, (last, _) = local.events(local.submit(request))
    assert isinstance(last, messages.Failed)
    assert "is not a model" in last.message


def test_without_ipc_there_is_a_locked_loopback(home: Path) -> None:
    subprocess.run([*RUN, "serve", "--background", "--no-ipc"], check=True, capture_output=True)
    with connect() as connection:
        assert connection.info.endpoint.startswith("tcp://127.0.0.1")
        assert connection.info.server_public
        connection.hello()


def test_an_address_that_cannot_be_bound_is_named(home: Path) -> None:
    process = run(home, "serve", "--bind", "tcp://192.0.2.1:7860")  # of no machine
    assert process.returncode == 3
    assert "tcp://192.0.2.1:7860" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://0.0.0.0:7860", "tcp://*:*", "tcp://[::]:1", "tcp://eth0:65535", "tcp://127.0.0.1:*",
    ],
)  # fmt: skip
def test_addresses_to_listen_on(endpoint: str) -> None:
    check_address(endpoint)


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [
        ("tcp://127.0.0.1:99999", "port 99999 must be 1 to 65535"),
        ("tcp://127.0.0.1:0", "port 0 must be"),
        ("tcp://256.0.0.1:1", "256"),
        ("tcp://[:::]:1", "':::'"),
        ("tcp://127.0.0.1", "use tcp://ADDRESS:PORT"),
        ("udp://127.0.0.1:1", "use tcp://ADDRESS:PORT"),
        ("tcp://127.0.0.1:-1", "use tcp://ADDRESS:PORT"),
        ("nonsense", "use tcp://ADDRESS:PORT"),
    ],
)
def test_what_is_no_address_to_listen_on_is_named(
    home: Path, endpoint: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--background", "--bind", endpoint]) == 2
    shown = capsys.readouterr().err
    assert endpoint in shown
    assert told in shown
    assert not (home / "logs").exists()


def test_a_broken_configuration_is_said_before_anything_starts(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config_file().write_text("[results]\ndays = 0\n")
    assert main(["serve", "--background"]) == 2
    assert "days under [results] is 0; give a number above 0" in capsys.readouterr().err
    assert not (home / "logs").exists()


def test_every_start_has_what_is_configured(home: Path) -> None:
    config_file().write_text(
        "[serve]\nbind = ['tcp://127.0.0.1:*']\nipc = false\ndevices = ['cpu']\n"
    )
    try:
        assert run(home, "serve", "--background").returncode == 0  # as editors do
        with connect() as connection:
            status = connection.status()
        (endpoint,) = status.endpoints
        assert endpoint.startswith("tcp://127.0.0.1:")
        assert [worker.device for worker in status.workers] == ["cpu"]
        assert run(home, "stop").returncode == 0
        told = run(home, "serve", "--background", "--bind", "tcp://localhost:*").stderr
        assert "underpaint connect tcp://" in told
    finally:
        run(home, "stop")


def test_a_start_that_fails_tells_what_it_wrote_itself(home: Path) -> None:
    make_home()
    log_file().write_text("what was before\n")
    with pytest.raises(DaemonUnavailableError, match="cannot listen on tcp://192.0.2.1:7") as found:
        start_background(["--bind", "tcp://192.0.2.1:7"])
    assert "what was before" not in str(found.value)


# ---- the two machines' commands ------------------------------------------------------------


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUN, *words], env={**os.environ, "UNDERPAINT_HOME": str(home)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def test_another_machine_connects(server: ConnectionInfo, tmp_path: Path) -> None:
    here, there = Path(os.environ["UNDERPAINT_HOME"]), tmp_path / "there"
    refused = run(there, "connect", server.endpoint, server.server_public)
    assert refused.returncode == 3
    (command,) = (ln for ln in refused.stderr.splitlines() if "keys allow" in ln)
    assert run(here, *command.split()[1:]).returncode == 0
    file = there / "remote.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert run(there, "connect", server.endpoint, server.server_public).returncode == 0
    assert run(there, "connect").stdout.strip() == server.endpoint
    assert server.endpoint in run(there, "status").stdout
    public = run(there, "keys", "new").stdout.strip()
    assert public in run(here, "keys", "list").stdout
    # No secret was at both places.
    info = read_connection_file(file)
    assert info
    assert info.client_public == public
    found = b"".join(f.read_bytes() for f in here.rglob("*") if f.is_file() and "key" in str(f))
    assert info.client_secret.encode() not in found
    assert run(here, "keys", "revoke", public[:10]).returncode == 0
    assert run(there, "status").returncode == 3
    assert run(there, "connect", "--forget").returncode == 0
    assert not file.exists()


@pytest.mark.parametrize(
    ("endpoint", "public", "told"),
    [
        ("tcp://gpu", "a" * 40, "is not an address"),
        ("tcp://gpu:0", "a" * 40, "is not an address"),
        ("tcp://gpu:99999", "a" * 40, "is not an address"),
        ("ipc://gpu", "a" * 40, "is not an address"),
        ("tcp://gpu;x:1", "a" * 40, "is not an address"),
        ("tcp://gpu:1", "", "the server's public key is missing"),
        ("tcp://gpu:1", "a" * 39, "not a server's public key"),
        ("tcp://gpu:1", "#" * 40, "not a server's public key"),
    ],
)
def test_what_is_no_address_or_key_is_named(
    home: Path, endpoint: str, public: str, told: str
) -> None:
    with pytest.raises(BadInputError, match=told):
        make_info(endpoint, public)
    assert not remote_file().exists()


def test_another_machine_that_is_not_there_is_not_used(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["connect", "tcp://127.0.0.1:1", "a" * 40]) == 3
    assert "this machine's own daemon is used" in capsys.readouterr().err
    assert not remote_file().exists()
    before = make_info("tcp://gpu:1", "a" * 40)
    write_connection_file(before, remote_file())
    assert main(["connect", "tcp://127.0.0.1:1", "a" * 40]) == 3
    assert "Nothing has changed: tcp://gpu:1 is used" in capsys.readouterr().err
    assert read_connection_file(remote_file()) == before
