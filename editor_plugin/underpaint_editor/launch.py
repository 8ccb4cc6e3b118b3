"""How an editor starts the daemon: by the command that the installer has left with the plug-in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.home import remote_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from .contract import EventLoop

COMMAND_FILE = Path(__file__).parent / "daemon.json"

_EDITORS_OWN = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")
"""What editors set for their own Python; the daemon's Python must not see it."""

_POLL = 100  # milliseconds


def start_command(file: Path = COMMAND_FILE) -> list[str]:
    """Return the program and arguments that start the daemon in the background.

    Parameters
    ----------
    file : Path
        What `write_start_command` has written.

    Returns
    -------
    list of str
        Empty if none is known, or if a daemon on another machine is used.
    """
    if remote_file().exists():
        return []
    try:
        command = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        command = None
    if isinstance(command, list) and command and all(isinstance(word, str) for word in command):
        return command
    found = shutil.which("underpaint")
    return [found, "serve", "--background"] if found else []


def start_daemon() -> subprocess.Popen[bytes]:
    """Start the process that starts the daemon.

    It ends when the daemon runs, or with a message on stderr.

    Raises
    ------
    DaemonUnavailableError
        If the command is unknown or does not run.
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
            "the daemon cannot be started ({error}); reinstall Underpaint", error=error
        ) from None


def write_start_command(folder: Path, command: list[str]) -> None:
    """Write the command into an installed copy of this package."""
    (folder / COMMAND_FILE.name).write_text(json.dumps(command), encoding="utf-8")


@dataclass(frozen=True)
class Launcher:
    """How to start the daemon: the command, and what runs it."""

    command: Callable[[], list[str]] = start_command
    start: Callable[[], subprocess.Popen[bytes]] = start_daemon


class DaemonStarter:
    """Starts the daemon without waiting for it, one start at a time.

    Parameters
    ----------
    loop : EventLoop
    on_end : callable
        Called with what the starting process has written to stderr, once it has ended. Whether the
        daemon runs then, a connection shows.
    launcher : Launcher
    """

    def __init__(self, loop: EventLoop, on_end: Callable[[str], None], launcher: Launcher) -> None:
        self._loop = loop
        self._on_end = on_end
        self._launcher = launcher
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_starting(self) -> bool:
        """Whether a start is under way."""
        return self._process is not None

    @property
    def can_start(self) -> bool:
        """Whether there is a command to start the daemon, and no start is under way."""
        return self._process is None and bool(self._launcher.command())

    def start(self) -> bool:
        """Start the daemon; return False if a start is under way.

        Raises
        ------
        DaemonUnavailableError
            If the command is unknown or does not run.
        """
        if self._process is not None:
            return False
        self._process = self._launcher.start()
        self._loop.call_later(0, self._poll)
        return True

    def _poll(self) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            self._loop.call_later(_POLL, self._poll)
            return
        self._process = None
        self._on_end(process.communicate()[1].decode("utf-8", "replace").strip())
