"""`underpaint models`: what models there are, and where they lie."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TextColumn

from underpaint.cli.options import Parser
from underpaint.cli.printing import say, show, show_json
from underpaint.models import (
    default_model,
    describe_model,
    first_hash,
    hash_model,
    list_entries,
    list_models,
    model_folders,
)
from underpaint.models.entries import ListedModel, describe_scanned
from underpaint.models.facts import family_facts
from underpaint.models.reading import is_folder
from underpaint.models.roots import Root, choose_root, find_problems, list_roots
from underpaint.models.scanning import Scanned, scan
from underpaint_client.descriptions import describe_bytes
from underpaint_client.printable import one_line

from .tables import show_table

HELP = """List the models that are there.

Subcommands, each with a --help of its own:
  underpaint models add FILE|FOLDER|ID   link to a model on this machine, or copy it
  underpaint models get ID               download a model from the Hugging Face Hub
  underpaint models suggest              some models to begin with"""


def run_list(words: Sequence[str]) -> int:
    """List the models, or the folders that they lie in."""
    parser = Parser("models", HELP)
    parser.add_argument("--json", action="store_true", help="one JSON object per model or folder")
    parser.add_argument(
        "--where", action="store_true", help="list the folders, and those of other tools"
    )
    parser.add_argument("--use", metavar="NAME", help="list another tool's models too; see --where")
    parser.add_argument("--ignore", metavar="NAME", help="do not list another tool's models")
    parser.add_argument(
        "--verify",
        action="store_true",
        help="read every file, and see that none changed unseen; prints each model's SHA-256",
    )
    options = parser.read(words)
    if options.verify:
        return _verify()
    for name, use in ((options.use, True), (options.ignore, False)):
        for root in choose_root(name, use=use) if name else ():
            say(f"{name}: {'used' if use else 'ignored'}, {root.path}")
    if not (options.use or options.ignore or options.json):
        _ask_about_tools(list_roots())
    scanned = scan_with_counter()
    if options.where:
        _show_roots(scanned, as_json=options.json)
    elif not (options.use or options.ignore) or options.json:
        _show_models(describe_scanned(scanned), as_json=options.json)
    return 0


def scan_with_counter(roots: Sequence[Root] | None = None) -> list[Scanned]:
    """Return `scan(roots)`; on a terminal, count the files that are read for the first time."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return scan(roots)
    columns = (TextColumn("{task.description}"), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("Looking into new files", total=None)
        return scan(roots, tell=lambda done, of: bar.update(task, completed=done, total=of))


def _ask_about_tools(roots: list[Root]) -> None:
    """Ask once for each tool whose folders were found; where nobody can answer, say how to."""
    found: dict[str, list[Path]] = {}
    for root in roots:
        if root.state == "new":
            found.setdefault(root.name, []).append(root.path)
    ask = sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
    for name, paths in found.items():
        places = ", ".join(map(str, paths))
        if not ask:
            say(f"note: models of {name} may be in {places}; `underpaint models --use {name}`"
                f" lists them, --ignore {name} ends this note")  # fmt: skip
            continue
        say(f"Models of {name} may be in {places}. List them too? They are only read. [Y/n]")
        answer = sys.stdin.readline()
        if not answer:  # nobody answers: ask again next time
            return
        choose_root(name, use=answer.strip().lower() in ("", "y", "yes"))


def _show_models(models: Sequence[ListedModel], *, as_json: bool) -> None:
    default = default_model()
    if as_json:
        for one in models:
            show_json({**asdict(one), "default": one.name == default})
        return
    usable = [one for one in models if not one.problem]
    if usable:
        show_table(
            ("name", "family", "for", "native", "precision", "on disk", "memory", "form", "where"),
            [_row(one, default) for one in usable],
        )
    for one in models:
        if one.problem:
            say(f"underpaint: {one.problem}")
    if not models:
        say(
            "no models yet, and this installation came without the starter model; put models"
            f" into {model_folders()[0]}, or see `underpaint models suggest`"
        )


def _row(one: ListedModel, default: str) -> tuple[str, ...]:
    purpose = one.purpose or "plain"
    if one.prediction == "v_prediction":
        purpose += ", v-prediction"
    if one.recommended.few_steps:
        purpose += f", {one.steps} steps"
    return (
        one.name + (" (default)" if one.name == default else ""),
        family_facts(one.family, one.variant).title,
        purpose,
        f"{one.native}" if one.native else "",
        one.precision,
        describe_bytes(one.size),
        describe_bytes(one.memory),
        one.form,
        one.root,
    )


def _show_roots(scanned: list[Scanned], *, as_json: bool) -> None:
    models = Counter(one.found.root for one in scanned if one.is_model)
    files = Counter(one.found.root for one in scanned)
    roots = list_roots()
    for problem in find_problems():
        say(f"note: {problem}")
    if as_json:
        for root in roots:
            found = {"name": root.name, "path": str(root.path), "state": root.state}
            show_json({**found, "models": models[root], "files": files[root]})
        return
    rows = [
        (
            root.name,
            root.state if is_folder(root.path) else "not there",
            str(models[root]) if root.state == "used" else "",
            str(files[root] - models[root]) if root.state == "used" else "",
            str(root.path),
        )
        for root in roots
    ]
    show_table(("name", "state", "models", "others", "folder"), rows)
    for name in dict.fromkeys(root.name for root in roots if root.state == "new"):
        say(f"`underpaint models --use {name}` lists its models too; --ignore {name} does not")


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
                f"underpaint: model {entry.name} has other content than before ({before[:8]}, now"
                f" {now[:8]}), though its files' sizes and times are the same: it is damaged or was"
                " tampered with; fetch it again"
            )
    return code
