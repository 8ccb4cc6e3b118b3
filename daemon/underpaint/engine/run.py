"""One request, the whole way: plan, prepare, denoise, composite."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from underpaint_client.geometry import Box, Extent
from underpaint_client.recipe import Recipe, UsedRegion
from underpaint_client.recommended import Recommended, settle_request
from underpaint_client.regions import call_region

from .areas import plan_areas
from .clock import PhaseClock
from .colour import read_space
from .composite import Composed, Painted, compose, unchanged
from .inputs import Inputs
from .memory import saving_notes
from .model import Model
from .painter import Painter
from .pixels import Floats, Pixels, join_hashes
from .plan import Plan
from .preparation import Preparation, show_picture
from .recipe import Made, make_recipe
from .reference_pictures import ReferencePicture, take_references
from .region_masks import join_masks, unused_notes
from .reports import Picture
from .resolved_request import ResolvedRequest
from .shown_pictures import (
    ShownPicture,
    check_editable,
    check_pictures,
    fit_picture,
    shown_share,
)
from .source import Source
from .work import Work


@dataclass(frozen=True)
class Run:
    """One request on its way through the engine.

    Parameters
    ----------
    wanted : ResolvedRequest
        What to make.
    """

    wanted: ResolvedRequest

    @functools.cached_property
    def painter(self) -> Painter:
        """What paints the images."""
        return Painter(self.wanted)

    @property
    def clock(self) -> PhaseClock:
        """Seconds by phase."""
        return self.wanted.clock

    def size(self, layer: Pixels | None) -> Extent:
        """Return the size of the picture that is worked on."""
        return self._box() if layer is None else Extent(layer.shape[1], layer.shape[0])

    def pictures(self, inputs: Inputs) -> Iterator[Picture]:
        """Yield the images of the request as they are finished, as `Engine.generate` does."""
        request, layer = self.wanted.request, inputs.layer
        with self.clock.phase("prepare"):
            source = self._source(inputs)
            keeps = layer is not None and request.sampling.strength == 0
            change = Box(0, 0, 0, 0) if keeps else source.change_box()
        if layer is not None and change.empty:
            yield from self._keep(source)
            return
        taken = take_references(request.conditioning.references, inputs.rasters)
        check_pictures(self.wanted.info, self.wanted.prompts, taken, edits=source.edits)
        model = self.wanted.model
        model.prompts.find_embeddings(text for one in self.wanted.prompts for text in one.texts)
        model.prompts_mixed = 1 + len(request.conditioning.regions) * model.family.mixes_prompts
        plans = self._plans(model, source, change, from_nothing=layer is None)
        largest = max(plans, key=lambda plan: plan.work_size.pixels)
        fitting = self.painter.fitting(model, largest)
        planned = self.painter.planned(model, largest)
        fitting.run("load", lambda: model.load_controlnets(self.wanted.controls))
        model.shown_share = shown_share(model.info, taken, largest.work_size, edits=source.edits)
        fitting.run("load", lambda: model.load_ip_adapters(self.wanted.references))
        fitting.run("load", lambda: model.save(fitting.choose(planned)))
        fitting.run("load", lambda: self.wanted.used_loras)  # one that does not fit is told of here
        with self.clock.phase("encode"):
            references = model.read_references(self.wanted.references, taken)
        shown = self._show_references(model, largest, taken)
        prepare = Preparation(self.painter, model, inputs.rasters, references, shown).works
        if request.variation.chain:
            yield from self._chain(model, source, plans, prepare)
        else:
            yield from self._paint(prepare(source, plans))

    def _show_references(
        self, model: Model, plan: Plan, taken: Sequence[ReferencePicture]
    ) -> tuple[ShownPicture, ...]:
        """Return the reference layers that the model itself sees, encoded."""
        if not model.info.recommended.pictures:
            return ()
        return tuple(
            show_picture(self.painter, model, plan, fit_picture(one.colour, model.info.native), one)
            for one in taken
        )

    def _plans(
        self, model: Model, source: Source, change: Box, *, from_nothing: bool
    ) -> tuple[Plan, ...]:
        with self.clock.phase("prepare"):
            return plan_areas(
                self.wanted.settled_request,
                source,
                change,
                model.info.native,
                model.info.train_steps,
                multiple=model.info.multiple,
                from_nothing=from_nothing,
                exact=model.starts_exactly,
            )

    def _source(self, inputs: Inputs) -> Source:
        request, layer = self.wanted.request, inputs.visible_layer
        check_editable(request, inputs)
        if layer is not None:
            source = Source.of(
                layer,
                inputs.selection,
                inputs.x,
                inputs.y,
                context=inputs.rasters.get("context"),
                space=read_space(inputs.profile),
            ).with_mode(request.mode, edits=self._recommended().edits)
            return source.fitted(self._box()) if request.size.fit else source
        return Source.blank(self._box()).with_mode("txt2img")

    def _recommended(self) -> Recommended:
        """Return what suits the model, which may be missing."""
        name, allow_paths = self.wanted.request.sampling.model, self.wanted.allow_paths
        return self.wanted.models.recommended(name, allow_paths=allow_paths)

    def _box(self) -> Extent:
        if self.wanted.request.size.box:
            return self.wanted.request.size.box
        native = self.wanted.model.info.native
        return Extent(native, native)

    def _keep(self, source: Source) -> Iterator[Picture]:
        """Return the layer back as it is, without the model (promise 1)."""
        request = settle_request(self.wanted.request, self._recommended())
        if request.sampling.strength == 0:
            notes = ("strength 0 keeps the picture as it is; the model was not run",)
        elif source.mode == "inpaint":
            notes = ("nothing is erased inside the selection, so nothing may change",)
        else:
            notes = ("nothing is selected, so nothing may change",)
        for index in range(request.sampling.images):
            self.wanted.observer.check_cancelled()
            composed = unchanged(source, request.output.result)
            made = Made(index, self.wanted.prompts[index])
            yield self._picture(composed, make_recipe(request, source, composed, made, notes))

    def _paint(self, works: Sequence[Work]) -> Iterator[Picture]:
        rest = range(self.wanted.request.sampling.images)
        source_hash = join_hashes(work.source_hash for work in works)
        while rest:
            first = self.painter.denoise_first(works[0], rest)
            images = rest[: len(first)]
            areas = [first, *(self.painter.denoise_all(work, images) for work in works[1:])]
            for index, latents in zip(images, zip(*areas, strict=True), strict=True):
                done = [self.painter.decode(*one) for one in zip(works, latents, strict=True)]
                yield self._finish(works, done, index, source_hash)
            rest = rest[len(images) :]

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
        for index in range(self.wanted.request.sampling.images):
            if not works or plans[0].steps.run:  # at strength 0 there is no more to come
                again = prepare(given, plans)
                source_hash = source_hash or join_hashes(work.source_hash for work in again)
                works = [
                    replace(work, source=replace(source, left_out=work.plan.left_out))
                    for work in again
                ]
                this = range(index, index + 1)
                done = [
                    self.painter.decode(one, self.painter.denoise_first(one, this)[0])
                    for one in works
                ]
            yield self._finish(works, done, index, source_hash)
            pixels = compose(_all_painted(works, done, given), "layer").pixels
            given = given.repainted(pixels, [work.plan.area for work in works])
            if given.mode == "txt2img":  # from nothing at first, then from what came
                given = given.with_mode("img2img")
                plans = self._plans(model, given, given.change_box(), from_nothing=False)

    def _clip_skip_notes(self) -> tuple[str, ...]:
        asked = self.wanted.request.sampling.clip_skip
        if asked is None or self.wanted.settled_request.sampling.clip_skip is not None:
            return ()
        return ("this model has no clip skip; it was not used",)

    def _finish(
        self, works: Sequence[Work], done: Sequence[Floats], index: int, source_hash: str
    ) -> Picture:
        work = max(works, key=lambda one: one.plan.work_size.pixels)
        with self.clock.phase("composite"):
            composed = compose(_all_painted(works, done), self.wanted.request.output.result)
        prompt = self.wanted.prompts[index]
        loras = tuple(self.wanted.used_loras[one] for one in self.wanted.loras[index])
        named = work.model.prompts.embeddings_in(*prompt.texts)
        controls = tuple(
            replace(same[0].describe(), picture_hash=join_hashes(one.picture_hash for one in same))
            for same in zip(*(one.controls for one in works), strict=True)
        )
        regions = self.wanted.request.conditioning.regions
        masks = join_masks([one.regions for one in works if one.regions is not None])
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
            (
                *(one.describe() for one in work.references),
                *filter(None, (one.describe() for one in work.pictures)),
            ),
            tuple(UsedRegion(regions[n].name, prompt.regions[n], masks[n]) for n in masks),
        )
        saved = saving_notes(
            work.model.saving,
            work.plan.work_size,
            planned=self.painter.planned(work.model, work.plan),
            encoded=any(one.kept is not None or not one.pure.all() for one in works),
            exact=work.model.placed.has_exact_weights,
        )
        read = work.read_prompt(prompt)
        of_prompt = work.model.prompts.notes(
            read.positive,
            read.negative,
            guided=work.model.guided(self.wanted.guidance_scale),
            regions=[(call_region(n, regions[n]), read.regions[n]) for n in masks],
        )
        notes = (
            *dict.fromkeys(note for one in works for note in one.notes),
            *work.model.notes,
            *self._clip_skip_notes(),
            *unused_notes(regions, masks),
            *of_prompt,
            *composed.notes,
            *saved,
        )
        known = self.wanted.models.experience(work.model.info)
        known.painted = max(known.painted, work.plan.work_size, key=lambda size: size.pixels)
        known.keep()
        recipe = make_recipe(self.wanted.settled_request, work.source, composed, made, notes)
        return self._picture(composed, recipe)

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
