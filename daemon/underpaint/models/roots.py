"""The folders that models lie in: Underpaint's own, those that are configured, and other tools'.

Other tools' folders are looked for where their installers put them. Each is used only after its
user has said so once (`underpaint models --use NAME`, or the question that `underpaint models` asks
on a terminal), and is only read, never written.
"""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from underpaint_client.errors import BadInputError, UnderpaintError
from underpaint_client.home import home, make_folder, read_trusted, write_private

from .other_tools import HUB, find_tools
from .reading import expand_user

FOLDERS_VARIABLE = "UNDERPAINT_MODELS"


@dataclass(frozen=True)
class Root:
    """A folder of models.

    Parameters
    ----------
    name : str
        `underpaint`, `UNDERPAINT_MODELS`, `config.toml`, or another tool's.
    path : Path
        The folder; it may not be there.
    is_own : bool
        Whether its user named it to Underpaint: its models may become the default.
    is_hub : bool
        Whether it is laid out as the Hugging Face Hub's cache.
    state : str
        `used`, `ignored`, or `new`: found, and its user has not said yet whether to use it.
    """

    name: str
    path: Path
    is_own: bool = False
    is_hub: bool = False
    state: str = "used"


def list_roots() -> list[Root]:
    """Return every folder of models, used or not, those that come first in a search first."""
    more = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    named = [("underpaint", home() / "models")]
    named += [(FOLDERS_VARIABLE, expand_user(Path(one))) for one in more if one]
    named += [("config.toml", expand_user(Path(one))) for one in _configured()]
    roots = [Root(name, path, is_own=True) for name, path in named]
    chosen = _read_choices()
    for name, path in find_tools():
        if not any(_same(path, root.path) for root in roots):
            state = chosen.get(name, "new")
            roots.append(Root(name, path, is_hub=name == HUB, state=state))
    return roots


def used_roots() -> list[Root]:
    """Return the folders whose models are listed."""
    return [root for root in list_roots() if root.state == "used"]


def choose_root(name: str, *, use: bool) -> list[Root]:
    """Remember whether another tool's folders are used, and return them.

    Parameters
    ----------
    name : str
        As `list_roots` calls them; several folders of one tool have one name.
    use : bool

    Raises
    ------
    BadInputError
        There is no such tool here.
    """
    tools = [root for root in list_roots() if not root.is_own]
    found = [root for root in tools if root.name == name]
    if not found:
        known = ", ".join(dict.fromkeys(root.name for root in tools))
        raise BadInputError(
            f"{name!r} is no folder that was found; there is {known or 'none of another tool'}."
            " A folder elsewhere: name it in config.toml, [models] folders = [...]"
        )
    choices = {**_read_choices(), name: "used" if use else "ignored"}
    make_folder(home())
    write_private(_choices_file(), json.dumps(choices, indent=1))
    return found


def _configured() -> list[str]:
    """Return `[models] folders` of config.toml; what is wrong there `underpaint serve` says."""
    try:
        found = tomllib.loads(read_trusted(home() / "config.toml"))["models"]["folders"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, UnderpaintError):
        return []
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _choices_file() -> Path:
    return home() / "model-folders.json"


def _read_choices() -> dict[str, str]:
    try:
        found = json.loads(_choices_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: state for name, state in found.items() if state in ("used", "ignored")}


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
