"""Samplers: diffusers' schedulers, run over an exact part of their schedule.

Each sampler here is a diffusers scheduler class of which six things are made sure:

- It steps in float32 whatever the model's precision, so that the noise which some samplers add as
  they go is the same on every device and for every precision.
- It tells what it takes for the finished latents so far (`clean_guess`), for previews.
- It can start in the middle of its schedule. Stock LMS then weighs derivatives it does not have
  yet, and stock PNDM repeats the wrong timestep; both are put right below.
- A latent cell that joins late comes out as if the run had begun with it (`joining`). So that this
  holds for PLMS, it calls the model once for each step. Stock PLMS begins with a call more, which a
  cell that joins late cannot get: it looks at its first step's end, takes the step again with the
  mean of both outputs, and then calls the model there again. Ours goes on with the outputs it has.
- It keeps the schedule that it was set to, whatever the pipeline would set (`set_schedule`).
- It hands Stable Diffusion's inpainting models what is kept (`kept`, a tensor (1, K, h, w)) behind
  the noisy latents' own channels, in every call.
"""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from typing import Any

import diffusers
import numpy as np
import torch
from numpy.typing import NDArray

from underpaint_client.samplers import SAMPLERS
from underpaint_client.steps import StepPlan

from .joining import Joining
from .noise_levels import zero_snr_changes

_FORCED: dict[str, dict[str, Any]] = {
    # Latents are not pictures: clipping predictions to -1..1, a default for pixels, ruins them.
    "DDIMScheduler": {"clip_sample": False},
    "DDPMScheduler": {"clip_sample": False},
    "LCMScheduler": {"clip_sample": False},
    "TCDScheduler": {"clip_sample": False},
    # Without its Runge-Kutta warm-up PNDM is the PLMS of Stable Diffusion's first release.
    "PNDMScheduler": {"skip_prk_steps": True},
}


_CROWDED = {"DEISMultistepScheduler", "DPMSolverMultistepScheduler", "UniPCMultistepScheduler"}
"""They space their steps over one more than there are, so that the longest schedule has two steps
at one noise level, and divides by their distance. Spaced from the end it has not."""


@dataclass(frozen=True)
class Executed:
    """The calls of the model that a run makes.

    Parameters
    ----------
    timesteps : float or int64, (calls,)
        What the model is called with, in order.
    begin : int
        Where they begin in the scheduler's own schedule.
    """

    timesteps: torch.Tensor
    begin: int


@dataclass(frozen=True)
class Sampler:
    """A scheduler set to a schedule, for one run.

    Parameters
    ----------
    name : str
        A name of `samplers.SAMPLERS`.
    scheduler : diffusers scheduler
        A fresh one: schedulers have state, and no two runs may share it.
    """

    name: str
    scheduler: Any

    @classmethod
    def make(cls, name: str, config: dict[str, Any], schedule: int) -> Sampler:
        """Make a sampler for a model.

        Parameters
        ----------
        name : str
            A name of `samplers.SAMPLERS`.
        config : dict
            The model's own scheduler config, which tells how its noise levels are spaced.
        schedule : int
            How long its schedule will be.
        """
        class_name = SAMPLERS[name]
        changes = dict(_FORCED.get(class_name, {}))
        if hasattr(getattr(diffusers, class_name), "_convert_to_karras"):
            changes["use_karras_sigmas"] = name.endswith("_karras")
        if class_name == "DPMSolverMultistepScheduler":
            changes["algorithm_type"] = "sde-dpmsolver++" if "_sde" in name else "dpmsolver++"
        if class_name in _CROWDED and schedule >= config.get("num_train_timesteps", 1000):
            changes["timestep_spacing"] = "trailing"
        changes |= zero_snr_changes(getattr(diffusers, class_name), config)
        return cls(name, tapped(class_name).from_config(config, **changes))

    def set_schedule(self, plan: StepPlan, device: torch.device) -> None:
        """Set the scheduler to a schedule, which no pipeline changes from then on."""
        self.scheduler.set_timesteps(plan.schedule, device=device)
        self.scheduler.is_set = True

    @property
    def init_noise_sigma(self) -> float:
        """What noise alone is multiplied with at the beginning of the whole schedule."""
        return float(self.scheduler.init_noise_sigma)

    def execute(self, run: int) -> Executed:
        """Take the last `run` steps of the schedule that the scheduler was set to."""
        timesteps = self.scheduler.timesteps
        if self._plms:  # its second timestep is there twice
            timesteps = torch.cat([timesteps[:1], timesteps[2:]])
        begin = max(0, len(timesteps) - self.calls(run))
        return Executed(timesteps[begin:], begin)

    def calls(self, run: int) -> int:
        """Return how often the model is called for `run` steps."""
        if self.scheduler.order == 2:
            return 2 * run - 1  # Heun and DPM2 look twice, but for the last step
        return run

    def first_calls(self, steps: NDArray[np.intp], calls: int) -> NDArray[np.intp]:
        """Return from which call on each latent cell takes part.

        Parameters
        ----------
        steps : int
            How many of the last steps each cell takes part in; 0 for none.
        calls : int
            The calls of the whole run.

        Returns
        -------
        int, like steps
            0 for the first call; `calls` for cells that never take part.
        """
        wanted = np.where(steps > 0, 2 * steps - 1, 0) if self.scheduler.order == 2 else steps
        return np.maximum(calls - wanted, 0)

    def begin(self, executed: Executed, joins: torch.Tensor) -> None:
        """Prepare the scheduler for a run; its schedule was set before.

        Parameters
        ----------
        executed : Executed
            The calls of the run.
        joins : int tensor (h, w)
            From which call on each latent cell takes part, as `first_calls`; for a pipeline that
            packs its latents, packed as they are.
        """
        unused = _copy(self.scheduler)

        def start(call: int) -> Any:
            fresh = _copy(unused)
            _set_begin(fresh, executed.begin + call)
            fresh.is_scale_input_called = True  # the run's own scaled this call's input
            return fresh

        _set_begin(self.scheduler, executed.begin)
        self.scheduler.joining = Joining(joins, len(executed.timesteps), self._memory, start)

    @property
    def _memory(self) -> int:
        """How many calls the sampler looks back, with the present one."""
        if SAMPLERS[self.name] in ("LMSDiscreteScheduler", "PNDMScheduler"):
            return 4
        return int(self.scheduler.config.get("solver_order", 1))

    def noised(self, clean: torch.Tensor, noise: torch.Tensor, timestep: torch.Tensor) -> Any:
        """Return `clean` latents at the noise level of the call that comes next."""
        return self.scheduler.add_noise(clean, noise, timestep.reshape(1))

    @property
    def _plms(self) -> bool:
        return SAMPLERS[self.name] == "PNDMScheduler"


def _clean_guess(
    scheduler: Any,
    result: tuple[torch.Tensor, ...],
    output: torch.Tensor,
    timestep: torch.Tensor,
    noisy: torch.Tensor,
) -> torch.Tensor:
    """Return what the scheduler predicted for x0 in the step that it has just made.

    Most return it; multistep ones remember it; for the others it follows from what the model's
    output means (Ho et al. 2020; Salimans and Ho 2022 for velocity).
    """
    if len(result) > 1 and isinstance(result[1], torch.Tensor):
        return result[1]
    config = scheduler.config
    if hasattr(scheduler, "scale_noise"):  # flow matching: the output is noise - x0
        level: torch.Tensor = timestep.to(noisy) / config.num_train_timesteps
        return noisy - level * output
    predicts = config.get("predict_x0") or "++" in config.get("algorithm_type", "")
    if predicts and scheduler.model_outputs[-1] is not None:
        remembered: torch.Tensor = scheduler.model_outputs[-1]
        return remembered
    left: torch.Tensor = scheduler.alphas_cumprod[timestep.long().cpu()].to(noisy)
    if config.prediction_type == "v_prediction":
        return left.sqrt() * noisy - (1 - left).sqrt() * output
    if config.prediction_type == "sample":
        return output
    return (noisy - (1 - left).sqrt() * output) / left.sqrt()


def _first_step_again(
    base: Any, scheduler: Any, output: torch.Tensor, timestep: torch.Tensor, noisy: torch.Tensor
) -> torch.Tensor:
    """Return where PLMS's second step begins: its first step with the mean of both outputs.

    For other steps and samplers, the latents as they are.
    """
    if base is not diffusers.PNDMScheduler or scheduler.counter != 1:
        return noisy
    corrected: torch.Tensor = base.step(scheduler, output, timestep, noisy, return_dict=False)[0]
    return corrected


def _copy(scheduler: Any) -> Any:
    """Return a scheduler that goes on from where another is; tables that never change are shared.

    Building one from its config takes as long as several steps.
    """
    copied = copy.copy(scheduler)
    for name, value in vars(scheduler).items():
        if isinstance(value, list):  # the model's outputs so far
            setattr(copied, name, list(value))
    return copied


def _set_begin(scheduler: Any, index: int) -> None:
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(index)


def _set_once(base: Any) -> Any:
    """Return the method of a subclass that sets a schedule until `is_set`."""

    @functools.wraps(base.set_timesteps)  # pipelines look at its signature for `sigmas`
    def set_timesteps(self: Any, *args: Any, **kwargs: Any) -> None:
        if not self.is_set:
            base.set_timesteps(self, *args, **kwargs)

    return set_timesteps


def _show_kept(base: Any) -> Any:
    """Return the method of a subclass that hands the model what is kept beside the latents."""

    def scale_model_input(
        self: Any, sample: torch.Tensor, *args: Any, **kwargs: Any
    ) -> torch.Tensor:
        scaled: torch.Tensor = base.scale_model_input(self, sample, *args, **kwargs)
        if self.kept is None:
            return scaled
        return torch.cat([scaled, self.kept.to(scaled).expand(len(scaled), -1, -1, -1)], dim=1)

    return scale_model_input


@functools.cache
def tapped(class_name: str) -> Any:
    """Return a subclass of a diffusers scheduler with the six things made sure."""
    base = getattr(diffusers, class_name)

    @functools.wraps(base.step)  # pipelines look at its signature for `generator` and `eta`
    def step(
        self: Any,
        model_output: torch.Tensor,
        timestep: torch.Tensor,
        sample: torch.Tensor,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, ...]:
        output, noisy = model_output.float(), sample.float()
        kwargs["return_dict"] = False
        pictures = kwargs.get("generator")

        def step_one(scheduler: Any) -> tuple[torch.Tensor, ...]:
            if self.joining is not None and pictures is not None:
                kwargs["generator"] = self.joining.generators(pictures)
            start = _first_step_again(base, scheduler, output, timestep, noisy)
            if class_name == "LMSDiscreteScheduler":
                kwargs["order"] = min(len(scheduler.derivatives) + 1, 4)
            stepped: tuple[torch.Tensor, ...] = base.step(
                scheduler, output, timestep, start, *args, **kwargs
            )
            return stepped

        result = step_one(self) if self.joining is None else self.joining.step(self, step_one)
        self.clean_guess = _clean_guess(self, result, output, timestep, noisy)
        return (result[0].to(sample.dtype), *result[1:])

    def add_noise(
        self: Any, original: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
    ) -> Any:
        if self.step_index is None or self.state_in_first_order:
            return base.add_noise(self, original, noise, timesteps)
        # Between DPM2's two looks the sample lies at a level of its own.
        return original + noise * self.sigmas_interpol[self.step_index].to(original)

    members: dict[str, Any] = {
        "step": step,
        "set_timesteps": _set_once(base),
        "is_set": False,  # until `Sampler.set_schedule`
        "kept": None,
        "joining": None,  # until `Sampler.begin`
    }
    if hasattr(base, "scale_model_input"):
        members["scale_model_input"] = _show_kept(base)
    if class_name.startswith("KDPM2"):
        members["add_noise"] = add_noise
    return type(class_name, (base,), members)
