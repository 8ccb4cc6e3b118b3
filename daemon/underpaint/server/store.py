"""The store: accepted jobs and their results, on disk. Touches no socket.

Records are in SQLite, with a write-ahead log; pixels lie beside it in `pixel_files`. Messages are
kept as they travelled, so the store knows nothing of what they say; those of an older protocol are
returned as `old_messages` rewrites them.

What is written survives the end of any process and a power cut at any moment: pixels are on the
disk before the record that names them, and each record is before a call here returns (but for
`mark`, which a power cut may undo: the job then runs again). Nothing is removed before the record
that lets go of it is on the disk.
"""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from underpaint_client.frames import Bytes

from .ages import Ages
from .old_messages import upgrade_header
from .paths import private_folder
from .pixel_files import PixelFiles, sync_folder
from .records import Records
from .retention import Entry, Retention, find_old, is_due, outdated, oversized
from .stored_job import ENDED, QUEUED, RUNNING, TAKEN, Pictures, StoredJob

_JOB, _FILE = "job", "file"
"""The kinds of `old_since`."""


class Store:
    """See the module. Used by one thread at a time.

    Parameters
    ----------
    folder : Path
        Its own; made where there is none.

    Raises
    ------
    sqlite3.DatabaseError
        What lies there is damaged, was written by a newer Underpaint, or has lost its records.
    """

    def __init__(self, folder: Path) -> None:
        self._files = PixelFiles(private_folder(folder) / "pixels")
        self._records = Records(folder / "jobs.sqlite", expected=bool(self._files.names()))
        self._ages = Ages(self._records)
        try:
            sync_folder(folder)
            sync_folder(folder.parent)
        except OSError:
            self._records.close()
            raise
        self._files.remove_drafts()

    def close(self) -> None:
        """Close it; what was written stays."""
        self._records.close()

    # ---- jobs ------------------------------------------------------------------------------

    def add(
        self, name: str, parts: list[Bytes], *, owner: str, trusted: bool, digest: bytes
    ) -> StoredJob | None:
        """Add a job.

        Parameters
        ----------
        name : str
            Its id.
        parts : list of bytes-like
            The message that it came as: header, then pixels.
        owner, trusted, digest
            As `StoredJob`.

        Returns
        -------
        StoredJob or None
            The job that has this id already, which is left as it is; None if there is none.

        Raises
        ------
        OSError, sqlite3.Error
            It could not be written.
        """
        known = self.find(name)
        if known is not None:
            return known
        sizes = [memoryview(part).nbytes for part in parts[1:]]
        with self._files.written(parts[1:]) as file:
            self._execute(
                "INSERT INTO jobs (name, owner, trusted, digest, file, header, sizes, bytes, state,"
                " deaths, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)",
                name, owner, trusted, digest, file, bytes(parts[0]), json.dumps(sizes),
                len(parts[0]) + sum(sizes), QUEUED, time.time(),
            )  # fmt: skip
        return None

    def find(self, name: str) -> StoredJob | None:
        """Return a job by its id."""
        return next(iter(self._jobs("WHERE name = ?", name)), None)

    def unfinished(self) -> list[StoredJob]:
        """Return what waits or ran, oldest first."""
        return self._jobs("WHERE state IN (?, ?)", QUEUED, RUNNING)

    def ended(
        self, owner: str, *, without: Collection[str] = (), room: float = math.inf
    ) -> list[StoredJob]:
        """Return an owner's jobs whose results wait for a client, oldest first.

        Parameters
        ----------
        owner : str
        without : collection of str
            Those to leave out.
        room : float
            Bytes of their headers after which no more are read.
        """
        found = self._execute(
            "SELECT name, length(header) FROM jobs WHERE state = ? AND owner = ? ORDER BY number",
            ENDED, owner,
        )  # fmt: skip
        found = [(name, size) for name, size in found if name not in without]
        sizes = itertools.accumulate((size for _, size in found), initial=0)
        read = [name for (name, _), before in zip(found, sizes, strict=False) if before <= room]
        return [kept for name in read if (kept := self.find(name)) is not None]

    def owners(self) -> set[str]:
        """Return the owners of all jobs, acknowledged ones too."""
        return {owner for (owner,) in self._execute("SELECT DISTINCT owner FROM jobs")}

    def adopt(self, owner: str, former: set[str]) -> None:
        """Make an owner that of all jobs of others: the same person under other names.

        Raises
        ------
        sqlite3.Error
            It could not be written; nothing has changed.
        """
        with self._records.at_once():
            for one in former - {owner}:
                self._execute("UPDATE jobs SET owner = ? WHERE owner = ?", owner, one)

    def submission(self, name: str) -> list[Bytes]:
        """Return the message that a job came as; its pixels are read when they are looked at.

        Raises
        ------
        DamagedFileError
            The pixels are missing or were cut.
        OSError
            They could not be read this time.
        """
        found = self._execute("SELECT header, file, sizes FROM jobs WHERE name = ?", name)
        header, file, sizes = found[0]
        return [upgrade_header(header), *self._files.read(file, json.loads(sizes))]

    def mark(self, name: str, state: str, deaths: int) -> None:
        """Record that a job waits (again) or runs, without waiting for the disk."""
        with self._records.without_waiting():
            self._execute(
                "UPDATE jobs SET state = ?, deaths = ?, changed = ? WHERE name = ?",
                state, deaths, time.time(), name,
            )  # fmt: skip

    # ---- results ---------------------------------------------------------------------------

    def add_picture(self, name: str, number: int, parts: list[Bytes]) -> None:
        """Add one of a job's pictures, as its message; only the first of each index is kept.

        Of a job that was taken, or is not here, nothing is kept.

        Raises
        ------
        OSError, sqlite3.Error
            It could not be written.
        """
        known = self._execute("SELECT 1 FROM jobs WHERE name = ? AND state != ?", name, TAKEN)
        if not known or number in self.numbers(name):
            return
        sizes = [memoryview(part).nbytes for part in parts[1:]]
        with self._files.written(parts[1:]) as file:
            self._execute(
                "INSERT INTO pictures VALUES (?, ?, ?, ?, ?, ?)",
                name, number, file, bytes(parts[0]), json.dumps(sizes),
                len(parts[0]) + sum(sizes),
            )  # fmt: skip

    def numbers(self, name: str) -> set[int]:
        """Return which of a job's pictures are here."""
        found = self._execute("SELECT number FROM pictures WHERE job = ?", name)
        return {number for (number,) in found}

    def pictures(self, name: str, without: frozenset[int] = frozenset()) -> Pictures:
        """Return those of a job's pictures that can be read, without these."""
        found = self._execute(
            "SELECT number, header, file, sizes FROM pictures WHERE job = ? ORDER BY number", name
        )
        pictures = Pictures([], {})
        for number, header, file, sizes in found:
            if number in without:
                continue
            try:
                pixels = self._files.read(file, json.loads(sizes))
                pictures.whole.append([upgrade_header(header), *pixels])
            except OSError as error:
                pictures.unreadable[number] = error.strerror or str(error)
        return pictures

    def end(self, name: str, ending: Bytes) -> None:
        """Record how a job ended, with that message's header; remove its submission.

        A job that was taken stays so.
        """
        found = self._execute("SELECT file FROM jobs WHERE name = ?", name)
        self._execute(
            "UPDATE jobs SET state = ?, ending = ?, bytes = length(header) + ?, changed = ?"
            " WHERE name = ? AND state != ?",
            ENDED, bytes(ending), len(ending), time.time(), name, TAKEN,
        )  # fmt: skip
        self._files.remove(file for (file,) in found)

    def mark_taken(self, name: str, ending: Bytes | None = None) -> None:
        """Forget a job whose client has its results, except that it existed.

        Parameters
        ----------
        name : str
            Its id.
        ending : bytes-like, optional
            What to say to who asks for it again.
        """
        files = self._files_of(name)
        with self._records.at_once():
            self._execute(
                "UPDATE jobs SET state = ?, header = x'', ending = ?, bytes = ?, changed = ?"
                " WHERE name = ?",
                TAKEN, None if ending is None else bytes(ending), len(ending or b""), time.time(),
                name,
            )  # fmt: skip
            self._execute("DELETE FROM pictures WHERE job = ?", name)
        self._files.remove(files)

    def forget(self, names: Iterable[str]) -> None:
        """Remove all that there is of some jobs."""
        files: list[str] = []
        with self._records.at_once():
            for name in names:
                files += self._files_of(name)
                self._execute("DELETE FROM jobs WHERE name = ?", name)
                self._execute("DELETE FROM pictures WHERE job = ?", name)
        self._files.remove(files)

    def forget_owner(self, owner: str) -> None:
        """Remove all that there is of an owner's jobs."""
        self.forget(
            name for (name,) in self._execute("SELECT name FROM jobs WHERE owner = ?", owner)
        )

    def prune(
        self,
        retention: Retention,
        now: float,
        awake: float,
        explain: Callable[[str], Bytes] | None = None,
    ) -> list[str]:
        """Remove what has waited too long, and return the ids of those jobs.

        No clock is trusted alone: a job goes only when this finds it too old, and has found so at
        every look for a day in which daemons ran. So goes a file that no record names.

        Parameters
        ----------
        retention : Retention
        now : float
            Seconds of the epoch.
        awake : float
            Seconds for which the daemon has run since it last asked.
        explain : callable, optional
            Returns what to say to who asks for a job of that id that went to make room.
        """
        ended = self._entries()
        self._remove_pictures_without_job()
        unnamed = {file: self._files.changed(file) for file in self._unnamed_files()}
        changed_at = {_JOB: {entry.name: entry.changed for entry in ended}, _FILE: unnamed}
        with self._records.at_once():
            total = self._ages.count(awake)
            for kind, changed in changed_at.items():
                self._ages.look(kind, find_old(changed, retention, now), total)
        old = {kind: self._ages.since(kind) for kind in changed_at}
        going = outdated(ended, old[_JOB], total)
        staying = [entry for entry in ended if entry.name not in set(going)]
        large = oversized(staying, self._running(), retention)
        explained: list[str] = []
        for one in large:
            if one.is_taken or explain is None:
                going.append(one.name)
            else:
                explained.append(one.name)
                self.mark_taken(one.name, explain(one.name))
        if going:
            self.forget(going)
        self._files.remove(file for file, since in old[_FILE].items() if is_due(since, total))
        return [*going, *explained]

    def _entries(self) -> list[Entry]:
        """Return what has ended, taken or not, oldest first."""
        found = self._execute(
            "SELECT name, owner, changed, bytes + (SELECT coalesce(sum(bytes), 0) FROM pictures"
            " WHERE job = jobs.name), state FROM jobs WHERE state IN (?, ?) ORDER BY number",
            ENDED, TAKEN,
        )  # fmt: skip
        return [
            Entry(name, owner, changed, size, state == TAKEN)
            for name, owner, changed, size, state in found
        ]

    def _running(self) -> dict[str, int]:
        """Return the bytes of pictures of jobs that have not ended, for each owner."""
        return dict(
            self._execute(
                "SELECT owner, sum(pictures.bytes) FROM jobs JOIN pictures ON job = name"
                " WHERE state IN (?, ?) GROUP BY owner",
                QUEUED, RUNNING,
            )
        )  # fmt: skip

    # ---- records ---------------------------------------------------------------------------

    def _execute(self, statement: str, *values: Any) -> list[Any]:
        return self._records.execute(statement, *values)

    def _jobs(self, where: str, *values: Any) -> list[StoredJob]:
        found = self._execute(
            "SELECT name, owner, trusted, digest, state, deaths, header, ending, changed"  # noqa: S608 - `where` is ours
            f" FROM jobs {where} ORDER BY number",
            *values,
        )
        return [
            StoredJob(
                name, owner, bool(trusted), digest, state, deaths, upgrade_header(header),
                None if ending is None else upgrade_header(ending), changed,
            )
            for name, owner, trusted, digest, state, deaths, header, ending, changed in found
        ]  # fmt: skip

    def _files_of(self, name: str) -> list[str]:
        return [
            file
            for (file,) in self._execute(
                "SELECT file FROM jobs WHERE name = ? UNION ALL"
                " SELECT file FROM pictures WHERE job = ?",
                name, name,
            )
        ]  # fmt: skip

    def _remove_pictures_without_job(self) -> None:
        """Remove pictures that nobody can ask for, as earlier versions may have left them."""
        without = "FROM pictures WHERE job NOT IN (SELECT name FROM jobs WHERE state != ?)"
        files = self._execute(f"SELECT file {without}", TAKEN)
        self._execute(f"DELETE {without}", TAKEN)
        self._files.remove(file for (file,) in files)

    def _unnamed_files(self) -> set[str]:
        """Return the files that no record names.

        Such are left where a process ended between a file and its record, in either order, and
        where records were lost.
        """
        named = self._execute("SELECT file FROM jobs UNION SELECT file FROM pictures")
        return self._files.names() - {file for (file,) in named}
