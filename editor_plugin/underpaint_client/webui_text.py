"""The recipe as Stable Diffusion WebUI writes it, so that other tools can read our pictures.

Three parts: the prompt, a line "Negative prompt: ...", and a line of "Name: value" pairs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .samplers import SAMPLER_LABELS

if TYPE_CHECKING:
    from .recipe import Recipe


def describe_parameters(recipe: Recipe) -> str:
    """Return a recipe in those words; what they have none for is left out."""
    width, height = recipe.work_size if any(recipe.work_size) else (recipe.width, recipe.height)
    pairs = {
        "Steps": recipe.steps,
        "Sampler": SAMPLER_LABELS.get(recipe.sampler, recipe.sampler),
        "CFG scale": f"{recipe.guidance_scale:g}",
        "Seed": recipe.seed,
        "Size": f"{width}x{height}",
    }
    if recipe.model_hash:
        pairs["Model hash"] = recipe.model_hash[:10]
    if recipe.model:
        pairs["Model"] = _quoted(recipe.model)
    if recipe.mode != "txt2img":
        pairs["Denoising strength"] = f"{recipe.strength:g}"
    if len(recipe.variations) == 1:
        pairs["Variation seed"] = recipe.variations[0].seed
        pairs["Variation seed strength"] = f"{recipe.variations[0].weight:g}"
    pairs["Version"] = f"underpaint {recipe.versions.get('underpaint', '')}".strip()
    lines = [recipe.prompt]
    if recipe.negative_prompt:
        lines.append(f"Negative prompt: {recipe.negative_prompt}")
    lines.append(", ".join(f"{name}: {value}" for name, value in pairs.items()))
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """Quote text that would end a pair early, as the WebUI does."""
    if not set(text) & set(',:\n"'):
        return text
    return json.dumps(text, ensure_ascii=False)
