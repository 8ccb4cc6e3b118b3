"""Inpainting models, which are shown what is kept beside the noisy latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from runs import make, texture, with_hole
from tiny_models import build_model
from underpaint.engine import Engine
from underpaint.engine.source import fraction

FAMILIES = ("sd", "sdxl")
SAMPLERS = ("dpmpp_2m", "k_euler_a", "k_heun", "lcm", "plms", "unipc")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Inpainting models of each family, by path."""
    folder: Path = tmp_path_factory.mktemp("inpainting")
    return {one: str(build_model(folder / one, one, inpainting=True)) for one in FAMILIES}


def watch(engine: Engine, model: str) -> list[torch.Tensor]:
    """Give the list that every input of the denoiser is put into."""
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
    grey = model.encode(np.full((64, 64, 3), 0.5, np.float32)).mean((0, 2, 3))
    for given in seen:
        assert given.shape == (2, 9, 8, 8)  # with guidance
        assert (given[:, 4] == hole).all()
        assert torch.equal(given[:, 5:], seen[0][:, 5:])
        assert torch.allclose(given[0, 5:, hole], grey[:, None])
    assert not torch.equal(seen[0][:, :4], seen[-1][:, :4])
    # Far from the hole, what is shown is the picture itself.
    whole = model.encode(fraction(layer[..., :3]))
    assert torch.allclose(seen[0][0, 5:, 7], whole[0, :, 7], atol=0.2 * whole.std().item())


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
    assert (seen[0][:, 4] == 1).all()
    assert (seen[0][:, 5:].std((2, 3)) == 0).all()


def test_half_erased_cells_are_hidden_and_barely_erased_ones_shown(
    folders: dict[str, str],
) -> None:
    engine, layer = Engine("cpu"), texture(64, 64)
    layer[:8, :, 3], layer[8:16, :, 3], layer[16:24, :, 3] = 0, 128, 250
    seen = watch(engine, folders["sd"])
    make(engine, layer, model=folders["sd"], strength=1.0, steps=8)
    # A change of 5 in 255 is none of 8 steps: such a cell ends as it was.
    assert [bool((seen[0][:, 4, row] == 1).all()) for row in range(4)] == [True, True, False, False]


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
