"""What both editors' plug-ins are made of, and how they are put where an editor looks."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from underpaint_client.errors import BadInputError, DaemonUnavailableError
from underpaint_editor.launch import write_start_command

from .printing import say

EDITOR = "underpaint_editor"
SHARED = ("underpaint_client", EDITOR)
"""Packages that every plug-in needs."""

WHEELS = ("3.10", "3.11", "3.12")
"""Pythons that editors bring (3.10: Krita's AppImages and Windows), and a wheel for each; that for
3.12 serves all later ones."""

_LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", "*.pyc", "*.desktop", "*.action", "py.typed", "start.py"
)


@contextmanager
def draft_in(folder: Path) -> Iterator[Path]:
    """Return a folder to make something in, on the same disk; what is left there goes."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".underpaint-") as draft:
        yield Path(draft)


def copy_packages(plugin: str, target: Path) -> None:
    """Copy a plug-in and the packages that it needs, and write how to start the daemon."""
    for name in (plugin, *SHARED):
        shutil.copytree(package_folder(name), target / name, ignore=_LEFT_OUT)
    command = [sys.executable, "-m", "underpaint", "serve", "--background"]
    write_start_command(target / EDITOR, command)


def put(new: Path, target: Path) -> None:
    """Replace an older folder by a finished one."""
    if target.exists():
        target.replace(new.with_name(f"old-{new.name}"))
    new.replace(target)


def fetch_pyzmq(folder: Path) -> None:
    """Download pyzmq for every Python that an editor may bring into `folder`, one folder each.

    Raises
    ------
    DaemonUnavailableError
        If none could be downloaded.
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
            "pyzmq, which the plug-in needs inside the editor, cannot be fetched ({reason});"
            " connect to the network or set pip's index, then install again",
            reason=troubles[WHEELS[0]],
        )
    for version, trouble in troubles.items():
        say(
            f"pyzmq for Python {version} could not be fetched ({trouble}); an editor with this"
            " Python cannot use the plug-in"
        )


def package_folder(name: str) -> Path:
    """Return where a package of ours is installed."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise BadInputError(
            "this installation came without {name}; install the full package", name=name
        )
    return Path(spec.origin).parent
