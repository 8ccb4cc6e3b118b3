"""Where Underpaint keeps its files, and how a client finds the daemon.

`UNDERPAINT_HOME` moves everything at once. Without it each platform's usual place is taken; the
editors' Pythons have no platformdirs, so the three places are named here.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

HOME_VARIABLE = "UNDERPAINT_HOME"


def home() -> Path:
    """Give the folder of Underpaint's connection file, keys, models and logs.

    Returns
    -------
    Path
        `$UNDERPAINT_HOME` where set, else the platform's data folder. It may not exist yet.
    """
    chosen = os.environ.get(HOME_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "underpaint"


@dataclass(frozen=True)
class ConnectionInfo:
    """What a client must know to reach a daemon; the content of the connection file.

    Parameters
    ----------
    endpoint : str
        A ZeroMQ endpoint, `ipc://...` or `tcp://...`.
    pid : int
        The daemon's process id, to name it in messages; 0 where it is another machine's.
    server_public, client_public, client_secret : str
        CURVE keys in Z85, 40 characters each; empty where the transport is ipc, which is guarded
        by the mode of its folder instead.
    """

    endpoint: str
    pid: int
    server_public: str = ""
    client_public: str = ""
    client_secret: str = field(default="", repr=False)

    @property
    def is_far(self) -> bool:
        """Whether there may be a slow line between, though it begin here as a tunnel does."""
        near = ("ipc://", "tcp://127.", "tcp://localhost:", "tcp://[::1]:")
        return not (self.pid and self.endpoint.startswith(near))


def connection_file() -> Path:
    """Give the path of the connection file (as Jupyter has one), whether or not it exists."""
    return home() / "connection.json"


def remote_file() -> Path:
    """Give the path of the connection file to another machine's daemon; where it is, it counts.

    `underpaint connect` writes it; a daemon of this machine neither writes nor removes it.
    """
    return home() / "remote.json"


def read_connection_file(file: Path | None = None) -> ConnectionInfo | None:
    """Read the connection file, or another.

    Returns
    -------
    ConnectionInfo or None
        None where there is none, or where what is there cannot be read as one: either way no
        daemon can be reached through it.
    """
    try:
        found = json.loads((file or connection_file()).read_text(encoding="utf-8"))
        info = ConnectionInfo(**found)
    except (OSError, ValueError, TypeError):
        return None
    keys = (info.server_public, info.client_public, info.client_secret)
    if not isinstance(info.pid, int) or not all(isinstance(k, str) for k in keys):
        return None
    if not isinstance(info.endpoint, str) or not info.endpoint.startswith(("ipc://", "tcp://")):
        return None
    return info if {len(key) for key in keys} in ({0}, {40}) else None


def write_connection_file(info: ConnectionInfo, target: Path | None = None) -> None:
    """Write the connection file, or another, whole or not at all, readable by its owner alone."""
    write_private(target or connection_file(), json.dumps(asdict(info), indent=1))


def write_private(target: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner alone."""
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(target)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
