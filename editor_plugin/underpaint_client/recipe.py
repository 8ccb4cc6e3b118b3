"""The recipe: a request as it was really run, enough to run it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .old_recipes import upgrade_recipe
from .request import Request
from .typed_json import SENTENCE, read_fields, required_fields, shorten, to_json
from .variations import Variation

RECIPE_FORMAT = 5
"""What `Recipe.to_dict` writes: an object `request`, by groups as `Request` is, and one `facts`.

Earlier formats can be read. Format 4 paints areas that lie far apart in one run, and format 3 does
not match what was painted to its surroundings. In formats 1 and 2 all fields lie side by side, and
format 1 knows no variations and no chains.
"""


@dataclass(frozen=True)
class UsedLora:
    """A LoRA that an image was made with.

    Parameters
    ----------
    name : str
        As `underpaint loras` listed it.
    sha256 : str
        Of its file, hexadecimal.
    weight, encoder_weight : float
        Its strength in the denoiser, and in the text encoders.
    tensors_sha256 : str
        Of the file without its header, by which Stable Diffusion WebUI knows it.
    """

    name: str
    sha256: str
    weight: float
    encoder_weight: float
    tensors_sha256: str = ""


@dataclass(frozen=True)
class UsedControl:
    """A control layer that an image was held to.

    Parameters
    ----------
    kind, strength, start, end
        As `ControlLayer`.
    model : str
        The ControlNet, as `underpaint controlnets` listed it.
    sha256 : str
        Of its file, hexadecimal.
    picture_hash : str
        BLAKE2b over what the ControlNet was given of the picture, hexadecimal.
    """

    kind: str
    strength: float
    start: float
    end: float
    model: str
    sha256: str
    picture_hash: str


@dataclass(frozen=True)
class UsedReference:
    """A reference layer that an image took something from.

    Parameters
    ----------
    kind, strength, start, end, name
        As `ReferenceLayer`.
    picture_hash : str
        BLAKE2b over what the model was given of the picture, hexadecimal.
    model, encoder : str
        The IP-Adapter, as `underpaint ip-adapters` listed it, and the CLIP vision model that reads
        pictures for it; empty where the model itself sees the picture.
    sha256, encoder_sha256 : str
        Of their files, hexadecimal.
    """

    kind: str
    strength: float
    start: float
    end: float
    name: str
    picture_hash: str
    model: str = ""
    sha256: str = ""
    encoder: str = ""
    encoder_sha256: str = ""


@dataclass(frozen=True)
class UsedRegion:
    """A region that an image was made with.

    Parameters
    ----------
    name : str
        As `Region`.
    prompt : str
        As it was used: its choices are made.
    mask_hash : str
        BLAKE2b over where it counted, hexadecimal: of its mask as the model worked with it.
    """

    name: str
    prompt: str
    mask_hash: str


@dataclass(frozen=True)
class UsedEmbedding:
    """An embedding (textual inversion) that an image was made with.

    Parameters
    ----------
    name : str
        As the file is called.
    sha256 : str
        Of its file, hexadecimal.
    """

    name: str
    sha256: str


@dataclass(frozen=True)
class Facts:
    """What is known of one image only after it was made.

    Parameters
    ----------
    prompt : str
        As it was used: one of its alternatives chosen, and no escaped braces.
    seed : int
        Of the noise that the image is made of.
    width, height : int
        The result's size in pixels, the whole layer's where it is a patch.
    strength_run : float
        0..1. The strength that steps_run of schedule amounts to.
    steps_run : int
        How many steps of the schedule ran; 0 where the model was not needed.
    schedule : int
        The schedule's length; the request's steps, unless `compensate` or a very low strength made
        it longer.
    model_hash : str
        SHA-256 over the model's files, hexadecimal; empty where no model ran.
    work_area : tuple of int
        x, y, width, height on the canvas of what went through the model; zeros for none. Around all
        of them where several areas were painted.
    work_size : tuple of int
        width, height in pixels of what the model saw; zeros for none. Of several, the largest.
    notes : tuple of str
        What the artist should know: one sentence each.
    versions : dict of str to str
        underpaint, torch and diffusers, and the device and precision that ran it.
    variations : tuple of Variation
        All that were applied to the noise of `seed`, in turn.
    source_hash : str
        BLAKE2b over what the model was given of the picture and over what may change, hexadecimal;
        empty where no model ran.
    context_hash : str
        BLAKE2b over what was visible below the layer where the model worked, hexadecimal; empty
        where it saw the layer alone.
    loras : tuple of UsedLora
        Those of the request and of the prompt, each once, in the order in which they were applied.
    controls : tuple of UsedControl
        Those of the request, without those of strength 0.
    style : str
        Whose settings the request has been given; empty for none.
    embeddings : tuple of UsedEmbedding
        Those that the prompts and the negative prompt name, each once.
    references : tuple of UsedReference
        Those of the request, without those of strength 0.
    regions : tuple of UsedRegion
        Those of the request that reach into the work area.
    """

    prompt: str
    seed: int
    width: int
    height: int
    strength_run: float
    steps_run: int
    schedule: int
    model_hash: str
    work_area: tuple[int, ...]
    work_size: tuple[int, ...]
    notes: tuple[str, ...] = field(metadata=SENTENCE)
    versions: dict[str, str]
    variations: tuple[Variation, ...] = ()
    source_hash: str = ""
    context_hash: str = ""
    loras: tuple[UsedLora, ...] = ()
    controls: tuple[UsedControl, ...] = ()
    style: str = ""
    embeddings: tuple[UsedEmbedding, ...] = ()
    references: tuple[UsedReference, ...] = ()
    regions: tuple[UsedRegion, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """The request as it was really run: enough to run it again. It travels with its picture.

    Parameters
    ----------
    request : Request
        Makes this picture again from the same input, as its only or, in a chain, its last image.
        Nothing in it is left open: mode, steps, guidance scale, sampler, model and seeds are those
        that were used, and it has the settings of its style instead of its name.
    facts : Facts
    """

    request: Request
    facts: Facts

    @property
    def chained(self) -> int:
        """How many images the input had become before this one, each from the one before."""
        return self.request.sampling.images - 1 if self.request.variation.chain else 0

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as JSON can hold it: lists for tuples."""
        return {"format": RECIPE_FORMAT, **to_json(self)}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> Recipe:
        """Read what `to_dict` wrote, or an earlier version of it.

        Names that a newer version added are passed over, and what an older one did not know is as
        by default.

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
        if written < RECIPE_FORMAT:
            found = upgrade_recipe(found, written)
        facts = found.get("facts")
        there = facts if isinstance(facts, dict) else {}
        missing = [name for name in ("request", "facts") if name not in found]
        if "facts" in found:
            missing += sorted(required_fields(Facts) - there.keys())
        if missing:
            raise ValueError(f"a recipe without {', '.join(missing)} cannot be read")
        recipe = cls(
            read_fields("the recipe's request", Request, found["request"], skip_unknown=True),
            read_fields("the recipe's facts", Facts, facts, skip_unknown=True),
        )
        recipe.check()
        return recipe

    def check(self) -> None:
        """Check what the types do not tell: counts, and ranges.

        Raises
        ------
        ValueError
            Names the first field that cannot be used.
        """
        facts = self.facts
        for name, count in (("work_area", 4), ("work_size", 2)):
            sides = getattr(facts, name)
            if not _are_whole(sides, count):
                raise ValueError(
                    f"the recipe's {name} {shorten(sides)} is not {count} whole numbers"
                )
        numbers = {name: getattr(facts, name) for name in _COUNTS}
        numbers.update(steps=self.request.sampling.steps or 0)
        for name, number in numbers.items():
            if not 0 <= number < 2**32:
                raise ValueError(f"the recipe's {name} {shorten(number)} is out of range")
        if self.request.variation.amount and not facts.variations:
            raise ValueError("the recipe has a variation_amount but no variations")
        if not 0 <= self.chained < 2**16:
            raise ValueError(f"the recipe's chained {shorten(self.chained)} is out of range")


_COUNTS = ("steps_run", "schedule", "seed", "width", "height")


def _are_whole(found: Any, count: int) -> bool:
    return (
        isinstance(found, tuple)
        and len(found) == count
        and all(type(n) is int and abs(n) < 2**31 for n in found)
    )
