"""Recipes from anywhere: what cannot be run again is said in a sentence."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, PngImagePlugin

from example_recipe import make_recipe
from underpaint.cli import main
from underpaint.cli.pictures import read_recipe
from underpaint.cli.replay import _compare
from underpaint_client.png_chunks import RECIPE_KEY, find_text

BIG = 10**400
HUGE = 10**4200
GOOD = make_recipe().to_dict()
OLD = json.loads(
    find_text(
        (Path(__file__).parent / "old_pictures" / "format-2-varied.png").read_bytes(), RECIPE_KEY
    )
    or ""
)
"""A recipe of format 2, of a variation."""
PLAIN = {**OLD, "variation_amount": 0.0}
NESTED = "[" * 100_000
COUNTS = ("width", "height", "seed", "steps", "images", "format")
OPTIONAL = ("width", "height", "seed")
"""Those of a request may be None; those of the facts are tried with other values."""


def find_paths(found: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield where there is something in nested objects."""
    for name, value in found.items():
        yield (*path, name)
        if isinstance(value, dict) and name != "versions":
            yield from find_paths(value, (*path, name))


PATHS = tuple(find_paths(GOOD))
GROUPS = {path[:-1] for path in PATHS}


def changed(found: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return nested objects with another value at one place."""
    first, *rest = path
    return {**found, first: changed(found[first], tuple(rest), value) if rest else value}


def write(folder: Path, text: str, colour: str = "black") -> Path:
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("underpaint", text)
    path = folder / "found.png"
    Image.new("RGB", (8, 8), colour).save(path, pnginfo=chunks)
    return path


@pytest.mark.parametrize(
    "found",
    [
        [], "text", 5, None, [GOOD], {}, {**GOOD, "format": [BIG]},
        *({**OLD, name: BIG} for name in OLD),
        *({**OLD, name: HUGE} for name in ("width", "height", "seed", "steps", "format")),
        *({**OLD, name: [BIG] * 2} for name in ("box", "work_size")),
        *({**OLD, name: None} for name in OLD if name != "box"),
        *({**OLD, name: {"a": []}} for name in OLD),
        {**OLD, "variations": [{"seed": BIG, "weight": BIG}]},
        {**PLAIN, "variations": [{"seed": BIG, "weight": 0.5}], "mode": "txt2img"},
        {**OLD, "notes": [BIG]},
        *(changed(GOOD, path, BIG) for path in PATHS),
        *(changed(GOOD, path, HUGE) for path in PATHS if path[-1] in COUNTS),
        *(changed(GOOD, path, None) for path in PATHS if path[-1] not in OPTIONAL),
        *(changed(GOOD, path, {"a": []}) for path in PATHS if path not in GROUPS),
        changed(GOOD, ("facts", "work_size"), [BIG] * 2),
        changed(GOOD, ("facts", "notes"), [BIG]),
        changed(GOOD, ("facts", "variations"), [{"seed": 1}]),
        changed(GOOD, ("request", "variation", "base"), [{"seed": BIG, "weight": 0.5}]),
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


@pytest.mark.skipif(sys.platform != "linux", reason="devices are files on POSIX")
@pytest.mark.parametrize("words", [["replay"], ["generate", "a lake", "-I"]])
def test_a_device_is_no_picture(
    home: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "/dev/zero"]) == 2
    assert "/dev/zero cannot be read: it is a device" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        ({"quantised": "fp8"}, {}, "; quantised was fp8 and is now none"),
        ({}, {"quantised": "int8"}, "; quantised was none and is now int8"),
        ({"quantised": "fp8"}, {"quantised": "fp8"}, ""),
    ],
)
def test_weights_that_were_stored_in_another_way_are_told(
    tmp_path: Path, then: dict[str, str], now: dict[str, str], told: str
) -> None:
    pictures = []
    for name, colour, versions in (("then", "red", then), ("now", "blue", now)):
        (tmp_path / name).mkdir()
        recipe = make_recipe(facts={"versions": versions}).to_dict()
        pictures.append(write(tmp_path / name, json.dumps(recipe), colour))
    before, after = pictures
    found = _compare(before, after, read_recipe(before))
    assert found == f"the picture differs in 100.0 % of its pixels, by up to 255{told}"
