"""Models that were trained to edit a picture, and whose layout is that of plain ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flow_files import save_parts, save_transformer
from runs import texture
from tiny_flow_models import build_flow_model
from underpaint.engine import Engine
from underpaint.engine.inputs import Inputs
from underpaint.models import describe_model, find_model, list_entries
from underpaint_client.descriptions import describe_purpose
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.request import Request

EDIT = describe_purpose("edit")[0]

NAMES = {
    "flux": ("flux1-dev-kontext_fp16", "flux1-dev"),
    "qwen-image": ("qwen_image_edit_2509_bf16", "qwen_image_bf16"),
}
"""What an edit model and a plain one of a family are called."""

PIPELINES = {
    "FluxKontextPipeline": "flux",
    "FluxKontextInpaintPipeline": "flux",
    "QwenImageEditPipeline": "qwen-image",
    "QwenImageEditInpaintPipeline": "qwen-image",
    "QwenImageEditPlusPipeline": "qwen-image",
}


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))


def purposes() -> dict[str, str]:
    entries = list_entries()
    assert not [entry.problem for entry in entries if entry.problem]
    return {entry.name: entry.purpose for entry in entries}


def paint(model: Path) -> Any:
    request = Request.of(prompt="a lake", model=str(model), seed=1, steps=2, mode="inpaint")
    layer = texture(64, 64)
    layer[:, 32:, 3] = 0
    (picture,) = Engine("cpu").generate(request, Inputs(layer))
    return picture


@pytest.mark.parametrize("kind", NAMES)
def test_a_file_called_as_edit_models_are_is_listed_as_one_and_paints_as_a_plain_one(
    home: Path, tmp_path: Path, kind: str
) -> None:
    folder = build_flow_model(tmp_path / kind, kind)
    save_parts(folder, home / "models" / "parts")
    edit, plain = (home / "models" / f"{name}.safetensors" for name in NAMES[kind])
    for file in (edit, plain):
        save_transformer(folder, file)
    found = purposes()
    assert [found[name] for name in NAMES[kind]] == ["edit", "plain"]
    assert [describe_model(file).purpose for file in (edit, plain)] == ["edit", "plain"]
    told, expected = paint(edit), paint(plain)
    np.testing.assert_allclose(told.pixels.astype(int), expected.pixels, atol=1)
    assert EDIT in told.recipe.facts.notes
    assert EDIT not in expected.recipe.facts.notes


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_folder_of_an_edit_pipeline_is_listed_as_one_and_paints_as_a_plain_one(
    home: Path, tmp_path: Path, pipeline: str
) -> None:
    kind = PIPELINES[pipeline]
    plain = build_flow_model(tmp_path / kind, kind)
    folder = Path(shutil.copytree(plain, home / "models" / "one"))
    change(folder / "model_index.json", _class_name=pipeline)
    if "Qwen" in pipeline:  # as the folders of these have it
        change(folder / "model_index.json", processor=["transformers", "Qwen2VLProcessor"])
    else:
        change(folder / "model_index.json", image_encoder=[None, None])
    assert purposes()["one"] == describe_model(find_model("one")).purpose == "edit"
    told, expected = paint(folder), paint(plain)
    np.testing.assert_allclose(told.pixels.astype(int), expected.pixels, atol=1)
    assert EDIT in told.recipe.facts.notes


def test_a_folder_that_takes_references_at_timestep_zero_paints(home: Path, tmp_path: Path) -> None:
    """As Qwen-Image-Edit 2511 does, where there is a reference."""
    plain = build_flow_model(tmp_path / "plain", "qwen-image")
    folder = Path(shutil.copytree(plain, home / "models" / "one"))
    change(folder / "model_index.json", _class_name="QwenImageEditPlusPipeline")
    change(folder / "transformer" / "config.json", zero_cond_t=True)
    expected = paint(plain)
    np.testing.assert_allclose(paint(folder).pixels.astype(int), expected.pixels, atol=1)


def test_a_side_car_says_what_the_name_does_not(home: Path, tmp_path: Path) -> None:
    folder = build_flow_model(tmp_path / "plain", "flux")
    save_parts(folder, home / "models" / "parts")
    for name, purpose in (("mine", "edit"), ("kontext-colours", "plain")):
        file = home / "models" / f"{name}.safetensors"
        save_transformer(folder, file, purpose=purpose)
        assert purposes()[name] == purpose
        assert describe_model(find_model(name)).purpose == purpose


def test_pipelines_of_other_layouts_are_refused_by_name(tmp_path: Path) -> None:
    folder = build_flow_model(tmp_path / "one", "flux")
    change(folder / "model_index.json", _class_name="FluxControlPipeline")
    with pytest.raises(ModelUnavailableError, match="FluxControlPipeline, which is not supported"):
        describe_model(folder)
