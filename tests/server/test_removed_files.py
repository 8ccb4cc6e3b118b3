"""A daemon whose files were removed is found again, or named."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from daemons import serve, until
from underpaint.cli import main
from underpaint.server import background
from underpaint.server.paths import acquire_lock
from underpaint_client import Request, connect, messages
from underpaint_client.daemon_lock import lock_holder
from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.home import connection_file


@pytest.fixture
def pid(home: Path) -> Iterator[int]:
    process = serve()
    yield process.pid
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.communicate()


def remove_both(home: Path) -> None:
    shutil.rmtree(home / "run")
    connection_file().unlink()


REMOVALS: dict[str, Callable[[Path], None]] = {
    "connection file": lambda home: (home / "connection.json").unlink(),
    "sockets": lambda home: shutil.rmtree(home / "run"),
    "one socket": lambda home: (home / "run" / "clients.sock").unlink(),
    "both": remove_both,
}


@pytest.mark.parametrize("what", REMOVALS)
def test_a_daemon_whose_files_are_removed_puts_them_back(home: Path, pid: int, what: str) -> None:
    with connect() as before:
        before.hello()
        REMOVALS[what](home)
        began = time.monotonic()
        connection, started = background.find_or_start()
        with connection:
            assert (connection.welcome.pid, started) == (pid, False)
            assert time.monotonic() - began < background.PATIENCE / 2
        before.hello()  # who was connected still is
    assert stat.S_IMODE((home / "run").stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "run" / "clients.sock").stat().st_mode) == 0o600


def test_workers_find_a_daemon_whose_sockets_were_removed(home: Path, pid: int) -> None:
    shutil.rmtree(home / "run")
    until((home / "run" / "workers.sock").exists)
    (worker,) = psutil.Process(pid).children()
    worker.kill()
    with connect() as connection:
        job = connection.submit(Request.of(strength=0.0))
        assert any(isinstance(message, messages.Done) for message, _ in connection.events(job))


def test_a_daemon_that_does_not_answer_is_named(
    home: Path, pid: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    os.kill(pid, signal.SIGSTOP)
    connection_file().unlink()
    monkeypatch.setattr(background, "PATIENCE", 0.5)
    assert lock_holder() == pid
    assert main(["stop"]) == 3
    assert f"is running (process id {pid}) but does not answer" in capsys.readouterr().err
    with pytest.raises(DaemonUnavailableError, match=rf"already running .*\(process id {pid}\)"):
        acquire_lock()


def test_a_lock_without_a_number_is_no_trouble(home: Path) -> None:
    assert lock_holder() == 0
    (home / "daemon.lock").write_text("x")
    assert lock_holder() == 0
    lock = acquire_lock()
    assert lock_holder() == os.getpid()
    lock.release()
