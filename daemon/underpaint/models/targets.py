"""Where a new model, or a part of one, goes in Underpaint's folder."""

from __future__ import annotations

import os
import re
from pathlib import Path

from underpaint_client.errors import BadInputError, ModelUnavailableError

from .architectures import COMPONENTS
from .files import WEIGHTS_NAMES
from .probes import read_contents

_PART_KINDS = ("VAE", "text encoder")
"""The names in `Contents.kind` of parts that models take from other files."""


def free_target(models: Path, name: str, like: str = "") -> Path:
    """Return where a model of a name goes.

    Parameters
    ----------
    models : Path
        The folder of models.
    name : str
        What to call it.
    like : str
        A file whose ending it gets, if it has none.

    Raises
    ------
    BadInputError
        The name cannot be used, or there is such a model.
    """
    odd = not name.isprintable() or name != name.strip() or re.search(r"[/\\:]", name)
    if not name or name.startswith(".") or odd:
        raise BadInputError(
            "{name!r} cannot be the name of a model; give one without / and : in it", name=name
        )
    ending = Path(like).suffix
    target = models / (name if name.endswith(ending) else f"{name}{ending}")
    if os.path.lexists(target):
        raise BadInputError(
            "there is {path} already; remove it, or give the new one a name with --name",
            path=target,
        )
    return target


def find_part(file: Path) -> str:
    """Return which part of a model a weight file is: `VAE` or `text encoder`; else empty."""
    try:
        kind = read_contents(file).kind
    except ModelUnavailableError:
        return ""
    return kind if kind in _PART_KINDS else ""


def choose_part_name(file: str, repository: str) -> str:
    """Return what to call the file of a part, so that models that lack it find it.

    Parameters
    ----------
    file : str
        The name of its file, with its ending.
    repository : str
        `OWNER/NAME`. Its name is used if the file's says nothing, as in the case of
        `diffusion_pytorch_model.safetensors`.
    """
    own = repository.rpartition("/")[2]
    if file.partition(".")[0] in WEIGHTS_NAMES.values() and _is_component(own):
        return f"{own}{Path(file).suffix}"
    return file


def find_names(kind: str, file: Path) -> list[str]:
    """Return the names that a part may have for models to find it; empty if it has one.

    Parameters
    ----------
    kind : str
        `VAE` or `text encoder`.
    file : Path
        Its file.
    """
    if _is_component(file.name, kind):
        return []
    return [one.names[0] for one in COMPONENTS.values() if kind in one.title]


def _is_component(name: str, kind: str = "") -> bool:
    return any(one.is_called(name) for one in COMPONENTS.values() if kind in one.title)
