"""Control layers on the command line: read from files, kept in the picture, replayed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from controlnet_files import write_controlnet
from runs import texture
from underpaint.cli import main
from underpaint.cli.pictures import read_recipe
from underpaint_client.control_layers import ControlLayer

USUAL = ("-m", "sd", "-S", "7", "-s", "2", "-f", "1")


@pytest.fixture
def canny(models: Path) -> Iterator[Path]:
    """A ControlNet `lllyasviel/control_canny`."""
    folder = models.parent / "controlnets"
    yield write_controlnet(folder / "lllyasviel" / "control_canny.safetensors", models / "sd")
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, seed in (("layer", 1), ("lines", 2), ("other", 3)):
        Image.fromarray(texture(64, 64, seed)).save(f"{name}.png")


def pixels_of(file: str) -> Any:
    with Image.open(file) as image:
        return np.array(image)


def test_control_layers_are_kept_in_the_picture_and_a_replay_is_identical(
    daemon: Path, models: Path, canny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ("generate", "a lake", *USUAL, "-I", "layer.png")
    assert main([*start, "-o", "plain.png"]) == 0
    held = ("--control", "canny=lines.png:0.5:0:0.5", "--control", "canny-of=layer.png")
    assert main([*start, *held, "-o", "a.png"]) == 0
    assert (pixels_of("a.png") != pixels_of("plain.png")).any()
    recipe = read_recipe(Path("a.png"))
    assert recipe.request.conditioning.controls == (
        ControlLayer("canny", 0.5, 0.0, 0.5),
        ControlLayer("canny", computed=True),
    )
    assert {one.model for one in recipe.facts.controls} == {"lllyasviel/control_canny"}
    assert {one.sha256 for one in recipe.facts.controls} == {
        hashlib.sha256(canny.read_bytes()).hexdigest()
    }
    replay = ("replay", "a.png", "-I", "layer.png")
    capsys.readouterr()
    both = ("--control", "lines.png", "--control", "layer.png")
    assert main([*replay, *both, "-o", "b.png"]) == 0
    assert "the picture is identical" in capsys.readouterr().err
    assert main([*replay, "--control", "lines.png", "-o", "c.png"]) == 2
    told = capsys.readouterr().err
    assert "2 control layers (canny, canny), and --control names 1; name the picture" in told
    write_controlnet(canny, models / "sd", 2)
    assert main([*replay, *both, "-o", "c.png"]) == 0
    told = capsys.readouterr().err
    assert "the ControlNet 'lllyasviel/control_canny' has changed since then" in told
    assert "it was held to other control layers, or by other ControlNets" in told


def test_a_new_picture_is_held_too(daemon: Path, canny: Path) -> None:
    start = ("generate", "a lake", *USUAL, "-W", "64", "-H", "32", "-o")
    assert main([*start, "plain.png"]) == 0
    assert main([*start, "held.png", "--control", "canny=lines.png"]) == 0
    assert (pixels_of("held.png") != pixels_of("plain.png")).any()


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        ("canny", 2, "--control 'canny' cannot be read; write KIND=FILE"),
        ("edges=lines.png", 2, "control layer 'edges' is unknown; choose one of lines, scribble"),
        ("canny=lines.png:3", 2, "strength 3.0 of the control layer canny is out of range"),
        ("canny=lines.png:1:0.5:0.2", 2, "canny starts at 0.5 and ends at 0.2"),
        ("depth-of=lines.png", 2, "depth cannot be computed from a picture"),
        ("canny=none.png", 2, "none.png cannot be read"),
        ("canny=small.png", 2, "small.png has 9 x 64 pixels and the picture of -I 64 x 64"),
        ("pose=lines.png", 3, "no ControlNet for pose fits the model 'sd'"),
    ],
)
def test_bad_input(
    daemon: Path, canny: Path, capsys: pytest.CaptureFixture[str], given: str, code: int, told: str
) -> None:
    Image.fromarray(texture(64, 9)).save("small.png")
    start = ("generate", "a lake", *USUAL, "-I", "layer.png", "-o", "a.png")
    assert main([*start, "--control", given]) == code
    assert told in capsys.readouterr().err
    assert not Path("a.png").exists()


def test_the_list_says_what_each_reads(
    models: Path, canny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (canny.parent / "broken.safetensors").write_bytes(b"no header")
    assert main(["controlnets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["name", "reads", "for", "on", "disk", "where"]
    assert lines[1].split()[:4] == ["lllyasviel/control_canny", "canny", "Stable", "Diffusion"]
    assert len(lines) == 2
    assert main(["controlnets", "--json", "--model", "sd"]) == 0
    broken, one = map(json.loads, capsys.readouterr().out.splitlines())
    assert (one["reads"], one["bases"], one["problem"]) == (["canny"], ["sd"], "")
    assert "broken.safetensors" in broken["problem"]
    (canny.parent / "broken.safetensors").unlink()
    assert main(["controlnets", "--model", "sdxl"]) == 0
    assert "none of 1 ControlNets fits sdxl" in capsys.readouterr().err
