"""The folders of models: Underpaint's own, those that are configured, and other tools'.

Other tools' folders are looked for where their installers put them. Each is used only after its
user has agreed once (`underpaint models --use NAME`, or the question that `underpaint models` asks
on a terminal), and is only read, never written.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from underpaint.config_file import check_folder, config_file, load_config
from underpaint_client.errors import BadInputError, UnderpaintError
from underpaint_client.home import home, make_folder, write_private
from underpaint_client.sentences import Listing, Sentence, as_sentence, sentence

from .other_tools import ADDITIONS, HUB, find_tools
from .reading import expand_user, read_memory

FOLDERS_VARIABLE = "UNDERPAINT_MODELS"


@dataclass(frozen=True)
class Root:
    """A folder of models.

    Parameters
    ----------
    name : str
        `underpaint`, `UNDERPAINT_MODELS`, `config.toml`, or another tool's.
    path : Path
        The folder; it may be missing.
    is_own : bool
        Whether its user named it to Underpaint: its models may become the default.
    is_hub : bool
        Whether it is laid out as the Hugging Face Hub's cache.
    state : str
        `used`, `ignored`, or `new`: found, and its user has not said yet whether to use it.
    holds : str
        What its files are, if they are no models: one of `ADDITIONS`. Among models there may be
        others.
    """

    name: str
    path: Path
    is_own: bool = False
    is_hub: bool = False
    state: str = "used"
    holds: str = "models"


def list_roots() -> list[Root]:
    """Return every folder of models, used or not, in the order of a search."""
    return _look()[0]


def lora_roots() -> list[Root]:
    """Return the folders whose LoRAs are listed: our own, and those of models, used ones alone."""
    return _addition_roots("loras")


def controlnet_roots() -> list[Root]:
    """Return the folders whose ControlNets are listed, as `lora_roots`."""
    return _addition_roots("controlnets")


def preprocessor_roots() -> list[Root]:
    """Return the folders whose preprocessors are listed, as `lora_roots`."""
    return _addition_roots("preprocessors")


def ip_adapter_roots() -> list[Root]:
    """Return the folders whose IP-Adapters are listed, as `lora_roots`."""
    return _addition_roots("ip_adapters")


def vision_roots() -> list[Root]:
    """Return the folders of the CLIP vision models that IP-Adapters read with.

    They may lie beside these.
    """
    return [*_roots_of("clip_vision"), *ip_adapter_roots()]


def _addition_roots(content: str) -> list[Root]:
    models = list_roots()
    own, *others = _roots_of(content)
    used = [own, *(root for root in models if root.is_own), *others]
    return used + [root for root in models if not root.is_own and root.state == "used"]


def embedding_roots() -> list[Root]:
    """Return the folders of embeddings: our own, and those of other tools that are used."""
    return _roots_of("embeddings")


def _roots_of(content: str) -> list[Root]:
    """Return our own folder of what is no model, then those of other tools that are used."""
    chosen = _read_choices()
    used = [Root("underpaint", home() / content, is_own=True, holds=content)]
    tools = [one for one in find_tools(content) if not one.problem]
    there = [one for one in tools if chosen.get(one.name) == "used"]
    return used + [Root(one.name, one.path, holds=content) for one in there]


def all_roots() -> list[Root]:
    """Return every folder that files of any kind are read from, and those of unused models."""
    return [*list_roots(), *(root for content in ADDITIONS for root in _roots_of(content))]


def find_problems() -> list[Sentence]:
    """Return why folders of models cannot be found, a sentence for each."""
    return _look()[1]


def _look() -> tuple[list[Root], list[Sentence]]:
    configured, problems = _configured()
    more = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    named = [("underpaint", home() / "models")]
    named += [(FOLDERS_VARIABLE, expand_user(Path(one))) for one in more if one]
    named += [("config.toml", expand_user(Path(one))) for one in configured]
    roots = [Root(name, path, is_own=True) for name, path in named]
    chosen = _read_choices()
    for tool in find_tools():
        if tool.problem:
            problems.append(as_sentence(tool.problem))
        elif not any(_same(tool.path, root.path) for root in roots):
            state = chosen.get(tool.name, "new")
            roots.append(Root(tool.name, tool.path, is_hub=tool.name == HUB, state=state))
    return roots, problems


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
    for content in ADDITIONS:
        tools += [Root(one.name, one.path) for one in find_tools(content) if not one.problem]
    found = [root for root in tools if root.name == name]
    if not found:
        known = Listing(dict.fromkeys(root.name for root in tools))
        raise BadInputError(
            "no folder {name!r} was found; there is {known}. For a folder elsewhere, name it in"
            " config.toml: [models] folders = [...]",
            name=name,
            known=known or sentence("none of another tool"),
        )
    choices = {**_read_choices(), name: "used" if use else "ignored"}
    make_folder(home())
    write_private(_choices_file(), json.dumps(choices, indent=1))
    return found


def _configured() -> tuple[list[str], list[Sentence]]:
    """Return `[models] folders` of config.toml, and what is wrong there."""
    try:
        section = load_config().get("models", {})
    except UnderpaintError as error:
        return [], [error.sentence]
    given = section.get("folders", []) if isinstance(section, dict) else None
    if not isinstance(given, list):
        problem = sentence(
            "{file}: folders under [models] is not a list; correct it", file=config_file()
        )
        return [], [problem]
    folders, problems = [], []
    for one in given:
        try:
            check_folder(one if isinstance(one, str) else "")
            folders.append(one)
        except BadInputError as error:
            problems.append(
                sentence("{file}: folders under [models]: {error}", file=config_file(), error=error)
            )
    return folders, problems


def _choices_file() -> Path:
    return home() / "model-folders.json"


def _read_choices() -> dict[str, str]:
    found = read_memory(_choices_file())
    return {name: state for name, state in found.items() if state in ("used", "ignored")}


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
