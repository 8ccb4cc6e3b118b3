"""Where models lie, and which one a name means."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.home import home
from underpaint_client.rules import STARTER_MODEL

FOLDERS_VARIABLE = "UNDERPAINT_MODELS"
DEFAULT_VARIABLE = "UNDERPAINT_MODEL"
STARTER_FOLDER = Path(__file__).parents[1] / STARTER_MODEL
"""The model inside the package; a slim wheel comes without."""


def model_folders() -> list[Path]:
    """Give the folders that hold models: `models` in Underpaint's home, then `$UNDERPAINT_MODELS`.

    The variable is a list of folders, separated as in `$PATH`.
    """
    more = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    return [home() / "models", *(Path(folder).expanduser() for folder in more if folder)]


def list_models() -> dict[str, Path]:
    """Give the models there are, by name; of two with one name, the one found first.

    The starter model comes last, where this installation has it.
    """
    found: dict[str, Path] = {}
    for folder in model_folders():
        for index in sorted(folder.glob("*/model_index.json")):
            found.setdefault(index.parent.name, index.parent)
    if (STARTER_FOLDER / "model_index.json").is_file():
        found.setdefault(STARTER_MODEL, STARTER_FOLDER)
    return found


def default_model() -> str:
    """Give the name of the model that is taken when none is asked for; empty where there is none.

    `$UNDERPAINT_MODEL`, else the first that the artist has put into the model folders, in
    alphabetical order, else the starter model.
    """
    chosen = os.environ.get(DEFAULT_VARIABLE)
    return chosen or min(list_models(), key=lambda name: (name == STARTER_MODEL, name), default="")


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
        with contextlib.suppress(RuntimeError):  # there is none of that name
            path = path.expanduser()
    known = f"models found: {', '.join(sorted(models)) or 'none'}; yours go to {model_folders()[0]}"
    if path.is_absolute() or len(path.parts) > 1:
        inside = any(path.resolve().is_relative_to(f.resolve()) for f in model_folders())
        if not (allow_paths or inside):
            raise ModelUnavailableError(
                f"model {name!r} is a path outside the model folders, which only requests from"
                f" this machine may open; {known}"
            )
        if path.exists():
            return path
    raise ModelUnavailableError(f"model {wanted!r} is unknown; {known}, or name a folder's path")
