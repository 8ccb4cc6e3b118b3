"""The plug-in's own log: `logs/krita.log` or `logs/gimp.log` in Underpaint's home.

It has no prompts, pixels or names of files and layers. An exception is logged with its type and
where it was raised, without its message, which may quote any of these.
"""

from __future__ import annotations

import logging
import os
import platform
import traceback
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

from underpaint_client.home import home, make_folder

if TYPE_CHECKING:
    from io import TextIOWrapper

LOG_BYTES = 256 * 1024
"""Bytes of a log; one more file of that size is kept."""

EDITORS = ("Krita", "GIMP")
"""The editors whose plug-ins write a log."""

_FRAMES = 6  # of a traceback, the innermost

_logger = logging.getLogger("underpaint_editor")
_LOGGERS = (_logger, logging.getLogger("underpaint_client"))
for _one in _LOGGERS:
    _one.propagate = False  # an editor's own handlers would print it
    _one.addHandler(logging.NullHandler())


def log_file(editor: str) -> Path:
    """Return the path of the log of an editor's plug-in, whether or not it exists."""
    return home() / "logs" / f"{editor.lower()}.log"


class _LogHandler(RotatingFileHandler):
    """Writes a private file that cannot grow. What cannot be written is left out."""

    def _open(self) -> TextIOWrapper:
        folder = Path(self.baseFilename).parent
        for path in (folder.parent, folder):
            if not path.exists():
                make_folder(path)
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        return os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging calls it
        """Do nothing: a full or read-only disk is no reason to interrupt the artist."""


def open_log(editor: str, version: str = "", size: int = LOG_BYTES) -> logging.Handler:
    """Write what is logged from now on to the editor's log.

    Parameters
    ----------
    editor : str
        As in `Session`.
    version : str
        The editor's.
    size : int
        Bytes after which a new file is begun.

    Returns
    -------
    logging.Handler
        For `close_log`; an adapter keeps it open as long as the editor runs.
    """
    handler = _LogHandler(
        log_file(editor), maxBytes=size, backupCount=1, encoding="utf-8", delay=True
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s [%(process)d] %(message)s"))
    for logger in _LOGGERS:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    name = f"{editor} {version}".strip()
    log_event(f"{name} started the plug-in, Python {platform.python_version()}")
    return handler


def close_log(handler: logging.Handler) -> None:
    """Close the log that `open_log` has opened."""
    for logger in _LOGGERS:
        logger.removeHandler(handler)
    handler.close()


def log_event(text: str) -> None:
    """Log what has happened. The text must not have prompts or names in it."""
    _logger.info("%s", text)


def log_exception(action: str, error: BaseException) -> None:
    """Log that an action failed.

    Parameters
    ----------
    action : str
        What failed, such as `inserting results`.
    error : BaseException
        Why. Its message is not logged.
    """
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    where = " < ".join(
        f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in reversed(frames)
    )
    number = f" {error.errno}" if isinstance(error, OSError) and error.errno else ""
    _logger.error("%s failed: %s%s at %s", action, type(error).__name__, number, where or "?")
