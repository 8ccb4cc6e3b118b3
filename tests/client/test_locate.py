"""Which connection files lead to a daemon, and what is said of those that do not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.home import ConnectionInfo
from underpaint_client.locate import (
    check_local,
    check_process,
    check_remote,
    describe_daemon,
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


def test_what_a_daemon_is_called_and_what_may_help() -> None:
    near, far = ConnectionInfo("ipc:///s", 7), ConnectionInfo("tcp://far:7", 0, KEY, KEY, KEY)
    assert describe_daemon(near) == "the Underpaint daemon (process id 7, ipc:///s)"
    assert describe_daemon(far) == "the Underpaint daemon (tcp://far:7)"
    assert "look at its log" in suggest_remedy(near)
    assert f"underpaint keys allow {KEY}" in suggest_remedy(far)
