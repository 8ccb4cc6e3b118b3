"""The hash of a model, which identifies it in recipes, and is remembered.

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
from concurrent.futures import Future
from pathlib import Path

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.sentences import sentence

from .describe import ModelInfo, describe_model
from .find import list_models
from .reading import check_regular, unreadable
from .shared_json import SharedJson
from .stamps import FileStamp, stamp_files, stamp_status

_HASHES = SharedJson("model-hashes.json", str)
"""If the home cannot be written, models are hashed again next time."""


def hash_model(info: ModelInfo, *, again: bool = False) -> str:
    """Return the SHA-256 of the files that a model is opened from, which identifies it in recipes.

    Weights are gigabytes: what was hashed once is remembered, by size and time of change, in
    Underpaint's home.

    Parameters
    ----------
    info : ModelInfo
        The model.
    again : bool
        Whether to read the files even if they seem unchanged.

    Returns
    -------
    str
        Of a model in one file, that file's own SHA-256, as model sites show it.

    Raises
    ------
    ModelUnavailableError
        A file cannot be read, or was written to meanwhile.
    """
    key = files_key(info)
    known = _HASHES.read()
    if again or key not in known:
        now = _hash_files(info)
        if files_key(info) != key:
            raise _changed(info)
        with _HASHES.changing() as known:
            if known.get(key, now) != now:
                known.setdefault(f"first {key}", known[key])
            known[key] = now
        return now
    return known[key]


def _changed(info: ModelInfo) -> ModelUnavailableError:
    return ModelUnavailableError(
        "model {path} was changed while it was read; try again when it is complete", path=info.path
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


def hash_file(file: Path, stamp: FileStamp) -> str:
    """Return the SHA-256 of a file, which is remembered; empty if it cannot be read.

    Parameters
    ----------
    file : Path
        The file.
    stamp : FileStamp
        As the file was opened.
    """
    key = f"file {os.path.realpath(file)} {stamp[0]} {stamp[1]}"
    known = _HASHES.read()
    if key not in known:
        try:
            with file.open("rb") as stream:
                now = hashlib.file_digest(stream, "sha256").hexdigest()
            if stamp_status(file.stat())[:2] != stamp[:2]:
                return ""  # it was written to meanwhile
        except OSError:
            return ""
        with _HASHES.changing() as known:
            known[key] = now
    return known[key]


class BackgroundHash:
    """The hash of an open model, computed in the background.

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
        """The hash; empty if there is none. Waits for it."""
        return self._result[0]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the artist should know about the model's files. Waits for the hash."""
        return self._result[1]

    @functools.cached_property
    def _result(self) -> tuple[str, tuple[str, ...]]:
        info = self._info
        try:
            found = self._future.result()
        except Exception as error:  # noqa: BLE001 - a picture that is painted is not given up for it
            return "", (
                sentence("the recipe does not tell the model's files: {error}", error=error),
            )
        if note_use(info, found) in ("", found):
            return found, ()
        return found, (
            sentence(
                "the model {model} has other weights than when it was last used; pictures made"
                " with those come out differently",
                model=info.name,
            ),
        )


def first_hash(info: ModelInfo) -> str:
    """Return the hash that a model had when its files, by size and time, were first read."""
    key = files_key(info)
    known = _HASHES.read()
    return known.get(f"first {key}") or known.get(key) or hash_model(info)


def known_hashes() -> dict[str, str]:
    """Return the hash of each model by its name, where it is remembered; else it is empty."""
    known, found = _HASHES.read(), {}
    for name, path in list_models().items():
        found[name] = ""
        with contextlib.suppress(ModelUnavailableError):
            found[name] = known.get(files_key(describe_model(path)), "")
    return found


def files_key(info: ModelInfo) -> str:
    """Return a key made of the current names, sizes, times and inodes of a model's files.

    Not the time at which their status changed: it also changes when a file is only linked to.
    """
    stamps = []
    for name in info.own_files:
        found = check_regular(info.path, name)
        stamps.append((name, found.st_size, found.st_mtime_ns, found.st_ino))
    text = json.dumps([os.path.realpath(info.path), stamps])
    return hashlib.sha256(text.encode()).hexdigest()


def note_use(info: ModelInfo, found: str) -> str:
    """Remember the hash that a model was used with, and return the one it was used with before.

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
    before = _HASHES.read().get(folder, "")
    if before != found:
        with _HASHES.changing() as known:
            before = known.get(folder, "")
            known[folder] = found
    return before
