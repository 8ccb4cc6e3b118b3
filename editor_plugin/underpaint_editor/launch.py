"""How an editor starts the daemon: by the command that the installer left beside the plug-in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.home import remote_file

COMMAND_FILE = Path(__file__).parent / "daemon.json"

_EDITORS_OWN = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
"""What editors set for their own Python, and the daemon's must not be led by."""


def start_command() -> list[str]:
    """Give program and arguments that start the daemon in the background.

    Nothing where none is known, or where a daemon of another machine is used.
    """
    if remote_file().exists():
        return []
    try:
        command = json.loads(COMMAND_FILE.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        command = None
    if isinstance(command, list) and command and all(isinstance(word, str) for word in command):
        return command
    found = shutil.which("underpaint")
    return [found, "serve", "--background"] if found else []


def start_daemon() -> subprocess.Popen[bytes]:
    """Begin to start the daemon; the process ends when it runs, or with a message on stderr.

    Raises
    ------
    DaemonUnavailableError
        Where the command is unknown or does not run.
    """
    command = start_command()
    try:
        return subprocess.Popen(
            command,
            env={name: value for name, value in os.environ.items() if name not in _EDITORS_OWN},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, IndexError) as error:
        raise DaemonUnavailableError(
            f"the daemon cannot be started ({error}); reinstall Underpaint"
        ) from None


def write_start_command(folder: Path, command: list[str]) -> None:
    """Leave the command in an installed copy of this package."""
    (folder / COMMAND_FILE.name).write_text(json.dumps(command), encoding="utf-8")
