"""`underpaint controlnets`: what ControlNets there are, what they read, and for which models."""

from __future__ import annotations

from collections.abc import Sequence

from underpaint.models.controlnet_list import ListedControlNet, list_controlnets
from underpaint.models.roots import controlnet_roots
from underpaint_client.descriptions import describe_bytes

from .additions import list_additions
from .models.listing import scan_with_counter
from .options import Parser

HELP = """List the ControlNets that are there, the kinds of control layers that each reads, and the
models that it fits."""

_HEADS = ("name", "reads", "for", "on disk", "where")


def run_controlnets(words: Sequence[str]) -> int:
    """List the ControlNets."""
    return list_additions(
        Parser("controlnets", HELP),
        words,
        controlnet_roots(),
        lambda roots: list_controlnets(scan_with_counter(roots)),
        _HEADS,
        _row,
        ListedControlNet,
    )


def _row(one: ListedControlNet) -> tuple[str, ...]:
    reads = ", ".join(one.reads) or "not told by its name"
    return one.name, reads, one.bases, describe_bytes(one.size), one.root
