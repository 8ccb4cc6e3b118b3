"""Make the picture of a control layer from a layer: its edges, its depth, the poses in it.

The picture is computed at most at `MOST_PIXELS`, as ControlNets read it, and scaled to the layer.
Where the layer is transparent, the colour underneath counts; where there is none, its neighbours'.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

from underpaint.models.hashes import hash_file
from underpaint.models.preprocessors import (
    ListedPreprocessor,
    choose_preprocessor,
    find_detector,
    list_preprocessors,
)
from underpaint_client.control_layers import COMPUTED, ControlPicture
from underpaint_client.errors import BadInputError, CancelledError, GenerationFailedError
from underpaint_client.geometry import Box, Extent
from underpaint_client.recipe import Facts, Recipe
from underpaint_client.request import Request
from underpaint_client.sentences import sentence

from .ade20k import COLOURS
from .clock import PhaseClock
from .control_pictures import COMPUTE
from .estimators import Estimators
from .inputs import Inputs
from .pixels import FULL, Floats, Pixels, fraction, hash_picture, quantize, resize
from .pose_drawing import draw_poses, has_points
from .prepare import fill_holes
from .reports import Picture, Progress

MOST_PIXELS = 2**20
"""Pixels of the largest picture that is looked at: as many as SDXL's own."""

SCRIBBLE_FROM = 0.3
"""How light the lines are, 0..1, that become a scribble."""

SCRIBBLE_WIDTH = 1 / 256
"""How much a line is broadened on each side, as a share of the shorter side."""

SLOPE = 0.25
"""The share of the shorter side in which all of the depth may change in a slope of 45 degrees."""

SMOOTHING = 1 / 256
"""The standard deviation of the blur before slopes are measured, as a share of the side."""


def make_control_picture(
    wanted: ControlPicture,
    inputs: Inputs,
    estimators: Estimators,
    progress: Callable[[Progress], None],
    cancelled: Callable[[], bool],
) -> Picture:
    """Make the picture of a control layer from a layer.

    Parameters
    ----------
    wanted : ControlPicture
        Which, and by which preprocessor.
    inputs : Inputs
        The layer; its mask counts as what it hides, the selection does not count.
    estimators : Estimators
        Open the models, and keep them.
    progress, cancelled : callable
        As in `Engine.generate`.

    Returns
    -------
    Picture
        Opaque, of the layer's size and depth.

    Raises
    ------
    BadInputError
        There is no layer, or nothing in it.
    ModelUnavailableError
        There is no preprocessor for the kind, or it cannot be used.
    GenerationFailedError
        It finds nothing in the layer.
    CancelledError
    """
    there = list_preprocessors() if wanted.kind not in COMPUTED else ()
    chosen = choose_preprocessor(wanted.kind, wanted.model, there)
    detector = find_detector(there) if wanted.kind == "pose" else None
    layer = inputs.layer
    if layer is None:
        raise BadInputError(
            "a control layer is computed from a layer, and none came; send the layer"
        )
    clock = PhaseClock()

    def check() -> None:
        if cancelled():
            raise CancelledError("cancelled")

    with clock.phase("prepare"):
        image = _look_at(layer)
    check()
    notes: tuple[str, ...] = ()
    with clock.phase("preprocess"):
        progress(Progress("Computing the control layer"))
        if chosen is None:
            found = COMPUTE[wanted.kind](image)
        elif wanted.kind == "pose":
            found = _draw_figures(estimators, chosen, detector, image)
            if detector is None:
                notes = (sentence("the layer was taken for one figure: no model finds people"),)
        else:
            found = _MAKE[wanted.kind](estimators, chosen, image)
    check()
    with clock.phase("composite"):
        pixels = _lay_out(found, layer, is_flat=wanted.kind == "segmentation")
    recipe = _recipe(wanted, chosen, inputs, image, notes)
    box = Box(inputs.x, inputs.y, layer.shape[1], layer.shape[0])
    return Picture(pixels, box, "layer", recipe, dict(clock.seconds))


def _look_at(layer: Pixels) -> Floats:
    """Return a layer's colours at the size that they are looked at, with all holes filled.

    Raises
    ------
    BadInputError
        There are no colours.
    """
    height, width = layer.shape[:2]
    colour = layer[..., :3]  # 0 where it is lost, so its mean is that of the others by their share
    known = (layer[..., 3] > 0) | colour.any(axis=2)
    if not known.any():
        raise BadInputError("the layer is empty; select a layer that shows something")
    shrink = min(1.0, (MOST_PIXELS / (width * height)) ** 0.5)
    size = Extent(max(1, int(width * shrink)), max(1, int(height * shrink)))
    scaled = np.clip(fraction(resize(colour, size)), 0, 1)
    if known.all():
        return scaled
    share = np.clip(resize(known.astype(np.float32), size), 0, 1)
    mean = np.clip(scaled / np.maximum(share, _LEAST_SHARE)[..., np.newaxis], 0, 1)
    return fill_holes(mean.astype(np.float32), share < _LEAST_SHARE)


_LEAST_SHARE = np.float32(0.02)
"""How much of a pixel must have a colour that it may have it."""


def _lay_out(found: Floats, layer: Pixels, *, is_flat: bool) -> Pixels:
    """Return a picture, opaque, in the size and depth of a layer; flat colours stay what they are.

    Parameters
    ----------
    found : float32, (h, w, 3)
        RGB, 0..1.
    layer : (H, W, 4)
    is_flat : bool
        Whether colours between those that are there would mean something else.
    """
    height, width = layer.shape[:2]
    pixels = quantize(found, layer.dtype)
    if is_flat:
        wide = pixels.astype(np.float32) if pixels.dtype == np.float16 else pixels
        scaled = cv2.resize(wide, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    else:
        scaled = resize(pixels, Extent(width, height))
    laid = np.full((height, width, 4), FULL[layer.dtype], layer.dtype)
    laid[..., :3] = scaled
    return laid


def _recipe(
    wanted: ControlPicture,
    chosen: ListedPreprocessor | None,
    inputs: Inputs,
    image: Floats,
    notes: tuple[str, ...],
) -> Recipe:
    layer = inputs.layer
    assert layer is not None  # noqa: S101 - for the type checker
    height, width = layer.shape[:2]
    name = "" if chosen is None else chosen.name
    return Recipe(
        Request(control_picture=ControlPicture(wanted.kind, name)),
        Facts(
            prompt="",
            seed=0,
            width=width,
            height=height,
            strength_run=0.0,
            steps_run=0,
            schedule=0,
            model_hash="" if chosen is None else hash_file(Path(chosen.path), chosen.stamp),
            work_area=(inputs.x, inputs.y, width, height),
            work_size=(image.shape[1], image.shape[0]),
            notes=notes,
            versions={one: _version(one) for one in ("underpaint", "torch", "diffusers")},
            source_hash=hash_picture(image),
        ),
    )


_version = functools.cache(version)  # it reads files, every time


# ---- the kinds -------------------------------------------------------------------------------

Make = Callable[[Estimators, ListedPreprocessor, Floats], Floats]


def _grey(values: Floats) -> Floats:
    return np.repeat(values[..., np.newaxis], 3, axis=2).astype(np.float32)


def _depth(estimators: Estimators, chosen: ListedPreprocessor, image: Floats) -> Floats:
    return _grey(estimators.nearness(chosen, image))


def _normal(estimators: Estimators, chosen: ListedPreprocessor, image: Floats) -> Floats:
    return slopes(estimators.nearness(chosen, image))


def slopes(near: Floats) -> Floats:
    """Return the directions that surfaces face, from how near they are.

    Red faces left, green up and blue the viewer, as ControlNet 1.1's normal maps have it.

    Parameters
    ----------
    near : float32, (H, W)
        0..1.

    Returns
    -------
    float32, (H, W, 3)
        0..1; a surface that faces the viewer is (0.5, 0.5, 1).
    """
    side = min(near.shape)
    smooth = cv2.GaussianBlur(near, (0, 0), max(0.5, side * SMOOTHING))
    scale = side * SLOPE
    left = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=3, scale=scale / 8)
    up = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=3, scale=scale / 8)
    facing = np.dstack([left, up, np.ones_like(left)])
    length = np.linalg.norm(facing, axis=2, keepdims=True)
    colours: Floats = (facing / length / 2 + 0.5).astype(np.float32)
    return colours


def _segmentation(estimators: Estimators, chosen: ListedPreprocessor, image: Floats) -> Floats:
    classes = np.clip(estimators.classes(chosen, image), 0, len(COLOURS) - 1)
    return fraction(COLOURS[classes])


def _lines(estimators: Estimators, chosen: ListedPreprocessor, image: Floats) -> Floats:
    return _grey(estimators.lines(chosen, image))


def _scribble(estimators: Estimators, chosen: ListedPreprocessor, image: Floats) -> Floats:
    lines = estimators.lines(chosen, image)
    drawn = (lines > SCRIBBLE_FROM).astype(np.float32)
    around = max(1, round(min(lines.shape) * SCRIBBLE_WIDTH))
    brush = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * around + 1, 2 * around + 1))
    return _grey(np.asarray(cv2.dilate(drawn, brush), np.float32))


def _draw_figures(
    estimators: Estimators,
    chosen: ListedPreprocessor,
    detector: ListedPreprocessor | None,
    image: Floats,
) -> Floats:
    figures = estimators.figures(chosen, detector, image)
    if not any(map(has_points, figures)):
        raise GenerationFailedError(
            "no figure was found in the layer; draw the pose yourself, or choose another layer"
        )
    return draw_poses(figures, Extent(image.shape[1], image.shape[0]))


_MAKE: dict[str, Make] = {
    "depth": _depth,
    "normal": _normal,
    "segmentation": _segmentation,
    "lines": _lines,
    "scribble": _scribble,
}
