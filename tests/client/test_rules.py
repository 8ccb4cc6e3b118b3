from __future__ import annotations

import math
from fractions import Fraction

import pytest

from underpaint_client import rules
from underpaint_client.control_layers import ControlLayer
from underpaint_client.descriptions import describe_plan, describe_size
from underpaint_client.errors import BadInputError
from underpaint_client.request import Request
from underpaint_client.samplers import choose_sampler, longest_schedule
from underpaint_client.seeds import image_seed
from underpaint_client.steps import StepPlan, plan_steps


@pytest.mark.parametrize(
    ("steps", "strength", "schedule", "run"),
    [
        (10, 0.7, 10, 7),
        (10, 0.4, 10, 4),
        (30, 0.75, 30, 23),
        (20, 0.75, 20, 15),
        (20, 0.425, 20, 9),  # 8.5 rounds up, though the float product lies below
        (20, 1.0, 20, 20),
        (1, 1.0, 1, 1),
        (1, 0.5, 1, 1),
        (1, 0.49, 2, 1),  # too few: a schedule whose one step has that strength
        (20, 0.025, 20, 1),
        (20, 0.02, 50, 1),
        (20, 0.01, 100, 1),
        (50, 0.003, 333, 1),
        (20, 0.0001, 1000, 1),  # no longer than the model was trained on
        (1000, 1.0, 1000, 1000),
        (2000, 1.0, 1000, 1000),
        (20, 1e-310, 1000, 1),
        (20, 5e-324, 1000, 1),
    ],
)
def test_steps_run(steps: int, strength: float, schedule: int, run: int) -> None:
    assert plan_steps(steps, strength) == StepPlan(schedule, run, strength)


@pytest.mark.parametrize(
    ("steps", "strength", "schedule"),
    [
        (20, 0.4, 50),
        (20, 0.7, 29),
        (20, 1.0, 20),
        (29, 0.29, 100),
        (20, 0.05, 400),
        (20, 0.01, 1000),
        (20, 1e-310, 1000),
    ],
)
def test_compensate_runs_all_steps(steps: int, strength: float, schedule: int) -> None:
    plan = plan_steps(steps, strength, compensate=True)
    assert (plan.schedule, plan.run) == (schedule, steps)


def test_compensate_says_the_strength_really_run() -> None:
    assert plan_steps(20, 0.4, compensate=True).strength_run == 0.4
    assert plan_steps(20, 0.01, compensate=True).strength_run == 0.02


def test_steps_have_no_float_surprises() -> None:
    for steps in range(1, 151):
        for hundredth in range(1, 101):
            exact = Fraction(steps * hundredth, 100) + Fraction(1, 2)
            wanted = math.floor(exact)
            plan = plan_steps(steps, hundredth / 100)
            if wanted >= 1:
                assert (plan.schedule, plan.run) == (steps, wanted)
            else:
                assert plan.run == 1
                assert plan.schedule == math.floor(Fraction(100, hundredth) + Fraction(1, 2))


def test_strength_zero_runs_nothing() -> None:
    assert plan_steps(20, 0.0).run == 0
    assert plan_steps(20, 0.0, compensate=True).run == 0


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("k_lms", "k_lms"),
        ("lms", "k_lms"),
        ("K_LMS", "k_lms"),
        ("LMSDiscreteScheduler", "k_lms"),
        ("EulerAncestralDiscreteScheduler", "k_euler_a"),
        ("euler_a", "k_euler_a"),
        ("k_dpmpp_2m", "dpmpp_2m"),
        ("auto", "dpmpp_2m"),
        ("Auto", "dpmpp_2m"),
        ("DPMSolverMultistepScheduler", "dpmpp_2m"),
        ("pndm", "plms"),
        ("ddim", "ddim"),
    ],
)
def test_sampler_names(name: str, chosen: str) -> None:
    assert choose_sampler(name) == chosen


def test_unknown_sampler_names_itself_and_the_others() -> None:
    with pytest.raises(BadInputError, match=r"'k_magic' is unknown.*k_lms"):
        choose_sampler("k_magic")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("strength", -0.1),
        ("strength", 1.01),
        ("strength", math.nan),
        ("strength", math.inf),
        ("steps", 0),
        ("steps", 1001),
        ("guidance_scale", -1.0),
        ("guidance_scale", math.nan),
        ("seed", -1),
        ("seed", 2**32),
        ("images", 0),
        ("images", 65),
        ("width", 7),
        ("height", 100_000),
        ("mode", "outpaint"),
        ("fill", "magic"),
        ("context", "above"),
        ("result", "both"),
        ("sampler", "k_magic"),
        ("prompt", "x" * 20_001),
        ("prompt", "\udcff"),
        ("model", "\ud800"),
    ],
)
def test_bad_values_are_named(field: str, value: object) -> None:
    request = Request.of(**{"width": 64, "height": 64, field: value})
    with pytest.raises(BadInputError, match=field):
        rules.check_request(request)


def test_width_needs_height() -> None:
    with pytest.raises(BadInputError, match="width 64 was given without a height"):
        rules.check_request(Request.of(width=64))
    rules.check_request(Request.of(width=64, height=64))


@pytest.mark.parametrize(
    ("context", "names", "told"),
    [
        ("layer", (), ""),
        ("below", ("context",), ""),
        ("below", (), "context 'below' needs a picture of what is below the layer; send the"),
        ("layer", ("context",), "the raster 'context' came, but the request's context is 'layer'"),
    ],
)
def test_a_context_comes_where_it_is_asked_for(
    context: str, names: tuple[str, ...], told: str
) -> None:
    request = Request.of(context=context)
    if not told:
        rules.check_rasters(request, names)
        return
    with pytest.raises(BadInputError, match=told):
        rules.check_rasters(request, names)


@pytest.mark.parametrize(
    ("controls", "names", "told"),
    [
        (0, (), ""),
        (1, ("control_1",), ""),
        (
            1,
            (),
            "the control layer 1 \\(depth\\) came without its picture; send the raster control_1",
        ),
        (1, ("control_1", "control_2"), "the raster control_2 came, and the request has 1 control"),
    ],
)
def test_a_control_layer_comes_with_its_picture(
    controls: int, names: tuple[str, ...], told: str
) -> None:
    request = Request.of(controls=(ControlLayer("depth"),) * controls)
    if not told:
        rules.check_rasters(request, names)
        return
    with pytest.raises(BadInputError, match=told):
        rules.check_rasters(request, names)


def test_seeds_count_up_and_wrap() -> None:
    assert [image_seed(2**32 - 2, j) for j in range(3)] == [2**32 - 2, 2**32 - 1, 0]


def test_plan_is_described_as_the_engine_runs_it() -> None:
    plan = plan_steps(20, 0.75)
    told = describe_plan("inpaint", 0.62, plan)
    assert told == "Fills the erased 62 % of the selection, runs 15 of 20 steps"
    told = describe_plan("inpaint", 0.62, plan, of="layer", below=True)
    assert told == "Fills the erased 62 % of the layer to fit what is below, runs 15 of 20 steps"
    assert "runs 15 of 20" in describe_plan("img2img", 1.0, plan)
    assert "erased less than 1 % of" in describe_plan("inpaint", 0.0004, plan)
    assert describe_plan("img2img", 0.0, plan_steps(20, 0)).startswith("Keeps")


@pytest.mark.parametrize(
    ("sampler", "train_steps", "longest"),
    [("k_lms", 1000, 1000), ("lcm", 1000, 50), ("tcd", 1000, 50), ("ddim", 100, 100)],
)
def test_longest_schedule(sampler: str, train_steps: int, longest: int) -> None:
    assert longest_schedule(sampler, train_steps) == longest


def test_too_many_steps_for_a_sampler_are_named() -> None:
    with pytest.raises(BadInputError, match="steps 60 are too many for the sampler lcm.*50"):
        rules.check_request(Request.of(steps=60, sampler="LCMScheduler"))


@pytest.mark.parametrize(
    ("pixels", "told"),
    [
        (1, "1 pixel"),
        (4096, "4096 pixels"),
        (99_999, "99999 pixels"),
        (100_000, "0.1 megapixels"),
        (320_000, "0.3 megapixels"),
        (16_777_216, "16.8 megapixels"),
    ],
)
def test_a_size_is_never_said_to_be_nothing(pixels: int, told: str) -> None:
    assert describe_size(pixels) == told
