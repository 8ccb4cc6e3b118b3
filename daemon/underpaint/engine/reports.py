"""What a run reports: progress, previews and finished pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from underpaint_client.errors import CancelledError
from underpaint_client.geometry import Box
from underpaint_client.recipe import Recipe

from .pixels import Pixels


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Parameters
    ----------
    phase : str
        `Loading the model`, `Encoding`, `Denoising` or `Decoding`.
    step, steps : int
        While denoising: steps done, of how many.
    image, images : int
        Which image (1, 2, ...; the first of those that run together), of how many.
    together : int
        How many images run at once.
    pixels : int
        How many pixels each image has at the size that the model works at; 0 before it is known.
    """

    phase: str
    step: int = 0
    steps: int = 0
    image: int = 0
    images: int = 0
    together: int = 1
    pixels: int = 0


@dataclass(frozen=True)
class Preview:
    """What an image looks like so far.

    Parameters
    ----------
    image, step, steps : int
        Which image, after which step of how many.
    pixels : uint8, (h, w, 4)
        RGBA, straight alpha, of any size: transparent where nothing changes.
    area : Box
        The part of the canvas that they show.
    """

    image: int
    step: int
    steps: int
    pixels: Pixels = field(repr=False)
    area: Box


@dataclass(frozen=True)
class Viewer:
    """Who receives previews, and of what kind.

    Parameters
    ----------
    show : callable
        Called with each `Preview`.
    full : bool
        Decode them as the result will be, which takes time; else by a linear map, a pixel a cell.
    every : float
        The least number of seconds between two.
    """

    show: Callable[[Preview], None]
    full: bool = False
    every: float = 0.25


@dataclass(frozen=True)
class Picture:
    """A finished image.

    Parameters
    ----------
    pixels : the layer's depth, (H, W, 4)
        RGBA, straight alpha.
    box : Box
        Where it lies on the canvas.
    kind : str
        `layer` or `patch`.
    recipe : Recipe
        How to make it again.
    timings : dict of str to float
        Seconds by phase, as shared by the images that ran together.
    """

    pixels: Pixels = field(repr=False)
    box: Box
    kind: str
    recipe: Recipe
    timings: dict[str, float]


@dataclass(frozen=True)
class Observer:
    """Who watches a run.

    Parameters
    ----------
    progress : callable
        Called with how far it is.
    cancelled : callable
        Asked between calls of the model; where it returns True, the run ends.
    viewer : Viewer, optional
        Is shown the images while they are painted.
    """

    progress: Callable[[Progress], None]
    cancelled: Callable[[], bool]
    viewer: Viewer | None = None

    def check_cancelled(self) -> None:
        """End the run where it was cancelled.

        Raises
        ------
        CancelledError
            It was.
        """
        if self.cancelled():
            raise CancelledError("cancelled")
