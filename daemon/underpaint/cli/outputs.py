"""Where results go: names that are free, in folders that can be written, known before the run."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from underpaint_client.errors import BadInputError

SUFFIX = ".png"


def choose_outputs(wanted: Path | None, images: int, stem: str, *, force: bool) -> list[Path]:
    """Choose the files that a run will write.

    Parameters
    ----------
    wanted : Path or None
        A file (`name.png`) or a folder; None for the current folder.
    images : int
        How many files; with more than one, a file's name counts up: name-1.png, name-2.png.
    stem : str
        What files in a folder are called: stem-0001.png, and on from the highest there is.
    force : bool
        Files that exist may be replaced.

    Raises
    ------
    BadInputError
        A file exists, is no PNG by name, or its folder cannot be written.
    """
    target = wanted or Path()
    if target.suffix and not target.is_dir():
        if target.suffix.lower() != SUFFIX:
            raise BadInputError(
                f"output {target} is no PNG by its name; call it {target.stem}{SUFFIX}"
            )
        _check_folder(target.parent)
        paths = [target]
        if images > 1:
            paths = [target.with_name(f"{target.stem}-{n + 1}{SUFFIX}") for n in range(images)]
        taken = [path for path in paths if path.exists()]
        if taken and not force:
            raise BadInputError(f"output {taken[0]} exists; give another name or --force")
        return paths
    _check_folder(target)
    pattern = re.compile(re.escape(stem) + r"-(\d{4,})" + re.escape(SUFFIX))
    matches = (pattern.fullmatch(path.name) for path in target.iterdir())
    last = max((int(match[1]) for match in matches if match), default=0)
    return [target / f"{stem}-{last + 1 + n:04d}{SUFFIX}" for n in range(images)]


def make_stem(prompt: str, picture: Path | None) -> str:
    """Name results after their picture, or else after the first words of the prompt."""
    if picture is not None:
        return picture.stem
    words = re.findall(r"\w+", prompt.lower())[:6]
    return "-".join(words)[:60] or "underpaint"


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise BadInputError(
            f"output folder {folder} cannot be written: {error.strerror}; choose another with -o"
        ) from None
