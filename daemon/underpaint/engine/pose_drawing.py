"""Draw figures as ControlNets for poses were trained to read them: OpenPose's 18 points, coloured.

OpenPose: Cao et al., Realtime Multi-Person 2D Pose Estimation, 2017. Points are given as COCO has
them, 17 of each figure; OpenPose's neck lies between the shoulders.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from underpaint_client.geometry import Extent

from .pixels import Floats, fraction

SURE = 0.3
"""The least score of a point that is drawn."""

_NOSE, _LEFT_SHOULDER, _RIGHT_SHOULDER, _NECK = 0, 5, 6, 17
_POINTS = (0, _NECK, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
"""OpenPose's points, in its order, as COCO counts them."""

_LIMBS = ((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10), (1, 11),
          (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17))  # fmt: skip
"""Which points are joined, as OpenPose counts them."""

_COLOURS = [
    tuple(round(255 * part) for part in colorsys.hsv_to_rgb(n / 18, 1, 1)) for n in range(18)
]
"""Of points and limbs: once around the colour circle."""

_THICK = 4 / 512
"""Half the width of a limb, as a share of the shorter side."""

_SHADE = 0.6
"""How light limbs are, beside their points."""

Figure = NDArray[np.float64]


def draw_poses(figures: Iterable[Figure], extent: Extent) -> Floats:
    """Return figures, coloured on black.

    Parameters
    ----------
    figures : iterable of float arrays, (17, 3)
        x, y in pixels and a score 0..1 of each of COCO's points.
    extent : Extent
        Of the picture.

    Returns
    -------
    float32, (height, width, 3)
        RGB, 0..1.
    """
    canvas = np.zeros((extent.height, extent.width, 3), np.uint8)
    thick = max(1, round(min(extent.width, extent.height) * _THICK))
    placed = [_place(figure) for figure in figures]
    for points in placed:
        for (start, end), colour in zip(_LIMBS, _COLOURS, strict=False):
            one, other = points[start], points[end]
            if one is not None and other is not None:
                _draw_limb(canvas, one, other, thick, [round(_SHADE * part) for part in colour])
    for points in placed:
        for point, colour in zip(points, _COLOURS, strict=True):
            if point is not None:
                middle = (round(point[0]), round(point[1]))
                cv2.circle(canvas, middle, thick, colour, thickness=-1)
    return fraction(canvas)


def has_points(figure: Figure) -> bool:
    """Return whether anything of a figure would be drawn."""
    return bool((figure[:, 2] >= SURE).any())


def _place(figure: Figure) -> list[tuple[float, float] | None]:
    """Return where OpenPose's points are; None for those that are not sure."""
    shoulders = figure[[_LEFT_SHOULDER, _RIGHT_SHOULDER]]
    neck = [*shoulders[:, :2].mean(axis=0), shoulders[:, 2].min()]
    points = np.vstack([figure, neck])[list(_POINTS)]
    return [(float(x), float(y)) if score >= SURE else None for x, y, score in points]


def _draw_limb(
    canvas: NDArray[np.uint8],
    one: tuple[float, float],
    other: tuple[float, float],
    thick: int,
    colour: list[int],
) -> None:
    """Draw a limb as an ellipse from point to point."""
    along = np.subtract(other, one)
    middle = np.add(one, other) / 2
    angle = int(np.degrees(np.arctan2(along[1], along[0])))
    axes = (int(np.hypot(*along) / 2), thick)
    outline = np.array(
        cv2.ellipse2Poly((round(middle[0]), round(middle[1])), axes, angle, 0, 360, 1)
    )
    cv2.fillConvexPoly(canvas, outline, colour)
