"""Where other tools keep their models, LoRAs and ControlNets, by default and by their settings."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from underpaint_client.sentences import sentence

from .reading import expand_user, is_folder
from .stamps import FileStamp, stamp_status

HUB = "huggingface"
"""The name of the Hugging Face Hub's cache."""

_WEBUI_FOLDERS = {
    "models": ("models/Stable-diffusion", "models/diffusers"),
    "loras": ("models/Lora", "models/LyCORIS"),
    "controlnets": (
        "models/ControlNet",
        "models/control/controlnet",
        "extensions/sd-webui-controlnet/models",
    ),
    "embeddings": ("embeddings",),
    "ip_adapters": ("models/ControlNet", "models/ipadapter", "models/IP-Adapter"),
    "clip_vision": ("models/clip_vision",),
    "preprocessors": (),  # theirs are pickles
}
_COMFY_KEYS = {
    "models": ("checkpoints", "diffusion_models", "unet"),
    "loras": ("loras",),
    "controlnets": ("controlnet",),
    "embeddings": ("embeddings",),
    "ip_adapters": ("ipadapter",),
    "clip_vision": ("clip_vision",),
    "preprocessors": (),
}
"""The folders below `models`, and the keys of `extra_model_paths.yaml`, which are the same."""

ADDITIONS = ("loras", "controlnets", "embeddings", "ip_adapters", "clip_vision", "preprocessors")
"""What has folders of its own beside those of models."""

_WEBUI_PLACES = {
    "a1111": ("stable-diffusion-webui", "sd-webui", "automatic1111"),
    "forge": ("stable-diffusion-webui-forge", "sd-webui-forge", "stable-diffusion-webui-reForge",
              "sd-webui-forge-neo", "webui_forge"),
    "sdnext": ("sdnext", "automatic"),
}  # fmt: skip
"""Where A1111 and its successors are cloned to, below a user's folders."""

_COMFY_PLACES = ("ComfyUI", "comfyui", "comfy/ComfyUI", "ComfyUI_windows_portable/ComfyUI")
_INVOKE_PLACES = ("invokeai", "InvokeAI")


class ToolFolder(NamedTuple):
    """A folder of another tool's models, or why it cannot be found.

    Parameters
    ----------
    name : str
        The tool's.
    path : Path
        The folder; or the tool's settings, if there is a problem with them.
    problem : str
        A sentence; empty if there is none.
    """

    name: str
    path: Path
    problem: str = ""


def find_tools(content: str = "models") -> Iterator[ToolFolder]:
    """Yield the folders of other tools that exist, and settings that cannot be read.

    Parameters
    ----------
    content : str
        What the folders are for: `models`, or one of `ADDITIONS`.
    """
    seen: set[str] = set()
    for one in _candidates(content):
        if not (one.problem or is_folder(one.path)):
            continue
        real = os.path.realpath(one.path)
        if real not in seen:
            seen.add(real)
            yield one


def _candidates(content: str) -> Iterator[ToolFolder]:
    bases = [base for base in _user_folders() if is_folder(base)]
    for name, places in _WEBUI_PLACES.items():
        for program in _programs(bases, places):
            for folder in _WEBUI_FOLDERS[content]:
                yield ToolFolder(name, program / folder)
    yield from _comfy_folders(bases, _COMFY_KEYS[content])
    if content != "models":  # the others keep all kinds of files in one folder
        return
    for program in _programs(bases, _INVOKE_PLACES, os.environ.get("INVOKEAI_ROOT")):
        yield ToolFolder("invokeai", program / "models")
    yield ToolFolder(HUB, hub_cache())


def _comfy_folders(bases: list[Path], keys: tuple[str, ...]) -> Iterator[ToolFolder]:
    for program in _programs(bases, _COMFY_PLACES, os.environ.get("COMFYUI_PATH")):
        for key in keys:
            yield ToolFolder("comfyui", program / "models" / key)
        yield from _extra_folders(program / "extra_model_paths.yaml", keys)
    yield from _extra_folders(_app_data() / "ComfyUI" / "extra_models_config.yaml", keys)
    for krita in _krita_folders():
        for program in (krita / "ai_diffusion/server/ComfyUI", krita / "ai_diffusion/server"):
            for key in keys:
                yield ToolFolder("krita-ai-diffusion", program / "models" / key)


def _programs(
    bases: list[Path], places: Iterable[str], chosen: str | None = None
) -> Iterator[Path]:
    """Yield the folders of a program: the one that a variable names, or its usual ones."""
    if chosen:
        yield expand_user(Path(chosen))
    for base in bases:
        for place in places:
            if is_folder(base / place):
                yield base / place


def _user_folders() -> Iterator[Path]:
    """Yield the folders below which people put programs that have no installer."""
    try:
        own = Path.home()
    except RuntimeError:  # a user without one
        return
    yield own
    for name in ("Documents", "Apps", "apps", "AI", "ai", "src", "git", "Projects", "pinokio/api"):
        yield own / name
    for name in ("StabilityMatrix", ".local/share/StabilityMatrix"):
        yield own / name / "Data/Packages"
    if sys.platform == "win32":
        yield _app_data() / "StabilityMatrix" / "Packages"
        yield from (Path(f"{drive}:/") for drive in "CDE")


def _app_data() -> Path:
    """Return where programs keep their settings on this platform."""
    try:
        own = Path.home()
    except RuntimeError:
        return Path(os.devnull)
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or own / "AppData" / "Roaming")
    if sys.platform == "darwin":
        return own / "Library" / "Application Support"
    return Path(os.environ.get("XDG_CONFIG_HOME") or own / ".config")


def _krita_folders() -> Iterator[Path]:
    if sys.platform in ("win32", "darwin"):
        yield _app_data() / "krita"
        return
    with contextlib.suppress(RuntimeError):
        yield Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "krita"
        yield Path.home() / ".var/app/org.kde.krita/data/krita"


def hub_cache() -> Path:
    """Return where `huggingface_hub` keeps what it downloads, as its documentation says."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if os.environ.get(variable):
            return expand_user(Path(os.environ[variable]))
    if os.environ.get("HF_HOME"):
        return expand_user(Path(os.environ["HF_HOME"])) / "hub"
    with contextlib.suppress(RuntimeError):
        cache = os.environ.get("XDG_CACHE_HOME")
        return (Path(cache) if cache else Path.home() / ".cache") / "huggingface" / "hub"
    return Path(os.devnull)


_MOST_YAML = 2**16
"""Bytes of an `extra_model_paths.yaml`; ComfyUI's example has two thousand."""

_MOST_FOLDERS = 100
"""The most folders that are used of one; the others are left out."""


def _extra_folders(file: Path, keys: tuple[str, ...]) -> Iterator[ToolFolder]:
    """Yield the folders of models in an `extra_model_paths.yaml` of ComfyUI.

    Each section has a `base_path`, and folders below it by kind, several of them in lines.
    """
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        yield _unread(file, error.strerror or str(error))
        return
    sections, problem = _read_sections(file, stamp_status(status), stat.S_IFMT(status.st_mode))
    if problem:
        yield _unread(file, problem)
    found = (one for section in sections for one in _section_folders(section, file.parent, keys))
    for path in itertools.islice(found, _MOST_FOLDERS):
        yield ToolFolder("comfyui", path)


def _unread(file: Path, reason: str) -> ToolFolder:
    problem = sentence(
        "{file} cannot be read ({reason}), so the folders in it are not found; correct it",
        file=file,
        reason=reason,
    )
    return ToolFolder("comfyui", file, problem)


@functools.lru_cache(maxsize=16)  # it is needed often, and reading YAML is slow
def _read_sections(
    file: Path, stamp: FileStamp, kind: int
) -> tuple[tuple[dict[Any, Any], ...], str]:
    """Return the sections of a YAML file, and why they cannot be read."""
    if kind != stat.S_IFREG:
        return (), sentence("it is not a regular file")
    if stamp[0] > _MOST_YAML:
        return (), sentence(
            "it has {size} bytes, and at most {most} are read", size=stamp[0], most=_MOST_YAML
        )
    import yaml  # noqa: PLC0415 - it is slow, and few have such a file

    try:
        with file.open("rb") as stream:
            sections = yaml.safe_load(stream.read(stamp[0]).decode("utf-8-sig"))
    except Exception as error:  # noqa: BLE001 - YAML has errors of many kinds
        return (), " ".join(str(error).split())[:200] or type(error).__name__
    if sections is None:
        return (), ""
    if not isinstance(sections, dict):
        return (), "it has no sections"
    return tuple(one for one in sections.values() if isinstance(one, dict)), ""


def _section_folders(
    section: dict[Any, Any], beside: Path, keys: tuple[str, ...]
) -> Iterator[Path]:
    said = section.get("base_path")
    base = beside
    if isinstance(said, str):
        base = beside / expand_user(Path(os.path.expandvars(said)))
    for key in keys:
        lines = section.get(key)
        if isinstance(lines, str):
            for line in filter(None, map(str.strip, lines.splitlines())):
                yield base / line
