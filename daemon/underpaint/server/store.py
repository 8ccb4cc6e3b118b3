"""The store: accepted jobs and what came of them, on disk. Touches no socket.

Records are in SQLite, with a write-ahead log; pixels lie beside it in files that are written whole
and renamed. Messages are kept as they travelled, so the store knows nothing of what they say.

What is written survives the end of any process at any moment. It is not forced to the disk: a power
cut may take the last seconds.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.wire import Bytes

from .places import private_folder

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
"""

QUEUED, RUNNING, ENDED, TAKEN = "queued", "running", "ended", "taken"
"""A job's states: `TAKEN` is what is left of one whose client has its results."""


_DAMAGED = (None, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass(frozen=True)
class Retention:
    """How long results wait for a client that does not come.

    Parameters
    ----------
    days : float
        Older ones go.
    gigabytes : float
        Where all that wait are larger, the oldest go.
    """

    days: float = 7
    gigabytes: float = 4


@dataclass(frozen=True)
class Kept:
    """A job as it lies in the store.

    Parameters
    ----------
    name : str
        Its id.
    owner : str
        Who may have its results: empty for this machine's user, else a client's public key.
    trusted : bool
        Whether its client may open models anywhere on this machine.
    digest : bytes
        Of the message that it came as, to know that again.
    state : str
        See the module's constants.
    deaths : int
        How many processes have ended while they ran it.
    header : bytes
        Of the submission; empty once taken.
    ending : bytes or None
        The header of the message that it ended with.
    changed : float
        When it entered its state, in seconds of the epoch.
    size : int
        Bytes of its pixels on disk, both ways.
    """

    name: str
    owner: str
    trusted: bool
    digest: bytes
    state: str
    deaths: int
    header: bytes
    ending: bytes | None
    changed: float
    size: int


def outdated(kept: Sequence[Kept], retention: Retention, now: float) -> list[str]:
    """Say which jobs go: those that ended and are too old, then the oldest of too many bytes.

    A job from the future, as a clock that was moved back makes them, counts as new.

    Parameters
    ----------
    kept : sequence of Kept
        All there are, oldest first.
    retention : Retention
    now : float
        Seconds of the epoch.
    """
    oldest = now - retention.days * 86400
    over = [job for job in kept if job.state in {ENDED, TAKEN}]
    going = [job.name for job in over if job.changed < oldest]
    excess = sum(job.size for job in over) - retention.gigabytes * 2**30
    for job in over:
        if job.name in going:
            excess -= job.size
        elif excess > 0 and job.size:
            going.append(job.name)
            excess -= job.size
    return going


class Store:
    """See the module. Used by one thread at a time.

    Parameters
    ----------
    folder : Path
        Its own; made where there is none.

    Raises
    ------
    sqlite3.DatabaseError
        What lies there is damaged, or was written by a newer Underpaint.
    """

    def __init__(self, folder: Path) -> None:
        self._pixels = private_folder(private_folder(folder) / "pixels")
        self._records = sqlite3.connect(
            folder / "jobs.sqlite", check_same_thread=False, isolation_level=None
        )
        try:
            self._open()
        except sqlite3.DatabaseError:
            self._records.close()
            raise

    def _open(self) -> None:
        (version,) = self._ask("PRAGMA user_version")[0]
        if version > _VERSION:
            raise sqlite3.DatabaseError(f"it is of version {version}, newer than {_VERSION}")
        (found,) = self._ask("PRAGMA quick_check(1)")[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        self._ask("PRAGMA journal_mode = WAL")
        self._ask("PRAGMA synchronous = NORMAL")
        if version < _VERSION:
            self._records.executescript(_SCHEMA)
            self._ask(f"PRAGMA user_version = {_VERSION}")
        self._sweep()

    def close(self) -> None:
        """Close it; what was written stays."""
        self._records.close()

    # ---- jobs ------------------------------------------------------------------------------

    def add(
        self, name: str, parts: list[Bytes], *, owner: str, trusted: bool, digest: bytes
    ) -> Kept | None:
        """Take a job in.

        Parameters
        ----------
        name : str
            Its id.
        parts : list of bytes-like
            The message that it came as: header, then pixels.
        owner, trusted, digest
            As `Kept`.

        Returns
        -------
        Kept or None
            The job that has this id already, which is left as it is; None where there is none.

        Raises
        ------
        OSError, sqlite3.Error
            It could not be written.
        """
        known = self.find(name)
        if known is not None:
            return known
        with self._written(parts[1:]) as (file, sizes):
            self._ask(
                "INSERT INTO jobs (name, owner, trusted, digest, file, header, sizes, bytes, state,"
                " deaths, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
                name, owner, trusted, digest, file, bytes(parts[0]), json.dumps(sizes), sum(sizes),
                QUEUED, time.time(),
            )  # fmt: skip
        return None

    def find(self, name: str) -> Kept | None:
        """Give a job by its id."""
        return next(iter(self._jobs("WHERE name = ?", name)), None)

    def unfinished(self) -> list[Kept]:
        """Give what waits or ran, oldest first."""
        return self._jobs("WHERE state IN (?, ?)", QUEUED, RUNNING)

    def ended(self, owner: str) -> list[Kept]:
        """Give an owner's jobs whose results wait for a client, oldest first."""
        return self._jobs("WHERE state = ? AND owner = ?", ENDED, owner)

    def submission(self, name: str) -> list[Bytes]:
        """Give the message that a job came as; its pixels are read when they are looked at."""
        found = self._ask("SELECT header, file, sizes FROM jobs WHERE name = ?", name)
        return self._parts(*found[0])

    def mark(self, name: str, state: str, deaths: int) -> None:
        """Note that a job waits (again) or runs."""
        self._ask(
            "UPDATE jobs SET state = ?, deaths = ?, changed = ? WHERE name = ?",
            state, deaths, time.time(), name,
        )  # fmt: skip

    # ---- results ---------------------------------------------------------------------------

    def add_picture(self, name: str, number: int, parts: list[Bytes]) -> None:
        """Keep one of a job's pictures, as the message that it travels in; the first that comes.

        Raises
        ------
        OSError, sqlite3.Error
            It could not be written.
        """
        if number in self.numbers(name):
            return
        with self._written(parts[1:]) as (file, sizes):
            self._ask(
                "INSERT INTO pictures VALUES (?, ?, ?, ?, ?, ?)",
                name, number, file, bytes(parts[0]), json.dumps(sizes), sum(sizes),
            )  # fmt: skip

    def numbers(self, name: str) -> set[int]:
        """Say which of a job's pictures are here."""
        found = self._ask("SELECT number FROM pictures WHERE job = ?", name)
        return {number for (number,) in found}

    def pictures(self, name: str) -> list[list[Bytes]]:
        """Give a job's pictures in their order."""
        found = self._ask(
            "SELECT header, file, sizes FROM pictures WHERE job = ? ORDER BY number", name
        )
        return [self._parts(*picture) for picture in found]

    def end(self, name: str, ending: Bytes) -> None:
        """Note how a job ended, with that message's header; what it was sent with goes."""
        found = self._ask("SELECT file FROM jobs WHERE name = ?", name)
        self._ask(
            "UPDATE jobs SET state = ?, ending = ?, bytes = 0, changed = ? WHERE name = ?",
            ENDED, bytes(ending), time.time(), name,
        )  # fmt: skip
        self._remove(file for (file,) in found)

    def take(self, name: str, ending: Bytes | None = None) -> None:
        """Let go of a job whose client has its results; that it was there is remembered.

        Parameters
        ----------
        name : str
            Its id.
        ending : bytes-like, optional
            What to say to who asks for it again.
        """
        files = self._files_of(name)
        with self._at_once():
            self._ask(
                "UPDATE jobs SET state = ?, header = x'', ending = ?, bytes = 0, changed = ?"
                " WHERE name = ?",
                TAKEN, None if ending is None else bytes(ending), time.time(), name,
            )  # fmt: skip
            self._ask("DELETE FROM pictures WHERE job = ?", name)
        self._remove(files)

    def forget(self, name: str) -> None:
        """Remove all that there is of a job."""
        files = self._files_of(name)
        with self._at_once():
            self._ask("DELETE FROM jobs WHERE name = ?", name)
            self._ask("DELETE FROM pictures WHERE job = ?", name)
        self._remove(files)

    def prune(self, retention: Retention, now: float) -> list[str]:
        """Remove what has waited too long, and give its ids."""
        going = outdated(self._jobs(""), retention, now)
        for name in going:
            self.forget(name)
        return going

    # ---- records ---------------------------------------------------------------------------

    @contextlib.contextmanager
    def _at_once(self) -> Iterator[None]:
        """Do all of it or nothing."""
        self._ask("BEGIN")
        try:
            yield
        except BaseException:
            self._ask("ROLLBACK")
            raise
        self._ask("COMMIT")

    def _ask(self, statement: str, *values: Any) -> list[Any]:
        return self._records.execute(statement, values).fetchall()

    def _jobs(self, where: str, *values: Any) -> list[Kept]:
        found = self._ask(
            "SELECT name, owner, trusted, digest, state, deaths, header, ending, changed, bytes +"  # noqa: S608 - `where` is ours
            " (SELECT coalesce(sum(bytes), 0) FROM pictures WHERE job = jobs.name)"
            f" FROM jobs {where} ORDER BY number",
            *values,
        )
        return [Kept(name, owner, bool(trusted), *rest) for name, owner, trusted, *rest in found]

    def _files_of(self, name: str) -> list[str]:
        return [
            file
            for (file,) in self._ask(
                "SELECT file FROM jobs WHERE name = ? UNION ALL"
                " SELECT file FROM pictures WHERE job = ?",
                name, name,
            )
        ]  # fmt: skip

    # ---- files -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def _written(self, pixels: list[Bytes]) -> Iterator[tuple[str, list[int]]]:
        """Write pixels into one file for a record to name; where that fails, the file goes."""
        file = secrets.token_hex(8)
        draft = self._pixels / f"{file}.part"
        try:
            with open(draft, "wb", opener=_private, buffering=0) as stream:
                for part in pixels:
                    _write_all(stream.fileno(), memoryview(part).cast("B"))
            draft.replace(self._pixels / file)
            yield file, [memoryview(part).nbytes for part in pixels]
        except BaseException:
            draft.unlink(missing_ok=True)
            self._remove([file])
            raise

    def _parts(self, header: bytes, file: str, sizes: str) -> list[Bytes]:
        lengths = json.loads(sizes)
        if not sum(lengths):
            return [header, *(b"" for _ in lengths)]
        with (self._pixels / file).open("rb") as stream:
            pixels = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
        if pixels.nbytes != sum(lengths):
            raise OSError(f"{file} has {pixels.nbytes} bytes instead of {sum(lengths)}")
        parts: list[Bytes] = [header]
        start = 0
        for length in lengths:
            parts.append(pixels[start : start + length])
            start += length
        return parts

    def _remove(self, files: Iterator[str] | Sequence[str]) -> None:
        for file in files:
            with contextlib.suppress(OSError):  # somebody looks at it, and nobody can remove it
                (self._pixels / file).unlink()

    def _sweep(self) -> None:
        """Remove files that no record names: what was half written when a process ended."""
        named = {
            file for (file,) in self._ask("SELECT file FROM jobs UNION SELECT file FROM pictures")
        }
        self._remove([path.name for path in self._pixels.iterdir() if path.name not in named])


def open_store(folder: Path) -> tuple[Store, str]:
    """Open the store, or put a damaged one aside and begin a new one.

    Returns
    -------
    store : Store
    remark : str
        What the artist should know; empty where all is well.

    Raises
    ------
    DaemonUnavailableError
        It cannot be opened, though nothing is wrong with it.
    """
    try:
        return Store(folder), ""
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) not in _DAMAGED:
            raise DaemonUnavailableError(
                f"{folder} cannot be opened ({error}); close what uses it, or make room on the disk"
            ) from None
        number = 1
        while (aside := folder.with_name(f"{folder.name}-aside-{number}")).exists():
            number += 1
        folder.rename(aside)
        remark = (
            f"the store of jobs could not be read ({error}), so a new one was begun; the old one,"
            f" with what had not been fetched from it, is now {aside}"
        )
        return Store(folder), remark


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
