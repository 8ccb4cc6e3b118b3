"""The engine: keeps a model loaded and runs requests with it. It is usable as a library.

>>> from underpaint.engine import Engine, Inputs
>>> from underpaint_client import Request
>>> engine = Engine()
>>> pictures = list(engine.generate(Request.of(prompt="a lake"), Inputs(layer)))  # doctest: +SKIP
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import torch

from underpaint.models import ModelInfo, describe_model, find_model
from underpaint.models.hashes import files_key
from underpaint.styles import resolve_style
from underpaint.wildcards import WildcardFiles
from underpaint_client.errors import GenerationFailedError, ModelUnavailableError
from underpaint_client.geometry import Extent
from underpaint_client.prompt_language import parse_prompt
from underpaint_client.recommended import USUAL, Recommended
from underpaint_client.regions import check_region_prompts
from underpaint_client.request import Request
from underpaint_client.rules import check_rasters, check_request
from underpaint_client.samplers import choose_sampler
from underpaint_client.seeds import draw_seeds, expand_chain, image_prompt

from .abilities import describe_abilities, describe_model_needs, find_lacking
from .clock import PhaseClock
from .devices import (
    choose_device,
    describe_device,
    free_memory,
    has_own_memory,
    measure_free,
)
from .estimators import Estimators
from .experience import Experience, first_saving, make_key
from .flow_sampler import check_flow_sampler
from .inputs import Inputs
from .memory import canvas_too_large, is_out_of_memory, model_too_large, until_it_fits
from .model import Model
from .preprocessing import make_control_picture
from .quantising import check_quantiser
from .reports import Observer, Picture, Progress, Viewer
from .resolved_request import ResolvedRequest
from .run import Run
from .savings import GPU_QUANTISED, Saving, Task, choose_saving, next_saving

log = logging.getLogger(__name__)

_NOTHING = Inputs()


def _quiet(_progress: Progress) -> None:
    """Do nothing with the progress."""


def _never() -> bool:
    return False


class Engine:
    """Runs requests one after the other, and keeps the last model loaded.

    Parameters
    ----------
    device : str
        `auto`, `cuda`, `cuda:1`, `mps` or `cpu`.
    quantise : str
        How the weights of denoisers are stored: one of `savings.GPU_QUANTISED`; `auto` to quantise
        them only where memory is short; or `never`.

    Raises
    ------
    ModelUnavailableError
        The device is not there.
    """

    def __init__(self, device: str = "auto", quantise: str = "auto") -> None:
        self.device = choose_device(device)
        self._quantise = quantise
        self._model: Model | None = None
        self._experience: dict[ModelInfo, Experience] = {}
        self._estimators = Estimators(torch.device(self.device))

    @property
    def model_name(self) -> str:
        """The name of the model that is loaded; empty if there is none."""
        return self._model.info.name if self._model else ""

    def recommended(self, name: str = "", *, allow_paths: bool = True) -> Recommended:
        """Return the settings that suit a model; usual ones if it cannot be used. As `load`."""
        try:
            return describe_model(find_model(name, allow_paths=allow_paths)).recommended
        except ModelUnavailableError:
            return USUAL

    def load(self, name: str = "", *, allow_paths: bool = True, sampler: str = "auto") -> Model:
        """Return a model; open it if it is not the one that is loaded.

        Parameters
        ----------
        name : str
            As `Request.model`.
        allow_paths : bool
            Whether paths outside the model folders may be opened.
        sampler : str
            As `Request.sampler`; checked before the model is loaded, which can take minutes.

        Raises
        ------
        BadInputError
            Models of its family do not run with that sampler.
        ModelUnavailableError
            There is no such model, it cannot be opened, or the package that would quantise it is
            not installed.
        GenerationFailedError
            It does not fit into memory.
        """
        info = describe_model(find_model(name, allow_paths=allow_paths))
        if info.prediction_type == "flow":
            check_flow_sampler(choose_sampler(sampler, info.recommended.sampler))
        if self._model is None or self._model.info != info:
            if self._model is not None:
                self._model.close()
                self._model = None
            self._model = self._open(info)
        return self._model

    def _open(self, info: ModelInfo) -> Model:
        if self._quantise in GPU_QUANTISED:
            check_quantiser(self._quantise)
        device = torch.device(self.device)
        known = self.experience(info)
        able = describe_abilities(info, device, self._quantise)
        task = Task(describe_model_needs(info, device), Extent(info.native, info.native))

        def choose() -> Saving:
            return choose_saving(task, known.free, able, learned=first_saving(known.savings, 0))

        def save() -> None:
            free_memory(device)
            saving = next_saving("load", choose(), able, task, free=known.free)
            if saving is None:
                raise GenerationFailedError(
                    model_too_large(info.name, task.needs.weights, find_lacking(able))
                )
            known.savings[0] = saving

        return until_it_fits(
            lambda: Model(info, self.device, saving=choose(), quantise=self._quantise), save
        )

    def experience(self, info: ModelInfo) -> Experience:
        """Return what was learned about a model's need for memory, and what is free now."""
        device = torch.device(self.device)
        free = measure_free(device)
        if info not in self._experience:
            key = ""
            if has_own_memory(device):
                key = make_key(files_key(info), describe_device(device), self._quantise)
            self._experience[info] = Experience.recall(key, free)
        known = self._experience[info]
        is_warm = self._model is not None and self._model.info == info
        # What waits in the computer's memory is not free there, though it is the model's own.
        known.free = free._replace(host=known.free.host) if is_warm else free
        return known

    @torch.no_grad()
    def generate(
        self,
        request: Request,
        inputs: Inputs = _NOTHING,
        *,
        progress: Callable[[Progress], None] = _quiet,
        cancelled: Callable[[], bool] = _never,
        allow_paths: bool = True,
        viewer: Viewer | None = None,
    ) -> Iterator[Picture]:
        """Run a request.

        Parameters
        ----------
        request : Request
            What to make.
        inputs : Inputs
            The rasters to run it on, as arrays; a picture from nothing needs none.
        progress : callable
            Called with each `Progress`.
        cancelled : callable
            Called after every step; if it returns True, the run ends.
        allow_paths : bool
            As in `load`.
        viewer : Viewer, optional
            Receives previews while the pictures are painted.

        Yields
        ------
        Picture
            One by one, as they are finished.

        Raises
        ------
        BadInputError, ModelUnavailableError, GenerationFailedError, CancelledError
            Before the first picture, or between two.
        """
        check_request(request)
        inputs.check()
        check_rasters(request, inputs.rasters)
        if request.control_picture.kind:
            yield make_control_picture(
                request.control_picture, inputs, self._estimators, progress, cancelled
            )
            return
        request = resolve_style(request)
        read = WildcardFiles().read
        request = expand_chain(draw_seeds(request), read)
        prompts = tuple(image_prompt(request, i, read) for i in range(request.sampling.images))
        for prompt in set(prompts):  # an error comes before a model is loaded
            parse_prompt(prompt.positive)
            parse_prompt(prompt.negative)
            check_region_prompts(request.conditioning.regions, prompt.regions)
        observer = Observer(progress, cancelled, viewer)
        run = Run(ResolvedRequest(self, request, prompts, allow_paths, observer, PhaseClock()))
        try:
            yield from run.pictures(inputs)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            log.exception("memory is short beside the model")
        else:
            return
        free_memory(torch.device(self.device))
        raise GenerationFailedError(canvas_too_large(run.size(inputs.layer)))
