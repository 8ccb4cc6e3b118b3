"""Samplers for models that work by flow matching.

Such a model is trained on x = (1 - sigma) x0 + sigma noise (Lipman et al. 2023; Liu et al. 2023),
and predicts the velocity noise - x0. All its samplers run at the noise levels of the model's own
scheduler config, which shifts them towards noise, for larger pictures more (Esser et al. 2024).
A strength is a share of the steps of that shifted schedule.

Where a model has few steps, such a share is coarse: of four steps there are four strengths. A plan
that is `exact` runs as many steps as any other, but begins at the level that lies at its strength
between those of the schedule, and spaces its steps evenly from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from underpaint_client.errors import BadInputError
from underpaint_client.sentences import Listing
from underpaint_client.steps import StepPlan

from .samplers import Sampler, tapped

_MULTISTEP = {
    "algorithm_type": "dpmsolver++",
    "prediction_type": "flow_prediction",
    "use_flow_sigmas": True,
}

FLOW_SAMPLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "k_euler": ("FlowMatchEulerDiscreteScheduler", {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", _MULTISTEP),
}
"""The samplers of `samplers.SAMPLERS` that flow models run with: a scheduler and its settings.

All of them use the same noise levels. UniPC is left out: it divides by the distance of the first
two levels in log-SNR, which is infinite at the level of pure noise.
"""


def check_flow_sampler(name: str) -> None:
    """Check that flow models run with a sampler.

    Raises
    ------
    BadInputError
        Names those that they run with.
    """
    if name not in FLOW_SAMPLERS:
        raise BadInputError(
            "sampler {name!r} does not fit a model that works by flow matching; choose auto or one"
            " of {known}",
            name=name,
            known=Listing(FLOW_SAMPLERS),
        )


@dataclass(frozen=True)
class FlowSampler(Sampler):
    """A sampler for a flow model.

    Parameters
    ----------
    config : dict
        The model's scheduler config.
    spaced : sequence of float or None
        The schedule's noise levels before they are shifted, the first one 1; None for the
        scheduler's own.
    mu : float
        How far they are shifted at the picture's size, if the config asks for it.
    """

    config: dict[str, Any] = field(default_factory=dict)
    spaced: Sequence[float] | None = None
    mu: float = 0.0

    @classmethod
    def make_flow(
        cls, name: str, config: dict[str, Any], spaced: Sequence[float] | None, mu: float
    ) -> FlowSampler:
        """Make a sampler; see the class for its parameters.

        Raises
        ------
        BadInputError
            Flow models do not run with that sampler.
        """
        check_flow_sampler(name)
        plain = {key: value for key, value in config.items() if not key.startswith("_")}
        class_name, settings = FLOW_SAMPLERS[name]
        return cls(name, tapped(class_name)(**settings), plain, spaced, mu)

    def set_schedule(self, plan: StepPlan, device: torch.device) -> None:
        """Set the scheduler to the steps that run, and no others.

        A pipeline that makes a picture from nothing runs all steps of its scheduler.
        """
        sigmas = flow_levels(self.config, plan, self.spaced, self.mu).to(device)
        self.scheduler.num_inference_steps = plan.run
        self.scheduler.sigmas = sigmas
        self.scheduler.timesteps = sigmas[:-1] * self.config.get("num_train_timesteps", 1000)
        self.scheduler.set_timesteps = _keep_schedule

    @property
    def init_noise_sigma(self) -> float:
        """Flow matching starts from unscaled noise."""
        return 1.0

    def noised(self, clean: torch.Tensor, noise: torch.Tensor, timestep: torch.Tensor) -> Any:
        """Return `clean` latents at the noise level of the next call."""
        (call,) = (self.scheduler.timesteps == timestep).nonzero()[0]
        sigma = self.scheduler.sigmas[call].to(clean)
        return sigma * noise + (1.0 - sigma) * clean


def _keep_schedule(
    num_inference_steps: int | None = None,
    device: Any = None,
    sigmas: Any = None,
    mu: float | None = None,
    timesteps: Any = None,
) -> None:
    """Do nothing, in place of a scheduler's method; pipelines look at its signature."""


def flow_levels(
    config: dict[str, Any], plan: StepPlan, spaced: Sequence[float] | None, mu: float
) -> torch.Tensor:
    """Return the noise levels of the steps that run.

    Parameters
    ----------
    config : dict
        The model's scheduler config.
    plan : StepPlan
        How many steps of which schedule run.
    spaced, mu
        As `FlowSampler`.

    Returns
    -------
    float32, (plan.run + 1,)
        Falling, from 1 at most to 0.
    """
    if plan.schedule == 1:  # its level is the first, and cannot be the last one of a config too
        config = {**config, "shift_terminal": None}
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(config)
    if not plan.exact:
        scheduler.set_timesteps(None if spaced else plan.schedule, sigmas=spaced, mu=mu)
        kept: torch.Tensor = scheduler.sigmas[-plan.run - 1 :]
        return kept
    if spaced is None:
        spaced = np.linspace(scheduler.sigma_max, scheduler.sigma_min, plan.schedule).tolist()
    places = plan.schedule * (1 - plan.strength * np.arange(plan.run, 0, -1) / plan.run)
    between = np.interp(places, np.arange(plan.schedule + 1), [*spaced, 0.0])
    # A config may stretch a schedule so that it ends at a certain level, which is passed along.
    scheduler.set_timesteps(sigmas=[*between, spaced[-1]], mu=mu)
    return torch.cat([scheduler.sigmas[: plan.run], scheduler.sigmas[-1:]])
