"""Models are told apart by what is in them, and changes are said."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from underpaint.cli import main
from underpaint.models import describe_model, hash_model, note_use


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

    request = Request.of(prompt="x", model="sd", steps=1, width=64, height=64, seed=1)
    assert next(iter(Engine("cpu").generate(request))).recipe.facts.notes == ()
    change(model / "unet" / "diffusion_pytorch_model.safetensors", keep_time=False)
    (picture,) = Engine("cpu").generate(request)
    assert "other weights than when it was last used" in picture.recipe.facts.notes[0]
    assert next(iter(Engine("cpu").generate(request))).recipe.facts.notes == ()


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
