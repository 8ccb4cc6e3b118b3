"""How an editor starts the daemon: by the command that the installer left beside the plug-in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

COMMAND_FILE = Path(__file__).parent / "daemon.json"


def start_command() -> list[str]:
    """Give program and arguments that start the daemon in the background; none if unknown."""
    try:
        command = json.loads(COMMAND_FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        command = None
    if isinstance(command, list) and command and all(isinstance(word, str) for word in command):
        return command
    found = shutil.which("underpaint")
    return [found, "serve", "--background"] if found else []


def write_start_command(folder: Path, command: list[str]) -> None:
    """Leave the command in an installed copy of this package."""
    (folder / COMMAND_FILE.name).write_text(json.dumps(command), encoding="utf-8")
