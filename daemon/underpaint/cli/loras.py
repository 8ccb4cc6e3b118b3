"""`underpaint loras`: what LoRAs there are, and for which models."""

from __future__ import annotations

from collections.abc import Sequence

from underpaint.models.lora_list import ListedLora, list_loras
from underpaint.models.roots import lora_roots
from underpaint_client.descriptions import describe_bytes

from .additions import list_additions
from .models.listing import scan_with_counter
from .options import Parser

HELP = """List the LoRAs that are there, and the models that each fits, by its header."""

_HEADS = ("name", "kind", "for", "rank", "on disk", "trigger words", "where")


def run_loras(words: Sequence[str]) -> int:
    """List the LoRAs."""
    return list_additions(
        Parser("loras", HELP),
        words,
        lora_roots(),
        lambda roots: list_loras(scan_with_counter(roots)),
        _HEADS,
        _row,
        ListedLora,
    )


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
