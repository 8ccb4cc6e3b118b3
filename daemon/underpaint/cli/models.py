"""`underpaint models`: what models there are."""

from __future__ import annotations

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
from underpaint_client.printable import one_line

from .options import Parser
from .printing import say, show, show_json


def run_models(words: Sequence[str]) -> int:
    """List the models."""
    parser = Parser("models", "List the installed models.")
    parser.add_argument("--json", action="store_true", help="one JSON object per model")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read every file to check that none has changed; prints each model's SHA-256",
    )
    options = parser.read(words)
    if options.verify:
        return _verify()
    default = default_model()
    paths = list_models()
    for entry in list_entries():
        name = entry.name
        if entry.problem:
            say(f"underpaint: {entry.problem}")
            continue
        path = str(paths[name])
        if options.json:
            found = {"name": name, "family": entry.family, "native": entry.native, "path": path}
            show_json({**found, "default": name == default})
        else:
            mark = "  (default)" if name == default else ""
            show(f"{one_line(name)}: {entry.family}, {entry.native} pixels, {path}{mark}")
    if not paths:
        say(
            "no models yet, and this installation came without the starter model; put diffusers"
            f" folders into {model_folders()[0]}"
        )
    return 0


def _verify() -> int:
    """Hash all models again, and compare with what their sizes and times promise."""
    code = 0
    for entry in list_entries():
        if entry.problem:
            code = 3
            say(f"underpaint: {entry.problem}")
            continue
        info = describe_model(list_models()[entry.name])
        before = first_hash(info)
        now = hash_model(info, again=True)
        show(f"{now}  {one_line(entry.name)}")
        if before != now:
            code = 3
            say(
                f"underpaint: model {entry.name} has changed ({before[:8]}, now"
                f" {now[:8]}), though its files' sizes and times are the same: it is damaged or was"
                " tampered with; fetch it again"
            )
    return code
