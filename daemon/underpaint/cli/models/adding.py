"""`underpaint models add | get | suggest`: more models for Underpaint's folder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from underpaint.cli.options import Parser
from underpaint.cli.printing import say, show, show_json, show_path
from underpaint.models.adding import add_model
from underpaint.models.downloading import (
    RemoteModel,
    check_file,
    check_space,
    download,
    find_downloaded,
    look_up,
    split_id,
)
from underpaint.models.hub_files import PRECISIONS, RemoteFile
from underpaint.models.probes import MODEL
from underpaint.models.scanning import contents_of
from underpaint.models.suggestions import find_memory, suggest_models
from underpaint.models.targets import find_names, find_part
from underpaint.models.walking import SIDECAR
from underpaint_client.descriptions import describe_bytes
from underpaint_client.errors import BadInputError, CancelledError
from underpaint_client.printable import one_line

from .tables import show_table


def run_add(words: Sequence[str]) -> int:
    """Link to a model, or copy it."""
    parser = Parser("models add", "Put a model of this machine into Underpaint's folder.")
    parser.add_argument(
        "model", help="a file, a folder in the diffusers format, or the id of a downloaded model"
    )
    parser.add_argument("--name", default="", help="what to call it")
    parser.add_argument(
        "--copy", action="store_true", help="copy it; without this, it is only linked to"
    )
    options = parser.read(words)
    show_path(add_model(options.model, options.name, copy=options.copy))
    return 0


def run_get(words: Sequence[str]) -> int:
    """Download a model."""
    parser = Parser(
        "models get",
        "Download a model from the Hugging Face Hub. A download that was interrupted goes on when"
        " the same\ncommand is given again. For a gated model, log in first: hf auth login",
    )
    parser.add_argument("model", help="OWNER/NAME, OWNER/NAME/FILE, or the address of its page")
    parser.add_argument(
        "--file", action="append", default=[], metavar="NAME",
        help="only this file of it, such as a VAE or a text encoder; may be given several times",
    )  # fmt: skip
    parser.add_argument("--name", default="", help="what to call it")
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="",
        help="which variant of the weights; without this, the smallest that is there",
    )  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="do not ask")
    options = parser.read(words)
    repository, file = split_id(options.model)
    files = list(dict.fromkeys([*filter(None, [file]), *map(check_file, options.file)]))
    if options.name and len(files) > 1:
        raise BadInputError(
            "--name is for one file; get the files one by one, each with its --name"
        )
    models = [look_up(repository, one, options.precision) for one in files or [""]]
    # given again after an interruption: those that are there are not in the way of the others
    there = {model: find_downloaded(model) for model in models} if len(models) > 1 else {}
    wanted = [model for model in models if not there.get(model)]
    for model in models:
        _describe(model)
    if wanted:
        check_space(wanted)
    if not options.yes:
        _ask()
    _show_bars(shown=sys.stderr.isatty())
    for model in models:
        path = there.get(model) or download(model, options.name, _tell(model))
        _check_kind(path, model)
        show_path(path)
    return 0


def _describe(model: RemoteModel) -> None:
    what = f"{len(model.files)} files" if model.is_folder else model.files[0].path
    say(f"{model.repository}: {what}, {describe_bytes(model.size)}")
    say(f"licence: {one_line(model.licence) or 'not given'}; its terms are on {model.page}")


def _ask() -> None:
    if not (sys.stdin is not None and sys.stdin.isatty()):
        raise BadInputError("nobody can be asked whether to download that; say so with --yes")
    say("Download it? [y/N]")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CancelledError("not downloaded")


def _show_bars(*, shown: bool) -> None:
    # slow to import, and only needed here
    from huggingface_hub.utils.tqdm import (  # noqa: PLC0415
        disable_progress_bars,
        enable_progress_bars,
    )

    if shown:
        enable_progress_bars()
    else:
        disable_progress_bars()


def _tell(model: RemoteModel) -> Callable[[RemoteFile, int], None]:
    def tell(file: RemoteFile, number: int) -> None:
        count = f"{number + 1} of {len(model.files)}"
        say(f"{count}: {one_line(file.path)}, {describe_bytes(file.size)}")

    return tell


def _check_kind(path: Path, model: RemoteModel) -> None:
    """Say what was downloaded, if it is not a model that can be used."""
    if model.is_folder:
        return
    kind = contents_of(path).kind
    if find_part(path):
        _say_use(path, kind)
    elif kind != MODEL:
        say(f"note: {path} is not a model to paint with: {kind or 'its kind is not known'}")


def _say_use(path: Path, kind: str) -> None:
    """Say how models find a part, or what to call it so that they do."""
    names = find_names(kind, path)
    if names:
        say(
            f"note: {path} is a {kind}, and no model finds it by this name; call it"
            f" {' or '.join(names)} (--name), or name it in the model's NAME{SIDECAR}"
        )
    else:
        say(f"{path} is a {kind}; models that lack it find it by its name")


def run_suggest(words: Sequence[str]) -> int:
    """List some models to begin with, and whether they fit this machine."""
    parser = Parser("models suggest", "List some models to begin with.")
    parser.add_argument("--json", action="store_true", help="one JSON object per model")
    options = parser.read(words)
    memory = find_memory()
    suggestions = suggest_models()
    if options.json:
        for one in suggestions:
            show_json({**asdict(one), "fits": one.memory * 1e9 <= memory.size})
        return 0
    show(f"This machine has {describe_bytes(memory.size)}: {memory.what}.")
    show_table(
        ("id", "for", "to download", "memory", "licence", "here"),
        [
            (
                one.id,
                one.purpose,
                f"{one.size:.1f} GB",
                f"{one.memory:.1f} GB",
                one.licence,
                "fits" if one.memory * 1e9 <= memory.size else "slower",
            )
            for one in suggestions
        ],
    )
    show("`underpaint models get ID` downloads one.")
    return 0
