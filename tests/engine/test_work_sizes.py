"""The sides that models work at: multiples of what each family takes, whatever is selected."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from runs import make, texture
from tiny_models import build_model
from underpaint.engine import Engine
from underpaint.engine.plan import MULTIPLE
from underpaint.models.architectures import ARCHITECTURES, CONFIGS
from underpaint.models.families import FLOWS

LEVELS = {"sd": 4, "sdxl": 3}
"""How many levels the UNets have that users have: each but the first halves the latents."""

SIZES = ((8, 8), (16, 16), (17, 300), (40, 72), (72, 40), (100, 65), (130, 64), (136, 24))


@pytest.mark.parametrize("family", FLOWS)
def test_a_side_is_whole_tokens_of_the_family(family: str) -> None:
    folders = {one.configs for one in ARCHITECTURES if one.family == family}
    assert folders
    for folder in folders:
        vae, transformer = (
            json.loads((CONFIGS / folder / part / "config.json").read_text(encoding="utf-8"))
            for part in ("vae", "transformer")
        )
        downsampled = vae.get("temperal_downsample") or vae["block_out_channels"][1:]
        cell = 2 ** len(downsampled)
        (patch,) = transformer.get("all_patch_size", [transformer.get("patch_size", 1)])
        token = cell * max(patch, math.isqrt(FLOWS[family].tokens_patch))
        assert FLOWS[family].multiple % token == 0, (folder, token)
        assert FLOWS[family].cell == cell


@pytest.fixture(scope="module", params=LEVELS)
def deep(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model whose UNet has as many levels as real ones, in the order of its family."""
    from diffusers import UNet2DConditionModel

    family, levels = request.param, LEVELS[request.param]
    model = build_model(tmp_path_factory.mktemp("deep") / family, family)
    config = json.loads((model / "unet" / "config.json").read_text(encoding="utf-8"))
    attends = [family == "sd"] + [True] * (levels - 1)
    if family == "sd":
        attends[-1] = False
    down = ["CrossAttnDownBlock2D" if one else "DownBlock2D" for one in attends]
    up = ["CrossAttnUpBlock2D" if one else "UpBlock2D" for one in reversed(attends)]
    changes: dict[str, Any] = {
        "down_block_types": down, "up_block_types": up,
        "block_out_channels": [16] * (levels - 1) + [32],
    }  # fmt: skip
    if family == "sdxl":
        changes["transformer_layers_per_block"] = [1] * levels
    UNet2DConditionModel.from_config({**config, **changes}).save_pretrained(model / "unet")
    return str(model)


def test_any_work_area_is_painted_by_a_unet_of_real_depth(deep: str) -> None:
    engine = Engine("cpu")
    for width, height in SIZES:
        layer = texture(height, width)
        layer[:, width // 2 :, 3] = 0
        result = make(engine, layer, model=deep, steps=2)
        assert result.pixels.shape == (height, width, 4)
        kept = width // 2
        np.testing.assert_array_equal(result.pixels[:, :kept], layer[:, :kept])
        assert not np.array_equal(result.pixels[:, kept:, :3], layer[:, kept:, :3])
        assert not any(side % MULTIPLE for side in result.recipe.facts.work_size)
