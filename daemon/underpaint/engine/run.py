"""One request, the whole way: plan, prepare, denoise, composite."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from underpaint.models import ModelInfo, describe_model, find_model
from underpaint.models.controlnet_list import ChosenControl, choose_controls
from underpaint.models.ip_adapter_list import ChosenReference, choose_references
from underpaint.models.lora_choice import ChosenLora, choose_loras, named_loras
from underpaint_client.descriptions import describe_purpose
from underpaint_client.errors import CancelledError
from underpaint_client.geometry import Box, Extent
from underpaint_client.parameters import settled
from underpaint_client.recipe import Recipe, UsedLora
from underpaint_client.recommended import settle_request
from underpaint_client.request import Request
from underpaint_client.seeds import ImagePrompt, image_noise

from .areas import plan_areas
from .blending import match_surroundings
from .clock import PhaseClock
from .composite import Composed, Painted, compose, unchanged
from .context import hash_context, lay_over_context
from .control_pictures import take_controls
from .denoise import Guide, OnClean, cell_steps, level_notes
from .families.family import Prompt
from .fitting import Fitting
from .inputs import Inputs
from .ip_adapters import Reference
from .memory import saving_notes
from .model import Model
from .noise import vary
from .plan import Plan, batch_size
from .pooling import max_cells
from .prepare import prepare, prepare_kept
from .recipe import Made, make_recipe
from .reference_pictures import take_references
from .reports import Picture, Preview, Progress, Viewer
from .source import Floats, Mask, Pixels, Source, hash_input, join_hashes, mean_opacity, quantize
from .work import Models, Work


@dataclass(frozen=True)
class Run:
    """One request on its way through the engine.

    Parameters
    ----------
    models : Models
        Where the model comes from.
    request : Request
        What to make, with its seeds drawn.
    prompts : tuple of ImagePrompt
        Of each image.
    progress : callable
        Called with how far it is.
    cancelled : callable
        Asked between calls of the model; where it returns True, the run ends.
    allow_paths : bool
        Whether models outside the model folders may be opened.
    viewer : Viewer, optional
        Is shown the images while they are painted.
    clock : PhaseClock
        Seconds by phase.
    """

    models: Models
    request: Request
    prompts: tuple[ImagePrompt, ...]
    progress: Callable[[Progress], None]
    cancelled: Callable[[], bool]
    allow_paths: bool
    viewer: Viewer | None = None
    clock: PhaseClock = field(default_factory=PhaseClock)

    @functools.cached_property
    def model(self) -> Model:
        """The model that the request names, loaded: to find it, the folders of models are read."""
        with self.clock.phase("load"):
            self.progress(Progress("Loading the model"))
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
        return choose_loras(wanted, self._info)

    @functools.cached_property
    def controls(self) -> tuple[ChosenControl, ...]:
        """The ControlNets of the control layers, found and looked at as LoRAs are."""
        wanted = self.request.conditioning.controls
        return choose_controls(wanted, self._info) if wanted else ()

    @functools.cached_property
    def references(self) -> tuple[ChosenReference, ...]:
        """The IP-Adapters of the reference layers, found and looked at as LoRAs are."""
        wanted = self.request.conditioning.references
        return choose_references(wanted, self._info) if wanted else ()

    @property
    def _info(self) -> ModelInfo:
        name = self.request.sampling.model
        return describe_model(find_model(name, allow_paths=self.allow_paths))

    @functools.cached_property
    def used_loras(self) -> dict[ChosenLora, UsedLora]:
        """What recipes say of each LoRA; all of them are loaded."""
        return self.model.load_loras(list(dict.fromkeys(itertools.chain(*self.loras))))

    @functools.cached_property
    def settled_request(self) -> Request:
        """The request, with what it leaves to the model as suits the model that is loaded."""
        settled = settle_request(self.request, self.model.info.recommended)
        return settled if self.model.family.has_clip_skip else settled.with_values(clip_skip=None)

    @property
    def guidance_scale(self) -> float:
        """The guidance scale that the model runs at."""
        return settled(self.settled_request.sampling.guidance_scale)

    def size(self, layer: Pixels | None) -> Extent:
        """Return the size of the picture that is worked on."""
        return self._box() if layer is None else Extent(layer.shape[1], layer.shape[0])

    def pictures(self, inputs: Inputs) -> Iterator[Picture]:
        """Yield the images of the request as they are finished, as `Engine.generate` does."""
        request, layer = self.request, inputs.layer
        with self.clock.phase("prepare"):
            source = self._source(inputs)
            keeps = layer is not None and request.sampling.strength == 0
            change = Box(0, 0, 0, 0) if keeps else source.change_box()
        if layer is not None and change.empty:
            yield from self._keep(source)
            return
        pictures = take_references(request.conditioning.references, inputs.rasters)
        model = self.model
        model.find_embeddings(text for one in self.prompts for text in (one.positive, one.negative))
        plans = self._plans(model, source, change, from_nothing=layer is None)
        largest = max(plans, key=lambda plan: plan.work_size.pixels)
        fitting = self._fitting(model, largest)
        planned = self._planned(model, largest)
        fitting.run("load", lambda: model.load_controlnets(self.controls))
        fitting.run("load", lambda: model.load_ip_adapters(self.references))
        fitting.run("load", lambda: model.save(fitting.choose(planned)))
        fitting.run("load", lambda: self.used_loras)  # one that does not fit is told of here
        with self.clock.phase("encode"):
            references = model.read_references(self.references, pictures)
        prepare = functools.partial(
            self._works, model, rasters=inputs.rasters, references=references
        )
        if request.variation.chain:
            yield from self._chain(model, source, plans, prepare)
        else:
            yield from self._paint(prepare(source, plans))

    def _fitting(self, model: Model, plan: Plan) -> Fitting:
        return Fitting(model, self.models.experience(model.info), plan.work_size)

    def _plans(
        self, model: Model, source: Source, change: Box, *, from_nothing: bool
    ) -> tuple[Plan, ...]:
        with self.clock.phase("prepare"):
            return plan_areas(
                self.settled_request,
                source,
                change,
                model.info.native,
                model.info.train_steps,
                from_nothing=from_nothing,
                exact=model.starts_exactly,
            )

    def _source(self, inputs: Inputs) -> Source:
        request, layer = self.request, inputs.visible_layer
        if layer is not None:
            source = Source.of(
                layer,
                inputs.selection,
                inputs.x,
                inputs.y,
                context=inputs.rasters.get("context"),
            ).with_mode(request.mode)
            return source.fitted(self._box()) if request.size.fit else source
        return Source.blank(self._box()).with_mode("txt2img")

    def _box(self) -> Extent:
        if self.request.size.box:
            return self.request.size.box
        native = self.model.info.native
        return Extent(native, native)

    def _keep(self, source: Source) -> Iterator[Picture]:
        """Return the layer back as it is, without the model (promise 1)."""
        name, allow_paths = self.request.sampling.model, self.allow_paths
        suits = self.models.recommended(name, allow_paths=allow_paths)
        request = settle_request(self.request, suits)
        if request.sampling.strength == 0:
            notes = ("strength 0 keeps the picture as it is; the model was not run",)
        elif source.mode == "inpaint":
            notes = ("nothing is erased inside the selection, so nothing may change",)
        else:
            notes = ("nothing is selected, so nothing may change",)
        for index in range(request.sampling.images):
            self._check_cancelled()
            composed = unchanged(source, request.output.result)
            made = Made(index, self.prompts[index])
            yield self._picture(composed, make_recipe(request, source, composed, made, notes))

    def _works(
        self,
        model: Model,
        source: Source,
        plans: Sequence[Plan],
        *,
        rasters: Mapping[str, Pixels],
        references: tuple[Reference, ...],
    ) -> list[Work]:
        """Prepare each area."""
        runs = [plan.steps.run for plan in plans]
        return [
            replace(
                self._prepare(model, source, plan, rasters=rasters, references=references),
                steps_before=sum(runs[:index]),
                steps_of_all=sum(runs),
            )
            for index, plan in enumerate(plans)
        ]

    def _prepare(
        self,
        model: Model,
        source: Source,
        plan: Plan,
        *,
        rasters: Mapping[str, Pixels],
        references: tuple[Reference, ...],
    ) -> Work:
        request, cell = self.request, model.info.cell
        with self.clock.phase("prepare"):
            seen = lay_over_context(source, plan.area)
            prepared = prepare(seen, plan, request.source.fill)
            cells = Extent(plan.work_size.width // cell, plan.work_size.height // cell)
            change = max_cells(source.change_in(plan.area), plan.content, cell, cells)
            pure = plan.strength * change >= 1
            controls = take_controls(self.controls, rasters, source.box, plan, model.device)
        with self.clock.phase("encode"):
            self.progress(Progress("Encoding", pixels=plan.work_size.pixels))
            self._check_cancelled()
            shape = (1, model.channels, cells.height, cells.width)
            clean = (
                torch.zeros(shape, dtype=model.dtype, device=model.device)
                if pure.all()
                else self._fitting(model, plan).run("encode", lambda: model.encode(prepared.image))
            )
            steps = cell_steps(change, plan.steps, plan.most_change)
            kept = self._show_kept(model, seen, plan, steps > 0)
        return Work(
            model=model,
            source=replace(source, left_out=plan.left_out),
            seen=seen,
            plan=plan,
            source_hash=hash_input(prepared.image, change),
            context_hash=hash_context(source, plan.area),
            clean=clean,
            steps=steps,
            pure=pure,
            kept=kept,
            notes=(
                *plan.notes,
                *prepared.notes,
                *level_notes(steps, plan.steps, model.info.recommended),
                *describe_purpose(model.info.purpose),
            ),
            controls=controls,
            references=references,
        )

    def _show_kept(
        self, model: Model, source: Source, plan: Plan, changing_cells: Mask
    ) -> torch.Tensor | None:
        """Encode what an inpainting model is shown; None for a model that sees noise alone."""
        if not model.sees_kept:
            return None
        of_pixels = cell_steps(source.change_in(plan.area), plan.steps, plan.most_change)
        image = prepare_kept(
            source, plan, self.request.source.fill, of_pixels > 0, changing_cells, model.info.cell
        )
        return self._fitting(model, plan).run(
            "encode", lambda: model.show_kept(image, changing_cells)
        )

    def _paint(self, works: Sequence[Work]) -> Iterator[Picture]:
        rest = range(self.request.sampling.images)
        source_hash = join_hashes(work.source_hash for work in works)
        while rest:
            first = self._denoise_first(works[0], rest)
            images = rest[: len(first)]
            areas = [first, *(self._denoise_all(work, images) for work in works[1:])]
            for index, latents in zip(images, zip(*areas, strict=True), strict=True):
                done = [self._painted(*one) for one in zip(works, latents, strict=True)]
                yield self._finish(works, done, index, source_hash)
            rest = rest[len(images) :]

    def _denoise_all(self, work: Work, images: range) -> list[torch.Tensor]:
        """Paint an area of these images, in as many runs as it takes."""
        latents: list[torch.Tensor] = []
        while len(latents) < len(images):
            latents.extend(self._denoise_first(work, images[len(latents) :]))
        return latents

    def _planned(self, model: Model, plan: Plan) -> int:
        """Return how many images would run at once, were there memory."""
        return batch_size(
            1 if self.request.variation.chain else self.request.sampling.images,
            plan.work_size,
            model.info.native,
            parallel=model.device.type != "cpu",
        )

    def _denoise_first(self, work: Work, rest: range) -> torch.Tensor:
        """Paint the first of these images, as many as run at once."""

        def batch() -> range:
            planned = self._planned(work.model, work.plan)
            first = rest[: min(planned, work.model.saving.together or planned)]
            same = itertools.takewhile(lambda i: self.loras[i] == self.loras[rest[0]], first)
            return first[: len(list(same))]

        return self._fitting(work.model, work.plan).run(
            "denoise",
            lambda: self._denoise(work, batch()),
            lambda: len(batch()),
        )

    def _chain(
        self,
        model: Model,
        source: Source,
        plans: Sequence[Plan],
        prepare: Callable[[Source, Sequence[Plan]], list[Work]],
    ) -> Iterator[Picture]:
        """Paint over the last image again and again; what is kept comes from the layer itself."""
        given, source_hash = source, ""
        works: list[Work] = []
        done: list[Floats] = []
        for index in range(self.request.sampling.images):
            if not works or plans[0].steps.run:  # at strength 0 there is no more to come
                again = prepare(given, plans)
                source_hash = source_hash or join_hashes(work.source_hash for work in again)
                works = [
                    replace(work, source=replace(source, left_out=work.plan.left_out))
                    for work in again
                ]
                this = range(index, index + 1)
                done = [self._painted(one, self._denoise_first(one, this)[0]) for one in works]
            yield self._finish(works, done, index, source_hash)
            pixels = compose(_all_painted(works, done, given), "layer").pixels
            given = given.repainted(pixels, [work.plan.area for work in works])
            if given.mode == "txt2img":  # from nothing at first, then from what came
                given = given.with_mode("img2img")
                plans = self._plans(model, given, given.change_box(), from_nothing=False)

    def _denoise(self, work: Work, images: range) -> torch.Tensor:
        with work.model.using(self.loras[images.start]):
            return self._denoise_with_loras(work, images)

    def _denoise_with_loras(self, work: Work, images: range) -> torch.Tensor:
        model, steps = work.model, work.plan.steps
        prompt = self._encode_prompts(work, images)
        with self.clock.phase("denoise"):
            shape = tuple(work.clean.shape[1:])
            drawn = [vary(*image_noise(self.request, index), shape) for index in images]
            guide = Guide(
                sampler=model.make_sampler(
                    self.settled_request.sampling.sampler, steps, Extent(shape[-1], shape[-2])
                ),
                plan=steps,
                clean=work.clean,
                noise=torch.cat([noise for noise, _ in drawn]).to(model.device),
                steps=work.steps,
                pure=work.pure,
                on_step=functools.partial(self._on_step, work, images),
                cancelled=self.cancelled,
                kept=work.kept,
                on_clean=self._preview_maker(work, images.start + 1),
            )
            guide.on_step(0, steps.run)
            return model.denoise(
                guide,
                prompt,
                self.guidance_scale,
                [generator for _, generator in drawn],
                work.controls,
                work.references,
            )

    def _preview_maker(self, work: Work, image: int) -> OnClean | None:
        """Return what is called with the latents of every step, and shows some of them."""
        viewer, plan = self.viewer, work.plan
        if viewer is None:
            return None
        cell, content = work.model.info.cell, plan.content
        height, width = -(-content.height // cell), -(-content.width // cell)
        shown = mean_opacity(
            work.source.change_in(plan.area), content if viewer.full else Extent(width, height)
        )
        due = time.monotonic() + viewer.every

        def look(clean: torch.Tensor, step: int) -> None:
            nonlocal due
            if time.monotonic() < due:
                return
            with self.clock.phase("preview"):
                for number, one in enumerate(clean if viewer.full else clean[:1]):
                    if viewer.full:
                        painted = self._fitted_decode(work, one)
                        colour = painted[: content.height, : content.width]
                    else:
                        colour = work.model.sketch(one)[:height, :width]
                    pixels = np.dstack([quantize(colour, np.dtype(np.uint8)), shown])
                    steps = work.steps_before + step, work.steps_of_all
                    viewer.show(Preview(image + number, *steps, pixels, plan.area))
            due = time.monotonic() + viewer.every

        return look

    def _encode_prompts(self, work: Work, images: range) -> Prompt:
        """Encode what each image is to show, each prompt once."""
        model = work.model

        def encode(index: int) -> Prompt:
            prompt = self.prompts[index]
            return model.encode_prompt(
                prompt.positive,
                prompt.negative,
                guided=model.guided(self.guidance_scale),
                clip_skip=self.settled_request.sampling.clip_skip,
            )

        with self.clock.phase("encode"):
            found = [
                self._fitting(model, work.plan).run("prompt", functools.partial(encode, index))
                for index in images
            ]
            return model.family.join_prompts(found)

    def _clip_skip_notes(self) -> tuple[str, ...]:
        asked = self.request.sampling.clip_skip
        if asked is None or self.settled_request.sampling.clip_skip is not None:
            return ()
        return ("this model has no clip skip; it was not used",)

    def _painted(self, work: Work, latents: torch.Tensor) -> Floats:
        """Return what the model painted of the work area, matched to what is kept around it."""
        painted = self._decode(work, latents)
        if self.request.output.blend == "none":
            return painted
        with self.clock.phase("composite"):
            cell = work.model.info.cell
            return match_surroundings(work.seen, work.plan.area, painted, cell)

    def _decode(self, work: Work, latents: torch.Tensor) -> Floats:
        with self.clock.phase("decode"):
            self.progress(Progress("Decoding", pixels=work.plan.work_size.pixels))
            self._check_cancelled()
            content = work.plan.content
            return self._fitted_decode(work, latents)[: content.height, : content.width]

    def _fitted_decode(self, work: Work, latents: torch.Tensor) -> Floats:
        return self._fitting(work.model, work.plan).run(
            "decode", lambda: work.model.decode(latents)
        )

    def _finish(
        self, works: Sequence[Work], done: Sequence[Floats], index: int, source_hash: str
    ) -> Picture:
        work = max(works, key=lambda one: one.plan.work_size.pixels)
        with self.clock.phase("composite"):
            composed = compose(_all_painted(works, done), self.request.output.result)
        prompt = self.prompts[index]
        loras = tuple(self.used_loras[one] for one in self.loras[index])
        named = work.model.embeddings_in(prompt.positive, prompt.negative)
        controls = tuple(one.describe() for one in work.controls)
        made = Made(
            index,
            prompt,
            work.model,
            tuple(one.plan for one in works),
            source_hash,
            join_hashes(one.context_hash for one in works),
            loras,
            controls,
            named,
            tuple(one.describe() for one in work.references),
        )
        saved = saving_notes(
            work.model.saving,
            work.plan.work_size,
            planned=self._planned(work.model, work.plan),
            encoded=any(one.kept is not None or not one.pure.all() for one in works),
            exact=work.model.has_exact_weights,
        )
        of_prompt = work.model.prompt_notes(
            prompt.positive,
            prompt.negative,
            guided=work.model.guided(self.guidance_scale),
        )
        notes = (
            *dict.fromkeys(note for one in works for note in one.notes),
            *work.model.notes,
            *self._clip_skip_notes(),
            *of_prompt,
            *composed.notes,
            *saved,
        )
        known = self.models.experience(work.model.info)
        known.painted = max(known.painted, work.plan.work_size, key=lambda size: size.pixels)
        known.keep()
        recipe = make_recipe(self.settled_request, work.source, composed, made, notes)
        return self._picture(composed, recipe)

    def _on_step(self, work: Work, together: range, step: int, _steps: int) -> None:
        self.progress(
            Progress(
                "Denoising",
                work.steps_before + step,
                work.steps_of_all,
                together.start + 1,
                self.request.sampling.images,
                len(together),
                work.plan.work_size.pixels,
            )
        )

    def _check_cancelled(self) -> None:
        if self.cancelled():
            raise CancelledError("cancelled")

    def _picture(self, composed: Composed, recipe: Recipe) -> Picture:
        return Picture(
            composed.pixels, composed.box, composed.kind, recipe, dict(self.clock.seconds)
        )


def _all_painted(
    works: Sequence[Work], done: Sequence[Floats], given: Source | None = None
) -> list[Painted]:
    """Return what was painted of each area, over the layer or over what came of it since."""
    return [
        Painted(replace(given or work.source, left_out=work.plan.left_out), work.plan.area, colours)
        for work, colours in zip(works, done, strict=True)
    ]
