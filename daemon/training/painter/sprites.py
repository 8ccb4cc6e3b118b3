"""Things that stand in the landscape, drawn apart and put in at their distance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .raster import FRACTION, Bytes, Floats, channels, fixed, from_bytes, scaled, to_bytes

_ONE = 1 << FRACTION


@dataclass(frozen=True)
class Sprite:
    """A thing's picture; in its middle it stands on the ground, on which its lowest row is.

    Parameters
    ----------
    rgba : float32, (H, W, 4)
        Premultiplied, 0..1.
    """

    rgba: Floats

    def through(self, air: Floats, share: float) -> Sprite:
        """Show it through air of a colour, (3,), that takes a share of its own."""
        veil = self.rgba[..., 3:] * np.append(air, 1).astype(np.float32)
        return replace(self, rgba=self.rgba + (veil - self.rgba) * share)


class Sheet:
    """A transparent sheet to draw shapes on.

    Parameters
    ----------
    height, width : int
        Pixels.
    unit : float, optional
        Pixels of the unit of all coordinates and widths; the height if not given. Coordinates are
        x and y, right and down from the top left corner.
    """

    def __init__(self, height: int, width: int, unit: float | None = None) -> None:
        # Drawing opaque shapes with smooth edges on nothing leaves premultiplied pixels.
        self.pixels: Bytes = np.zeros((height, width, 4), np.uint8)
        self.unit = float(height) if unit is None else unit

    def polygon(self, points: Floats, colour: Floats) -> None:
        """Fill a polygon, (N, 2), with a colour, (3,)."""
        places = fixed(points * self.unit - 0.5)
        cv2.fillPoly(self.pixels, [places], _ink(colour), cv2.LINE_AA, FRACTION)

    def line(
        self, start: Sequence[float], end: Sequence[float], width: float, colour: Floats
    ) -> None:
        """Draw a line with round ends."""
        thick = max(1, round(width * self.unit))
        first, last = self._place(start), self._place(end)
        cv2.line(self.pixels, first, last, _ink(colour), thick, cv2.LINE_AA, FRACTION)

    def dot(self, centre: Sequence[float], radius: float, colour: Floats) -> None:
        """Draw a disc."""
        wide = max(1, round(radius * self.unit * _ONE))
        place = self._place(centre)
        cv2.circle(self.pixels, place, wide, _ink(colour), -1, cv2.LINE_AA, FRACTION)

    def lay(self, colour: Floats, alpha: Floats) -> None:
        """Lay a picture (H, W, 3) over what is drawn, through a mask (H, W)."""
        left = 1 - alpha
        shown = np.clip(colour, 0, 1) * channels(alpha, alpha, alpha)
        under = from_bytes(self.pixels) * channels(left, left, left, left)
        self.pixels = to_bytes(under + np.dstack([shown, alpha]))

    def sprite(self) -> Sprite:
        """Return what is drawn."""
        return Sprite(from_bytes(self.pixels))

    def _place(self, point: Sequence[float]) -> tuple[int, int]:
        x, y = point
        return round((x * self.unit - 0.5) * _ONE), round((y * self.unit - 0.5) * _ONE)


def _ink(colour: Floats) -> tuple[float, float, float, float]:
    red, green, blue = colour.tolist()
    return (red * 255, green * 255, blue * 255, 255)


@dataclass(frozen=True)
class Canvas:
    """A picture in the making and how far away what it shows is.

    Parameters
    ----------
    picture : float32, (H, W, 3)
        Painted on in place.
    log_z : float32, (H, W)
        The logarithm of the distance in metres of the land.
    """

    picture: Floats
    log_z: Floats

    def stamp(self, sprite: Sprite, x: float, y: float, height: float, log_z: float) -> None:
        """Put a sprite in.

        Parameters
        ----------
        sprite : Sprite
            What to put in, in its final colours.
        x, y : float
            Where its foot is, in pixels.
        height : float
            Pixels.
        log_z : float
            How far away it is; nearer land hides it.
        """
        own_rows, own_columns = sprite.rgba.shape[:2]
        rows = max(1, round(height))
        columns = max(1, round(own_columns * rows / own_rows))
        rgba = sprite.rgba if rows == own_rows else scaled(sprite.rgba, rows, columns)
        self.put(rgba, round(x - columns / 2), round(y) - rows, log_z)

    def put(self, rgba: Floats, left: int, top: int, log_z: float) -> None:
        """Put premultiplied pixels in at a distance, which nearer land hides."""
        rows, columns = rgba.shape[:2]
        limit_y, limit_x = self.log_z.shape
        start_x, start_y = max(left, 0), max(top, 0)
        end_x, end_y = min(left + columns, limit_x), min(top + rows, limit_y)
        if start_x >= end_x or start_y >= end_y:
            return
        part = rgba[start_y - top : end_y - top, start_x - left : end_x - left]
        shown = (self.log_z[start_y:end_y, start_x:end_x] > log_z - 0.03).astype(np.float32)
        kept = 1 - part[..., 3] * shown
        under = self.picture[start_y:end_y, start_x:end_x]
        under *= channels(kept, kept, kept)
        under += part[..., :3] * channels(shown, shown, shown)
