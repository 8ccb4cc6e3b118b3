"""What changes how a model reads and paints, beside the prompt: LoRAs, layers, regions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .control_layers import MAX_CONTROLS, ControlLayer, check_controls, read_control
from .errors import BadInputError
from .parameters import Parameter, ParameterGroup, declare
from .prompt_language import NUMBER
from .reference_layers import (
    MAX_REFERENCES,
    ReferenceLayer,
    check_references,
    read_reference,
)
from .regions import MAX_REGIONS, Region, check_regions, read_region

MAX_LORAS = 16
"""LoRAs of the longest list that is taken."""

MAX_LORA_NAME = 1024
"""Characters of the longest name of a LoRA that is taken."""

MAX_LORA_WEIGHT = 10.0
"""The highest strength of a LoRA; its negative is the least."""

_TYPED = re.compile(rf"(?P<name>.+?)(?::(?P<weight>{NUMBER}))?(?::(?P<encoder>{NUMBER}))?")


@dataclass(frozen=True)
class LoraWeight:
    """A LoRA, and how strong it is.

    Parameters
    ----------
    name : str
        As `underpaint loras` lists it, or the last part of that.
    weight : float
        -10..10. Its strength in the denoiser: 0 is none, 1 is as it was trained.
    encoder_weight : float, optional
        -10..10. Its strength in the text encoders; that in the denoiser where it is left out.
    """

    name: str
    weight: float = 1.0
    encoder_weight: float | None = None

    @property
    def in_encoders(self) -> float:
        """Its strength in the text encoders."""
        return self.weight if self.encoder_weight is None else self.encoder_weight


def check_loras(loras: tuple[LoraWeight, ...]) -> None:
    """Check each of a list of LoRAs.

    Raises
    ------
    BadInputError
        Names the first LoRA without a name, or with a strength that is out of range.
    """
    for one in loras:
        if not one.name.strip() or "\0" in one.name or len(one.name) > MAX_LORA_NAME:
            raise BadInputError(
                "LoRA {name!r} cannot be the name of a LoRA; `underpaint loras` lists them",
                name=one.name[:40],
            )
        for weight in (one.weight, one.in_encoders):
            if not -MAX_LORA_WEIGHT <= weight <= MAX_LORA_WEIGHT:  # false for NaN too
                raise BadInputError(
                    "the strength {weight} of the LoRA {name!r} is out of range; it goes from"
                    " {low} to {high}",
                    weight=weight,
                    name=one.name,
                    low=-MAX_LORA_WEIGHT,
                    high=MAX_LORA_WEIGHT,
                )


def read_lora(text: str) -> LoraWeight:
    """Read a LoRA as it is typed: `NAME`, `NAME:WEIGHT` or `NAME:WEIGHT:ENCODER_WEIGHT`.

    Raises
    ------
    BadInputError
        There is no name.

    Examples
    --------
    >>> read_lora("styles/ink:0.8")
    LoraWeight(name='styles/ink', weight=0.8, encoder_weight=None)
    """
    found = _TYPED.fullmatch(text.strip())
    if found is None:
        raise BadInputError("--lora {text!r} names no LoRA; write NAME or NAME:0.8", text=text)
    weight, encoder = found["weight"], found["encoder"]
    return LoraWeight(
        found["name"].strip(),
        1.0 if weight is None else float(weight),
        None if encoder is None else float(encoder),
    )


def lora_in_prompt(lora: LoraWeight) -> str:
    """Return a LoRA as it is named in a prompt; its strength in the text encoders comes first.

    Examples
    --------
    >>> lora_in_prompt(LoraWeight("ink", 0.8)), lora_in_prompt(LoraWeight("ink", 0.8, 0.5))
    ('<lora:ink:0.8>', '<lora:ink:0.5:0.8>')
    """
    strengths = dict.fromkeys((f"{lora.in_encoders:.15g}", f"{lora.weight:.15g}"))
    return f"<lora:{lora.name}:{':'.join(strengths)}>"


def add_loras(prompt: str, loras: Iterable[LoraWeight]) -> str:
    """Return a prompt that names these LoRAs too."""
    return " ".join(filter(None, (prompt, *map(lora_in_prompt, loras))))


@dataclass(frozen=True)
class ConditioningSettings(ParameterGroup):
    """What changes how the model reads and paints, beside the prompt."""

    loras: tuple[LoraWeight, ...] = declare(
        (),
        Parameter(
            "A LoRA to paint with, and its strength: 0 is none, 1 as it was trained.",
            most=MAX_LORAS,
            check=check_loras,
            flags=("--lora",),
            metavar="NAME[:STRENGTH[:ENCODERS]]",
            read=read_lora,
            repeats=True,
            usage="May be given several times. `underpaint loras` lists those that are there."
            " ENCODERS is its strength in the text encoders, if it is another one."
            " <lora:NAME:STRENGTH> in the prompt does the same; strengths of a LoRA that is named"
            " twice are added.",
        ),
    )
    controls: tuple[ControlLayer, ...] = declare(
        (),
        Parameter(
            "A picture of lines, depth or the like that the image is held to, and how strongly:"
            " 0 is not at all, 1 as the ControlNet was trained.",
            most=MAX_CONTROLS,
            check=check_controls,
            flags=("--control",),
            metavar="KIND=FILE[:STRENGTH[:START:END]]",
            read=read_control,
            repeats=True,
            usage="KIND is lines, scribble, canny, depth, pose, normal, segmentation, tile or blur;"
            " canny-of and blur-of compute it from any picture. START and END are shares of the"
            " steps: 0:0.5 holds for the first half. May be given up to four times. `underpaint"
            " controlnets` lists the ControlNets that are there.",
        ),
    )
    references: tuple[ReferenceLayer, ...] = declare(
        (),
        Parameter(
            "A picture whose style, composition or subject the image takes on, and how strongly: 0"
            " is not at all, 1 as the IP-Adapter was trained.",
            most=MAX_REFERENCES,
            check=check_references,
            flags=("--reference",),
            metavar="KIND=FILE[:STRENGTH[:START:END]]",
            read=read_reference,
            repeats=True,
            usage="KIND is style, composition or subject. START and END are shares of the steps."
            " May be given up to four times. `underpaint ip-adapters` lists the IP-Adapters that"
            " are there, for Stable Diffusion 1 and XL. A model that edits by instruction sees the"
            " picture whole, and <layer:NAME> in the prompt names it by its file.",
        ),
    )
    regions: tuple[Region, ...] = declare(
        (),
        Parameter(
            "A part of the image with a prompt of its own, which counts there instead of the"
            " prompt.",
            most=MAX_REGIONS,
            check=check_regions,
            flags=("--region",),
            metavar="FILE=PROMPT",
            read=read_region,
            repeats=True,
            usage="FILE is a picture of the part, as large as that of -I: what is opaque in it, or"
            " white in one without transparency; soft edges are kept. May be given up to eight"
            " times; later ones lie over earlier ones.",
        ),
    )
