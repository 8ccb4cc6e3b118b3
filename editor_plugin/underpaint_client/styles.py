"""Styles: named settings that a request is painted with where it has none of its own."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .conditioning import LoraWeight
from .errors import BadInputError
from .parameters import parameters_of
from .parsed_prompt import PromptError
from .prompt_choices import strip_comments
from .prompt_language import parse_prompt
from .sentences import Listing
from .typed_json import SENTENCE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .request import Request

PLACE = "{prompt}"
"""What stands in a style's prompt for the prompt of the request."""

LEFT_TO_STYLE = ("model", "sampler", "steps", "guidance_scale", "clip_skip")
"""The parameters whose value a style gives where the request has the default."""

_MOST_NAMED = 30


@dataclass(frozen=True)
class Style:
    """A style.

    Parameters
    ----------
    name : str
        By which it is asked for.
    prompt : str
        What the request's prompt becomes, which stands in it as `{prompt}`; those of its regions
        likewise.
    negative_prompt : str
        Comes after that of the request.
    model, sampler, steps, guidance_scale, clip_skip
        As the parameters of `Request`; by default they stay as they are there.
    loras : tuple of LoraWeight
        Are used too, unless the request or its prompt names them itself.
    problem : str
        Why it cannot be used; empty where it can.
    """

    name: str
    prompt: str = PLACE
    negative_prompt: str = ""
    model: str = ""
    loras: tuple[LoraWeight, ...] = ()
    sampler: str = "auto"
    steps: int | None = None
    guidance_scale: float | None = None
    clip_skip: int | None = None
    problem: str = field(default="", metadata=SENTENCE)


def find_style(name: str, styles: Iterable[Style]) -> Style:
    """Return the style that a name means; upper and lower case are the same.

    Raises
    ------
    BadInputError
        There is none of that name.
    """
    there = list(styles)
    for style in there:
        if style.name.casefold() == name.casefold():
            return style
    raise BadInputError(
        "style {name!r} is unknown; styles found: {known}; yours go to the folder styles of"
        " Underpaint's home",
        name=name,
        known=Listing(one.name for one in there[:_MOST_NAMED]),
    )


def apply_style(request: Request, style: Style) -> Request:
    """Return a request with what a style says; the request's own settings win.

    Its `style` stays, to tell where they come from.

    Raises
    ------
    BadInputError
        The style cannot be used.
    """
    if style.problem:
        raise BadInputError(style.problem)
    declared = parameters_of(type(request))
    left = {
        name: getattr(style, name)
        for name in LEFT_TO_STYLE
        if request.value(name) == declared[name].default
    }
    own = request.conditioning.loras
    named = {_key(name) for name in (*(one.name for one in own), *_in_prompt(request))}
    added = tuple(one for one in style.loras if _key(one.name) not in named)
    return request.with_values(
        **left,
        prompt=insert_prompt(style.prompt, request.prompt.positive),
        negative_prompt=_join(request.prompt.negative, style.negative_prompt),
        loras=(*own, *added),
        regions=tuple(
            replace(one, prompt=insert_prompt(style.prompt, one.prompt))
            for one in request.conditioning.regions
        ),
    )


def insert_prompt(template: str, prompt: str) -> str:
    """Return a style's prompt with a request's in its place; without the comments of both.

    Examples
    --------
    >>> insert_prompt("{prompt}, watercolour", "a lake"), insert_prompt("{prompt}, watercolour", "")
    ('a lake, watercolour', 'watercolour')
    """
    prompt = strip_comments(prompt).strip()
    template = strip_comments(template)
    if prompt:
        return template.replace(PLACE, prompt)
    before, _, after = template.partition(PLACE)
    return _join(before.strip(", \t"), after.replace(PLACE, "").strip(", \t"))


def _join(*prompts: str) -> str:
    """Return prompts one after the other, with commas between them."""
    written = (strip_comments(one).strip() for one in prompts)
    return ", ".join(one for one in written if one)


def _in_prompt(request: Request) -> list[str]:
    """Return the names of the LoRAs in a request's prompt, as far as it can be read."""
    with contextlib.suppress(PromptError):
        return [one.name for one in parse_prompt(request.prompt.positive).loras]
    return []


def _key(lora: str) -> str:
    """Return what two spellings of a LoRA's name have in common."""
    return lora.replace("\\", "/").casefold().rpartition("/")[2]
