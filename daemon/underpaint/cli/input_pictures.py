"""Read the picture files that `generate` and `replay` are given, as what a job is sent with."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from underpaint.engine.source import Source
from underpaint.server.arrays import to_frame
from underpaint_client.control_layers import TypedControl, raster_name
from underpaint_client.errors import BadInputError
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.reference_layers import TypedReference, reference_raster
from underpaint_client.regions import TypedRegion, region_raster
from underpaint_client.request import Request

from .pictures import Drawing, read_picture, read_selection
from .terminal import Display


def read_inputs(
    options: argparse.Namespace, request: Request, display: Display
) -> tuple[Drawing | None, Any, Any]:
    """Read the picture, the selection and the context, if they are named.

    Notes about what was lost are printed.

    Raises
    ------
    BadInputError
        If one is needed and not named, cannot be read, or does not fit.
    """
    if options.init_img is None:
        wants_picture = (
            options.selection
            or options.context
            or request.size.fit
            or request.mode in ("img2img", "inpaint", "edit")
        )
        if wants_picture:
            raise BadInputError(
                "--selection, --context, --fit and the modes img2img, inpaint and edit need a"
                " picture; name it with -I"
            )
        return None, None, None
    drawing = read_picture(options.init_img)
    selection = None if options.selection is None else read_selection(options.selection)
    context = None if options.context is None else read_picture(options.context)
    notes = [*drawing.notes, *(selection.notes if selection else ())]
    for note in (*notes, *(context.notes if context else ())):
        display.note(note)
    amounts = None if selection is None else selection.amounts
    below = None if context is None else context.pixels_in(drawing.profile)
    Source.of(drawing.pixels, amounts, context=below)  # says what does not fit
    return drawing, amounts, below


def files_of(typed: Sequence[TypedControl | TypedReference | TypedRegion] | None) -> list[Path]:
    """Return the files that options name."""
    return [Path(one.file) for one in typed or ()]


def read_control_pictures(
    files: Sequence[Path], drawing: Drawing | None, display: Display
) -> dict[str, Frame]:
    """Read the pictures of control layers, in their order, by the names of their rasters.

    Raises
    ------
    BadInputError
        If one cannot be read, or has another size than the picture to start from.
    """
    found: dict[str, Frame] = {}
    for index, file in enumerate(files):
        read = read_picture(file, managed=False)
        for note in read.notes:
            display.note(note)
        _check_size(file, read.box, drawing)
        name = raster_name(index)
        found[name] = to_frame(name, read.pixels, read.box)
    return found


def read_reference_pictures(files: Sequence[Path], display: Display) -> dict[str, Frame]:
    """Read the pictures of reference layers, in their order, by the names of their rasters.

    Raises
    ------
    BadInputError
        If one cannot be read.
    """
    found: dict[str, Frame] = {}
    for index, file in enumerate(files):
        name, read = reference_raster(index), read_picture(file)
        for note in read.notes:
            display.note(note)
        found[name] = to_frame(name, read.pixels_in(b""), read.box)
    return found


def read_region_masks(
    files: Sequence[Path], drawing: Drawing | None, display: Display
) -> dict[str, Frame]:
    """Read the masks of regions, in their order, by the names of their rasters.

    A mask is what is opaque in a picture, or white in one that is opaque everywhere.

    Raises
    ------
    BadInputError
        As `read_control_pictures`.
    """
    found: dict[str, Frame] = {}
    for index, file in enumerate(files):
        read = read_picture(file, managed=False)
        mask, notes = read.pixels[..., 3], read.notes
        if (mask == np.iinfo(mask.dtype).max).all():
            selection = read_selection(file)
            mask, notes = selection.amounts, selection.notes
        for note in notes:
            display.note(note)
        _check_size(file, read.box, drawing)
        name = region_raster(index)
        found[name] = to_frame(name, mask, read.box, "Y")
    return found


def _check_size(file: Path, box: Box, drawing: Drawing | None) -> None:
    if drawing is not None and box != drawing.box:
        raise BadInputError(
            "{file} has {found} pixels and the picture of -I {wanted}; make them the same size",
            file=file,
            found=box.extent,
            wanted=drawing.box.extent,
        )
