"""The denoise loop: diffusers' own pipelines, started from our latents.

Differential Diffusion (Levin and Fried 2023): each latent cell joins the run at the step where its
own strength begins. Until then it is replaced by the original, with noise of the next step's level
added. A cell that never joins keeps the original's latents.

What runs is the pipeline of the model's family, with a scheduler that knows the steps (`samplers`),
the latents to begin with (`Family.begin`) and the official end-of-step callback.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from underpaint_client.descriptions import describe_levels
from underpaint_client.errors import CancelledError
from underpaint_client.geometry import Extent
from underpaint_client.recommended import Recommended
from underpaint_client.steps import StepPlan, round_half_up

from .families.family import Family, Prompt, Start
from .pixels import Floats
from .regions import Mixing
from .samplers import Sampler

Steps = NDArray[np.intp]

OnStep = Callable[[int, int], None]
"""Called with the number of steps done, and of all steps."""

OnClean = Callable[[torch.Tensor, int], None]
"""Called with the sampler's estimate of the finished latents, and the number of steps done."""


def cell_steps(change: Floats, plan: StepPlan, most_change: float) -> Steps:
    """Return how many of the last steps each cell takes part in.

    A cell of change c runs as many as strength x c would over the whole picture; the most changed
    cells run them all. In a run that begins exactly at its strength (`StepPlan.exact`), it joins at
    the executed step that is nearest to that.

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
    if plan.exact or round_half_up(exact) != plan.run:  # or stretched as far as it goes
        exact = plan.run
    share = change.astype(np.float64) / most_change
    nearest = np.floor(exact * share + 0.5 + 1e-6).astype(np.intp)
    return np.where(share >= 1, plan.run, np.minimum(nearest, plan.run))


def level_notes(steps: Steps, plan: StepPlan, recommended: Recommended) -> tuple[str, ...]:
    """Return what the artist should know of partial change in a run of few steps.

    Parameters
    ----------
    steps : int, (h, w)
        From `cell_steps`.
    plan : StepPlan
        What runs.
    recommended : Recommended
        What suits the model.
    """
    changing = steps[steps > 0]
    partial = float((changing < plan.run).mean()) if changing.size else 0.0
    return describe_levels(plan, recommended, partial)


@dataclass(frozen=True)
class Guide:
    """What is needed to guide a run: its noise, its original, and who is told of it.

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
        Called with the progress.
    cancelled : callable
        Called after every call of the model; if it returns True, the run ends.
    kept : tensor (1, K, h, w), optional
        What an inpainting model is shown of the original, from `Model.show_kept`.
    on_clean : callable, optional
        Called after every call of the model with the sampler's estimate of the finished latents
        (B, C, h, w), and the number of steps done.
    mixing : Mixing, optional
        Where several prompts have a share of each picture.
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
    mixing: Mixing | None = None


def denoise(
    family: Family,
    pipeline: Any,
    guide: Guide,
    prompt: Prompt,
    guidance_scale: float,
    generators: list[torch.Generator],
    steering: Callable[[int], AbstractContextManager[object]] = nullcontext,
) -> torch.Tensor:
    """Run the model.

    Parameters
    ----------
    family : Family
        The model's.
    pipeline : diffusers pipeline
        The family's. Its scheduler is replaced by the guide's for the time of the run.
    guide : Guide
        What to run on.
    prompt : dict
        The encoded prompt, by the pipeline's own argument names. With `guide.mixing`, all pictures'
        first prompts, then all their second ones, and so on.
    guidance_scale : float
        1 or less switches guidance off.
    generators : list of torch.Generator
        One a picture; samplers that add noise as they go draw it from these seeds.
    steering : callable
        Given how often the denoiser will be called, returns what surrounds these calls.

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
    sampler.set_schedule(guide.plan, guide.noise.device)
    executed = sampler.execute(guide.plan.run)
    calls = len(executed.timesteps)
    joins = torch.from_numpy(sampler.first_calls(guide.steps, calls)).to(guide.noise.device)
    sampler.begin(executed, family.pack_cells(joins, guide.clean))
    cells = Extent(guide.clean.shape[-1], guide.clean.shape[-2])
    mixing = guide.mixing or Mixing.none(guide.clean)
    finished = guide.clean

    def on_call_end(
        _pipeline: Any, index: int, _timestep: torch.Tensor, state: dict[str, Any]
    ) -> dict[str, Any]:
        nonlocal finished
        if guide.cancelled():
            raise CancelledError("cancelled")
        latents = mixing.mix(family.unpack(state["latents"], cells))
        held = joins > index
        if held.any():
            original = guide.clean
            if index + 1 < calls:
                following = executed.timesteps[index + 1]
                original = sampler.noised(original.float(), guide.noise, following)
            latents = torch.where(held, original.to(latents.dtype), latents)
        if held.any() or mixing.prompts > 1:
            state["latents"] = family.pack(mixing.spread(latents))
        finished = latents
        step = -(-(index + 1) * guide.plan.run // calls)
        if guide.on_clean is not None:
            guess = family.unpack(sampler.scheduler.clean_guess, cells)
            guide.on_clean(mixing.mix(guess), step)
        guide.on_step(step, guide.plan.run)
        return state

    own = pipeline.scheduler
    pipeline.scheduler = sampler.scheduler
    latents = mixing.spread(_first_latents(guide, executed.timesteps[0]))
    start = Start(latents, guide.clean, executed.timesteps, guide.plan.run, guide.kept)
    try:
        with steering(calls), family.begin(pipeline, start) as arguments:
            pipeline(
                **arguments,
                **family.guidance(pipeline, guidance_scale),
                num_inference_steps=guide.plan.schedule,
                generator=generators * mixing.prompts,
                output_type="latent",
                return_dict=False,
                callback_on_step_end=on_call_end,
                callback_on_step_end_tensor_inputs=["latents"],
                **prompt,
            )
    finally:
        pipeline.scheduler = own
    return finished.to(guide.clean.dtype)


def _first_latents(guide: Guide, timestep: torch.Tensor) -> torch.Tensor:
    """Return the original with noise added, or noise alone where the original is ignored."""
    first: torch.Tensor = guide.sampler.noised(guide.clean.float(), guide.noise, timestep)
    if guide.pure.any():
        alone = guide.noise * guide.sampler.init_noise_sigma
        first = torch.where(torch.from_numpy(guide.pure).to(first.device), alone, first)
    return first.to(guide.clean.dtype)
