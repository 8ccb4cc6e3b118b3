"""What reads the prompts: a tokenizer of bytes and word pieces, and a small CLIP text encoder.

The encoder is first taught to tell from a caption what the scene holds. Captions cost nothing,
pictures do; the denoiser then meets words that mean something already.
"""

from __future__ import annotations

from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from .config import Config
from .loop import Loop, autocast
from .painter import Scene, describe, sample_scene

LENGTH = 77  # tokens, as Stable Diffusion has it
_SAMPLE = 20_000  # captions that the vocabulary is made from
_POOL = 40_000  # scenes that captions are drawn from


def build_tokenizer(config: Config) -> Any:
    """Make a tokenizer with pieces of the words that captions use; other words become bytes."""
    rng = np.random.default_rng([config.seed, 2])
    captions = (describe(sample_scene(rng), rng) for _ in range(_SAMPLE))
    return CLIPTokenizer(model_max_length=LENGTH).train_new_from_iterator(
        captions, vocab_size=config.text.words, show_progress=False
    )


def build_text_encoder(config: Config, tokenizer: Any) -> Any:
    """Build the text encoder with random weights."""
    stage = config.text
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=stage.hidden,
            intermediate_size=4 * stage.hidden,
            projection_dim=stage.hidden,
            num_hidden_layers=stage.layers,
            num_attention_heads=stage.heads,
            max_position_embeddings=LENGTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def tokenize(tokenizer: Any, captions: list[str], device: torch.device) -> torch.Tensor:
    """Return int64 (n, 77), padded as the pipeline pads."""
    found = tokenizer(
        captions, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt"
    )
    ids: torch.Tensor = found["input_ids"].to(device)
    return ids


def train_text(
    config: Config, folder: Path, tokenizer: Any, device: torch.device, seconds: float
) -> Any:
    """Teach a text encoder to tell what is in a scene from its caption."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng([config.seed, 3])
    encoder = build_text_encoder(config, tokenizer).to(device)
    heads = nn.Linear(config.text.hidden, sum(_SIZES)).to(device)
    scenes = [sample_scene(rng) for _ in range(min(_POOL, 100 * config.text.batch))]
    answers = torch.tensor([_answers(scene) for scene in scenes], device=device)

    def losses(_: float) -> dict[str, torch.Tensor]:
        chosen = rng.integers(len(scenes), size=config.text.batch)
        captions = [describe(scenes[index], rng) for index in chosen]
        with autocast(device, half=config.half):
            read = encoder(tokenize(tokenizer, captions, device)).pooler_output
        guesses = heads(read.float()).split(_SIZES, dim=1)
        errors = [
            functional.cross_entropy(guess, answers[chosen, question])
            for question, guess in enumerate(guesses)
        ]
        return {"error": torch.stack(errors).mean()}

    modules = nn.ModuleDict({"encoder": encoder, "heads": heads})
    Loop("text", folder, modules, config.text, seconds, rng).run(losses)
    return encoder


_EXAMPLE = Scene(seed=0)
_QUESTIONS = [
    field.name
    for field in fields(Scene)
    if isinstance(getattr(_EXAMPLE, field.name), StrEnum | bool) and field.name != "mirrored"
]


def _choices(question: str) -> list[Any]:
    value = getattr(_EXAMPLE, question)
    return list(type(value)) if isinstance(value, StrEnum) else [False, True]


_SIZES = [len(_choices(question)) for question in _QUESTIONS]


def _answers(scene: Scene) -> list[int]:
    return [_choices(question).index(getattr(scene, question)) for question in _QUESTIONS]
