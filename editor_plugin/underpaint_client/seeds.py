"""Seeds: drawing them, counting them up, and the choices in a prompt that follow from them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from .prompt_choices import ReadWildcard, escape_prompt, expand_prompt, expand_wildcards
from .regions import Region
from .request import Request
from .sampling import SEEDS
from .variations import Variation


@dataclass(frozen=True)
class ImagePrompt:
    """The prompts of one image, in the language of `prompt_language`: all choices are made.

    `regions` are those of the request's regions, in their order.
    """

    positive: str
    negative: str
    regions: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """All of them."""
        return (self.positive, self.negative, *self.regions)


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


def expand_chain(request: Request, read: ReadWildcard) -> Request:
    """Return a request whose chain needs no wildcard files; the same if it is no chain.

    The images of a chain share the lines that the seed of the first one chooses: they are made
    again from one prompt, when the files may have changed.

    Raises
    ------
    BadInputError
        As `expand_wildcards` does.
    """
    if not request.variation.chain:
        return request
    positive, negative = _seeds_of_prompts(request, 0)
    return request.with_values(
        prompt=expand_wildcards(request.prompt.positive, positive, read),
        negative_prompt=expand_wildcards(request.prompt.negative, negative, read),
        regions=_with_prompts(
            request,
            [expand_wildcards(one.prompt, positive, read) for one in request.conditioning.regions],
        ),
    )


def image_prompt(request: Request, index: int, read: ReadWildcard | None = None) -> ImagePrompt:
    """Return the prompts of an image of a request, their choices made by the image's seed.

    Parameters
    ----------
    request : Request
        With its seeds drawn; from `expand_chain`.
    index : int
        0, 1, ...
    read : callable, optional
        As `expand_prompt` has it.

    Raises
    ------
    BadInputError
        As `expand_prompt` does.
    """
    positive, negative = _seeds_of_prompts(request, index)
    return ImagePrompt(
        expand_prompt(request.prompt.positive, positive, read),
        expand_prompt(request.prompt.negative, negative, read),
        tuple(expand_prompt(one.prompt, positive, read) for one in request.conditioning.regions),
    )


def _with_prompts(request: Request, prompts: Iterable[str]) -> tuple[Region, ...]:
    """Return the regions of a request with other prompts."""
    regions = request.conditioning.regions
    return tuple(replace(one, prompt=prompt) for one, prompt in zip(regions, prompts))


def _seeds_of_prompts(request: Request, index: int) -> tuple[int, str]:
    seed, _ = image_noise(request, index)
    return seed, f"{seed} negative"


def request_of_image(request: Request, index: int, prompt: ImagePrompt | None = None) -> Request:
    """Return the request that makes one image of a request again, as its only or last one.

    Parameters
    ----------
    request : Request
        With its seeds drawn; from `expand_chain`.
    index : int
        0, 1, ... In a chain, all images before it are made again too.
    prompt : ImagePrompt, optional
        The image's, if files of wildcards were read for it.
    """
    varies = request.variation.amount > 0
    if request.variation.chain and index:
        first = request.variation.seed if varies else None
        return request.with_values(images=index + 1, variation_seed=first)
    seed, variations = image_noise(request, index)
    own = variations[-1].seed if varies else None
    used = prompt or image_prompt(request, index)
    return request.with_values(
        prompt=escape_prompt(used.positive),
        negative_prompt=escape_prompt(used.negative),
        regions=_with_prompts(request, map(escape_prompt, used.regions)),
        seed=seed,
        variation_seed=own,
        images=1,
        chain=False,
    )


def image_seed(seed: int, index: int) -> int:
    """Return the seed of image `index` (0, 1, ...) of a batch that starts at `seed`."""
    return (seed + index) % SEEDS
