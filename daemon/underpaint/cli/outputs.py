"""Where results go: names that are free, in folders that can be written, known before the run."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from underpaint_client.errors import BadInputError
from underpaint_client.prompt_choices import strip_comments

LONGEST_NAME = 255
"""Bytes of a file's name that file systems take."""

SUFFIX = ".png"

_NUMBERED = re.compile(r"(.+)-([0-9]{4,})" + re.escape(SUFFIX), re.DOTALL)


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
        The option to name another output with, for the message.

    Raises
    ------
    BadInputError
        A file exists, does not end in .png, or its folder cannot be written.
    """
    if wanted == "-":
        raise BadInputError(
            "{option} - means standard output, but pictures are not written there; name a file, or"
            " use ./- for a folder called -",
            option=option,
        )
    target = Path(wanted or ".")
    if len(os.fsencode(target.name)) > LONGEST_NAME - 3:  # "-64" may be added
        raise BadInputError("output name {name}... is too long; shorten it", name=target.name[:40])
    if target.suffix and not target.is_dir() and not (wanted or "").endswith(("/", os.sep)):
        if target.suffix.lower() != SUFFIX:
            raise BadInputError(
                "output {file} does not end in .png; call it {stem}{suffix}",
                file=target,
                stem=target.stem,
                suffix=SUFFIX,
            )
        _check_folder(target.parent, option)
        paths = [target]
        if images > 1:
            paths = [target.with_name(f"{target.stem}-{n + 1}{SUFFIX}") for n in range(images)]
        taken = [path for path in paths if os.path.lexists(path)]  # a link to nothing too
        if taken and not force:
            raise BadInputError(
                "output {path} exists; give another name or --force",
                path=_describe(taken[0]),
            )
        return paths
    names = open_folder(target, option)
    return [names.take(stem) for _ in range(images)]


class FreeNames:
    """Names in a folder that no file has: stem-0001.png, and on from the highest there is.

    The folder is listed once. A name is given once, whether or not a file is written there.

    Parameters
    ----------
    folder : Path
        It must exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last: dict[str, int] = {}
        for name in os.listdir(folder):  # noqa: PTH208 - names are enough, and may be many
            if found := _NUMBERED.fullmatch(name):
                stem, number = found[1], int(found[2])
                self._last[stem] = max(number, self._last.get(stem, 0))

    def take(self, stem: str) -> Path:
        """Return the next path for a stem."""
        number = self._last[stem] = self._last.get(stem, 0) + 1
        return self._folder / f"{stem}-{number:04d}{SUFFIX}"


def make_stem(prompt: str, picture: Path | None) -> str:
    """Name results after their picture, or else after the first words of the prompt."""
    words = re.findall(r"\w+", strip_comments(prompt).lower())[:6]
    stem = picture.stem if picture is not None else "-".join(words)[:60] or "underpaint"
    stem = "".join(c if c.isprintable() else "_" for c in stem)  # it is shown, and typed
    while len(os.fsencode(stem)) > LONGEST_NAME - 20:
        stem = stem[:-1]
    return stem


def open_folder(folder: Path, option: str) -> FreeNames:
    """Make a folder where there is none, and return the free names in it.

    Raises
    ------
    BadInputError
        It cannot be written; names the option with which another can be chosen.
    """
    _check_folder(folder, option)
    return FreeNames(folder)


def _check_folder(folder: Path, option: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BadInputError(
            "output folder {path} cannot be written: {reason}; choose another with {option}",
            path=_describe(folder),
            reason=error.strerror,
            option=option,
        ) from None


def _describe(path: Path) -> str:
    """Return a path, and where it leads where there is nothing."""
    if path.is_symlink() and not path.exists():
        return f"{path}, a link to {path.readlink()}, which is not there,"
    return str(path)
