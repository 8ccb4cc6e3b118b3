"""Examine the files that were found, and remember what they are, by size and time.

A header takes some milliseconds, and a folder may hold thousands of files. So each is read once:
the result is kept in `model-scan.json` in Underpaint's home, which all of its programs share. A
lost file only means that the headers are read again.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import underpaint
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.home import home, make_folder, write_private
from underpaint_client.sentence_json import from_data, to_data
from underpaint_client.sentences import sentence
from underpaint_client.typed_json import read_fields, read_value, to_json

from .headers import UnreadableError
from .probes import Contents, read_contents
from .reading import read_memory
from .roots import Root, used_roots
from .stamps import stamp_status
from .walking import Found, walk_roots

_RULES = 6
"""The version of the probes: raise it when they tell files apart in another way, or tell more."""

_WRITE = 5.0
"""Seconds between two writes of what was found, while there is more to examine."""


class Scanned(NamedTuple):
    """What was found, and what it is.

    Parameters
    ----------
    found : Found
    contents : Contents or None
        Of a file; None for a folder, for one that cannot be read, and for one that was not looked
        into yet.
    problem : str
        Why it cannot be read; empty where it can.
    """

    found: Found
    contents: Contents | None = None
    problem: str = ""

    @property
    def is_model(self) -> bool:
        """Whether this is a model, as far as it was examined."""
        if self.problem:
            return False
        return self.found.is_folder or (self.contents is not None and self.contents.kind == "model")

    @property
    def is_unknown(self) -> bool:
        """Whether it was not examined yet."""
        return not (self.found.is_folder or self.problem or self.contents)


def scan(
    roots: Iterable[Root] | None = None,
    *,
    seconds: float | None = None,
    tell: Callable[[int, int], None] = lambda _done, _all: None,
    kind: str = "",
) -> list[Scanned]:
    """Look for models, and examine those that are new or have changed.

    Parameters
    ----------
    roots : iterable of Root, optional
        Where to look; without it, in all that are used.
    seconds : float, optional
        How long headers may be read; the others are returned as unknown.
    tell : callable
        Called with how many headers were read, and of how many.
    kind : str
        Leave out files of another kind. Without it, all are returned.
    """
    found = walk_roots(used_roots() if roots is None else roots)
    with _lock:
        memory = _memory()
        files = [one for one in found if not (one.is_folder or one.problem)]
        new = [one for one in files if not memory.knows(one)]
        deadline = None if seconds is None else time.monotonic() + seconds
        unreadable: dict[Path, str] = {}
        written = time.monotonic()
        for number, one in enumerate(new):
            if deadline is not None and time.monotonic() > deadline:
                break
            tell(number, len(new))
            try:
                memory.look_into(one)
            except UnreadableError as error:  # may be repaired without a change of the file
                unreadable[one.path] = error.sentence
            if time.monotonic() - written > _WRITE:
                memory.write()
                written = time.monotonic()
        there = {
            one.root.path for one in found
        }  # the others may be on a disk that is not there now
        if memory.forget(there, files) or new:
            memory.write()
        return [
            memory.recall(one, unreadable)
            for one in found
            if not kind or memory.kind_of(one) in (kind, None)
        ]


def contents_of(file: Path) -> Contents:
    """Return what a weight file is, as it is remembered if it was examined before.

    Raises
    ------
    ModelUnavailableError
        As `read_contents`.
    """
    try:
        status = file.stat()
    except OSError:
        return read_contents(file)  # says what is wrong
    one = Found(file.name, file, Root("", file.parent), stamp=stamp_status(status))
    with _lock:
        memory = _memory()
        if not memory.knows(one):
            memory.look_into(one)
            memory.write()
        scanned = memory.recall(one, {})
    if scanned.contents is None:
        raise ModelUnavailableError(scanned.problem)
    return scanned.contents


_lock = threading.RLock()


class _Memory:
    """What files are, by path, size and time."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.stamp = _stamp(file)
        self._version = [_RULES, underpaint.__version__]
        self._files: dict[str, list[Any]] = {}
        kept = read_memory(file)
        files = kept.get("files")
        if kept.get("version") == self._version and isinstance(files, dict):
            self._files = files

    def knows(self, one: Found) -> bool:
        """Return whether a file was examined in its current state."""
        kept = self._files.get(str(one.path))
        return isinstance(kept, list) and len(kept) == 3 and kept[0] == list(one.stamp)

    def kind_of(self, one: Found) -> str | None:
        """Return what kind of file it is; None for a folder, or if that is not known."""
        if one.is_folder or one.problem or not self.knows(one):
            return None
        contents = self._files[str(one.path)][1]
        kind = contents.get("kind") if isinstance(contents, dict) else None
        return kind if isinstance(kind, str) else None

    def look_into(self, one: Found) -> None:
        """Read a header, and remember what it says or what is wrong with it.

        Raises
        ------
        UnreadableError
            It cannot be read.
        """
        contents: dict[str, Any] | None = None
        problem: str = ""
        try:
            contents = to_json(read_contents(one.path))
        except UnreadableError:
            raise
        except ModelUnavailableError as error:
            problem = error.sentence
        except Exception as error:  # noqa: BLE001 - one odd file must not hide the others
            problem = sentence(
                "weights {file} cannot be read ({error}); fetch the file again",
                file=one.path,
                error=error,
            )
        told = [str(problem), to_data(problem)]
        self._files[str(one.path)] = [list(one.stamp), contents, told]

    def recall(self, one: Found, unreadable: dict[Path, str]) -> Scanned:
        """Return what is known about a file or folder."""
        if one.problem or one.path in unreadable:
            return Scanned(one, problem=one.problem or unreadable[one.path])
        if one.is_folder or not self.knows(one):
            return Scanned(one)
        _, kept, problem = self._files[str(one.path)]
        try:
            contents = None if kept is None else read_fields("contents", Contents, kept)
            text, data = problem if type(problem) is list and len(problem) == 2 else (problem, None)
            told = from_data(read_value("problem", str, text), data)
        except ValueError:  # somebody changed the file
            del self._files[str(one.path)]
            return Scanned(one)
        return Scanned(one, contents, told)

    def forget(self, roots: Iterable[Path], there: list[Found]) -> bool:
        """Forget files that are no longer in these folders, and return whether there were any."""
        seen = {str(one.path) for one in there}
        starts = tuple(f"{root}{os.sep}" for root in roots)
        gone = [path for path in self._files if path not in seen and path.startswith(starts)]
        for path in gone:
            del self._files[path]
        return bool(gone)

    def write(self) -> None:
        """Write everything; if the home cannot be written, headers are read again next time."""
        with contextlib.suppress(OSError, ValueError):
            make_folder(self.file.parent)
            write_private(self.file, json.dumps({"version": self._version, "files": self._files}))
            self.stamp = _stamp(self.file)


_kept: list[_Memory] = []


def _memory() -> _Memory:
    """Return what is known; read it again if another program has written it."""
    file = home() / "model-scan.json"
    if not _kept or _kept[0].file != file or _kept[0].stamp != _stamp(file):
        _kept[:] = [_Memory(file)]
    return _kept[0]


def _stamp(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return (0, 0)
    return status.st_size, status.st_mtime_ns
