"""What a run needs of the engine, and what all of its images share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch

from underpaint.models import ModelInfo
from underpaint_client.recommended import Recommended

from .controlnets import Control
from .denoise import Steps
from .experience import Experience
from .ip_adapters import Reference
from .model import Model
from .plan import Plan
from .region_masks import RegionShares
from .source import Mask, Source


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
    regions: RegionShares | None = None
    steps_before: int = 0
    steps_of_all: int = 0
