"""The denoise loop: diffusers' own Img2Img pipelines with small taps.

Differential Diffusion (Levin and Fried 2023): each latent cell joins the run at the step where its
own strength begins. Until then it is held at the original, re-noised to the level of the next
step; a cell that never joins ends as the original itself.

The taps are two methods of a pipeline subclass (which steps run, and from what latents) and the
official end-of-step callback. No pipeline is patched, so nothing needs restoring after a cancel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from underpaint_client.errors import CancelledError
from underpaint_client.steps import StepPlan, round_half_up

from .samplers import Sampler
from .source import Floats

Steps = NDArray[np.intp]

OnStep = Callable[[int, int], None]
"""Told how many steps of how many are done."""

OnClean = Callable[[torch.Tensor, int], None]
"""Given what the sampler takes for the finished latents, and how many steps are done."""


def cell_steps(change: Floats, plan: StepPlan, most_change: float) -> Steps:
    """Return how many of the last steps each cell takes part in.

    A cell of change c runs as many as strength x c would over the whole picture; the most changed
    cells run them all.

    Parameters
    ----------
    change : float32, (h, w)
        c of each latent cell, 0..1.
    plan : StepPlan
        For the most changed cell.
    most_change : float
        Its change, above 0.

    Returns
    -------
    int, (h, w)
        0 .. plan.run.
    """
    exact = plan.schedule * plan.strength
    if round_half_up(exact) != plan.run:  # the schedule was stretched as far as it goes
        exact = plan.run
    share = change.astype(np.float64) / most_change
    nearest = np.floor(exact * share + 0.5 + 1e-6).astype(np.intp)
    return np.where(share >= 1, plan.run, np.minimum(nearest, plan.run))


@dataclass(frozen=True)
class Guide:
    """What the taps need to know of a run.

    Parameters
    ----------
    sampler : Sampler
        A fresh one.
    plan : StepPlan
        Which part of the schedule runs.
    clean : tensor (1, C, h, w)
        The original's latents, x0, in the model's precision.
    noise : float32 tensor (B, C, h, w)
        Each picture's noise, on the model's device; rounded to the model's precision only after
        it was scaled.
    steps : int, (h, w)
        From `cell_steps`.
    pure : bool, (h, w)
        Cells that ignore the original: they start from pure noise.
    on_step : callable
        Told of progress.
    cancelled : callable
        Asked after every call of the model; where it says True, the run ends.
    kept : tensor (1, C + 1, h, w), optional
        What an inpainting model is shown of the original, from `Model.show_kept`.
    on_clean : callable, optional
        Given, after every call, what the sampler takes for the finished latents (B, C, h, w), and
        the number of steps done.
    """

    sampler: Sampler
    plan: StepPlan
    clean: torch.Tensor
    noise: torch.Tensor
    steps: Steps
    pure: NDArray[np.bool_]
    on_step: OnStep
    cancelled: Callable[[], bool]
    kept: torch.Tensor | None = None
    on_clean: OnClean | None = None


class _Taps:
    """The two methods of an Img2Img pipeline that make it follow a `Guide`."""

    guide: Guide
    joins: torch.Tensor
    timesteps: torch.Tensor

    def get_timesteps(self, *_args: object, **_kwargs: object) -> tuple[torch.Tensor, int]:
        """Take exactly the steps of the plan, whatever the family's own rounding."""
        guide = self.guide
        executed = guide.sampler.execute(guide.plan.run)
        guide.sampler.begin(executed, self.joins)
        self.timesteps = executed.timesteps
        return executed.timesteps, guide.plan.run

    def prepare_latents(self, *_args: object, **_kwargs: object) -> torch.Tensor:
        """Start from the original under its noise, or from noise alone."""
        guide = self.guide
        clean = guide.clean.float()
        start: torch.Tensor = guide.sampler.noised(clean, guide.noise, self.timesteps[0])
        if guide.pure.any():
            alone = guide.noise * guide.sampler.scheduler.init_noise_sigma
            start = torch.where(torch.from_numpy(guide.pure).to(start.device), alone, start)
        return start.to(guide.clean.dtype)


def denoise(
    pipeline: Any,
    guide: Guide,
    prompt: dict[str, torch.Tensor],
    guidance_scale: float,
    generators: list[torch.Generator],
) -> torch.Tensor:
    """Run the model.

    Parameters
    ----------
    pipeline : StableDiffusion or StableDiffusionXL
        Its scheduler is replaced by the guide's for the time of the run.
    guide : Guide
        What to run on.
    prompt : dict of str to tensor
        The encoded prompt, by the pipeline's own argument names.
    guidance_scale : float
        1 or less switches guidance off.
    generators : list of torch.Generator
        One a picture; samplers that add noise as they go draw it from these seeds.

    Returns
    -------
    tensor (B, C, h, w)
        Clean latents.

    Raises
    ------
    CancelledError
        As `guide.cancelled` asked.
    """
    sampler = guide.sampler
    sampler.scheduler.set_timesteps(guide.plan.schedule, device=guide.noise.device)
    calls = len(sampler.execute(guide.plan.run).timesteps)
    if guide.kept is not None:
        sampler.show_kept(guide.kept)
    joins = torch.from_numpy(sampler.first_calls(guide.steps, calls)).to(guide.noise.device)

    def on_call_end(
        tapped: Any, index: int, _timestep: torch.Tensor, state: dict[str, Any]
    ) -> dict[str, Any]:
        if guide.cancelled():
            raise CancelledError("cancelled")
        held = joins > index
        if held.any():
            original = guide.clean
            if index + 1 < calls:
                following = tapped.timesteps[index + 1]
                original = sampler.noised(original.float(), guide.noise, following)
            latents = state["latents"]
            state["latents"] = torch.where(held, original.to(latents.dtype), latents)
        step = -(-(index + 1) * guide.plan.run // calls)
        if guide.on_clean is not None:
            guide.on_clean(sampler.scheduler.clean_guess, step)
        guide.on_step(step, guide.plan.run)
        return state

    own = pipeline.scheduler
    pipeline.scheduler = sampler.scheduler
    pipeline.guide, pipeline.joins = guide, joins
    try:
        latents: torch.Tensor = pipeline(
            image=guide.clean,  # taken for latents, and replaced by what `prepare_latents` gives
            strength=1.0,
            num_inference_steps=guide.plan.schedule,
            guidance_scale=guidance_scale,
            generator=generators,
            output_type="latent",
            return_dict=False,
            callback_on_step_end=on_call_end,
            callback_on_step_end_tensor_inputs=["latents"],
            **prompt,
        )[0]
    finally:
        del pipeline.guide, pipeline.joins  # and with both the tensors of this run
        pipeline.scheduler = own
    return latents
