"""Folders of families that work by flow matching: what they must hold, and what suits them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from runs import texture
from tiny_flow_models import build_flow_model
from underpaint.engine import Engine
from underpaint.engine.inputs import Inputs
from underpaint.models import describe_model
from underpaint.models.families import FLOWS, find_flow_purpose, recommend
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.recommended import Recommended
from underpaint_client.request import Request


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_flow_model(tmp_path_factory.mktemp("flow") / "sd3", "sd3")


@pytest.fixture
def sd3(built: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(built, tmp_path / "sd3"))


def change(file: Path, **values: Any) -> None:
    found = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**found, **values}), encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "values", "said"),
    [
        ("model_index.json", {"vae": None}, "has no vae"),
        ("model_index.json", {"scheduler": ["diffusers", "DDIMScheduler"]}, "FlowMatchEuler"),
        ("model_index.json", {"tokenizer_3": ["transformers", "CLIPTokenizer"]}, "T5Tokenizer"),
        ("transformer/config.json", {"in_channels": 32}, "pos_embed.proj.weight"),
        ("vae/config.json", {"latent_channels": 8}, "encoder.conv_out.weight"),
        ("text_encoder_3/config.json", {"d_model": 128}, "shared.weight"),
        ("scheduler/scheduler_config.json", {"stochastic_sampling": True}, "stochastic_sampling"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 500}, "num_train_timesteps"),
        ("scheduler/scheduler_config.json", {"shift": "large"}, "shift 'large'"),
        ("scheduler/scheduler_config.json", {"shift_terminal": 1.0}, "shift_terminal"),
        ("tokenizer_3/tokenizer.json", {"model": {}}, "it has no vocabulary"),
        ("underpaint.json", {"steps": 0}, "steps is 0; give a whole number from 1 to 1000"),
        ("underpaint.json", {"guidance_scale": "high"}, "guidance_scale is high; give a number"),
        ("underpaint.json", {"native": 100}, "native '100' is not a multiple of 16"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(
    sd3: Path, file: str, values: dict[str, Any], said: str
) -> None:
    describe_model(sd3)
    change(sd3 / file, **values)
    with pytest.raises(ModelUnavailableError) as refused:
        describe_model(sd3)
    assert said in str(refused.value)


def test_parts_of_two_models_are_refused(sd3: Path) -> None:
    """Each agrees with its own config, and they do not with each other."""
    from tiny_flow_models import autoencoder

    shutil.rmtree(sd3 / "vae")
    autoencoder(latent_channels=8).save_pretrained(sd3 / "vae")
    with pytest.raises(ModelUnavailableError, match="takes 16 channels.*its vae has 8"):
        describe_model(sd3)


def test_a_model_without_its_longest_encoder_paints(sd3: Path) -> None:
    for part in ("text_encoder_3", "tokenizer_3"):
        shutil.rmtree(sd3 / part)
        change(sd3 / "model_index.json", **{part: [None, None]})
    request = Request.of(prompt="word " * 60, model=str(sd3), seed=1, steps=2)
    (result,) = Engine("cpu").generate(request, Inputs(texture(64, 64)))
    assert any("the model reads the first 75" in note for note in result.recipe.facts.notes)


def test_partial_change_in_few_steps_is_said(sd3: Path) -> None:
    layer = texture(64, 64)
    layer[:, :32, 3] = 0
    layer[:, 32:, 3] = 170
    engine, request = Engine("cpu"), Request.of(model=str(sd3), seed=1, steps=4, strength=0.8)
    (result,) = engine.generate(request, Inputs(layer))
    assert not any("levels" in note for note in result.recipe.facts.notes)
    change(sd3 / "underpaint.json", steps=4)
    (result,) = engine.generate(request, Inputs(layer))
    assert (
        "the model runs 3 steps, so partial change comes in 3 levels" in result.recipe.facts.notes
    )


@pytest.mark.parametrize(
    ("folder", "family", "index", "transformer", "steps", "guidance_scale"),
    [
        ("anything", "flux", {}, {"guidance_embeds": True}, 28, 3.5),
        ("anything", "flux", {}, {"guidance_embeds": False}, 4, 1.0),
        ("anything", "flux", {}, {"guidance_embeds": True, "in_channels": 384}, 28, 30.0),
        ("FLUX.1-schnell-dev-merge", "flux", {}, {"guidance_embeds": True}, 28, 3.5),
        ("anything", "flux2-klein", {"is_distilled": True}, {}, 4, 1.0),
        ("anything", "flux2-klein", {"is_distilled": False}, {}, 24, 5.0),
        ("Krea-2", "krea2", {}, {}, 28, 4.5),
        ("Krea-2-Turbo", "krea2", {"is_distilled": True}, {}, 8, 1.0),
        ("Z-Image", "z-image", {}, {}, 28, 4.0),
        ("Z-Image-Turbo", "z-image", {}, {}, 8, 1.0),
        ("models--a--Z-Image-Turbo/snapshots/0123", "z-image", {}, {}, 8, 1.0),
        ("sd3.5-large-turbo", "sd3", {}, {}, 4, 1.0),
        ("sdxl", "sdxl", {}, {}, 20, 7.5),
        ("sdxl-lightning-4step", "sdxl", {}, {}, 8, 1.0),
    ],
)
def test_steps_and_guidance_suit_the_model(
    tmp_path: Path,
    folder: str,
    family: str,
    index: dict[str, Any],
    transformer: dict[str, Any],
    steps: int,
    guidance_scale: float,
) -> None:
    configs = {"transformer": {"in_channels": 64, **transformer}, "vae": {"latent_channels": 16}}
    purpose = find_flow_purpose(FLOWS[family], configs, "") if family == "flux" else "plain"
    found = recommend(tmp_path / "models" / folder, family, index, configs, purpose)
    assert (found.steps, found.guidance_scale) == (steps, guidance_scale)
    assert found.few_steps == (steps <= 8)
    assert found.sampler == ("k_euler" if family in FLOWS else "dpmpp_2m")


def test_what_the_model_says_of_itself_comes_first(sd3: Path) -> None:
    assert describe_model(sd3).recommended == Recommended(28, 4.5, "k_euler")
    change(sd3 / "underpaint.json", steps=6, guidance_scale=1.5, sampler="dpmpp_2m")
    info = describe_model(sd3)
    assert (info.recommended.steps, info.recommended.guidance_scale) == (6, 1.5)
    assert info.recommended.sampler == "dpmpp_2m"
    assert info.native == 64
