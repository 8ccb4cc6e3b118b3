"""Wildcard files: `animals/birds.txt` has the choices of `__animals/birds__`, one a line.

Errors name no folder, as clients on other machines are told them too.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from underpaint.config_file import check_folder, load_config
from underpaint.models.reading import expand_user
from underpaint.text_files import read_text_file
from underpaint_client.errors import BadInputError, UnderpaintError
from underpaint_client.home import home
from underpaint_client.sentences import Listing

LARGEST = 4 * 2**20
"""Bytes of the largest wildcard file that is read."""

_MOST_LISTED = 10_000  # files that are looked at to name those near a missing one
_DEEPEST = 8  # folders in each other, for the same
_NEAREST = 3  # names in an error


def wildcard_folders() -> list[Path]:
    """Return the folders that wildcards are looked for in, whether or not they are there.

    Raises
    ------
    BadInputError
        `[prompts] wildcards` of config.toml is not a list of folders.
    """
    try:
        section = load_config().get("prompts", {})
    except UnderpaintError:
        raise BadInputError("Underpaint's config.toml cannot be read; correct it") from None
    given: Any = section.get("wildcards", []) if isinstance(section, dict) else None
    try:
        _check_folders(given)
    except BadInputError as error:
        raise BadInputError(
            "wildcards under [prompts] in config.toml: {error}", error=error
        ) from None
    return [home() / "wildcards", *(expand_user(Path(one)) for one in given)]


def _check_folders(given: object) -> None:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise BadInputError("it is not a list of folders; correct it")
    for one in given:
        check_folder(one)


class WildcardFiles:
    """Reads wildcard files, each of them once."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[str, ...]] = {}

    def read(self, name: str) -> tuple[str, ...]:
        """Return the choices of a wildcard.

        Parameters
        ----------
        name : str
            As between the underscores: letters, digits, `_`, `-` and `/`.

        Returns
        -------
        tuple of str
            The file's lines, at least one, without empty ones and those that begin with `#`.

        Raises
        ------
        BadInputError
            There is no such file, it cannot be read, or has no choices.
        """
        if name not in self._read:
            self._read[name] = _read_wildcard(name)
        return self._read[name]


def _read_wildcard(name: str) -> tuple[str, ...]:
    for folder in wildcard_folders():
        file = folder / f"{name}.txt"
        try:
            text = read_text_file(file, LARGEST)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError, BadInputError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise BadInputError(
                "the file of wildcard __{name}__ cannot be read: {reason}", name=name, reason=reason
            ) from None
        lines = (line.strip() for line in text.splitlines())
        if found := tuple(line for line in lines if line and not line.startswith("#")):
            return found
        raise BadInputError(
            "the file of wildcard __{name}__ has no choices; write one a line", name=name
        )
    raise _missing(name)


def _missing(name: str) -> BadInputError:
    names = sorted(list_wildcards())
    near = difflib.get_close_matches(name, names, _NEAREST, 0.5)
    last = name.rsplit("/", 1)[-1]
    near += [one for one in names if one.rsplit("/", 1)[-1] == last and one not in near]
    if near:
        return BadInputError(
            r"there is no wildcard __{name}__; the nearest are {nearest}. For two underscores,"
            r" write \__",
            name=name,
            nearest=Listing(f"__{one}__" for one in near[:_NEAREST]),
        )
    return BadInputError(
        r"there is no wildcard __{name}__; its file would be wildcards/{name}.txt in Underpaint's"
        r" home. For two underscores, write \__",
        name=name,
    )


def list_wildcards() -> Iterator[str]:
    """Yield the names of the wildcards that there are."""
    seen: set[str] = set()
    for folder in wildcard_folders():
        for path, folders, files in os.walk(folder):
            inner = Path(path).relative_to(folder)
            if len(inner.parts) >= _DEEPEST:
                folders.clear()
            for file in files:
                if file.endswith(".txt") and len(seen) < _MOST_LISTED:
                    name = (inner / file.removesuffix(".txt")).as_posix()
                    if name not in seen:
                        seen.add(name)
                        yield name
            if len(seen) >= _MOST_LISTED:
                return
