"""Every sampler, over every part of its schedule, on a model that looks at each cell alone.

On such a model the promise "a pixel of change c comes out as it would at strength c x S over the
whole picture" can be checked cell by cell, which no real network allows.
"""

from __future__ import annotations

import warnings
from typing import Any

import diffusers
import numpy as np
import pytest
import torch

from underpaint.engine.denoise import Guide, cell_steps, denoise
from underpaint.engine.families.stable_diffusion import SD, StableDiffusion
from underpaint.engine.noise import draw_noise
from underpaint.engine.samplers import Sampler
from underpaint_client.errors import CancelledError
from underpaint_client.samplers import SAMPLERS, longest_schedule
from underpaint_client.steps import StepPlan, plan_steps

CONFIG: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "steps_offset": 1,
}

SHAPE = (4, 6, 8)
CLEAN = torch.linspace(-1, 1, 4 * 6 * 8).reshape(1, *SHAPE)


class PointwiseUNet(torch.nn.Module):
    """Predicts each cell's noise from that cell alone, so smoothly that solvers can follow."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[float] = []
        self.config = type("Config", (), {"time_cond_proj_dim": None, "in_channels": 4})()

    def forward(self, sample: Any, timestep: Any, **_: Any) -> tuple[Any]:
        self.calls.append(float(timestep))
        return (torch.tanh(sample * 0.8 + float(timestep) / 2000),)


class Pointwise:
    """The stock Stable Diffusion loop on the pointwise model."""

    def __new__(cls) -> Any:
        class Loop(StableDiffusion):
            def __init__(self) -> None:
                self.unet = PointwiseUNet()
                self.vae = type("VAE", (), {"config": type("C", (), {"scaling_factor": 1.0})()})()
                self.image_processor = diffusers.image_processor.VaeImageProcessor(
                    vae_scale_factor=8, vae_latent_channels=4
                )

            _execution_device = torch.device("cpu")
            scheduler: Any = None  # each run brings its own, and puts this one back
            __setattr__ = object.__setattr__  # a pipeline would look for registered parts

            def register_modules(self, **_: Any) -> None: ...

            def progress_bar(self, total: int) -> Any:
                from contextlib import nullcontext

                return nullcontext(type("Bar", (), {"update": lambda self: None})())

            def encode_prompt(self, *_: Any, prompt_embeds: Any, **__: Any) -> Any:
                return prompt_embeds, None

            def maybe_free_model_hooks(self) -> None: ...

            def run_safety_checker(self, image: Any, *_: Any) -> Any:
                return image, None

        return Loop()


def run(
    name: str,
    plan: StepPlan,
    steps: Any = None,
    seeds: tuple[int, ...] = (1,),
    *,
    clean: torch.Tensor = CLEAN,
    pure: bool = False,
    cancel_after: int = 10_000,
    config: dict[str, Any] = CONFIG,
) -> tuple[torch.Tensor, list[float], list[tuple[int, int]]]:
    loop = Pointwise()
    drawn = [draw_noise(seed, SHAPE) for seed in seeds]
    told: list[tuple[int, int]] = []
    guide = Guide(
        sampler=Sampler.make(name, config, plan.schedule),
        plan=plan,
        clean=clean,
        noise=torch.cat([noise for noise, _ in drawn]),
        steps=np.full(SHAPE[1:], plan.run) if steps is None else steps,
        pure=np.full(SHAPE[1:], pure),
        on_step=lambda step, of: told.append((step, of)),
        cancelled=lambda: len(told) >= cancel_after,
    )
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        latents = denoise(
            SD,
            loop,
            guide,
            {"prompt_embeds": torch.zeros(len(seeds), 2, 2)},
            1.0,
            [generator for _, generator in drawn],
        )
    return latents, loop.unet.calls, told


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_longest_schedules(name: str) -> None:
    longest = longest_schedule(name)
    for plan in (StepPlan(longest, 3, 3 / longest), StepPlan(longest - 1, 3, 3 / longest)):
        latents, _, _ = run(name, plan)
        assert torch.isfinite(latents).all()


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize(("steps", "strength"), [(20, 1.0), (20, 0.75), (10, 0.3), (7, 0.1)])
def test_exactly_the_planned_steps_run(name: str, steps: int, strength: float) -> None:
    plan = plan_steps(steps, strength)
    latents, calls, told = run(name, plan)
    assert torch.isfinite(latents).all()
    k = plan.run
    expected = 2 * k - 1 if name in ("k_heun", "k_dpm_2", "k_dpm_2_a") else k
    assert len(calls) == expected
    assert told[-1] == (k, k)
    assert sorted(calls, reverse=True) == pytest.approx(calls)
    # The first step's place on the 0..1000 scale is the strength, for evenly spaced schedules.
    if "karras" not in name and name not in ("lcm", "tcd", "deis", "unipc"):
        assert calls[0] == pytest.approx(1000 * k / plan.schedule, abs=1000 / plan.schedule + 2)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("steps", [4, 10, 20])
def test_a_cell_comes_out_as_it_would_alone(name: str, steps: int) -> None:
    plan = plan_steps(steps, 1.0)
    change = np.linspace(0, 1, 48).reshape(6, 8).astype(np.float32)
    shares = cell_steps(change, plan, 1.0)
    mixed, _, _ = run(name, plan, shares, seeds=(1, 2))
    for k in sorted(set(shares.ravel())):
        here = torch.from_numpy(shares == k)
        if k == 0:
            kept = CLEAN.expand_as(mixed)[:, :, here]
            torch.testing.assert_close(mixed[:, :, here], kept, rtol=0, atol=0)
            continue
        alone, _, _ = run(name, StepPlan(steps, int(k), k / steps), seeds=(1, 2))
        torch.testing.assert_close(mixed[:, :, here], alone[:, :, here], rtol=1e-5, atol=1e-5)


def stock_plms(steps: int) -> torch.Tensor:
    """Return what diffusers' own scheduler makes, with its call more, of pure noise."""
    scheduler = diffusers.PNDMScheduler(**CONFIG, skip_prk_steps=True)
    scheduler.set_timesteps(steps)
    latents = draw_noise(1, SHAPE)[0]
    model = PointwiseUNet()
    for timestep in scheduler.timesteps:
        latents = scheduler.step(model.forward(latents, timestep)[0], timestep, latents)[0]
    return latents


@pytest.mark.parametrize(("steps", "most"), [(10, 0.02), (20, 0.005), (50, 0.001)])
def test_plms_comes_close_to_stock_which_makes_a_call_more(steps: int, most: float) -> None:
    ours, calls, _ = run("plms", plan_steps(steps, 1.0), pure=True)
    stock = stock_plms(steps)
    assert len(calls) == steps
    assert (ours - stock).abs().mean() < most * stock.abs().mean()


@pytest.mark.parametrize("name", ["dpmpp_2m", "unipc", "k_lms", "deis", "dpmpp_2m_sde"])
@pytest.mark.parametrize("order", [2, 3])
def test_other_solver_orders(name: str, order: int) -> None:
    """A model's own scheduler config may ask for a higher order."""
    config = {**CONFIG, "solver_order": order}
    steps = np.tile(np.arange(8), (6, 1))
    mixed, _, _ = run(name, plan_steps(7, 1.0), steps, config=config)
    for k in range(1, 8):
        here = torch.from_numpy(steps == k)
        alone, _, _ = run(name, StepPlan(7, k, k / 7), config=config)
        torch.testing.assert_close(mixed[0][:, here], alone[0][:, here], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_picture_does_not_depend_on_its_batch(name: str) -> None:
    plan = plan_steps(10, 0.8)
    alone = [run(name, plan, seeds=(seed,))[0] for seed in (5, 6)]
    together, _, _ = run(name, plan, seeds=(5, 6))
    torch.testing.assert_close(torch.cat(alone), together, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(alone[0], alone[1])


def test_pure_cells_ignore_the_original() -> None:
    plan = plan_steps(20, 1.0)
    first, _, _ = run("k_euler", plan, pure=True)
    second, _, _ = run("k_euler", plan, pure=True, clean=torch.full_like(CLEAN, 3.0))
    torch.testing.assert_close(first, second, rtol=0, atol=0)


def test_a_cancel_ends_it_after_the_step() -> None:
    with pytest.raises(CancelledError):
        run("k_euler", plan_steps(20, 1.0), cancel_after=3)


@pytest.mark.parametrize("strength", [0.25, 0.5, 0.8])
def test_lms_from_the_middle_follows_the_fine_solution(strength: float) -> None:
    """Stock LMS weighs four derivatives when it has one, and overshoots."""
    fine, _, _ = run("k_euler", plan_steps(500, strength))
    ours, _, _ = run("k_lms", plan_steps(20, strength))
    euler, _, _ = run("k_euler", plan_steps(20, strength))
    error = (ours - fine).abs().mean()
    assert error < (euler - fine).abs().mean()


@pytest.mark.parametrize(
    ("strength", "most", "compensate", "change", "steps"),
    [
        (1.0, 1.0, False, [0, 0.02, 0.03, 0.5, 127 / 255, 1], [0, 0, 1, 10, 10, 20]),
        (0.75, 1.0, False, [0, 0.5, 1], [0, 8, 15]),  # 7.5 rounds up
        (0.75, 0.5, False, [0, 0.25, 0.5], [0, 4, 8]),
        (0.4, 1.0, True, [0, 0.5, 1], [0, 10, 20]),
        (0.01, 1.0, True, [0, 0.5, 1], [0, 10, 20]),  # the schedule could not be stretched enough
        (0.01, 1.0, False, [0, 0.2, 0.5, 1], [0, 0, 1, 1]),
    ],
)
def test_cell_steps(
    strength: float, most: float, compensate: bool, change: list[float], steps: list[int]
) -> None:
    plan = plan_steps(20, strength * most, compensate)
    found = cell_steps(np.array([change], np.float32), plan, most)
    assert found.tolist() == [steps]
