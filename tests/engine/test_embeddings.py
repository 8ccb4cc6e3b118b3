"""Embeddings (textual inversions): vectors in place of a word's, and nothing else changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from runs import make
from underpaint.engine import Engine
from underpaint.engine.clip_prompts import clip_encoders
from underpaint.models.embedding_list import find_tensors, list_embeddings
from underpaint.models.roots import choose_root
from underpaint.models.tensors import Tensor
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.recipe import Recipe
from underpaint_client.webui_text import describe_parameters


@pytest.fixture
def folder(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of embeddings in a home of its own, in which the tiny models are found."""
    monkeypatch.setenv("UNDERPAINT_MODELS", str(models))
    monkeypatch.setenv("UNDERPAINT_HOME", str(tmp_path))
    return tmp_path / "embeddings"


def vectors_of(engine: Engine, model: str, words: str) -> list[torch.Tensor]:
    """Return what a model's text encoders have for words: (n, C) for each."""
    found = []
    for tokenizer, encoder in clip_encoders(engine.load(model).pipeline):
        ids = tokenizer(words)["input_ids"][1:-1]
        found.append(encoder.get_input_embeddings().weight[ids].detach().clone())
    return found


def teach(folder: Path, name: str, vectors: list[torch.Tensor]) -> Path:
    """Write an embedding for one or two text encoders."""
    names = ("emb_params",) if len(vectors) == 1 else ("clip_l", "clip_g")
    file = folder / f"{name}.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file(dict(zip(names, vectors, strict=True)), file)
    return file


def encode(engine: Engine, model: str, prompt: str, negative: str = "") -> dict[str, torch.Tensor]:
    opened = engine.load(model)
    opened.forget()
    opened.prompts.find_embeddings((prompt, negative))
    return opened.prompts.encode(prompt, negative, guided=True)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("model", ["sd", "sdxl"])
@pytest.mark.parametrize(
    "written", ["Ink", "embedding:ink", "<embedding:ink>", "embedding:art/ink"]
)
def test_an_embedding_is_read_as_words_of_its_vectors(
    engine: Engine, folder: Path, model: str, written: str
) -> None:
    words = encode(engine, model, "a (red lake:1.2), fog", "a (red lake:1.1) x")
    plain = encode(engine, model, "a (ink:1.2), fog", "a (ink:1.1) x")
    teach(folder, "art/ink", vectors_of(engine, model, "red lake"))
    found = encode(engine, model, f"a ({written}:1.2), fog", f"a ({written}:1.1) x")
    assert same(found, words)
    assert not same(found, plain)
    (folder / "art" / "ink.safetensors").unlink()
    assert same(encode(engine, model, "a (ink:1.2), fog", "a (ink:1.1) x"), plain)


@pytest.mark.parametrize("model", ["sd", "sdxl"])
def test_without_a_weight_it_is_read_alike(engine: Engine, folder: Path, model: str) -> None:
    words = encode(engine, model, "a red lake")
    teach(folder, "ink", vectors_of(engine, model, "red lake"))
    found = encode(engine, model, "a ink")
    for name, one in words.items():
        assert torch.allclose(found[name], one, atol=1e-5), name


def test_the_table_of_tokens_is_left_as_it_is(engine: Engine, folder: Path) -> None:
    encoder = engine.load("sd").pipeline.text_encoder
    table = encoder.get_input_embeddings()
    before = table.weight.detach().clone()
    plain = make(engine, width=64, height=64, steps=2, prompt="a lake").pixels
    teach(folder, "ink", [torch.randn(3, table.embedding_dim)])
    named = make(engine, width=64, height=64, steps=2, prompt="a lake, ink").pixels
    assert (named != plain).any()
    assert encoder.get_input_embeddings() is table
    assert torch.equal(table.weight, before)
    assert not table._forward_hooks
    again = make(engine, width=64, height=64, steps=2, prompt="a lake").pixels
    assert (again == plain).all()


def test_the_recipe_names_what_was_used(
    engine: Engine, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    width = engine.load("sd").pipeline.text_encoder.config.hidden_size
    teach(folder, "style/ink", [torch.randn(2, width)])
    teach(folder, "bad", [torch.randn(1, width)])
    teach(folder, "unused", [torch.randn(1, width)])
    changes = {"width": 64, "height": 64, "steps": 2, "negative_prompt": "embedding:bad, x"}
    recipe = make(engine, prompt="a lake, ink, ink", **changes).recipe
    assert [one.name for one in recipe.facts.embeddings] == ["style/ink", "bad"]
    assert all(len(one.sha256) == 64 for one in recipe.facts.embeddings)
    assert not any("embedding" in note for note in recipe.facts.notes)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    assert f'TI hashes: "ink: {recipe.facts.embeddings[0].sha256[:12]}, bad: ' in (
        describe_parameters(recipe)
    )
    plain = make(engine, prompt="a lake, embedding:gone", **changes).recipe
    assert [one.name for one in plain.facts.embeddings] == ["bad"]
    assert any("embedding:gone" in note and "not loaded" in note for note in plain.facts.notes)


def test_one_for_another_model_is_refused_by_its_width_and_its_name_stays_a_word(
    engine: Engine, folder: Path
) -> None:
    plain = encode(engine, "sd", "a (ink:1.2)")
    teach(folder, "ink", [torch.randn(1, 768), torch.randn(1, 1280)])
    (folder / "torn.safetensors").write_bytes(b"x" * 100)
    safetensors.torch.save_file(
        {"a": torch.ones(3), "b": torch.ones(3)}, folder / "odd.safetensors"
    )
    assert same(encode(engine, "sd", "a (ink:1.2)"), plain)
    for name, why in {
        "ink": "embedding 'ink' is for SDXL, and its vectors do not fit the model 'sd'",
        "torn": r"embedding .*torn.safetensors: its file cannot be read",
        "odd": r"embedding .*odd.safetensors: it is no embedding of CLIP",
    }.items():
        for prompt in (f"embedding:{name}", f"a <embedding:{name}> b"):
            with pytest.raises(ModelUnavailableError, match=why):
                make(engine, width=64, height=64, prompt=prompt)
        make(engine, width=64, height=64, steps=1, prompt=f"a lake, {name}")


@pytest.mark.parametrize(
    ("shapes", "names"),
    [
        ({"emb_params": (4, 768)}, ("emb_params",)),
        ({"*": (4, 768)}, ("*",)),
        ({"<my-token>": (768,)}, ("<my-token>",)),
        ({"clip_g": (2, 1280), "clip_l": (2, 768)}, ("clip_l", "clip_g")),
        ({"text_encoders_0": (2, 768), "text_encoders_1": (2, 1280)},
         ("text_encoders_0", "text_encoders_1")),
        ({"a": (2, 768), "b": (2, 768)}, ()),
        ({"emb_params": (2, 3, 768)}, ()),
        ({"emb_params": ()}, ()),
        ({}, ()),
    ],
)  # fmt: skip
def test_layouts(shapes: dict[str, tuple[int, ...]], names: tuple[str, ...]) -> None:
    assert find_tensors({name: Tensor("F16", shape) for name, shape in shapes.items()}) == names


def test_those_of_other_tools_are_listed_when_they_are_used(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    for place in ("stable-diffusion-webui/embeddings", "ComfyUI/models/embeddings"):
        teach(tmp_path / "user" / place, place.partition("/")[0], [torch.ones(2, 768)])
    teach(folder, "mine", [torch.ones(80, 768)])
    assert [one.name for one in list_embeddings()] == ["mine"]
    assert "up to 75 vectors" in str(list_embeddings()[0].problem)
    for tool in ("a1111", "comfyui"):
        choose_root(tool, use=True)
    there = {one.name: one for one in list_embeddings()}
    assert list(there) == ["ComfyUI", "mine", "stable-diffusion-webui"]
    del there["mine"]
    found = {name: (one.base, one.vectors, str(one.problem)) for name, one in there.items()}
    assert found == dict.fromkeys(
        ("ComfyUI", "stable-diffusion-webui"), ("Stable Diffusion 1", 2, "")
    )
