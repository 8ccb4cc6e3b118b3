"""Settings as Stable Diffusion WebUI (A1111), Forge and many others write them.

`webui_text` writes the same: the prompt, a line "Negative prompt: ...", and a line of pairs.
"""

from __future__ import annotations

import json
from typing import Any

from .found_settings import FoundSettings, Settings
from .prompt_choices import escape_prompt
from .sentences import sentence
from .variations import Variation

_NEGATIVE = "Negative prompt:"
_FEWEST = 3  # pairs that make a line one of settings
_MOST = 200
_LONGEST = 2**16  # characters of the line

_PLAIN = {"Steps": "steps", "Seed": "seed", "Clip skip": "clip_skip"}
_USED = (
    *_PLAIN, "Sampler", "Schedule type", "CFG scale", "Distilled CFG Scale", "Size", "Model",
    "Model hash", "Denoising strength", "Variation seed", "Variation seed strength",
)  # fmt: skip
_NOT_MISSED = ("Version", "Lora hashes", "Hashes", "TI hashes", "RNG", "User", "VAE hash")


def parse_webui(text: str) -> FoundSettings | None:
    """Return the settings in a text; None if it has none."""
    *lines, last = text.strip().split("\n")
    pairs = _read_pairs(last)
    if len(pairs) < _FEWEST or "Steps" not in pairs:
        return None
    prompts: dict[str, list[str]] = {"prompt": [], "negative_prompt": []}
    name = "prompt"
    for line in lines:
        if line.startswith(_NEGATIVE):
            name, line = "negative_prompt", line[len(_NEGATIVE) :].lstrip()  # noqa: PLW2901
        prompts[name].append(line)
    settings = Settings("Stable Diffusion WebUI")
    for name, written in prompts.items():
        settings.values[name] = ""
        settings.add(name, escape_prompt("\n".join(written).strip()))
    for key, name in _PLAIN.items():
        settings.add(name, pairs.get(key))
    settings.add_sampler(pairs.get("Sampler"), pairs.get("Schedule type", ""))
    settings.add_model(pairs.get("Model"), pairs.get("Model hash", ""))
    scale = pairs.get("Distilled CFG Scale") if pairs.get("CFG scale") in ("1", "1.0") else None
    settings.add("guidance_scale", scale or pairs.get("CFG scale"))
    width, is_size, height = pairs.get("Size", "").partition("x")
    if is_size:
        settings.add("width", width)
        settings.add("height", height)
    if any(key.startswith("Hires") for key in pairs):
        settings.notes.append(sentence("the second pass (Hires. fix) is not used"))
    else:
        settings.add("strength", pairs.get("Denoising strength"))
    _add_variation(settings, pairs)
    for key, value in pairs.items():
        if key not in _USED and key not in _NOT_MISSED and not key.startswith("Hires"):
            settings.note_unused(key, value)
    return settings.found()


def _add_variation(settings: Settings, pairs: dict[str, str]) -> None:
    seed, weight = pairs.get("Variation seed"), pairs.get("Variation seed strength")
    if seed is None or weight is None:
        return
    try:
        settings.add("variations", (Variation(int(seed), float(weight)),))
    except ValueError:
        settings.note_unused("variation seed", seed)


def _read_pairs(line: str) -> dict[str, str]:
    """Read `Name: value, Name: "a, quoted value"`, in time that grows with the line."""
    found: dict[str, str] = {}
    position, end = 0, len(line)
    while position < end <= _LONGEST and len(found) < _MOST:
        colon = line.find(":", position)
        if colon < 0:
            break
        name = line[position:colon].strip(", ")
        value, position = _read_value(line, colon + 1)
        found.setdefault(name, value)
    return found


_DECODER = json.JSONDecoder()


def _read_value(line: str, start: int) -> tuple[str, int]:
    """Return the value that begins there, and where the next pair does."""
    while line[start : start + 1] == " ":
        start += 1
    if line[start : start + 1] == '"':
        try:
            quoted: tuple[Any, int] = _DECODER.raw_decode(line, start)
        except ValueError:
            pass
        else:
            return str(quoted[0]), quoted[1]
    comma = line.find(",", start)
    end = len(line) if comma < 0 else comma
    return line[start:end].strip(), end + 1
