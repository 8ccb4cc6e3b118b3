"""The request: everything one generation needs, without pixels.

Its fields are the vocabulary of the command line, of both editors and of the wire.
`rules.check_request` says which values are allowed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .geometry import Extent

MODES = ("auto", "img2img", "inpaint", "txt2img")
FILLS = ("auto", "underpaint", "neighbours", "noise")
RESULTS = ("layer", "patch")


@dataclass(frozen=True)
class Variation:
    """A step from the noise so far towards that of another seed.

    Parameters
    ----------
    seed : int
        0 .. 2**32 - 1.
    weight : float
        0..1: 0 stays, 1 is the other seed's noise alone.
    """

    seed: int
    weight: float


@dataclass(frozen=True)
class Request:
    """What the artist asked for.

    Parameters
    ----------
    prompt, negative_prompt : str
        What to paint and what to stay away from, in any script.
    mode : str
        One of `MODES`. `auto` looks at the pixels (`rules.choose_mode`).
    strength : float
        0..1. How much change a pixel of change 1 gets: 0 keeps the picture, 1 ignores it.
    steps : int
        1..1000. The schedule's length; `rules.plan_steps` tells how many of them run.
    compensate : bool
        Run `steps` steps whatever the strength, on a longer schedule.
    guidance_scale : float
        0..50. Classifier-free guidance (Ho and Salimans 2022); 1 or less switches it off.
    seed : int or None
        0..2**32 - 1, the seed of the first image; None draws one. Image j uses seed + j.
    images : int
        1..64. How many to make.
    sampler : str
        A name of `rules.SAMPLERS`, or a diffusers scheduler's class name; `auto` takes what the
        model recommends.
    model : str
        A model's name, or the path of its folder; empty for the default model.
    fill : str
        One of `FILLS`: what the model sees where nothing is left of the picture.
    result : str
        One of `RESULTS`: the whole layer, or only what was painted.
    width, height : int or None
        8..16384 pixels. The box the model works in, instead of its native size. Without a layer,
        the size of the picture.
    fit : bool
        Scale the whole layer into that box first; the result then has the scaled size.
    variation_amount : float
        0..1. How far each image's noise lies between that of `seed` (0) and one of its own (1).
        Above 0 the images share `seed`.
    variation_seed : int or None
        0..2**32 - 1, the own seed of the first image; None draws one. Image j uses
        variation_seed + j.
    variations : tuple of Variation
        Applied to the noise of `seed`, in turn, before the above.
    chain : bool
        Each image is the next one's input.
    """

    prompt: str = ""
    negative_prompt: str = ""
    mode: str = "auto"
    strength: float = 0.75
    steps: int = 20
    compensate: bool = False
    guidance_scale: float = 7.5
    seed: int | None = None
    images: int = 1
    sampler: str = "auto"
    model: str = ""
    fill: str = "auto"
    result: str = "layer"
    width: int | None = None
    height: int | None = None
    fit: bool = False
    variation_amount: float = 0.0
    variation_seed: int | None = None
    variations: tuple[Variation, ...] = ()
    chain: bool = False

    @property
    def box(self) -> Extent | None:
        """The box that width and height ask for; None where they are not given."""
        if self.width is None or self.height is None:
            return None
        return Extent(self.width, self.height)


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number that no float can be
        return False


def _shown(value: Any) -> str:
    """Return a value for an error, shortened: a file may hold anything."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}..."
