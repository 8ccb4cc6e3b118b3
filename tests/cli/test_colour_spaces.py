"""Pictures in other colour spaces look the same afterwards where they were kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from colour_profiles import grey_profile, ink_profile, linear_profile, wide_profile
from underpaint.cli import main
from underpaint.cli.pictures import read_picture, read_selection
from underpaint.icc import srgb_profile, transform

rng = np.random.default_rng(4)


def looks(path: Path) -> Any:
    """Return a picture's colours as a screen shows them: sRGB, 0..1."""
    drawing = read_picture(path)
    full = np.iinfo(drawing.pixels.dtype).max
    colours = (drawing.pixels[..., :3] / full).astype(np.float32)
    return transform(colours, drawing.profile or srgb_profile(), srgb_profile(), np.float32)


def appearance(values: Any, profile: bytes, model: str) -> Any:
    return transform(values, profile, srgb_profile(), np.uint16, model=model) / 65535


def save(path: Path, values: Any, profile: bytes, mode: str | None = None) -> Path:
    Image.fromarray(values, mode).save(path, icc_profile=profile)
    return path


@pytest.mark.parametrize("gamma", [1.0, 1.8])
def test_greys_with_a_profile(tmp_path: Path, gamma: float) -> None:
    grey, profile = rng.integers(0, 256, (6, 9), dtype=np.uint8), grey_profile(gamma)
    drawing = read_picture(save(tmp_path / "in.png", grey, profile))
    assert drawing.pixels.dtype == np.uint16
    np.testing.assert_allclose(
        drawing.pixels[..., :3] / 65535, appearance(grey, profile, "gray"), atol=1 / 1000
    )
    assert (drawing.pixels[..., 3] == 65535).all()
    assert not drawing.profile
    assert drawing.notes == ("in.png: its colours were converted to sRGB by its colour profile",)


def test_deep_greys_with_alpha(tmp_path: Path) -> None:
    grey, profile = rng.integers(0, 256, (6, 9, 2), dtype=np.uint8), grey_profile(1.0)
    drawing = read_picture(save(tmp_path / "in.png", grey, profile, "LA"))
    np.testing.assert_array_equal(drawing.pixels[..., 3], grey[..., 1].astype(np.uint16) * 257)


def test_inks_with_a_profile(tmp_path: Path) -> None:
    inks, profile = rng.integers(0, 256, (6, 9, 4), dtype=np.uint8), ink_profile()
    drawing = read_picture(save(tmp_path / "in.tif", inks, profile, "CMYK"))
    np.testing.assert_allclose(
        drawing.pixels[..., :3] / 255, appearance(inks, profile, "cmyk"), atol=1 / 255
    )
    assert not drawing.profile
    assert drawing.notes == ("in.tif: its colours were converted to sRGB by its colour profile",)


def test_a_profile_that_is_damaged_converts_nothing(tmp_path: Path) -> None:
    inks = rng.integers(0, 256, (6, 9, 4), dtype=np.uint8)
    broken = ink_profile()[:140]
    drawing = read_picture(save(tmp_path / "in.tif", inks, broken, "CMYK"))
    assert any("without a colour profile" in note for note in drawing.notes)


def test_a_selection_is_numbers(tmp_path: Path) -> None:
    grey = rng.integers(0, 256, (6, 9), dtype=np.uint8)
    found = read_selection(save(tmp_path / "in.png", grey, grey_profile(1.0)))
    np.testing.assert_array_equal(found.amounts, grey)


def test_other_pictures_come_into_its_space(tmp_path: Path) -> None:
    colours = rng.integers(0, 256, (6, 9, 3), dtype=np.uint8)
    drawing = read_picture(save(tmp_path / "in.png", colours, linear_profile()))
    np.testing.assert_array_equal(drawing.pixels_in(linear_profile()), drawing.pixels)
    seen = drawing.pixels_in(b"")[..., :3] / 255
    np.testing.assert_allclose(seen, appearance(colours, linear_profile(), "rgb"), atol=1 / 255)
    assert (drawing.pixels_in(wide_profile())[..., 3] == 255).all()
    np.testing.assert_array_equal(drawing.pixels_in(b"broken"), drawing.pixels)


@pytest.mark.parametrize("kind", ["grey", "inks", "wide", "linear"])
def test_the_kept_half_looks_the_same(daemon: Path, tmp_path: Path, kind: str) -> None:
    smooth = (np.mgrid[:64, :64].sum(axis=0) * 2).astype(np.uint8)
    coloured = np.dstack([smooth, smooth.T[::-1], 255 - smooth])
    source = tmp_path / "in.png"
    if kind == "grey":
        save(source, smooth, grey_profile(1.0))
    elif kind == "inks":
        source = save(
            tmp_path / "in.tif", np.dstack([coloured, smooth // 4]), ink_profile(), "CMYK"
        )
    else:
        profiles = {"wide": wide_profile(), "linear": linear_profile()}
        save(source, coloured, profiles[kind])
    selection = np.zeros((64, 64), np.uint8)
    selection[:, 40:] = 255
    Image.fromarray(selection).save(tmp_path / "selection.png")
    words = ["generate", "a lake", "-m", "sd", "-S", "3", "-I", str(source), "-o"]
    out, chosen = str(tmp_path / "out.png"), ["--selection", str(tmp_path / "selection.png")]
    assert main([*words, out, *chosen]) == 0
    before, after = looks(source), looks(Path(out))
    assert abs(before - after)[:, :40].max() <= 1 / 1000
    assert abs(before - after)[:, 40:].max() > 10 / 255
