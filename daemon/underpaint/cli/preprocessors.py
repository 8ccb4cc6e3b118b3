"""`underpaint preprocessors`: which models make pictures of control layers, and of which kinds."""

from __future__ import annotations

from collections.abc import Sequence

from underpaint.models.preprocessors import DETECTOR, ListedPreprocessor, list_preprocessors
from underpaint.models.roots import preprocessor_roots
from underpaint_client.descriptions import describe_bytes

from .additions import list_additions
from .models.listing import scan_with_counter
from .options import Parser

HELP = """List the preprocessors that are there, models that make the picture of a control layer
from any picture, and the kinds that each computes. Canny edges and blur need none."""

_HEADS = ("name", "computes", "on disk", "where")


def run_preprocessors(words: Sequence[str]) -> int:
    """List the preprocessors."""
    return list_additions(
        Parser("preprocessors", HELP),
        words,
        preprocessor_roots(),
        lambda roots: list_preprocessors(scan_with_counter(roots)),
        _HEADS,
        _row,
        ListedPreprocessor,
    )


def _row(one: ListedPreprocessor) -> tuple[str, ...]:
    computes = ", ".join(one.computes)
    if one.kind == DETECTOR:
        computes = "finds people, for pose"
    return one.name, computes, describe_bytes(one.size), one.root
