"""`underpaint models`: what models there are."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from underpaint.models import default_model, list_entries, list_models, model_folders

from .options import Parser


def run_models(words: Sequence[str]) -> int:
    """List the models."""
    parser = Parser("models", "List the models that are there.")
    parser.add_argument("--json", action="store_true", help="one JSON object per model")
    options = parser.read(words)
    default = default_model()
    paths = list_models()
    for entry in list_entries():
        name, path = entry.name, str(paths[entry.name])
        if entry.problem:
            print(f"underpaint: {entry.problem}", file=sys.stderr)
        elif options.json:
            found = {"name": name, "family": entry.family, "native": entry.native, "path": path}
            print(json.dumps({**found, "default": name == default}))
        else:
            mark = "  (default)" if name == default else ""
            print(f"{name}: {entry.family}, {entry.native} pixels, {path}{mark}")
    if not paths:
        print(
            "no models yet, and this installation came without the starter model; put diffusers"
            f" folders into {model_folders()[0]}",
            file=sys.stderr,
        )
    return 0
