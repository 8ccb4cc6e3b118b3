"""The hash of a model, by which recipes tell models apart, and what is remembered of it.

Weights are gigabytes, and hashing them takes seconds. What was hashed once is remembered, and what
was not is hashed in the background, while the first picture is painted.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import filelock

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.home import home, make_folder, write_private

from .describe import ModelInfo
from .reading import check_regular, read_memory, unreadable
from .stamps import stamp_files


def hash_model(info: ModelInfo, *, again: bool = False) -> str:
    """Return the SHA-256 over the files a model is opened from: recipes tell models apart by it.

    Weights are gigabytes: what was hashed once is remembered, by size and time of change, in
    Underpaint's home.

    Parameters
    ----------
    info : ModelInfo
        The model.
    again : bool
        Read the files though they seem to be as they were.

    Returns
    -------
    str
        Of a model in one file, that file's own SHA-256, as model sites show it.

    Raises
    ------
    ModelUnavailableError
        A file cannot be read, or was written to meanwhile.
    """
    key = _key(info)
    known = _known_hashes()
    if again or key not in known:
        now = _hash_files(info)
        if _key(info) != key:
            raise _changed(info)
        with _changing_hashes() as known:
            if known.get(key, now) != now:
                known.setdefault(f"first {key}", known[key])
            known[key] = now
        return now
    return known[key]


def _changed(info: ModelInfo) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"model {info.path} was changed while it was read; try again when it is complete"
    )


def _hash_files(info: ModelInfo) -> str:
    total, digest = hashlib.sha256(), b""
    for name in info.own_files:
        try:
            with (info.path / name).open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").digest()
        except OSError as error:
            raise unreadable(info.path, name, error) from None
        total.update(Path(name).name.encode() if Path(name).is_absolute() else name.encode())
        total.update(digest)
    return digest.hex() if len(info.own_files) == 1 else total.hexdigest()


class BackgroundHash:
    """The hash of a model that is open, made beside other work.

    Parameters
    ----------
    info : ModelInfo
        The model, which is about to be opened.
    """

    def __init__(self, info: ModelInfo) -> None:
        self._info = info
        self._future: Future[str] = Future()
        # No pool: Python waits for a pool's threads when it ends, and this one reads for seconds.
        threading.Thread(target=self._run, name="hash of a model", daemon=True).start()

    def _run(self) -> None:
        try:
            self._future.set_result(self._read())
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            self._future.set_exception(error)

    def _read(self) -> str:
        info = self._info
        found = hash_model(info)
        if stamp_files(info.path, info.files) != info.stamps:
            raise _changed(info)  # these are not the files that were opened
        return found

    @property
    def value(self) -> str:
        """The hash; empty where there is none. Waits for it."""
        return self._result[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the artist should know of the model's files. Waits for the hash."""
        return self._result[1]

    @functools.cached_property
    def _result(self) -> tuple[str, tuple[str, ...]]:
        info = self._info
        try:
            found = self._future.result()
        except Exception as error:  # noqa: BLE001 - a picture that is painted is not given up for it
            return "", (f"the recipe does not tell the model's files: {error}",)
        if note_use(info, found) in ("", found):
            return found, ()
        return found, (
            f"the model {info.name} has other weights than when it was last used; pictures made"
            " with those come out differently",
        )


def first_hash(info: ModelInfo) -> str:
    """Return the hash that a model had when its files, by size and time, were first read."""
    key = _key(info)
    known = _known_hashes()
    return known.get(f"first {key}") or known.get(key) or hash_model(info)


def _key(info: ModelInfo) -> str:
    """Return what names, sizes, times and inodes of a model's files come to at present.

    Not the time at which their status changed: it also changes when a file is only linked to.
    """
    stamps = []
    for name in info.own_files:
        found = check_regular(info.path, name)
        stamps.append((name, found.st_size, found.st_mtime_ns, found.st_ino))
    text = json.dumps([os.path.realpath(info.path), stamps])
    return hashlib.sha256(text.encode()).hexdigest()


def note_use(info: ModelInfo, found: str) -> str:
    """Remember with which hash a model was used, and return the one that it was used with before.

    Parameters
    ----------
    info : ModelInfo
        The model.
    found : str
        From `hash_model`.

    Returns
    -------
    str
        Empty where it was never used.
    """
    folder = f"opened {os.path.realpath(info.path)}"
    before = _known_hashes().get(folder, "")
    if before != found:
        with _changing_hashes() as known:
            before = known.get(folder, "")
            known[folder] = found
    return before


def _known_hashes() -> dict[str, str]:
    kept = read_memory(_hash_memory())
    return {key: found for key, found in kept.items() if isinstance(found, str)}


@contextlib.contextmanager
def _changing_hashes() -> Iterator[dict[str, str]]:
    """Yield what is remembered, to be changed, and write it; other processes wait meanwhile.

    Where the home cannot be written, nothing is remembered: models are hashed again next time.
    """
    memory = _hash_memory()
    lock = filelock.FileLock(f"{memory}.lock", timeout=_PATIENCE, mode=0o600)
    locked = False
    with contextlib.suppress(OSError):  # `filelock.Timeout` is one
        make_folder(memory.parent)
        lock.acquire()
        locked = True
    try:
        known = _known_hashes()
        yield known
        if locked:
            with contextlib.suppress(OSError):
                write_private(memory, json.dumps(known, indent=1))
    finally:
        lock.release()


_PATIENCE = 10.0
"""Seconds to wait for another process; a change takes milliseconds."""


def _hash_memory() -> Path:
    return home() / "model-hashes.json"
