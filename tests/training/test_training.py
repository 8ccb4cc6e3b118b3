from __future__ import annotations

import contextlib
import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import nn

from training import config as config_module
from training.__main__ import train
from training.config import Config
from training.data import list_shards, open_shard, paint_shard, painters
from training.export import export_checkpoint
from training.holes import CELL, draw_holes
from training.loop import Loop, schedule
from training.pairs import BLANK, Encoded, Pairs
from training.unet import build_unet, is_plain, widen
from training.vae import build_vae
from underpaint.engine import Engine
from underpaint.models import describe_model
from underpaint_client import Request

CONFIGS = Path(config_module.__file__).parent / "configs"
TOY = Config.read(CONFIGS / "toy.toml")


@pytest.mark.parametrize("file", sorted(CONFIGS.glob("*.toml")), ids=lambda file: file.stem)
def test_configs_are_whole_and_fit_together(file: Path) -> None:
    config = Config.read(file)
    assert config.native % (2 ** (len(config.vae.channels) - 1)) == 0
    assert len(config.unet.attention) == len(config.unet.channels)
    assert all(channels % config.unet.head == 0 for channels in config.unet.channels)


def test_a_config_says_which_field_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    text = (CONFIGS / "toy.toml").read_text(encoding="utf-8")
    file.write_text(text.replace("crop = 32", 'crop = "wide"'), encoding="utf-8")
    with pytest.raises(msgspec.ValidationError, match=r"\$\.vae\.crop"):
        Config.read(file)


def test_shards_follow_from_seed_and_number(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        paint_shard(tmp_path / folder, 3, 9, 4, 64)
    first, second = (open_shard(tmp_path / folder, 3) for folder in ("one", "two"))
    np.testing.assert_array_equal(first.pictures, second.pictures)
    assert first.captions == second.captions
    assert list_shards(tmp_path / "one") == [3]
    paint_shard(tmp_path / "one", 4, 9, 4, 64)
    assert (open_shard(tmp_path / "one", 4).pictures != first.pictures).any()


def test_the_whole_way(tmp_path: Path, home: Path) -> None:
    folder = train(TOY, tmp_path, torch.device("cpu"), 6, processes=1)
    info = describe_model(folder)
    assert (info.family, info.native, info.cell) == ("sd", 64, 8)
    (picture,) = Engine("cpu").generate(Request.of(prompt="a lake", model=str(folder), steps=2))
    assert picture.pixels.shape == (64, 64, 4)
    assert np.ptp(picture.pixels[..., :3].astype(int)) > 0
    log = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in log if "error" in line] == ["text", "vae", "unet"]
    assert next(line["step"] for line in log if "validation" in line) == 0
    versions = json.loads((tmp_path / "versions.json").read_text())
    assert torch.__version__.startswith(versions["torch"])
    # Run again, it sees that nothing is left to do, and gives the same weights.
    weights = (folder / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()
    train(TOY, tmp_path, torch.device("cpu"), 6, processes=1)
    assert (folder / "unet" / "diffusion_pytorch_model.safetensors").read_bytes() == weights
    assert len((tmp_path / "losses.jsonl").read_text().splitlines()) == len(log)
    # From the last checkpoint comes the same model.
    export_checkpoint(tmp_path, tmp_path / "exported")
    for file in ("unet/diffusion_pytorch_model.safetensors", "underpaint.json"):
        assert (tmp_path / "exported" / file).read_bytes() == (folder / file).read_bytes()
    # Another run goes on from what is there: the autoencoder stays, the denoiser does not.
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "data").symlink_to(tmp_path / "data")
    other = train(TOY, tmp_path / "more", torch.device("cpu"), 2, 1, start=folder)
    file = "diffusion_pytorch_model.safetensors"
    assert (other / "vae" / file).read_bytes() == (folder / "vae" / file).read_bytes()
    assert (other / "unet" / file).read_bytes() != weights
    assert not any(str(tmp_path) in f.read_text() for f in other.glob("*/*.json"))


def test_what_is_shown_is_encoded_without_the_hole(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vae = build_vae(TOY)
    paint_shard(tmp_path / "data", 0, 9, 3, 64)
    pairs = Pairs(tmp_path, vae, 1, TOY)
    assert pairs.refresh()
    assert not pairs.refresh()
    pictures = open_shard(tmp_path / "data", 0).pictures
    found = Encoded.load(tmp_path / "pairs-1" / "00000.npz", ())
    assert found.erased.shape == (3, TOY.unet.holes, 1, 8, 8)
    for index, picture in enumerate(pictures):
        for hole, shown in zip(found.erased[index, :, 0], found.shown[index], strict=True):
            blanked = picture.copy()
            blanked[np.kron(hole, np.ones((CELL, CELL), bool))] = BLANK
            pixels = torch.from_numpy(blanked).permute(2, 0, 1)[None] / 127.5 - 1
            with torch.no_grad():
                wanted = vae.encode(pixels).latent_dist.mode()[0]
            np.testing.assert_allclose(shown, wanted, atol=2e-3)
    # Opened again, nothing is encoded, and samples belong together.
    again = Pairs(tmp_path, None, 1, TOY)
    assert not again.refresh()
    assert len(again) == 3
    batch = again.draw(np.random.default_rng(0), 5)
    for clean, shown, erased in zip(batch.clean, batch.shown, batch.erased, strict=True):
        index = [np.array_equal(clean, one) for one in found.clean].index(True)
        which = [np.array_equal(shown, one) for one in found.shown[index]].index(True)
        assert (erased.numpy() == found.erased[index, which]).all()


def test_pictures_are_taken_in_some_at_a_time(tmp_path: Path) -> None:
    vae = build_vae(TOY)
    pairs = Pairs(tmp_path, vae, 1, TOY)
    for number in range(3):
        paint_shard(tmp_path / "data", number, 9, 2, 64)
    counts = []
    while pairs.refresh(most=1):
        counts.append(len(pairs))
    assert counts == [2, 4, 6]


def test_no_process_paints_where_the_training_does(tmp_path: Path) -> None:
    with painters(tmp_path, seed=1, shards=2, count=1, size=64, processes=0) as paint:
        assert list_shards(tmp_path) == []
        assert [paint(), paint(), paint()] == [True, True, False]
        assert list_shards(tmp_path) == [0, 1]


@pytest.mark.parametrize(
    ("progress", "step", "hold", "rate"),
    [
        (0.0, 0, 0.7, 0.02),
        (0.0, 24, 0.7, 0.5),
        (0.01, 0, 0.7, 0.5),
        (0.0, 500, 0.7, 1.0),
        (0.69, 500, 0.7, 1.0),
        (0.85, 500, 0.7, 0.5),
        (1.0, 500, 0.7, 0.0),
        (0.51, 500, 0.0, 0.5),
    ],
)
def test_the_learning_rate_warms_up_stays_and_falls(
    progress: float, step: int, hold: float, rate: float
) -> None:
    assert schedule(progress, step, hold) == pytest.approx(rate, abs=1e-6)


def test_holes_are_of_all_sizes() -> None:
    holes = draw_holes(np.random.default_rng(0), 300, (32, 24), whole=0.3)
    assert holes.shape == (300, 1, 32, 24)
    shares = holes.mean((1, 2, 3))
    assert 0.2 < (shares == 1).mean() < 0.4
    part = shares[shares < 1]
    assert 0 < part.min() < 0.1 < 0.7 < part.max()
    assert not draw_holes(np.random.default_rng(0), 20, (8, 8), whole=0.0).all((1, 2, 3)).any()


def test_a_denoiser_that_is_shown_more_does_the_same_at_first() -> None:
    torch.manual_seed(0)
    wide = build_unet(TOY)
    narrow = UNet2DConditionModel.from_config({**wide.config, "in_channels": 4}).eval()
    assert is_plain(narrow)
    assert not is_plain(wide)
    opened = copy.deepcopy(narrow)
    widen(opened)
    assert opened.config.in_channels == wide.config.in_channels == 9
    latents, states = torch.randn(2, 4, 8, 8), torch.randn(2, 5, TOY.text.hidden)
    shown = torch.cat([latents, torch.randn(2, 5, 8, 8)], dim=1)
    with torch.no_grad():
        before = narrow(latents, 500, encoder_hidden_states=states).sample
        after = opened(shown, 500, encoder_hidden_states=states).sample
    torch.testing.assert_close(after, before)


def fit_a_line(folder: Path, seconds: float, stop: int | None = None) -> tuple[Loop, Any]:
    """Learn y = 3 x; break off after some steps if told to."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    line = nn.Linear(1, 1, bias=False)
    modules = nn.ModuleDict({"line": line})
    stage = replace(TOY.text, learning_rate=0.05)
    loop = Loop("line", folder, modules, stage, seconds, rng)

    def losses(progress: float) -> dict[str, torch.Tensor]:
        assert 0 <= progress < 1
        if loop.step == stop:
            raise KeyboardInterrupt
        x = torch.from_numpy(rng.standard_normal((8, 1)).astype(np.float32))
        return {"error": (line(x) - 3 * x).square().mean()}

    with contextlib.suppress(KeyboardInterrupt):
        loop.run(losses)
    return loop, line.weight.item()


def test_the_loop_learns_and_leaves_averaged_weights(tmp_path: Path) -> None:
    loop, weight = fit_a_line(tmp_path, 3)
    assert weight == pytest.approx(3, abs=0.1)
    assert weight == loop.averaged["line.weight"].item()
    assert loop.progress == 1


def test_a_loop_that_was_stopped_goes_on_as_if_it_had_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loop._SAVE_EVERY", 0.0)
    ages = 1e9  # so that the learning rate stays what it is
    _, straight = fit_a_line(tmp_path / "straight", ages, stop=60)
    first, halfway = fit_a_line(tmp_path / "broken", ages, stop=40)
    second, weight = fit_a_line(tmp_path / "broken", ages, stop=60)
    assert (first.step, second.step) == (40, 60)
    assert second.spent > first.spent
    assert weight == straight != halfway


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    line = nn.Linear(1, 1)
    modules = nn.ModuleDict({"line": line})
    loop = Loop("line", tmp_path, modules, TOY.text, 1, np.random.default_rng(0))
    with pytest.raises(FloatingPointError, match="line: loss nan in step 0"):
        loop.run(lambda _: {"error": line(torch.tensor([[float("nan")]])).sum()})
