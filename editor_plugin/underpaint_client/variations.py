"""Variations: images whose noise is between that of one seed and that of another."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import BadInputError
from .parameters import Parameter, ParameterGroup, declare
from .sampling import SEED_LIMITS, SEEDS

MAX_VARIATIONS = 16
"""Variations of the longest list that is taken."""


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


def check_variations(variations: tuple[Variation, ...]) -> None:
    """Check each of a list of variations.

    Raises
    ------
    BadInputError
        Names the first number that is out of range.
    """
    for one in variations:
        if not 0 <= one.seed < SEEDS:
            raise BadInputError(
                "variation seed {seed} is out of range; it goes from 0 to {most}",
                seed=one.seed,
                most=SEEDS - 1,
            )
        if not 0 <= one.weight <= 1:  # false for NaN too
            raise BadInputError(
                "variation weight {weight} is out of range; it goes from 0 to 1", weight=one.weight
            )


def read_variations(text: str) -> tuple[Variation, ...]:
    """Read a list of variations as it is typed: `seed:weight,seed:weight`.

    Raises
    ------
    BadInputError
        Names the entry that cannot be read.
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        seed, _, weight = part.partition(":")
        try:
            found.append(Variation(int(seed), float(weight)))
        except ValueError:
            raise BadInputError(
                "variation {part!r} cannot be read; write seed:weight, as 42:0.2", part=part
            ) from None
    return tuple(found)


@dataclass(frozen=True)
class VariationSettings(ParameterGroup):
    """How the images of a request differ from that of its seed, and from each other."""

    amount: float = declare(
        0.0,
        Parameter(
            "How much each image differs from that of --seed, by its noise: 0 not at all, 1 as much"
            " as one of another seed. Above 0 the images share --seed.",
            limits=(0.0, 1.0),
            flags=("-v", "--variation-amount"),
            name="variation_amount",
        ),
    )
    seed: int | None = declare(
        None,
        Parameter(
            "The seed that the first image is varied towards; each one uses the next. Without it"
            " one is drawn and printed.",
            limits=SEED_LIMITS,
            flags=("--variation-seed",),
            name="variation_seed",
        ),
    )
    base: tuple[Variation, ...] = declare(
        (),
        Parameter(
            "Variations to start from, applied in turn to the noise of --seed. Messages show"
            " those of an image in this form, to continue from it.",
            most=MAX_VARIATIONS,
            check=check_variations,
            flags=("-V", "--with-variations"),
            metavar="SEED:WEIGHT,...",
            read=read_variations,
            name="variations",
        ),
    )
    chain: bool = declare(
        False, Parameter("Each image is the next one's input.", flags=("--chain",))
    )
