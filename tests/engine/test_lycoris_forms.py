"""LoHa and LoKr add to a model's layers what their products say, alone and beside plain LoRAs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lora_files
from runs import make
from underpaint.engine import Engine
from underpaint.engine.savings import PLACEMENTS, Saving
from underpaint.models import describe_model, find_model
from underpaint_client.conditioning import LoraWeight
from underpaint_client.errors import ModelUnavailableError

RANK, ALPHA = 2, 1.0
LAYERS = (
    "conv_in",
    "down_blocks.0.resnets.0.conv1",
    "down_blocks.0.resnets.0.time_emb_proj",
    "down_blocks.1.attentions.0.proj_in",
    "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q",
    "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k",
    "down_blocks.1.attentions.0.transformer_blocks.0.ff.net.2",
)


@dataclass(frozen=True)
class Change:
    part: str
    layer: str
    tensors: dict[str, torch.Tensor]
    delta: torch.Tensor


Draw = Callable[..., torch.Tensor]


def loha(weight: torch.Tensor, draw: Draw) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    out, width = weight.flatten(1).shape
    sides = {"a": (out, RANK), "b": (RANK, width)}
    found = {f"hada_w{n}_{half}": draw(*side) for n in "12" for half, side in sides.items()}
    one, other = (found[f"hada_w{n}_a"] @ found[f"hada_w{n}_b"] for n in "12")
    return found, ALPHA / RANK * one * other


def lokr_full(weight: torch.Tensor, draw: Draw) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Both factors whole: alpha does not count."""
    out, width, *sides = weight.shape
    one, other = draw(2, 2), draw(out // 2, width // 2, *sides)
    whole = one.reshape(2, 2, *(1 for _ in sides))
    return {"lokr_w1": one, "lokr_w2": other}, torch.kron(whole, other)


def lokr_halves(weight: torch.Tensor, draw: Draw) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    out, width = weight.flatten(1).shape
    one_a, one_b = draw(2, RANK), draw(RANK, 2)
    other_a, other_b = draw(out // 2, RANK), draw(RANK, width // 2)
    found = {"lokr_w1_a": one_a, "lokr_w1_b": one_b, "lokr_w2_a": other_a, "lokr_w2_b": other_b}
    return found, ALPHA / RANK * torch.kron(one_a @ one_b, other_a @ other_b)


def tucker(weight: torch.Tensor, draw: Draw) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """LoCon with a third matrix, between the two others."""
    out, width, *sides = weight.shape
    ones = [1] * len(sides)
    down, mid = draw(RANK, width, *ones), draw(RANK, RANK, *sides)
    up = draw(out, RANK, *ones)
    found = {"lora_down.weight": down, "lora_mid.weight": mid, "lora_up.weight": up}
    delta = torch.tensordot(up.flatten(1), torch.tensordot(mid, down.flatten(1), ([1], [0])), 1)
    return found, ALPHA / RANK * delta.movedim(-1, 1)


FORMS = (loha, lokr_full, lokr_halves, tucker)


def changes(pipeline: Any, form: Any, layers: tuple[str, ...] = LAYERS) -> list[Change]:
    generator = torch.Generator().manual_seed(3)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) * 0.4

    found = []
    for layer in layers:
        weight = pipeline.unet.get_submodule(layer).weight
        found.append(Change("unet", layer, *form(weight, draw)))
    return found


def save(file: Path, found: list[Change], rename: Callable[[str], str] = str) -> Path:
    tensors: dict[str, torch.Tensor] = {}
    for one in found:
        name = "lora_unet_" + rename(one.layer).replace(".", "_")
        tensors |= {f"{name}.{role}": tensor for role, tensor in one.tensors.items()}
        tensors[f"{name}.alpha"] = torch.tensor(ALPHA)
    return lora_files.save(file, tensors)


def paint(engine: Engine, *names: str, model: str = "sd", weight: float = 1.0) -> Any:
    loras = tuple(LoraWeight(name, weight) for name in names)
    return make(engine, model=model, steps=2, width=64, height=64, loras=loras).pixels.astype(int)


def added(*found: Any, model: str = "sd", weight: float = 1.0) -> Any:
    engine = Engine("cpu")
    for one in found:
        lora_files.add_to(engine.load(model).pipeline, one, weight)
    return paint(engine, model=model)


def assert_near(found: Any, expected: Any, plain: Any) -> None:
    assert np.abs(found - expected).max() <= 1
    assert np.abs(found - plain).max() > 3


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_its_product_added_to_the_weights(engine: Engine, loras: Path, form: Any) -> None:
    found = changes(engine.load("sd").pipeline, form)
    save(loras / "form.safetensors", found)
    plain = paint(engine)
    assert_near(paint(engine, "form", weight=0.75), added(found, weight=0.75), plain)
    np.testing.assert_array_equal(paint(engine), plain)


def test_forms_work_beside_each_other(engine: Engine, loras: Path) -> None:
    pipeline = engine.load("sd").pipeline
    plain_lora = lora_files.draw(pipeline, {"unet": LAYERS})
    lora_files.save(loras / "plain.safetensors", lora_files.kohya(plain_lora))
    found = [changes(pipeline, form) for form in (loha, lokr_full)]
    for name, one in zip("ab", found, strict=True):
        save(loras / f"{name}.safetensors", one)
    assert_near(
        paint(engine, "plain", "a", "b", weight=0.5),
        added(plain_lora, *found, weight=0.5),
        paint(engine),
    )


def test_sdxl_as_its_authors_name_it(engine: Engine, loras: Path) -> None:
    old, new = "down_blocks.1.attentions.0", "input_blocks.3.1"
    block = f"{old}.transformer_blocks.0"
    inside = ("attn1.to_v", "attn1.to_out.0", "attn2.to_v", "attn2.to_out.0", "ff.net.0.proj")
    layers = (f"{old}.proj_in", *(f"{block}.{name}" for name in inside), f"{old}.proj_out")
    found = changes(engine.load("sdxl").pipeline, loha, layers)
    save(loras / "form.safetensors", found, lambda layer: layer.replace(old, new))
    plain = paint(engine, model="sdxl")
    assert_near(paint(engine, "form", model="sdxl"), added(found, model="sdxl"), plain)


@pytest.mark.parametrize("form", [loha, lokr_halves])
def test_forms_work_wherever_the_parts_of_a_model_are(
    gpu: None, models: Path, loras: Path, form: Any
) -> None:
    engine = Engine("cpu")
    save(loras / "form.safetensors", changes(engine.load("sd").pipeline, form))
    plain, expected = paint(engine), paint(engine, "form")
    assert (plain != expected).any()
    for placement in PLACEMENTS:
        known = engine.experience(describe_model(find_model("sd")))
        known.savings[0] = Saving(placement=placement)
        np.testing.assert_array_equal(paint(engine, "form"), expected)
        np.testing.assert_array_equal(paint(engine), plain)


@pytest.mark.parametrize("form", FORMS)
def test_matrices_that_do_not_fit_are_told(engine: Engine, loras: Path, form: Any) -> None:
    (found,) = changes(engine.load("sd").pipeline, form, LAYERS[1:2])
    for number, role in enumerate(found.tensors):
        twice = torch.cat([found.tensors[role]] * 2, dim=-1)
        wrong = Change("unet", found.layer, {**found.tensors, role: twice}, found.delta)
        save(loras / f"wrong{number}.safetensors", [wrong])
        with pytest.raises(ModelUnavailableError) as caught:
            paint(engine, f"wrong{number}")
        assert "does not fit this model: its down_blocks.0.resnets.0.conv1 has" in str(caught.value)
        if role == "lora_mid.weight":  # what is left may be a plain LoRA
            continue
        few = {name: one for name, one in found.tensors.items() if name != role}
        save(loras / f"few{number}.safetensors", [Change("unet", found.layer, few, found.delta)])
        with pytest.raises(ModelUnavailableError):
            paint(engine, f"few{number}")
