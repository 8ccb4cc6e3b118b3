"""Seeds: drawing them, counting them up, and the wildcards of a prompt that follow from them."""

from __future__ import annotations

import random
import re

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


def escape_braces(prompt: str) -> str:
    r"""Return a prompt whose braces are braces: `\{` for `{`, as `expand_prompt` reads it."""
    return re.sub(r"([{}])", r"\\\1", prompt)


def image_noise(request: Request, index: int) -> tuple[int, tuple[Variation, ...]]:
    """Return what an image's noise is made of: its base seed, and the variations in turn.

    Parameters
    ----------
    request : Request
        With its seeds drawn.
    index : int
        0, 1, ...
    """
    seed, variation = request.sampling.seed or 0, request.variation
    if not variation.amount:
        return image_seed(seed, index), variation.base
    own = image_seed(variation.seed or 0, index)
    return seed, (*variation.base, Variation(own, variation.amount))


def draw_seed() -> int:
    """Draw a seed."""
    return random.SystemRandom().randrange(SEEDS)


def draw_seeds(request: Request) -> Request:
    """Draw the seeds that a request leaves open."""

    def drawn(seed: int | None) -> int:
        return draw_seed() if seed is None else seed

    return request.with_values(
        seed=drawn(request.sampling.seed), variation_seed=drawn(request.variation.seed)
    )


def request_of_image(request: Request, index: int) -> Request:
    """Return the request that makes one image of a request again, as its only or last one.

    Parameters
    ----------
    request : Request
        With its seeds drawn.
    index : int
        0, 1, ... In a chain, all images before it are made again too.
    """
    varies = request.variation.amount > 0
    if request.variation.chain and index:
        first = request.variation.seed if varies else None
        return request.with_values(images=index + 1, variation_seed=first)
    seed, variations = image_noise(request, index)
    own = variations[-1].seed if varies else None
    return request.with_values(
        prompt=escape_braces(image_prompt(request, index)),
        seed=seed,
        variation_seed=own,
        images=1,
        chain=False,
    )


def image_prompt(request: Request, index: int) -> str:
    """Return the prompt of an image of a request, its alternatives chosen by the image's seed."""
    seed, _ = image_noise(request, index)
    return expand_prompt(request.prompt.positive, seed)


def image_seed(seed: int, index: int) -> int:
    """Return the seed of image `index` (0, 1, ...) of a batch that starts at `seed`."""
    return (seed + index) % SEEDS
