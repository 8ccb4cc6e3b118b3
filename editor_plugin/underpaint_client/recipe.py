"""The recipe: a request as it was really run, enough to run it again."""

from __future__ import annotations

import re
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any

from .request import Request, Variation
from .typed_json import field_types, read_value, shorten

RECIPE_FORMAT = 2
"""What `Recipe.to_dict` writes; 1 knew no variations and no chains, and can be read."""


@dataclass(frozen=True)
class Recipe:
    """The request as it was really run: enough to run it again. It travels with its picture.

    Fields that `Request` has too mean the same, with these differences: `mode`, `seed` and
    `sampler` are what was used, never `auto`, None or an alias; `width` and `height` are the
    result's size in pixels and `box` is what the request called width and height.

    Parameters
    ----------
    steps_run : int
        How many steps of the schedule ran; 0 where the model was not needed.
    schedule : int
        The schedule's length; `steps`, unless `compensate` or a very low strength made it longer.
    strength_run : float
        0..1. The strength that steps_run of schedule amounts to.
    model_hash : str
        SHA-256 over the model's files, hexadecimal; empty where no model ran.
    work_area : tuple of int
        x, y, width, height on the canvas of what went through the model; zeros for none.
    work_size : tuple of int
        width, height in pixels of what the model saw; zeros for none.
    variations : tuple of Variation
        All that were applied to the noise of `seed`, in turn; where there is a
        `variation_amount`, the last one is the image's own.
    chained : int
        How many images the input had become before this one, each from the one before.
    template : str
        The prompt as it was asked for, before one of its alternatives was chosen; in a chain each
        image chooses its own.
    source_hash : str
        BLAKE2b over what the model was given of the picture and over what may change, hexadecimal;
        empty where no model ran.
    box : tuple of int or None
        width, height of the box asked for.
    notes : tuple of str
        What the artist should know: one sentence each.
    versions : dict of str to str
        underpaint, torch and diffusers, and the device and precision that ran it.
    """

    mode: str
    prompt: str
    negative_prompt: str
    strength: float
    strength_run: float
    steps: int
    steps_run: int
    schedule: int
    compensate: bool
    guidance_scale: float
    seed: int
    sampler: str
    model: str
    model_hash: str
    width: int
    height: int
    box: tuple[int, ...] | None
    fit: bool
    work_area: tuple[int, ...]
    work_size: tuple[int, ...]
    fill: str
    result: str
    notes: tuple[str, ...]
    versions: dict[str, str]
    variation_amount: float = 0.0
    variations: tuple[Variation, ...] = ()
    chained: int = 0
    source_hash: str = ""
    template: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON can hold it: lists for tuples."""
        values = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }
        return {"format": RECIPE_FORMAT, **values}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Recipe:
        """Read what `to_dict` wrote; names that a newer version added are passed over.

        Raises
        ------
        ValueError
            A field is missing, not of its type or out of range; the message names it.
        """
        if not isinstance(found, dict):
            raise ValueError(f"a recipe is a JSON object, and not {shorten(found)}")  # noqa: TRY004
        written = found.get("format", 1)
        if type(written) is not int or written > RECIPE_FORMAT:
            raise ValueError(f"a recipe of format {shorten(written)} is newer than this Underpaint")
        known = {field.name: field for field in fields(cls)}
        missing = [n for n, f in known.items() if f.default is MISSING and n not in found]
        if missing:
            raise ValueError(f"a recipe without {', '.join(missing)} cannot be read")
        types = field_types(cls)
        values = {
            name: read_value(f"the recipe's {name}", types[name], found[name])
            for name in known
            if name in found
        }
        recipe = cls(**values)
        recipe.check()
        return recipe

    def check(self) -> None:
        """Check what the types do not tell: counts, and ranges.

        Raises
        ------
        ValueError
            Names the first field that cannot be used.
        """
        for name in ("work_area", "work_size", "box"):
            sides = getattr(self, name)
            wanted = 4 if name == "work_area" else 2
            if sides is not None and not _are_whole(sides, wanted):
                raise ValueError(
                    f"the recipe's {name} {shorten(sides)} is not {wanted} whole numbers"
                )
        for name in ("steps", "steps_run", "schedule", "seed", "width", "height"):
            if not 0 <= getattr(self, name) < 2**32:
                raise ValueError(
                    f"the recipe's {name} {shorten(getattr(self, name))} is out of range"
                )
        if self.variation_amount and not self.variations:
            raise ValueError("the recipe has a variation_amount but no variations")
        if not 0 <= self.chained < 2**16:
            raise ValueError(f"the recipe's chained {shorten(self.chained)} is out of range")

    def to_request(self) -> Request:
        """Return the request that makes this picture again, from the same input."""
        names = {field.name for field in fields(Request)} & {f.name for f in fields(self)}
        width, height = self.box or (None, None)
        values = {name: getattr(self, name) for name in names}
        prompt = self.template if self.chained and self.template else escape_braces(self.prompt)
        again = Request(**{**values, "prompt": prompt, "width": width, "height": height})
        again = replace(again, images=self.chained + 1, chain=self.chained > 0)
        if not self.variation_amount:
            return replace(again, seed=(self.seed - self.chained) % 2**32)
        own = self.variations[-1]
        return replace(
            again,
            variations=self.variations[:-1],
            variation_seed=(own.seed - self.chained) % 2**32,
        )


def _are_whole(found: Any, count: int) -> bool:
    return (
        isinstance(found, tuple)
        and len(found) == count
        and all(type(n) is int and abs(n) < 2**31 for n in found)
    )


def escape_braces(prompt: str) -> str:
    r"""Return a prompt whose braces are braces: `\{` for `{`, as `seeds.expand_prompt` reads it."""
    return re.sub(r"([{}])", r"\\\1", prompt)
