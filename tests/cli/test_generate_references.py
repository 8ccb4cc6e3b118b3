"""Reference layers on the command line: read from files, kept in the picture, replayed."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import UNet2DConditionModel
from PIL import Image

import ip_adapter_files as files
from runs import texture
from underpaint.cli import main
from underpaint.cli.pictures import read_recipe
from underpaint_client.reference_layers import ReferenceLayer

USUAL = ("-m", "sd", "-S", "7", "-s", "2", "-f", "1")


@pytest.fixture
def adapter(models: Path) -> Iterator[Path]:
    """An IP-Adapter `h94/plain`, and a CLIP vision model."""
    home = models.parent
    files.save_vision_model(home / "clip_vision" / "small")
    unet = UNet2DConditionModel.from_pretrained(models / "sd" / "unet")
    file = home / "ip_adapters" / "h94" / "plain.safetensors"
    yield files.save_ip_adapter(file, files.make_ip_adapter(unet))
    shutil.rmtree(home / "ip_adapters")
    shutil.rmtree(home / "clip_vision")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, size, seed in (("layer", 64, 1), ("monet", 30, 2), ("cat", 40, 3)):
        Image.fromarray(texture(64, size, seed)).save(f"{name}.png")


def pixels_of(file: str) -> Any:
    with Image.open(file) as image:
        return np.array(image)


def test_reference_layers_are_kept_in_the_picture_and_a_replay_is_identical(
    daemon: Path, models: Path, adapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ("generate", "a lake", *USUAL, "-I", "layer.png")
    assert main([*start, "-o", "plain.png"]) == 0
    taken = ("--reference", "style=monet.png:0.5:0:0.5", "--reference", "subject=cat.png")
    assert main([*start, *taken, "-o", "a.png"]) == 0
    assert (pixels_of("a.png") != pixels_of("plain.png")).any()
    recipe = read_recipe(Path("a.png"))
    assert recipe.request.conditioning.references == (
        ReferenceLayer("style", 0.5, 0.0, 0.5, name="monet"),
        ReferenceLayer("subject", name="cat"),
    )
    assert {one.model for one in recipe.facts.references} == {"h94/plain"}
    assert {one.sha256 for one in recipe.facts.references} == {
        hashlib.sha256(adapter.read_bytes()).hexdigest()
    }
    replay = ("replay", "a.png", "-I", "layer.png")
    capsys.readouterr()
    both = ("--reference", "monet.png", "--reference", "cat.png")
    assert main([*replay, *both, "-o", "b.png"]) == 0
    assert "the picture is identical" in capsys.readouterr().err
    assert main([*replay, "--reference", "monet.png", "-o", "c.png"]) == 2
    told = capsys.readouterr().err
    assert "2 reference layers (style, subject), and --reference names 1; name the picture" in told
    unet = UNet2DConditionModel.from_pretrained(models / "sd" / "unet")
    files.save_ip_adapter(adapter, files.make_ip_adapter(unet, 2))
    assert main([*replay, *both, "-o", "c.png"]) == 0
    told = capsys.readouterr().err
    assert "the IP-Adapter 'h94/plain' has changed since then" in told
    assert "it was made with other reference layers" in told


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        ("style", 2, "--reference 'style' cannot be read; write KIND=FILE"),
        ("mood=cat.png", 2, "reference layer 'mood' is unknown; choose one of style, composition"),
        ("style=cat.png:3", 2, "strength 3.0 of the reference layer style is out of range"),
        ("style=cat.png:1:0.5:0.2", 2, "style starts at 0.5 and ends at 0.2"),
        ("style=none.png", 2, "none.png cannot be read"),
        ("style=empty.png", 2, "the reference layer 1 (style) is empty"),
    ],
)
def test_bad_input(
    daemon: Path,
    adapter: Path,
    capsys: pytest.CaptureFixture[str],
    given: str,
    code: int,
    told: str,
) -> None:
    Image.fromarray(np.zeros((8, 8, 4), np.uint8)).save("empty.png")
    start = ("generate", "a lake", *USUAL, "-I", "layer.png", "-o", "a.png")
    assert main([*start, "--reference", given]) == code
    assert told in capsys.readouterr().err
    assert not Path("a.png").exists()


def test_a_missing_adapter_is_told_before_the_run(
    daemon: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ("generate", "a lake", *USUAL, "-I", "layer.png", "-o", "a.png")
    assert main([*start, "--reference", "style=cat.png"]) == 3
    assert "no IP-Adapter fits the model 'sd'" in capsys.readouterr().err


def test_the_list_says_what_reads_for_each(
    models: Path, adapter: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (adapter.parent / "broken.safetensors").write_bytes(b"no header")
    assert main(["ip-adapters"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split() == ["name", "for", "tokens", "reads", "by", "on", "disk", "where"]
    assert lines[1].split()[:3] == ["h94/plain", "4", "small/model"]
    assert len(lines) == 2
    assert "broken.safetensors" in err
    assert main(["ip-adapters", "--json", "--model", "sd"]) == 0
    broken, one = map(json.loads, capsys.readouterr().out.splitlines())
    assert (one["tokens"], one["reads"], one["problem"]) == (4, "projection", "")
    assert "broken.safetensors" in broken["problem"]
