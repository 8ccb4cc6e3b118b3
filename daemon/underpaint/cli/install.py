"""`underpaint install krita|gimp`, and `underpaint uninstall krita|gimp`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from underpaint_client.errors import BadInputError

from .gimp import find_gimps, install_gimp, uninstall_gimp
from .krita import KritaFolders, install_krita, uninstall_krita
from .options import Parser
from .printing import say, show_path


@dataclass(frozen=True)
class _Editor:
    """An editor: its name, its programs, where the tool is found in it, and what puts it there."""

    name: str
    programs: tuple[str, ...]
    where: str
    install: Callable[[], list[Path]]
    uninstall: Callable[[], bool]


_EDITORS = {
    "krita": _Editor(
        "Krita",
        ("krita",),
        "the docker is under Settings > Dockers > Underpaint",
        lambda: [install_krita(KritaFolders.find())],
        lambda: uninstall_krita(KritaFolders.find()),
    ),
    "gimp": _Editor(
        "GIMP",
        ("gimp", "gimp-3", "gimp-3.0", "gimp-3.2"),
        "it is under Filters > Underpaint",
        lambda: install_gimp(find_gimps()),
        lambda: uninstall_gimp(find_gimps()),
    ),
}


def run_install(words: Sequence[str]) -> int:
    """Install the plug-in into an editor."""
    editor = _read("install", "Install the plug-in into an editor, and enable it.", words)
    os.umask(os.umask(0o077) | 0o022)  # the editor runs what is written: that is nobody else's
    try:
        folders = editor.install()
    except OSError as error:
        raise BadInputError(
            "the plug-in cannot be written ({error}); make its folder writable, and install again",
            error=error,
        ) from None
    for folder in folders:
        show_path(folder)
    say(_advice(editor, editor.where))
    return 0


def run_uninstall(words: Sequence[str]) -> int:
    """Remove the plug-in from an editor."""
    editor = _read("uninstall", "Remove the plug-in from an editor.", words)
    if not editor.uninstall():
        say(f"the plug-in is not installed in {editor.name}")
        return 0
    say(_advice(editor, "the plug-in was removed"))
    return 0


def _read(command: str, description: str, words: Sequence[str]) -> _Editor:
    parser = Parser(command, description)
    parser.add_argument("editor", choices=list(_EDITORS), help="which one")
    return _EDITORS[parser.read(words).editor]


def _advice(editor: _Editor, then: str) -> str:
    names = {process.info["name"] for process in psutil.process_iter(["name"])}
    if names & set(editor.programs):
        return f"restart {editor.name}, which runs; then {then}"
    return f"start {editor.name}: {then}"
