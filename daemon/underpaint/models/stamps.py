"""Stamps: sizes and times that tell when the files of a model have changed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from .files import FOLDER_SIDECAR
from .model_index import INDEX, PARTS

FileStamp = tuple[int, int, int]
"""A file's size, and when its content and its status changed, in ns."""

Stamp = tuple[str, int, int, int]
"""A file's path in its model, its size, and when its content and its status changed, in ns.

No inode: on some network file systems it changes though the file does not.
"""


def stamp_status(status: os.stat_result) -> FileStamp:
    """Return a file's stamp, from its status."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def stamp_files(model: Path, names: Iterable[str]) -> tuple[Stamp, ...]:
    """Return stamps of a model's files, without reading them.

    Parameters
    ----------
    model : Path
        The model's folder.
    names : iterable of str
        Files, relative to it. Those that cannot be accessed have size -1.
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
    """Return stamps of everything that the check of a model may depend on."""
    names = [INDEX, FOLDER_SIDECAR]
    for part in {part for parts in PARTS.values() for part in parts}:
        names.append(part)
        try:
            names += [f"{part}/{entry.name}" for entry in (model / part).iterdir()]
        except OSError:
            continue  # the stamp of the folder itself shows it
    return stamp_files(model, sorted(names))
