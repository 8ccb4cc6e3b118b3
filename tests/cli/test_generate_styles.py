"""Styles on the command line: listed, added, chosen, and kept resolved in the picture."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from underpaint.cli import main
from underpaint.cli.pictures import read_recipe

USUAL = ("-W", "64", "-H", "64", "-S", "7", "-m", "sd")


@pytest.fixture
def folder(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of the user's styles, which is not there yet."""
    monkeypatch.chdir(tmp_path)
    folder = models.parent / "styles"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def add(name: str, **values: object) -> None:
    Path(f"{name}.json").write_text(json.dumps(values), encoding="utf-8")
    assert main(["styles", "add", f"{name}.json"]) == 0


def test_a_style_is_added_chosen_and_replayed_without_its_file(
    daemon: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add("Oil", prompt="{prompt}, oil", negative_prompt="fog", steps=3, guidance_scale=2)
    assert capsys.readouterr().out == f"{folder / 'Oil.json'}\n"
    assert main(["generate", "a lake", *USUAL, "--style", "oil", "-o", "a.png"]) == 0
    by_hand = ("--negative", "fog", "-s", "3", "-C", "2")
    assert main(["generate", "a lake, oil", *USUAL, *by_hand, "-o", "b.png"]) == 0
    assert main(["generate", "a lake", *USUAL, "--style", "oil", "-s", "4", "-o", "c.png"]) == 0
    pictures = [np.array(Image.open(f"{name}.png")) for name in "abc"]
    assert (pictures[0] == pictures[1]).all()
    assert (pictures[0] != pictures[2]).any()
    styled, plain, other = (read_recipe(Path(f"{name}.png")) for name in "abc")
    assert styled.request == plain.request
    assert (styled.facts.style, plain.facts.style) == ("oil", "")
    assert other.request.sampling.steps == 4
    shutil.rmtree(folder)
    capsys.readouterr()
    assert main(["replay", "a.png", "-o", "d.png"]) == 0
    assert "the picture is identical" in capsys.readouterr().err


def test_a_style_has_its_model_and_that_of_the_option_wins(
    daemon: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add("tiny", model="sd", steps=2)
    size = USUAL[:6]
    monkeypatch.setenv("UNDERPAINT_MODEL", "gone")
    assert main(["generate", "a lake", *size, "--style", "tiny", "-o", "a.png"]) == 0
    assert read_recipe(Path("a.png")).request.sampling.model == "sd"
    choice = ("--style", "tiny", "-m", "gone")
    assert main(["generate", "a lake", *size, *choice, "-o", "b.png"]) == 3


def test_the_list_names_what_is_wrong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add("good", prompt="a {prompt}", model="sd", sampler="ddim")
    add("lost", model="gone")
    add("inkless", loras=["none:0.5"])
    (folder / "bad.json").write_text('{"prompt": "oil"}')
    capsys.readouterr()
    assert main(["styles"]) == 0
    out, err = capsys.readouterr()
    assert "good" in out
    assert "model sd, sampler ddim" in out
    assert "style 'lost': model 'gone' is unknown" in err
    assert "style 'inkless': LoRA 'none' is unknown" in err
    assert "style 'bad': its prompt 'oil' has no {prompt}" in err
    assert main(["styles", "--json"]) == 0
    found = {one["name"]: one for one in map(json.loads, capsys.readouterr().out.splitlines())}
    assert found["good"]["problem"] == ""
    assert found["good"]["prompt"] == "a {prompt}"
    assert "has no {prompt}" in found["bad"]["problem"]


def test_bad_input(daemon: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, told in {
        ("generate", "a lake", *USUAL, "--style", "gone"): "style 'gone' is unknown",
        ("styles", "add", "missing.json"): "missing.json: No such file or directory",
        ("styles", "add"): "the following arguments are required: file",
    }.items():
        assert main(list(words)) == 2
        assert told in capsys.readouterr().err
