"""Regions: parts of an image that have a prompt of their own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from .errors import BadInputError
from .parsed_prompt import PromptError
from .prompt_language import parse_prompt
from .raster_names import find_left_over, find_missing
from .sentences import Sentence, sentence

MAX_REGIONS = 8
"""Regions of one request."""

MAX_REGION_PROMPT = 20_000
"""Characters of the longest prompt of a region that is taken."""

MAX_REGION_NAME = 1024
"""Characters of the longest name of a region that is taken."""

_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Region:
    """A part of an image with a prompt of its own; which part it is travels as a raster.

    Regions lie over each other as layers do: the first one lies below the others. Where none lies,
    the request's prompt counts.

    Parameters
    ----------
    prompt : str
        What is there, in the language of prompts. It stands alone: the request's prompt does not
        count where it counts.
    name : str
        What messages call it, such as the name of its layer; may be empty.
    """

    prompt: str
    name: str = ""


@dataclass(frozen=True)
class TypedRegion:
    """A region as it is typed: with the file of its mask."""

    region: Region
    file: str


def region_raster(index: int) -> str:
    """Return what the raster of a region is called: of the first one `region_1`."""
    return f"region_{index + 1}"


def call_region(index: int, region: Region) -> Sentence:
    """Return what messages call a region: by its name, or its number."""
    if region.name.strip():
        return sentence("the region {name!r}", name=region.name.strip()[:_LONGEST_SHOWN])
    return sentence("region {number}", number=index + 1)


def check_regions(regions: tuple[Region, ...]) -> None:
    """Check each of a list of regions.

    Raises
    ------
    BadInputError
        Names the first region without a prompt, or with one or a name that is too long.
    """
    for index, one in enumerate(regions):
        _check_prompt(call_region(index, one), one.prompt)
        for text, most in ((one.prompt, MAX_REGION_PROMPT), (one.name, MAX_REGION_NAME)):
            if len(text) > most or "\0" in text:
                raise BadInputError(
                    "{region}: {text!r} cannot be used; write {most} characters or fewer, and no"
                    " null characters",
                    region=call_region(index, one),
                    text=text[:40],
                    most=most,
                )


def check_region_rasters(regions: tuple[Region, ...], rasters: Collection[str]) -> None:
    """Check that each region came with its raster, and no other raster did.

    Raises
    ------
    BadInputError
        Names the region that lacks one, or the raster that is of none.
    """
    index = find_missing(len(regions), region_raster, rasters)
    if index is not None:
        raise BadInputError(
            "{region} came without its mask; send the raster {raster}",
            region=call_region(index, regions[index]),
            raster=region_raster(index),
        )
    left = find_left_over(len(regions), MAX_REGIONS, region_raster, rasters)
    if left is not None:
        raise BadInputError(
            "the raster {raster} came, and the request has {count} regions; add one to"
            " `regions`, or leave the raster out",
            raster=left,
            count=len(regions),
        )


def check_region_prompts(regions: Sequence[Region], prompts: Sequence[str]) -> None:
    """Check the prompts of regions, after their choices are made.

    Raises
    ------
    BadInputError
        One is empty, cannot be read, or names a LoRA, which would change the whole image.
    """
    for index, (one, prompt) in enumerate(zip(regions, prompts)):
        _check_prompt(call_region(index, one), prompt)
        try:
            parsed = parse_prompt(prompt)
        except PromptError as error:
            raise BadInputError(
                "{region}: {problem}", region=call_region(index, one), problem=error
            ) from None
        if parsed.loras:
            raise BadInputError(
                "{region} has the LoRA {lora!r}, which changes the whole image; name it in the"
                " prompt of the image",
                region=call_region(index, one),
                lora=parsed.loras[0].name[:_LONGEST_SHOWN],
            )


def _check_prompt(region: Sentence, prompt: str) -> None:
    if not prompt.strip():
        raise BadInputError(
            "{region} has no prompt; write what is there, or do not use it as a region",
            region=region,
        )


def read_region(text: str) -> TypedRegion:
    """Read a region as it is typed: `FILE=PROMPT`. It is called as the file is.

    Raises
    ------
    BadInputError
        There is no file or no prompt.

    Examples
    --------
    >>> read_region("masks/left.png=a snowy mountain")
    TypedRegion(region=Region(prompt='a snowy mountain', name='left'), file='masks/left.png')
    """
    file, _, prompt = (part.strip() for part in text.partition("="))
    if not file or not prompt:
        raise BadInputError("--region {text!r} cannot be read; write FILE=PROMPT", text=text)
    last = file.replace("\\", "/").rpartition("/")[2]
    return TypedRegion(Region(prompt, last.rpartition(".")[0] or last), file)
