from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from training.card import draw_curves, format_row, read_curves, write_card
from training.evaluate import SIZE, erased, examples, hole, psnr, ssim

FIRST, SECOND = (example.picture for example in examples(2))


def test_psnr() -> None:
    assert psnr(FIRST, FIRST) > 100
    off = np.full((4, 4, 3), 100, np.uint8)
    assert psnr(off, off + 16) == pytest.approx(20 * np.log10(255 / 16))


def test_ssim_tells_alike_from_blurred_from_other() -> None:
    blurred = gaussian_filter(FIRST, (3, 3, 0))
    same, worse, other = (ssim(FIRST, one).mean() for one in (FIRST, blurred, SECOND))
    assert same == pytest.approx(1)
    assert 0.9 > worse > other
    assert ssim(FIRST, SECOND) == pytest.approx(ssim(SECOND, FIRST))


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_holes_are_as_large_as_asked_and_in_one_piece(share: float) -> None:
    from scipy.ndimage import label

    gap = hole(share, np.random.default_rng(4))
    assert gap.mean() == pytest.approx(share, abs=0.001)
    pieces, count = label(gap)
    assert np.bincount(pieces.ravel())[1:].max() > 0.9 * gap.sum(), count
    layer = erased(FIRST, gap)
    assert (layer[..., :3] == FIRST).all()
    assert ((layer[..., 3] == 0) == gap).all()
    assert layer.shape == (SIZE, SIZE, 4)


def test_the_card_is_written_from_what_was_recorded(tmp_path: Path) -> None:
    configs = Path(__file__).parents[2] / "daemon" / "training" / "configs"
    (tmp_path / "config.toml").write_bytes((configs / "toy.toml").read_bytes())
    steps = [("text", 1), ("vae", 1), ("vae", 2), ("vae", 3), ("vae", 2), ("unet", 5)]
    lines = [
        json.dumps({"stage": stage, "step": step, "seconds": 60.0 * step, "error": 1 / (n + 1)})
        for n, (stage, step) in enumerate(steps)
    ]
    (tmp_path / "losses.jsonl").write_text("\n".join(lines))
    (tmp_path / "versions.json").write_text('{"torch": "9.9", "device": "an abacus"}')
    scores: list[dict[str, Any]] = [
        {"name": "beauty", "value": 0.51234, "aim": "more", "met": False},
        {"name": "speed", "value": 3, "aim": "", "met": True},
    ]
    (tmp_path / "scores.json").write_text(json.dumps(scores))
    curves = read_curves(tmp_path / "losses.jsonl")
    assert [curve.stage for curve in curves] == ["text", "vae", "unet"]
    assert list(curves[1].minutes) == [1, 2]
    assert list(curves[1].errors) == [1 / 2, 1 / 5]  # of step 2, the one after it was resumed
    assert draw_curves(curves).size == (3 * 360, 200)
    card = write_card(tmp_path, tmp_path)
    assert "| beauty | 0.512 | more | **no** |" in card
    assert "| speed | 3 |  |  |" in card
    assert "on\nan abacus" in card
    assert "torch 9.9" in card
    assert format_row({**scores[0], "met": True}).endswith("| yes |")
