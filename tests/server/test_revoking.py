"""A client whose key is revoked, and jobs that the daemon's owner cancels for others."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import zmq

from daemons import RUN, serve, until
from underpaint.cli import main
from underpaint.server import keys
from underpaint.server.arrays import to_frame
from underpaint.server.paths import log_file
from underpaint_client import Connection, connect, messages
from underpaint_client.geometry import Box
from underpaint_client.home import ConnectionInfo
from underpaint_client.inputs import InputFrames
from underpaint_client.request import Request

LONG = Request.of(prompt="a lake", steps=1000, strength=1.0, width=64, height=64)
NOTHING = Request.of(prompt="a hill", strength=0.0)  # which runs no model
LAYER = to_frame("layer", np.full((8, 8, 4), 255, np.uint8), Box(0, 0, 8, 8))


@dataclass
class House:
    """A daemon that listens for others too."""

    home: Path
    endpoint: str

    def guest(self, name: str) -> ConnectionInfo:
        """Let somebody in."""
        public, secret = (key.decode() for key in zmq.curve_keypair())
        keys.allow(public, name)
        return ConnectionInfo(self.endpoint, 0, keys.own_keys("server").public, public, secret)

    def kept(self, guest: ConnectionInfo) -> list[str]:
        """Return the states of a guest's jobs in the store."""
        records = sqlite3.connect(self.home / "jobs" / "jobs.sqlite")
        found = records.execute(
            "SELECT state FROM jobs WHERE owner = ?", (guest.client_public,)
        ).fetchall()
        records.close()
        return [state for (state,) in found]


@pytest.fixture
def house(home: Path) -> Iterator[House]:
    process = serve("--bind", "tcp://127.0.0.1:*")
    with connect() as local:
        endpoint = local.status().endpoints[-1]
    yield House(home, endpoint)
    process.terminate()
    told, _ = process.communicate()
    assert "Traceback" not in told


def fill_queue(connection: Connection, jobs: int) -> list[str]:
    """Send a job that takes long, and others that wait for it."""
    names = [
        connection.submit(LONG),
        *(connection.submit(NOTHING, InputFrames(LAYER)) for _ in range(jobs - 1)),
    ]
    until(lambda: len(connection.status().jobs) >= jobs)
    return names


def test_revoking_a_key_ends_64_jobs_at_once(house: House) -> None:
    guest = house.guest("ann")
    with Connection(guest) as connection, connect() as local:
        connection.hello()
        fill_queue(connection, 64)
        keys.revoke("ann")
        until(lambda: not local.status().jobs)  # without another word of the guest's
        until(lambda: house.kept(guest) == [])
        job = local.submit(NOTHING, InputFrames(LAYER))
        assert any(isinstance(m, messages.Done) for m, _ in local.events(job))


def test_revoking_the_key_of_who_has_gone_drops_jobs_and_results(house: House) -> None:
    guest, other = house.guest("ann"), house.guest("bob")
    with connect() as local:
        for info in (other, guest):
            with Connection(info) as connection:
                connection.hello()
                connection.submit(NOTHING, InputFrames(LAYER))
                until(lambda info=info: house.kept(info) == ["ended"])  # type: ignore[misc]
                if info is guest:
                    fill_queue(connection, 4)
        until(
            lambda: sorted(house.kept(guest)) == ["ended", "queued", "queued", "queued", "running"]
        )
        files = len(list((house.home / "jobs" / "pixels").iterdir()))
        keys.revoke("ann")
        until(lambda: not local.status().jobs)
        until(lambda: house.kept(guest) == [])
        assert house.kept(other) == ["ended"]
        until(lambda: len(list((house.home / "jobs" / "pixels").iterdir())) < files)
    with Connection(other) as connection:
        assert [one.ended for one in connection.waiting()] == [True]


def test_a_key_that_was_revoked_while_no_daemon_ran(house: House) -> None:
    guest = house.guest("ann")
    with Connection(guest) as connection:
        connection.hello()
        connection.submit(NOTHING, InputFrames(LAYER))
        fill_queue(connection, 3)
    subprocess.run([*RUN, "stop"], check=True, capture_output=True)
    assert len(house.kept(guest)) == 4
    keys.revoke("ann")
    process = serve()
    until(lambda: house.kept(guest) == [])
    with connect() as local:
        until(lambda: not local.status().jobs)
    process.terminate()
    process.communicate()


def test_a_list_of_keys_that_cannot_be_read_drops_nothing(house: House) -> None:
    guest = house.guest("ann")
    with Connection(guest) as connection:
        connection.hello()
        connection.submit(NOTHING, InputFrames(LAYER))
        until(lambda: house.kept(guest) == ["ended"])
    hidden = keys.allow_list().with_name("hidden")
    keys.allow_list().rename(hidden)
    with Connection(guest) as connection, pytest.raises(Exception, match="did not answer"):
        connection.hello(timeout=1)
    hidden.rename(keys.allow_list())
    with Connection(guest) as connection:
        assert [one.ended for one in connection.waiting()] == [True]


def cancelled(connection: Connection, job: str) -> messages.Message:
    *_, (last, _) = connection.events(job)
    return last


def test_the_owner_cancels_jobs_of_guests(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    guest = house.guest("ann")
    with Connection(guest) as connection, connect() as local:
        connection.hello()
        running, first, second = fill_queue(connection, 3)
        own = local.submit(NOTHING, InputFrames(LAYER))
        until(lambda: len(local.status().jobs) == 4)
        assert main(["cancel", "no such"]) == 2
        assert "no job in the queue begins with 'no such'; `underpaint status`" in (
            capsys.readouterr().err
        )
        connection.cancel_anywhere(own)  # which is not theirs
        connection.status()
        assert len(local.status().jobs) == 4
        assert main(["cancel", first[:8]]) == 0
        assert capsys.readouterr().err == f"cancelled {first[:8]}\n"
        told = "cancelled by the user of the daemon's machine"
        assert cancelled(connection, first) == messages.Failed(first, "cancelled", told)
        assert main(["cancel", running]) == 0
        assert cancelled(connection, running) == messages.Failed(running, "cancelled", told)
        for one, job in ((connection, second), (local, own)):
            assert cancelled(one, job) == messages.Done(job)
        assert main(["cancel", "all"]) == 0
        assert capsys.readouterr().err.splitlines()[-1] == "no jobs"


def test_a_guest_cancels_what_it_sent_by_another_connection(house: House) -> None:
    guest = house.guest("ann")
    with Connection(guest) as one, Connection(guest) as other:
        one.hello()
        other.hello()
        running, waiting = fill_queue(one, 2)
        for job in (waiting, running):
            other.cancel_anywhere(job)
            told = "cancelled by `underpaint cancel`"
            assert cancelled(one, job) == messages.Failed(job, "cancelled", told)


def test_the_log_names_no_key(house: House) -> None:
    guest = house.guest("ann")
    with Connection(guest) as connection:
        connection.hello()
        connection.submit(NOTHING, InputFrames(LAYER))
        until(lambda: bool(house.kept(guest)))
    keys.revoke("ann")
    until(lambda: house.kept(guest) == [])
    log = log_file().read_text() if log_file().exists() else ""
    assert guest.client_public not in log
