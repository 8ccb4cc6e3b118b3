"""`underpaint loras`: what LoRAs there are, and for which models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from underpaint.models import find_model
from underpaint.models.entries import describe_all
from underpaint.models.lora_list import ListedLora, list_loras
from underpaint.models.roots import lora_roots
from underpaint_client.descriptions import describe_bytes

from .models.listing import scan_with_counter
from .models.tables import show_table
from .options import Parser
from .printing import say, show_json

HELP = """List the LoRAs that are there, and the models that each fits, by its header."""


_UNSHOWN = ("facts", "reason", "damage", "stamp")


def run_loras(words: Sequence[str]) -> int:
    """List the LoRAs."""
    parser = Parser("loras", HELP)
    parser.add_argument("--json", action="store_true", help="one JSON object per LoRA")
    parser.add_argument("--model", metavar="NAME", help="list only those that may fit this model")
    options = parser.read(words)
    roots = lora_roots()
    found = list_loras(scan_with_counter(roots))
    fitting = _that_fit(found, options.model) if options.model else found
    if options.json:
        for one in fitting:
            facts = {**asdict(one.facts), "problem": one.problem}
            rest = {n: value for n, value in asdict(one).items() if n not in _UNSHOWN}
            show_json({**rest, **facts})
        return 0
    usable = [one for one in fitting if not one.problem]
    if usable:
        heads = ("name", "kind", "for", "rank", "on disk", "trigger words", "where")
        show_table(heads, [_row(one) for one in usable])
    for one in fitting:
        if one.problem:
            say(f"underpaint: {one.problem}")
    if not found:
        say(f"no LoRAs yet; put them into {roots[0].path}")
    elif not fitting:
        say(f"none of {len(found)} LoRAs fits {options.model}")
    return 0


def _that_fit(loras: Sequence[ListedLora], model: str) -> list[ListedLora]:
    path = str(find_model(model))
    told = next((one for one in describe_all() if one.path == path), None)
    if told is None or not told.family:
        return list(loras)
    return [one for one in loras if one.facts.fits(told.family, told.variant)]


def _row(one: ListedLora) -> tuple[str, ...]:
    return (
        one.name,
        one.kind,
        one.bases,
        str(one.facts.rank or ""),
        describe_bytes(one.size),
        ", ".join(one.facts.trigger_words),
        one.root,
    )
