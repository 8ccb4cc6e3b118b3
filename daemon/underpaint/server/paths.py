"""The files and folders of a daemon, and their modes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

import filelock

from underpaint_client.daemon_lock import is_lock_held, lock_file, lock_holder
from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.home import (
    check_writable_by_owner_only,
    connection_file,
    home,
    make_folder,
    read_connection_file,
)
from underpaint_client.sentences import sentence

LONGEST_SOCKET_PATH = 107
"""Bytes of the longest path that a Unix socket can have."""

_LONGEST_NAME = "clients.sock"


def private_folder(path: Path) -> Path:
    """Make a folder that is its owner's alone, or see that it is; the folders above it too.

    Raises
    ------
    DaemonUnavailableError
        If it is a link, somebody else's, or others can write it.
    """
    make_folder(path)
    if os.name != "posix":
        return path
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise DaemonUnavailableError(
            "{path} is a link or belongs to another user; remove it or set UNDERPAINT_HOME",
            path=path,
        )
    check_writable_by_owner_only(path, found)
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)
    return path


def open_private(path: str, flags: int) -> int:
    """Open a file for its owner alone, whatever the umask: an opener for `open`."""
    descriptor = os.open(path, flags, 0o600)
    if os.name == "posix" and os.fstat(descriptor).st_uid == os.getuid():
        os.fchmod(descriptor, 0o600)
    return descriptor


def socket_folder() -> Path:
    """Return the folder of the daemon's sockets: in the home, or a short one where that is long."""
    inside = home() / "run"
    if _can_hold_sockets(inside):
        return private_folder(inside)
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    return private_folder(runtime / f"underpaint-{os.getuid()}-{home_digest()}")


def _can_hold_sockets(folder: Path) -> bool:
    """Return whether ZeroMQ can listen there: its endpoints are short, and UTF-8."""
    try:
        name = str(folder / _LONGEST_NAME).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return len(name) <= LONGEST_SOCKET_PATH


def home_digest() -> str:
    """Return a short name for this home, for what must lie outside it."""
    return hashlib.sha256(os.fsencode(home())).hexdigest()[:12]


def make_home() -> None:
    """Make Underpaint's home and its folder of logs.

    A home that is there keeps its mode: what Underpaint puts into it is private by itself.

    Raises
    ------
    DaemonUnavailableError
        If they cannot be written, or others can write them.
    """
    try:
        make_folder(home())
        check_writable_by_owner_only(home(), home().stat())
        private_folder(log_file().parent)
        with tempfile.TemporaryFile(dir=home()):
            pass
    except OSError as error:
        raise _unwritable(error) from None


def _unwritable(error: OSError) -> DaemonUnavailableError:
    return DaemonUnavailableError(
        "{home} cannot be written ({reason}); set UNDERPAINT_HOME to a folder that can",
        home=home(),
        reason=error.strerror,
    )


def log_file() -> Path:
    """Return the path of the log that a daemon in the background writes."""
    return home() / "logs" / "daemon.log"


def acquire_lock() -> filelock.FileLock:
    """Become the one daemon of this home, and clear what a dead one left.

    The operating system lets go of the lock when its holder ends, however it ends.

    Raises
    ------
    DaemonUnavailableError
        Names the daemon that is running.
    """
    make_home()
    lock = filelock.FileLock(lock_file(), mode=0o600)
    try:
        lock.acquire(timeout=1)  # longer than `daemon_runs` holds it
    except filelock.Timeout:
        info, pid = read_connection_file(), lock_holder()
        which = sentence("process id {pid}", pid=pid) if pid else sentence("still starting")
        if info:
            which = sentence("process id {pid}, {address}", pid=info.pid, address=info.endpoint)
        raise DaemonUnavailableError(
            "a daemon is already running for {home} ({daemon}); use it, or stop it with"
            " `underpaint stop`",
            home=home(),
            daemon=which,
        ) from None
    connection_file().unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it only helps to name the daemon
        lock_file().write_text(str(os.getpid()), encoding="ascii")
    return lock


def allow_many_files(count: int) -> int:
    """Raise the number of files that this process may have open, up to the system's limit.

    Returns
    -------
    int
        How many it may have open now, at most `count`.
    """
    if os.name != "posix":
        return count
    import resource  # noqa: PLC0415 - POSIX's

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def daemon_runs() -> bool:
    """Return whether a daemon of this home holds its lock.

    Raises
    ------
    DaemonUnavailableError
        If the home cannot be written, so that it cannot be determined.
    """
    if not lock_file().exists():
        return False
    is_held = is_lock_held()
    if is_held is not None:
        return is_held
    lock = filelock.FileLock(lock_file(), mode=0o600)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return True
    except OSError as error:
        raise _unwritable(error) from None
    lock.release()
    return False
