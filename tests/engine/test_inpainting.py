"""Inpainting models, which are shown what is kept beside the noisy latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline, StableDiffusionXLInpaintPipeline
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from runs import make, texture, with_hole
from tiny_models import build_model
from underpaint.engine import Engine
from underpaint.engine.source import fraction

FAMILIES = ("sd", "sdxl")
STOCK: dict[str, Any] = {
    "sd": StableDiffusionInpaintPipeline,
    "sdxl": StableDiffusionXLInpaintPipeline,
}
SAMPLERS = ("dpmpp_2m", "k_euler_a", "k_heun", "lcm", "plms", "unipc")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Inpainting models of each family, by path."""
    folder: Path = tmp_path_factory.mktemp("inpainting")
    return {one: str(build_model(folder / one, one, inpainting=True)) for one in FAMILIES}


def watch(engine: Engine, model: str) -> list[torch.Tensor]:
    """Return the list that every input of the denoiser is put into."""
    seen: list[torch.Tensor] = []
    engine.load(model).pipeline.unet.register_forward_pre_hook(
        lambda _, given: seen.append(given[0].clone())
    )
    return seen


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_kept_is_shown_clean_and_stays(
    folders: dict[str, str], family: str, sampler: str
) -> None:
    engine, layer = Engine("cpu"), with_hole(texture(64, 64))
    seen = watch(engine, folders[family])
    result = make(engine, layer, model=folders[family], strength=1.0, sampler=sampler, steps=4)
    kept = layer[..., 3] == 255
    np.testing.assert_array_equal(result.pixels[kept], layer[kept])
    assert (result.pixels[~kept] != layer[~kept]).any()
    hole = torch.zeros(8, 8, dtype=torch.bool)
    hole[2:4, 2:4] = True
    model = engine.load(folders[family])
    blanked = fraction(layer[..., :3])
    blanked[~kept] = 0.5
    shown = model.encode(blanked)
    for given in seen:
        assert given.shape == (2, 9, 8, 8)  # with guidance
        assert (given[:, 4] == hole).all()
        assert torch.equal(given[:, 5:], shown.expand(2, -1, -1, -1))
    assert not torch.equal(seen[0][:, :4], seen[-1][:, :4])


@pytest.mark.parametrize("strength", [0.6, 1.0])
@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_shown_is_what_diffusers_own_inpainting_pipeline_shows(
    folders: dict[str, str], family: str, strength: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, layer = Engine("cpu"), with_hole(texture(64, 64))
    seen = watch(engine, folders[family])
    make(engine, layer, model=folders[family], strength=strength)
    # It draws a sample from the encoding, where the engine takes the mode.
    monkeypatch.setattr(
        DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode()
    )
    stock = STOCK[family].from_pipe(engine.load(folders[family]).pipeline)
    mask = (layer[..., 3] < 255).astype(np.float32)
    pixels = torch.from_numpy(layer[..., :3].astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    hole = torch.from_numpy(mask)[None, None]
    dtype, device = torch.float32, torch.device("cpu")
    found = stock.prepare_mask_latents(
        hole, pixels * (hole < 0.5), 1, 64, 64, dtype, device, None, True
    )
    torch.testing.assert_close(seen[0][:, 4:], torch.cat(found, dim=1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("side", [23, 40, 64, 100, 300])
def test_no_colour_of_a_hole_is_shown_whatever_its_size_for_the_model(
    folders: dict[str, str], side: int, strength: float
) -> None:
    engine, layer = Engine("cpu"), with_hole(texture(side, side))
    layer[side // 2, : side // 2, 3] = 100  # a soft line
    other = layer.copy()
    other[layer[..., 3] < 255, :3] = (255, 0, 0)
    seen = watch(engine, folders["sd"])
    for one in (layer, other):
        make(engine, one, model=folders["sd"], strength=strength, steps=10, fill="underpaint")
    first, second = seen[0], seen[len(seen) // 2]
    assert torch.equal(first[:, 4:], second[:, 4:])
    assert 0 < first[:, 4].mean() < 1
    assert first[0, 5:].std() > 0.01


@pytest.mark.parametrize(
    ("layer", "how"),
    [
        (None, {"width": 64, "height": 64}),
        (texture(64, 64), {"mode": "img2img"}),
        (with_hole(texture(64, 64), 200), {"mode": "img2img"}),
    ],
    ids=["from nothing", "img2img", "img2img of a layer with a hole"],
)
def test_where_all_may_change_nothing_is_shown(
    folders: dict[str, str], layer: Any, how: dict[str, Any]
) -> None:
    engine = Engine("cpu")
    seen = watch(engine, folders["sd"])
    make(engine, layer, model=folders["sd"], **how)
    grey = engine.load(folders["sd"]).encode(np.full((64, 64, 3), 0.5, np.float32))
    assert (seen[0][:, 4] == 1).all()
    assert torch.equal(seen[0][:, 5:], grey.expand(2, -1, -1, -1))


def test_half_erased_cells_are_hidden_and_barely_erased_ones_shown(
    folders: dict[str, str],
) -> None:
    engine, layer = Engine("cpu"), texture(64, 64)
    layer[:8, :, 3], layer[8:16, :, 3], layer[16:24, :, 3] = 0, 128, 250
    seen = watch(engine, folders["sd"])
    make(engine, layer, model=folders["sd"], strength=1.0, steps=8)
    # A change of 5 in 255 is none of 8 steps: such a cell ends as it was.
    assert [bool((seen[0][:, 4, row] == 1).all()) for row in range(4)] == [True, True, False, False]
    blanked = fraction(layer[..., :3])
    blanked[:16] = 0.5
    shown = engine.load(folders["sd"]).encode(blanked)
    assert torch.equal(seen[0][:1, 5:], shown)


def test_what_is_shown_is_encoded_once(folders: dict[str, str]) -> None:
    engine, layer = Engine("cpu"), with_hole(texture(64, 64))
    encoded: list[torch.Tensor] = []
    engine.load(folders["sd"]).pipeline.vae.encoder.register_forward_pre_hook(
        lambda _, given: encoded.append(given[0])
    )
    for seed in (1, 2):
        make(engine, layer, model=folders["sd"], strength=0.6, seed=seed)
    assert len(encoded) == 2  # the picture, and the picture without the hole


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_uniform_alpha_is_strength(folders: dict[str, str], family: str, sampler: str) -> None:
    engine, half, erased = Engine("cpu"), texture(64, 64), texture(64, 64)
    half[..., 3], erased[..., 3] = 128, 0
    same = {"sampler": sampler, "model": folders[family], "steps": 10}
    whole = make(engine, half, strength=1.0, **same)
    halved = make(engine, erased, strength=0.5, **same)
    np.testing.assert_array_equal(whole.pixels, halved.pixels)


@pytest.mark.parametrize("family", FAMILIES)
def test_full_change_ignores_the_hidden_colour(folders: dict[str, str], family: str) -> None:
    engine, layer = Engine("cpu"), with_hole(texture(64, 64))
    other = layer.copy()
    other[16:32, 16:32, :3] = (255, 0, 0)
    results = [make(engine, one, strength=1.0, model=folders[family]) for one in (layer, other)]
    np.testing.assert_array_equal(results[0].pixels, results[1].pixels)
