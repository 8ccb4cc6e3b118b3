"""Seeds: drawing them, counting them up, and the wildcards of a prompt that follow from them."""

from __future__ import annotations

import random
import re
from dataclasses import replace

from .request import SEEDS, Request, Variation

_WILDCARD = re.compile(r"(?<!\\)\{((?:\\.|[^{}\\])*)\}")


_BAR = re.compile(r"(?<!\\)\|")


def expand_prompt(prompt: str, seed: int) -> str:
    r"""Choose among the alternatives in a prompt: `a lake at {day|night|{red|pale} sunset}`.

    Parameters
    ----------
    prompt : str
        Braces hold alternatives, and may lie in each other, eight deep; `\{` is a brace.
    seed : int
        The same seed chooses the same, on every machine.
    """
    dice = random.Random(seed)  # noqa: S311 - nothing here is secret

    def choose(found: re.Match[str]) -> str:
        options = _BAR.split(found[1])
        return options[int(dice.random() * len(options))]

    for _ in range(8):
        prompt = _WILDCARD.sub(choose, prompt)
    return re.sub(r"\\([{}|])", r"\1", prompt)


def image_noise(request: Request, index: int) -> tuple[int, tuple[Variation, ...]]:
    """Return what an image's noise is made of: its base seed, and the variations in turn.

    Parameters
    ----------
    request : Request
        With its seeds drawn.
    index : int
        0, 1, ...
    """
    seed = request.seed or 0
    if not request.variation_amount:
        return image_seed(seed, index), request.variations
    own = image_seed(request.variation_seed or 0, index)
    return seed, (*request.variations, Variation(own, request.variation_amount))


def draw_seed() -> int:
    """Draw a seed."""
    return random.SystemRandom().randrange(SEEDS)


def draw_seeds(request: Request) -> Request:
    """Draw the seeds that a request leaves open."""

    def drawn(seed: int | None) -> int:
        return draw_seed() if seed is None else seed

    return replace(request, seed=drawn(request.seed), variation_seed=drawn(request.variation_seed))


def image_seed(seed: int, index: int) -> int:
    """Return the seed of image `index` (0, 1, ...) of a batch that starts at `seed`."""
    return (seed + index) % SEEDS
