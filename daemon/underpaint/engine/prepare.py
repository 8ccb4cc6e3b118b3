"""Make the picture that the model is given from the layer.

Where colour is left, also under alpha 0, it reaches the model unchanged. Only where there is none,
or where the original is to be ignored, the pixels are filled.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from underpaint_client.geometry import Box, Extent
from underpaint_client.sentences import sentence

from .pixels import Floats, Mask, fraction, quantize, resize, strips
from .plan import Plan
from .source import Source

NOISE_SEED = 20220822
"""The noise that `fill=noise` fills a hole with is the same for every seed, so that images of one
batch start from the same picture and differ by their diffusion noise alone."""

INPAINT_RADIUS = 3
"""Pixels that OpenCV's inpainting looks around each pixel it fills."""


BLANK = np.float32(0.5)
"""The colour of holes in the picture that an inpainting model is shown: 0 in the range -1..1."""


@dataclass(frozen=True)
class Prepared:
    """The picture that the model is given.

    Parameters
    ----------
    image : float32, (work height, work width, 3)
        RGB, 0..1.
    notes : tuple of str
        What had to be filled in.
    """

    image: Floats
    notes: tuple[str, ...]


def prepare(source: Source, plan: Plan, fill: str) -> Prepared:
    """Make the model's picture of the work area.

    Parameters
    ----------
    source : Source
        The layer, its mode settled.
    plan : Plan
        Has the area and its size for the model.
    fill : str
        One of `request.FILLS`. `auto` fills pixels whose alpha and RGB are all 0 from their
        neighbours, `underpaint` nothing, `neighbours` and `noise` all pixels of alpha 0. Pixels of
        strength x change 1 are filled from their neighbours in any case: the model starts them
        from pure noise, and their old colour must not reach it through the pixels around them.
    """
    area = plan.area
    ignored = np.empty((area.height, area.width), np.bool_)
    for strip in strips(area):
        rows = slice(strip.y - area.y, strip.bottom - area.y)
        ignored[rows] = plan.strength * source.change_in(strip) >= 1
    return _prepare(source, plan, fill, ignored)


def prepare_shown(source: Source, plan: Plan, fill: str) -> Floats:
    """Make the picture that a model is shown to edit: the layer with its hidden colour.

    Parameters and result are as those of `prepare`; only pixels without colour are filled.
    """
    nothing = np.zeros((plan.area.height, plan.area.width), np.bool_)
    return _prepare(source, plan, fill, nothing).image


def prepare_kept(
    source: Source, plan: Plan, fill: str, changes: Mask, changing_cells: Mask, cell: int
) -> Floats:
    """Make the picture that an inpainting model is shown: grey in every cell that may change.

    Latent diffusion's inpainting models (Rombach et al. 2022) were trained on the encoding of a
    picture whose hole is blanked before it is encoded. Whole cells are blanked, as the latents of
    whole cells are replaced. Resampling mixes pixels, so pixels that change are filled from their
    neighbours before that, and none of their colour reaches the cells around them.

    Parameters
    ----------
    source, plan, fill
        As in `prepare`.
    changes : bool, (area height, area width)
        Pixels of the work area that take part in at least one step.
    changing_cells : bool, (work height / cell, work width / cell)
        Latent cells that do.
    cell : int
        A cell's side, in pixels of the model.

    Returns
    -------
    float32, (work height, work width, 3)
        RGB, 0..1.
    """
    if changing_cells.all():
        image = np.empty((plan.work_size.height, plan.work_size.width, 3), np.float32)
    else:
        image = _prepare(source, plan, fill, changes).image
    image[np.kron(changing_cells, np.ones((cell, cell), np.bool_))] = BLANK
    return image


def _prepare(source: Source, plan: Plan, fill: str, ignored: Mask) -> Prepared:
    """Make a picture of the work area; `ignored` pixels are filled from their neighbours."""
    pixels = source.pixels_in(plan.area)
    hidden = pixels[..., 3] == 0
    weight, notes = _weigh(source, plan, fill, hidden, ignored)
    if weight.all():
        colour = fraction(_shrink(pixels[..., :3], plan.content))
    else:
        colour = np.empty((*weight.shape, 3), np.float32)
        noise = np.random.default_rng(NOISE_SEED)
        for strip in strips(Box(0, 0, plan.area.width, plan.area.height)):
            rows = slice(strip.y, strip.bottom)
            part = fraction(pixels[rows, :, :3]) * (weight[rows] > 0)[..., np.newaxis]
            if fill == "noise":
                drawn = noise.random(part.shape, np.float32)
                part = np.where((hidden[rows] & ~ignored[rows])[..., np.newaxis], drawn, part)
            colour[rows] = part
        colour, weight = _shrink(colour, plan.content), _shrink(weight, plan.content)
        colour /= np.maximum(weight, np.float32(1e-3))[..., np.newaxis]
        colour = fill_holes(colour, weight < 1e-2)
    colour = np.clip(resize(colour, plan.content), 0, 1)
    return Prepared(pad(colour, plan.work_size), notes)


def _weigh(
    source: Source, plan: Plan, fill: str, hidden: Mask, ignored: Mask
) -> tuple[Floats, tuple[str, ...]]:
    """Return how much of each pixel's own colour counts, 0..1."""
    notes: tuple[str, ...] = ()
    if fill in ("underpaint", "noise"):
        weight = np.ones(hidden.shape, np.float32)
    else:
        weight = source.known_in(plan.area)
        lost = int(((weight == 0) & ~ignored).sum())
        if lost:
            told = sentence(
                "{count} pixel had no colour left and was filled from its neighbours",
                "{count} pixels had no colour left and were filled from their neighbours",
                count=lost,
            )
            notes = (told,)
    if fill == "neighbours":
        weight = np.where(hidden, np.float32(0), weight)
    return np.where(ignored, np.float32(0), weight), notes


def fill_holes(colour: Floats, holes: Mask) -> Floats:
    """Fill pixels from their neighbours; grey where there are none.

    By OpenCV, after Bertalmio, Bertozzi and Sapiro 2001 (Navier-Stokes): unlike Telea's, which
    overshoots by up to 43 levels in a large hole, it leaves an even colour even.

    Parameters
    ----------
    colour : float32, (H, W, 3)
        RGB, 0..1; what lies in the holes does not matter.
    holes : bool, (H, W)
    """
    if not holes.any():
        return colour
    if holes.all():
        return np.full_like(colour, 0.5)
    known = np.ascontiguousarray(quantize(colour, np.dtype(np.uint8)))
    filled = cv2.inpaint(known, holes.astype(np.uint8), INPAINT_RADIUS, cv2.INPAINT_NS)
    return np.where(holes[..., np.newaxis], fraction(filled), colour)


def _shrink(values: Floats, content: Extent) -> Floats:
    """Scale to the model's size if that is smaller; larger comes after filling, which is slow."""
    height, width = values.shape[:2]
    return resize(values, content) if content.pixels < width * height else values


def pad(colour: Floats, extent: Extent) -> Floats:
    """Fill a picture up to a size by repeating its right and lower edge."""
    height, width = colour.shape[:2]
    return np.pad(
        colour, ((0, extent.height - height), (0, extent.width - width), (0, 0)), mode="edge"
    )
