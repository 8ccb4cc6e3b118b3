"""What was painted, matched to the picture around it: colours kept, edges met.

Two things give a filled hole away. A model's autoencoder returns colours that are a little off, and
what the model paints need not meet what is kept. Both are measured where pixels are kept, as those
went through the model too, and are undone where pixels change:

- The *tone* is how the picture differs from what came of it far enough from all that changed, where
  that is the autoencoder's doing alone. It is undone in full.
- The *step* is what is left of the difference at the edge. Spread over the whole hole, as in
  Perez, Gangnet and Blake 2003 ("Poisson Image Editing"), it would take the colour of whatever
  meets the edge into the hole: a red roof in a blue sky would turn violet. So at most `MOST_CAST`
  of it reaches that far, and the rest fades within `FADE` latent cells.

Differences are spread by pull-push (Gortler et al. 1996), whose time grows with the number of
pixels alone.
"""

from __future__ import annotations

import cv2
import numpy as np

from underpaint_client.geometry import Box, Extent

from .pixels import Floats, Mask, fraction, resize, strips
from .source import Source

MOST_CAST = np.float32(12 / 255)
"""How much of the step at the edge is taken for a cast of all that was painted, 0..1."""

FADE = 1.5
"""Latent cells within which the rest of the step fades to 1 / e."""

MARGIN = 3
"""Latent cells from what changes to what only the autoencoder has changed.

One is painted in full though the change only touches it, and the decoder looks two around itself.
"""

_RIM = 2  # pixels beside the edge that the step is measured on
_FEWEST = 64  # pixels that a tone is measured on


def match_surroundings(source: Source, area: Box, painted: Floats, cell: int) -> Floats:
    """Return what was painted with its colours and edges matched to the kept pixels around it.

    Parameters
    ----------
    source : Source
        The layer, its mode settled.
    area : Box
        The part of the canvas that was painted.
    painted : float32, (h, w, 3)
        RGB, 0..1, of the whole area, at the model's size.
    cell : int
        A latent cell's side, in pixels of the model.

    Returns
    -------
    float32, (h, w, 3)
        RGB, 0..1. The same where nothing visible was kept.
    """
    extent = Extent(painted.shape[1], painted.shape[0])
    kept = _find_kept(source, area, extent)
    if not kept.any() or kept.all():
        return painted
    pixels = source.pixels_in(area)[..., :3]
    difference = fraction(resize(pixels, extent)) - painted
    from_change, from_kept = _distance(kept), _distance(~kept)
    tone = _measure_tone(difference, from_change > MARGIN * cell, cell)
    difference -= tone
    rim = (from_change > 0) & (from_change <= _RIM)
    cast = _spread_means(difference, rim, cell, MOST_CAST)
    step = _spread(difference - cast, rim.astype(np.float32))
    fade = np.exp(from_kept / np.float32(-FADE * cell))[..., np.newaxis]
    result: Floats = np.clip(painted + tone + cast + fade * step, 0, 1)
    return result


def _find_kept(source: Source, area: Box, extent: Extent) -> Mask:
    """Return which pixels of the painted picture are wholly kept, and can be seen."""
    kept = np.empty((area.height, area.width), np.uint8)
    for strip in strips(area):
        seen = source.pixels_in(strip)[..., 3] > 0
        whole = (source.change_in(strip) == 0) & (source.known_in(strip) >= 1) & seen
        kept[strip.y - area.y : strip.bottom - area.y] = np.where(whole, 255, 0)
    return np.asarray(resize(kept, extent) == 255)


def _distance(mask: Mask) -> Floats:
    """Return how far each pixel of a mask is from the nearest one outside it; 0 outside."""
    found = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(found, np.float32)


def _measure_tone(difference: Floats, far: Mask, cell: int) -> Floats:
    """Return how the autoencoder changes colours, spread over the picture; 0 if unknown."""
    if far.sum() < _FEWEST:
        return np.zeros_like(difference)
    return _spread_means(difference, far, 2 * cell, np.float32(1))


def _spread_means(values: Floats, mask: Mask, block: int, most: np.float32) -> Floats:
    """Return the means of blocks of a masked picture, at most `most`, spread over all of it."""
    height, width = mask.shape
    blocks = Extent(-(-width // block), -(-height // block))
    means, share = _shrink(values, mask.astype(np.float32), blocks)
    spread = _spread(np.clip(means, -most, most), np.minimum(1, block * share))
    return _enlarge(spread, Extent(width, height))


def _spread(values: Floats, weight: Floats) -> Floats:
    """Return values where their weight is 1, and what lies around them elsewhere.

    Parameters
    ----------
    values : float32, (h, w, 3)
    weight : float32, (h, w)
        0..1; above 0 somewhere.
    """
    height, width = weight.shape
    if height == width == 1 or weight.min() >= 1:
        return values
    half = Extent(-(-width // 2), -(-height // 2))
    means, share = _shrink(values, weight, half)
    around = _enlarge(_spread(means, np.minimum(1, 4 * share)), Extent(width, height))
    return around + weight[..., np.newaxis] * (values - around)


def _shrink(values: Floats, weight: Floats, extent: Extent) -> tuple[Floats, Floats]:
    """Return the weighted means of the pixels that become one, and their mean weight."""
    size = (extent.width, extent.height)
    weighted = np.dstack([values * weight[..., np.newaxis], weight])
    sums = np.asarray(cv2.resize(weighted, size, interpolation=cv2.INTER_AREA), np.float32)
    sums = sums.reshape(extent.height, extent.width, 4)
    share = sums[..., 3]
    means = sums[..., :3] / np.maximum(share, np.float32(1e-6))[..., np.newaxis]
    return np.asarray(means, np.float32), share


def _enlarge(values: Floats, extent: Extent) -> Floats:
    size = (extent.width, extent.height)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_LINEAR), np.float32)
