"""Where models lie, and which one a name means."""

from __future__ import annotations

import os
from pathlib import Path

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.home import home
from underpaint_client.rules import STARTER_MODEL

from .files import INDEX

FOLDERS_VARIABLE = "UNDERPAINT_MODELS"
DEFAULT_VARIABLE = "UNDERPAINT_MODEL"
STARTER_FOLDER = Path(__file__).parents[1] / STARTER_MODEL
"""The model inside the package; a slim wheel comes without."""


def model_folders() -> list[Path]:
    """Return the folders of models: `models` in Underpaint's home, then `$UNDERPAINT_MODELS`.

    The variable is a list of folders, separated as in `$PATH`.
    """
    more = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    return [home() / "models", *(_expanded(Path(folder)) for folder in more if folder)]


def _expanded(path: Path) -> Path:
    """Return a path with `~` and `~user` replaced; as it is where there is no such user."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def list_models() -> dict[str, Path]:
    """Return the models there are, by name; of two with one name, the one found first.

    The starter model comes last, where this installation has it. Nothing is opened: a folder that
    has a `model_index.json` is taken for a model, whatever that is.
    """
    found: dict[str, Path] = {}
    for folder in model_folders():
        for path in _look_into(folder):
            if _has_index(path) and _is_text(path.name):
                found.setdefault(path.name, path)
    if _has_index(STARTER_FOLDER):
        found.setdefault(STARTER_MODEL, STARTER_FOLDER)
    return found


def list_unreadable() -> dict[str, str]:
    """Return what lies in the model folders and cannot be looked at: the reasons, by name."""
    found: dict[str, str] = {}
    for folder in model_folders():
        for path in _look_into(folder):
            if not _is_text(path.name):
                shown = path.name.encode("utf-8", "backslashreplace").decode()
                if _has_index(path):
                    found[shown] = f"model {folder}/{shown} has a name that is no UTF-8; rename it"
            elif reason := _unreadable(path):
                found[path.name] = f"{path} cannot be looked at ({reason}); mend or remove it"
    return found


def _look_into(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _has_index(path: Path) -> bool:
    """Return whether a folder names itself a model; a link that is broken counts, as damage."""
    try:
        (path / INDEX).lstat()
    except OSError:
        return False
    return True


def _unreadable(path: Path) -> str:
    """Return why an entry cannot be looked at; empty where it can."""
    try:
        path.stat()
        (path / INDEX).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return "a link to what is not there" if path.is_symlink() and not path.exists() else ""
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _is_text(name: str) -> bool:
    """Return whether a name can be sent: POSIX allows any bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def default_model() -> str:
    """Return the name of the model that is taken when none is asked for; empty where there is none.

    `$UNDERPAINT_MODEL`, else the first that the artist has put into the model folders, in
    alphabetical order, else the starter model.
    """
    chosen = os.environ.get(DEFAULT_VARIABLE)
    return chosen or min(list_models(), key=lambda name: (name == STARTER_MODEL, name), default="")


def _real(path: Path) -> Path:
    """Follow all links; `Path.resolve` fails on links that lead to themselves."""
    return Path(os.path.realpath(path))


def find_model(name: str, *, allow_paths: bool = True) -> Path:
    """Find the folder of a model.

    Parameters
    ----------
    name : str
        A name from `list_models`, the path of a folder, or empty for the default model.
    allow_paths : bool
        Whether paths outside `model_folders` may be opened: not for requests from elsewhere.

    Raises
    ------
    ModelUnavailableError
        Says where was looked and which models there are.
    """
    models = list_models()
    wanted = name or default_model()
    if not wanted:
        raise ModelUnavailableError(
            "there is no model yet, and this installation came without the starter model"
            f" ({STARTER_FOLDER} is missing); put a diffusers folder into {model_folders()[0]},"
            " name the path of one with --model, or install the full package"
        )
    if wanted in models:
        return models[wanted]
    path = Path(wanted)
    if allow_paths:  # others would learn which users there are
        path = _expanded(path)
    known = f"models found: {', '.join(sorted(models)) or 'none'}; yours go to {model_folders()[0]}"
    if path.is_absolute() or len(path.parts) > 1:
        inside = any(_real(path).is_relative_to(_real(f)) for f in model_folders())
        if not (allow_paths or inside):
            raise ModelUnavailableError(
                f"model {name!r} is a path outside the model folders, which only requests from"
                f" this machine may open; {known}"
            )
        if path.exists():
            return path
    raise ModelUnavailableError(f"model {wanted!r} is unknown; {known}, or name a folder's path")
