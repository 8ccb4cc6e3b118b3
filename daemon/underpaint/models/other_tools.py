"""Where other tools keep their models, as their installers and manuals have it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .reading import expand_user

HUB = "huggingface"
"""The name of the Hugging Face Hub's cache."""

_WEBUI_FOLDERS = ("models/Stable-diffusion", "models/diffusers")
_COMFY_FOLDERS = ("models/checkpoints", "models/diffusion_models", "models/unet")
_COMFY_KEYS = ("checkpoints", "diffusion_models", "unet")

_WEBUI_PLACES = {
    "a1111": ("stable-diffusion-webui", "sd-webui", "automatic1111"),
    "forge": ("stable-diffusion-webui-forge", "sd-webui-forge", "stable-diffusion-webui-reForge",
              "sd-webui-forge-neo", "webui_forge"),
    "sdnext": ("sdnext", "automatic"),
}  # fmt: skip
"""Where A1111 and its successors are cloned to, below a user's folders."""

_COMFY_PLACES = ("ComfyUI", "comfyui", "comfy/ComfyUI", "ComfyUI_windows_portable/ComfyUI")
_INVOKE_PLACES = ("invokeai", "InvokeAI")


def find_tools() -> Iterator[tuple[str, Path]]:
    """Yield the folders of other tools that are there, with the tool's name."""
    seen: set[str] = set()
    for name, path in _candidates():
        real = os.path.realpath(path)
        if _is_folder(path) and real not in seen:
            seen.add(real)
            yield name, path


def _candidates() -> Iterator[tuple[str, Path]]:
    bases = [base for base in _user_folders() if _is_folder(base)]
    for name, places in _WEBUI_PLACES.items():
        for program in _programs(bases, places):
            for folder in _WEBUI_FOLDERS:
                yield name, program / folder
    yield from _comfy_folders(bases)
    for program in _programs(bases, _INVOKE_PLACES, os.environ.get("INVOKEAI_ROOT")):
        yield "invokeai", program / "models"
    yield HUB, hub_cache()


def _comfy_folders(bases: list[Path]) -> Iterator[tuple[str, Path]]:
    for program in _programs(bases, _COMFY_PLACES, os.environ.get("COMFYUI_PATH")):
        for folder in _COMFY_FOLDERS:
            yield "comfyui", program / folder
        for path in _extra_folders(program / "extra_model_paths.yaml"):
            yield "comfyui", path
    for path in _extra_folders(_app_data() / "ComfyUI" / "extra_models_config.yaml"):
        yield "comfyui", path
    for krita in _krita_folders():
        for program in (krita / "ai_diffusion/server/ComfyUI", krita / "ai_diffusion/server"):
            for folder in _COMFY_FOLDERS:
                yield "krita-ai-diffusion", program / folder


def _programs(
    bases: list[Path], places: Iterable[str], chosen: str | None = None
) -> Iterator[Path]:
    """Yield where a program lies: where a variable says, or in its usual places."""
    if chosen:
        yield expand_user(Path(chosen))
    for base in bases:
        for place in places:
            if _is_folder(base / place):
                yield base / place


def _is_folder(path: Path) -> bool:
    """Return whether this is a folder that may be looked for; `Path.is_dir` raises where not."""
    return os.path.isdir(path)  # noqa: PTH112


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


_MOST_YAML = 2**20
"""Bytes of an `extra_model_paths.yaml`; ComfyUI's example has two thousand."""


def _extra_folders(file: Path) -> Iterator[Path]:
    """Yield the folders of models that ComfyUI is told of in an `extra_model_paths.yaml`.

    Each section has a `base_path`, and folders below it by kind, several of them in lines. A file
    that cannot be read is ComfyUI's to complain of.
    """
    try:
        if not file.is_file() or file.stat().st_size > _MOST_YAML:
            return
        import yaml  # noqa: PLC0415 - it is slow, and few have such a file

        sections = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except Exception:  # noqa: BLE001 - YAML has errors of many kinds
        return
    for section in sections.values() if isinstance(sections, dict) else ():
        if isinstance(section, dict):
            yield from _section_folders(section, file.parent)


def _section_folders(section: dict[Any, Any], beside: Path) -> Iterator[Path]:
    said = section.get("base_path")
    base = beside
    if isinstance(said, str):
        base = beside / expand_user(Path(os.path.expandvars(said)))
    for key in _COMFY_KEYS:
        lines = section.get(key)
        if isinstance(lines, str):
            for line in filter(None, map(str.strip, lines.splitlines())):
                yield base / line
