"""A command's environment holds, though the daemon was started in another."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from daemons import RUN
from underpaint.cli import doctor, main
from underpaint.cli.generate import settle_model
from underpaint.server.paths import socket_folder
from underpaint_client.home import ConnectionInfo, remote_file, write_connection_file

SMALL = ["generate", "a lake", "-W", "64", "-H", "64", "-s", "1", "-f", "1", "--json"]


@pytest.fixture
def elsewhere(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models that only this environment knows: `other`, and another `sd`."""
    folder = tmp_path / "more"
    for name in ("other", "sd"):
        shutil.copytree(models / "sd", folder / name)
    monkeypatch.setenv("UNDERPAINT_MODELS", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def test_what_is_asked_for(home: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert settle_model("") == ""
    assert settle_model("unheard-of") == "unheard-of"
    assert settle_model("starter") == "starter"
    assert settle_model("other") == str(elsewhere / "other")
    monkeypatch.setenv("UNDERPAINT_MODEL", "other")
    assert settle_model("") == str(elsewhere / "other")
    assert settle_model("starter") == "starter"
    monkeypatch.setenv("UNDERPAINT_MODELS", "more")
    assert settle_model("other") == str(elsewhere / "other")
    shutil.copytree(elsewhere / "sd", home / "models" / "sd")
    assert settle_model("sd") == "sd"  # its home comes first, for the daemon too
    info = ConnectionInfo("tcp://gpu:1", 0, *["a" * 40] * 3)
    write_connection_file(info, remote_file())
    assert settle_model("other") == "other"  # that machine has folders of its own


def test_the_default_of_a_command_holds(
    daemon: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNDERPAINT_MODEL", "sdxl")
    assert main(SMALL) == 0
    found = capsys.readouterr()
    assert json.loads(found.out)["recipe"]["request"]["sampling"]["model"] == "sdxl"
    assert (
        "note: UNDERPAINT_MODEL is sdxl here, so that model is used instead of the daemon's"
        in found.err
    )
    assert main([*SMALL, "-m", "sd"]) == 0
    found = capsys.readouterr()
    assert json.loads(found.out)["recipe"]["request"]["sampling"]["model"] == "sd"
    assert "UNDERPAINT_MODEL" not in found.err


def test_the_models_of_a_command_are_used(
    daemon: Path, elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*SMALL, "-m", "other"]) == 0
    assert json.loads(capsys.readouterr().out)["recipe"]["request"]["sampling"]["model"] == "other"


def test_the_doctor_names_what_differs(
    daemon: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> str:
        return "\n".join(one.text for one in doctor.run_check("daemon", doctor.CHECKS["daemon"]))

    unknown = "it does not know other, sd (UNDERPAINT_MODELS): it was started with another"
    assert f"{unknown} UNDERPAINT_MODELS" in told()
    monkeypatch.setenv("UNDERPAINT_MODEL", "other")
    assert "its default model is sd, but here it is other: it was started with another" in told()
    monkeypatch.delenv("UNDERPAINT_MODELS")
    monkeypatch.delenv("UNDERPAINT_MODEL")
    assert "was started" not in told()


def test_a_home_whose_name_is_no_utf8(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    odd = home / "h\udce4us"
    monkeypatch.setenv("UNDERPAINT_HOME", str(odd))
    socket_folder().name.encode("ascii")
    subprocess.run([*RUN, "serve", "--background"], check=True)
    for words in (["status"], ["keys", "new"], ["results"], ["models"]):
        assert main(words) == 0, words
    assert main([*SMALL, "-m", "nowhere", "-o", f"{home}/"]) == 3
    assert main(["doctor"]) in (0, 3)
    assert main(["stop"]) == 0
    told = capfdbinary.readouterr()
    assert b"Traceback" not in told.err
    assert rb"h\xe4us" in told.err
    assert b"model 'nowhere' is unknown" in told.err
    assert not list(socket_folder().iterdir())
    socket_folder().rmdir()
