from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from training.card import draw_curves, format_row, read_curves, write_card
from training.evaluate import examples
from training.likeness import low_pass, patch_distance, seam
from training.measures import SIZE, compare_fills, erased, hole, psnr, ssim

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


def square() -> Any:
    gap = np.zeros((SIZE, SIZE), bool)
    gap[80:180, 60:170] = True
    return gap


def filled(picture: Any, what: Any) -> Any:
    return np.where(square()[..., np.newaxis], what, picture).astype(np.uint8)


def test_patches_in_another_order_are_alike_and_blurred_or_tinted_ones_are_not() -> None:
    gap, rng = square(), np.random.default_rng(0)
    truth = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    fills = {
        "moved": filled(truth, np.roll(truth, (16, 32), (0, 1))),
        "blurred": filled(truth, gaussian_filter(truth, (2, 2, 0))),
        "grey": filled(truth, 127),
    }
    found = {name: patch_distance([one], [truth], [gap]) for name, one in fills.items()}
    assert patch_distance([truth], [truth], [gap]) == 0
    assert 10 * found["moved"] < found["blurred"] < found["grey"]
    # Structural similarity sees it the other way round.
    assert ssim(fills["moved"], truth)[gap].mean() < ssim(fills["blurred"], truth)[gap].mean()


def test_a_seam_is_seen_and_a_smear_too() -> None:
    gap = square()
    truth = seam([FIRST], [gap])
    offset = filled(FIRST, np.clip(FIRST.astype(int) + 40, 0, 255))
    assert seam([offset], [gap]) > 1.2 * truth
    assert seam([filled(FIRST, gaussian_filter(FIRST, (6, 6, 0)))], [gap]) < truth
    # Of a picture that is the same everywhere, it is 1.
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    assert seam([noise], [gap]) == pytest.approx(1, abs=0.03)


def test_light_and_colour_are_measured_without_detail() -> None:
    rng = np.random.default_rng(0)
    flat = np.full((SIZE, SIZE, 3), 120, np.uint8)
    noisy = (flat + rng.integers(-40, 41, flat.shape)).astype(np.uint8)
    assert psnr(low_pass(noisy), low_pass(flat)) > psnr(noisy, flat) + 20
    assert psnr(low_pass(flat + 20), low_pass(flat)) == pytest.approx(psnr(flat + 20, flat))


def test_fills_are_measured_against_what_is_wanted() -> None:
    gap = square()
    fills = {"ours": [FIRST], "Telea": [filled(FIRST, FIRST.mean((0, 1)))]}
    scores = {s.name: s for s in compare_fills("a hole", fills, [FIRST], [gap], aims=True)}
    wanted = {name: score.met for name, score in scores.items() if score.aim}
    assert {name.partition(": ")[2] for name in wanted} == {
        "distance of patches, of Telea's",
        "seam",
        "PSNR of light and colour, dB",
    }
    assert wanted["a hole, ours: distance of patches, of Telea's"]
    assert scores["a hole, Telea: distance of patches, of Telea's"].value == 1
    assert scores["a hole, ours: SSIM in the hole"].value == pytest.approx(1)
    assert scores["a hole, ours: seam"].value == scores["a hole, the truth: seam"].value
    swapped = {"ours": fills["Telea"], "Telea": fills["Telea"]}
    scores = {s.name: s for s in compare_fills("a hole", swapped, [FIRST], [gap], aims=True)}
    assert not scores["a hole, ours: distance of patches, of Telea's"].met
    assert not any(score.aim for score in compare_fills("x", swapped, [FIRST], [gap], aims=False))


def test_the_card_is_written_from_what_was_recorded(tmp_path: Path) -> None:
    configs = Path(__file__).parents[2] / "daemon" / "training" / "configs"
    (tmp_path / "config.toml").write_bytes((configs / "toy.toml").read_bytes())
    steps = [("text", 1), ("vae", 1), ("vae", 2), ("vae", 3), ("vae", 2), ("unet", 5)]
    lines = [
        json.dumps({"stage": stage, "step": step, "seconds": 60.0 * step, "error": 1 / (n + 1)})
        for n, (stage, step) in enumerate(steps)
    ]
    held_out = {"stage": "unet", "step": 5, "seconds": 300.0, "validation": 0.4}
    lines.append(json.dumps(held_out))
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
    assert list(curves[2].errors) == [1 / 6]  # not the one that was measured on held-out pictures
    assert list(curves[1].errors) == [1 / 2, 1 / 5]  # of step 2, the one after it was resumed
    assert draw_curves(curves).size == (3 * 360, 200)
    card = write_card(tmp_path, tmp_path)
    assert "| beauty | 0.512 | more | **no** |" in card
    assert "| speed | 3 |  |  |" in card
    assert "on\nan abacus" in card
    assert "torch 9.9" in card
    assert format_row({**scores[0], "met": True}).endswith("| yes |")
