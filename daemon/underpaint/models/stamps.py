"""What tells the files of a model, as they were when they were looked at, from later ones."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from .files import FOLDER_SIDECAR, INDEX, PARTS

FileStamp = tuple[int, int, int]
"""A file's size, and when its content and its status changed, in ns."""

Stamp = tuple[str, int, int, int]
"""A file's path in its model, its size, and when its content and its status changed, in ns.

No inode: on some network file systems it changes though the file does not.
"""


def stamp_status(status: os.stat_result) -> FileStamp:
    """Return what tells a file from later ones, by its status."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def stamp_files(model: Path, names: Iterable[str]) -> tuple[Stamp, ...]:
    """Return what tells the present files of a model from later ones, without reading them.

    Parameters
    ----------
    model : Path
        The model's folder.
    names : iterable of str
        Files, relative to it. Those that cannot be looked at have size -1.
    """
    stamps = []
    for name in names:
        try:
            found = (model / name).stat()
        except OSError as error:
            stamps.append((name, -1, error.errno or 0, 0))
        else:
            stamps.append((name, *stamp_status(found)))
    return tuple(stamps)


def stamp_folder(model: Path) -> tuple[Stamp, ...]:
    """Return stamps of everything that the check of a model may look at."""
    names = [INDEX, FOLDER_SIDECAR]
    for part in {part for parts in PARTS.values() for part in parts}:
        names.append(part)
        try:
            names += [f"{part}/{entry.name}" for entry in (model / part).iterdir()]
        except OSError:
            continue  # the stamp of the folder itself tells
    return stamp_files(model, sorted(names))
