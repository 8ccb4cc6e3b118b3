"""Where Underpaint keeps its files, and how a client finds the daemon.

`UNDERPAINT_HOME` moves everything at once. Without it each platform's usual place is taken; the
editors' Pythons have no platformdirs, so the three places are named here.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .errors import DaemonUnavailableError

HOME_VARIABLE = "UNDERPAINT_HOME"


def home() -> Path:
    """Return the folder of Underpaint's connection file, keys, models and logs.

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
        The daemon's process id, to name it in messages; 0 if it is another machine's.
    server_public, client_public, client_secret : str
        CURVE keys in Z85, 40 characters each; empty if the transport is ipc, which is guarded
        by the mode of its folder instead.
    """

    endpoint: str
    pid: int
    server_public: str = ""
    client_public: str = ""
    client_secret: str = field(default="", repr=False)

    @property
    def is_far(self) -> bool:
        """Whether the connection may be slow, even if it begins here as a tunnel does."""
        near = ("ipc://", "tcp://127.", "tcp://localhost:", "tcp://[::1]:")
        return not (self.pid and self.endpoint.startswith(near))


def connection_file() -> Path:
    """Return the path of the connection file (as Jupyter has one), whether or not it exists."""
    return home() / "connection.json"


def remote_file() -> Path:
    """Return the path of the connection file to another machine's daemon; where it is, it counts.

    `underpaint connect` writes it; a daemon of this machine neither writes nor removes it.
    """
    return home() / "remote.json"


def read_connection_file(file: Path | None = None) -> ConnectionInfo | None:
    """Read the connection file, or another.

    Returns
    -------
    ConnectionInfo or None
        None if there is none, or it cannot be read.

    Raises
    ------
    DaemonUnavailableError
        Others can write the file or the home, so that it may lead anywhere.
    """
    file = file or connection_file()
    try:
        check_writable_by_owner_only(file.parent, file.parent.stat())
        info = ConnectionInfo(**json.loads(read_trusted(file)))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    keys = (info.server_public, info.client_public, info.client_secret)
    if type(info.pid) is not int or not 0 <= info.pid < 2**31:
        return None
    if not all(isinstance(key, str) for key in keys):
        return None
    if not isinstance(info.endpoint, str) or not info.endpoint.startswith(("ipc://", "tcp://")):
        return None
    return info if {len(key) for key in keys} in ({0}, {40}) else None


def write_connection_file(info: ConnectionInfo, target: Path | None = None) -> None:
    """Write the connection file, or another, whole or not at all, readable by its owner alone."""
    write_private(target or connection_file(), json.dumps(asdict(info), indent=1))


def write_private(target: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner alone, whatever the umask.

    Parameters
    ----------
    target : Path
        The file. Its folder exists.
    text : str
        May contain bytes that are not valid UTF-8, as `surrogateescape` decodes them.

    Raises
    ------
    OSError
        Names `target`.
    """
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        draft.unlink(missing_ok=True)
        # Never through a file or a link that was there before.
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            if os.name == "posix":
                os.fchmod(descriptor, 0o600)
            file.write(text)
        draft.replace(target)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def make_folder(path: Path) -> None:
    """Make a folder and the missing ones above it, all for their owner alone.

    Raises
    ------
    OSError
        One cannot be made, or is a file.
    """
    if not path.parent.exists():
        make_folder(path.parent)
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        if os.name == "posix":
            path.chmod(0o700)  # a umask may take from the owner too


def read_trusted(file: Path) -> str:
    """Read a file that decides whom to trust.

    Returns
    -------
    str
        Its text without a byte order mark; invalid UTF-8 as `surrogateescape` decodes it.

    Raises
    ------
    DaemonUnavailableError
        Others can write it.
    OSError
        It cannot be read.
    """
    if not stat.S_ISREG(file.stat().st_mode):  # opening a pipe would wait for ever
        raise OSError(errno.EINVAL, "it is not a regular file", str(file))
    with file.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
        found = os.fstat(stream.fileno())
        check_writable_by_owner_only(file, found)
        return stream.read() if found.st_size else ""  # some files of /proc have no end


def check_writable_by_owner_only(path: Path, found: os.stat_result) -> None:
    """Refuse a file or folder that other users can write, as OpenSSH's StrictModes does.

    The folders above are not looked at: who can rename those still cannot own what is in them.

    Parameters
    ----------
    path : Path
        What is looked at, for the message.
    found : os.stat_result
        Its owner and mode.

    Raises
    ------
    DaemonUnavailableError
        Names the path and its mode or owner, and says what to do.
    """
    if os.name != "posix":
        return
    if found.st_uid not in (0, os.getuid()):
        raise DaemonUnavailableError(
            "{path} belongs to another user (number {user}), so what it says cannot be trusted;"
            " remove it, or set UNDERPAINT_HOME to a folder of your own",
            path=path,
            user=found.st_uid,
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise DaemonUnavailableError(
            "other users can write {path} (mode {mode}), so what it says cannot be trusted; check"
            " that nothing in it belongs to them, then `chmod go-w` it, or set UNDERPAINT_HOME to"
            " a folder of your own",
            path=path,
            mode=f"{stat.S_IMODE(found.st_mode):04o}",
        )
