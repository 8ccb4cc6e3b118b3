"""The lock that a running daemon holds on a file: it shows whether this machine's daemon runs.

The operating system releases it however the daemon ends, with the machine too. A process id tells
less: after a restart of the machine it may be any other process's.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path

from .home import home


def lock_file() -> Path:
    """Return the path of the file that a running daemon holds a lock on, and its number in it."""
    return home() / "daemon.lock"


def lock_holder() -> int:
    """Return the process id of the daemon that holds the lock; 0 if it is not known.

    It is there from the daemon's first moment on, though its other files be removed.
    """
    try:
        return int(lock_file().read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def is_lock_held() -> bool | None:
    """Return whether a daemon of this home holds its lock.

    Those who ask do not disturb each other: each takes a shared lock for a moment, while a daemon's
    is exclusive.

    Returns
    -------
    bool or None
        None where it cannot be determined: there is no file, it cannot be read, or the file system
        has no such locks.
    """
    if sys.platform == "win32":
        return None
    import fcntl  # noqa: PLC0415 - POSIX's

    with contextlib.suppress(OSError):
        descriptor = os.open(lock_file(), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return False
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)  # and with it the lock
    return None
