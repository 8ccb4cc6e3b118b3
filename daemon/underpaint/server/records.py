"""The store's records: one SQLite file, whose commits are on the disk when they return."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY,
    name TEXT UNIQUE NOT NULL,
    owner TEXT NOT NULL,
    trusted INTEGER NOT NULL,
    digest BLOB NOT NULL,
    file TEXT NOT NULL,
    header BLOB NOT NULL,
    sizes TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    state TEXT NOT NULL,
    deaths INTEGER NOT NULL,
    ending BLOB,
    changed REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS pictures (
    job TEXT NOT NULL,
    number INTEGER NOT NULL,
    file TEXT NOT NULL,
    header BLOB NOT NULL,
    sizes TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (job, number)
);
CREATE INDEX IF NOT EXISTS jobs_in_short ON jobs (state, owner, number, name, changed, bytes);
CREATE INDEX IF NOT EXISTS jobs_files ON jobs (file);
CREATE INDEX IF NOT EXISTS pictures_in_short ON pictures (job, bytes);
CREATE INDEX IF NOT EXISTS pictures_files ON pictures (file);
CREATE TABLE IF NOT EXISTS awake (seconds REAL NOT NULL);
CREATE TABLE IF NOT EXISTS old_since (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    awake REAL NOT NULL,
    PRIMARY KEY (kind, name)
);
"""
"""`awake` holds the seconds for which daemons ran in all, `old_since` when by that clock a job or a
file that no record names was first found too old. What is new here an older Underpaint passes over.
The indexes hold all that is asked of many jobs at once, as headers of a megabyte lie in the tables.
"""


class Records:
    """See the module. Used by one thread at a time.

    Parameters
    ----------
    file : Path
        Made where there is none.
    expected : bool
        Whether it must have been there before.

    Raises
    ------
    sqlite3.DatabaseError
        It is damaged, was written by a newer Underpaint, or is missing though it was expected.
    """

    def __init__(self, file: Path, *, expected: bool) -> None:
        self._connection = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        try:
            self._open(expected=expected)
        except sqlite3.DatabaseError:
            self.close()
            raise

    def _open(self, *, expected: bool) -> None:
        (version,) = self.execute("PRAGMA user_version")[0]
        if version > _VERSION:
            raise sqlite3.DatabaseError(f"it is of version {version}, newer than {_VERSION}")
        (found,) = self.execute("PRAGMA quick_check(1)")[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        if version == 0 and expected:
            raise sqlite3.DatabaseError("its records are missing, though there are pixels")
        self.execute("PRAGMA journal_mode = WAL")
        self.execute("PRAGMA synchronous = FULL")  # what is committed is on the disk
        self.execute("PRAGMA fullfsync = 1")  # past the disk's own cache, on macOS
        self._connection.executescript(_SCHEMA)
        if version < _VERSION:
            self.execute(f"PRAGMA user_version = {_VERSION}")

    def close(self) -> None:
        """Close the file; what was committed stays."""
        self._connection.close()

    def execute(self, statement: str, *values: Any) -> list[Any]:
        """Carry out a statement and return its rows."""
        return self._connection.execute(statement, values).fetchall()

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Commit all that is done meanwhile, or nothing of it."""
        self.execute("BEGIN")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:  # Ctrl-C too: no transaction may stay open
            with contextlib.suppress(sqlite3.Error):  # where SQLite has done so by itself
                self.execute("ROLLBACK")
            raise

    @contextlib.contextmanager
    def without_waiting(self) -> Iterator[None]:
        """Commit what is done meanwhile in order, but do not wait until it is on the disk."""
        self.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            self.execute("PRAGMA synchronous = FULL")
