"""The log: what the daemon and its workers did, without what anybody painted.

No prompt, no pixel and no secret gets into it. Errors that a message or a job brings about may
quote what was asked, so of those only the kind and the place are written; their words go to the
artist.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
import traceback
from types import TracebackType

from underpaint_client.printable import printable

from .paths import log_file, open_private

MAX_LOG = 4 * 2**20
"""Bytes after which a log is put aside; the one before it goes."""

LOOK = 10.0
"""Seconds between two looks at how long it is."""

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class _Formatter(logging.Formatter):
    """Writes where an exception came from, and not what it says; nothing commands a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's lines."""
        return printable(super().format(record))

    def formatException(self, ei: ExceptionInfo | tuple[None, None, None]) -> str:  # noqa: N802
        """Return the kinds and places of an exception and of those before it."""
        kind, error, _ = ei
        lines = []
        while error is not None:
            places = traceback.extract_tb(error.__traceback__)
            lines += [f"  {place.filename}:{place.lineno} in {place.name}" for place in places]
            lines.append(f"{type(error).__name__}")
            error = error.__cause__ or error.__context__
        return "\n".join(lines) or str(kind)


def set_up(who: str = "") -> None:
    """Make this process write its log to standard error.

    A daemon in the background has sent that to `places.log_file`, and its workers share it.

    Parameters
    ----------
    who : str
        Whose lines these are.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter(f"%(asctime)s {who}%(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


class LogTurner:
    """Keeps the log of this process, and of the workers that share it, short while it runs.

    They all append to one open file. So the file stays, and its content is moved aside.

    Parameters
    ----------
    limit : int
        As in `turn_log`.
    """

    def __init__(self, limit: int = MAX_LOG) -> None:
        self._limit = limit
        self._next = 0.0

    def look(self) -> None:
        """Turn the log if it is time for it and standard error goes there."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + LOOK
            if _writes_log():
                turn_log(self._limit)


def turn_log(limit: int = MAX_LOG) -> None:
    """Move a log of more than `limit` bytes aside."""
    file = log_file()
    try:
        if file.stat().st_size > limit:
            aside = open(file.with_suffix(".log.1"), "wb", opener=open_private)  # noqa: SIM115
            with file.open("rb") as log, aside:
                shutil.copyfileobj(log, aside)
            os.truncate(file, 0)
    except FileNotFoundError:
        pass
    except OSError as error:
        logging.getLogger(__name__).warning("the log cannot be put aside: %s", error.strerror)


def _writes_log() -> bool:
    try:
        return os.path.samestat(os.fstat(2), log_file().stat())
    except OSError:
        return False
