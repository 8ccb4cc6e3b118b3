"""Inpainting models, which are shown what is kept beside the noisy latents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    FluxFillPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionXLInpaintPipeline,
)
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from runs import make, make_all, texture, with_hole
from tiny_flow_models import build_flow_model
from tiny_models import build_model
from underpaint.engine import Engine
from underpaint.engine.families.flow import unpack
from underpaint.engine.flow_sampler import FLOW_SAMPLERS
from underpaint.engine.pixels import fraction
from underpaint_client.geometry import Extent

FAMILIES = ("sd", "sdxl", "flux")
STOCK: dict[str, Any] = {
    "sd": StableDiffusionInpaintPipeline,
    "sdxl": StableDiffusionXLInpaintPipeline,
    "flux": FluxFillPipeline,
}
_SAMPLERS = ("dpmpp_2m", "k_euler_a", "k_heun", "lcm", "plms", "unipc")
every_sampler = pytest.mark.parametrize(
    ("family", "sampler"),
    [(family, sampler) for family in ("sd", "sdxl") for sampler in _SAMPLERS]
    + [("flux", sampler) for sampler in FLOW_SAMPLERS],
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Inpainting models of each family, by path."""
    folder: Path = tmp_path_factory.mktemp("inpainting")
    found = {one: build_model(folder / one, one, inpainting=True) for one in ("sd", "sdxl")}
    found["flux"] = build_flow_model(folder / "flux", "fill")
    return {family: str(model) for family, model in found.items()}


@dataclass(frozen=True)
class Shown:
    """What a denoiser is given: tensors (B, C, h, w), for `hidden` a channel or one a pixel."""

    noisy: torch.Tensor
    hidden: torch.Tensor
    kept: torch.Tensor


def watch(engine: Engine, model: str) -> list[Shown]:
    """Return the list that every input of the denoiser is put into."""
    seen: list[Shown] = []

    def look(_: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        if given:
            seen.append(Shown(*given[0].clone().split([4, 1, 4], dim=1)))
            return
        tokens = named["hidden_states"].clone().split([64, 64, 256], dim=-1)
        rows, columns = (2 * int(one.max() + 1) for one in named["img_ids"].T[1:])
        noisy, kept, hidden = (unpack(one, Extent(columns, rows)) for one in tokens)
        seen.append(Shown(noisy, hidden, kept))

    engine.load(model).placed.denoiser.register_forward_pre_hook(look, with_kwargs=True)
    return seen


@every_sampler
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
    batch, channels, of_mask = SHAPES[family]
    for given in seen:
        assert given.noisy.shape == given.kept.shape == (batch, channels, 8, 8)
        assert given.hidden.shape == (batch, of_mask, 8, 8)
        assert (given.hidden == hole).all()
        assert torch.equal(given.kept, shown.expand(batch, -1, -1, -1))
    assert not torch.equal(seen[0].noisy, seen[-1].noisy)


SHAPES = {"sd": (2, 4, 1), "sdxl": (2, 4, 1), "flux": (1, 16, 64)}
"""Pictures that the denoiser is given at once (two with guidance), and channels of the latents and
of the mask."""


@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_is_shown_the_same_picture(
    folders: dict[str, str], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, layer = Engine("cpu"), with_hole(texture(64, 64))
    seen = watch(engine, folders[family])
    monkeypatch.setattr("underpaint.engine.painter.batch_size", lambda *_, **__: 3)
    make_all(engine, layer, model=folders[family], strength=1.0, steps=2, images=3)
    assert len(seen) == 2
    for given in seen:
        assert len(given.noisy) == 3 * SHAPES[family][0]
        assert torch.equal(given.kept, given.kept[:1].expand_as(given.kept))
        assert torch.equal(given.hidden, given.hidden[:1].expand_as(given.hidden))
        assert not torch.equal(given.noisy[0], given.noisy[1])


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
    kept = pixels * (hole < 0.5)
    if family == "flux":
        packed = stock.prepare_mask_latents(hole, kept, 1, 16, 1, 64, 64, dtype, device, None)
        hidden, latents = (unpack(one, Extent(8, 8)) for one in packed)
    else:
        hidden, latents = stock.prepare_mask_latents(
            hole, kept, 1, 64, 64, dtype, device, None, True
        )
        hidden, latents = (one[:1] for one in (hidden, latents))
    torch.testing.assert_close(seen[0].hidden[:1], hidden, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(seen[0].kept[:1], latents, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["sd", "flux"])
@pytest.mark.parametrize("strength", [0.3, 0.6, 1.0])
@pytest.mark.parametrize("side", [23, 40, 64, 100, 300])
def test_no_colour_of_a_hole_is_shown_whatever_its_size_for_the_model(
    folders: dict[str, str], side: int, strength: float, family: str
) -> None:
    engine, layer = Engine("cpu"), with_hole(texture(side, side))
    layer[side // 2, : side // 2, 3] = 100  # a soft line
    other = layer.copy()
    other[layer[..., 3] < 255, :3] = (255, 0, 0)
    model = folders[family]
    seen = watch(engine, model)
    for one in (layer, other):
        make(engine, one, model=model, strength=strength, steps=10, fill="underpaint")
    first, second = seen[0], seen[len(seen) // 2]
    assert torch.equal(first.kept, second.kept)
    assert torch.equal(first.hidden, second.hidden)
    assert 0 < first.hidden.mean() < 1
    assert first.kept[0].std() > 0.01


@pytest.mark.parametrize("family", ["sd", "flux"])
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
    folders: dict[str, str], layer: Any, how: dict[str, Any], family: str
) -> None:
    engine = Engine("cpu")
    seen = watch(engine, folders[family])
    make(engine, layer, model=folders[family], **how)
    grey = engine.load(folders[family]).encode(np.full((64, 64, 3), 0.5, np.float32))
    assert (seen[0].hidden == 1).all()
    assert torch.equal(seen[0].kept, grey.expand_as(seen[0].kept))


@pytest.mark.parametrize("family", ["sd", "flux"])
def test_half_erased_cells_are_hidden_and_barely_erased_ones_shown(
    folders: dict[str, str], family: str
) -> None:
    engine, layer = Engine("cpu"), texture(64, 64)
    layer[:8, :, 3], layer[8:16, :, 3], layer[16:24, :, 3] = 0, 128, 250
    seen = watch(engine, folders[family])
    make(engine, layer, model=folders[family], strength=1.0, steps=8)
    # A change of 5 in 255 is none of 8 steps: such a cell ends as it was.
    hidden = [bool((seen[0].hidden[:, :, row] == 1).all()) for row in range(4)]
    assert hidden == [True, True, False, False]
    blanked = fraction(layer[..., :3])
    blanked[:16] = 0.5
    shown = engine.load(folders[family]).encode(blanked)
    assert torch.equal(seen[0].kept[:1], shown)


@pytest.mark.parametrize("family", ["sd", "flux"])
def test_what_is_shown_is_encoded_once(folders: dict[str, str], family: str) -> None:
    engine, layer = Engine("cpu"), with_hole(texture(64, 64))
    encoded: list[torch.Tensor] = []
    engine.load(folders[family]).pipeline.vae.encoder.register_forward_pre_hook(
        lambda _, given: encoded.append(given[0])
    )
    for seed in (1, 2):
        make(engine, layer, model=folders[family], strength=0.6, seed=seed)
    assert len(encoded) == 2  # the picture, and the picture without the hole


@every_sampler
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
