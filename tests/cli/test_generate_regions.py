"""Regions on the command line: masks from files, kept in the picture, replayed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from runs import texture
from underpaint.cli import main
from underpaint.cli.generate import read_region_masks
from underpaint.cli.pictures import read_recipe
from underpaint.cli.terminal import make_display
from underpaint_client.regions import Region

USUAL = ("-m", "sd", "-S", "7", "-s", "2", "-f", "1")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(texture(64, 64, 1)).save("layer.png")
    for name, part in (("left", slice(0, 32)), ("right", slice(32, 64))):
        mask = texture(64, 64, 2)
        mask[..., 3] = 0
        mask[:, part, 3] = 255
        Image.fromarray(mask).save(f"{name}.png")


def pixels_of(file: str) -> Any:
    with Image.open(file) as image:
        return np.array(image)


def test_regions_are_kept_in_the_picture_and_a_replay_is_identical(
    daemon: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = ("generate", "a lake", *USUAL, "-I", "layer.png")
    assert main([*start, "-o", "plain.png"]) == 0
    given = ("--region", "left.png={snow}, (ice:1.2)", "--region", "right.png=autumn")
    assert main([*start, *given, "-o", "a.png"]) == 0
    assert (pixels_of("a.png") != pixels_of("plain.png")).any()
    recipe = read_recipe(Path("a.png"))
    assert recipe.request.conditioning.regions == (
        Region("snow, (ice:1.2)", "left"),
        Region("autumn", "right"),
    )
    assert [one.name for one in recipe.facts.regions] == ["left", "right"]
    replay = ("replay", "a.png", "-I", "layer.png")
    capsys.readouterr()
    assert main([*replay, "--region", "left.png", "--region", "right.png", "-o", "b.png"]) == 0
    assert "the picture is identical" in capsys.readouterr().err
    assert main([*replay, "--region", "right.png", "--region", "left.png", "-o", "c.png"]) == 0
    assert "it was made with other masks of its regions" in capsys.readouterr().err
    assert main([*replay, "--region", "left.png", "-o", "d.png"]) == 2
    told = capsys.readouterr().err
    assert "2 regions (left, right), and --region names 1; name the mask of each" in told
    settings = ("--settings-of", "a.png", "-o", "e.png")
    assert main(["generate", *settings]) == 0
    assert "its regions are not used" in capsys.readouterr().err


def test_a_new_picture_has_regions_of_any_size(daemon: Path) -> None:
    start = ("generate", "a lake", *USUAL, "-W", "64", "-H", "32", "-o")
    assert main([*start, "plain.png"]) == 0
    Image.new("L", (40, 90), 255).save("white.png")
    assert main([*start, "half.png", "--region", "left.png=snow"]) == 0
    assert main([*start, "whole.png", "--region", "white.png=snow"]) == 0
    assert main(["generate", "snow", *USUAL, "-W", "64", "-H", "32", "-o", "snow.png"]) == 0
    np.testing.assert_array_equal(pixels_of("whole.png"), pixels_of("snow.png"))
    for other in ("whole.png", "plain.png"):
        assert (pixels_of("half.png") != pixels_of(other)).any()


def test_a_mask_is_what_is_opaque_or_white_where_nothing_is_transparent() -> None:
    alpha = pixels_of("left.png")[..., 3]
    Image.fromarray(alpha).save("grey.png")
    found = read_region_masks([Path("left.png"), Path("grey.png")], None, make_display())
    assert list(found) == ["region_1", "region_2"]
    for frame in found.values():
        assert frame.channels == "Y"
        assert bytes(frame.data) == alpha.tobytes()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("left.png", "--region 'left.png' cannot be read; write FILE=PROMPT"),
        ("=snow", "--region '=snow' cannot be read; write FILE=PROMPT"),
        ("gone.png=snow", "gone.png"),
        ("small.png=snow", "small.png has 8 x 8 pixels and the picture of -I 64 x 64"),
        ("left.png=<lora:ink>", "the region 'left' has the LoRA 'ink'"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(
    daemon: Path, capsys: pytest.CaptureFixture[str], typed: str, said: str
) -> None:
    Image.fromarray(texture(8, 8)).save("small.png")
    assert main(["generate", "a lake", *USUAL, "-I", "layer.png", "--region", typed]) == 2
    assert said in capsys.readouterr().err
