"""TCP is never plain, and lets in listed clients only."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zmq

from daemons import RUN
from underpaint.server import keys
from underpaint.server.rasters import to_frame
from underpaint_client import Connection, connect, wire
from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.geometry import Box
from underpaint_client.home import ConnectionInfo
from underpaint_client.request import Request


@pytest.fixture(scope="module")
def tcp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConnectionInfo]:
    folder = tmp_path_factory.mktemp("tcp-home")
    before = os.environ.get("UNDERPAINT_HOME")
    os.environ["UNDERPAINT_HOME"] = str(folder)
    subprocess.run(
        [*RUN, "serve", "--background", "--bind", "tcp://127.0.0.1:*"],
        check=True, capture_output=True,
    )  # fmt: skip
    yield ConnectionInfo(**json.loads((folder / "connection-tcp.json").read_text()))
    subprocess.run([*RUN, "stop"], check=True, capture_output=True)
    if before:
        os.environ["UNDERPAINT_HOME"] = before


def test_a_listed_client_is_served(tcp: ConnectionInfo) -> None:
    assert tcp.endpoint.startswith("tcp://127.0.0.1:")
    with Connection(tcp) as connection:
        assert connection.hello().pid == tcp.pid
        frame = to_frame("layer", np.ones((3, 4, 4), np.uint8), Box(0, 0, 4, 3))
        job = connection.submit(Request(strength=0.0), frame)
        (picture,) = (f for m, f in connection.events(job) if isinstance(m, wire.Picture))
        assert bytes(picture[0].data) == bytes(frame.data)


def stranger() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def test_a_stranger_gets_no_answer(tcp: ConnectionInfo) -> None:
    public, secret = stranger()
    for info in (
        dataclasses.replace(tcp, client_public=public, client_secret=secret),
        dataclasses.replace(tcp, server_public=""),  # plain
        dataclasses.replace(tcp, server_public=public),  # not this server
    ):
        with Connection(info) as connection, pytest.raises(DaemonUnavailableError):
            connection.hello(timeout=0.5)
    with Connection(tcp) as connection:
        connection.hello()


def test_a_client_can_be_let_in_while_it_runs(tcp: ConnectionInfo) -> None:
    public, secret = stranger()
    keys.allow(public, "a friend")
    info = dataclasses.replace(tcp, client_public=public, client_secret=secret)
    with Connection(info) as connection:
        connection.hello()


def test_paths_of_models_are_this_machines_own(tcp: ConnectionInfo, tmp_path: Path) -> None:
    request = Request(model=str(tmp_path), width=64, height=64)
    with Connection(tcp) as remote:
        *_, (last, _) = remote.events(remote.submit(request))
    assert isinstance(last, wire.Failed)
    assert "outside the model folders" in last.message
    with connect() as local:
        *_, (last, _) = local.events(local.submit(request))
    assert isinstance(last, wire.Failed)
    assert "is no model" in last.message


def test_without_ipc_there_is_a_locked_loopback(home: Path) -> None:
    subprocess.run([*RUN, "serve", "--background", "--no-ipc"], check=True, capture_output=True)
    with connect() as connection:
        assert connection.info.endpoint.startswith("tcp://127.0.0.1")
        assert connection.info.server_public
        connection.hello()


def test_an_address_that_cannot_be_bound_is_named(home: Path) -> None:
    for address in ("tcp://256.0.0.1:1", "udp://127.0.0.1:1", "nonsense"):
        process = subprocess.run(
            [*RUN, "serve", "--bind", address], capture_output=True, text=True, check=False,
            timeout=20,
        )  # fmt: skip
        assert process.returncode == 3
        assert address in process.stderr
        assert "Traceback" not in process.stderr
