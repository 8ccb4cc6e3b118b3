"""One request, the whole way: plan, prepare, denoise, composite.

Knows no socket: usable as a library.

>>> from underpaint.engine import Engine
>>> from underpaint_client import Request
>>> engine = Engine()
>>> pictures = list(engine.generate(Request(prompt="a lake"), layer))  # doctest: +SKIP
"""

from __future__ import annotations

import functools
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from underpaint.models import describe_model, find_model
from underpaint_client.errors import BadInputError, CancelledError
from underpaint_client.geometry import Box, Extent
from underpaint_client.request import Recipe, Request
from underpaint_client.rules import (
    SEEDS,
    check_request,
    choose_sampler,
    image_seed,
)

from .composite import Composed, compose, unchanged
from .denoise import Guide, Steps, cell_steps, denoise, draw_noise
from .model import Model, choose_device
from .plan import Plan, batch_size, make_plan
from .prepare import prepare
from .recipe import make_recipe
from .samplers import Sampler
from .source import Mask, Pixels, Source, max_cells


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Parameters
    ----------
    phase : str
        `Loading the model`, `Encoding`, `Denoising` or `Decoding`.
    step, steps : int
        While denoising: steps done, of how many.
    image, images : int
        Which image (1, 2, ...; the first of those that run together), of how many.
    together : int
        How many images run at once.
    """

    phase: str
    step: int = 0
    steps: int = 0
    image: int = 0
    images: int = 0
    together: int = 1


@dataclass(frozen=True)
class Picture:
    """A finished image.

    Parameters
    ----------
    pixels : the layer's depth, (H, W, 4)
        RGBA, straight alpha.
    box : Box
        Where it lies on the canvas.
    kind : str
        `layer` or `patch`.
    recipe : Recipe
        How to make it again.
    timings : dict of str to float
        Seconds by phase, as shared by the images that ran together.
    """

    pixels: Pixels = field(repr=False)
    box: Box
    kind: str
    recipe: Recipe
    timings: dict[str, float]


class _Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def _quiet(_progress: Progress) -> None:
    """Nobody listens."""


def _never() -> bool:
    return False


class Engine:
    """Runs requests, one after the other, and keeps the last model warm.

    Parameters
    ----------
    device : str
        `auto`, `cuda`, `cuda:1`, `mps` or `cpu`.
    """

    def __init__(self, device: str = "auto") -> None:
        self.device = choose_device(device)
        self._model: Model | None = None

    @property
    def model_name(self) -> str:
        """The name of the model that is warm; empty where none is."""
        return self._model.info.name if self._model else ""

    def load(self, name: str = "", *, allow_paths: bool = True) -> Model:
        """Open a model, or give the one that is open.

        Parameters
        ----------
        name : str
            As `Request.model`.
        allow_paths : bool
            Whether paths outside the model folders may be opened.

        Raises
        ------
        ModelUnavailableError
            Where there is no such model or it cannot be opened.
        """
        info = describe_model(find_model(name, allow_paths=allow_paths))
        if self._model is None or self._model.info != info:
            if self._model is not None:
                self._model.close()
                self._model = None
            self._model = Model(info, self.device)
        return self._model

    @torch.no_grad()
    def generate(
        self,
        request: Request,
        layer: Pixels | None = None,
        selection: Pixels | None = None,
        *,
        x: int = 0,
        y: int = 0,
        progress: Callable[[Progress], None] = _quiet,
        cancelled: Callable[[], bool] = _never,
        allow_paths: bool = True,
    ) -> Iterator[Picture]:
        """Run a request.

        Parameters
        ----------
        request : Request
            What to make.
        layer : uint8, uint16, float16 or float32, (H, W, 4), optional
            RGBA, straight alpha, sRGB-encoded; without it a picture is made from nothing.
        selection : same depths, (H, W), optional
            How much of each pixel is selected; None for all of it.
        x, y : int
            Where the layer lies on the canvas.
        progress : callable
            Told how far it is.
        cancelled : callable
            Asked after every step; where it says True, the run ends.
        allow_paths : bool
            As in `load`.

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
        if layer is None and selection is not None:
            raise BadInputError("a selection came without a layer; send the layer it belongs to")
        run = _Run(self, request, progress, cancelled, allow_paths)
        yield from run.pictures(layer, selection, x, y)


@dataclass(frozen=True)
class _Work:
    """What all images of one run share: tensors and maps as in `Guide`."""

    model: Model
    source: Source
    plan: Plan
    prompt: dict[str, torch.Tensor]
    clean: torch.Tensor
    steps: Steps
    pure: Mask
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Run:
    """One request on its way through the engine."""

    engine: Engine
    request: Request
    progress: Callable[[Progress], None]
    cancelled: Callable[[], bool]
    allow_paths: bool
    clock: _Clock = field(default_factory=_Clock)

    def model(self) -> Model:
        with self.clock.phase("load"):
            self.progress(Progress("Loading the model"))
            return self.engine.load(self.request.model, allow_paths=self.allow_paths)

    def pictures(
        self, layer: Pixels | None, selection: Pixels | None, x: int, y: int
    ) -> Iterator[Picture]:
        request = self.request
        seed = secrets.randbelow(SEEDS) if request.seed is None else request.seed
        with self.clock.phase("prepare"):
            source = self._source(layer, selection, x, y)
            keeps = layer is not None and request.strength == 0
            change = Box(0, 0, 0, 0) if keeps else source.change_box()
        if layer is not None and change.empty:
            yield from self._keep(source, seed)
            return
        most_change = float(source.change_in(change).max())
        model = self.model()
        plan = make_plan(
            request,
            source.mode,
            source.box,
            change,
            most_change,
            model.info.native,
            model.info.train_steps,
            from_nothing=layer is None,
        )
        seeds = [image_seed(seed, index) for index in range(request.images)]
        yield from self._paint(self._prepare(model, source, plan), seeds)

    def _source(self, layer: Pixels | None, selection: Pixels | None, x: int, y: int) -> Source:
        request = self.request
        if layer is not None:
            source = Source.of(layer, selection, x, y).with_mode(request.mode)
            return source.fitted(self._box()) if request.fit else source
        return Source.blank(self._box()).with_mode("txt2img")

    def _box(self) -> Extent:
        if self.request.box:
            return self.request.box
        native = self.model().info.native
        return Extent(native, native)

    def _keep(self, source: Source, seed: int) -> Iterator[Picture]:
        """Give the layer back as it is, without the model (promise 1)."""
        request = self.request
        if request.strength == 0:
            notes = ("strength 0 keeps the picture as it is; the model was not run",)
        elif source.mode == "inpaint":
            notes = ("nothing is erased inside the selection, so nothing may change",)
        else:
            notes = ("nothing is selected, so nothing may change",)
        for index in range(request.images):
            composed = unchanged(source, request.result)
            recipe = make_recipe(request, source, composed, image_seed(seed, index), notes)
            yield self._picture(composed, recipe)

    def _prepare(self, model: Model, source: Source, plan: Plan) -> _Work:
        request, cell = self.request, model.info.cell
        with self.clock.phase("prepare"):
            prepared = prepare(source, plan, request.fill)
            cells = Extent(plan.work_size.width // cell, plan.work_size.height // cell)
            change = max_cells(source.change_in(plan.area), plan.content, cell, cells)
            pure = plan.strength * change >= 1
        with self.clock.phase("encode"):
            self.progress(Progress("Encoding"))
            self._check_cancelled()
            prompt = model.encode_prompt(
                request.prompt, request.negative_prompt, guided=request.guidance_scale > 1
            )
            shape = (1, model.channels, cells.height, cells.width)
            clean = (
                torch.zeros(shape, dtype=model.dtype, device=model.device)
                if pure.all()
                else model.encode(prepared.image)
            )
        return _Work(
            model=model,
            source=source,
            plan=plan,
            prompt=prompt,
            clean=clean,
            steps=cell_steps(change, plan.steps, plan.most_change),
            pure=pure,
            notes=(*plan.notes, *prepared.notes, *model.prompt_notes(request.prompt)),
        )

    def _paint(self, work: _Work, seeds: list[int]) -> Iterator[Picture]:
        size = batch_size(
            len(seeds),
            work.plan.work_size,
            work.model.info.native,
            parallel=work.model.device.type != "cpu",
        )
        done = 0
        while done < len(seeds):
            batch = seeds[done : done + size]
            try:
                latents = self._denoise(work, batch, done + 1)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
                torch.cuda.empty_cache()
                size = len(batch) // 2  # fewer at once are the same pictures
                continue
            for one, seed in zip(latents, batch, strict=True):
                yield self._finish(work, one, seed)
            done += len(batch)

    def _denoise(self, work: _Work, seeds: list[int], image: int) -> torch.Tensor:
        with self.clock.phase("denoise"):
            model, steps = work.model, work.plan.steps
            drawn = [draw_noise(seed, tuple(work.clean.shape[1:])) for seed in seeds]
            guide = Guide(
                sampler=Sampler.make(
                    choose_sampler(self.request.sampler), model.scheduler_config, steps.schedule
                ),
                plan=steps,
                clean=work.clean,
                noise=torch.cat([noise for noise, _ in drawn]).to(model.device),
                steps=work.steps,
                pure=work.pure,
                on_step=functools.partial(self._on_step, image, len(seeds)),
                cancelled=self.cancelled,
            )
            guide.on_step(0, steps.run)
            return denoise(
                model.pipeline,
                guide,
                {name: one.repeat_interleave(len(seeds), 0) for name, one in work.prompt.items()},
                self.request.guidance_scale,
                [generator for _, generator in drawn],
            )

    def _finish(self, work: _Work, latents: torch.Tensor, seed: int) -> Picture:
        plan = work.plan
        with self.clock.phase("decode"):
            self.progress(Progress("Decoding"))
            self._check_cancelled()
            painted = work.model.decode(latents)
        with self.clock.phase("composite"):
            painted = painted[: plan.content.height, : plan.content.width]
            composed = compose(work.source, plan.area, painted, self.request.result)
        notes = (*work.notes, *composed.notes)
        recipe = make_recipe(self.request, work.source, composed, seed, notes, work.model, plan)
        return self._picture(composed, recipe)

    def _on_step(self, image: int, together: int, step: int, steps: int) -> None:
        images = self.request.images
        self.progress(Progress("Denoising", step, steps, image, images, together))

    def _check_cancelled(self) -> None:
        if self.cancelled():
            raise CancelledError("cancelled")

    def _picture(self, composed: Composed, recipe: Recipe) -> Picture:
        return Picture(
            composed.pixels, composed.box, composed.kind, recipe, dict(self.clock.seconds)
        )
