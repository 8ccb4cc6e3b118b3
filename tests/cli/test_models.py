"""Models are told apart by what is in them, and changes are said."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from underpaint.cli import main
from underpaint.cli.generate import settle_model
from underpaint.models import describe_model, hash_model, note_use
from weight_files import SD1, write_safetensors


@pytest.fixture
def model(home: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model of a home's own."""
    monkeypatch.setenv("UNDERPAINT_HOME", str(home))
    folder = home / "models" / "sd"
    shutil.copytree(models / "sd", folder)
    return folder


def change(file: Path, *, keep_time: bool) -> None:
    """Turn over a bit in the middle of a file."""
    found = file.stat()
    data = bytearray(file.read_bytes())
    data[-10] ^= 1
    file.write_bytes(data)
    times = (found.st_atime_ns, found.st_mtime_ns + (0 if keep_time else 1_000_000))
    os.utime(file, ns=times)


def test_the_use_of_a_model_is_remembered(model: Path) -> None:
    info = describe_model(model)
    first = hash_model(info)
    assert note_use(info, first) == ""
    assert note_use(info, first) == first
    change(model / "unet" / "diffusion_pytorch_model.safetensors", keep_time=False)
    second = hash_model(info)
    assert second != first
    assert note_use(info, second) == first
    assert note_use(info, second) == second


def test_weights_changed_unseen_are_found(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info = describe_model(model)
    before = hash_model(info)
    assert main(["models", "--verify"]) == 0
    assert f"{before}  sd" in capsys.readouterr().out
    change(model / "unet" / "diffusion_pytorch_model.safetensors", keep_time=True)
    assert hash_model(info) == before  # by size and time there is nothing to see
    assert main(["models", "--verify"]) == 3
    told = capsys.readouterr()
    assert "tampered with" in told.err
    assert before not in told.out
    now = hash_model(info)
    assert now != before  # from now on recipes tell the truth
    assert main(["models", "--verify"]) == 3
    assert f"({before[:8]}, now {now[:8]})" in capsys.readouterr().err
    change(model / "unet" / "diffusion_pytorch_model.safetensors", keep_time=True)
    assert main(["models", "--verify"]) == 0


def test_verifying_tells_of_models_that_cannot_be_used(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (model / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"")
    assert main(["models", "--verify"]) == 3
    assert "are damaged or cut short" in capsys.readouterr().err


def test_a_picture_says_that_its_model_changed(model: Path) -> None:
    from underpaint.engine import Engine
    from underpaint_client.request import Request

    request = Request(prompt="x", model="sd", steps=1, width=64, height=64, seed=1)
    assert next(iter(Engine("cpu").generate(request))).recipe.notes == ()
    change(model / "unet" / "diffusion_pytorch_model.safetensors", keep_time=False)
    (picture,) = Engine("cpu").generate(request)
    assert "other weights than when it was last used" in picture.recipe.notes[0]
    assert next(iter(Engine("cpu").generate(request))).recipe.notes == ()


WRITER = """
import dataclasses, sys
from pathlib import Path
from underpaint.models import describe_model, hash_model, note_use
info = describe_model(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for n in range(100):
    if sys.argv[2] == "hash":
        hash_model(info, again=True)
    else:
        note_use(dataclasses.replace(info, path=Path(f"/{sys.argv[2]}/{n}")), "hash")
"""


@pytest.mark.parametrize("other", ["other", "hash"])
def test_what_two_processes_remember_is_all_kept(model: Path, home: Path, other: str) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(model), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name in ("one", other)
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    kept = json.loads((home / "model-hashes.json").read_text(encoding="utf-8"))
    noted = {"one", other} - {"hash"}
    assert {f"opened /{name}/{n}" for name in noted for n in range(100)} <= kept.keys()


@pytest.fixture
def comfyui(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with ComfyUI, which has one model."""
    for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / "ComfyUI" / "models" / "checkpoints"
    write_safetensors(folder / "theirs.safetensors", SD1)
    return folder


def test_other_tools_models_are_offered_used_and_ignored(
    comfyui: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models"]) == 0
    told = capsys.readouterr()
    assert "theirs" not in told.out
    assert f"models of comfyui may be in {comfyui}; `underpaint models --use comfyui`" in told.err
    assert main(["models", "--use", "comfyui"]) == 0
    capsys.readouterr()
    assert main(["models"]) == 0
    told = capsys.readouterr()
    assert re.search(
        r"^theirs +Stable Diffusion 1 +plain +512 +fp16 .* comfyui$", told.out, re.MULTILINE
    )
    assert "may be in" not in told.err
    assert main(["models", "--where"]) == 0
    told = capsys.readouterr()
    assert re.search(rf"^comfyui +used +1 +0 +{comfyui}$", told.out, re.MULTILINE)
    assert re.search(r"^underpaint +not there ", told.out, re.MULTILINE)
    assert main(["models", "--ignore", "comfyui"]) == 0
    assert main(["models", "--where", "--json"]) == 0
    told = capsys.readouterr()
    found = [json.loads(line) for line in told.out.splitlines()]
    assert [one["state"] for one in found if one["name"] == "comfyui"] == ["ignored"]
    assert main(["models", "--use", "forge"]) == 2


def test_on_a_terminal_it_is_asked_once(
    comfyui: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

        def readline(self, *_: object) -> str:
            asked.append("?")
            return "\n"

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert main(["models"]) == 0
    assert "theirs" in capsys.readouterr().out
    assert main(["models"]) == 0
    assert asked == ["?"]


def test_json_has_all_of_a_model(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_safetensors(model.parent / "bad.safetensors", SD1).write_bytes(b"")
    (model / "underpaint.json").write_text('{"steps": 7, "licence": "mine", "sampler": "ddim"}')
    assert main(["models", "--json"]) == 0
    found = {one["name"]: one for one in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found["sd"]["default"]
    assert (found["sd"]["steps"], found["sd"]["licence"]) == (7, "mine")
    assert (found["sd"]["sampler"], found["sd"]["form"]) == ("ddim", "folder")
    assert found["sd"]["path"] == str(model)
    assert "damaged or cut short" in found["bad"]["problem"]


def test_a_model_of_this_environment_is_sent_by_its_path(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon may run in another, wherever below the folder the model lies."""
    monkeypatch.setenv("UNDERPAINT_MODELS", str(tmp_path))
    file = write_safetensors(tmp_path / "sub" / "a.safetensors", SD1)
    assert settle_model("sub/a") == str(file)
    assert settle_model("a") == str(file)
    assert settle_model("sd") == "sd"
