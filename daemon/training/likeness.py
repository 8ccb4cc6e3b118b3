"""How alike a filled hole and the truth are, in kind rather than pixel by pixel.

Structural similarity at strength 1, where nothing of the truth is left, favours blur: texture of
the right kind at another place counts as an error twice. These measures do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter

BANDS = 3
"""Bands of the Laplacian pyramid that are compared: details of about 1, 2 and 4 pixels."""

_PATCH = 7  # pixels of a patch's side
_PATCHES = 16384  # that are drawn from a band
_DIRECTIONS = 128
_LOW_PASS = 8.0  # deviation, in pixels, of the blur after which only light and colour are left
_RING = 2  # pixels on either side of a hole's edge

Picture = NDArray[np.uint8]
Hole = NDArray[np.bool_]


def patch_distance(
    fills: Sequence[Picture], truths: Sequence[Picture], holes: Sequence[Hole]
) -> float:
    """Compare the patches of filled holes with those of the truth, wherever they lie.

    The sliced Wasserstein distance of the patches of a Laplacian pyramid (Karras et al. 2018, which
    takes it between generated and real pictures), here of 7 x 7 pixels with their centre in a hole.
    Unlike there, patches are not normalised: a fill that is too smooth or of another colour is
    farther away.

    Parameters
    ----------
    fills, truths : sequence of uint8, (H, W, 3)
    holes : sequence of bool, (H, W)

    Returns
    -------
    float
        In levels of 255, the mean over the bands; 0 for the same patches in any order.
    """
    rng = np.random.default_rng(0)
    found = []
    for band in range(BANDS):
        ours, theirs = (
            np.concatenate(
                [
                    _patches(_pyramid(picture)[band], hole[:: 2**band, :: 2**band])
                    for picture, hole in zip(pictures, holes, strict=True)
                ]
            )
            for pictures in (fills, truths)
        )
        if not len(theirs):
            continue
        chosen = rng.permutation(len(theirs))[:_PATCHES]
        directions = rng.standard_normal((theirs.shape[1], _DIRECTIONS)).astype(np.float32)
        directions /= np.linalg.norm(directions, axis=0)
        sides = [np.sort(patches[chosen] @ directions, axis=0) for patches in (ours, theirs)]
        found.append(float(np.abs(sides[0] - sides[1]).mean()))
    return float(np.mean(found))


def _pyramid(picture: Picture) -> list[NDArray[np.float32]]:
    """Return the finest bands of a picture's Laplacian pyramid (Burt and Adelson 1983)."""
    bands = []
    rest = picture.astype(np.float32)
    for _ in range(BANDS):
        smaller = np.asarray(cv2.pyrDown(rest), np.float32)
        larger = cv2.pyrUp(smaller, dstsize=(rest.shape[1], rest.shape[0]))
        bands.append(rest - np.asarray(larger, np.float32))
        rest = smaller
    return bands


def _patches(band: NDArray[np.float32], hole: Hole) -> NDArray[np.float32]:
    """Return the patches around a hole's pixels, flattened: float32, (n, 147)."""
    edge = _PATCH // 2
    every = np.lib.stride_tricks.sliding_window_view(band, (_PATCH, _PATCH), axis=(0, 1))
    inside = hole[edge:-edge, edge:-edge]
    return every[inside].reshape(int(inside.sum()), -1)


def seam(fills: Sequence[Picture], holes: Sequence[Hole]) -> float:
    """Return how much of an edge is seen around filled holes.

    Returns
    -------
    float
        The luma's mean gradient in a ring of four pixels along the holes' edges, over that of what
        lies outside: far above the truth's where a fill does not meet its surroundings, below it
        where it is smeared.
    """
    ring, outside = [], []
    for fill, hole in zip(fills, holes, strict=True):
        luma = cv2.cvtColor(fill, cv2.COLOR_RGB2GRAY).astype(np.float64)
        steep = np.hypot(*np.gradient(luma))
        grown = binary_dilation(hole, iterations=_RING)
        ring.append(steep[grown & ~binary_erosion(hole, iterations=_RING, border_value=1)].mean())
        outside.append(steep[~grown].mean())
    return float(np.mean(ring) / np.mean(outside))


def low_pass(picture: Picture) -> NDArray[Any]:
    """Blur a picture until only its light and colour are left: float64, 0..255."""
    blurred: NDArray[Any] = gaussian_filter(picture.astype(np.float64), (_LOW_PASS, _LOW_PASS, 0))
    return blurred
