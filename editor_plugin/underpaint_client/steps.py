"""Steps: how many run at a strength."""

from __future__ import annotations

import math
from dataclasses import dataclass

from underpaint_client.samplers import TRAIN_STEPS, choose_sampler, longest_schedule

from .parameters import settled
from .request import Request


def round_half_up(value: float) -> int:
    """Round to the nearest whole number, halves up, as a person would on paper.

    20 x 0.425 is 8.5 and rounds to 9 although the float product lies a hair below; the nudge is
    far smaller than any difference that strengths, steps or alpha values can make.
    """
    return math.floor(value + 0.5 + 1e-9)


@dataclass(frozen=True)
class StepPlan:
    """Which part of a schedule runs.

    Parameters
    ----------
    schedule : int
        The schedule's length; 0 if nothing runs.
    run : int
        How many of its steps run: its last ones.
    strength : float
        0..1. The strength asked for.
    exact : bool
        Whether the run begins exactly at that strength, between two steps of the schedule, as a
        model of few steps does. Else it is the share of the steps that run.
    """

    schedule: int
    run: int
    strength: float
    exact: bool = False

    @property
    def strength_run(self) -> float:
        """The strength that is really run, 0..1."""
        if self.exact:
            return self.strength
        return self.run / self.schedule if self.schedule else 0.0


def plan_steps(
    steps: int, strength: float, compensate: bool = False, train_steps: int = TRAIN_STEPS
) -> StepPlan:
    """Decide how many steps of which schedule run at a strength.

    Plainly, floor(steps x strength + 1/2) of `steps`, and never none. Where that rounds to none, a
    schedule is taken whose single last step has the strength asked for. With `compensate`, the
    schedule is stretched so that `steps` of it run. No schedule is longer than `train_steps`.

    Parameters
    ----------
    steps : int
        1 or more, as the artist set it.
    strength : float
        0..1.
    compensate : bool
        Run `steps` steps whatever the strength.
    train_steps : int
        Timesteps the model was trained on.

    Examples
    --------
    >>> plan_steps(20, 0.75)
    StepPlan(schedule=20, run=15, strength=0.75)
    >>> plan_steps(20, 0.4, compensate=True).schedule
    50
    """
    if strength <= 0:
        return StepPlan(0, 0, 0.0)
    steps = min(steps, train_steps)
    if compensate:
        schedule = max(steps, _stretched(steps, strength, train_steps))
        return StepPlan(schedule, steps, strength)
    run = round_half_up(steps * strength)
    if run >= 1:
        return StepPlan(steps, run, strength)
    return StepPlan(_stretched(1, strength, train_steps), 1, strength)


def mode_strength(request: Request, mode: str) -> float:
    """Return the strength (0..1) at a pixel of change 1; it is 1 for `txt2img`."""
    return 1.0 if mode == "txt2img" else request.sampling.strength


def plan_request(
    request: Request, mode: str, most_change: float, train_steps: int = TRAIN_STEPS
) -> StepPlan:
    """Decide how many steps of which schedule a request runs.

    Parameters
    ----------
    request : Request
        A checked one, from `settle_request`.
    mode : str
        The settled mode, not `auto`.
    most_change : float
        0..1, the largest change of any pixel: no step is wasted on more.
    train_steps : int
        Timesteps the model was trained on.
    """
    sampling = request.sampling
    return plan_steps(
        settled(sampling.steps),
        mode_strength(request, mode) * most_change,
        sampling.compensate,
        longest_schedule(choose_sampler(sampling.sampler), train_steps),
    )


def _stretched(steps: int, strength: float, longest: int) -> int:
    """Return the length of the schedule of which `steps` are the share `strength`."""
    if strength * longest <= steps:  # true for strengths so small that dividing would overflow
        return longest
    return round_half_up(steps / strength)
