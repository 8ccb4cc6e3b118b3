"""Control layers: what ControlNets are given, what they add, and what stays as it was."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import controlnet_files
from runs import BASE, texture, with_hole
from tiny_models import build_model
from underpaint.engine import Engine, Inputs, Picture
from underpaint.engine import controlnets as controlnets_module
from underpaint.engine.control_pictures import make_control_picture
from underpaint.engine.controlnets import Control, ControlNets
from underpaint.engine.plan import Plan
from underpaint.engine.savings import PLACEMENTS, Saving
from underpaint.models.controlnet_list import choose_controls
from underpaint_client.control_layers import ControlLayer
from underpaint_client.errors import BadInputError, CancelledError, ModelUnavailableError
from underpaint_client.geometry import Box, Extent
from underpaint_client.steps import StepPlan

LAYER = with_hole(texture(64, 64))
LINES = texture(64, 64, seed=5)
OTHER = texture(64, 64, seed=6)
CANNY = ControlLayer("canny")


@pytest.fixture
def folder(models: Path) -> Iterator[Path]:
    """The folder of ControlNets; what a test puts there is gone after it."""
    folder = models.parent / "controlnets"
    folder.mkdir(exist_ok=True)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def canny(engine: Engine, folder: Path) -> Path:
    """A ControlNet for canny and the model `sd`."""
    net = controlnet_files.make_controlnet(engine.load("sd").pipeline.unet)
    return controlnet_files.save_folder(folder / "canny", net)


def paint_all(
    engine: Engine, *controls: ControlLayer, layer: Any = LAYER, rasters: Any = None, **changes: Any
) -> list[Picture]:
    request = BASE.with_values(**{"steps": 4, "controls": controls, **changes})
    given = rasters or {f"control_{n + 1}": LINES for n in range(len(controls))}
    return list(engine.generate(request, Inputs(layer, rasters=given)))


def paint(engine: Engine, *controls: ControlLayer, **changes: Any) -> Any:
    return paint_all(engine, *controls, **changes)[0].pixels


# ---- what they add --------------------------------------------------------------------------


def called(unet: Any, batch: int = 2) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments of a call of a UNet."""
    generator = torch.Generator().manual_seed(3)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    kwargs: dict[str, Any] = {
        "encoder_hidden_states": random(batch, 7, unet.config.cross_attention_dim)
    }
    if unet.config.addition_embed_type:
        kwargs["added_cond_kwargs"] = {
            "text_embeds": random(batch, 32),
            "time_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]] * batch),
        }
    return (random(batch, unet.config.in_channels, 8, 8), torch.tensor(500)), kwargs


@pytest.mark.parametrize("model", ["sd", "sdxl"])
@torch.no_grad()
def test_what_a_controlnet_returns_is_added_in_the_steps_that_it_holds_in(
    engine: Engine, folder: Path, model: str
) -> None:
    unet = engine.load(model).pipeline.unet
    nets = [controlnet_files.make_controlnet(unet, seed) for seed in (1, 2)]
    for name, net in zip(("canny", "depth"), nets, strict=True):
        controlnet_files.save_folder(folder / name, net)
    layers = (ControlLayer("canny", 0.5, 0.0, 0.5), ControlLayer("depth", 1.5, 0.25, 1.0))
    chosen = choose_controls(layers, engine.load(model).info)
    assert [one.name for one in chosen] == ["canny", "depth"]
    pictures = [torch.rand(1, 3, 64, 64) for _ in nets]
    loaded = ControlNets(torch.device("cpu"), torch.float32)
    loaded.load(chosen, unet)
    args, kwargs = called(unet)

    def expected(*which: int) -> Any:
        found = [
            nets[n](
                *args,
                controlnet_cond=pictures[n].expand(2, -1, -1, -1),
                conditioning_scale=layers[n].strength,
                return_dict=False,
                **kwargs,
            )
            for n in which
        ]
        if not found:
            return unet(*args, **kwargs, return_dict=False)[0]
        down = [sum(each) for each in zip(*(one[0] for one in found), strict=True)]
        mid = sum(one[1] for one in found)
        return unet(
            *args,
            **kwargs,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
            return_dict=False,
        )[0]

    controls = [Control(one, picture, "") for one, picture in zip(chosen, pictures, strict=True)]
    with loaded.steering(unet, controls, "gpu", 4):
        steps = [unet(*args, **kwargs, return_dict=False)[0] for _ in range(4)]
    for found, which in zip(steps, ((0,), (0, 1), (1,), (1,)), strict=True):
        assert torch.equal(found, expected(*which))
    assert torch.equal(unet(*args, **kwargs, return_dict=False)[0], expected())
    assert not torch.allclose(steps[0], expected(), atol=1e-2)


@torch.no_grad()
def test_a_union_is_called_once_with_all_that_it_reads(engine: Engine, folder: Path) -> None:
    model = engine.load("sdxl")
    unet = model.pipeline.unet
    net = controlnet_files.make_controlnet(unet, union=8)
    controlnet_files.save_folder(folder / "promax", net)
    layers = (ControlLayer("depth", 0.5), ControlLayer("lines", 1.5), ControlLayer("blur"))
    chosen = choose_controls(layers, model.info)
    assert [(one.name, one.number) for one in chosen] == [("promax", n) for n in (1, 3, 6)]
    loaded = ControlNets(torch.device("cpu"), torch.float32)
    loaded.load(chosen, unet)
    args, kwargs = called(unet)
    picture = torch.rand(1, 3, 64, 64)
    kinds = torch.zeros(2, 8)
    kinds[:, [1, 3, 6]] = 1
    down, mid = net(
        *args,
        controlnet_cond=[picture.expand(2, -1, -1, -1)] * 3,
        control_type=kinds,
        control_type_idx=[1, 3, 6],
        conditioning_scale=[0.5, 1.5, 1.0],
        return_dict=False,
        **kwargs,
    )
    expected = unet(
        *args,
        **kwargs,
        down_block_additional_residuals=down,
        mid_block_additional_residual=mid,
        return_dict=False,
    )[0]
    with loaded.steering(unet, [Control(one, picture, "") for one in chosen], "gpu", 1):
        assert torch.equal(unet(*args, **kwargs, return_dict=False)[0], expected)


@pytest.mark.parametrize("model", ["sd", "sdxl"])
@pytest.mark.parametrize("mode", ["inpaint", "img2img", "txt2img"])
def test_a_picture_is_held_to_a_control_layer_and_keeps_what_is_kept(
    engine: Engine, folder: Path, model: str, mode: str
) -> None:
    net = controlnet_files.make_controlnet(engine.load(model).pipeline.unet)
    controlnet_files.save_folder(folder / "canny", net)
    plain = paint(engine, model=model, mode=mode)
    held = paint(engine, CANNY, model=model, mode=mode)
    assert (held != plain).any()
    assert (
        paint(engine, CANNY, model=model, mode=mode, rasters={"control_1": OTHER}) != held
    ).any()
    if mode == "inpaint":
        whole = paint(engine, CANNY, model=model, mode=mode, result="layer")
        opaque = LAYER[..., 3] == 255
        np.testing.assert_array_equal(whole[opaque], LAYER[opaque])
    np.testing.assert_array_equal(paint(engine, CANNY, model=model, mode=mode), held)
    np.testing.assert_array_equal(paint(engine, model=model, mode=mode), plain)


def test_an_inpainting_model_shows_a_controlnet_the_noisy_latents_alone(
    models: Path, folder: Path, canny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_model(tmp_path / "fill", inpainting=True)
    monkeypatch.setenv("UNDERPAINT_MODELS", str(tmp_path))
    engine = Engine("cpu")
    plain = paint(engine, model="fill")
    assert (paint(engine, CANNY, model="fill") != plain).any()


def test_strength_0_and_no_step_leave_the_bits_of_none(engine: Engine, canny: Path) -> None:
    plain = paint(engine)
    np.testing.assert_array_equal(paint(engine, ControlLayer("canny", 0.0)), plain)
    short = ControlLayer("canny", 1.0, 0.0, 0.1)  # of so few steps it holds in none
    np.testing.assert_array_equal(paint(engine, short), plain)
    # Nothing is looked for either.
    np.testing.assert_array_equal(paint(engine, ControlLayer("pose", 0.0)), plain)


def test_every_image_of_a_batch_is_held(
    engine: Engine, canny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [paint(engine, CANNY, seed=seed).astype(int) for seed in (7, 8)]
    monkeypatch.setattr("underpaint.engine.painter.batch_size", lambda *_, **__: 2)
    both = paint_all(engine, CANNY, images=2)
    for one, expected in zip(both, alone, strict=True):
        assert np.abs(one.pixels.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_placement_keeps_the_picture(
    engine: Engine, canny: Path, gpu: None, placement: Any
) -> None:
    expected = paint(engine, CANNY)
    model = engine.load("sd")
    try:
        model.save(Saving(placement=placement))
        request = BASE.with_values(steps=4, controls=(CANNY,))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(model), "save", lambda _model, _saving: None)
            (found,) = engine.generate(request, Inputs(LAYER, rasters={"control_1": LINES}))
        np.testing.assert_array_equal(found.pixels, expected)
    finally:
        model.save(Saving())


def test_a_cancelled_run_leaves_nothing_behind(engine: Engine, canny: Path) -> None:
    plain = paint(engine)
    steps: list[int] = []
    request = BASE.with_values(steps=4, controls=(CANNY,))
    inputs = Inputs(LAYER, rasters={"control_1": LINES})
    with pytest.raises(CancelledError):
        list(
            engine.generate(
                request,
                inputs,
                progress=lambda one: steps.append(one.step),
                cancelled=lambda: 2 in steps,
            )
        )
    np.testing.assert_array_equal(paint(engine), plain)


def test_what_is_loaded_counts_and_waits_within_limits(
    engine: Engine, canny: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = engine.load("sd")
    needs = model.needs.weights
    size = sum(
        one.numel() * 4
        for one in controlnet_files.make_controlnet(model.pipeline.unet).parameters()
    )
    opened: list[Any] = []
    build = controlnets_module._build

    def count(*given: Any) -> Any:
        opened.append(given[0])
        return build(*given)

    monkeypatch.setattr(controlnets_module, "_build", count)
    paint(engine, CANNY)
    assert model.needs.weights == needs + size
    paint(engine)
    assert model.needs.weights == needs
    before = len(opened)
    paint(engine, CANNY)
    assert len(opened) == before  # it waited
    monkeypatch.setattr(controlnets_module, "KEPT_BYTES", size - 1)
    paint(engine)
    paint(engine, CANNY)
    assert len(opened) == before + 1


def test_the_recipe_has_what_was_used(engine: Engine, canny: Path) -> None:
    (made,) = paint_all(engine, ControlLayer("canny", 0.5, 0.0, 0.75))
    assert made.recipe.request.conditioning.controls == (ControlLayer("canny", 0.5, 0.0, 0.75),)
    (used,) = made.recipe.facts.controls
    assert (used.kind, used.strength, used.end, used.model) == ("canny", 0.5, 0.75, "canny")
    assert used.sha256
    assert used.picture_hash
    (other,) = paint_all(engine, CANNY, rasters={"control_1": OTHER})
    (found,) = other.recipe.facts.controls
    assert found.sha256 == used.sha256
    assert found.picture_hash != used.picture_hash
    assert type(made.recipe).from_dict(made.recipe.to_dict()) == made.recipe


# ---- files ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "layout", "prefix"),
    [
        ("sd", "diffusers", ""),
        ("sd", "original", ""),
        ("sd", "original", "control_model."),
        ("sdxl", "diffusers", ""),
        ("union", "diffusers", ""),
    ],
)
def test_one_file_is_opened_as_the_folder_is(
    engine: Engine, folder: Path, form: str, layout: str, prefix: str
) -> None:
    model = "sd" if form == "sd" else "sdxl"
    unet = engine.load(model).pipeline.unet
    net = controlnet_files.make_controlnet(unet, union=6 if form == "union" else 0)
    file = controlnet_files.save_folder(folder / "canny", net)
    expected = paint(engine, CANNY, model=model)
    shutil.rmtree(file.parent)
    tensors = controlnet_files.original(net) if layout == "original" else net.state_dict()
    controlnet_files.save_one_file(folder / "my_canny.safetensors", tensors, prefix)
    np.testing.assert_array_equal(paint(engine, CANNY, model=model), expected)


def test_the_recipe_tells_control_layers_of_every_area_apart(engine: Engine, canny: Path) -> None:
    layer, lines = texture(300, 700), texture(300, 700, seed=5)
    layer[130:150, 300:340, 3] = layer[10:20, 10:20, 3] = 0  # the largest area, and another
    other = lines.copy()
    other[:128, :128] = 0
    hashes = []
    for picture in (lines, lines, other):
        request = BASE.with_values(steps=2, controls=(CANNY,))
        (made,) = engine.generate(request, Inputs(layer, rasters={"control_1": picture}))
        assert any("in 2 areas" in note for note in made.recipe.facts.notes)
        hashes.append(made.recipe.facts.controls[0].picture_hash)
    assert hashes[0] == hashes[1] != hashes[2]


def test_weights_count_more_than_the_config_of_another_file_beside_them(
    engine: Engine, folder: Path
) -> None:
    """A union of eight kinds lies in one folder with the one of six that the config describes."""
    net = controlnet_files.make_controlnet(engine.load("sdxl").pipeline.unet, union=8)
    file = controlnet_files.save_folder(folder / "union", net)
    expected = paint(engine, ControlLayer("tile"), model="sdxl")
    config = json.loads((file.parent / "config.json").read_text())
    config["num_control_type"] = 6
    (file.parent / "config.json").write_text(json.dumps(config))
    file.rename(file.with_name("diffusion_pytorch_model_promax.safetensors"))
    found = paint(engine, ControlLayer("tile"), model="sdxl")
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda net: net.pop("controlnet_mid_block.weight"), "lacks controlnet_mid_block.weight"),
        (lambda net: net.update({"conv_in.weight": torch.zeros(16, 4, 5, 5)}), "cannot be opened"),
    ],
)
def test_a_damaged_one_is_named_before_the_picture(
    engine: Engine, folder: Path, break_it: Callable[[Any], object], told: str
) -> None:
    net = controlnet_files.make_controlnet(engine.load("sd").pipeline.unet)
    tensors = dict(net.state_dict())
    break_it(tensors)
    controlnet_files.save_one_file(folder / "canny.safetensors", tensors)
    with pytest.raises(ModelUnavailableError, match=told):
        paint(engine, CANNY)
    with pytest.raises(ModelUnavailableError, match="ControlNet .*canny.safetensors"):
        paint(engine, CANNY)


# ---- bad input ------------------------------------------------------------------------------


def test_what_cannot_be_done_is_said_before_the_run(
    engine: Engine, canny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BadInputError, match="control layer 2 .depth. came without its picture"):
        paint(engine, CANNY, ControlLayer("depth"), rasters={"control_1": LINES})
    with pytest.raises(BadInputError, match="raster control_2 came, and the request has 1"):
        paint(engine, CANNY, rasters={"control_1": LINES, "control_2": LINES})
    with pytest.raises(BadInputError, match="control_1 has 9 x 64 pixels and the layer 64 x 64"):
        paint(engine, CANNY, rasters={"control_1": LINES[:, :9]})
    with pytest.raises(BadInputError, match="control_1 of shape"):
        paint(engine, CANNY, rasters={"control_1": LINES[..., :3]})
    with pytest.raises(ModelUnavailableError, match="no ControlNet for pose fits the model 'sd'"):
        paint(engine, ControlLayer("pose"))
    with pytest.raises(ModelUnavailableError, match="no ControlNet for canny .* .SDXL.; put one"):
        paint(engine, CANNY, model="sdxl")
    with pytest.raises(
        ModelUnavailableError, match="ControlNet 'canny' is for Stable Diffusion, .* 'sdxl' is SDXL"
    ):
        paint(engine, ControlLayer("canny", model="canny"), model="sdxl")
    with pytest.raises(ModelUnavailableError, match="ControlNet 'none' is unknown; ControlNets"):
        paint(engine, ControlLayer("canny", model="none"))


# ---- pictures -------------------------------------------------------------------------------

WHOLE = Box(-10, 20, 64, 48)
PLAN = Plan(1.0, 1.0, StepPlan(1, 1, 1.0), WHOLE, Extent(64, 48), Extent(64, 48), ())


def drawing(paper: int, ink: int, *, paper_alpha: int = 255) -> Any:
    """A line on paper, or on nothing."""
    raster = np.full((48, 64, 4), paper, np.uint8)
    raster[..., 3] = paper_alpha
    raster[20:22, :, :3] = ink
    raster[20:22, :, 3] = 255
    return raster


@pytest.mark.parametrize(
    "raster",
    [
        drawing(255, 0),
        drawing(0, 255),
        drawing(0, 0, paper_alpha=0),
        drawing(0, 255, paper_alpha=0),
        drawing(255, 0, paper_alpha=0),
        drawing(255, 0)[..., :1],
    ],
)
@pytest.mark.parametrize("kind", ["lines", "scribble", "canny"])
def test_lines_become_light_on_black_however_they_were_drawn(raster: Any, kind: str) -> None:
    found = make_control_picture(raster, ControlLayer(kind), WHOLE, PLAN)
    expected = np.zeros((48, 64, 3), np.float32)
    expected[20:22] = 1
    np.testing.assert_array_equal(found, expected)


def test_a_control_picture_is_cropped_and_scaled_as_the_layer_is() -> None:
    raster = np.zeros((48, 64, 4), np.uint8)
    raster[..., 3] = 255
    raster[16:32, 32:48, 0] = 255
    plan = Plan(
        1.0, 1.0, StepPlan(1, 1, 1.0), Box(22, 36, 16, 16), Extent(32, 32), Extent(48, 32), ()
    )
    found = make_control_picture(raster, ControlLayer("depth"), WHOLE, plan)
    assert found.shape == (32, 48, 3)
    np.testing.assert_array_equal(
        found, np.broadcast_to(np.array([1, 0, 0], np.float32), (32, 48, 3))
    )


def test_a_raster_of_another_size_covers_the_picture_around_its_centre() -> None:
    raster = np.zeros((48, 128, 4), np.uint8)
    raster[..., 3] = 255
    raster[:, 32:96, 1] = 255
    found = make_control_picture(raster, ControlLayer("depth"), WHOLE, PLAN)
    np.testing.assert_array_equal(found[..., 1], np.ones((48, 64), np.float32))


def test_canny_and_blur_are_computed_where_asked_for() -> None:
    raster = np.full((48, 64, 4), 255, np.uint8)
    raster[:, 32:, :3] = 0
    edges = make_control_picture(raster, ControlLayer("canny", computed=True), WHOLE, PLAN)
    assert set(np.unique(edges)) == {0, 1}
    assert set(np.nonzero(edges[24, :, 0])[0]) <= {30, 31, 32}
    assert edges[24].any()
    blurred = make_control_picture(raster, ControlLayer("blur", computed=True), WHOLE, PLAN)
    assert 0.4 < blurred[24, 31, 0] < 0.7
    as_it_is = make_control_picture(raster, ControlLayer("blur"), WHOLE, PLAN)
    np.testing.assert_array_equal(as_it_is[24, :, 0], raster[24, :, 0] / np.float32(255))
    with pytest.raises(BadInputError, match="depth cannot be computed from a picture"):
        paint(Engine("cpu"), ControlLayer("depth", computed=True))


@pytest.mark.parametrize(
    ("span", "strength", "idle"),
    [((0.0, 0.1), 1.0, True), ((0.0, 0.5), 1.0, False), ((0.3, 0.6), 0.5, True)],
)
def test_a_span_without_a_step_is_told(
    engine: Engine, canny: Path, span: tuple[float, float], strength: float, idle: bool
) -> None:
    layer = ControlLayer("canny", 1.0, *span)
    (held,) = paint_all(engine, layer, strength=strength)  # 4 steps, or 2
    told = [note for note in held.recipe.facts.notes if "the control layer canny was not" in note]
    assert bool(told) == idle
    same = (held.pixels == paint(engine, strength=strength)).all()
    assert same == idle
    if idle:
        assert f"from {span[0]:g} to {span[1]:g} of the steps, and none of the" in told[0]
