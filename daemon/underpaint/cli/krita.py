"""Krita's folders, and the plug-in in them."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from .plugins import SHARED, copy_packages, draft_in, fetch_pyzmq, package_folder, put

PLUGIN = "underpaint_krita"

_ENABLED = f"enable_{PLUGIN}".encode()


@dataclass(frozen=True)
class KritaFolders:
    """Where a Krita keeps what is its user's.

    Parameters
    ----------
    resources : Path
        The folder that holds `pykrita` and `actions`.
    settings : Path
        The file `kritarc`.
    """

    resources: Path
    settings: Path

    @classmethod
    def find(cls) -> KritaFolders:
        """Return the folders of Krita as the distribution or the AppImage have it."""
        config = platformdirs.user_config_path()
        if sys.platform == "darwin":
            config = Path.home() / "Library" / "Preferences"
        return cls(platformdirs.user_data_path(roaming=True) / "krita", config / "kritarc")

    @property
    def plugins(self) -> Path:
        """The folder of Python plug-ins."""
        return self.resources / "pykrita"


def install_krita(folders: KritaFolders) -> Path:
    """Copy the plug-in and what it needs into a Krita's folders, enable it, and return where it is.

    An older one is replaced when the new one is whole.

    Raises
    ------
    DaemonUnavailableError
        If pyzmq cannot be downloaded.
    """
    source = package_folder(PLUGIN)
    with draft_in(folders.plugins) as draft:
        copy_packages(PLUGIN, draft)
        fetch_pyzmq(draft / PLUGIN / "vendor")
        for name in (PLUGIN, *SHARED):
            put(draft / name, folders.plugins / name)
    shutil.copy(source / f"{PLUGIN}.desktop", folders.plugins)
    actions = folders.resources / "actions"
    actions.mkdir(exist_ok=True)
    shutil.copy(source / "underpaint.action", actions)
    set_enabled(folders.settings, enabled=True)
    return folders.plugins / PLUGIN


def uninstall_krita(folders: KritaFolders) -> bool:
    """Remove the plug-in from a Krita's folders; return whether it was there."""
    there = (folders.plugins / PLUGIN).exists()
    for folder in (PLUGIN, *SHARED):
        shutil.rmtree(folders.plugins / folder, ignore_errors=True)
    (folders.plugins / f"{PLUGIN}.desktop").unlink(missing_ok=True)
    (folders.resources / "actions" / "underpaint.action").unlink(missing_ok=True)
    if folders.settings.exists():
        set_enabled(folders.settings, enabled=None)
    return there


def set_enabled(settings: Path, *, enabled: bool | None) -> None:
    """Write into `kritarc` whether the plug-in is enabled; None removes the entry.

    The other lines stay as they are, to the byte.
    """
    settings = settings.resolve()  # it may be a link into somebody's dotfiles
    content = settings.read_bytes() if settings.exists() else b""
    lines = [line for line in content.split(b"\n") if not line.startswith(_ENABLED + b"=")]
    if lines[-1:] == [b""]:
        del lines[-1]
    if enabled is not None:
        section = next((n for n, line in enumerate(lines) if line.strip() == b"[python]"), None)
        if section is None:
            lines += [b"", b"[python]"] if lines else [b"[python]"]
            section = len(lines) - 1
        lines.insert(section + 1, _ENABLED + (b"=true" if enabled else b"=false"))
    settings.parent.mkdir(parents=True, exist_ok=True)
    draft = settings.with_name(f"{settings.name}.underpaint")
    draft.write_bytes(b"".join(line + b"\n" for line in lines))
    draft.replace(settings)
