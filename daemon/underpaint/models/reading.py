"""Read a model's small files: only regular files, only so much, and with errors that name them."""

from __future__ import annotations

import errno
import gzip
import json
import os
import stat
from pathlib import Path
from typing import Any

from underpaint_client.errors import ModelUnavailableError

MAX_BYTES = 2**26
"""The largest JSON or text file that is read; the largest tokenizers have about 20 MB."""


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
        There is no such file, it is a broken link, no regular file, or cannot be looked at.
    """
    file = model / name
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        if file.is_symlink():
            raise ModelUnavailableError(
                f"model {model}: {name} is a link to {_target(file)}, which is not there;"
                " put that file back, or fetch the model again"
            ) from None
        raise ModelUnavailableError(
            f"{model} is no model: there is no {name} in it; name a folder in the diffusers format"
        ) from None
    except OSError as error:
        raise unreadable(model, name, error) from None
    if not stat.S_ISREG(status.st_mode):
        raise ModelUnavailableError(
            f"model {model}: {name} is no file but {_kind(status.st_mode)}; fetch the model again"
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


def read_text(model: Path, name: str) -> str:
    """Return the text of a file in a model folder; of one that is called `.gz`, unpacked.

    Raises
    ------
    ModelUnavailableError
        As `check_regular`; or the file is too large, or no UTF-8.
    """
    size = check_regular(model, name).st_size
    if size > MAX_BYTES:
        raise ModelUnavailableError(
            f"model {model} cannot be read: {name} has {size} bytes, and at most {MAX_BYTES} are"
            " read; fetch it again"
        )
    try:
        if name.endswith(".gz"):
            return gzip.decompress((model / name).read_bytes()).decode()
        return (model / name).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ModelUnavailableError(
            f"model {model} cannot be read: {name}: {error}; fetch it again"
        ) from None
    except OSError as error:
        raise unreadable(model, name, error) from None


def read_json(model: Path, name: str) -> dict[str, Any]:
    """Return the JSON object in a file of a model folder.

    Raises
    ------
    ModelUnavailableError
        As `read_text`; or the file holds no JSON object.
    """
    text = read_text(model, name)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelUnavailableError(
            f"model {model} cannot be read: {name}: {error}; fetch it again"
        ) from None
    if not isinstance(found, dict):
        raise ModelUnavailableError(
            f"model {model} cannot be read: {name} is no JSON object; fetch it again"
        )
    return found


def unreadable(model: Path, name: str, error: OSError) -> ModelUnavailableError:
    """Return the error for a file or folder that the system does not let us read."""
    reason = error.strerror or str(error)
    if error.errno in (errno.EACCES, errno.EPERM):
        return ModelUnavailableError(
            f"model {model} cannot be read: {name}: {reason}; give yourself the right to read it"
        )
    return ModelUnavailableError(
        f"model {model} cannot be read: {name}: {reason}; fetch it again, or remove it"
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
