"""How the pictures of a job become files: decided before the job is sent, and kept until it ends.

The daemon keeps the job. What only the command line knows (the names of the files, and the colour
profile, resolution and other metadata of the source picture) is kept here, in a small file of the
client's home that is named after the job. So `underpaint results --save` can write what `generate`
would have written, also when the daemon runs on another machine, and no profile of some megabytes
travels with every message that lists the job. The file is removed when the results are fetched.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from underpaint.server.arrays import to_pixels
from underpaint.server.paths import private_folder
from underpaint_client import messages
from underpaint_client.errors import UnderpaintError
from underpaint_client.frames import Frame
from underpaint_client.home import home, write_private

from .outputs import FreeNames
from .pictures import Metadata, write_picture

FORMAT = 1

KEPT_DAYS = 90
"""Days after which the file of a job is removed whose results were never fetched."""


@dataclass(frozen=True)
class OutputSpec:
    """The files that a job's pictures are written to, and what goes into them.

    Parameters
    ----------
    paths : tuple of Path
        One for each of the last images of the job; of a chain, the last alone may be wanted.
    stem : str
        What files are called whose own name was taken by another program.
    images : int
        How many images the job makes.
    source : Metadata or None
        The metadata of the source picture; None if the job has none.
    """

    paths: tuple[Path, ...]
    stem: str
    images: int
    source: Metadata | None = None

    def path_of(self, index: int) -> Path | None:
        """Return the file of image `index`, 0, 1, ...; None if that image is not wanted."""
        place = index - (self.images - len(self.paths))
        return self.paths[place] if 0 <= place < len(self.paths) else None

    def write(
        self,
        path: Path,
        picture: messages.Picture,
        frame: Frame,
        *,
        names: FreeNames | None = None,
        replace: bool = False,
    ) -> Path:
        """Write a picture, under another name where that is taken.

        Parameters
        ----------
        path : Path
            The file.
        picture, frame : Picture, Frame
            As the daemon sent them. A patch is laid on an empty canvas.
        names : FreeNames, optional
            Free names of the folder, where its listing is at hand.
        replace : bool
            Replace a file that is there.

        Returns
        -------
        Path
            The file that was written.

        Raises
        ------
        BadInputError
            The folder cannot be written to, or the disk is full.
        """
        recipe, pixels = picture.recipe, to_pixels(frame)
        if picture.kind == "patch":
            pixels = _on_canvas(pixels, frame, recipe.facts.width, recipe.facts.height)
        see_through = bool((pixels[..., 3] < np.iinfo(pixels.dtype).max).any())
        alpha = see_through or (self.source is not None and self.source.has_alpha)
        while True:
            try:
                write_picture(path, pixels, recipe, self.source, alpha=alpha, replace=replace)
            except FileExistsError:  # another run was faster
                names = names or FreeNames(path.parent)
                path = names.take(self.stem)
            else:
                return path


def _on_canvas(patch: Any, frame: Frame, width: int, height: int) -> Any:
    """Lay a patch where it belongs on an empty canvas, so that it can be put over its picture."""
    canvas = np.zeros((height, width, 4), patch.dtype)
    box = frame.box
    canvas[box.y : box.bottom, box.x : box.right] = patch
    return canvas


# ---- between runs --------------------------------------------------------------------------


def keep_spec(job: str, spec: OutputSpec) -> None:
    """Keep what a job's pictures become, and remove what was kept for jobs of long ago.

    Raises
    ------
    OSError, UnderpaintError
        It cannot be written.
    """
    file = _file(job)
    _remove_old(private_folder(file.parent))
    source = spec.source and {
        "has_alpha": spec.source.has_alpha,
        "orientation": spec.source.orientation,
        "chunks": [base64.b64encode(chunk).decode("ascii") for chunk in spec.source.chunks],
    }
    found = {
        "format": FORMAT,
        "paths": [str(path.absolute()) for path in spec.paths],
        "stem": spec.stem,
        "images": spec.images,
        "source": source,
    }
    write_private(file, json.dumps(found))
    for path in (file, file.parent):  # it must not be younger than the job that it belongs to
        _force_to_disk(path)


def recall_spec(job: str) -> OutputSpec | None:
    """Return what was kept for a job; None if nothing was, or what was cannot be read."""
    try:
        found = json.loads(_file(job).read_text(encoding="utf-8"))
        if found["format"] != FORMAT:
            return None
        source = found["source"] and Metadata(
            has_alpha=bool(found["source"]["has_alpha"]),
            orientation=int(found["source"]["orientation"]),
            chunks=tuple(base64.b64decode(chunk) for chunk in found["source"]["chunks"]),
        )
        paths = tuple(Path(path) for path in found["paths"])
        return OutputSpec(paths, str(found["stem"]), int(found["images"]), source)
    except (OSError, UnderpaintError, ValueError, TypeError, LookupError, RecursionError):
        return None


def forget_spec(job: str) -> None:
    """Remove what was kept for a job that has ended."""
    with contextlib.suppress(OSError, ValueError):
        _file(job).unlink(missing_ok=True)


def _file(job: str) -> Path:
    if not re.fullmatch(r"[0-9a-f]{1,64}", job):  # the daemon of another machine may say anything
        raise ValueError(f"job {job!r} was not sent by the command line")
    return home() / "outputs" / f"{job}.json"


def _remove_old(folder: Path) -> None:
    oldest = time.time() - KEPT_DAYS * 86400
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()


def _force_to_disk(path: Path) -> None:
    if os.name == "nt" and path.is_dir():  # which cannot be opened there
        return
    descriptor = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
