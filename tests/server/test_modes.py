"""Files are their user's alone, whatever the umask; what others can write is refused."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from daemons import RUN
from underpaint.cli import main
from underpaint.server import keys
from underpaint.server.background import start_background
from underpaint.server.config import read_config
from underpaint.server.paths import make_home, private_folder
from underpaint_client import Request, connect
from underpaint_client.errors import DaemonUnavailableError, UnderpaintError
from underpaint_client.home import (
    ConnectionInfo,
    connection_file,
    read_connection_file,
    remote_file,
    write_connection_file,
    write_private,
)
from underpaint_editor.launch import start_command
from underpaint_editor.prompts import PromptHistory

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")

NOBODY = 65534
PUBLIC = "a" * 40


def open_to_others(folder: Path) -> dict[str, str]:
    """Return what in a folder others could use, with its mode."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode & 0o077 and not path.is_symlink():
            found[str(path.relative_to(folder))] = f"{mode:04o}"
    return found


@pytest.mark.parametrize("umask", ["0", "027", "0777"])
def test_a_home_is_made_private_whatever_the_umask(
    home: Path, monkeypatch: pytest.MonkeyPatch, umask: str
) -> None:
    made = home / "above" / "underpaint"  # the folder above it is missing too
    monkeypatch.setenv("UNDERPAINT_HOME", str(made))
    run = f"umask {umask}; {sys.executable}"
    code = "from underpaint.models import hashes\nwith hashes._HASHES.changing(): pass"
    for command in ("-m underpaint keys new", f"-c '{code}'"):
        subprocess.run(f"{run} {command}", shell=True, check=True, capture_output=True)
    assert {path.name for path in made.rglob("*.json")} == {"client.json", "model-hashes.json"}
    assert open_to_others(home) == {}
    for path in (made.parent, made, made / "keys"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in made.rglob("*.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_daemon_keeps_everything_private_with_an_open_umask(home: Path) -> None:
    serve = f"{shlex.join(RUN)} serve --background --device cpu --bind 'tcp://127.0.0.1:*'"
    subprocess.run(f"umask 0; {serve}", shell=True, check=True, capture_output=True)
    with connect() as connection:
        job = connection.submit(Request.of(prompt="a lake", strength=0.5))
        next(connection.events(job))  # it is written
        names = {path.name for path in home.rglob("*")}
        assert {"jobs.sqlite", "daemon.log", "connection.json", "clients.sock"} <= names
        assert open_to_others(home) == {}
        connection.cancel(job)


def test_drafts_are_not_written_through_links(home: Path) -> None:
    """Who could make a link of the draft's name would have another file overwritten."""
    victim = home / "victim"
    victim.write_text("precious")
    (home / f"target.{os.getpid()}").symlink_to(victim)
    write_private(home / "target", "text")
    assert victim.read_text() == "precious"
    assert (home / "target").read_text() == "text"
    assert not (home / "target").is_symlink()


def test_a_write_that_fails_names_its_file_and_leaves_nothing(home: Path) -> None:
    (home / "target").mkdir()
    with pytest.raises(OSError, match="Is a directory") as told:
        write_private(home / "target", "text")
    assert told.value.filename == str(home / "target")
    assert [path.name for path in home.iterdir()] == ["target"]


def write_remote() -> None:
    write_connection_file(ConnectionInfo("tcp://127.0.0.1:1", 0, *[PUBLIC] * 3), remote_file())


USES: dict[str, Callable[[], object]] = {
    "make": make_home,
    "connect": connect,
    "daemon": start_background,
}


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o1777])
@pytest.mark.parametrize("use", USES)
def test_a_home_that_others_can_write_is_refused_by_name(home: Path, mode: int, use: str) -> None:
    write_remote()
    if use == "daemon":
        remote_file().unlink()
    home.chmod(mode)
    with pytest.raises(DaemonUnavailableError, match=f"other users can write {home} ") as told:
        USES[use]()
    assert f"mode {mode:04o}" in str(told.value)
    assert "chmod go-w" in str(told.value)
    home.chmod(0o700)


def test_a_home_that_others_can_only_read_is_used(home: Path) -> None:
    """Someone may show the models in it to others; what is secret is closed by itself."""
    home.chmod(0o755)
    make_home()
    keys.own_keys("client")
    assert stat.S_IMODE(home.stat().st_mode) == 0o755
    assert set(open_to_others(home)) == {"."}


def test_a_home_may_be_a_link(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "disk").mkdir(mode=0o700)
    (home / "link").symlink_to(home / "disk")
    monkeypatch.setenv("UNDERPAINT_HOME", str(home / "link"))
    make_home()
    (home / "disk").chmod(0o777)
    with pytest.raises(DaemonUnavailableError, match="other users can write"):
        make_home()


def read_keys() -> object:
    return keys.own_keys("client")


def let_in() -> object:
    return keys.allow("b" * 40)


FILES: dict[str, tuple[Callable[[], Path], Callable[[], object]]] = {
    "connection file": (connection_file, read_connection_file),
    "remote file": (remote_file, connect),
    "keys": (lambda: keys.key_folder() / "client.json", read_keys),
    "list to read": (keys.allow_list, keys.list_allowed),
    "list to change": (keys.allow_list, let_in),
    "config": (lambda: Path(os.environ["UNDERPAINT_HOME"]) / "config.toml", read_config),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_decide_whom_to_trust_must_not_be_writable_by_others(
    home: Path, name: str
) -> None:
    write_remote()
    write_connection_file(ConnectionInfo("ipc://here", 1))
    keys.own_keys("client")
    keys.allow("c" * 40)
    (home / "config.toml").write_text("")
    file, use = FILES[name]
    file().chmod(0o620)
    with pytest.raises(UnderpaintError, match=f"other users can write .*{file().name} "):
        use()
    file().chmod(0o600)
    if name not in ("remote file", "list to change"):
        use()


def test_folders_of_ours_that_others_can_write_are_refused(home: Path) -> None:
    (home / "keys").mkdir()
    (home / "keys").chmod(0o770)
    with pytest.raises(DaemonUnavailableError, match="other users can write .*keys "):
        keys.own_keys("client")
    (home / "keys").chmod(0o755)
    assert stat.S_IMODE(private_folder(home / "keys").stat().st_mode) == 0o700


def test_a_running_daemon_lets_nobody_in_by_a_list_that_others_can_write(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys.allow("c" * 40)
    allowed = keys.AllowList()
    assert "c" * 40 in allowed
    keys.allow_list().chmod(0o666)
    assert "c" * 40 not in allowed
    assert "other users can write" in caplog.text
    keys.allow_list().chmod(0o600)
    assert "c" * 40 in allowed


def test_the_doctor_names_what_others_can_write(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys.own_keys("client")
    (home / "keys" / "client.json").chmod(0o660)
    assert main(["doctor"]) == 3
    assert "other users can write" in capsys.readouterr().out
    keys.allow_list().touch()
    keys.allow_list().chmod(0o666)
    assert main(["doctor", "--report"]) == 3
    assert "authorized_clients (mode 0666)" in capsys.readouterr().out


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs to be another user")
def test_what_belongs_to_another_user_is_refused(home: Path) -> None:
    make_home()
    write_remote()
    os.chown(remote_file(), NOBODY, NOBODY)
    with pytest.raises(DaemonUnavailableError, match=r"remote.json belongs to another user"):
        connect()
    remote_file().unlink()
    os.chown(home, NOBODY, NOBODY)
    for use in (make_home, start_background):
        with pytest.raises(DaemonUnavailableError, match=f"{home} belongs to another user"):
            use()
    os.chown(home, 0, 0)


AS_ANOTHER_USER = f"""
import os, sys
from pathlib import Path
home = Path(sys.argv[1])
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
for name in ("remote.json", "keys/authorized_clients", "x", "prompts.json"):
    try:
        (home / name).write_text("mine")
        print("wrote", name)
    except OSError:
        pass
try:
    (home / "keys").rename(home / "gone")
    print("renamed keys")
except OSError:
    pass
"""


@pytest.mark.skipif(os.name != "posix" or os.getuid() != 0, reason="needs to become another user")
def test_another_user_cannot_write_into_a_home_made_with_an_open_umask(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.chmod(0o755)  # as a user's own folder is
    made = home / "share" / "underpaint"
    monkeypatch.setenv("UNDERPAINT_HOME", str(made))
    before = os.umask(0)
    try:
        assert main(["keys", "allow", PUBLIC]) == 0
        PromptHistory().add("a lake")
    finally:
        os.umask(before)
    attack = [sys.executable, "-c", AS_ANOTHER_USER, str(made)]
    found = subprocess.run(attack, check=True, capture_output=True, text=True)
    assert found.stdout == ""


# ---- nothing is sent unencrypted ---------------------------------------------------------


@pytest.mark.parametrize(
    "found",
    [
        {"endpoint": "tcp://192.0.2.1:7860", "pid": 0},
        {"endpoint": "tcp://127.0.0.1:1", "pid": 5},
        {"endpoint": "ipc:///tmp/anybodys.sock", "pid": 0},
    ],
)
def test_a_remote_file_without_keys_is_refused(
    home: Path, found: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    write_private(remote_file(), json.dumps(found))
    with pytest.raises(DaemonUnavailableError, match=r"remote.json has no keys to encrypt"):
        connect()
    assert main(["status"]) == 3
    assert main(["generate", "a secret"]) == 3
    assert (
        "nothing unencrypted to another machine; run `underpaint connect`"
        in capsys.readouterr().err
    )
    assert start_command() == []


def test_no_connection_over_tcp_is_made_without_keys(home: Path) -> None:
    from underpaint_client import Connection

    info = ConnectionInfo("tcp://127.0.0.1:1", os.getpid())
    with pytest.raises(DaemonUnavailableError, match="sends nothing unencrypted"):
        Connection(info)
    write_connection_file(info)
    with pytest.raises(DaemonUnavailableError, match="sends nothing unencrypted"):
        connect()


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"endpoint": ' * 50_000,
        '{"endpoint": "tcp://x:1", "pid": 1' + "0" * 400 + "}",
        '{"endpoint": "tcp://x:1", "pid": 1' + "0" * 5000 + "}",
        '{"endpoint": "tcp://x:1", "pid": -1}',
        '{"endpoint": "ipc://\\u0000", "pid": true}',
    ],
)
def test_damaged_connection_files_are_said(
    home: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_private(remote_file(), text)
    assert main(["status"]) == 3
    assert "remote.json, which says where the daemon is, cannot be read" in capsys.readouterr().err
    write_private(connection_file(), text)
    remote_file().unlink()
    assert main(["status"]) == 3
    assert main(["connect"]) == 0


def test_damaged_keys_are_said(home: Path) -> None:
    write_private(keys.key_folder() / "client.json", "[" * 100_000)
    with pytest.raises(DaemonUnavailableError, match=r"client.json cannot be read"):
        keys.own_keys("client")
