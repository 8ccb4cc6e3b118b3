"""What clients are told of a model."""

from __future__ import annotations

from dataclasses import dataclass, field

from .recommended import USUAL, Recommended
from .typed_json import SENTENCE


@dataclass(frozen=True)
class ModelEntry:
    """A model in the list that the daemon sends.

    Parameters
    ----------
    name : str
        By which it is asked for.
    family, title : str
        Its family, such as `sdxl`, and what users call that: `SDXL`.
    native : int
        The side it was trained at, in pixels; 0 where that is not known.
    problem : str
        Why it cannot be used; empty where it can.
    recommended : Recommended
        How it is run where the request leaves that to it.
    purpose : str
        `plain`, `inpainting`, ...
    precision : str
        How most of its weights are stored: `fp16`, `bf16`, `Q4_K`, ...
    size, memory : int
        Bytes of its weights on disk, and what it needs to paint, computed; 0 where not known.
    licence : str
        Empty where not known.
    """

    name: str
    family: str
    native: int
    problem: str = field(default="", metadata=SENTENCE)
    recommended: Recommended = USUAL
    title: str = ""
    purpose: str = ""
    precision: str = ""
    size: int = 0
    memory: int = 0
    licence: str = ""
