"""The rules that plug-in, command line and engine must decide alike.

Pure functions on plain values: the docker says "runs 15 of 20 steps" with the very function that
the engine runs by. Nothing here needs more than the standard library.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from .errors import BadInputError
from .request import FILLS, MODES, RESULTS, Request, Variation
from .samplers import TRAIN_STEPS, choose_sampler, longest_schedule
from .seeds import SEEDS

MAX_PIXELS = 2**28
"""Pixels of the largest layer that is taken: 268 megapixels, as 16384 x 16384."""

MAX_PROMPT = 20_000
"""Characters of the longest prompt that is taken."""

MAX_NAME = 1024
"""Characters of the longest name or path of a model that is taken."""

MAX_VARIATIONS = 16
"""Variations of the longest list that is taken."""


STARTER_MODEL = "starter"
"""The name of the small model that the package brings along."""


RANGES: dict[str, tuple[float, float]] = {
    "strength": (0.0, 1.0),
    "steps": (1, TRAIN_STEPS),
    "guidance_scale": (0.0, 50.0),
    "seed": (0, SEEDS - 1),
    "images": (1, 64),
    "width": (8, 16384),
    "height": (8, 16384),
    "variation_amount": (0.0, 1.0),
    "variation_seed": (0, SEEDS - 1),
}
"""The least and the most that a number of a `Request` can be."""

_CHOICES: dict[str, tuple[str, ...]] = {"mode": MODES, "fill": FILLS, "result": RESULTS}


def check_request(request: Request) -> None:
    """Check that every value of a request is one that can be worked with.

    Types are taken as given by `Request`; the wire's decoder has seen to them.

    Raises
    ------
    BadInputError
        Names the first field that is out of range, its value, and what is allowed.
    """
    for field in fields(Request):
        _check_field(field.name, getattr(request, field.name))
    _check_variations(request.variations)
    sampler = choose_sampler(request.sampler)
    if request.steps > longest_schedule(sampler):
        raise BadInputError(
            f"steps {request.steps} are too many for the sampler {sampler}; it takes up to"
            f" {longest_schedule(sampler)}"
        )
    if (request.width is None) != (request.height is None):
        given, other = ("width", "height") if request.height is None else ("height", "width")
        raise BadInputError(
            f"{given} {getattr(request, given)} was given without a {other}; return both or neither"
        )


def _check_variations(variations: tuple[Variation, ...]) -> None:
    if len(variations) > MAX_VARIATIONS:
        raise BadInputError(
            f"{len(variations)} variations are too many; give {MAX_VARIATIONS} or fewer"
        )
    for one in variations:
        if not 0 <= one.seed < SEEDS:
            raise BadInputError(
                f"variation seed {one.seed} is out of range; it goes from 0 to {SEEDS - 1}"
            )
        if not 0 <= one.weight <= 1:  # false for NaN too
            raise BadInputError(
                f"variation weight {one.weight} is out of range; it goes from 0 to 1"
            )


def read_variations(text: str) -> tuple[Variation, ...]:
    """Read a list of variations as it is typed: `seed:weight,seed:weight`.

    Raises
    ------
    BadInputError
        Names the part that is none.
    """
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        seed, colon, weight = part.partition(":")
        try:
            found.append(Variation(int(seed), float(weight)))
        except ValueError:
            colon = ""
        if not colon:
            raise BadInputError(f"variation {part!r} is none; write seed:weight, as 42:0.2")
    _check_variations(tuple(found))
    return tuple(found)


def _check_field(name: str, value: Any) -> None:
    if name in RANGES and value is not None:
        low, high = RANGES[name]
        if not low <= value <= high:  # false for NaN too
            raise BadInputError(f"{name} {value} is out of range; it goes from {low} to {high}")
    if name in _CHOICES and value not in _CHOICES[name]:
        raise BadInputError(
            f"{name} {value!r} is unknown; choose one of {', '.join(_CHOICES[name])}"
        )
    if name in ("prompt", "negative_prompt") and len(value) > MAX_PROMPT:
        raise BadInputError(
            f"{name} has {len(value)} characters; shorten it to {MAX_PROMPT} or fewer"
        )
    if name == "model" and (len(value) > MAX_NAME or "\0" in value):
        raise BadInputError(f"model {value[:40]!r}... is no name; give one that there is")
    if isinstance(value, str) and not _is_text(value):
        raise BadInputError(f"{name} {value[:40]!r} holds bytes that are no UTF-8 text")


def _is_text(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # half a surrogate pair, as undecodable arguments become
        return False
    return True
