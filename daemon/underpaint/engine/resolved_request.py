"""A request, and what the names in it stand for: model, LoRAs, ControlNets."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

from underpaint.models import ModelInfo, describe_model, find_model
from underpaint.models.controlnet_list import ChosenControl, choose_controls
from underpaint.models.ip_adapter_list import ChosenReference, choose_references
from underpaint.models.lora_choice import ChosenLora, choose_loras, named_loras
from underpaint_client.parameters import settled
from underpaint_client.recipe import UsedLora
from underpaint_client.recommended import settle_request
from underpaint_client.request import Request
from underpaint_client.seeds import ImagePrompt

from .clock import PhaseClock
from .model import Model
from .reports import Observer, Progress
from .work import Models


@dataclass(frozen=True)
class ResolvedRequest:
    """A request, with what it names; each is found, and loaded, when it is first needed.

    Parameters
    ----------
    models : Models
        Where the model comes from.
    request : Request
        What to make, with its seeds drawn.
    prompts : tuple of ImagePrompt
        Of each image.
    allow_paths : bool
        Whether models outside the model folders may be opened.
    observer : Observer
        Is told when the model is loaded.
    clock : PhaseClock
        Seconds by phase.
    """

    models: Models
    request: Request
    prompts: tuple[ImagePrompt, ...]
    allow_paths: bool
    observer: Observer
    clock: PhaseClock

    @functools.cached_property
    def model(self) -> Model:
        """The model that the request names, loaded: to find it, the folders of models are read."""
        with self.clock.phase("load"):
            self.observer.progress(Progress("Loading the model"))
            # What is wrong is told before that takes minutes.
            _ = self.loras, self.controls, self.references
            wanted = self.request.sampling
            return self.models.load(
                wanted.model, allow_paths=self.allow_paths, sampler=wanted.sampler
            )

    @functools.cached_property
    def loras(self) -> tuple[tuple[ChosenLora, ...], ...]:
        """The LoRAs of each image, found and looked at before the model is loaded."""
        given = self.request.conditioning.loras
        wanted = [named_loras(given, prompt.positive) for prompt in self.prompts]
        if not any(wanted):
            return ((),) * len(wanted)
        return choose_loras(wanted, self.info)

    @functools.cached_property
    def controls(self) -> tuple[ChosenControl, ...]:
        """The ControlNets of the control layers, found and looked at as LoRAs are."""
        wanted = self.request.conditioning.controls
        return choose_controls(wanted, self.info) if wanted else ()

    @functools.cached_property
    def references(self) -> tuple[ChosenReference, ...]:
        """The IP-Adapters of the reference layers, found and looked at as LoRAs are."""
        wanted = self.request.conditioning.references
        if not wanted or self.info.recommended.pictures:  # which sees them itself
            return ()
        return choose_references(wanted, self.info)

    @functools.cached_property
    def info(self) -> ModelInfo:
        """What is known of the model before it is loaded."""
        name = self.request.sampling.model
        return describe_model(find_model(name, allow_paths=self.allow_paths))

    @functools.cached_property
    def used_loras(self) -> dict[ChosenLora, UsedLora]:
        """What recipes say of each LoRA; all of them are loaded."""
        return self.model.placed.load_loras(list(dict.fromkeys(itertools.chain(*self.loras))))

    @functools.cached_property
    def settled_request(self) -> Request:
        """The request, with what it leaves to the model as suits the model that is loaded."""
        settled = settle_request(self.request, self.model.info.recommended)
        return settled if self.model.family.has_clip_skip else settled.with_values(clip_skip=None)

    @property
    def guidance_scale(self) -> float:
        """The guidance scale that the model runs at."""
        return settled(self.settled_request.sampling.guidance_scale)
