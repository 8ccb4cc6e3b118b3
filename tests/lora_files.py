"""LoRAs whose effect is known: small random matrices for layers of a tiny model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]

KOHYA = ("lora_down.weight", "lora_up.weight")
PEFT = ("lora_A.weight", "lora_B.weight")


@dataclass(frozen=True)
class Matrices:
    """What a LoRA adds to one layer: `alpha / rank * up @ down`."""

    part: str
    layer: str
    down: torch.Tensor
    up: torch.Tensor
    alpha: float

    @property
    def delta(self) -> torch.Tensor:
        rank = self.down.shape[0]
        product = self.up.flatten(1) @ self.down.flatten(1)
        sides = self.down.shape[2:]
        shape = (self.up.shape[0], self.down.shape[1], *sides)
        return (self.alpha / rank * product).reshape(shape)


def draw(
    pipeline: Any, layers: Mapping[str, Sequence[str]], *, rank: int = 2, seed: int = 0
) -> list[Matrices]:
    """Draw matrices for layers, by the parts that they lie in; strong enough to be seen."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator) * 0.3

    found = []
    for part, names in layers.items():
        for name in names:
            weight = getattr(pipeline, part).get_submodule(name).weight
            out, width, *sides = weight.shape
            up = random(out, rank, *(1 for _ in sides))
            found.append(Matrices(part, name, random(rank, width, *sides), up, rank / 2))
    return found


_KOHYA_PARTS = {"text_encoder": "lora_te_", "text_encoder_2": "lora_te2_"}


def kohya(matrices: Sequence[Matrices], *, first_encoder: str = "lora_te_") -> Tensors:
    """Name matrices as kohya does, whose CLIP has a `text_model`."""
    parts = {**_KOHYA_PARTS, "text_encoder": first_encoder}
    tensors: Tensors = {}
    for one in matrices:
        layer = one.layer
        if one.part in parts:
            layer = f"text_model.{layer.removeprefix('text_model.')}"
        name = parts.get(one.part, "lora_unet_") + layer.replace(".", "_")
        tensors[f"{name}.lora_down.weight"] = one.down
        tensors[f"{name}.lora_up.weight"] = one.up
        tensors[f"{name}.alpha"] = torch.tensor(one.alpha)
    return tensors


def peft(matrices: Sequence[Matrices]) -> Tensors:
    """Name matrices as peft and diffusers do; there is no alpha, so it is in the matrices."""
    tensors: Tensors = {}
    for one in matrices:
        tensors[f"{one.part}.{one.layer}.lora_A.weight"] = one.down
        tensors[f"{one.part}.{one.layer}.lora_B.weight"] = one.up * one.alpha / one.down.shape[0]
    return tensors


def save(file: Path, tensors: Tensors, metadata: dict[str, str] | None = None) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, file, metadata)
    return file


def add_to(pipeline: Any, matrices: Sequence[Matrices], strength: float = 1.0) -> None:
    """Add the change to the weights of a model, for good."""
    for one in matrices:
        weight = getattr(pipeline, one.part).get_submodule(one.layer).weight
        weight.data += strength * one.delta.reshape(weight.shape)
