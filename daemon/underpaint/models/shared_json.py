"""A JSON object in Underpaint's home that several processes read and change."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import filelock

from underpaint_client.home import home, make_folder, write_private

from .reading import read_memory

Value = TypeVar("Value")

_PATIENCE = 10.0
"""Seconds to wait for another process; a change takes milliseconds."""


@dataclass(frozen=True)
class SharedJson(Generic[Value]):
    """Such an object. If it cannot be read, it is empty; if it cannot be written, it is lost.

    Parameters
    ----------
    name : str
        The file's.
    kind : type
        The type of its values; others are ignored.
    """

    name: str
    kind: type[Value]

    @property
    def path(self) -> Path:
        """The file, whether or not it exists."""
        return home() / self.name

    def read(self) -> dict[str, Value]:
        """Return what is in it."""
        kept = read_memory(self.path)
        return {key: found for key, found in kept.items() if isinstance(found, self.kind)}

    @contextlib.contextmanager
    def changing(self) -> Iterator[dict[str, Value]]:
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
