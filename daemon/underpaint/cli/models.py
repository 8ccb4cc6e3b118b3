"""`underpaint models`: what models there are."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from underpaint.models import (
    default_model,
    describe_model,
    first_hash,
    hash_model,
    list_entries,
    list_models,
    model_folders,
)

from .options import Parser


def run_models(words: Sequence[str]) -> int:
    """List the models."""
    parser = Parser("models", "List the models that are there.")
    parser.add_argument("--json", action="store_true", help="one JSON object per model")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read every file, and see that none changed unseen; prints each model's SHA-256",
    )
    options = parser.read(words)
    if options.verify:
        return _verify()
    default = default_model()
    paths = list_models()
    for entry in list_entries():
        name = entry.name
        if entry.problem:
            print(f"underpaint: {entry.problem}", file=sys.stderr)
            continue
        path = str(paths[name])
        if options.json:
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


def _verify() -> int:
    """Hash all models again, and compare with what their sizes and times promise."""
    code = 0
    for entry in list_entries():
        if entry.problem:
            code = 3
            print(f"underpaint: {entry.problem}", file=sys.stderr)
            continue
        info = describe_model(list_models()[entry.name])
        before = first_hash(info)
        now = hash_model(info, again=True)
        print(f"{now}  {entry.name}")
        if before != now:
            code = 3
            print(
                f"underpaint: model {entry.name} has other content than before ({before[:8]}, now"
                f" {now[:8]}), though its files' sizes and times are the same: it is damaged or was"
                " tampered with; fetch it again",
                file=sys.stderr,
            )
    return code
