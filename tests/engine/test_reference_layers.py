"""Reference layers by IP-Adapters: what they add, and what stays as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import controlnet_files
import ip_adapter_files as files
from runs import BASE, texture, with_hole
from tiny_models import build_model
from underpaint.engine import Engine, Inputs, Picture
from underpaint.engine import ip_adapters as ip_adapters_module
from underpaint.engine.ip_adapters import IpAdapters, Reference, find_place
from underpaint.engine.reference_pictures import make_reference_picture, read_picture
from underpaint.engine.savings import PLACEMENTS, Saving
from underpaint.models.ip_adapter_list import choose_references, list_vision_models
from underpaint_client.control_layers import ControlLayer
from underpaint_client.errors import BadInputError, CancelledError, ModelUnavailableError
from underpaint_client.reference_layers import ReferenceLayer

LAYER = with_hole(texture(64, 64))
PHOTO = texture(48, 80, seed=5)
OTHER = texture(30, 20, seed=6)
SUBJECT = ReferenceLayer("subject")


@pytest.fixture
def folder(models: Path) -> Iterator[Path]:
    """The folder of IP-Adapters; what a test puts there is gone after it."""
    folder = models.parent / "ip_adapters"
    files.save_vision_model(models.parent / "clip_vision" / "small")
    folder.mkdir(exist_ok=True)
    yield folder
    shutil.rmtree(folder)
    shutil.rmtree(models.parent / "clip_vision")


@pytest.fixture
def plain(engine: Engine, folder: Path) -> Path:
    """An IP-Adapter for the model `sd`."""
    tensors = files.make_ip_adapter(engine.load("sd").pipeline.unet)
    return files.save_ip_adapter(folder / "plain.safetensors", tensors)


def paint_all(
    engine: Engine,
    *references: ReferenceLayer,
    layer: Any = LAYER,
    rasters: Any = None,
    **changes: Any,
) -> list[Picture]:
    request = BASE.with_values(**{"steps": 4, "references": references, **changes})
    given = rasters or {f"reference_{n + 1}": PHOTO for n in range(len(references))}
    return list(engine.generate(request, Inputs(layer, rasters=given)))


def paint(engine: Engine, *references: ReferenceLayer, **changes: Any) -> Any:
    return paint_all(engine, *references, **changes)[0].pixels


# ---- what they add --------------------------------------------------------------------------


@pytest.mark.parametrize("plus", [False, True])
@pytest.mark.parametrize("guidance", [1.0, 5.0])
@torch.no_grad()
def test_a_run_has_the_bits_of_the_stock_pipeline_with_the_adapter(
    engine: Engine, folder: Path, plus: bool, guidance: float
) -> None:
    model = engine.load("sd")
    tensors = files.make_ip_adapter(model.pipeline.unet, plus=plus)
    files.save_ip_adapter(folder / "one.safetensors", tensors)
    latents: list[torch.Tensor] = []
    with pytest.MonkeyPatch.context() as patch:
        decode = type(model).decode

        def keep(self: Any, one: torch.Tensor) -> Any:
            latents.append(one)
            return decode(self, one)

        patch.setattr(type(model), "decode", keep)
        paint(
            engine,
            ReferenceLayer("subject", 0.7),
            mode="txt2img",
            layer=None,
            sampler="k_euler",
            guidance_scale=guidance,
            width=64,
            height=64,
        )
    stock = stock_run(engine, tensors, guidance, plus)
    assert torch.equal(latents[0], stock)


def stock_run(engine: Engine, tensors: Any, guidance: float, plus: bool) -> torch.Tensor:
    """Paint with diffusers' own pipeline and `load_ip_adapter`."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionPipeline

    from underpaint.engine.noise import draw_noise

    path = engine.load("sd").info.path
    pipeline = StableDiffusionPipeline.from_pretrained(path, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    config = {"timestep_spacing": "leading", "steps_offset": 1}
    pipeline.scheduler = EulerDiscreteScheduler.from_config(
        {**engine.load("sd").scheduler_config, **config}
    )
    split: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for name, one in tensors.items():
        part, _, rest = name.partition(".")
        split[part][rest] = one
    pipeline.load_ip_adapter(split, subfolder="", weight_name="", image_encoder_folder=None)
    pipeline.set_ip_adapter_scale(0.7)
    (encoder,) = list_vision_models()
    colour = make_reference_picture(PHOTO)
    assert colour is not None
    read = read_picture(colour, encoder, "patches" if plus else "projection")[:, None]
    made: torch.Tensor = pipeline(
        "a lake",
        height=64,
        width=64,
        num_inference_steps=4,
        guidance_scale=guidance,
        latents=draw_noise(7, (4, 8, 8))[0],
        ip_adapter_image_embeds=[read if guidance > 1 else read[1:]],
        output_type="latent",
        return_dict=False,
    )[0][0]
    return made


def test_an_adapter_of_zeros_changes_nothing(engine: Engine, folder: Path) -> None:
    expected = paint(engine)
    tensors = files.make_ip_adapter(engine.load("sd").pipeline.unet, scale=0)
    files.save_ip_adapter(folder / "zeros.safetensors", tensors)
    np.testing.assert_array_equal(paint(engine, SUBJECT), expected)


@pytest.mark.parametrize("model", ["sd", "sdxl"])
@pytest.mark.parametrize("mode", ["inpaint", "img2img", "txt2img"])
def test_a_picture_takes_on_a_reference_and_keeps_what_is_kept(
    engine: Engine, folder: Path, model: str, mode: str
) -> None:
    tensors = files.make_ip_adapter(engine.load(model).pipeline.unet)
    files.save_ip_adapter(folder / "one.safetensors", tensors)
    expected = paint(engine, model=model, mode=mode)
    found = paint(engine, SUBJECT, model=model, mode=mode)
    assert (found != expected).any()
    other = paint(engine, SUBJECT, model=model, mode=mode, rasters={"reference_1": OTHER})
    assert (other != found).any()
    if mode == "inpaint":
        whole = paint(engine, SUBJECT, model=model, mode=mode, result="layer")
        opaque = LAYER[..., 3] == 255
        np.testing.assert_array_equal(whole[opaque], LAYER[opaque])
    np.testing.assert_array_equal(paint(engine, SUBJECT, model=model, mode=mode), found)
    np.testing.assert_array_equal(paint(engine, model=model, mode=mode), expected)


def test_partial_alpha_is_partial_change_with_a_reference_too(engine: Engine, plain: Path) -> None:
    """Alpha 128 at strength 1 is alpha 0 at strength .5 (promise 3)."""
    half, gone = texture(64, 64), texture(64, 64)
    half[..., 3], gone[..., 3] = 128, 0
    common = {"sampler": "k_euler", "steps": 8, "mode": "inpaint", "blend": "none"}
    one = paint(engine, SUBJECT, layer=half, strength=1.0, **common)
    change = 127 / 255
    other = paint(engine, SUBJECT, layer=gone, strength=change, **common)
    assert np.abs(one[..., :3].astype(int) - other[..., :3]).max() <= 1


def test_strength_0_and_no_step_leave_the_bits_of_none(engine: Engine, plain: Path) -> None:
    expected = paint(engine)
    np.testing.assert_array_equal(paint(engine, ReferenceLayer("subject", 0.0)), expected)
    short = ReferenceLayer("subject", 1.0, 0.0, 0.1)  # of so few steps it is read in none
    np.testing.assert_array_equal(paint(engine, short), expected)


def test_start_and_end_say_in_which_steps_it_is_read(engine: Engine, plain: Path) -> None:
    layers = (ReferenceLayer("subject", end=0.5), ReferenceLayer("subject", start=0.5), SUBJECT)
    found = [paint(engine, one, strength=1.0) for one in layers]
    assert (found[0] != found[2]).any()
    assert (found[1] != found[2]).any()
    assert (found[0] != found[1]).any()
    both = paint(engine, *layers[:2], strength=1.0)
    np.testing.assert_array_equal(both, found[2])


def test_every_image_of_a_batch_takes_it_on(
    engine: Engine, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = [paint(engine, SUBJECT, seed=seed).astype(int) for seed in (7, 8)]
    monkeypatch.setattr("underpaint.engine.painter.batch_size", lambda *_, **__: 2)
    both = paint_all(engine, SUBJECT, images=2)
    for one, expected in zip(both, alone, strict=True):
        assert np.abs(one.pixels.astype(int) - expected).max() <= 1


def test_two_references_and_a_control_layer_work_together(
    engine: Engine, plain: Path, models: Path
) -> None:
    net = controlnet_files.make_controlnet(engine.load("sd").pipeline.unet)
    file = controlnet_files.save_folder(models.parent / "controlnets" / "canny", net)
    rasters = {"reference_1": PHOTO, "reference_2": OTHER, "control_1": texture(64, 64, 9)}
    references = (ReferenceLayer("style", 0.5), SUBJECT)
    try:
        common = {"controls": (ControlLayer("canny"),), "rasters": rasters}
        both = paint(engine, *references, **common)
        one_less = {name: one for name, one in rasters.items() if name != "reference_2"}
        alone = paint(engine, references[0], **{**common, "rasters": one_less})
        held = paint(engine, controls=common["controls"], rasters={"control_1": texture(64, 64, 9)})
    finally:
        shutil.rmtree(file.parent.parent)
    assert (both != alone).any()
    assert (alone != held).any()


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_placement_keeps_the_picture_with_references(
    engine: Engine, plain: Path, gpu: None, placement: Any
) -> None:
    expected = paint(engine, SUBJECT)
    model = engine.load("sd")
    try:
        model.save(Saving(placement=placement))
        request = BASE.with_values(steps=4, references=(SUBJECT,))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(model), "save", lambda _model, _saving: None)
            (found,) = engine.generate(request, Inputs(LAYER, rasters={"reference_1": PHOTO}))
        np.testing.assert_array_equal(found.pixels, expected)
    finally:
        model.save(Saving())


def test_a_cancelled_run_leaves_no_reference_behind(engine: Engine, plain: Path) -> None:
    expected = paint(engine)
    unet = engine.load("sd").pipeline.unet
    before = {name: type(one) for name, one in unet.attn_processors.items()}
    steps: list[int] = []
    request = BASE.with_values(steps=4, references=(SUBJECT,))
    with pytest.raises(CancelledError):
        list(
            engine.generate(
                request,
                Inputs(LAYER, rasters={"reference_1": PHOTO}),
                progress=lambda one: steps.append(one.step),
                cancelled=lambda: 2 in steps,
            )
        )
    assert {name: type(one) for name, one in unet.attn_processors.items()} == before
    np.testing.assert_array_equal(paint(engine), expected)


def test_adapters_count_and_wait_and_a_picture_is_read_once(
    engine: Engine, plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = engine.load("sd")
    needs = model.needs.weights
    size = sum(one.numel() * 4 for one in files.make_ip_adapter(model.pipeline.unet).values())
    calls: list[str] = []

    def counted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            calls.append(name)
            return function(*given)

        return call

    build = counted("build", ip_adapters_module._build)
    monkeypatch.setattr(ip_adapters_module, "_build", build)
    monkeypatch.setattr("underpaint.engine.model.read_picture", counted("read", read_picture))
    model.forget()
    model._ip_adapters = IpAdapters(model.device, model.dtype)
    paint(engine, SUBJECT)
    assert model.needs.weights == needs + size
    paint(engine)
    assert model.needs.weights == needs
    paint(engine, ReferenceLayer("style"))
    assert calls == ["build", "read"]
    monkeypatch.setattr(ip_adapters_module, "KEPT_BYTES", size - 1)
    paint(engine)
    paint(engine, SUBJECT)
    assert calls.count("build") == 2
    assert calls.count("read") == 1


def test_the_recipe_has_what_was_read(engine: Engine, plain: Path) -> None:
    layer = ReferenceLayer("style", 0.5, 0.0, 0.75, name="monet")
    (made,) = paint_all(engine, layer)
    assert made.recipe.request.conditioning.references == (layer,)
    (used,) = made.recipe.facts.references
    assert (used.kind, used.strength, used.end, used.model) == ("style", 0.5, 0.75, "plain")
    assert (used.name, used.encoder) == ("monet", "small/model")
    assert len({used.sha256, used.encoder_sha256, used.picture_hash, ""}) == 4
    (other,) = paint_all(engine, layer, rasters={"reference_1": OTHER})
    (found,) = other.recipe.facts.references
    assert found.sha256 == used.sha256
    assert found.picture_hash != used.picture_hash
    assert type(made.recipe).from_dict(made.recipe.to_dict()) == made.recipe


# ---- style, composition, subject ------------------------------------------------------------

SD1 = [
    f"{way}_blocks.{block}.attentions.{layer}.transformer_blocks.0.attn{kind}.processor"
    for way, blocks, layers in (("down", (0, 1, 2), 2), ("up", (1, 2, 3), 3))
    for block in blocks
    for layer in range(layers)
    for kind in (1, 2)
]
SDXL = [
    f"{way}_blocks.{block}.attentions.{layer}.transformer_blocks.{part}.attn2.processor"
    for way, blocks, layers in (("down", ((1, 2), (2, 10)), 2), ("up", ((0, 10), (1, 2)), 3))
    for block, parts in blocks
    for layer in range(layers)
    for part in range(parts)
]


@pytest.mark.parametrize(
    ("names", "kind", "place"),
    [
        (SD1, "subject", ""),
        (SD1, "style", "up_blocks.1."),
        (SD1, "composition", "down_blocks.2."),
        (SDXL, "subject", ""),
        (SDXL, "style", "up_blocks.0.attentions.1."),
        (SDXL, "composition", "down_blocks.2.attentions.1."),
    ],
)
def test_each_kind_has_its_place(names: list[str], kind: str, place: str) -> None:
    assert find_place(kind, names) == place


@torch.no_grad()
def test_style_and_composition_are_added_in_their_blocks_alone(engine: Engine, plain: Path) -> None:
    model = engine.load("sd")
    unet = model.pipeline.unet
    seen: dict[str, dict[str, float]] = {}
    for kind in ("style", "composition", "subject"):
        chosen = choose_references((ReferenceLayer(kind, 0.5),), model.info)
        loaded = IpAdapters(torch.device("cpu"), torch.float32)
        loaded.load(chosen, unet)
        reference = Reference(chosen[0], torch.randn(2, files.PROJECTION), "")
        with loaded.reading(unet, [reference], "gpu", 1, guided=True):
            processors = unet.attn_processors
            unet(
                torch.randn(2, 4, 8, 8),
                torch.tensor(5),
                encoder_hidden_states=torch.randn(2, 7, unet.config.cross_attention_dim),
            )
            seen[kind] = {name: processors[name].scale[0] for name in files.attentions(unet)}
    for kind, way in (("style", "up"), ("composition", "down")):
        assert {name for name, scale in seen[kind].items() if scale} == {
            name for name in seen[kind] if name.startswith(way)
        }
    assert set(seen["subject"].values()) == {0.5}


# ---- pictures -------------------------------------------------------------------------------


def test_a_reference_is_what_is_seen_of_a_layer_on_white() -> None:
    raster = np.zeros((10, 12, 4), np.uint8)
    raster[2:5, 3:9] = (10, 20, 30, 255)
    raster[2, 3, 3] = 0
    raster[2, 4, 3] = 51
    found = make_reference_picture(raster)
    assert found is not None
    assert found.shape == (3, 6, 3)
    np.testing.assert_array_equal(found[0, 0], 1)
    np.testing.assert_allclose(found[0, 1] * 255, 255 - 0.2 * np.array([245, 235, 225]), atol=1e-3)
    np.testing.assert_allclose(found[1:] * 255, np.broadcast_to([10, 20, 30], (2, 6, 3)), atol=1e-4)
    grey = make_reference_picture(raster[..., :1])
    assert grey is not None
    assert grey.shape == (10, 12, 3)
    assert make_reference_picture(np.zeros((4, 4, 4), np.uint8)) is None


@torch.no_grad()
def test_a_picture_is_read_as_transformers_does(folder: Path, models: Path) -> None:
    from PIL import Image
    from transformers import CLIPImageProcessorPil, CLIPVisionModelWithProjection

    path = models.parent / "clip_vision" / "small"
    model = CLIPVisionModelWithProjection.from_pretrained(path).eval()
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}
    )
    pixels = processor(Image.fromarray(PHOTO[..., :3]), return_tensors="pt").pixel_values
    (encoder,) = list_vision_models()
    colour = make_reference_picture(PHOTO)
    assert colour is not None
    whole = read_picture(colour, encoder, "projection")
    assert torch.equal(whole[1:], model(pixels).image_embeds)
    assert not whole[0].any()
    parts = read_picture(colour, encoder, "patches")
    expected = model(pixels, output_hidden_states=True).hidden_states[-2]
    torch.testing.assert_close(parts[1:], expected)
    assert parts.shape == (2, 5, files.WIDTH)


# ---- bad input ------------------------------------------------------------------------------


def test_what_cannot_be_done_is_said_before_the_run(
    engine: Engine, plain: Path, folder: Path, models: Path
) -> None:
    with pytest.raises(BadInputError, match="reference layer 2 .style. came without its picture"):
        paint(engine, SUBJECT, ReferenceLayer("style"), rasters={"reference_1": PHOTO})
    with pytest.raises(BadInputError, match="raster reference_2 came, and the request has 1"):
        paint(engine, SUBJECT, rasters={"reference_1": PHOTO, "reference_2": PHOTO})
    with pytest.raises(BadInputError, match="reference_1 of shape"):
        paint(engine, SUBJECT, rasters={"reference_1": PHOTO[..., :3]})
    with pytest.raises(BadInputError, match="reference layer 1 .subject. is empty"):
        paint(engine, SUBJECT, rasters={"reference_1": np.zeros((8, 8, 4), np.uint8)})
    with pytest.raises(BadInputError, match="reference layer 'mood' is unknown; choose one of"):
        paint(engine, ReferenceLayer("mood"))
    with pytest.raises(BadInputError, match="references has 5 entries|at most 4|most 4"):
        paint(engine, *(SUBJECT,) * 5)
    with pytest.raises(
        ModelUnavailableError, match="no IP-Adapter fits the model 'sdxl' .SDXL.; put one into .*"
    ):
        paint(engine, SUBJECT, model="sdxl")
    with pytest.raises(ModelUnavailableError, match="IP-Adapter 'none' is unknown; IP-Adapters"):
        paint(engine, ReferenceLayer("subject", model="none"))
    shutil.rmtree(models.parent / "clip_vision" / "small")
    with pytest.raises(ModelUnavailableError, match="'plain' reads pictures by a CLIP vision mod"):
        paint(engine, SUBJECT)


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda one: one.pop("ip_adapter.1.to_v_ip.weight"), "cannot be opened, or does not fit"),
        (
            lambda one: one.pop("ip_adapter.3.to_k_ip.weight"),
            "it is for 3 layers, and the model.s UNet has 4",
        ),
        (
            lambda one: one.update({"ip_adapter.1.to_k_ip.weight": torch.zeros(9, 32)}),
            "cannot be opened, or does not fit",
        ),
    ],
)
def test_a_damaged_adapter_is_named_before_the_picture(
    engine: Engine, folder: Path, break_it: Callable[[Any], object], told: str
) -> None:
    tensors = files.make_ip_adapter(engine.load("sd").pipeline.unet)
    break_it(tensors)
    files.save_ip_adapter(folder / "broken.safetensors", tensors)
    with pytest.raises(ModelUnavailableError, match=told):
        paint(engine, SUBJECT)
    with pytest.raises(ModelUnavailableError, match="IP-Adapter .*broken.safetensors"):
        paint(engine, SUBJECT)


def test_a_family_without_them_says_so(
    engine: Engine, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tiny_flow_models import build_flow_model

    build_flow_model(tmp_path / "flow", "z-image")
    monkeypatch.setenv("UNDERPAINT_MODELS", str(tmp_path))
    with pytest.raises(ModelUnavailableError, match="reference layers work with Stable Diffusion"):
        paint(Engine("cpu"), SUBJECT, model="flow")


def test_an_inpainting_model_takes_on_a_reference(
    models: Path, folder: Path, plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_model(tmp_path / "fill", inpainting=True)
    monkeypatch.setenv("UNDERPAINT_MODELS", str(tmp_path))
    engine = Engine("cpu")
    expected = paint(engine, model="fill")
    assert (paint(engine, SUBJECT, model="fill") != expected).any()
