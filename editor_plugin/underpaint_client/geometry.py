"""Sizes and boxes on the pixel grid: immutable, named, in whole pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Extent:
    """A size in pixels.

    Parameters
    ----------
    width, height : int
        Pixels, 0 or more.
    """

    width: int
    height: int

    @property
    def pixels(self) -> int:
        """How many pixels there are."""
        return self.width * self.height

    @property
    def shorter(self) -> int:
        """The shorter side, in pixels."""
        return min(self.width, self.height)

    @property
    def longer(self) -> int:
        """The longer side, in pixels."""
        return max(self.width, self.height)

    def __str__(self) -> str:
        return f"{self.width} x {self.height}"


@dataclass(frozen=True)
class Box:
    """A rectangle on the canvas, half open: it holds x <= column < x + width.

    Parameters
    ----------
    x, y : int
        The top left corner, in canvas pixels; negative where a layer starts left of the canvas.
    width, height : int
        Pixels, 0 or more.
    """

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def at(cls, x: int, y: int, extent: Extent) -> Box:
        """Return the box of that size whose top left corner is (x, y)."""
        return cls(x, y, extent.width, extent.height)

    @property
    def right(self) -> int:
        """The first column that lies outside, to the right."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The first row that lies outside, below."""
        return self.y + self.height

    @property
    def extent(self) -> Extent:
        """The box's size."""
        return Extent(self.width, self.height)

    @property
    def empty(self) -> bool:
        """Whether the box holds no pixel."""
        return self.width <= 0 or self.height <= 0

    def moved(self, dx: int, dy: int) -> Box:
        """Return the same box, dx pixels further right and dy further down."""
        return Box(self.x + dx, self.y + dy, self.width, self.height)

    def around(self, other: Box) -> Box:
        """Return the smallest box that holds this one and another; an empty one does not count."""
        if self.empty or other.empty:
            return other if self.empty else self
        x, y = min(self.x, other.x), min(self.y, other.y)
        width, height = max(self.right, other.right) - x, max(self.bottom, other.bottom) - y
        return Box(x, y, width, height)

    def contains(self, other: Box) -> bool:
        """Whether every pixel of `other` lies in this box."""
        return (
            self.x <= other.x
            and self.y <= other.y
            and other.right <= self.right
            and other.bottom <= self.bottom
        )
