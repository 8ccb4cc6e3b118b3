"""Recipes from anywhere: what cannot be run again is said in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from example_recipe import make_recipe
from underpaint.cli import main

BIG = 10**400
HUGE = 10**4200
GOOD = make_recipe().to_dict()
NESTED = "[" * 100_000


def write(folder: Path, text: str) -> Path:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("underpaint", text)
    path = folder / "found.png"
    Image.new("RGB", (8, 8)).save(path, pnginfo=chunks)
    return path


@pytest.mark.parametrize(
    "found",
    [
        [], "text", 5, None, [GOOD], {}, {**GOOD, "format": [BIG]},
        *({**GOOD, name: BIG} for name in GOOD),
        *({**GOOD, name: HUGE} for name in ("width", "height", "seed", "steps", "format")),
        *({**GOOD, name: [BIG] * 2} for name in ("box", "work_size")),
        *({**GOOD, name: None} for name in GOOD if name != "box"),
        *({**GOOD, name: {"a": []}} for name in GOOD),
        {**GOOD, "variations": [{"seed": BIG, "weight": BIG}]},
        {**GOOD, "variations": [{"seed": BIG, "weight": 0.5}], "mode": "txt2img"},
        {**GOOD, "notes": [BIG]},
    ],
    ids=lambda found: str(found)[:0],
)  # fmt: skip
def test_recipes_that_cannot_be_run(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], found: Any
) -> None:
    path = write(tmp_path, json.dumps(found))
    assert main(["replay", str(path)]) == 2
    told = capsys.readouterr().err
    assert str(path) in told
    assert len(told) < 1000
    assert not (home / "daemon.lock").exists()


@pytest.mark.parametrize(
    "text", ["", "{", NESTED, '{"format": 1' + "0" * 5000 + "}", '{"seed": NaN}']
)
def test_recipes_that_are_none(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = write(tmp_path, text)
    assert main(["replay", str(path)]) == 2
    assert f"the recipe in {path} cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("length", [8, 60, 0.5, -20])
def test_a_picture_that_is_cut_short(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], length: float
) -> None:
    path = tmp_path / "found.png"
    Image.effect_noise((64, 64), 90).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(length * len(whole)) if isinstance(length, float) else length])
    assert main(["replay", str(path)]) == 2
    told = capsys.readouterr().err
    assert str(path) in told
    assert "cannot be printed" not in told
