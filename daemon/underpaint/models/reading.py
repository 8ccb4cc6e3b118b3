"""Read a model's small files: only regular files, limited in size, with errors that name them."""

from __future__ import annotations

import errno
import gzip
import json
import os
import re
import stat
from pathlib import Path
from typing import Any

from underpaint_client.errors import ModelUnavailableError

MAX_BYTES = 2**26
"""The largest JSON or text file that is read; the largest tokenizers have about 35 MB."""

MOST_VALUES = 2**20
"""The most values in a JSON text: a few bytes of text may become a hundred in memory."""

MOST_WORDS = 2**22
"""The same in a tokenizer; those with 260,000 words and their merges have two million values."""

_LONE_SURROGATE = re.compile(
    r"\\u[dD][89abAB][\da-fA-F]{2}(?!\\u[dD][c-fC-F])"
    r"|(?<!\\u[dD][89abAB][\da-fA-F]{2})\\u[dD][c-fC-F]",
    re.ASCII,
)
"""An escape in JSON that may stand for half a character."""


def check_regular(model: Path, name: str) -> os.stat_result:
    """Return the status of a file in a model folder, following links.

    Opening a pipe or a device would wait for ever, so this comes before every opening.

    Parameters
    ----------
    model : Path
        The model folder.
    name : str
        The file, relative to the folder.

    Raises
    ------
    ModelUnavailableError
        There is no such file, it is a broken link, not a regular file, or cannot be accessed.
    """
    file = model / name
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        if file.is_symlink():
            raise ModelUnavailableError(
                "model {model}: {name} is a link to {file}, which is not there; put that file"
                " back, or fetch the model again",
                model=model,
                name=name,
                file=_target(file),
            ) from None
        raise ModelUnavailableError(
            "{model} is not a model: there is no {file} in it; name a folder in the diffusers"
            " format",
            model=model,
            file=name,
        ) from None
    except OSError as error:
        raise unreadable(model, name, error) from None
    if not stat.S_ISREG(status.st_mode):
        raise ModelUnavailableError(
            "model {model}: {file} is {kind}, not a file; fetch the model again",
            model=model,
            file=name,
            kind=_kind(status.st_mode),
        )
    return status


def list_names(model: Path, part: str) -> list[str]:
    """Return the names in a part's folder, sorted; none where there is no such folder.

    Raises
    ------
    ModelUnavailableError
        The folder cannot be read.
    """
    try:
        return sorted(entry.name for entry in (model / part).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise unreadable(model, part, error) from None


def read_text(model: Path, name: str, encoding: str = "utf-8") -> str:
    """Return the text of a file in a model folder; of one that is called `.gz`, unpacked.

    Raises
    ------
    ModelUnavailableError
        As `check_regular`; or the file is too large, or not UTF-8.
    """
    size = check_regular(model, name).st_size
    if size > MAX_BYTES:
        raise ModelUnavailableError(
            "model {model} cannot be read: {file} has {size} bytes, and at most {most} are read;"
            " fetch it again",
            model=model,
            file=name,
            size=size,
            most=MAX_BYTES,
        )
    try:
        with (model / name).open("rb") as stream:
            data = stream.read(size)  # some files of /proc have no size, and no end
        text = (gzip.decompress(data) if name.endswith(".gz") else data).decode(encoding)
    except UnicodeDecodeError as error:
        raise ModelUnavailableError(
            "model {model} cannot be read: {file}: {error}; fetch it again",
            model=model,
            file=name,
            error=error,
        ) from None
    except OSError as error:
        raise unreadable(model, name, error) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(
    model: Path, name: str, *, most: int = MOST_VALUES, encoding: str = "utf-8"
) -> dict[str, Any]:
    """Return the JSON object in a file of a model folder.

    Parameters
    ----------
    model : Path
        The model folder.
    name : str
        The file, relative to the folder.
    most : int
        How many values it may hold.
    encoding : str
        `utf-8-sig` where an editor may have put a byte order mark before it.

    Raises
    ------
    ModelUnavailableError
        As `read_text`; or the file has no JSON object, or too large a one.
    """
    text = read_text(model, name, encoding)
    try:
        found = parse_json(text, most)
    except ValueError as error:
        raise ModelUnavailableError(
            "model {model} cannot be read: {file}: {error}; fetch it again",
            model=model,
            file=name,
            error=error,
        ) from None
    if not isinstance(found, dict):
        raise ModelUnavailableError(
            "model {model} cannot be read: {file} is not a JSON object; fetch it again",
            model=model,
            file=name,
        )
    return found


def parse_json(text: str, most: int = MOST_VALUES) -> Any:
    """Return the content of a JSON text that a stranger may have written.

    Parameters
    ----------
    text : str
    most : int
        How many values it may hold. Commas and brackets in its texts count too.

    Raises
    ------
    ValueError
        It is not JSON, too large, nested too deeply, or has text that cannot be encoded.
    """
    check_count(text, most)
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if _LONE_SURROGATE.search(text):
        try:
            json.dumps(found, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("it holds half a character (an unpaired \\ud8..)") from None
    return found


def check_count(text: str, most: int = MOST_VALUES) -> None:
    """Check how many values a JSON text may hold, at most, before it is parsed.

    Parameters
    ----------
    text, most
        As `parse_json` has them.

    Raises
    ------
    ValueError
        It may hold more than `most`.
    """
    count = sum(map(text.count, "[{,"))
    if count > most:
        raise ValueError(f"it holds {count} values, and at most {most} are read")


def read_memory(file: Path) -> dict[str, Any]:
    """Return the JSON object in a file of Underpaint's home; empty where it is damaged or missing.

    Such files only save time. Paths in them may hold any bytes, as `surrogateescape` has them.
    """
    try:
        size = check_regular(file.parent, file.name).st_size
        with file.open("rb") as stream:
            found = json.loads(stream.read(size)) if size <= MAX_BYTES else None
    except (OSError, ValueError, RecursionError, ModelUnavailableError):
        return {}
    return found if isinstance(found, dict) else {}


def is_folder(path: Path) -> bool:
    """Return whether this is a folder; `Path.is_dir` raises if it may not be accessed."""
    return os.path.isdir(path)  # noqa: PTH112


def unreadable(model: Path, name: str, error: OSError) -> ModelUnavailableError:
    """Return the error for a file or folder that we may not read."""
    reason = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM):
        return ModelUnavailableError(
            "model {model} cannot be read: {file}: {reason}; give yourself the right to read it",
            model=model,
            file=name,
            reason=reason,
        )
    return ModelUnavailableError(
        "model {model} cannot be read: {file}: {reason}; fetch it again, or remove it",
        model=model,
        file=name,
        reason=reason,
    )


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return "something"


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def expand_user(path: Path) -> Path:
    """Return a path with `~` and `~user` replaced; as it is if there is no such user."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path
