from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from daemons import serve
from underpaint.cli import main
from underpaint.server import keys
from underpaint.server.paths import (
    LONGEST_SOCKET_PATH,
    acquire_lock,
    daemon_runs,
    private_folder,
    socket_folder,
)
from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.home import (
    ConnectionInfo,
    connection_file,
    read_connection_file,
    write_connection_file,
)

posix = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
def test_folders_are_their_owners_alone(home: Path) -> None:
    folder = home / "open"
    folder.mkdir(mode=0o777)
    assert mode(private_folder(folder)) == 0o700


@posix
def test_a_link_is_refused(home: Path) -> None:
    (home / "real").mkdir()
    (home / "link").symlink_to(home / "real")
    with pytest.raises(DaemonUnavailableError, match="is a link"):
        private_folder(home / "link")


@posix
def test_a_long_home_gets_a_short_socket(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert socket_folder() == home / "run"
    long_home = home / ("x" * 100)
    monkeypatch.setenv("UNDERPAINT_HOME", str(long_home))
    folder = socket_folder()
    assert len(str(folder / "clients.sock")) <= LONGEST_SOCKET_PATH
    assert mode(folder) == 0o700
    assert folder == socket_folder()
    folder.rmdir()


@posix
def test_a_daemon_leaves_no_socket_behind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNDERPAINT_MODEL", "none")
    for folder in (home, home / ("x" * 100)):
        monkeypatch.setenv("UNDERPAINT_HOME", str(folder))
        process = serve("--device", "cpu")
        sockets = socket_folder()
        assert {path.name for path in sockets.iterdir()} == {"clients.sock", "workers.sock"}
        process.terminate()
        process.communicate()
        assert not sockets.exists()


def test_connection_file(home: Path) -> None:
    assert read_connection_file() is None
    info = ConnectionInfo("tcp://127.0.0.1:1", 2, "a" * 40, "b" * 40, "c" * 40)
    write_connection_file(info)
    assert read_connection_file() == info
    assert mode(connection_file()) == 0o600
    for damaged in (
        "", "[]", "\0",
        '{"endpoint": "ipc://x", "pid": 1, "mood": 2}',
        '{"endpoint": "foo", "pid": 1}',
        '{"endpoint": 5, "pid": 1}',
        '{"endpoint": "tcp://x:1", "pid": 1, "server_public": "short"}',
    ):  # fmt: skip
        connection_file().write_text(damaged)
        assert read_connection_file() is None


def test_one_daemon_a_home(home: Path) -> None:
    connection_file().write_text("what a dead daemon left")
    lock = acquire_lock()
    assert not connection_file().exists()
    write_connection_file(ConnectionInfo("ipc://here", 4321))
    with pytest.raises(DaemonUnavailableError, match=r"already running.*4321, ipc://here"):
        acquire_lock()
    lock.release()
    acquire_lock().release()


def test_keys_are_kept_and_private(home: Path) -> None:
    pair = keys.own_keys("server")
    assert keys.own_keys("server") == pair
    assert keys.own_keys("client") != pair
    assert len(pair.public) == len(pair.secret) == 40
    assert mode(home / "keys" / "server.json") == 0o600
    assert mode(home / "keys") == 0o700


def test_a_home_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("UNDERPAINT_HOME", "/proc/nowhere")
    with pytest.raises(DaemonUnavailableError, match="/proc/nowhere cannot be written"):
        acquire_lock()
    for words in (
        ["keys", "list"], ["keys", "new"], ["connect", "tcp://gpu:1", "a" * 40], ["results"],
    ):  # fmt: skip
        assert main(words) == 3
        assert "/proc/nowhere cannot be written" in capsys.readouterr().err
    assert main(["connect", "--forget"]) == 0


def test_a_lock_that_cannot_be_taken_is_said(home: Path) -> None:
    (home / "daemon.lock").mkdir()
    with pytest.raises(DaemonUnavailableError, match="cannot be written .*set UNDERPAINT_HOME"):
        daemon_runs()
