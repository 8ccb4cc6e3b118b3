"""`underpaint install krita`, and `underpaint uninstall krita`."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs
import psutil

from underpaint_client.errors import BadInputError, DaemonUnavailableError
from underpaint_client.launch import write_start_command

from .options import Parser

PLUGIN = "underpaint_krita"
CLIENT = "underpaint_client"
WHEELS = ("3.10", "3.11", "3.12")
"""Pythons that Kritas bring (3.10: the AppImages and Windows), and a wheel for each; that for 3.12
serves all later ones."""

_ENABLED = f"enable_{PLUGIN}".encode()
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*.desktop", "*.action", "py.typed")


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
        """Give the folders of Krita as the distribution or the AppImage have it."""
        config = platformdirs.user_config_path()
        if sys.platform == "darwin":
            config = Path.home() / "Library" / "Preferences"
        return cls(platformdirs.user_data_path(roaming=True) / "krita", config / "kritarc")

    @property
    def plugins(self) -> Path:
        """The folder of Python plug-ins."""
        return self.resources / "pykrita"


def run_install(words: Sequence[str]) -> int:
    """Put the plug-in into an editor."""
    _read("install", "Put the plug-in into an editor, and enable it.", words)
    folders = KritaFolders.find()
    try:
        install_krita(folders)
    except OSError as error:
        raise BadInputError(
            f"the plug-in cannot be written ({error}); make its folder writable, and install again"
        ) from None
    print(folders.plugins / PLUGIN)
    print(_advice("the docker is under Settings > Dockers > Underpaint"), file=sys.stderr)
    return 0


def run_uninstall(words: Sequence[str]) -> int:
    """Take the plug-in out of an editor."""
    _read("uninstall", "Take the plug-in out of an editor.", words)
    folders = KritaFolders.find()
    if not uninstall_krita(folders):
        print(f"there is no plug-in in {folders.plugins}", file=sys.stderr)
        return 0
    print(_advice("the plug-in is gone"), file=sys.stderr)
    return 0


def _read(command: str, description: str, words: Sequence[str]) -> None:
    parser = Parser(command, description)
    parser.add_argument("editor", choices=["krita"], help="which one")
    parser.read(words)


def _advice(then: str) -> str:
    running = any(process.info["name"] == "krita" for process in psutil.process_iter(["name"]))
    return f"restart Krita, which runs; then {then}" if running else f"start Krita: {then}"


def install_krita(folders: KritaFolders) -> None:
    """Copy the plug-in and what it needs into a Krita's folders, and enable it.

    An older one is replaced when the new one is whole.

    Raises
    ------
    DaemonUnavailableError
        Where pyzmq cannot be fetched.
    """
    source = _package(PLUGIN)
    folders.plugins.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folders.plugins, prefix=".underpaint-") as draft:
        plugin, client = Path(draft, PLUGIN), Path(draft, CLIENT)
        shutil.copytree(source, plugin, ignore=_LEFT_OUT)
        shutil.copytree(_package(CLIENT), client, ignore=_LEFT_OUT)
        write_start_command(client, [sys.executable, "-m", "underpaint", "serve", "--background"])
        fetch_pyzmq(plugin / "vendor")
        for folder in (plugin, client):
            target = folders.plugins / folder.name
            if target.exists():
                target.replace(Path(draft, f"old-{folder.name}"))
            folder.replace(target)
    shutil.copy(source / f"{PLUGIN}.desktop", folders.plugins)
    actions = folders.resources / "actions"
    actions.mkdir(exist_ok=True)
    shutil.copy(source / "underpaint.action", actions)
    set_enabled(folders.settings, enabled=True)


def uninstall_krita(folders: KritaFolders) -> bool:
    """Take the plug-in out of a Krita's folders; say whether it was there."""
    there = (folders.plugins / PLUGIN).exists()
    for folder in (PLUGIN, CLIENT):
        shutil.rmtree(folders.plugins / folder, ignore_errors=True)
    (folders.plugins / f"{PLUGIN}.desktop").unlink(missing_ok=True)
    (folders.resources / "actions" / "underpaint.action").unlink(missing_ok=True)
    if folders.settings.exists():
        set_enabled(folders.settings, enabled=None)
    return there


def fetch_pyzmq(folder: Path) -> None:
    """Put pyzmq for every Python that Krita may bring into `folder`, one folder each.

    Raises
    ------
    DaemonUnavailableError
        Where not one could be had.
    """
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
           "--no-deps", "--no-compile", "--only-binary=:all:"]  # fmt: skip
    troubles: dict[str, str] = {}
    for version in WHEELS:
        target = folder / f"pyzmq-cp{version.replace('.', '')}"
        process = subprocess.run(
            [*pip, "--python-version", version, "--target", str(target), "pyzmq"],
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode:
            shutil.rmtree(target, ignore_errors=True)
            troubles[version] = (process.stderr.strip().splitlines() or ["pip failed"])[-1]
        shutil.rmtree(target / "zmq" / "tests", ignore_errors=True)
    if len(troubles) == len(WHEELS):
        raise DaemonUnavailableError(
            "pyzmq, which the plug-in needs inside Krita, cannot be fetched"
            f" ({troubles[WHEELS[0]]}); connect to the network or set pip's index, then install"
            " again"
        )
    for version, trouble in troubles.items():
        print(
            f"pyzmq for Python {version} could not be had ({trouble}); a Krita that brings this"
            " Python cannot use the plug-in",
            file=sys.stderr,
        )


def set_enabled(settings: Path, *, enabled: bool | None) -> None:
    """Say in `kritarc` whether the plug-in is enabled; None takes the word out again.

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


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise BadInputError(f"this installation came without {name}; install the full package")
    return Path(spec.origin).parent
