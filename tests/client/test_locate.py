"""Which connection files lead to a daemon, and what is said of those that do not."""

from __future__ import annotations

import os
from pathlib import Path

import filelock
import pytest

from underpaint.server.paths import daemon_runs
from underpaint_client.daemon_lock import is_lock_held, lock_file
from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.home import ConnectionInfo, write_connection_file
from underpaint_client.locate import (
    check_local,
    check_process,
    check_remote,
    describe_daemon,
    locate_daemon,
    suggest_remedy,
)

KEY = "k" * 40
GONE = 2**22 + 1  # above Linux's largest process id


@pytest.mark.parametrize(
    ("info", "error"),
    [
        (None, "remote.json, which says where the daemon is, cannot be read"),
        (ConnectionInfo("tcp://far:7", 0), "has no keys to encrypt the connection to tcp://far:7"),
        (ConnectionInfo("tcp://far:7", 0, KEY, KEY, KEY), ""),
    ],
)
def test_another_machines_daemon(info: ConnectionInfo | None, error: str) -> None:
    if not error:
        assert check_remote(info, Path("remote.json")) is info
        return
    with pytest.raises(DaemonUnavailableError, match=error):
        check_remote(info, Path("remote.json"))


def test_this_machines_daemon(tmp_path: Path) -> None:
    file = tmp_path / "connection.json"
    socket = tmp_path / "socket"
    here = ConnectionInfo(f"ipc://{socket}", os.getpid())
    with pytest.raises(DaemonUnavailableError, match="no Underpaint daemon is running"):
        check_local(None, file)
    with pytest.raises(DaemonUnavailableError, match="is gone"):
        check_local(here, file)  # there is no socket
    socket.touch()
    assert check_local(here, file) is here
    with pytest.raises(DaemonUnavailableError, match=f"process id {GONE} is gone"):
        check_local(ConnectionInfo(f"ipc://{socket}", GONE), file)


def test_only_a_process_of_this_machine_can_be_looked_for() -> None:
    check_process(ConnectionInfo("tcp://far:7", GONE, KEY, KEY, KEY))
    check_process(ConnectionInfo("ipc:///socket", os.getpid()))
    with pytest.raises(DaemonUnavailableError):
        check_process(ConnectionInfo("ipc:///socket", GONE))


@pytest.mark.skipif(os.name != "posix", reason="Windows tells nothing about a lock")
@pytest.mark.parametrize("transport", ["ipc", "tcp"])
@pytest.mark.parametrize(
    ("left", "runs"),
    [
        ("no lock file", True),  # nothing else is known than that the process runs
        ("the number of a process that runs now", False),
        ("a number that cannot be read", False),
        ("a daemon", True),
        ("a daemon without a number", True),
        ("another daemon", False),
    ],
)
def test_a_daemon_runs_while_its_lock_is_held_whatever_its_process_id_is(
    home: Path, transport: str, left: str, runs: bool
) -> None:
    """After a power cut its files stay, and its process id may soon be another program's."""
    socket = home / "clients.sock"
    socket.touch()
    endpoint = f"ipc://{socket}" if transport == "ipc" else "tcp://127.0.0.1:7"
    info = ConnectionInfo(endpoint, os.getpid(), *([KEY] * 3 if transport == "tcp" else []))
    write_connection_file(info)
    lock = None
    if left != "no lock file":
        lock = filelock.FileLock(lock_file()) if "daemon" in left else None
        if lock is not None:
            lock.acquire()
        number = {"another daemon": "1", "a daemon without a number": ""}
        unreadable = "\0" if "cannot be read" in left else str(os.getpid())
        lock_file().write_text(number.get(left, unreadable))
    held = None if left == "no lock file" else lock is not None
    assert is_lock_held() is held
    assert is_lock_held() is held  # to ask changes nothing
    if runs:
        assert locate_daemon() == info
        check_process(info)
    else:
        with pytest.raises(DaemonUnavailableError, match="is gone; start it with"):
            locate_daemon()
    if transport == "ipc" and not runs:
        with pytest.raises(DaemonUnavailableError, match="is gone"):
            check_process(info)
    if lock is not None:
        lock.release()


def test_who_asks_for_the_lock_at_the_same_time_is_not_taken_for_a_daemon(home: Path) -> None:
    lock_file().touch()
    with lock_file().open() as other:
        fcntl = pytest.importorskip("fcntl")
        fcntl.flock(other, fcntl.LOCK_SH)
        assert is_lock_held() is False
        assert not daemon_runs()


def test_what_a_daemon_is_called_and_what_may_help() -> None:
    near, far = ConnectionInfo("ipc:///s", 7), ConnectionInfo("tcp://far:7", 0, KEY, KEY, KEY)
    assert describe_daemon(near) == "the Underpaint daemon (process id 7, ipc:///s)"
    assert describe_daemon(far) == "the Underpaint daemon (tcp://far:7)"
    assert "look at its log" in suggest_remedy(near)
    assert f"underpaint keys allow {KEY}" in suggest_remedy(far)
