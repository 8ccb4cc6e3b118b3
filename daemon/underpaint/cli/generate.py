"""`underpaint generate`: one request, from the command line and back to files."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from underpaint.engine.source import Source
from underpaint.models import describe_model, find_model, list_models, model_folders
from underpaint.models.find import DEFAULT_VARIABLE, pick_model
from underpaint.models.hashes import known_hashes
from underpaint.models.roots import FOLDERS_VARIABLE, used_roots
from underpaint.server.arrays import to_frame
from underpaint.styles import list_styles
from underpaint_client import Connection
from underpaint_client.control_layers import TypedControl, raster_name
from underpaint_client.descriptions import (
    STARTER_MESSAGE,
    describe_levels,
    describe_misfits,
    describe_plan,
)
from underpaint_client.errors import BadInputError, UnderpaintError
from underpaint_client.found_settings import match_model
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.home import remote_file
from underpaint_client.picture_settings import read_picture_settings
from underpaint_client.recommended import USUAL, Recommended, settle_request
from underpaint_client.reference_layers import TypedReference, reference_raster
from underpaint_client.regions import TypedRegion, region_raster
from underpaint_client.request import Request
from underpaint_client.rules import STARTER_MODEL, check_request
from underpaint_client.steps import StepPlan, plan_request
from underpaint_client.styles import apply_style, find_style

from .daemon_connection import open_connection
from .job_runner import JobRunner
from .options import Parser, add_parameters, read_parameters
from .output_spec import OutputSpec
from .outputs import choose_outputs, make_stem, open_folder
from .pictures import Drawing, read_picture, read_selection
from .terminal import Display, make_display

_EXAMPLES = """
examples:
  underpaint generate "tree on a hill with a river, nature photograph" -I sketch.png -f 0.85
  underpaint generate a lake at dusk -W 512 -H 512 -n 4 -o lakes/
"""

MODEL_INDEX = "model_index.json"
"""What is in every model's folder."""


def make_parser() -> Parser:
    """Return the parser of `underpaint generate`."""
    parser = Parser(
        "generate",
        "Generate images: from a prompt alone, from a whole picture, or into its erased parts.",
    )
    parser.epilog = _EXAMPLES
    add = parser.add_argument
    add(
        "-I",
        "--init-img",
        type=Path,
        metavar="FILE",
        help="The picture to start from. The colour under alpha 0, 8 or 16 bits a channel, the ICC"
        " profile, the resolution, EXIF, XMP and texts are kept; a message names what is not.",
    )
    add(
        "--selection",
        type=Path,
        metavar="FILE",
        help="A picture of what may change: white may, black may not, grey may in part. Noise of"
        " a JPEG around black and white counts as black and white, and a message says so.",
    )
    add_parameters(parser, Request)
    add(
        "--settings-of",
        type=Path,
        metavar="FILE",
        help="Use the settings in a picture of Underpaint, Stable Diffusion WebUI, ComfyUI or"
        " InvokeAI; other options come before them. Messages say what of them is not used.",
    )
    add(
        "--save-intermediates",
        type=Path,
        metavar="DIR",
        help="Write a picture of every step into this folder, which is slow.",
    )
    add("-o", "--output", metavar="PATH", help="A PNG file, or a folder, whose files are numbered.")
    add("--force", action="store_true", help="Replace files that exist.")
    add("--json", action="store_true", help="Print an object per picture: output, recipe, timings.")
    return parser


def read_options(words: Sequence[str], display: Display) -> argparse.Namespace:
    """Parse the options, with the settings of the picture that one of them may name.

    Raises
    ------
    BadInputError
        There is no such option, or no settings in the picture.
    """
    parser = make_parser()
    options = parser.read(words)
    if options.settings_of is None:
        return options
    found = read_picture_settings(options.settings_of)
    hashes = dict.fromkeys(list_models(), "")
    model, notes = match_model(found, hashes)
    if not model and found.model_hash:
        model, notes = match_model(found, known_hashes())
    for note in (*found.notes, *notes):
        display.note(note)
    values = {**found.values, **({"model": model} if model else {})}
    if options.init_img is not None:  # whose size counts
        values = {name: value for name, value in values.items() if name not in ("width", "height")}
    values.pop("context", None)  # whose picture is not in there
    prompt = values.pop("prompt", "")
    values["loras"] = list(values.get("loras", ()))
    parser.set_defaults(**values)
    options = parser.read(words)
    options.prompt = options.prompt or [prompt]
    return options


def make_request(options: argparse.Namespace) -> Request:
    """Return the request that the options ask for, checked.

    Raises
    ------
    BadInputError
        Names the value that is out of range.
    """
    values = {**read_parameters(options, Request), "model": settle_model(options.model)}
    for name in ("controls", "references"):
        values[name] = tuple(typed.layer for typed in values[name])
    values["regions"] = tuple(typed.region for typed in values["regions"])
    request = Request.of(**values)
    check_request(request)
    return request


def settle_model(name: str) -> str:
    """Return what to ask the daemon for, so that this environment holds and not the daemon's.

    Parameters
    ----------
    name : str
        As `--model`; empty for `$UNDERPAINT_MODEL`, and where that is not set for the daemon's
        default.

    Returns
    -------
    str
        A name; a path where a folder is named, or lies in this environment's `$UNDERPAINT_MODELS`.
    """
    name = name or os.environ.get(DEFAULT_VARIABLE, "")
    found = pick_model(list_models(), name)
    if found is None:  # else the daemon runs in another folder
        return str(Path(name).absolute()) if _names_folder(name) else name
    here = [root.path for root in used_roots() if root.name == FOLDERS_VARIABLE]
    is_here_alone = any(found.is_relative_to(folder) for folder in here)
    return str(found.absolute()) if is_here_alone and not remote_file().exists() else name


def _names_folder(model: str) -> bool:
    """Return whether a model is named by its folder; one of that name may hold anything else."""
    folder = Path(model)
    is_path = model in (".", "..") or any(mark in model for mark in (os.sep, os.altsep) if mark)
    return bool(model) and (folder.is_dir() if is_path else (folder / MODEL_INDEX).is_file())


def run_generate(words: Sequence[str]) -> int:
    """Generate, and write what comes."""
    display = make_display()
    options = read_options(words, display)
    request = make_request(options)
    drawing, selection, context = read_inputs(options, request, display)
    rasters = {
        **read_control_pictures(_files_of(options.controls), drawing, display),
        **read_reference_pictures(_files_of(options.references), display),
        **read_region_masks(_files_of(options.regions), drawing, display),
    }
    images = request.sampling.images
    stem = make_stem(request.prompt.positive, options.init_img)
    outputs = choose_outputs(options.output, images, stem, force=options.force)
    if options.save_intermediates is not None:
        open_folder(options.save_intermediates, "--save-intermediates")
    with open_connection(display) as connection:
        default = connection.welcome.default_model
        request, styled = choose_style(connection, request, options.model)
        model = request.sampling.model
        recommended = find_recommended(connection, styled.sampling.model or default)
        if drawing is not None:
            source = Source.of(drawing.pixels, selection, context=context)
            told, notes = _describe(styled, recommended, source)
            display.say(told)
            for note in notes:
                display.note(note)
        for misfit in describe_misfits(styled, recommended):
            display.note(misfit)
        if not options.model and model and Path(model).name != Path(default).name:
            display.note(
                f"{DEFAULT_VARIABLE} is {os.environ[DEFAULT_VARIABLE]} here, so that model"
                f" is used instead of the daemon's default, {default or 'none'}"
            )
        if (styled.sampling.model or default) == STARTER_MODEL:
            display.say(
                f"{STARTER_MESSAGE}: put a Stable Diffusion model into {model_folders()[0]}, or"
                " name one with -m"
            )
        JobRunner(
            connection,
            request,
            drawing,
            OutputSpec(tuple(outputs), stem, images, drawing),
            display,
            force=options.force,
            as_json=options.json,
            steps_folder=options.save_intermediates,
        ).run(selection, context, rasters)
    return 0


def choose_style(
    connection: Connection, request: Request, model: str | None
) -> tuple[Request, Request]:
    """Return a request to send, and what the style that it names makes of it.

    Parameters
    ----------
    connection : Connection
    request : Request
    model : str, optional
        That of `--model`; without it, a style's comes before `$UNDERPAINT_MODEL`.

    Raises
    ------
    BadInputError
        There is no such style, or it cannot be used.
    """
    if not request.style:
        return request, request
    styles = connection.styles() if remote_file().exists() else list_styles()
    style = find_style(request.style, styles)
    if style.model and not model:
        request = request.with_values(model="")
    return request, apply_style(request, style)


def find_recommended(connection: Connection, model: str) -> Recommended:
    """Return what suits a model of this machine, or of the daemon's on another one.

    Of a model that cannot be used, which the daemon will say, it is what suits most.
    """
    if not remote_file().exists():
        with contextlib.suppress(UnderpaintError):
            return describe_model(find_model(model)).recommended
    with contextlib.suppress(UnderpaintError):
        entries = {entry.name: entry for entry in connection.models()}
        found = pick_model({name: Path(name) for name in entries}, model)
        return entries[str(found)].recommended if found is not None else USUAL
    return USUAL


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


def _files_of(typed: Sequence[TypedControl | TypedReference | TypedRegion] | None) -> list[Path]:
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


def _describe(
    request: Request, recommended: Recommended, layer: Source
) -> tuple[str, tuple[str, ...]]:
    """Return what a run will do, and notes on it."""
    request = settle_request(request, recommended)
    source = layer.with_mode(request.mode, edits=recommended.edits)
    change = source.change_box()
    if change.empty or request.sampling.strength == 0:
        return describe_plan(source.mode, 0, StepPlan(0, 0, 0.0)), ()
    changes = source.change_in(change)
    selected = float(source.selection_in(source.box).sum())
    most = float(changes.max())
    plan = plan_request(request, source.mode, most)
    partial = float((changes[changes > 0] < most - 1 / 255).mean())
    whole = selected if source.mode == "inpaint" else source.box.extent.pixels
    is_of_layer = source.selection is None or source.mode == "img2img"
    of = "layer" if is_of_layer else "selection"
    changed, below = float(changes.sum()) / whole, source.context is not None
    told = describe_plan(source.told_mode, changed, plan, of=of, below=below)
    return told, describe_levels(plan, recommended, partial)
