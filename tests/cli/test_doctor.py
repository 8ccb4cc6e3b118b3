"""The doctor finds what is wrong, and its report tells nobody who asked."""

from __future__ import annotations

import getpass
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from underpaint.cli import doctor, main
from underpaint.cli.krita import KritaFolders
from underpaint.cli.plugins import copy_packages
from underpaint.config_file import config_file
from underpaint.server import keys
from underpaint.server.paths import log_file, make_home
from underpaint_client import connect
from underpaint_client.home import ConnectionInfo, remote_file, write_connection_file
from underpaint_editor.log import log_file as editor_log_file


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> KritaFolders:
    """Where the editors' folders are while this is tested."""
    folders = KritaFolders(tmp_path / "krita", tmp_path / "kritarc")
    monkeypatch.setattr(KritaFolders, "find", lambda: folders)
    monkeypatch.setattr(doctor, "find_gimps", lambda: [tmp_path / "gimp"])
    return folders


def found(check: str) -> list[tuple[str, str]]:
    return [(one.state, one.text) for one in doctor.run_check(check, doctor.CHECKS[check])]


def test_a_running_daemon_is_asked(daemon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with connect() as connection:
        connection.hello()
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert "BAD" not in told
    for word in ("python", "device", "models", "answers at ipc://", "install krita"):
        assert word in told


def test_what_is_not_there_is_said(home: Path) -> None:
    assert found("daemon") == [("note", "not running; it is started when it is needed")]
    assert not (home / "daemon.lock").exists()
    ((state, text),) = found("krita")
    assert (state, "underpaint install krita" in text) == ("note", True)


def test_another_machine_that_does_not_answer_is_bad(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = keys.own_keys("client")
    info = ConnectionInfo("tcp://127.0.0.1:1", 0, pair.public, pair.public, pair.secret)
    write_connection_file(info, remote_file())
    ((state, text),) = found("daemon")
    assert state == "bad"
    assert "did not answer" in text


def test_an_old_plugin_is_found(elsewhere: KritaFolders) -> None:
    copy_packages("underpaint_krita", elsewhere.plugins)
    assert found("krita")[0][0] == "good"
    changed = elsewhere.plugins / "underpaint_client" / "wire.py"
    changed.write_text(changed.read_text() + "\n")
    ((state, text),) = found("krita")
    assert state == "bad"
    assert "another version" in text


def test_secrets_that_others_can_read_are_found(home: Path) -> None:
    keys.own_keys("client")
    assert [state for state, _ in found("home")] == ["good"]
    (home / "keys" / "client.json").chmod(0o644)
    *_, (state, text) = found("home")
    assert (state, "can be read by others" in text) == ("bad", True)


def test_what_is_broken_in_the_home_is_found(home: Path, models: Path) -> None:
    assert found("config") == found("keys") == []
    config_file().write_text("[results]\ndays = 3\n")
    assert found("config") == [("good", "results wait 3 days, and 4 GB of them")]
    config_file().write_text("[serve]\nbind = ['tcp://*:7']\n")
    ((_, text),) = found("config")
    assert text.endswith("4 GB of them; a daemon that starts now listens on tcp://*:7")
    config_file().write_text("[results]\ndays = 'seven'\n")
    ((state, text),) = found("config")
    assert (state, "is 'seven'" in text) == ("bad", True)
    (keys.key_folder() / "client.json").write_text('{"public": "x", "secret": "y"}')
    ((state, text),) = found("keys")
    assert (state, "client.json cannot be read" in text) == ("bad", True)
    (home / "jobs-aside-1").mkdir()
    assert ("note", True) in [(state, "jobs-aside-1" in text) for state, text in found("home")]
    shutil.copytree(models / "sd", home / "models" / "a")
    assert [state for state, _ in found("models")] == ["good"]
    (home / "models" / "a" / "vae" / "config.json").unlink()
    assert found("models")[0][0] == "bad"


def test_a_default_model_that_is_not_there_is_bad(
    home: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(models / "sd", home / "models" / "sd")
    monkeypatch.setenv("UNDERPAINT_MODEL", "nowhere")
    assert ("bad", True) in [(s, "'nowhere' is unknown" in text) for s, text in found("models")]


def test_a_broken_check_is_a_finding() -> None:
    def broken() -> Iterator[doctor.Finding]:
        yield doctor.Finding("good", "models", f"{1 / 0}")

    (finding,) = doctor.run_check("models", broken)
    assert finding == doctor.Finding("bad", "models", "ZeroDivisionError: division by zero")


def test_a_report_is_safe_to_show(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(home))
    server = keys.own_keys("server")
    keys.allow(keys.own_keys("client").public, "my other machine")
    make_home()
    user = getpass.getuser()
    told = [
        f"listening on tcp://192.168.1.7:7860, tcp://{socket.gethostname()}:7861 for {user}",
        f"underpaint connect tcp://gpu.of.{user}:7860 {server.public}",
        f"{home}/keys/server.json has {server.secret}; /mnt/{user}/models",
    ]
    log_file().write_text("\n".join(told))
    editor_log_file("Krita").write_text(f"krita had {server.secret} in {home}\n" * 99)
    checks = {name: doctor.CHECKS[name] for name in ("home", "guests")}
    assert doctor.run_doctor(["--report"], checks) == 0
    report = capsys.readouterr().out
    for secret in (server.public, server.secret, keys.own_keys("client").public, str(home),
                   "192.168.1.7", "gpu.of", f"/{user}/", "my other machine"):  # fmt: skip
        assert secret not in report, secret
    assert "Underpaint 0." in report
    assert "~/keys/server.json has KEY; /mnt/USER/models" in report
    assert "the last of 99 lines of Krita's log:" in report
    assert report.count("krita had KEY in ~\n") == doctor.LOG_LINES
    assert "GIMP's log" not in report  # which was not used here


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/ann/x and anna, ann.", "~/x and anna, USER."),
        ("at tcp://[fe80::1]:5 or tcp://host-9:5", "at tcp://ADDRESS:5 or tcp://ADDRESS:5"),
        ("127.0.0.1 with torch 2.13.0", "ADDRESS with torch 2.13.0"),
    ],
)
def test_names_and_addresses_are_left_out(text: str, shown: str) -> None:
    assert doctor.anonymous(text, {"ann": "USER", "/home/ann": "~", "h": "HOST"}) == shown
