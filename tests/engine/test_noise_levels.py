"""Every sampler works at the noise levels that its model was trained at."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from underpaint.engine import Engine
from underpaint.engine.noise_levels import levels_only
from underpaint.engine.samplers import Sampler
from underpaint_client.request import Request
from underpaint_client.samplers import SAMPLERS

CONFIG = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "steps_offset": 1,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}


@pytest.mark.parametrize("name", SAMPLERS)
def test_zero_terminal_snr_is_every_samplers(name: str) -> None:
    wanted = DDIMScheduler(**{**CONFIG, "clip_sample": False}).alphas_cumprod
    found = Sampler.make(name, CONFIG, 20).scheduler
    torch.testing.assert_close(found.alphas_cumprod, wanted, rtol=1e-3, atol=1e-6)
    assert found.alphas_cumprod[-1] < 1e-6
    assert found.config.prediction_type == "v_prediction"


@pytest.mark.parametrize("name", SAMPLERS)
def test_without_it_the_levels_stay(name: str) -> None:
    config = {**CONFIG, "rescale_betas_zero_snr": False}
    wanted = DDIMScheduler(**{**config, "clip_sample": False}).alphas_cumprod
    found = Sampler.make(name, config, 20).scheduler
    torch.testing.assert_close(found.alphas_cumprod, wanted, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_no_spacing_of_the_models_stands_in_the_way(name: str) -> None:
    """diffusers raises where two are asked for."""
    Sampler.make(name, levels_only({**CONFIG, "use_beta_sigmas": True}), 20)
    Sampler.make(name, levels_only({**CONFIG, "use_exponential_sigmas": True}), 20)


@pytest.fixture(scope="module")
def zero_snr(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zero") / "sd"
    shutil.copytree(models / "sd", folder)
    file = folder / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **CONFIG}))
    return folder


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine("cpu")


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_model_of_zero_snr_paints_with_every_sampler(
    engine: Engine, zero_snr: Path, name: str
) -> None:
    """A velocity is small where all is noise, so that the colours stay in range."""
    request = Request.of(
        prompt="a lake", model=str(zero_snr), seed=1, steps=8, sampler=name, width=64, height=64
    )
    (picture,) = engine.generate(request)
    colours = picture.pixels[..., :3].astype(np.float32)
    assert 5 < colours.mean() < 250
    assert colours.std() > 5
