"""The promises of `test_promises`, for each family that works by flow matching."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from runs import BASE, make, make_all, texture, with_hole
from tiny_flow_models import BUILDERS, build_flow_model
from underpaint.engine import Engine, Viewer
from underpaint.engine.flow_sampler import FLOW_SAMPLERS, flow_levels
from underpaint.engine.inputs import Inputs
from underpaint.engine.noise import draw_noise
from underpaint.engine.pixels import fraction
from underpaint.engine.text_processor import TextProcessor
from underpaint.models import describe_model, find_model
from underpaint_client.errors import BadInputError, CancelledError, ModelUnavailableError
from underpaint_client.request import Request
from underpaint_client.steps import StepPlan

every_kind = pytest.mark.parametrize("kind", BUILDERS)

GUIDANCE = 4.0


@pytest.fixture(scope="module")
def engine(
    session_home: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Engine]:
    """An engine that finds tiny models of each family, by the kind's name: plain, of few steps."""
    models = tmp_path_factory.mktemp("families")
    own = [item for item in request.session.items if item.path == Path(__file__)]
    specs = [getattr(item, "callspec", None) for item in own]
    for kind in {spec.params["kind"] for spec in specs if spec and "kind" in spec.params}:
        model = build_flow_model(models / kind, kind)
        few = shutil.copytree(model, models / f"{kind}-few")
        (few / "underpaint.json").write_text(json.dumps({"native": 64, "steps": 4}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERPAINT_MODELS", str(models))
        yield Engine("cpu")


def paint(engine: Engine, layer: Any = None, **changes: Any) -> Any:
    return make(engine, layer, **{"guidance_scale": GUIDANCE, **changes})


@every_kind
def test_what_is_known_of_negative_prompts_is_what_the_model_does(
    engine: Engine, kind: str
) -> None:
    model = engine.load(kind)
    assert model.info.recommended.takes_negative == model.family.takes_negative(model.pipeline)
    assert model.guided(2.0) == model.info.recommended.takes_negative


@every_kind
def test_steps_and_guidance_are_the_models_own_where_none_are_asked(
    engine: Engine, kind: str
) -> None:
    request = Request.of(prompt="a lake", model=f"{kind}-few", seed=1, width=64, height=64)
    (result,) = engine.generate(request)
    made = result.recipe.request.sampling
    own = describe_model(find_model(f"{kind}-few")).recommended
    assert (made.steps, made.sampler, result.recipe.facts.steps_run) == (4, "k_euler", 4)
    assert made.guidance_scale == own.guidance_scale != 7.5


@every_kind
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_the_kept_half_stays_bit_for_bit(engine: Engine, kind: str, strength: float) -> None:
    layer = texture(64, 96)
    layer[:, 48:, 3] = 0
    result = paint(engine, layer, model=kind, strength=strength, steps=4)
    np.testing.assert_array_equal(result.pixels[:, :48], layer[:, :48])
    assert np.abs(result.pixels[:, 48:, :3].astype(int) - layer[:, 48:, :3]).mean() > 5


@every_kind
def test_a_hole_of_a_few_cells_is_painted_and_the_latents_around_it_are_held(
    engine: Engine, kind: str
) -> None:
    layer = with_hole(texture(64, 64), 100)
    held: list[torch.Tensor] = []
    model = engine.load(kind)
    clean = model.encode(fraction(layer[..., :3]))
    decode = model.decode

    def keep(latents: torch.Tensor) -> Any:
        held.append(latents)
        return decode(latents)

    model.decode = keep  # type: ignore[method-assign]
    try:
        paint(engine, layer, model=kind, steps=4, strength=0.9)
    finally:
        del model.decode
    first, end = (side // model.info.cell for side in (16, 32))
    torch.testing.assert_close(held[0][:, end:], clean[0][:, end:], rtol=0, atol=0)
    hole = slice(first, end)
    assert (held[0][:, hole, hole] != clean[0][:, hole, hole]).all()


STOCK: dict[str, tuple[str, dict[str, Any]]] = {
    "sd3": ("StableDiffusion3Img2ImgPipeline", {"guidance_scale": GUIDANCE}),
    "flux": ("FluxImg2ImgPipeline", {"guidance_scale": GUIDANCE}),
    "schnell": ("FluxImg2ImgPipeline", {"max_sequence_length": 256}),
    "qwen-image": ("QwenImageImg2ImgPipeline", {"true_cfg_scale": GUIDANCE}),
}
"""Stock Img2Img pipelines that take latents, and their arguments for guidance."""


def open_stock(kind: str, class_name: str) -> Any:
    model = find_model(kind)
    more = {}
    if (model / "processor").is_dir():  # of which the whole needs torchvision
        more["processor"] = TextProcessor.open(model / "processor")
    pipeline = getattr(diffusers, class_name).from_pretrained(model, local_files_only=True, **more)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.mark.parametrize("kind", STOCK)
@pytest.mark.parametrize(("strength", "size"), [(0.5, (64, 64)), (0.75, (96, 64)), (1.0, (64, 80))])
def test_img2img_is_the_stock_pipelines(
    engine: Engine, kind: str, strength: float, size: tuple[int, int]
) -> None:
    height, width = size
    layer = texture(height, width)
    ours = paint(
        engine, layer, mode="img2img", model=kind, strength=strength, seed=3, negative_prompt="mud"
    )
    class_name, guidance = STOCK[kind]
    negative = {"negative_prompt": "mud"} if engine.load(kind).guided(GUIDANCE) else {}
    with torch.inference_mode():
        latents = engine.load(kind).encode(fraction(layer[..., :3]))
        expected = open_stock(kind, class_name)(
            prompt=BASE.prompt.positive,
            **negative,
            image=latents,
            strength=strength,
            height=height,
            width=width,
            num_inference_steps=8,
            generator=torch.Generator("cpu").manual_seed(3),
            output_type="np",
            **guidance,
        ).images[0]
    same = np.abs(ours.pixels[..., :3].astype(int) - np.rint(expected * 255)).max()
    assert same <= 1


TEXT_TO_IMAGE: dict[str, tuple[str, dict[str, Any]]] = {
    "sd3": ("StableDiffusion3Pipeline", {"guidance_scale": GUIDANCE}),
    "flux": ("FluxPipeline", {"guidance_scale": GUIDANCE}),
    "schnell": ("FluxPipeline", {"max_sequence_length": 256}),
    "fill": ("FluxFillPipeline", {"guidance_scale": GUIDANCE}),
    "z-image": ("ZImagePipeline", {"guidance_scale": GUIDANCE}),
    "klein": ("Flux2KleinPipeline", {"guidance_scale": 1.0}),
    "klein-base": ("Flux2KleinPipeline", {"guidance_scale": GUIDANCE}),
    "qwen-image": ("QwenImagePipeline", {"true_cfg_scale": GUIDANCE}),
    "qwen-image-2.1": ("QwenImage21Pipeline", {"true_cfg_scale": GUIDANCE}),
    "chroma": ("ChromaPipeline", {"guidance_scale": GUIDANCE}),
    "lumina2": ("Lumina2Pipeline", {"guidance_scale": GUIDANCE}),
    "krea2": ("Krea2Pipeline", {"guidance_scale": 0.0}),
    "krea2-base": ("Krea2Pipeline", {"guidance_scale": GUIDANCE}),
}
"""The stock text-to-image pipeline of each kind, and its arguments for guidance.

Fill's paints from nothing where it is shown a picture that may change all over.
"""


def stock_loop(engine: Engine, kind: str, layer: Any, spaced: list[float], steps: int) -> Any:
    """Run the stock text-to-image loop from the original under noise, over these sigmas."""
    model = engine.load(kind)
    family: Any = model.family
    height, width = layer.shape[:2]
    class_name, guidance = TEXT_TO_IMAGE[kind]
    pipeline = open_stock(kind, class_name)
    negative = {"negative_prompt": "mud"} if model.family.guided(pipeline, GUIDANCE) else {}
    if "negative_prompt" in negative and kind == "klein-base":  # it takes an encoded one alone
        negative = {"negative_prompt_embeds": pipeline.encode_prompt(prompt="mud")[0]}
    shown = {}
    if kind == "fill":
        shown = {"image": torch.zeros(1, 3, height, width),
                 "mask_image": torch.ones(1, 1, height, width)}  # fmt: skip
    with torch.inference_mode(), encoding_of_the_mode():
        clean = model.encode(fraction(layer[..., :3]))
        noise, generator = draw_noise(3, tuple(clean.shape[1:]))
        sampler: Any = model.make_sampler("k_euler", StepPlan(steps, steps, 1.0), cells_of(clean))
        if kind.startswith("qwen-image"):  # the scheduler would stretch to the last of these sigmas
            spaced = stretch(spaced, 1 / steps, sampler.mu, 0.02)
            pipeline.scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
        shifted = diffusers.FlowMatchEulerDiscreteScheduler.from_config(pipeline.scheduler.config)
        shifted.set_timesteps(sigmas=spaced, mu=sampler.mu)
        start = shifted.sigmas[0] * noise + (1 - shifted.sigmas[0]) * clean
        return pipeline(
            prompt=BASE.prompt.positive,
            **negative,
            **shown,
            latents=family.hand_over(start),
            height=height,
            width=width,
            num_inference_steps=steps,
            sigmas=spaced,
            generator=generator,
            output_type="np",
            **guidance,
        ).images[0][..., :3]


@pytest.mark.parametrize("kind", sorted(BUILDERS.keys() - STOCK))
@pytest.mark.parametrize(("strength", "size"), [(0.5, (64, 64)), (0.75, (96, 64)), (1.0, (64, 80))])
def test_img2img_is_the_stock_loop(
    engine: Engine, kind: str, strength: float, size: tuple[int, int]
) -> None:
    height, width = size
    layer = texture(height, round_up(engine, kind, width))
    ours = paint(
        engine, layer, mode="img2img", model=kind, strength=strength, seed=3, negative_prompt="mud"
    )
    spaced = [step / 8 for step in range(round(8 * strength), 0, -1)]
    expected = stock_loop(engine, kind, layer, spaced, 8)
    assert np.abs(ours.pixels[..., :3].astype(int) - np.rint(expected * 255)).max() <= 1


@contextlib.contextmanager
def encoding_of_the_mode() -> Iterator[None]:
    """Let a stock pipeline take the mode of an encoding, as the engine does, and no sample."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DiagonalGaussianDistribution, "sample", lambda self, *_, **__: self.mode())
        yield


def stretch(sigmas: list[float], last: float, mu: float, terminal: float) -> list[float]:
    """Shift sigmas, and stretch them such that the last of their schedule becomes `terminal`."""
    *shifted, end = (np.exp(mu) / (np.exp(mu) + 1 / sigma - 1) for sigma in [*sigmas, last])
    return [1 - (1 - sigma) * (1 - terminal) / (1 - end) for sigma in shifted]


def round_up(engine: Engine, kind: str, side: int) -> int:
    """Return a side that the stock pipeline takes as it is."""
    multiple = engine.load(kind).info.multiple
    return -(-side // multiple) * multiple


def cells_of(latents: torch.Tensor) -> Any:
    from underpaint_client.geometry import Extent

    return Extent(latents.shape[-1], latents.shape[-2])


@every_kind
@pytest.mark.parametrize("strength", [0.3, 0.62])
def test_a_model_of_few_steps_starts_exactly_at_its_strength(
    engine: Engine, kind: str, strength: float
) -> None:
    layer = texture(64, round_up(engine, kind, 80))
    ours = paint(
        engine, layer, mode="img2img", model=f"{kind}-few", strength=strength, seed=3, steps=4,
        negative_prompt="mud",
    )  # fmt: skip
    run = max(1, int(4 * strength + 0.5))
    assert ours.recipe.facts.steps_run == run
    assert ours.recipe.facts.strength_run == strength
    shares = strength * np.arange(run, 0, -1) / run
    if kind == "sd3":  # its schedule ends a thousandth before 0, shifted twice, and then jumps
        end = 3 * 0.001 / (1 + 2 * 0.001)
        spaced = np.interp(4 * shares, range(5), [0, *np.linspace(end, 1, 4)])
    else:
        spaced = shares
    expected = stock_loop(engine, kind, layer, spaced.tolist(), 4)
    assert np.abs(ours.pixels[..., :3].astype(int) - np.rint(expected * 255)).max() <= 1


@every_kind
@pytest.mark.parametrize("few", [False, True])
def test_uniform_alpha_is_strength(engine: Engine, kind: str, few: bool, tmp_path: Path) -> None:
    half, erased = texture(64, 64), texture(64, 64)
    half[..., 3], erased[..., 3] = 128, 0
    same: dict[str, Any] = {"model": f"{kind}-few" if few else kind, "steps": 4 if few else 10}
    whole = paint(engine, half, strength=1.0, **same)
    halved = paint(engine, erased, strength=127 / 255, **same)
    assert whole.recipe.facts.steps_run == halved.recipe.facts.steps_run == (2 if few else 5)
    assert np.abs(whole.pixels.astype(int) - halved.pixels).max() <= 1


@every_kind
def test_full_change_ignores_the_hidden_colour(engine: Engine, kind: str) -> None:
    layer = with_hole(texture(64, 64))
    other = layer.copy()
    other[16:32, 16:32, :3] = (255, 0, 0)
    results = [paint(engine, one, strength=1.0, model=kind, steps=4) for one in (layer, other)]
    np.testing.assert_array_equal(results[0].pixels, results[1].pixels)


@every_kind
def test_steps(engine: Engine, kind: str) -> None:
    for steps, strength, compensate, schedule, run in (
        (10, 0.7, False, 10, 7),
        (10, 0.4, True, 25, 10),
        (9, 0.05, False, 20, 1),
    ):
        told: list[Any] = []
        request = BASE.with_values(
            model=kind, steps=steps, strength=strength, compensate=compensate
        )
        (result,) = engine.generate(request, Inputs(texture(64, 64)), progress=told.append)
        assert (result.recipe.facts.schedule, result.recipe.facts.steps_run) == (schedule, run)
        assert [p.step for p in told if p.phase == "Denoising"] == list(range(run + 1))


@every_kind
def test_seeds_and_batches(engine: Engine, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = with_hole(texture(64, 64))
    same = {"model": kind, "images": 3, "seed": 10, "steps": 4, "guidance_scale": GUIDANCE,
            "prompt": "a {red|pale|very bright and long} {sunset|house|road|cat}"}  # fmt: skip
    one_by_one = make_all(engine, layer, **same)
    assert [picture.recipe.facts.seed for picture in one_by_one] == [10, 11, 12]
    assert len({picture.recipe.facts.prompt for picture in one_by_one}) > 1
    again = make_all(engine, layer, **same)
    for first, second in zip(one_by_one, again, strict=True):
        assert first.pixels.tobytes() == second.pixels.tobytes()
    assert (one_by_one[0].pixels != one_by_one[1].pixels).any()
    monkeypatch.setattr("underpaint.engine.painter.batch_size", lambda *_, **__: 3)
    together = make_all(engine, layer, **same)
    for first, second in zip(one_by_one, together, strict=True):
        assert np.abs(first.pixels.astype(int) - second.pixels).max() <= 1


@every_kind
def test_variations_lie_between_two_seeds(engine: Engine, kind: str) -> None:
    same = {"model": kind, "steps": 4, "width": 64, "height": 64}
    base, own = (paint(engine, seed=seed, **same).pixels.astype(int) for seed in (20, 21))
    found = {
        amount: make_all(
            engine, seed=20, images=2, variation_amount=amount, guidance_scale=GUIDANCE, **same
        )
        for amount in (0.2, 1.0)
    }
    near = found[0.2][1].pixels
    assert 0 < np.abs(near - base).mean() < np.abs(own - base).mean()
    (variation,) = found[1.0][1].recipe.facts.variations
    other = paint(engine, seed=variation.seed, **same)
    assert np.abs(found[1.0][1].pixels.astype(int) - other.pixels).max() <= 1


@every_kind
def test_previews_end_as_the_picture(engine: Engine, kind: str) -> None:
    for full in (False, True):
        shown: list[Any] = []
        request = BASE.with_values(
            model=kind, steps=5, width=80, height=64, guidance_scale=GUIDANCE
        )
        viewer = Viewer(shown.append, full=full, every=0.0)
        (result,) = engine.generate(request, viewer=viewer)
        assert [one.step for one in shown] == [1, 2, 3, 4, 5]
        assert len({one.pixels.tobytes() for one in shown}) == 5
        if full:
            last = shown[-1].pixels.astype(int)
            assert np.abs(last - result.pixels).max() <= 1
        else:
            cell = engine.load(kind).info.cell
            assert shown[-1].pixels.shape == (64 // cell, 80 // cell, 4)


@every_kind
def test_cancel(engine: Engine, kind: str) -> None:
    steps: list[Any] = []
    request = BASE.with_values(model=kind, steps=50)
    with pytest.raises(CancelledError):
        list(
            engine.generate(
                request,
                Inputs(texture(64, 64)),
                progress=steps.append,
                cancelled=lambda: len(steps) > 6,
            )
        )
    assert len(steps) <= 8
    paint(engine, texture(64, 64), model=kind, steps=2)  # and the next one runs


@every_kind
def test_any_size_is_worked_on_at_a_multiple(engine: Engine, kind: str) -> None:
    for width, height in ((40, 72), (100, 65), (130, 64)):
        result = paint(engine, texture(height, width), model=kind, steps=2, strength=0.6)
        assert result.pixels.shape == (height, width, 4)
        multiple = engine.load(kind).info.multiple
        assert not any(side % multiple for side in result.recipe.facts.work_size)


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning")  # Krea's
@every_kind
def test_half_precision_keeps_and_paints_nearly_the_same(engine: Engine, kind: str) -> None:
    layer = with_hole(texture(64, 64))
    full = paint(engine, layer, model=kind, steps=4)
    model = engine.load(kind)
    assert model.family.half == torch.bfloat16
    model.pipeline.to(torch.bfloat16)
    model.dtype = torch.bfloat16
    model.forget()
    try:
        half = paint(engine, layer, model=kind, steps=4)
        other = paint(engine, layer, model=kind, steps=4, seed=8)
    finally:
        model.pipeline.to(torch.float32)
        model.dtype = torch.float32
        model.forget()
        engine._model = None  # its weights were rounded
    np.testing.assert_array_equal(half.pixels[:16], layer[:16])
    near = np.abs(half.pixels.astype(int) - full.pixels).mean()
    far = np.abs(other.pixels.astype(int) - full.pixels).mean()
    assert near < far / 2


@every_kind
def test_a_prompt_that_is_too_long_is_said(engine: Engine, kind: str) -> None:
    plain = paint(engine, texture(16, 16), model=kind, prompt="a lake", steps=1)
    assert not any("the model reads" in note for note in plain.recipe.facts.notes)
    notes = paint(
        engine, texture(16, 16), model=kind, prompt="word " * 1000, steps=1
    ).recipe.facts.notes
    assert any("the model reads the first" in note for note in notes)


@every_kind
def test_all_samplers_of_flow_models_come_near_each_other(engine: Engine, kind: str) -> None:
    layer = with_hole(texture(64, 64))
    found = [
        paint(engine, layer, model=kind, sampler=name, strength=1.0, steps=12).pixels.astype(int)
        for name in FLOW_SAMPLERS
    ]
    other = paint(engine, layer, model=kind, strength=1.0, steps=12, seed=8).pixels
    for one in found[1:]:
        assert np.abs(one - found[0]).mean() < np.abs(other - found[0]).mean() / 2


@every_kind
def test_a_sampler_of_another_kind_is_refused(engine: Engine, kind: str) -> None:
    with pytest.raises(BadInputError, match="'ddim' does not fit.*k_euler"):
        paint(engine, texture(16, 16), model=kind, sampler="ddim")


@pytest.mark.parametrize("kind", [next(iter(BUILDERS))])
def test_a_sampler_is_refused_before_a_model_is_loaded(
    engine: Engine, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "_open", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(BadInputError, match="'ddim' does not fit.*k_euler"):
        paint(Engine("cpu"), texture(16, 16), model=kind, sampler="ddim")


@pytest.mark.parametrize("kind", ["qwen-image-2.1"])
def test_a_new_picture_has_the_alpha_that_the_model_paints(engine: Engine, kind: str) -> None:
    model = engine.load(kind)
    ours = paint(engine, model=kind, width=64, height=96, seed=3, steps=4, negative_prompt="mud")
    pipeline = open_stock(kind, TEXT_TO_IMAGE[kind][0])
    noise, generator = draw_noise(3, (8, 6, 4))
    with torch.inference_mode():
        expected = pipeline(
            prompt=BASE.prompt.positive, negative_prompt="mud", true_cfg_scale=GUIDANCE,
            latents=model.family.pack(noise), height=96, width=64, num_inference_steps=4,
            generator=generator, output_type="np",
        ).images[0]  # fmt: skip
    assert len(np.unique(ours.pixels[..., 3])) > 10
    assert np.abs(ours.pixels.astype(int) - np.rint(expected * 255)).max() <= 1
    layer = with_hole(texture(64, 64))
    filled = paint(engine, layer, model=kind, steps=4, strength=1.0)
    assert (filled.pixels[..., 3] == 255).all()  # a hole is filled as promised, and so is a patch


def test_a_distilled_model_runs_at_its_own_noise_levels() -> None:
    from underpaint.engine.families.qwen_image_21 import space_steps

    own = [1.0, 0.9, 0.6, 0.2]
    assert space_steps(own, 4) == own
    assert space_steps(own, 2) == [1.0, 0.6]
    assert space_steps(own, 8)[:3] == pytest.approx([1.0, 0.95, 0.9])
    assert space_steps(None, 4) == [1.0, 0.75, 0.5, 0.25]


def test_a_family_that_is_not_supported_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "PixArtSigmaPipeline"}')
    with pytest.raises(ModelUnavailableError, match="PixArtSigmaPipeline, which is not supported"):
        describe_model(tmp_path)


# ---- noise levels --------------------------------------------------------------------------


@pytest.mark.parametrize("exact", [False, True])
def test_a_schedule_of_one_step_begins_with_noise_alone(exact: bool) -> None:
    for config in SHIFTS:
        found = flow_levels(config, StepPlan(1, 1, 1.0, exact), [1.0], 0.8)
        torch.testing.assert_close(found, torch.tensor([1.0, 0.0]))


SHIFTS: list[dict[str, Any]] = [
    {"shift": 3.0},
    {"use_dynamic_shifting": True},
    {"use_dynamic_shifting": True, "shift_terminal": 0.02},
    {"use_dynamic_shifting": True, "time_shift_type": "linear"},
]


@pytest.mark.parametrize("config", SHIFTS)
@pytest.mark.parametrize("own", [False, True])
def test_an_exact_start_at_a_step_is_that_step(config: dict[str, Any], own: bool) -> None:
    for schedule, run in ((4, 4), (4, 1), (8, 5), (20, 7)):
        spaced = None if own else np.linspace(1, 1 / schedule, schedule).tolist()
        share, exact = (
            flow_levels(config, StepPlan(schedule, run, run / schedule, exact), spaced, 0.8)
            for exact in (False, True)
        )
        assert len(share) == run + 1
        assert share[-1] == 0
        torch.testing.assert_close(share, exact, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("config", SHIFTS)
def test_a_stronger_run_starts_at_more_noise(config: dict[str, Any]) -> None:
    spaced = np.linspace(1, 0.25, 4).tolist()
    strengths = np.linspace(0.02, 1, 50)
    found = [
        float(flow_levels(config, StepPlan(4, max(1, round(4 * s)), s, True), spaced, 0.8)[0])
        for s in strengths
    ]
    assert sorted(found) == found
    assert found[-1] == 1.0
    assert found[0] < 0.2


class PointwiseLoop:
    """A stock text-to-image loop on a model that looks at each cell alone."""

    vae_scale_factor = 8
    scheduler: Any = None

    def __call__(
        self, *, latents: Any, callback_on_step_end: Callable[..., Any], **_: Any
    ) -> tuple[Any]:
        self.scheduler.set_timesteps(4, mu=9.0)  # ignored, as our schedule is set
        for index, timestep in enumerate(self.scheduler.timesteps):
            output = torch.tanh(latents * 0.8 + float(timestep) / 2000)
            latents = self.scheduler.step(output, timestep, latents, return_dict=False)[0]
            state = callback_on_step_end(self, index, timestep, {"latents": latents})
            latents = state["latents"]
        return (latents,)


@pytest.mark.parametrize("name", FLOW_SAMPLERS)
@pytest.mark.parametrize("few", [False, True])
def test_a_cell_comes_out_as_it_would_alone(few: bool, name: str) -> None:
    """At its own strength, or, in a run of few steps, at that of the step where it joins."""
    from underpaint.engine.denoise import Guide, cell_steps, denoise
    from underpaint.engine.families.sd3 import FAMILY
    from underpaint.engine.flow_sampler import FlowSampler

    shape = (16, 6, 8)
    clean = torch.linspace(-1, 1, 16 * 48).reshape(1, *shape)
    noise, generator = draw_noise(1, shape)

    def run(plan: StepPlan, steps: Any) -> torch.Tensor:
        guide = Guide(
            sampler=FlowSampler.make_flow(name, {"shift": 3.0}, None, 0.0),
            plan=plan,
            clean=clean,
            noise=noise,
            steps=steps,
            pure=np.zeros((6, 8), bool),
            on_step=lambda *_: None,
            cancelled=lambda: False,
        )
        return denoise(FAMILY, PointwiseLoop(), guide, {}, 1.0, [generator])

    plan = StepPlan(4, 3, 0.7, exact=True) if few else StepPlan(20, 14, 0.7)
    change = np.linspace(0, 1, 48).reshape(6, 8).astype(np.float32)
    shares = cell_steps(change, plan, 1.0)
    assert set(shares.ravel()) == set(range(plan.run + 1))
    mixed = run(plan, shares)
    for k in range(plan.run + 1):
        here = torch.from_numpy(shares == k)
        if k == 0:
            torch.testing.assert_close(mixed[:, :, here], clean[:, :, here], rtol=0, atol=0)
            continue
        strength = 0.7 * k / 3 if few else k / 20
        alone = run(StepPlan(plan.schedule, k, strength, few), np.full((6, 8), k))
        torch.testing.assert_close(mixed[:, :, here], alone[:, :, here], rtol=1e-4, atol=1e-4)
