"""The recipe as Stable Diffusion WebUI writes it, so that other tools can read our pictures.

Three parts: the prompt, a line "Negative prompt: ...", and a line of "Name: value" pairs.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .conditioning import lora_in_prompt
from .printable import one_line
from .samplers import SAMPLER_LABELS

if TYPE_CHECKING:
    from .recipe import Recipe


def describe_parameters(recipe: Recipe) -> str:
    """Return a recipe in those words; what they have none for is left out."""
    sampling, facts = recipe.request.sampling, recipe.facts
    width, height = facts.work_size if any(facts.work_size) else (facts.width, facts.height)
    pairs: dict[str, Any] = {"Steps": sampling.steps}
    pairs["Sampler"] = SAMPLER_LABELS.get(sampling.sampler, sampling.sampler)
    if sampling.guidance_scale is not None:
        pairs["CFG scale"] = f"{sampling.guidance_scale:g}"
    pairs["Seed"] = facts.seed
    pairs["Size"] = f"{width}x{height}"
    if facts.model_hash:
        pairs["Model hash"] = facts.model_hash[:10]
    if sampling.model:
        pairs["Model"] = _quoted(sampling.model)
    if recipe.request.mode != "txt2img":
        pairs["Denoising strength"] = f"{sampling.strength:g}"
    if (sampling.clip_skip or 1) > 1:  # the WebUI leaves out 1
        pairs["Clip skip"] = sampling.clip_skip
    if len(facts.variations) == 1:
        pairs["Variation seed"] = facts.variations[0].seed
        pairs["Variation seed strength"] = f"{facts.variations[0].weight:g}"
    hashes = [f"{_lora_name(one.name)}: {one.tensors_sha256[:12]}" for one in facts.loras]
    if hashes:
        pairs["Lora hashes"] = _quoted(", ".join(hashes))
    inversions = [f"{_lora_name(one.name)}: {one.sha256[:12]}" for one in facts.embeddings]
    if inversions:
        pairs["TI hashes"] = _quoted(", ".join(inversions))
    pairs["Version"] = f"underpaint {facts.versions.get('underpaint', '')}".strip()
    given = recipe.request.conditioning.loras if facts.loras else ()
    named = [lora_in_prompt(replace(one, name=_lora_name(one.name))) for one in given]
    lines = [" ".join(filter(None, (facts.prompt, *named)))]
    if recipe.request.prompt.negative:
        lines.append(f"Negative prompt: {recipe.request.prompt.negative}")
    known = {name: value for name, value in pairs.items() if value is not None}
    lines.append(", ".join(f"{name}: {value}" for name, value in known.items()))
    return "\n".join(lines)


def _lora_name(name: str) -> str:
    """Return a LoRA's name as the WebUI has it: without folders, and what ends a name early."""
    return one_line("".join(c for c in name.rpartition("/")[2] if c not in ":,<>"))


def _quoted(text: str) -> str:
    """Quote text that would end a pair early, as the WebUI does."""
    if not set(text) & set(',:\n"'):
        return text
    return json.dumps(text, ensure_ascii=False)
