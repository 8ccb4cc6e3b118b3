"""`underpaint ip-adapters`: what IP-Adapters there are, what they read by, and for which models."""

from __future__ import annotations

from collections.abc import Sequence

from underpaint.models.ip_adapter_list import ListedIpAdapter, list_ip_adapters
from underpaint.models.roots import ip_adapter_roots
from underpaint_client.descriptions import describe_bytes

from .additions import list_additions
from .models.listing import scan_with_counter
from .options import Parser

HELP = """List the IP-Adapters that are there, by which Stable Diffusion 1 and XL read reference
layers, the models that each fits, and the CLIP vision model that reads pictures for it."""

_HEADS = ("name", "for", "tokens", "reads by", "on disk", "where")


def run_ip_adapters(words: Sequence[str]) -> int:
    """List the IP-Adapters."""
    return list_additions(
        Parser("ip-adapters", HELP),
        words,
        ip_adapter_roots(),
        lambda roots: list_ip_adapters(scan_with_counter(roots)),
        _HEADS,
        _row,
        ListedIpAdapter,
    )


def _row(one: ListedIpAdapter) -> tuple[str, ...]:
    encoder = one.encoder.name if one.encoder else "no CLIP vision model that fits"
    return one.name, one.bases, str(one.facts.tokens), encoder, describe_bytes(one.size), one.root
