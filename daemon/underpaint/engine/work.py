"""What a run needs of the engine, and what all of its images share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from underpaint.models import ModelInfo
from underpaint_client.recommended import Recommended
from underpaint_client.seeds import ImagePrompt

from .controlnets import Control
from .denoise import Steps
from .experience import Experience
from .ip_adapters import Reference
from .model import Model
from .pixels import Mask
from .plan import Plan
from .region_masks import RegionShares
from .shown_pictures import ShownPicture, name_pictures
from .source import Source


class Models(Protocol):
    """What a run needs of the engine that runs it."""

    def recommended(self, name: str = "", *, allow_paths: bool = True) -> Recommended:
        """Return the settings that suit a model, which may be missing."""

    def load(self, name: str = "", *, allow_paths: bool = True, sampler: str = "auto") -> Model:
        """Return a model; open it if it is not the one that is loaded."""

    def experience(self, info: ModelInfo) -> Experience:
        """Return what was learned about a model's need for memory."""


@dataclass(frozen=True)
class Work:
    """What all images of one run share: tensors and maps as in `Guide`.

    Where areas that lie far apart are painted one after the other, each has one of its own. `seen`
    is what the model was shown of the layer, as `as_model_sees` returns it. `steps_before` run
    in the areas before, of `steps_of_all`.
    """

    model: Model
    source: Source
    seen: Source
    plan: Plan
    source_hash: str
    context_hash: str
    clean: torch.Tensor
    steps: Steps
    pure: Mask
    kept: torch.Tensor | None
    notes: tuple[str, ...]
    controls: tuple[Control, ...] = ()
    references: tuple[Reference, ...] = ()
    pictures: tuple[ShownPicture, ...] = ()
    regions: RegionShares | None = None
    steps_before: int = 0
    steps_of_all: int = 0

    def read_prompt(self, prompt: ImagePrompt) -> ImagePrompt:
        """Return a prompt as the model reads it: it calls the pictures that it sees by numbers."""
        taken = [one.reference for one in self.pictures if one.reference is not None]
        return name_pictures(self.model.info, prompt, taken, edits=self.source.edits)
