"""Which share each prompt has of each latent cell: the request's own, and those of its regions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from underpaint_client.geometry import Box, Extent
from underpaint_client.regions import Region, call_region, region_raster
from underpaint_client.sentences import Sentence, sentence

from .control_pictures import crop_raster
from .pixels import Floats, Pixels, fraction, hash_picture, join_hashes, resize
from .plan import Plan


@dataclass(frozen=True, eq=False)
class RegionShares:
    """Which share each prompt has of each latent cell.

    Parameters
    ----------
    rest : float32, (h, w)
        0..1, the share of the request's own prompt.
    regions : mapping of int to float32, (h, w)
        0..1, those of the regions that reach into the work area, by their number from 0 on. With
        `rest` they sum up to 1 in each cell.
    hashes : mapping of int to str
        Of each such region's mask.
    """

    rest: Floats
    regions: Mapping[int, Floats]
    hashes: Mapping[int, str]


def share_cells(
    regions: Sequence[Region],
    rasters: Mapping[str, Pixels],
    whole: Box,
    plan: Plan,
    cell: int,
) -> RegionShares:
    """Return which share each prompt has of each latent cell of a work area.

    Masks are cropped and scaled as the layer is. Where they lie over each other, the upper one
    covers the lower one as far as it is opaque, as layers do. A cell has the mean of its pixels.

    Parameters
    ----------
    regions : sequence of Region
        From the lowest up.
    rasters : mapping of str to arrays, (H, W, 4) or (H, W, 1)
        Their masks, by the names of `region_raster`: the alpha of RGBA, or the values.
    whole : Box
        The layer that is painted on, on the canvas.
    plan : Plan
        Has the area and its size for the model.
    cell : int
        A cell's side, in pixels of the model.
    """
    size = plan.work_size
    left = np.ones((size.height, size.width), np.float32)
    shares: dict[int, Floats] = {}
    hashes: dict[int, str] = {}
    for index in reversed(range(len(regions))):
        mask = _fit(rasters[region_raster(index)], whole, plan)
        if not mask.any():
            continue
        hashes[index] = hash_picture(mask)
        shares[index] = _pool(mask * left, cell)
        left *= 1 - mask
    return RegionShares(_pool(left, cell), shares, hashes)


def join_masks(areas: Sequence[RegionShares]) -> dict[int, str]:
    """Return the hashes of the masks of regions that reach into one area or more, in order."""
    numbers = sorted({number for one in areas for number in one.hashes})
    return {
        number: join_hashes(one.hashes[number] for one in areas if number in one.hashes)
        for number in numbers
    }


def unused_notes(regions: Sequence[Region], used: Collection[int]) -> list[Sentence]:
    """Return which regions do not reach into what the model worked on."""
    return [
        sentence(
            "{region} does not reach into the part of the image that the model works on; it was"
            " not used",
            region=call_region(index, one),
        )
        for index, one in enumerate(regions)
        if index not in used
    ]


def _fit(raster: Pixels, whole: Box, plan: Plan) -> Floats:
    """Return a mask at the size that the model works at, 0..1; its edge is repeated beyond it."""
    values = fraction(crop_raster(raster, whole, plan.area)[..., -1])
    values = resize(values, plan.content)
    beyond = (
        (0, plan.work_size.height - plan.content.height),
        (0, plan.work_size.width - plan.content.width),
    )
    return np.pad(values, beyond, mode="edge")


def _pool(values: Floats, cell: int) -> Floats:
    """Return the mean of each cell."""
    height, width = values.shape
    return resize(values, Extent(width // cell, height // cell))
