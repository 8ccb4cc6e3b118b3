"""The mode edit on the command line: a picture is changed as the prompt says, and replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runs import texture
from tiny_flow_models import build_flow_model
from underpaint.cli import main
from underpaint.cli.pictures import read_recipe


@pytest.fixture
def klein(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, size, seed in (("layer", 64, 1), ("cat", 40, 3)):
        Image.fromarray(texture(64, size, seed)).save(f"{name}.png")
    return build_flow_model(tmp_path / "klein", "klein")


def pixels_of(file: str) -> Any:
    with Image.open(file) as image:
        return np.array(image)


def test_a_picture_is_edited_and_a_replay_is_identical(
    daemon: Path, klein: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usual = ("-m", str(klein), "-S", "7", "-s", "2", "-f", "1", "-I", "layer.png")
    assert main(["generate", "make it winter", *usual, "-o", "plain.png"]) == 0
    capsys.readouterr()
    told = ("put the <layer:cat> into it", *usual, "--mode", "edit")
    assert main(["generate", *told, "--reference", "subject=cat.png", "-o", "a.png"]) == 0
    assert "Edits 100 % of the layer as the prompt says, runs 2 of 2 steps" in (
        capsys.readouterr().err
    )
    assert (pixels_of("a.png") != pixels_of("plain.png")).any()
    recipe = read_recipe(Path("a.png"))
    assert recipe.request.mode == "edit"
    assert [one.name for one in recipe.facts.references] == ["cat"]
    again = ("replay", "a.png", "-m", str(klein), "--reference", "cat.png", "-o", "b.png")
    assert main([*again]) == 2
    assert "name that picture with -I" in capsys.readouterr().err
    assert main([*again, "-I", "layer.png"]) == 0
    assert "the picture is identical" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        (("a lake", "-m", "sd", "-I", "layer.png"), 2, "the mode edit needs a model that edits"),
        (("a lake", "-m", "klein"), 2, "the modes img2img, inpaint and edit need a picture"),
        (("a <layer:dog>", "-m", "klein", "-I", "layer.png"), 2, "no reference layer is called"),
        (("a lake", "-m", "klein", "-I", "empty.png"), 2, "there is nothing to edit"),
    ],
)
def test_bad_input(
    daemon: Path,
    klein: Path,
    capsys: pytest.CaptureFixture[str],
    given: tuple[str, ...],
    code: int,
    told: str,
) -> None:
    Image.fromarray(np.zeros((64, 64, 4), np.uint8)).save("empty.png")
    words = [str(klein) if word == "klein" else word for word in given]
    assert main(["generate", *words, "--mode", "edit", "-o", "a.png"]) == code
    assert told in capsys.readouterr().err
    assert not Path("a.png").exists()
