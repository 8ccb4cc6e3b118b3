"""Regions: prompts for parts of an image, and what stays as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import Attention

import controlnet_files
from runs import BASE, texture, with_hole
from tiny_flow_models import BUILDERS, build_flow_model
from underpaint.engine import Engine, Inputs, Picture
from underpaint.engine.model import Model
from underpaint.engine.plan import Plan
from underpaint.engine.region_masks import RegionShares, join_masks, share_cells, unused_notes
from underpaint.engine.regions import AttentionRegions, Mixing, divide
from underpaint.engine.reports import Viewer
from underpaint.engine.savings import PLACEMENTS, Saving
from underpaint_client.control_layers import ControlLayer
from underpaint_client.errors import BadInputError, CancelledError
from underpaint_client.geometry import Box, Extent
from underpaint_client.recipe import Recipe
from underpaint_client.regions import Region
from underpaint_client.steps import StepPlan

SIDE = 64
LAYER = with_hole(texture(SIDE, SIDE))
SNOW, FOREST = "snow, (mountain:1.4)", "autumn forest"


def mask_of(paint: Callable[[Any], object], side: int = SIDE) -> Any:
    """An RGBA layer that is transparent but for what is painted of its alpha; its colour is not."""
    layer = texture(side, side, seed=9)
    layer[..., 3] = 0
    paint(layer[..., 3])
    return layer


def fill(part: Any, value: int = 255) -> Callable[[Any], object]:
    return lambda alpha: alpha.__setitem__(part, value)


ALL = mask_of(fill(...))
LEFT = mask_of(fill((slice(None), slice(None, SIDE // 2))))
RIGHT = mask_of(fill((slice(None), slice(SIDE // 2, None))))
NONE = mask_of(fill(..., 0))
SOFT = mask_of(fill(..., 128))


def paint_all(
    engine: Engine, *regions: tuple[str, Any], layer: Any = LAYER, **changes: Any
) -> list[Picture]:
    given = tuple(Region(prompt, f"layer {n}") for n, (prompt, _) in enumerate(regions))
    rasters = {f"region_{n + 1}": mask for n, (_, mask) in enumerate(regions)}
    request = BASE.with_values(**{"steps": 4, "strength": 1.0, "regions": given, **changes})
    return list(engine.generate(request, Inputs(layer, rasters=rasters)))


def paint(engine: Engine, *regions: tuple[str, Any], **changes: Any) -> Any:
    return paint_all(engine, *regions, **changes)[0].pixels


# ---- shares ---------------------------------------------------------------------------------

WHOLE = Box(-10, 20, 64, 48)
PLAN = Plan(1.0, 1.0, StepPlan(1, 1, 1.0), WHOLE, Extent(64, 48), Extent(64, 48), ())


def shares_of(*masks: Any, plan: Plan = PLAN, whole: Box = WHOLE) -> RegionShares:
    regions = [Region("x") for _ in masks]
    rasters = {f"region_{n + 1}": mask for n, mask in enumerate(masks)}
    return share_cells(regions, rasters, whole, plan, 8)


def values(*rows: tuple[slice, slice, float]) -> Any:
    raster = np.zeros((48, 64, 1), np.float32)
    for down, across, value in rows:
        raster[down, across] = value
    return raster


EVERY = slice(None)


def test_the_upper_region_covers_the_lower_one_as_far_as_it_is_opaque() -> None:
    lower = values((EVERY, slice(0, 32), 1.0))
    upper = values((slice(0, 24), EVERY, 0.25))
    found = shares_of(lower, upper)
    assert found.rest.shape == (6, 8)
    np.testing.assert_allclose(found.regions[1][:3], 0.25)
    np.testing.assert_allclose(found.regions[1][3:], 0)
    np.testing.assert_allclose(found.regions[0][:3, :4], 0.75)
    np.testing.assert_allclose(found.regions[0][3:, :4], 1)
    np.testing.assert_allclose(found.rest[:3, 4:], 0.75)
    total = found.rest + sum(found.regions.values())
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_a_cell_has_the_mean_of_its_pixels_and_full_cells_are_exact() -> None:
    found = shares_of(values((slice(0, 12), slice(0, 8), 1.0)))
    assert found.regions[0][:, 0].tolist() == [1, 0.5, 0, 0, 0, 0]
    assert found.rest[:, 0].tolist() == [0, 0.5, 1, 1, 1, 1]


def test_regions_that_meet_inside_a_cell_leave_nothing_to_the_prompt_of_the_image() -> None:
    found = shares_of(values((EVERY, slice(0, 12), 1.0)), values((EVERY, slice(12, 64), 1.0)))
    assert not found.rest.any()
    np.testing.assert_allclose(found.regions[0][:, 1], 0.5)


def test_a_mask_is_cropped_and_scaled_as_the_layer_is_and_its_edge_repeated() -> None:
    area = Box(22, 36, 16, 16)  # at (32, 16) of the layer
    plan = Plan(1.0, 1.0, StepPlan(1, 1, 1.0), area, Extent(64, 64), Extent(80, 64), ())
    found = shares_of(values((slice(16, 32), slice(32, 40), 1.0), (EVERY, slice(48, 64), 1.0)),
                      plan=plan)  # fmt: skip
    assert found.regions[0].shape == (8, 10)
    assert found.regions[0][0, [0, 1, 2]].tolist() == [1, 1, 1]
    assert found.regions[0][0, [5, 6, 7, 8, 9]].tolist() == [0, 0, 0, 0, 0]


def test_without_a_layer_a_mask_covers_the_new_image() -> None:
    small = np.zeros((24, 16, 4), np.uint8)
    small[:, :8, 3] = 255
    found = shares_of(small)
    assert found.regions[0][:, :3].min() == 1
    assert found.regions[0][:, 5:].max() == 0


def test_a_region_outside_the_work_area_is_named_and_left_out() -> None:
    found = shares_of(values((EVERY, EVERY, 1.0)), values())
    assert list(found.regions) == [0] == list(found.hashes)
    masks = join_masks([found])
    assert masks == found.hashes
    notes = unused_notes([Region("x"), Region("y")], masks)
    assert [str(one) for one in notes] == [
        "region 2 does not reach into the part of the image that the model works on; it was not"
        " used"
    ]


ONES, HALF = np.ones((2, 2), np.float32), np.full((2, 2), 0.5, np.float32)


@pytest.mark.parametrize(
    ("rest", "regions", "said", "expected"),
    [
        (ONES, {}, [("b",)], {("a",): 1.0}),
        (0 * ONES, {0: ONES}, [("b",)], {("b",): 1.0}),
        (HALF, {0: HALF}, [("b",)], {("a",): 0.5, ("b",): 0.5}),
        (HALF, {0: HALF}, [("a",)], {("a",): 1.0}),
        (0 * ONES, {0: HALF, 1: HALF}, [("b",), ("b",)], {("b",): 1.0}),
        (HALF, {1: HALF}, [("b",), ("c",)], {("a",): 0.5, ("c",): 0.5}),
    ],
)
def test_prompts_without_a_share_are_left_out_and_equal_ones_are_one(
    rest: Any, regions: Any, said: Any, expected: Any
) -> None:
    parts = divide(RegionShares(rest, regions, {}), ("a",), said)
    assert {part.texts: float(part.share.mean()) for part in parts} == expected


# ---- whole runs -----------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["sd", "sdxl"])
@pytest.mark.parametrize("mode", ["inpaint", "img2img", "txt2img"])
def test_a_region_of_everything_is_that_prompt_alone_to_the_bit(
    engine: Engine, model: str, mode: str
) -> None:
    how = {"model": model, "mode": mode}
    plain, other = paint(engine, **how), paint(engine, prompt=SNOW, **how)
    assert (plain != other).any()
    np.testing.assert_array_equal(paint(engine, (SNOW, ALL), **how), other)
    np.testing.assert_array_equal(paint(engine, (FOREST, LEFT), (SNOW, ALL), **how), other)
    np.testing.assert_array_equal(paint(engine, ("a lake", LEFT), ("a lake", SOFT), **how), plain)
    np.testing.assert_array_equal(paint(engine, (SNOW, NONE), **how), plain)
    half = paint(engine, (SNOW, LEFT), **how)
    assert (half != plain).any()
    assert (half != other).any()
    assert (half != paint(engine, (SNOW, RIGHT), **how)).any()
    assert (half != paint(engine, (SNOW, SOFT), **how)).any()
    np.testing.assert_array_equal(paint(engine, (SNOW, LEFT), **how), half)
    np.testing.assert_array_equal(paint(engine, **how), plain)


@pytest.fixture
def latents(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """What every run has denoised: an autoencoder mixes the halves of a picture."""
    found: list[torch.Tensor] = []
    stock = Model.denoise

    def denoise(self: Model, *args: Any, **kwargs: Any) -> torch.Tensor:
        found.append(stock(self, *args, **kwargs))
        return found[-1]

    monkeypatch.setattr(Model, "denoise", denoise)
    return found


class _Local(torch.nn.Module):
    """A UNet of one cross-attention: each latent sees itself and the prompt alone."""

    def __init__(self, unet: Any) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.config, self.dtype, self.device = unet.config, unet.dtype, unet.device
        width = unet.config.cross_attention_dim
        self.attn2 = Attention(4, width, heads=1, dim_head=16).eval()
        self.add_embedding = getattr(unet, "add_embedding", None)

    def forward(self, sample: Any, _t: Any, encoder_hidden_states: Any, **_: Any) -> Any:
        positions = sample.flatten(2).transpose(1, 2)
        seen = self.attn2(
            positions, encoder_hidden_states=encoder_hidden_states, attention_mask=None
        )
        return (seen.transpose(1, 2).reshape(sample.shape) * 20,)


@pytest.mark.parametrize("model", ["sd", "sdxl"])
@pytest.mark.parametrize("negative", ["", "a, b"])
def test_each_half_is_as_its_prompt_paints_it(
    engine: Engine,
    latents: list[torch.Tensor],
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    negative: str,
) -> None:
    pipeline = engine.load(model).pipeline
    monkeypatch.setattr(pipeline, "unet", _Local(pipeline.unet))
    how = {"model": model, "negative_prompt": negative, "mode": "txt2img", "sampler": "k_euler_a"}
    paint(engine, prompt=SNOW, **how)
    paint(engine, prompt=FOREST, **how)
    paint(engine, (FOREST, RIGHT), prompt=SNOW, **how)
    paint(engine, (SNOW, LEFT), (FOREST, RIGHT), **how)
    paint(engine, (FOREST, SOFT), prompt=SNOW, **how)
    snow, forest, over, both, soft = latents
    middle = snow.shape[-1] // 2
    assert not torch.allclose(snow, forest, atol=1e-2)
    for one in (over, both):
        torch.testing.assert_close(one[..., :middle], snow[..., :middle], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(one[..., middle:], forest[..., middle:], rtol=1e-4, atol=1e-4)
    for one in (snow, forest):
        assert not torch.allclose(soft, one, atol=1e-2)


@pytest.mark.parametrize("kind", sorted(BUILDERS))
def test_a_transformer_is_called_for_each_prompt_and_the_halves_are_theirs(
    latents: list[torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """The transformer is made to return what follows from the prompt alone, in every position."""
    build_flow_model(tmp_path / kind, kind)
    monkeypatch.setenv("UNDERPAINT_MODELS", str(tmp_path))
    engine = Engine("cpu")
    transformer = engine.load(kind).placed.denoiser

    def follow_prompt(_net: Any, args: Any, kwargs: Any, output: Any) -> Any:
        prompts = kwargs.get("encoder_hidden_states", args[2] if len(args) > 2 else None)
        rows = [torch.sin(one.double().abs().sum()) for one in prompts]

        each = zip(output[0], rows, strict=True)
        values = [torch.ones_like(one) * row for one, row in each]
        return (values if isinstance(output[0], list) else torch.stack(values),)

    transformer.register_forward_hook(follow_prompt, with_kwargs=True)
    how = {"model": kind, "mode": "txt2img", "layer": None, "width": 64, "height": 64}
    how |= {"sampler": "dpmpp_2m"}
    paint(engine, prompt=SNOW, **how)
    paint(engine, prompt=FOREST, **how)
    paint(engine, (FOREST, RIGHT), prompt=SNOW, **how)
    paint(engine, (FOREST, ALL), prompt=SNOW, **how)
    snow, forest, both, whole = latents
    middle = snow.shape[-1] // 2
    assert not torch.allclose(snow, forest, atol=1e-3)
    torch.testing.assert_close(both[..., :middle], snow[..., :middle], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(both[..., middle:], forest[..., middle:], rtol=1e-5, atol=1e-5)
    assert torch.equal(whole, forest)


@pytest.mark.parametrize("kind", ["sd3", "flux", "qwen-image", "z-image"])
def test_a_flow_model_keeps_what_is_kept_and_paints_a_batch_as_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    build_flow_model(tmp_path / kind, kind)
    monkeypatch.setenv("UNDERPAINT_MODELS", str(tmp_path))
    engine = Engine("cpu")
    how = {"model": kind, "mode": "inpaint", "result": "layer"}
    plain = paint(engine, **how)
    regions = ((f"{{red|green}} {FOREST}", LEFT), ("snow", SOFT))
    alone = [paint(engine, *regions, seed=seed, **how) for seed in (7, 8)]
    assert (alone[0] != plain).any()
    opaque = LAYER[..., 3] == 255
    np.testing.assert_array_equal(alone[0][opaque], LAYER[opaque])
    monkeypatch.setattr("underpaint.engine.painter.batch_size", lambda *_, **__: 6)
    together = paint_all(engine, *regions, images=2, **how)
    for one, expected in zip(together, alone, strict=True):
        assert np.abs(one.pixels.astype(int) - expected.astype(int)).max() <= 1
    assert engine.load(kind).needs_more
    needs = engine.load(kind).needs.denoising
    np.testing.assert_array_equal(paint(engine, **how), plain)
    assert needs == 3 * engine.load(kind).needs.denoising


@torch.no_grad()
@pytest.mark.parametrize("model", ["sd", "sdxl"])
def test_in_a_whole_unet_a_share_of_all_is_that_prompt_and_what_is_avoided_stays(
    engine: Engine, model: str
) -> None:
    unet = engine.load(model).pipeline.unet
    generator = torch.Generator().manual_seed(3)
    width = unet.config.cross_attention_dim
    avoided, first, second = (torch.randn(2, 7, width, generator=generator) for _ in range(3))
    sample = torch.randn(4, 4, 6, 10, generator=generator)
    more: dict[str, Any] = {}
    if unet.config.addition_embed_type:
        times = torch.tensor([[64.0, 64, 0, 0, 64, 64]] * 4)
        more = {"added_cond_kwargs": {"text_embeds": torch.randn(4, 32, generator=generator),
                                      "time_ids": times}}  # fmt: skip

    def call(prompt: torch.Tensor) -> torch.Tensor:
        states = torch.cat([avoided, prompt])
        called = unet(sample, 500, encoder_hidden_states=states, return_dict=False, **more)
        result: torch.Tensor = called[0]
        return result

    def steered(shares: torch.Tensor) -> torch.Tensor:
        regions = AttentionRegions([{"prompt_embeds": first}, {"prompt_embeds": second}], shares)
        with regions.steering([unet]):
            return call(first)

    ones, zeros = torch.ones(6, 10), torch.zeros(6, 10)
    half = torch.cat([torch.ones(6, 5), torch.zeros(6, 5)], dim=1)
    expected = {"first": call(first), "second": call(second)}
    assert not torch.allclose(expected["first"][2:], expected["second"][2:], atol=1e-3)
    for shares, name in (((ones, zeros), "first"), ((zeros, ones), "second")):
        found = steered(torch.stack(shares))
        torch.testing.assert_close(found, expected[name], rtol=1e-4, atol=1e-4)
    found = steered(torch.stack((half, 1 - half)))
    torch.testing.assert_close(found[:2], expected["first"][:2], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found[2:], expected["first"][2:], atol=1e-3)
    assert torch.equal(call(first), expected["first"])


def test_latents_are_mixed_by_the_shares_of_their_prompts() -> None:
    shares = torch.tensor([[[1.0, 0.25]], [[0.0, 0.75]]])
    mixing = Mixing(shares)
    latents = torch.tensor([1.0, 2.0, 10.0, 20.0]).reshape(4, 1, 1, 1).expand(4, 3, 1, 2)
    mixed = mixing.mix(latents)
    assert mixed[:, 0].tolist() == [[[1.0, 7.75]], [[2.0, 15.5]]]
    assert torch.equal(mixing.spread(mixed)[2:], mixed)


# ---- promises -------------------------------------------------------------------------------


def test_kept_pixels_stay_and_alpha_is_strength(engine: Engine) -> None:
    regions = ((SNOW, LEFT), (FOREST, RIGHT))
    whole = paint(engine, *regions, result="layer")
    opaque = LAYER[..., 3] == 255
    np.testing.assert_array_equal(whole[opaque], LAYER[opaque])
    halfway, erased = (texture(SIDE, SIDE) for _ in range(2))
    halfway[..., 3], erased[..., 3] = 128, 0
    by_alpha = paint(engine, *regions, layer=halfway, steps=8)
    by_strength = paint(engine, *regions, layer=erased, strength=128 / 255, steps=8)
    colours = (one[..., :3].astype(int) for one in (by_alpha, by_strength))
    assert np.abs(np.subtract(*colours)).max() <= 1


def test_choices_in_a_region_follow_the_seed_and_a_batch_is_as_one_by_one(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    region = (
        "{red|green|blue|white|black|brown|pink} " + SNOW + ", " + "long " * 80,
        LEFT,
    )  # of two chunks
    alone = [paint(engine, region, seed=seed) for seed in (7, 8)]
    monkeypatch.setattr("underpaint.engine.painter.batch_size", lambda *_, **__: 2)
    both = paint_all(engine, region, images=2)
    said = [one.recipe.facts.regions[0].prompt for one in both]
    assert said[0] != said[1]
    for one, expected in zip(both, alone, strict=True):
        assert np.abs(one.pixels.astype(int) - expected.astype(int)).max() <= 1


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_placement_keeps_the_picture(engine: Engine, gpu: None, placement: Any) -> None:
    expected, plain = paint(engine, (SNOW, LEFT)), paint(engine)
    model = engine.load("sd")
    try:
        model.save(Saving(placement=placement))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(model), "save", lambda _model, _saving: None)
            for _ in range(2):
                np.testing.assert_array_equal(paint(engine, (SNOW, LEFT)), expected)
                np.testing.assert_array_equal(paint(engine), plain)
    finally:
        model.save(Saving())


def test_a_cancelled_run_leaves_nothing_behind_and_previews_are_shown(engine: Engine) -> None:
    plain = paint(engine)
    request = BASE.with_values(steps=4, strength=1.0, regions=(Region(SNOW),))
    inputs = Inputs(LAYER, rasters={"region_1": LEFT})
    shown: list[Any] = []
    viewer = Viewer(shown.append, every=0)
    with pytest.raises(CancelledError):
        list(engine.generate(request, inputs, cancelled=lambda: len(shown) > 1, viewer=viewer))
    assert len(shown) == 2
    np.testing.assert_array_equal(paint(engine), plain)


def test_controlnets_read_the_regions_too(
    engine: Engine, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = controlnet_files.make_controlnet(engine.load("sd").pipeline.unet)
    monkeypatch.setattr("underpaint.engine.controlnets._open", lambda *_: net)
    folder = models.parent / "controlnets"
    controlnet_files.save_folder(folder / "canny", net)
    steered: list[Any] = []
    stock = AttentionRegions.steering

    def steer(self: AttentionRegions, nets: Any) -> Any:
        steered.extend(nets)
        return stock(self, nets)

    monkeypatch.setattr(AttentionRegions, "steering", steer)
    request = BASE.with_values(
        steps=4, strength=1.0, controls=(ControlLayer("canny"),), regions=(Region(SNOW),)
    )
    try:
        inputs = Inputs(LAYER, rasters={"region_1": LEFT, "control_1": texture(64, 64, 5)})
        (picture,) = engine.generate(request, inputs)
    finally:
        shutil.rmtree(folder)
    assert steered == [engine.load("sd").pipeline.unet, net]
    assert (picture.pixels != paint(engine, (SNOW, LEFT))).any()


def test_the_recipe_has_the_regions_and_the_digests_of_their_masks(engine: Engine) -> None:
    regions = (("{snow}", LEFT), ("far", NONE), (FOREST, RIGHT))
    (made,) = paint_all(engine, *regions)
    facts = made.recipe.facts
    assert [(one.name, one.prompt) for one in facts.regions] == [
        ("layer 0", "snow"),
        ("layer 2", FOREST),
    ]
    assert "the region 'layer 1' does not reach into" in str(facts.notes)
    assert [one.prompt for one in made.recipe.request.conditioning.regions] == [
        "snow",
        "far",
        FOREST,
    ]
    assert Recipe.from_dict(made.recipe.to_dict()) == made.recipe
    (other,) = paint_all(engine, ("{snow}", RIGHT), *regions[1:])
    assert other.recipe.facts.regions[0].mask_hash != facts.regions[0].mask_hash
    assert other.recipe.facts.regions[1].mask_hash == facts.regions[1].mask_hash


def test_what_a_model_does_not_read_of_a_region_is_told(engine: Engine) -> None:
    (made,) = paint_all(engine, ("snow <layer:sky>", LEFT))
    assert "the region 'layer 0' has the layer 'sky': it was not used" in made.recipe.facts.notes


# ---- bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("regions", "rasters", "said"),
    [
        (("",), {"region_1": LEFT}, "the region 'Sky' has no prompt; write what is there"),
        (("# note",), {"region_1": LEFT}, "the region 'Sky' has no prompt"),
        (("<lora:ink>",), {"region_1": LEFT}, "'Sky' has the LoRA 'ink', which changes the whole"),
        (("(a:b:c",), {"region_1": LEFT}, None),
        (("snow\0",), {"region_1": LEFT}, "'Sky': 'snow.x00' cannot be used"),
        (("a __none__",), {"region_1": LEFT}, "none"),
        (("snow",), {}, "the region 'Sky' came without its mask; send the raster region_1"),
        (("snow",), {"region_1": LEFT, "region_2": LEFT}, "raster region_2 came, and .* 1 region"),
        (("snow",), {"region_1": LEFT[:9]}, "region_1 has 64 x 9 pixels and the layer 64 x 64"),
        (("snow",), {"region_1": LEFT[..., 3]}, "region_1 of shape"),
        (("snow",) * 9, {}, "regions has 9 entries; shorten it to 8 or fewer"),
        (("x" * 20_001,), {"region_1": LEFT}, "write 20000 characters or fewer"),
    ],
)
def test_what_cannot_be_done_is_said_before_the_run(
    engine: Engine, regions: Any, rasters: Any, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = BASE.with_values(steps=2, regions=tuple(Region(one, "Sky") for one in regions))
    run = engine.generate(request, Inputs(LAYER, rasters=rasters))
    if said is None:
        assert list(run)
        return
    monkeypatch.setattr(engine, "load", None)
    with pytest.raises(BadInputError, match=said):
        list(run)
