"""GIMP's folders, and the plug-in in them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from .plugins import copy_packages, draft_in, fetch_pyzmq, package_folder, put

PLUGIN = "underpaint_gimp"
_OLDEST = "3.0"


def find_gimps() -> list[Path]:
    """Return the folders of settings of all GIMPs from 3.0 on that were started here.

    If there is none, the one that GIMP 3.0 will make.
    """
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support" / "GIMP"
    else:
        base = platformdirs.user_config_path(roaming=True) / "GIMP"
    flatpak = Path.home() / ".var" / "app" / "org.gimp.GIMP" / "config" / "GIMP"
    found = [path for parent in (base, flatpak) for path in sorted(parent.glob("3.*"))]
    return [path for path in found if path.is_dir()] or [base / _OLDEST]


def install_gimp(folders: Sequence[Path]) -> list[Path]:
    """Copy the plug-in and what it needs into GIMPs' folders; return where it lies.

    An older one is replaced when the new one is whole.

    Raises
    ------
    DaemonUnavailableError
        If pyzmq cannot be downloaded.
    """
    plugins = [folder / "plug-ins" for folder in folders]
    with draft_in(plugins[0]) as draft:
        plugin = draft / PLUGIN
        library = plugin / "lib"
        copy_packages(PLUGIN, library)
        fetch_pyzmq(library / "vendor")
        start = plugin / f"{PLUGIN}.py"  # GIMP runs what is called as its folder
        shutil.copy(package_folder(PLUGIN) / "start.py", start)
        start.chmod(0o755)
        for folder in plugins[1:]:
            with draft_in(folder) as other:
                shutil.copytree(plugin, other / PLUGIN)
                put(other / PLUGIN, folder / PLUGIN)
        put(plugin, plugins[0] / PLUGIN)
    return [folder / PLUGIN for folder in plugins]


def uninstall_gimp(folders: Sequence[Path]) -> bool:
    """Remove the plug-in from GIMPs' folders; return whether it was there."""
    found = [path for path in (f / "plug-ins" / PLUGIN for f in folders) if path.exists()]
    for path in found:
        shutil.rmtree(path)
    return bool(found)
