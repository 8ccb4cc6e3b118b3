"""`underpaint control`: the picture of a control layer as a file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import preprocessor_files as files
from runs import texture
from underpaint.cli import main
from underpaint.cli.pictures import read_recipe
from underpaint_client.control_layers import ControlPicture

LAYER = texture(48, 64)


@pytest.fixture
def folder(models: Path) -> Iterator[Path]:
    """The folder of preprocessors; what a test puts there is gone after it."""
    folder = models.parent / "preprocessors"
    folder.mkdir(exist_ok=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(LAYER).save("layer.png")


def pixels_of(file: str) -> Any:
    with Image.open(file) as image:
        return np.array(image.convert("RGB"))


def test_edges_are_written_and_a_replay_is_identical(
    daemon: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["control", "canny", "layer.png", "edges.png"]) == 0
    told = capsys.readouterr()
    assert told.out == "edges.png\n"
    assert "seed" not in told.err
    expected = cv2.Canny(np.ascontiguousarray(LAYER[..., :3]), 100, 200)
    assert (pixels_of("edges.png") == expected[..., np.newaxis]).all()
    assert read_recipe(Path("edges.png")).request.control_picture == ControlPicture("canny")
    with Image.open("edges.png") as image:
        assert list(image.info) == ["underpaint"]
    assert main(["generate", "--settings-of", "edges.png"]) == 2
    assert "edges.png has no settings of Underpaint" in capsys.readouterr().err
    assert main(["replay", "edges.png", "-I", "layer.png", "-o", "again.png"]) == 0
    assert "the picture is identical" in capsys.readouterr().err
    assert main(["replay", "edges.png", "-o", "b.png"]) == 2
    assert "edges.png was made from another picture; name that" in capsys.readouterr().err
    assert main(["control", "canny", "layer.png"]) == 0
    assert Path("layer-canny-0001.png").exists()
    assert main(["control", "canny", "layer.png", "edges.png"]) == 2
    assert "output edges.png exists" in capsys.readouterr().err


def test_a_preprocessor_of_the_home_computes_it_in_the_worker(
    daemon: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["control", "depth", "layer.png", "depth.png"]) == 3
    assert "no model here computes depth; put the folder of a depth model" in (
        capsys.readouterr().err
    )
    files.write_dpt(folder / "dpt")
    assert main(["control", "depth", "layer.png", "depth.png", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["recipe"]["request"]["control_picture"] == {"kind": "depth", "model": "dpt"}
    depth = pixels_of("depth.png")
    assert (depth.min(), depth.max()) == (0, 255)
    assert main(["control", "depth", "layer.png", "x.png", "--preprocessor", "zoe"]) == 3
    assert "preprocessor 'zoe' is unknown" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tile", "layer.png"], "invalid choice: 'tile'"),
        (["canny"], "the following arguments are required: picture"),
        (["canny", "none.png"], "none.png cannot be read"),
    ],
)
def test_bad_words_are_told(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["control", *words]) == 2
    assert told in capsys.readouterr().err


def test_the_list_says_what_each_computes(
    models: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["preprocessors"]) == 0
    assert f"no preprocessors yet; put them into {folder}" in capsys.readouterr().err
    files.write_dpt(folder / "depth" / "dpt")
    files.write_detector(folder / "rt-detr")
    files.write_edges(folder / "edges.onnx")
    files.write_segformer(folder / "cityscapes", classes=19)
    assert main(["preprocessors"]) == 0
    told = capsys.readouterr()
    rows = [line.split("  ") for line in told.out.splitlines()[1:]]
    assert [[cell.strip() for cell in row if cell.strip()][:2] for row in rows] == [
        ["depth/dpt", "depth, normal"],
        ["edges", "lines, scribble"],
        ["rt-detr", "finds people, for pose"],
    ]
    assert "cityscapes" in told.err
    assert "19 classes" in told.err
