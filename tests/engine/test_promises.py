"""The promises behind the numbers (the design's list), end to end on real pipelines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionXLImg2ImgPipeline
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runs import BASE, make, make_all, texture, with_hole
from underpaint.engine import Engine, Inputs
from underpaint.engine.noise import draw_noise
from underpaint.engine.pixels import fraction
from underpaint.engine.samplers import Sampler
from underpaint.models import find_model
from underpaint_client.errors import BadInputError, CancelledError, GenerationFailedError
from underpaint_client.geometry import Box
from underpaint_client.request import Request

# ---- 1: kept pixels ------------------------------------------------------------------------

sides = st.integers(8, 200) | st.sampled_from([1, 2, 7, 8, 9, 63, 64, 65, 129, 1000, 3000])


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(
    data=st.data(),
    width=sides,
    height=sides,
    strength=st.sampled_from([0.0, 0.01, 0.3, 0.75, 1.0]),
    mode=st.sampled_from(["auto", "inpaint", "img2img", "txt2img"]),
    depth=st.sampled_from([np.uint8, np.uint16, np.float32]),
    kind=st.sampled_from(["layer", "patch"]),
    fill=st.sampled_from(["auto", "underpaint", "neighbours", "noise"]),
    model=st.sampled_from(["sd", "sdxl"]),
)
def test_kept_pixels_are_kept_bit_for_bit(
    engine: Engine,
    data: Any,
    width: int,
    height: int,
    strength: float,
    mode: str,
    depth: Any,
    kind: str,
    fill: str,
    model: str,
) -> None:
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    full = 1 if depth is np.float32 else np.iinfo(depth).max
    layer = (rng.random((height, width, 4)) * full).astype(depth)
    if depth is np.float32:
        layer[..., :3] *= 7  # brighter than white
    kinds = rng.choice(3, (height, width), p=[0.4, 0.3, 0.3])
    layer[..., 3] = np.choose(kinds, [full, 0, layer[..., 3]])
    layer[rng.random((height, width)) < 0.1] = 0
    selection = None
    if data.draw(st.booleans()):
        soft = rng.integers(0, 256, (height, width), dtype=np.uint8)
        selection = np.where(rng.random((height, width)) < 0.5, 0, soft).astype(np.uint8)
        if data.draw(st.booleans()):  # a small selection somewhere
            selection[:] = 0
            selection[height // 2 : height // 2 + 5, width // 2 : width // 2 + 3] = 200
    result = make(
        engine, layer, selection, strength=strength, mode=mode, result=kind, steps=2, seed=seed,
        fill=fill, model=model,
    )  # fmt: skip
    selected = np.ones((height, width), bool) if selection is None else selection > 0
    kept = ~selected
    if result.recipe.request.mode == "inpaint":
        kept |= layer[..., 3] >= full
    if strength == 0:
        kept[:] = True
    if result.kind == "layer":
        assert result.box == Box(0, 0, width, height)
        np.testing.assert_array_equal(result.pixels[kept], layer[kept])
    else:
        canvas = np.zeros_like(layer)
        box = result.box
        canvas[box.y : box.bottom, box.x : box.right] = result.pixels
        assert not canvas[kept].any()
    assert result.pixels.dtype == depth


@pytest.mark.parametrize("mode", ["auto", "inpaint", "img2img"])
def test_strength_zero_returns_the_same_bytes_and_needs_no_model(mode: str) -> None:
    layer = with_hole(texture(30, 40))
    request = Request.of(strength=0.0, model="there is no such model", mode=mode, images=2)
    pictures = list(Engine("cpu").generate(request, Inputs(layer)))
    assert len(pictures) == 2
    for picture in pictures:
        assert picture.pixels.tobytes() == layer.tobytes()
        assert picture.recipe.facts.steps_run == 0
        assert "strength 0" in picture.recipe.facts.notes[0]
        made = picture.recipe.request.sampling
        assert (made.steps, made.guidance_scale, made.sampler) == (20, 7.5, "dpmpp_2m")


def test_fit_keeps_the_scaled_source(engine: Engine) -> None:
    layer = with_hole(texture(128, 256))
    result = make(engine, layer, fit=True, width=64, height=64)
    assert (result.recipe.facts.width, result.recipe.facts.height) == (64, 32)
    kept = make(engine, layer, fit=True, width=64, height=64, strength=0.0)
    opaque = np.ones((32, 64), bool)
    opaque[8:16, 16:32] = False
    np.testing.assert_array_equal(result.pixels[opaque], kept.pixels[opaque])
    scaled = layer.astype(float).reshape(32, 4, 64, 4, 4).mean(axis=(1, 3))
    assert np.abs(kept.pixels[opaque] - scaled[opaque]).max() <= 0.5  # rounded
    assert (result.pixels[~opaque, 3] == 255).all()


# ---- 2: colour under alpha 0 ---------------------------------------------------------------


def test_hidden_colour_changes_the_result(engine: Engine) -> None:
    layer = with_hole(texture(64, 64))
    other = layer.copy()
    other[16:32, 16:32, :3] = (255, 0, 0)
    first, second = make(engine, layer), make(engine, other)
    assert (first.pixels[16:32, 16:32] != second.pixels[16:32, 16:32]).any()


def test_lost_colour_is_said(engine: Engine) -> None:
    layer = texture(64, 64)
    layer[10:20, 10:20] = 0
    assert "100 pixels had no colour left" in make(engine, layer).recipe.facts.notes[0]


# ---- 3: partial alpha ----------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "k_lms", "plms", "k_heun", "k_euler_a", "unipc"])
@pytest.mark.parametrize("model", ["sd", "sdxl"])
def test_uniform_alpha_is_strength(engine: Engine, sampler: str, model: str) -> None:
    half, erased = texture(64, 64), texture(64, 64)
    half[..., 3], erased[..., 3] = 128, 0
    same = {"sampler": sampler, "model": model, "steps": 10}
    whole = make(engine, half, strength=1.0, **same)
    halved = make(engine, erased, strength=0.5, **same)
    assert whole.recipe.facts.steps_run == halved.recipe.facts.steps_run == 5
    np.testing.assert_array_equal(whole.pixels, halved.pixels)


# ---- 4: strength x change of 1 -------------------------------------------------------------


@pytest.mark.parametrize("model", ["sd", "sdxl"])
def test_full_change_ignores_the_hidden_colour(engine: Engine, model: str) -> None:
    layer = with_hole(texture(64, 64))
    other = layer.copy()
    other[16:32, 16:32, :3] = (255, 0, 0)
    results = [make(engine, one, strength=1.0, model=model) for one in (layer, other)]
    np.testing.assert_array_equal(results[0].pixels, results[1].pixels)


def test_nothing_kept_is_txt2img(engine: Engine) -> None:
    erased = texture(64, 64)
    erased[..., 3] = 0
    painted = make(engine, erased, strength=1.0)
    from_nothing = make(engine, width=64, height=64)
    assert from_nothing.recipe.request.mode == "txt2img"
    np.testing.assert_array_equal(painted.pixels, from_nothing.pixels)


@pytest.mark.parametrize(
    ("family", "stock"),
    [("sd", StableDiffusionImg2ImgPipeline), ("sdxl", StableDiffusionXLImg2ImgPipeline)],
)
@pytest.mark.parametrize("strength", [0.5, 0.75])
def test_img2img_is_the_stock_pipelines_to_the_bit(
    engine: Engine, family: str, stock: Any, strength: float
) -> None:
    layer = texture(64, 64)
    ours = make(engine, layer, model=family, strength=strength, sampler="k_euler", seed=3)
    model = engine.load(family)
    extra = {"safety_checker": None} if family == "sd" else {}
    pipeline = stock.from_pretrained(find_model(family), local_files_only=True, **extra)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = Sampler.make("k_euler", model.scheduler_config, 8).scheduler
    # The stock pipeline draws its noise from the generator, in the shape and place we do.
    generator = torch.Generator("cpu").manual_seed(3)
    with torch.inference_mode():
        latents = model.encode(fraction(layer[..., :3]))
        expected = pipeline(
            prompt=BASE.prompt.positive,
            image=latents,
            strength=strength,
            num_inference_steps=8,
            guidance_scale=7.5,
            generator=generator,
            output_type="np",
        ).images[0]
    np.testing.assert_array_equal(ours.pixels[..., :3], np.rint(expected * 255).astype(np.uint8))


# ---- 5: modes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "mode"),
    [
        (texture(32, 32), "img2img"),
        (with_hole(texture(32, 32)), "inpaint"),
        (np.zeros((32, 32, 4), np.uint8), "txt2img"),
    ],
)
def test_auto_mode(engine: Engine, layer: Any, mode: str) -> None:
    result = make(engine, layer)
    assert result.recipe.request.mode == mode
    assert (result.pixels[..., 3] == 255).all()


def test_nothing_to_do_says_so(engine: Engine) -> None:
    layer = texture(32, 32)
    kept = make(engine, layer, mode="inpaint")
    assert kept.pixels.tobytes() == layer.tobytes()
    assert "nothing is erased" in kept.recipe.facts.notes[0]
    unselected = make(engine, layer, np.zeros((32, 32), np.uint8))
    assert "nothing is selected" in unselected.recipe.facts.notes[0]


# ---- 6: steps ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "strength", "compensate", "schedule", "run"),
    [
        (10, 0.7, False, 10, 7),
        (10, 0.4, True, 25, 10),
        (8, 0.05, False, 20, 1),
        (8, 1.0, False, 8, 8),
    ],
)
def test_steps(
    engine: Engine, steps: int, strength: float, compensate: bool, schedule: int, run: int
) -> None:
    told: list[Any] = []
    request = BASE.with_values(steps=steps, strength=strength, compensate=compensate)
    (result,) = engine.generate(request, Inputs(texture(64, 64)), progress=told.append)
    recipe = result.recipe
    assert (recipe.facts.schedule, recipe.facts.steps_run, recipe.facts.strength_run) == (
        schedule,
        run,
        run / schedule,
    )
    counted = [p.step for p in told if p.phase == "Denoising"]
    assert counted == list(range(run + 1))


def test_progress_tells_at_which_size_the_model_works_whatever_the_layer_is(
    engine: Engine,
) -> None:
    for side, images in ((256, 1), (1024, 2)):
        layer = texture(side, side)
        layer[side // 2 : side // 2 + 16, side // 2 : side // 2 + 16, 3] = 0
        told: list[Any] = []
        request = BASE.with_values(steps=2, images=images)
        *_, result = engine.generate(request, Inputs(layer), progress=told.append)
        width, height = result.recipe.facts.work_size
        assert width * height < 256 * 256
        assert {p.phase for p in told} == {"Loading the model", "Encoding", "Denoising", "Decoding"}
        for progress in told:
            is_planned = progress.phase != "Loading the model"
            assert progress.pixels == (width * height if is_planned else 0)


# ---- 7: seeds ------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "k_euler_a", "dpmpp_2m_sde"])
def test_seeds(engine: Engine, sampler: str) -> None:
    layer = with_hole(texture(64, 64))
    batch = make_all(engine, layer, images=3, seed=10, sampler=sampler)
    assert [picture.recipe.facts.seed for picture in batch] == [10, 11, 12]
    alone = make(engine, layer, seed=11, sampler=sampler)
    np.testing.assert_array_equal(batch[1].pixels, alone.pixels)
    again = make_all(engine, layer, images=3, seed=10, sampler=sampler)
    for first, second in zip(batch, again, strict=True):
        assert first.pixels.tobytes() == second.pixels.tobytes()
    assert (batch[0].pixels != batch[1].pixels).any()


def test_images_that_run_together_differ_by_a_level_at_most(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = with_hole(texture(64, 64))
    one_by_one = make_all(engine, layer, images=3, sampler="k_euler_a")
    monkeypatch.setattr("underpaint.engine.painter.batch_size", lambda *_, **__: 2)
    together = make_all(engine, layer, images=3, sampler="k_euler_a")
    for first, second in zip(one_by_one, together, strict=True):
        assert first.recipe.facts.seed == second.recipe.facts.seed
        assert np.abs(first.pixels.astype(int) - second.pixels).max() <= 1


def test_noise_comes_from_the_seed_alone() -> None:
    first, _ = draw_noise(5, (4, 8, 8))
    torch.rand(10)
    second, _ = draw_noise(5, (4, 8, 8))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert first.dtype == torch.float32


def test_no_seed_is_a_random_one_reported(engine: Engine) -> None:
    seeds = {make(engine, texture(16, 16), seed=None, steps=1).recipe.facts.seed for _ in range(3)}
    assert len(seeds) == 3


# ---- 9: size -------------------------------------------------------------------------------


def test_a_hole_is_painted_from_its_surroundings_alone(engine: Engine) -> None:
    layer = texture(700, 900)
    layer[400:420, 500:520, 3] = 0
    result = make(engine, layer)
    x, y, width, height = result.recipe.facts.work_area
    assert Box(x, y, width, height).contains(Box(500, 400, 20, 20))
    assert width * height < 300 * 300
    far = layer.copy()
    far[:200] = 0
    far[:200, :, 3] = 255
    np.testing.assert_array_equal(make(engine, far).pixels[400:], result.pixels[400:])


def test_erasing_a_little_more_keeps_the_picture(engine: Engine) -> None:
    layer = texture(400, 400)
    layer[200:220, 200:220, 3] = 0
    more = layer.copy()
    more[200:221, 200:222, 3] = 0
    first, second = make(engine, layer, strength=1.0), make(engine, more, strength=1.0)
    assert first.recipe.facts.work_area == second.recipe.facts.work_area
    drift = np.abs(first.pixels[202:218, 202:218].astype(int) - second.pixels[202:218, 202:218])
    other = make(engine, layer, strength=1.0, seed=99).pixels
    unlike = np.abs(first.pixels[202:218, 202:218].astype(int) - other[202:218, 202:218])
    assert drift.mean() < unlike.mean() / 3


def test_too_small_is_scaled_up_and_too_large_down_and_said(engine: Engine) -> None:
    small = make(engine, texture(20, 20))
    assert small.recipe.facts.work_size == (64, 64)
    large = make(engine, texture(300, 300))
    assert large.recipe.facts.work_size == (128, 128)
    assert "scaled up to 300 x 300" in large.recipe.facts.notes[0]
    assert large.pixels.shape == (300, 300, 4)


def test_the_box_replaces_the_native_size(engine: Engine) -> None:
    result = make(engine, texture(100, 200), width=96, height=96)
    assert result.recipe.facts.work_size == (96, 48)
    assert (result.recipe.facts.width, result.recipe.facts.height) == (200, 100)


def test_without_a_layer_the_box_is_the_size(engine: Engine) -> None:
    assert make(engine, width=40, height=72).pixels.shape == (72, 40, 4)
    assert make(engine).pixels.shape == (64, 64, 4)


# ---- everything else -----------------------------------------------------------------------


def test_cancel(engine: Engine) -> None:
    steps: list[Any] = []
    request = BASE.with_values(steps=50)
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
    make(engine, texture(64, 64))  # and the next one runs


def test_a_picture_that_is_no_number_is_an_error(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = engine.load("sd")
    decode = model.pipeline.vae.decode
    monkeypatch.setattr(
        model.pipeline.vae, "decode", lambda *a, **k: (decode(*a, **k)[0] * float("nan"),)
    )
    with pytest.raises(GenerationFailedError, match="'sd' painted a picture that is not a number"):
        make(engine, texture(64, 64))


def test_a_selection_needs_a_layer(engine: Engine) -> None:
    with pytest.raises(BadInputError, match="without a layer"):
        make(engine, None, np.zeros((4, 4), np.uint8))


def test_long_prompts_say_what_is_not_read(engine: Engine) -> None:
    def notes_of(words: int) -> tuple[str, ...]:
        return make(engine, texture(16, 16), prompt="word " * words, steps=1).recipe.facts.notes

    assert not notes_of(60)  # in several chunks
    assert any("and the model reads the first" in note for note in notes_of(600))


def test_half_precision_runs_with_the_same_noise(engine: Engine) -> None:
    """What a GPU does, on the CPU: bfloat16 is the half precision that works there."""
    layer = with_hole(texture(64, 64))
    full = make(engine, layer, sampler="k_euler_a")
    model = engine.load("sd")
    model.pipeline.to(torch.bfloat16)
    model.dtype = torch.bfloat16
    model.forget()
    try:
        half = make(engine, layer, sampler="k_euler_a")
        other = make(engine, layer, sampler="k_euler_a", seed=8)
    finally:
        model.pipeline.to(torch.float32)
        model.dtype = torch.float32
        model.forget()
    np.testing.assert_array_equal(half.pixels[:16], layer[:16])
    near = np.abs(half.pixels.astype(int) - full.pixels).mean()
    far = np.abs(other.pixels.astype(int) - full.pixels).mean()
    assert near < far / 4
