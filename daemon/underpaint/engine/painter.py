"""Paint images: the model's part of a run, from noise to colours."""

from __future__ import annotations

import functools
import itertools
import time
from dataclasses import dataclass

import numpy as np
import torch

from underpaint_client.geometry import Extent
from underpaint_client.seeds import image_noise

from .blending import match_surroundings
from .composite import split_alpha
from .denoise import Guide, OnClean
from .families.family import Prompt
from .fitting import Fitting
from .model import Model
from .noise import vary
from .pixels import Floats, fraction, mean_opacity, quantize
from .plan import Plan, batch_size
from .regions import Part, divide
from .reports import Observer, Preview, Progress
from .resolved_request import ResolvedRequest
from .work import Work


@dataclass(frozen=True)
class Painter:
    """Paints the images of a request, each stage within the memory of the device.

    Parameters
    ----------
    wanted : ResolvedRequest
        What to paint.
    """

    wanted: ResolvedRequest

    @property
    def observer(self) -> Observer:
        """Who is told how far it is."""
        return self.wanted.observer

    def fitting(self, model: Model, plan: Plan) -> Fitting:
        """Return what runs a stage of a plan, and saves memory where it is short."""
        return Fitting(model, self.wanted.models.experience(model.info), plan.work_size)

    def planned(self, model: Model, plan: Plan) -> int:
        """Return how many images would run at once, were there memory."""
        request = self.wanted.request
        images = 1 if request.variation.chain else request.sampling.images
        rows = batch_size(
            images * model.prompts_mixed,
            plan.work_size,
            model.info.native,
            parallel=model.device.type != "cpu",
        )
        return max(1, rows // model.prompts_mixed)

    def denoise_first(self, work: Work, rest: range) -> torch.Tensor:
        """Paint the first of these images, as many as run at once."""
        wanted = self.wanted

        def goes_along(index: int) -> bool:
            same_loras = wanted.loras[index] == wanted.loras[rest[0]]
            same_prompt = wanted.prompts[index] == wanted.prompts[rest[0]]
            return same_loras and (same_prompt or work.model.family.joins_prompts)

        def batch() -> range:
            planned = self.planned(work.model, work.plan)
            first = rest[: min(planned, work.model.saving.together or planned)]
            return first[: len(list(itertools.takewhile(goes_along, first)))]

        return self.fitting(work.model, work.plan).run(
            "denoise",
            lambda: self._denoise(work, batch()),
            lambda: len(batch()),
        )

    def denoise_all(self, work: Work, images: range) -> list[torch.Tensor]:
        """Paint an area of these images, in as many runs as it takes."""
        latents: list[torch.Tensor] = []
        while len(latents) < len(images):
            latents.extend(self.denoise_first(work, images[len(latents) :]))
        return latents

    def decode(self, work: Work, latents: torch.Tensor) -> Floats:
        """Return what the model painted of the work area, matched to what is kept around it."""
        painted = self._decode_content(work, latents)
        if self.wanted.request.output.blend == "none":
            return painted
        with self.wanted.clock.phase("composite"):
            cell = work.model.info.cell
            colour = match_surroundings(work.seen, work.plan.area, painted[..., :3], cell)
            return np.concatenate([colour, painted[..., 3:]], axis=-1)

    def _decode_content(self, work: Work, latents: torch.Tensor) -> Floats:
        with self.wanted.clock.phase("decode"):
            self.observer.progress(Progress("Decoding", pixels=work.plan.work_size.pixels))
            self.observer.check_cancelled()
            content = work.plan.content
            return self._fitted_decode(work, latents)[: content.height, : content.width]

    def _fitted_decode(self, work: Work, latents: torch.Tensor) -> Floats:
        """Decode a picture, (H, W, 3): with its own alpha where nothing is kept, (H, W, 4)."""
        fitting = self.fitting(work.model, work.plan)
        painted: Floats = fitting.run("decode", lambda: work.model.decode(latents))
        return painted if work.source.mode == "txt2img" else painted[..., :3]

    def _denoise(self, work: Work, images: range) -> torch.Tensor:
        with work.model.placed.using(self.wanted.loras[images.start]):
            return self._denoise_with_loras(work, images)

    def _denoise_with_loras(self, work: Work, images: range) -> torch.Tensor:
        model, steps = work.model, work.plan.steps
        parts = self._divide(work, images)
        prompts = [self._encode_prompts(work, part, images) for part in parts]
        with self.wanted.clock.phase("denoise"):
            shape = tuple(work.clean.shape[1:])
            drawn = [vary(*image_noise(self.wanted.request, index), shape) for index in images]
            guide = Guide(
                sampler=model.make_sampler(
                    self.wanted.settled_request.sampling.sampler,
                    steps,
                    Extent(shape[-1], shape[-2]),
                ),
                plan=steps,
                clean=work.clean,
                noise=torch.cat([noise for noise, _ in drawn]).to(model.device),
                steps=work.steps,
                pure=work.pure,
                on_step=functools.partial(self._on_step, work, images),
                cancelled=self.observer.cancelled,
                kept=work.kept,
                on_clean=self._preview_maker(work, images.start + 1),
            )
            guide.on_step(0, steps.run)
            return model.denoise(
                guide,
                prompts,
                self.wanted.guidance_scale,
                [generator for _, generator in drawn],
                work.controls,
                work.references,
                work.pictures,
                [part.share for part in parts],
            )

    def _preview_maker(self, work: Work, image: int) -> OnClean | None:
        """Return what is called with the latents of every step, and shows some of them."""
        viewer, plan = self.observer.viewer, work.plan
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
            with self.wanted.clock.phase("preview"):
                for number, one in enumerate(clean if viewer.full else clean[:1]):
                    if viewer.full:
                        painted = self._fitted_decode(work, one)
                        colour, opacity = split_alpha(painted[: content.height, : content.width])
                    else:
                        colour, opacity = work.model.sketch(one)[:height, :width], 1.0
                    alpha = quantize(fraction(shown) * opacity, np.dtype(np.uint8))
                    pixels = np.dstack([quantize(colour, np.dtype(np.uint8)), alpha])
                    steps = work.steps_before + step, work.steps_of_all
                    viewer.show(Preview(image + number, *steps, pixels, plan.area))
            due = time.monotonic() + viewer.every

        return look

    def _divide(self, work: Work, images: range) -> tuple[Part, ...]:
        """Return the prompts of some images, with the share that each has of them."""
        chosen = [work.read_prompt(self.wanted.prompts[index]) for index in images]
        whole = tuple(one.positive for one in chosen)
        if work.regions is None:
            return (Part(whole, np.ones(work.steps.shape, np.float32)),)
        return divide(work.regions, whole, list(zip(*(one.regions for one in chosen), strict=True)))

    def _encode_prompts(self, work: Work, part: Part, images: range) -> Prompt:
        """Encode what each image is to show in a part of it, each prompt once."""
        model = work.model

        def encode(index: int, text: str) -> Prompt:
            return model.prompts.encode(
                text,
                work.read_prompt(self.wanted.prompts[index]).negative,
                guided=model.guided(self.wanted.guidance_scale),
                clip_skip=self.wanted.settled_request.sampling.clip_skip,
                pictures=[one.colour for one in work.pictures],
                most_pictures=model.info.recommended.pictures,
            )

        with self.wanted.clock.phase("encode"):
            found = [
                self.fitting(model, work.plan).run("prompt", functools.partial(encode, index, text))
                for index, text in zip(images, part.texts, strict=True)
            ]
            return model.family.join_prompts(found)

    def _on_step(self, work: Work, together: range, step: int, _steps: int) -> None:
        self.observer.progress(
            Progress(
                "Denoising",
                work.steps_before + step,
                work.steps_of_all,
                together.start + 1,
                self.wanted.request.sampling.images,
                len(together),
                work.plan.work_size.pixels,
            )
        )
