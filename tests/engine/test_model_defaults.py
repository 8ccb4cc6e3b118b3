"""The sampler that a model's folder recommends."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from runs import make, texture
from tiny_models import build_model
from underpaint.engine import Engine
from underpaint.models import describe_model
from underpaint_client.errors import ModelUnavailableError


def recommend(folder: Path, sampler: str) -> None:
    (folder / "underpaint.json").write_text(json.dumps({"sampler": sampler}), encoding="utf-8")


def test_auto_is_what_the_folder_recommends(tmp_path: Path) -> None:
    model, layer = build_model(tmp_path / "model"), texture(64, 64)
    plain = make(Engine("cpu"), layer, model=str(model), sampler="auto")
    assert plain.recipe.request.sampling.sampler == "dpmpp_2m"
    recommend(model, "k_euler_a")
    found = make(Engine("cpu"), layer, model=str(model), sampler="auto")
    asked = make(Engine("cpu"), layer, model=str(model), sampler="k_euler_a")
    assert found.recipe.request.sampling.sampler == "k_euler_a"
    np.testing.assert_array_equal(found.pixels, asked.pixels)
    assert (found.pixels != plain.pixels).any()
    other = make(Engine("cpu"), layer, model=str(model), sampler="dpmpp_2m")
    np.testing.assert_array_equal(other.pixels, plain.pixels)


@pytest.mark.parametrize(
    ("sampler", "told"),
    [
        ("k_magic", r"underpaint\.json: sampler 'k_magic' is unknown"),
        ("lcm", r"underpaint\.json: lcm runs 50 steps at most"),
    ],
)
def test_what_cannot_be_recommended_is_named(tmp_path: Path, sampler: str, told: str) -> None:
    model = build_model(tmp_path / "model")
    recommend(model, sampler)
    with pytest.raises(ModelUnavailableError, match=told):
        describe_model(model)
