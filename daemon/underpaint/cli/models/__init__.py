"""`underpaint models`: list, add, download and suggest models."""

from __future__ import annotations

from collections.abc import Sequence

from .adding import run_add, run_get, run_suggest
from .listing import run_list

_SUBCOMMANDS = {"add": run_add, "get": run_get, "suggest": run_suggest}


def run_models(words: Sequence[str]) -> int:
    """Run the subcommand that is named, or list the models."""
    if words and words[0] in _SUBCOMMANDS:
        return _SUBCOMMANDS[words[0]](words[1:])
    return run_list(words)


__all__ = ["run_models"]
