"""A JSON object in Underpaint's home that several processes read and change."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import filelock

from underpaint_client.home import home, make_folder, write_private

_PATIENCE = 10.0
"""Seconds to wait for another process; a change takes milliseconds."""


@dataclass(frozen=True)
class SharedJson:
    """Such an object. What cannot be read counts as empty, what cannot be written is not kept.

    Parameters
    ----------
    name : str
        The file's.
    """

    name: str

    @property
    def path(self) -> Path:
        """The file, whether or not it exists."""
        return home() / self.name

    def read(self) -> dict[str, Any]:
        """Return what is in it."""
        try:
            return dict(json.loads(self.path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, RecursionError):
            return {}

    @contextlib.contextmanager
    def changing(self) -> Iterator[dict[str, Any]]:
        """Yield what is in it, to be changed, and write it; other processes wait meanwhile."""
        file = self.path
        lock = filelock.FileLock(f"{file}.lock", timeout=_PATIENCE, mode=0o600)
        locked = False
        with contextlib.suppress(OSError):  # `filelock.Timeout` is one
            make_folder(file.parent)
            lock.acquire()
            locked = True
        try:
            known = self.read()
            yield known
            if locked:
                with contextlib.suppress(OSError):
                    write_private(file, json.dumps(known, indent=1))
        finally:
            lock.release()
