"""LoRAs on the command line: named by option or prompt, kept in the picture, replayed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import lora_files
from underpaint.cli import main
from underpaint.cli.pictures import read_recipe
from underpaint_client.conditioning import LoraWeight
from underpaint_client.recipe import UsedLora

USUAL = ("-m", "sd", "-S", "7", "-s", "2", "-W", "64", "-H", "64")


def write_lora(file: Path, seed: int) -> Path:
    """Write a LoRA for the tiny model `sd`."""
    generator = torch.Generator().manual_seed(seed)
    down, up = (torch.randn(*shape, generator=generator) for shape in ((2, 4, 3, 3), (16, 2, 1, 1)))
    matrices = [lora_files.Matrices("unet", "conv_in", down, up, 2.0)]
    return lora_files.save(file, lora_files.kohya(matrices))


@pytest.fixture
def ink(models: Path) -> Iterator[Path]:
    """A LoRA `styles/ink`."""
    file = write_lora(models.parent / "loras" / "styles" / "ink.safetensors", 1)
    yield file
    shutil.rmtree(models.parent / "loras")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def pixels_of(file: str) -> Any:
    with Image.open(file) as image:
        return np.array(image)


def test_option_and_prompt_mean_the_same_and_a_replay_is_identical(
    daemon: Path, ink: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "a lake", *USUAL, "-o", "plain.png"]) == 0
    assert main(["generate", "a lake", *USUAL, "--lora", "ink:0.5", "-o", "a.png"]) == 0
    assert main(["generate", "a lake <lora:INK:0.5>", *USUAL, "-o", "b.png"]) == 0
    half = ("--lora", "styles/ink:0.25")
    assert main(["generate", "a lake", *USUAL, *half, *half, "-o", "c.png"]) == 0
    plain, by_option, by_prompt, twice = (pixels_of(f"{n}.png") for n in ("plain", *"abc"))
    assert (by_option != plain).any()
    np.testing.assert_array_equal(by_prompt, by_option)
    np.testing.assert_array_equal(twice, by_option)
    recipe = read_recipe(Path("a.png"))
    assert recipe.request.conditioning.loras == (LoraWeight("ink", 0.5),)
    data = ink.read_bytes()
    tensors = data[8 + int.from_bytes(data[:8], "little") :]
    hashes = [hashlib.sha256(one).hexdigest() for one in (data, tensors)]
    assert recipe.facts.loras == (UsedLora("styles/ink", hashes[0], 0.5, 0.5, hashes[1]),)
    with Image.open("a.png") as image:
        text = image.info["parameters"]
    assert text.startswith("a lake <lora:ink:0.5>\n")
    assert f'Lora hashes: "ink: {hashes[1][:12]}", ' in text
    for name in "ab":
        capsys.readouterr()
        assert main(["replay", f"{name}.png", "-o", f"{name}2.png"]) == 0
        assert "the picture is identical" in capsys.readouterr().err


def test_a_replay_says_that_a_lora_has_changed_or_is_gone(
    daemon: Path, ink: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", "a lake", *USUAL, "--lora", "ink", "-o", "a.png"]) == 0
    write_lora(ink, 2)
    capsys.readouterr()
    assert main(["replay", "a.png", "-o", "b.png"]) == 0
    told = capsys.readouterr().err
    assert "the LoRA 'styles/ink' has changed since then" in told
    assert "it was made with other LoRAs" in told
    ink.unlink()
    assert main(["replay", "a.png", "-o", "c.png"]) == 3
    assert "LoRA 'ink' is unknown" in capsys.readouterr().err
    assert not Path("c.png").exists()


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        ("none:0.5", 3, "LoRA 'none' is unknown"),
        ("ink:11", 2, "the strength 11.0 of the LoRA 'ink' is out of range"),
        (" ", 2, "--lora ' ' names no LoRA; write NAME or NAME:0.8"),
    ],
)
def test_bad_input(
    daemon: Path, ink: Path, capsys: pytest.CaptureFixture[str], given: str, code: int, told: str
) -> None:
    assert main(["generate", "a lake", *USUAL, "--lora", given, "-o", "a.png"]) == code
    assert told in capsys.readouterr().err
    assert not Path("a.png").exists()


def test_too_many_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    many = [word for n in range(17) for word in ("--lora", f"a{n}")]
    assert main(["generate", "a lake", *USUAL, *many]) == 2
    assert "loras has 17 entries; shorten it to 16 or fewer" in capsys.readouterr().err
