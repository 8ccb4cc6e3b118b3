"""The recipe: a request as it was really run, enough to run it again."""

from __future__ import annotations

import re
from dataclasses import MISSING, asdict, dataclass, fields, replace
from typing import Any

from underpaint_client.request import Request, Variation, _is_finite, _shown

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
        """Give the recipe as JSON can hold it: lists for tuples."""
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
            Where a field is missing or is not of its kind; the message names it.
        """
        if not isinstance(found, dict):
            raise ValueError(f"a recipe is a JSON object, and not {_shown(found)}")  # noqa: TRY004
        written = found.get("format", 1)
        if type(written) is not int or written > RECIPE_FORMAT:
            raise ValueError(f"a recipe of format {_shown(written)} is newer than this Underpaint")
        known = {field.name: field for field in fields(cls)}
        missing = [n for n, f in known.items() if f.default is MISSING and n not in found]
        if missing:
            raise ValueError(f"a recipe without {', '.join(missing)} cannot be read")
        values = {name: found[name] for name in known if name in found}
        if "variations" in values:
            if not isinstance(values["variations"], list):
                raise ValueError("the recipe's variations are no list")
            values["variations"] = tuple(_read_variation(one) for one in values["variations"])
        for name, value in values.items():
            values[name] = tuple(value) if isinstance(value, list) else value
            _check_kind(name, str(known[name].type), values[name])
        recipe = cls(**values)
        recipe.check()
        return recipe

    def check(self) -> None:
        """See that what was read can be worked with.

        Raises
        ------
        ValueError
            Names what cannot.
        """
        for name in ("work_area", "work_size", "box"):
            sides = getattr(self, name)
            wanted = 4 if name == "work_area" else 2
            if sides is not None and not _are_whole(sides, wanted):
                raise ValueError(
                    f"the recipe's {name} {_shown(sides)} is not {wanted} whole numbers"
                )
        if not all(isinstance(note, str) for note in self.notes):
            raise ValueError(f"the recipe's notes {_shown(self.notes)} are no sentences")
        for name in ("strength", "strength_run", "guidance_scale", "variation_amount"):
            if not _is_finite(getattr(self, name)):
                raise ValueError(f"the recipe's {name} is no number")
        for name in ("steps", "steps_run", "schedule", "seed", "width", "height"):
            if not 0 <= getattr(self, name) < 2**32:
                raise ValueError(f"the recipe's {name} {_shown(getattr(self, name))} is no count")
        if self.variation_amount and not self.variations:
            raise ValueError("the recipe has a variation_amount, and no variations")
        if not 0 <= self.chained < 2**16:
            raise ValueError(f"the recipe's chained {_shown(self.chained)} is out of range")

    def to_request(self) -> Request:
        """Give the request that makes this picture again, from the same input."""
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


def _read_variation(found: Any) -> Variation:
    if not isinstance(found, dict) or set(found) != {"seed", "weight"}:
        raise ValueError(f"variation {_shown(found)} has no seed and weight")
    seed, weight = found["seed"], found["weight"]
    if type(seed) is not int or not isinstance(weight, (int, float)) or isinstance(weight, bool):
        raise ValueError(f"variation {_shown(found)} has a seed or a weight that is no number")
    try:
        return Variation(seed, float(weight))
    except OverflowError:
        raise ValueError("a variation has a weight that is no number") from None


def _are_whole(found: Any, count: int) -> bool:
    return (
        isinstance(found, tuple)
        and len(found) == count
        and all(type(n) is int and abs(n) < 2**31 for n in found)
    )


def escape_braces(prompt: str) -> str:
    r"""Give a prompt whose braces are braces: `\{` for `{`, as `rules.expand_prompt` reads it."""
    return re.sub(r"([{}])", r"\\\1", prompt)


_KINDS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (float, int),
    "dict[str, str]": (dict,),
}


def _check_kind(name: str, kind: str, value: Any) -> None:
    """See that a value that was read is of the kind that its field says."""
    allowed = _KINDS.get(kind, (tuple, type(None)))
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind != "bool"):
        raise ValueError(f"the recipe's {name} {_shown(value)} is no {kind}")
    if isinstance(value, dict) and not all(isinstance(v, str) for v in value.values()):
        raise ValueError(f"the recipe's {name} {_shown(value)} is no {kind}")
