"""Prepare the areas of a layer: all that painting them needs, encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from underpaint_client.descriptions import describe_purpose
from underpaint_client.geometry import Extent
from underpaint_client.sentences import Sentence

from .context import as_model_sees, hash_context
from .control_pictures import idle_notes, take_controls
from .controlnets import Control
from .denoise import cell_steps, level_notes
from .ip_adapters import Reference
from .model import Model
from .painter import Painter
from .pixels import Floats, Mask, Pixels, hash_input
from .plan import Plan
from .pooling import max_cells
from .prepare import prepare, prepare_kept, prepare_shown
from .reference_pictures import ReferencePicture
from .region_masks import share_cells
from .reports import Progress
from .shown_pictures import ShownPicture, describe_shown
from .source import Source
from .work import Work


@dataclass(frozen=True)
class Preparation:
    """Prepares the areas of a layer, of which there may be another one for each image of a chain.

    Parameters
    ----------
    painter : Painter
        What will paint them.
    model : Model
    rasters : mapping of str to Pixels
        Further rasters of the request, by name.
    references : tuple of Reference
        What the model's IP-Adapters read.
    shown : tuple of ShownPicture
        What the model itself sees beside the layer.
    """

    painter: Painter
    model: Model
    rasters: Mapping[str, Pixels]
    references: tuple[Reference, ...]
    shown: tuple[ShownPicture, ...]

    def works(self, source: Source, plans: Sequence[Plan]) -> list[Work]:
        """Prepare each area of a layer."""
        runs = [plan.steps.run for plan in plans]
        return [
            replace(
                self._prepare(source, plan),
                steps_before=sum(runs[:index]),
                steps_of_all=sum(runs),
            )
            for index, plan in enumerate(plans)
        ]

    def _prepare(self, source: Source, plan: Plan) -> Work:
        wanted, model, rasters, shown = self.painter.wanted, self.model, self.rasters, self.shown
        request, cell = wanted.request, model.info.cell
        with wanted.clock.phase("prepare"):
            seen = as_model_sees(source, plan.area)
            prepared = prepare(seen, plan, request.source.fill)
            cells = Extent(plan.work_size.width // cell, plan.work_size.height // cell)
            change = max_cells(source.change_in(plan.area), plan.content, cell, cells)
            pure = plan.strength * change >= 1
            controls = take_controls(wanted.controls, rasters, source.box, plan, model.device)
            regions = request.conditioning.regions
            shares = share_cells(regions, rasters, source.box, plan, cell) if regions else None
        with wanted.clock.phase("encode"):
            wanted.observer.progress(Progress("Encoding", pixels=plan.work_size.pixels))
            wanted.observer.check_cancelled()
            shape = (1, model.channels, cells.height, cells.width)
            clean = (
                torch.zeros(shape, dtype=model.dtype, device=model.device)
                if pure.all()
                else self.painter.fitting(model, plan).run(
                    "encode", lambda: model.encode(prepared.image)
                )
            )
            steps = cell_steps(change, plan.steps, plan.most_change)
            kept = self._show_kept(seen, plan, steps > 0)
        image = prepared.image
        if source.edits:
            whole = prepare_shown(seen, plan, request.source.fill)
            shown = (show_picture(self.painter, model, plan, whole), *shown)
            image = np.concatenate([image, whole])
        return Work(
            model=model,
            source=replace(source, left_out=plan.left_out),
            seen=seen,
            plan=plan,
            source_hash=hash_input(image, change),
            context_hash=hash_context(source, plan.area),
            clean=clean,
            steps=steps,
            pure=pure,
            kept=kept,
            notes=(
                *plan.notes,
                *prepared.notes,
                *source.space.notes,
                *level_notes(steps, plan.steps, model.info.recommended),
                *(() if source.edits else describe_purpose(model.info.purpose)),
                *describe_shown(shown),
                *self._idle_notes(plan, controls, cells),
            ),
            controls=controls,
            references=self.references,
            pictures=shown,
            regions=shares,
        )

    def _idle_notes(
        self, plan: Plan, controls: Sequence[Control], cells: Extent
    ) -> tuple[Sentence, ...]:
        if not controls:
            return ()
        name = self.painter.wanted.settled_request.sampling.sampler
        sampler = self.model.make_sampler(name, plan.steps, cells)
        return idle_notes(controls, sampler.calls(plan.steps.run))

    def _show_kept(self, source: Source, plan: Plan, changing_cells: Mask) -> torch.Tensor | None:
        """Encode what an inpainting model is shown; None for a model that sees noise alone."""
        model = self.model
        if not model.sees_kept:
            return None
        of_pixels = cell_steps(source.change_in(plan.area), plan.steps, plan.most_change)
        image = prepare_kept(
            source,
            plan,
            self.painter.wanted.request.source.fill,
            of_pixels > 0,
            changing_cells,
            model.info.cell,
        )
        return self.painter.fitting(model, plan).run(
            "encode", lambda: model.show_kept(image, changing_cells)
        )


def show_picture(
    painter: Painter,
    model: Model,
    plan: Plan,
    colour: Floats,
    reference: ReferencePicture | None = None,
) -> ShownPicture:
    """Encode a picture that the model is shown beside the noisy latents."""
    with painter.wanted.clock.phase("encode"):
        painter.observer.check_cancelled()
        fitting = painter.fitting(model, plan)
        latents = fitting.run("encode", lambda: model.encode(colour))
    return ShownPicture(colour, latents, reference)
