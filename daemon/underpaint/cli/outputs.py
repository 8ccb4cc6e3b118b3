"""Where results go: names that are free, in folders that can be written, known before the run."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from underpaint_client.errors import BadInputError

LONGEST_NAME = 255
"""Bytes of a file's name that file systems take."""

SUFFIX = ".png"


def choose_outputs(
    wanted: str | None, images: int, stem: str, *, force: bool, option: str = "-o"
) -> list[Path]:
    """Choose the files that a run will write.

    Parameters
    ----------
    wanted : str or None
        A file (`name.png`) or a folder (`name` or `name/`); None for the current folder.
    images : int
        How many files; with more than one, a file's name counts up: name-1.png, name-2.png.
    stem : str
        What files in a folder are called: stem-0001.png, and on from the highest there is.
    force : bool
        Files that exist may be replaced.
    option : str
        Where another place can be named.

    Raises
    ------
    BadInputError
        A file exists, is no PNG by name, or its folder cannot be written.
    """
    if wanted == "-":
        raise BadInputError(
            f"{option} - would be standard output, and a picture is not written there; name a file,"
            " or ./- for a folder that is called so"
        )
    target = Path(wanted or ".")
    if len(os.fsencode(target.name)) > LONGEST_NAME - 3:  # "-64" may be added
        raise BadInputError(f"output name {target.name[:40]}... is too long; shorten it")
    if target.suffix and not target.is_dir() and not (wanted or "").endswith(("/", os.sep)):
        if target.suffix.lower() != SUFFIX:
            raise BadInputError(
                f"output {target} is no PNG by its name; call it {target.stem}{SUFFIX}"
            )
        _check_folder(target.parent, option)
        paths = [target]
        if images > 1:
            paths = [target.with_name(f"{target.stem}-{n + 1}{SUFFIX}") for n in range(images)]
        taken = [path for path in paths if os.path.lexists(path)]  # a link to nothing too
        if taken and not force:
            raise BadInputError(
                f"output {_describe(taken[0])} exists; give another name or --force"
            )
        return paths
    _check_folder(target, option)
    return [_free_name(target, stem, ahead=n) for n in range(images)]


def next_output(taken: Path, stem: str) -> Path:
    """Choose another name for a result whose own was taken in the meantime."""
    return _free_name(taken.parent, stem)


def _free_name(target: Path, stem: str, ahead: int = 0) -> Path:
    pattern = re.compile(re.escape(stem) + r"-(\d{4,})" + re.escape(SUFFIX))
    matches = (pattern.fullmatch(path.name) for path in target.iterdir())
    last = max((int(match[1]) for match in matches if match), default=0)
    return target / f"{stem}-{last + 1 + ahead:04d}{SUFFIX}"


def make_stem(prompt: str, picture: Path | None) -> str:
    """Name results after their picture, or else after the first words of the prompt."""
    words = re.findall(r"\w+", prompt.lower())[:6]
    stem = picture.stem if picture is not None else "-".join(words)[:60] or "underpaint"
    stem = "".join(c if c.isprintable() else "_" for c in stem)  # it is shown, and typed
    while len(os.fsencode(stem)) > LONGEST_NAME - 20:
        stem = stem[:-1]
    return stem


def _check_folder(folder: Path, option: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BadInputError(
            f"output folder {_describe(folder)} cannot be written: {error.strerror}; choose another"
            f" with {option}"
        ) from None


def _describe(path: Path) -> str:
    """Return a path, and where it leads where there is nothing."""
    if path.is_symlink() and not path.exists():
        return f"{path}, a link to {path.readlink()}, which is not there,"
    return str(path)
