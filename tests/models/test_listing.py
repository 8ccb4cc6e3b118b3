"""One odd entry in a model folder hides no other model, and nothing waits for it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flow_files import save_parts, save_transformer
from single_files import save_checkpoint
from tiny_flow_models import build_flow_model
from underpaint.cli import main
from underpaint.models import (
    default_model,
    describe_model,
    find_model,
    list_entries,
    list_models,
)
from underpaint_client import model_messages, wire
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.recommended import Recommended


@pytest.fixture
def folder(home: Path, models: Path) -> Path:
    """A home with one good model, `sd`."""
    found = home / "models"
    shutil.copytree(models / "sd", found / "sd")
    return found


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def dangling(path: Path) -> None:
    path.symlink_to("/nowhere/at/all")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def pipe_for_index(path: Path) -> None:
    path.mkdir()
    os.mkfifo(path / "model_index.json")


def link_for_index(path: Path) -> None:
    path.mkdir()
    (path / "model_index.json").symlink_to("gone")


def folder_for_index(path: Path) -> None:
    (path / "model_index.json").mkdir(parents=True)


def loops_in_parts(path: Path) -> None:
    shutil.copytree(path.parent / "sd", path)
    shutil.rmtree(path / "unet")
    (path / "unet").symlink_to("unet")


def dangling_in_parts(path: Path) -> None:
    shutil.copytree(path.parent / "sd", path)
    (path / "zz").symlink_to("gone")
    (path / "unet" / "zz.json").symlink_to("gone")


def pipe_in_parts(path: Path) -> None:
    shutil.copytree(path.parent / "sd", path)
    (path / "vae" / "config.json").unlink()
    os.mkfifo(path / "vae" / "config.json")


def plain_file(path: Path) -> None:
    path.write_text("notes")


ODD: dict[Callable[[Path], None], str | None] = {
    dangling: "a link to what is not there",
    loop: "cannot be read",
    pipe: None,
    plain_file: None,
    pipe_for_index: "model_index.json is a pipe, not a file",
    link_for_index: "model_index.json is a link to gone",
    folder_for_index: "model_index.json is a folder, not a file",
    loops_in_parts: "unet",
    dangling_in_parts: "",
    pipe_in_parts: "vae/config.json is a pipe, not a file",
}
"""What lies there, and what is said of it: nothing, or, where it is empty, that it is fine."""


@pytest.mark.parametrize("odd", ODD)
def test_one_odd_entry_hides_no_other(folder: Path, odd: Callable[[Path], None]) -> None:
    odd(folder / "odd")
    script = (
        "from underpaint.models import *;"
        "print([(e.name, e.problem) for e in list_entries()]); default_model()"
    )
    run = [sys.executable, "-c", script]
    told = subprocess.run(run, check=True, capture_output=True, text=True, timeout=60).stdout
    assert "('sd', '')" in told
    wanted = ODD[odd]
    if wanted is None:
        assert "odd" not in told
    elif wanted:
        assert wanted in told
    else:
        assert "('odd', '')" in told


def test_all_odd_entries_at_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, odd in enumerate(ODD):
        odd(folder / f"odd{number}")
    assert main(["models"]) == 0
    told = capsys.readouterr()
    assert re.search(r"^sd +Stable Diffusion 1 +plain +64 +fp32 ", told.out, re.MULTILINE)
    assert told.err.count("underpaint: ") == sum(bool(wanted) for wanted in ODD.values())
    assert main(["models", "--verify"]) == 3
    assert main(["doctor"]) in (0, 1, 3)


def test_a_folder_of_models_may_be_anything(
    home: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(home / "pipe")
    loop(home / "loop")
    dangling(home / "gone")
    several = [str(home / "pipe"), str(home / "loop"), str(home / "gone"), str(models)]
    monkeypatch.setenv("UNDERPAINT_MODELS", os.pathsep.join(several))
    assert {"sd", "sdxl"} <= {entry.name for entry in list_entries() if not entry.problem}
    with pytest.raises(ModelUnavailableError, match="unknown"):
        find_model("none/such")


def test_a_folder_of_a_user_that_is_not_there_hides_no_other(
    home: Path, models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    several = ["~nosuchuser", "~nosuchuser/models", str(models)]
    monkeypatch.setenv("UNDERPAINT_MODELS", os.pathsep.join(several))
    assert {"sd", "sdxl"} <= list_models().keys()
    assert main(["models"]) == 0
    assert main(["doctor"]) in (0, 1, 3)
    assert "Traceback" not in capsys.readouterr().err


def test_a_name_in_no_script_is_said_and_can_be_sent(folder: Path) -> None:
    try:
        shutil.copytree(folder / "sd", folder / os.fsdecode(b"caf\xe9"))
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    entries = list_entries()
    assert [e.name for e in entries if not e.problem] == ["sd", "starter"]
    assert any("rename it" in entry.problem for entry in entries)
    wire.encode(model_messages.Models(entries))
    assert default_model() == "sd"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_named(folder: Path) -> None:
    shutil.copytree(folder / "sd", folder / "locked")
    shutil.copytree(folder / "sd", folder / "part")
    (folder / "locked").chmod(0)
    (folder / "part" / "unet").chmod(0)
    try:
        problems = {entry.name: entry.problem for entry in list_entries()}
    finally:
        (folder / "locked").chmod(0o700)
        (folder / "part" / "unet").chmod(0o700)
    assert not problems["sd"]
    assert "Permission denied" in problems["locked"]
    assert "give yourself the right to read it" in problems["part"]


def test_no_right_to_read_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As above, for machines where tests run as root."""
    shutil.copytree(folder / "sd", folder / "locked")
    real = Path.stat

    def stat(self: Path, **options: Any) -> os.stat_result:
        if "locked" in self.parts and "unet" in self.parts:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, **options)

    monkeypatch.setattr(Path, "stat", stat)
    problems = {entry.name: entry.problem for entry in list_entries()}
    assert not problems["sd"]
    assert "unet/config.json: Permission denied; give yourself the right" in problems["locked"]


def test_a_change_is_seen_at_once(folder: Path) -> None:
    """In place, the size as before: the folders around it do not show it."""
    file = folder / "sd" / "unet" / "config.json"
    assert [entry.problem for entry in list_entries() if entry.name == "sd"] == [""]
    changed = json.loads(file.read_text())
    file.write_text(json.dumps({**changed, "in_channels": 8}))
    (problem,) = (entry.problem for entry in list_entries() if entry.name == "sd")
    assert "unet/config.json" in problem
    assert "sd" in list_models()


def test_listing_imports_no_torch(folder: Path) -> None:
    script = "import sys; from underpaint.models import *; list_entries(); print(*sys.modules)"
    run = [sys.executable, "-c", script]
    loaded = subprocess.run(run, check=True, capture_output=True, text=True).stdout.split()
    assert not {"torch", "diffusers", "transformers"} & set(loaded)


def test_what_suits_a_model_is_listed_as_it_is_run(folder: Path) -> None:
    shutil.copytree(folder / "sd", folder / "sd-turbo")
    save_checkpoint(folder / "sd", folder / "dmd2-anime.safetensors")
    save_checkpoint(folder / "sd", folder / "plain.safetensors", steps=6, sampler="Euler a")
    build_flow_model(folder / "flux", "flux")
    build_flow_model(folder / "fill", "fill")
    save_transformer(folder / "fill", folder / "fill-file.safetensors")
    save_parts(folder / "fill", folder / "parts")
    entries = [entry for entry in list_entries() if not entry.problem]
    purposes = {entry.name: entry.purpose for entry in entries}
    assert purposes["fill"] == purposes["fill-file"] == "inpainting"
    assert purposes["flux"] == "plain"
    found = {entry.name: entry.recommended for entry in entries}
    assert found["sd"] == Recommended()
    assert found["sd-turbo"] == found["dmd2-anime"] == Recommended(8, 1.0)
    assert found["plain"] == Recommended(6, sampler="k_euler_a")
    assert not found["flux"].takes_negative
    assert found["fill"] == found["fill-file"] == replace(found["flux"], guidance_scale=30.0)
    for name, recommended in found.items():
        assert describe_model(find_model(name)).recommended == recommended, name


def test_clients_are_told_what_a_model_is_and_not_where_it_lies(folder: Path) -> None:
    (folder / "sd" / "underpaint.json").write_text(json.dumps({"licence": "free " * 100}))
    save_checkpoint(folder / "sd", folder / "one.safetensors", licence="open rail")
    (folder / "torn").mkdir()
    (folder / "torn" / "model_index.json").write_text("{")
    found = {entry.name: entry for entry in list_entries()}
    for name in ("sd", "one"):
        entry = found[name]
        assert (entry.title, entry.purpose) == ("Stable Diffusion 1", "plain")
        assert entry.precision == "fp32"
        assert entry.memory > entry.size > 10_000
        assert str(folder) not in str(entry)
    assert found["sd"].native == 64
    assert (found["one"].licence, len(found["sd"].licence)) == ("open rail", 80)
    assert found["torn"].problem
    assert (found["torn"].title, found["torn"].size) == ("", 0)
