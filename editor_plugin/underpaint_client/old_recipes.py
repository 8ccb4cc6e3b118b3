"""Recipes of earlier formats, as today's are written."""

from __future__ import annotations

from typing import Any, Optional

from .parameters import nest
from .prompt_choices import escape_prompt
from .request import Request
from .typed_json import read_value, shorten
from .variations import Variation

_BY_REQUEST = (
    "mode", "negative_prompt", "strength", "steps", "compensate", "guidance_scale", "sampler",
    "model", "fit", "fill", "result",
)  # fmt: skip
"""What the request now holds, under the same names and with the same meaning."""

_FACTS = (
    "prompt", "seed", "width", "height", "strength_run", "steps_run", "schedule", "model_hash",
    "work_area", "work_size", "notes", "versions",
)  # fmt: skip
"""What the facts now hold."""

_SINCE_2: dict[str, Any] = {
    "variation_amount": 0.0, "variations": [], "chained": 0, "source_hash": "", "template": "",
}  # fmt: skip
"""What format 1 does not know."""

_FIRST_NESTED = 3

_CHANGED: dict[int, tuple[str, dict[str, Any]]] = {
    3: ("output", {"blend": "none"}),
    4: ("size", {"areas": "single"}),
}
"""What was so up to a format and is not by default today: its group, and its fields."""


def upgrade_recipe(found: dict[str, Any], written: int) -> dict[str, Any]:
    """Return a recipe of an earlier format as one of today's: its `request` and its `facts`.

    Raises
    ------
    ValueError
        A field is missing, or one that is used here is not of its type; the message names it.
    """
    if written < _FIRST_NESTED:
        found = _nest_recipe(found)
    request = found.get("request")
    if not isinstance(request, dict):
        return found  # for the reader of the fields to refuse
    for last, (group, values) in _CHANGED.items():
        fields = request.get(group, {})
        if written <= last and isinstance(fields, dict):
            request = {**request, group: {**fields, **values}}
    return {**found, "request": request}


def _nest_recipe(found: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe of format 1 or 2 with what it knows in groups, as from format 3 on."""
    missing = [name for name in (*_BY_REQUEST, "box", *_FACTS) if name not in found]
    if missing:
        raise ValueError(f"a recipe without {', '.join(missing)} cannot be read")
    found = {**_SINCE_2, **found}

    def read(name: str, kind: Any) -> Any:
        return read_value(f"the recipe's {name}", kind, found[name])

    variations = read("variations", tuple[Variation, ...])
    amount, chained, seed = read("variation_amount", float), read("chained", int), read("seed", int)
    box = read("box", Optional[tuple[int, ...]])
    if box is not None and len(box) != 2:
        raise ValueError(f"the recipe's box {shorten(box)} is not 2 whole numbers")
    template, prompt = read("template", str), read("prompt", str)
    width, height = box or (None, None)
    values = {
        **{name: found[name] for name in _BY_REQUEST},
        "prompt": template if chained and template else escape_prompt(prompt),
        "images": chained + 1,
        "chain": chained > 0,
        "width": width,
        "height": height,
        "variation_amount": amount,
        "variations": variations,
        "seed": seed,
    }
    if amount and variations:  # the last one is the image's own
        values["variations"] = variations[:-1]
        values["variation_seed"] = (variations[-1].seed - chained) % 2**32
    else:
        values["seed"] = (seed - chained) % 2**32
    facts = {name: found[name] for name in (*_FACTS, "variations", "source_hash")}
    return {"request": nest(Request, values), "facts": facts}
