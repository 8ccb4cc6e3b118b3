"""Settings as InvokeAI writes them: JSON, in two forms."""

from __future__ import annotations

import re
from typing import Any

from .found_settings import FoundSettings, Settings, parse_object
from .prompt_choices import escape_prompt
from .request import MAX_PROMPT

_NAMES = {
    "width": "width", "height": "height", "seed": "seed", "steps": "steps",
    "cfg_scale": "guidance_scale",
}  # fmt: skip
_USED = (
    *_NAMES, "positive_prompt", "negative_prompt", "scheduler", "model", "loras", "strength",
    "clip_skip", "guidance", "generation_mode",
)  # fmt: skip
_NOT_MISSED = (
    "app_version", "rand_device", "vae", "canvas_v2_metadata", "ref_images",
    "positive_style_prompt", "negative_style_prompt", "cfg_rescale_multiplier",
    "seamless_x", "seamless_y",
)  # fmt: skip

_MOST_LORAS = 100


def parse_invoke(text: str) -> FoundSettings | None:
    """Return the settings of today's InvokeAI; None if there are none.

    Raises
    ------
    ValueError
        It is no JSON object.
    """
    found = parse_object(text)
    if "positive_prompt" not in found and "steps" not in found:
        return None
    settings = Settings("InvokeAI")
    for name in ("prompt", "negative_prompt"):
        written = found.get("positive_prompt" if name == "prompt" else name)
        settings.values[name] = ""
        settings.add(name, _translate(written))
    for theirs, ours in _NAMES.items():
        settings.add(ours, found.get(theirs))
    if found.get("guidance") is not None:  # of FLUX, whose cfg_scale is 1
        settings.add("guidance_scale", found["guidance"])
    settings.add_sampler(found.get("scheduler"))
    if "img2img" in str(found.get("generation_mode")) or found.get("strength") is not None:
        settings.add("strength", found.get("strength"))
    skip = found.get("clip_skip")
    if type(skip) is int and skip > 0:  # it counts the layers that are left out
        settings.add("clip_skip", skip + 1)
    settings.add_model(*_name_and_hash(found.get("model")))
    loras = found.get("loras")
    for one in loras[:_MOST_LORAS] if isinstance(loras, list) else ():
        lora = one if isinstance(one, dict) else {}
        name, _ = _name_and_hash(lora.get("model") or lora.get("lora"))
        settings.add_lora(name, lora.get("weight", 1.0))
    for key, value in found.items():
        if (
            key not in _USED
            and key not in _NOT_MISSED
            and value not in (None, [], {}, False, 0, "")
        ):
            settings.note_unused(key.replace("_", " "), value)
    return settings.found()


def _name_and_hash(found: Any) -> tuple[str, str]:
    """Return the name and SHA-256 of a model as any version of InvokeAI describes it."""
    if not isinstance(found, dict):
        return (found, "") if isinstance(found, str) else ("", "")
    name = found.get("name") or found.get("model_name")
    digest = found.get("hash")
    is_sha = isinstance(digest, str) and digest.startswith("sha256:")
    return str(name or ""), str(digest).partition(":")[2] if is_sha else ""


def parse_old_invoke(text: str) -> FoundSettings | None:
    """Return the settings of InvokeAI until 2.3; None if there are none.

    Raises
    ------
    ValueError
        It is no JSON object.
    """
    found = parse_object(text)
    image = found.get("image")
    if not isinstance(image, dict):
        return None
    settings = Settings("InvokeAI")
    written = image.get("prompt")
    if isinstance(written, list):
        parts = [one.get("prompt") for one in written if isinstance(one, dict)]
        written = " ".join(one for one in parts if isinstance(one, str))
    prompt = written if isinstance(written, str) else ""
    negative = ", ".join(re.findall(r"\[([^\[\]]*)\]", prompt))
    settings.values.update(prompt="", negative_prompt="")
    settings.add("prompt", _translate(re.sub(r"\[[^\[\]]*\]", "", prompt).strip()))
    settings.add("negative_prompt", _translate(negative))
    for theirs, ours in _NAMES.items():
        settings.add(ours, image.get(theirs))
    settings.add_sampler(image.get("sampler"))
    if image.get("type") == "img2img":
        settings.add("strength", image.get("strength"))
    settings.add_model(found.get("model_weights"), found.get("model_hash"))
    for key in (
        "variations",
        "facetool",
        "upscale",
        "threshold",
        "perlin",
        "seamless",
        "postprocessing",
    ):
        if image.get(key):
            settings.note_unused(key, image[key])
    return settings.found()


# ---- the prompt ----------------------------------------------------------------------------

_STEP = {"+": 1.1, "-": 0.9}
_WEIGHED = re.compile(
    r"\((?P<inner>[^()\\]{1,2000})\)(?P<weight>\d+(?:\.\d+)?|\++|-+)"
    r"|(?P<word>[\w']{1,100})(?P<sign>\++|-+)(?=[\s,.)]|$)"
)


def _translate(prompt: Any) -> Any:
    """Return a prompt in our language: `(words)1.2` and `word++` as `(words:1.2)`, `(word:1.21)`.

    Brackets without a weight weigh nothing there. What is no prompt stays as it is.
    """
    if not isinstance(prompt, str) or len(prompt) > MAX_PROMPT:
        return prompt
    kept: list[str] = []

    def weigh(found: re.Match[str]) -> str:
        words, how = found["inner"] or found["word"], found["weight"] or found["sign"]
        factor = _STEP[how[0]] ** min(len(how), 20) if how[0] in _STEP else float(how)
        kept.append(f"({words}:{factor:.4g})")
        return f"\0{len(kept) - 1}\0"

    text = _WEIGHED.sub(weigh, prompt.replace("\0", ""))
    text = re.sub(r"(?<!\\)[\[\]()]", r"\\\g<0>", text)
    return re.sub(r"\0(\d+)\0", lambda one: kept[int(one[1])], escape_prompt(text))
