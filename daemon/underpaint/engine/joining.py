"""Step cells that join a run late as if the run began with them.

A multistep sampler weighs the model's earlier outputs, and a cell that has just joined has none:
until now its sample was the re-noised original. So each group of cells that joins late is stepped
by a scheduler of its own, which starts at that call, for as many calls as the sampler looks back.
From then on both schedulers would take the same step, and the run's own one takes over.

Samplers that add noise as they go draw it anew for each call, from the picture's seed and from how
many calls are left: a cell then meets the same noise whether the run began with it or before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

Step = Callable[[Any], tuple[torch.Tensor, ...]]
"""Makes a scheduler take the current step; returns what its `step` returns, the sample first."""


def call_generator(generator: torch.Generator, calls_left: int) -> torch.Generator:
    """Return the source of the noise that a sampler adds in one call of the model.

    Parameters
    ----------
    generator : torch.Generator
        The picture's, from `draw_noise`. Its seed alone counts, not what was drawn since.
    calls_left : int
        Calls that are left in the run, with this one: 1 for the last.

    Returns
    -------
    torch.Generator
        A fresh one, on the CPU.
    """
    sequence = np.random.SeedSequence((generator.initial_seed(), calls_left))
    (seed,) = sequence.generate_state(1, np.uint64)
    return torch.Generator("cpu").manual_seed(int(seed) >> 1)  # torch takes 63 bits


@dataclass
class _Group:
    """Cells that joined in the same call, and the scheduler that steps them for now."""

    cells: torch.Tensor
    scheduler: Any
    calls: int = 0


@dataclass
class Joining:
    """Which cells take part from which call on in one run.

    Parameters
    ----------
    joins : int tensor (h, w)
        The first call that each latent cell takes part in; `calls` for never.
    calls : int
        The calls of the whole run.
    memory : int
        How many calls the sampler uses, with the current one: 1 for samplers without history.
    start : callable
        Returns a fresh scheduler that starts at a call of the run, given its number.
    """

    joins: torch.Tensor
    calls: int
    memory: int
    start: Callable[[int], Any]
    call: int = 0
    _groups: list[_Group] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._late = set(self.joins.flatten().tolist()) - {0}

    def generators(self, pictures: Sequence[torch.Generator]) -> list[torch.Generator]:
        """Return the generator that the current call draws its noise from, for each picture."""
        return [call_generator(one, self.calls - self.call) for one in pictures]

    def step(self, scheduler: Any, step: Step) -> tuple[torch.Tensor, ...]:
        """Take the current step with all schedulers that have cells, and go on to the next call.

        Parameters
        ----------
        scheduler : diffusers scheduler
            The run's own.
        step : callable
            See `Step`.
        """
        result = step(scheduler)
        if self.memory > 1:
            if self.call in self._late:
                self._groups.append(_Group(self.joins == self.call, self.start(self.call)))
            result = (self._step_groups(scheduler, step, result[0]), *result[1:])
        self.call += 1
        return result

    def _step_groups(self, scheduler: Any, step: Step, sample: torch.Tensor) -> torch.Tensor:
        for group in self._groups:
            sample = torch.where(group.cells, step(group.scheduler)[0], sample)
            group.calls += 1
            if getattr(scheduler, "last_sample", None) is not None:
                # UniPC's corrector goes on from it when the run's own scheduler takes over.
                scheduler.last_sample = torch.where(
                    group.cells, group.scheduler.last_sample, scheduler.last_sample
                )
        self._groups = [group for group in self._groups if group.calls < self.memory]
        return sample
