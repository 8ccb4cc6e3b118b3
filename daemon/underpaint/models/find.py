"""Find models, and which of them a name means."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.rules import STARTER_MODEL
from underpaint_client.sentences import Listing, Sentence, sentence

from .describe import describe_model
from .facts import why_unusable
from .families import FLOWS
from .kinds import with_article
from .model_index import INDEX
from .other_tools import hub_cache
from .probes import MODEL
from .reading import expand_user
from .roots import Root, list_roots, used_roots
from .scanning import Scanned, scan
from .walking import find_snapshot

DEFAULT_VARIABLE = "UNDERPAINT_MODEL"
STARTER_FOLDER = Path(__file__).parents[1] / STARTER_MODEL
"""The model inside the package; a slim wheel comes without."""

_BUDGET = 0.3
"""Seconds to read headers of new files while someone waits; the others are read later."""


def model_folders() -> list[Path]:
    """Return the folders whose models are listed: `models` in Underpaint's home first.

    Then those of `$UNDERPAINT_MODELS`, a list separated as in `$PATH`, those of `config.toml`, and
    those of other tools that are used.
    """
    return [root.path for root in used_roots()]


def list_models() -> dict[str, Path]:
    """Return the models there are, by name: folders and files.

    The starter model comes last, if this installation has it. Folders are not opened: each that has
    a `model_index.json` counts as a model. Files that were not examined yet are listed too; what is
    known not to be a model is not.
    """
    return _paths(scan(seconds=_BUDGET, kind=MODEL))


def _paths(scanned: Iterable[Scanned]) -> dict[str, Path]:
    found = {one.found.name: one.found.path for one in scanned if one.is_model or one.is_unknown}
    if os.path.lexists(STARTER_FOLDER / INDEX):
        found.setdefault(STARTER_MODEL, STARTER_FOLDER)
    return found


def default_model() -> str:
    """Return the name of the default model; empty if there is none.

    `$UNDERPAINT_MODEL`, else the first that the artist has put into the model folders, in
    alphabetical order, else the starter model. Other tools' models are never the default.
    """
    chosen = os.environ.get(DEFAULT_VARIABLE)
    return chosen or _choose_default(scan(_own_roots(), seconds=_BUDGET, kind=MODEL))


def _own_roots() -> list[Root]:
    return [root for root in list_roots() if root.is_own]


def _choose_default(scanned: Iterable[Scanned]) -> str:
    """Return the name of the default model among those in the artist's own folders."""
    usable = [one for one in scanned if one.found.root.is_own and _is_usable(one)]
    names = sorted(_paths(usable), key=lambda name: (name == STARTER_MODEL, name))
    own = {one.found.name: one for one in usable if one.found.name != STARTER_MODEL}
    whole = next((name for name in names if name in own and _is_whole(own[name])), "")
    return whole or next(iter(names), "")


def _is_usable(one: Scanned) -> bool:
    return one.found.is_folder or (one.contents is not None and not why_unusable(one.contents))


def _is_whole(one: Scanned) -> bool:
    """Return whether a model has all its parts; most files of these families have the denoiser."""
    if one.contents is None or one.contents.family not in FLOWS:
        return True
    try:
        describe_model(one.found.path)
    except ModelUnavailableError:
        return False
    return True


def _real(path: Path) -> Path:
    """Follow all links; `Path.resolve` fails on links that lead to themselves."""
    return Path(os.path.realpath(path))


def find_model(name: str, *, allow_paths: bool = True) -> Path:
    """Find the folder or the file of a model.

    Parameters
    ----------
    name : str
        A name from `list_models`, its last part or with the ending of its file, the id of a
        repository in the Hugging Face Hub's cache, a path, or empty for the default model.
    allow_paths : bool
        Whether paths outside `model_folders` may be opened: not for requests from elsewhere.

    Raises
    ------
    ModelUnavailableError
        There is none, or it cannot be used. The message names the models that there are.
    """
    scanned = scan(seconds=_BUDGET)
    models = _paths(scanned)
    wanted = name or os.environ.get(DEFAULT_VARIABLE) or _choose_default(scanned)
    if not wanted:
        raise ModelUnavailableError(
            "there is no model yet, and this installation came without the starter model ({folder}"
            " is missing); put a model into {models}, name the path of one with --model, or"
            " install the full package",
            folder=STARTER_FOLDER,
            models=model_folders()[0],
        )
    named = pick_model(models, wanted)
    if named is not None:
        return named
    known = sentence(
        "models found: {models}; yours go to {folder}",
        models=name_some(models),
        folder=model_folders()[0],
    )
    for one in scanned:
        if one.found.name == wanted:
            raise ModelUnavailableError(one.problem or _no_model(one, known))
    path = _find_path(wanted, known, allow_paths=allow_paths)
    if path is not None:
        return path
    raise ModelUnavailableError(
        "model {model!r} is unknown; {known}, or name its path", model=wanted, known=known
    )


def _find_path(wanted: str, known: Sentence, *, allow_paths: bool) -> Path | None:
    """Return the path that is meant, or the folder of a repository that was downloaded."""
    path = Path(wanted)
    if allow_paths:  # others would learn which users there are
        path = expand_user(path)
    if not path.is_absolute() and len(path.parts) < 2:
        return None
    inside = any(_real(path).is_relative_to(_real(f)) for f in model_folders())
    if not (allow_paths or inside):
        raise ModelUnavailableError(
            "model {path!r} is a path outside the model folders, which only requests from this"
            " machine may open; {known}",
            path=wanted,
            known=known,
        )
    if path.exists():
        return path
    return find_in_hub(wanted) if allow_paths else None


def find_in_hub(repository: str) -> Path | None:
    """Return the folder of a repository in the Hugging Face Hub's cache, used or not."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository, re.ASCII):
        return None
    return find_snapshot(hub_cache() / f"models--{repository.replace('/', '--')}")


def pick_model(models: Mapping[str, Path], wanted: str) -> Path | None:
    """Return the model that a name means: its own, or one that only one model could have."""
    if wanted in models:
        return models[wanted]
    near = {path for one, path in models.items() if _is_called(one, path, wanted)}
    return near.pop() if len(near) == 1 else None


def _is_called(name: str, path: Path, wanted: str) -> bool:
    """Return whether a name that is not a model's own may mean it."""
    last = name.rpartition("/")[2]
    return wanted in (last, f"{name}{path.suffix}", f"{last}{path.suffix}")


_MOST_NAMED = 30


def name_some(models: Iterable[str]) -> Sentence:
    """Return the names of models for a message: all, or how many more there are."""
    names = sorted(models)
    more = len(names) - _MOST_NAMED
    if more > 0:
        shown = Listing(names[:_MOST_NAMED])
        return sentence("{names} and {more} more", names=shown, more=more)
    return sentence("{names}", names=Listing(names)) if names else sentence("none")


def _no_model(one: Scanned, known: Sentence) -> Sentence:
    kind = one.contents.kind if one.contents else ""
    if not kind:
        return sentence(
            "{file} is not a model, and nothing else that is known; {known}",
            file=one.found.path,
            known=known,
        )
    return sentence(
        "{file} is not a model but {kind}; {known}",
        file=one.found.path,
        kind=with_article(kind),
        known=known,
    )
