"""`underpaint models`: what models there are."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from underpaint.models import default_model, describe_model, list_models, model_folders
from underpaint_client.errors import ModelUnavailableError

from .options import Parser


def run_models(words: Sequence[str]) -> int:
    """List the models."""
    parser = Parser("models", "List the models that are there.")
    parser.add_argument("--json", action="store_true", help="one JSON object per model")
    options = parser.read(words)
    default = default_model()
    for name, path in sorted(list_models().items()):
        try:
            info = describe_model(path)
        except ModelUnavailableError as error:
            print(f"underpaint: {error}", file=sys.stderr)
            continue
        if options.json:
            found = {"name": name, "family": info.family, "native": info.native, "path": str(path)}
            print(json.dumps({**found, "default": name == default}))
        else:
            mark = "  (default)" if name == default else ""
            print(f"{name}: {info.family}, {info.native} pixels, {path}{mark}")
    if not list_models():
        print(
            "no models yet, and this installation came without the starter model; put diffusers"
            f" folders into {model_folders()[0]}",
            file=sys.stderr,
        )
    return 0
