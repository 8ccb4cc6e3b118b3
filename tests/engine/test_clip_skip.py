"""Clip skip: which of the last layers of CLIP a prompt is taken from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from runs import texture
from tiny_flow_models import build_flow_model
from underpaint.engine import Engine, Picture
from underpaint.engine.inputs import Inputs
from underpaint_client.errors import BadInputError
from underpaint_client.request import Request

NOTE = "this model has no clip skip; it was not used"


@pytest.fixture
def flow(tmp_path: Path) -> str:
    return str(build_flow_model(tmp_path / "flow", "flux"))


def paint(engine: Engine, model: str | Path, clip_skip: int | None, **changes: Any) -> Picture:
    request = Request.of(
        prompt="a lake", negative_prompt="text", model=str(model), seed=3, steps=2,
        guidance_scale=5.0, width=64, height=64, clip_skip=clip_skip, **changes,
    )  # fmt: skip
    (result,) = engine.generate(request)
    return result


@pytest.mark.parametrize(("model", "usual", "skip"), [("sd", 1, 2), ("sdxl", 2, 3)])
def test_a_request_skips_layers_and_its_recipe_replays_to_the_bit(
    engine: Engine, model: str, usual: int, skip: int
) -> None:
    plain = paint(engine, model, None)
    assert plain.recipe.request.sampling.clip_skip == 1
    np.testing.assert_array_equal(paint(engine, model, usual).pixels, plain.pixels)
    skipped = paint(engine, model, skip)
    assert skipped.recipe.request.sampling.clip_skip == skip
    assert (skipped.pixels != plain.pixels).any()
    np.testing.assert_array_equal(paint(engine, model, None).pixels, plain.pixels)
    engine.load(model).forget()
    (again,) = engine.generate(skipped.recipe.request)
    np.testing.assert_array_equal(again.pixels, skipped.pixels)


def test_prompts_are_of_the_layer_that_diffusers_takes(engine: Engine) -> None:
    """Its `clip_skip=1` is the last but one; its own code for this fails with transformers 5."""
    model = engine.load("sd")
    found = model.prompts.encode("a lake", "text", guided=True, clip_skip=2)
    tokenizer, encoder = model.pipeline.tokenizer, model.pipeline.text_encoder
    for name, text in (("prompt_embeds", "a lake"), ("negative_prompt_embeds", "text")):
        tokens = tokenizer(
            text, padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt"
        )
        with torch.no_grad():
            hidden = encoder(tokens.input_ids, output_hidden_states=True).hidden_states
            norm = getattr(encoder, "text_model", encoder).final_layer_norm
            assert len(hidden) == 3
            torch.testing.assert_close(found[name], norm(hidden[-2]), rtol=0, atol=0)


def test_prompts_of_sdxl_are_those_of_diffusers_clip_skip(engine: Engine, models: Path) -> None:
    """diffusers counts the layers that are left out. It skips none for a negative prompt."""
    stock = diffusers.StableDiffusionXLPipeline.from_pretrained(
        models / "sdxl", local_files_only=True
    )
    model = engine.load("sdxl")
    plain = model.prompts.encode("a lake", "text", guided=True)
    found = model.prompts.encode("a lake", "text", guided=True, clip_skip=3)
    for prefix, text in (("", "a lake"), ("negative_", "text")):
        wanted, _, pooled, _ = stock.encode_prompt(
            prompt=text,
            device=torch.device("cpu"),
            num_images_per_prompt=1,
            do_classifier_free_guidance=False,
            clip_skip=1,
        )
        name = f"{prefix}prompt_embeds"
        torch.testing.assert_close(found[name], wanted, rtol=0, atol=0)
        assert (found[name] != plain[name]).any()
        torch.testing.assert_close(found[f"{prefix}pooled_prompt_embeds"], pooled, rtol=0, atol=0)


@pytest.mark.parametrize("zeros", [True, False])
def test_an_empty_negative_prompt_stays_zeros_where_sdxl_says_so(
    engine: Engine, models: Path, tmp_path: Path, zeros: bool
) -> None:
    copy = Path(shutil.copytree(models / "sdxl", tmp_path / "copy"))
    index = json.loads((copy / "model_index.json").read_text())
    index["force_zeros_for_empty_prompt"] = zeros
    (copy / "model_index.json").write_text(json.dumps(index))
    model = engine.load(str(copy))
    plain = model.prompts.encode("a lake", "", guided=True)["negative_prompt_embeds"]
    found = model.prompts.encode("a lake", "", guided=True, clip_skip=3)["negative_prompt_embeds"]
    assert bool((plain == 0).all()) == bool((found == 0).all()) == zeros
    assert torch.equal(found, plain) == zeros


def test_a_request_wins_over_the_side_car(engine: Engine, models: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(models / "sd", tmp_path / "copy"))
    (copy / "underpaint.json").write_text('{"clip_skip": 2}')
    own = paint(engine, copy, None)
    assert own.recipe.request.sampling.clip_skip == 2
    np.testing.assert_array_equal(own.pixels, paint(engine, "sd", 2).pixels)
    np.testing.assert_array_equal(paint(engine, copy, 1).pixels, paint(engine, "sd", 1).pixels)


@pytest.mark.parametrize(("model", "most"), [("sd", 2), ("sdxl", 3)])
def test_more_layers_than_there_are_cannot_be_skipped(
    engine: Engine, model: str, most: int
) -> None:
    paint(engine, model, most)
    with pytest.raises(BadInputError, match=rf"clip skip 12 is too large.*at most {most}"):
        paint(engine, model, 12)


def test_a_model_without_clip_skip_says_so_once(engine: Engine, flow: str) -> None:
    plain, skipped = paint(engine, flow, None), paint(engine, flow, 2)
    np.testing.assert_array_equal(plain.pixels, skipped.pixels)
    assert skipped.recipe.request.sampling.clip_skip is None
    assert skipped.recipe.facts.notes.count(NOTE) == 1
    assert NOTE not in plain.recipe.facts.notes
    layer = texture(64, 64)
    (kept,) = engine.generate(Request.of(model=flow, strength=0.0, clip_skip=2), Inputs(layer))
    assert NOTE not in kept.recipe.facts.notes
