"""The mode edit: models that see the layer and reference layers, and follow an instruction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from transformers import Qwen2Tokenizer

from runs import BASE, texture
from tiny_flow_models import build_flow_model
from underpaint.engine import Engine, Inputs, Picture
from underpaint.engine.families import qwen_image
from underpaint.engine.families.qwen_image import _Reader
from underpaint.engine.noise import draw_noise
from underpaint.engine.pixels import fraction
from underpaint.engine.savings import PLACEMENTS, Saving
from underpaint.engine.shown_pictures import fit_picture
from underpaint.models import find_model
from underpaint_client.errors import BadInputError, ModelUnavailableError
from underpaint_client.reference_layers import ReferenceLayer
from underpaint_client.regions import Region

GUIDANCE = 4.0
LAYER = texture(64, 64)
CAT = texture(48, 32, seed=5)
SUBJECT = ReferenceLayer("subject", name="Cat")

PIPELINES = {
    "kontext": ("flux", "FluxKontextPipeline"),
    "klein": ("klein", "Flux2KleinPipeline"),
    "qwen-edit": ("qwen-image", "QwenImageEditPipeline"),
    "qwen-plus": ("qwen-image", "QwenImageEditPlusPipeline"),
}
"""The tiny model that each is built from, and the pipeline of an edit model's folder."""

every_kind = pytest.mark.parametrize("kind", PIPELINES)


@pytest.fixture(scope="module")
def engine(session_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An engine that finds a tiny edit model of each family, and a plain one."""
    models = tmp_path_factory.mktemp("editors")
    for kind, (plain, pipeline) in PIPELINES.items():
        folder = build_flow_model(models / kind, plain)
        index = json.loads((folder / "model_index.json").read_text())
        (folder / "model_index.json").write_text(json.dumps({**index, "_class_name": pipeline}))
        if plain == "qwen-image":
            add_places(folder)
    build_flow_model(models / "plain", "z-image")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERPAINT_MODELS", str(models))
        yield Engine("cpu")


def add_places(folder: Path) -> None:
    """Teach a tiny Qwen-Image where pictures are in a text."""
    tokenizer = Qwen2Tokenizer.from_pretrained(folder / "tokenizer")
    places = ["<|vision_start|>", "<|image_pad|>", "<|vision_end|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": places})
    tokenizer.save_pretrained(folder / "tokenizer")
    file = folder / "text_encoder" / "config.json"
    config = json.loads(file.read_text())
    start, place, end = tokenizer.convert_tokens_to_ids(places)
    config |= {"vision_start_token_id": start, "image_token_id": place, "vision_end_token_id": end}
    file.write_text(json.dumps(config))


def paint_all(
    engine: Engine, kind: str, *references: ReferenceLayer, layer: Any = LAYER, **changes: Any
) -> list[Picture]:
    rasters = changes.pop("rasters", None) or {
        f"reference_{n + 1}": CAT for n in range(len(references))
    }
    usual = {"model": kind, "steps": 4, "guidance_scale": GUIDANCE, "mode": "edit"}
    request = BASE.with_values(**{**usual, "references": references, **changes})
    return list(engine.generate(request, Inputs(layer, rasters=rasters)))


def paint(engine: Engine, kind: str, *references: ReferenceLayer, **changes: Any) -> Any:
    return paint_all(engine, kind, *references, **changes)[0].pixels


def latents_of(engine: Engine, kind: str, *references: ReferenceLayer, **changes: Any) -> Any:
    """Return the latents that a run ends with."""
    found: list[torch.Tensor] = []
    decode = type(engine.load(kind)).decode

    def keep(self: Any, one: torch.Tensor) -> Any:
        found.append(one)
        return decode(self, one)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(engine.load(kind)), "decode", keep)
        paint(engine, kind, *references, **changes)
    return found[0][None]


# ---- as the stock pipelines -----------------------------------------------------------------


@torch.no_grad()
def test_kontext_has_the_bits_of_the_stock_pipeline(engine: Engine) -> None:
    stock = diffusers.FluxKontextPipeline.from_pretrained(find_model("kontext"))
    stock.set_progress_bar_config(disable=True)
    model = engine.load("kontext")
    noise = model.family.pack(draw_noise(7, (16, 8, 8))[0])
    made = stock(
        image=model.encode(fraction(LAYER[..., :3])),
        prompt="a lake",
        height=64,
        width=64,
        max_area=64 * 64,
        num_inference_steps=4,
        guidance_scale=GUIDANCE,
        latents=noise,
        output_type="latent",
        return_dict=False,
    )[0]
    ours = latents_of(engine, "kontext", strength=1.0)
    assert torch.equal(model.family.pack(ours), made)
    plain = latents_of(engine, "kontext", strength=1.0, mode="img2img")
    assert not torch.allclose(plain, ours, atol=1e-2)


@pytest.mark.parametrize("references", [(), (SUBJECT,)])
@torch.no_grad()
def test_klein_has_the_bits_of_the_stock_pipeline(
    engine: Engine, references: tuple[ReferenceLayer, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    stock = diffusers.Flux2KleinPipeline.from_pretrained(find_model("klein"))
    stock.set_progress_bar_config(disable=True)
    model = engine.load("klein")
    family: Any = model.family
    pictures = [LAYER, *([CAT] * len(references))]
    encoded = iter([family.hand_over(model.encode(fraction(p[..., :3]))) for p in pictures])
    monkeypatch.setattr(stock, "_encode_vae_image", lambda **_: next(encoded))
    from PIL import Image

    noise = family.hand_over(draw_noise(7, (8, 8, 8))[0])
    seen: list[torch.Tensor] = []

    def keep(_pipeline: Any, _step: int, _time: Any, state: dict[str, Any]) -> dict[str, Any]:
        seen.append(state["latents"])
        return state

    stock(
        image=[Image.fromarray(LAYER)] * len(pictures),  # encoded as above
        prompt="a lake",
        height=64,
        width=64,
        num_inference_steps=4,
        guidance_scale=1.0,
        latents=noise,
        output_type="latent",
        callback_on_step_end=keep,
    )
    ours = latents_of(engine, "klein", *references, strength=1.0)
    assert torch.equal(model.family.pack(ours), seen[-1])


@pytest.mark.parametrize("references", [(), (SUBJECT,), (SUBJECT, SUBJECT)])
@torch.no_grad()
def test_qwen_has_the_bits_of_the_stock_pipeline(
    engine: Engine, references: tuple[ReferenceLayer, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit as first
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as later
    from PIL import Image

    kind = "qwen-plus" if references else "qwen-edit"
    model = engine.load(kind)
    stock_class = getattr(diffusers, PIPELINES[kind][1])
    stock = stock_class(**model.placed.pipeline.components, processor=None)
    stock.processor = _Reader(model.placed.pipeline.tokenizer)
    stock.set_progress_bar_config(disable=True)
    pictures = [LAYER, *([CAT] * len(references))]
    left = iter([model.encode(fraction(one[..., :3])) for one in pictures])
    monkeypatch.setattr(stock, "_encode_vae_image", lambda **_: next(left)[:, :, None])
    # Both would scale small pictures up.
    monkeypatch.setattr(qwen_image, "_SEEN_ALONE", 64 * 64)
    monkeypatch.setattr(first, "calculate_dimensions", lambda *_: (64, 64, None))
    seen = later.calculate_dimensions
    monkeypatch.setattr(
        later,
        "calculate_dimensions",
        lambda area, ratio: (
            seen(area, ratio)
            if area == later.CONDITION_IMAGE_SIZE
            else ((64, 64) if ratio == 1 else (32, 48))
        ),
    )
    noise = model.family.pack(draw_noise(7, (16, 8, 8))[0])
    images = [Image.fromarray(one[..., :3]) for one in pictures]
    made = stock(
        image=images if references else images[0],
        prompt="a lake",
        negative_prompt="",
        height=64,
        width=64,
        num_inference_steps=4,
        true_cfg_scale=GUIDANCE,
        latents=noise,
        output_type="latent",
        return_dict=False,
    )[0]
    ours = latents_of(engine, kind, *references, strength=1.0)
    assert torch.equal(model.family.pack(ours), made)


# ---- what is shown, and what is kept --------------------------------------------------------


@every_kind
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_the_kept_half_stays_bit_for_bit(engine: Engine, kind: str, strength: float) -> None:
    layer = texture(64, 96)
    layer[:, 48:, 3] = 0
    made = paint(engine, kind, layer=layer, strength=strength)
    np.testing.assert_array_equal(made[:, :48], layer[:, :48])
    assert np.abs(made[:, 48:, :3].astype(int) - layer[:, 48:, :3]).mean() > 5


@every_kind
def test_regions_have_instructions_of_their_own(engine: Engine, kind: str) -> None:
    layer = texture(64, 96)
    layer[:, 48:, 3] = 0
    everything, upper = np.zeros((64, 96, 1), np.uint8) + 255, np.zeros((64, 96, 1), np.uint8)
    upper[:32] = 255

    def with_region(mask: Any) -> Any:
        return paint(
            engine, kind, layer=layer, regions=(Region("red"),), rasters={"region_1": mask}
        )

    alone, red = (paint(engine, kind, layer=layer, **more) for more in ({}, {"prompt": "red"}))
    np.testing.assert_array_equal(with_region(everything), red)
    half = with_region(upper)
    assert (half != alone).any()
    assert (half != red).any()
    np.testing.assert_array_equal(half[:, :48], layer[:, :48])


@every_kind
def test_the_colour_under_a_hole_is_shown_whatever_the_strength(engine: Engine, kind: str) -> None:
    """At strength 1 an inpaint run ignores it; an edit is of it."""
    layer, other = texture(64, 64), texture(64, 64)
    layer[:, 32:, 3] = other[:, 32:, 3] = 0
    other[:, 32:, :3] = 255 - other[:, 32:, :3]
    common = {"strength": 1.0, "blend": "none"}
    filled = [paint(engine, kind, layer=one, mode="inpaint", **common) for one in (layer, other)]
    np.testing.assert_array_equal(filled[0][:, 32:], filled[1][:, 32:])
    edited = [paint(engine, kind, layer=one, **common) for one in (layer, other)]
    assert (edited[0][:, 32:] != edited[1][:, 32:]).any()


@every_kind
def test_partial_alpha_is_partial_change_of_an_edit_too(engine: Engine, kind: str) -> None:
    half, gone = texture(64, 64), texture(64, 64)
    half[..., 3], gone[..., 3] = 128, 0
    common = {"steps": 8, "blend": "none"}
    one = paint(engine, kind, layer=half, strength=1.0, **common)
    other = paint(engine, kind, layer=gone, strength=127 / 255, **common)
    assert np.abs(one[..., :3].astype(int) - other[..., :3]).max() <= 1


def test_an_empty_layer_edits_what_is_below(engine: Engine) -> None:
    empty = np.zeros((64, 64, 4), np.uint8)
    selection = np.zeros((64, 64), np.uint8)
    selection[16:48, 16:48] = 255
    found = []
    for below in (LAYER, CAT.repeat(2, 0).repeat(2, 1)[:64, :64]):
        request = BASE.with_values(
            model="klein", steps=4, mode="edit", context="below", strength=1.0, result="layer"
        )
        (made,) = engine.generate(request, Inputs(empty, selection, rasters={"context": below}))
        found.append(made.pixels)
    assert not found[0][:16].any()
    assert found[0][20:40, 20:40, 3].all()
    assert (found[0] != found[1]).any()


@every_kind
def test_without_pictures_the_bits_are_those_of_before(engine: Engine, kind: str) -> None:
    before = paint(engine, kind, mode="img2img")
    paint(engine, kind)
    np.testing.assert_array_equal(paint(engine, kind, mode="img2img"), before)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_a_placement_keeps_an_edit(engine: Engine, gpu: None, placement: Any) -> None:
    expected = paint(engine, "klein", SUBJECT)
    model = engine.load("klein")
    try:
        model.save(Saving(placement=placement))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(model), "save", lambda _model, _saving: None)
            found = paint(engine, "klein", SUBJECT)
        np.testing.assert_array_equal(found, expected)
    finally:
        model.save(Saving())


def test_what_is_shown_counts_in_what_memory_is_needed(engine: Engine) -> None:
    model = engine.load("klein")
    paint(engine, "klein", mode="img2img")
    plain = model.needs.denoising
    paint(engine, "klein", SUBJECT)
    assert model.needs.denoising == round(plain * (2 + 48 * 32 / (64 * 64)))
    paint(engine, "klein", mode="img2img")
    assert model.needs.denoising == plain


def test_every_image_of_a_batch_is_an_edit(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = [paint(engine, "klein", SUBJECT, seed=seed).astype(int) for seed in (7, 8)]
    monkeypatch.setattr("underpaint.engine.painter.batch_size", lambda *_, **__: 2)
    both = paint_all(engine, "klein", SUBJECT, images=2)
    for one, expected in zip(both, alone, strict=True):
        assert np.abs(one.pixels.astype(int) - expected).max() <= 1


def test_references_are_shown_without_an_edit_too(engine: Engine) -> None:
    common = {"mode": "txt2img", "layer": None, "width": 64, "height": 64}
    plain = paint(engine, "klein", **common)
    one = paint(engine, "klein", SUBJECT, **common)
    other = paint(engine, "klein", SUBJECT, **common, rasters={"reference_1": LAYER})
    assert (one != plain).any()
    assert (one != other).any()
    np.testing.assert_array_equal(
        paint(engine, "klein", ReferenceLayer("style", 0.0), **common), plain
    )


# ---- automatic, recipes, prompts ------------------------------------------------------------


def test_automatic_edits_with_a_model_that_was_made_for_it(engine: Engine) -> None:
    (edited,) = paint_all(engine, "kontext", mode="auto")
    assert edited.recipe.request.mode == "edit"
    np.testing.assert_array_equal(edited.pixels, paint(engine, "kontext"))
    (made,) = paint_all(engine, "klein", mode="auto")
    assert made.recipe.request.mode == "img2img"
    (plain,) = paint_all(engine, "kontext", mode="img2img")
    assert [note for note in plain.recipe.facts.notes if "in the mode edit it follows" in note]
    assert not [note for note in edited.recipe.facts.notes if "edit model" in note]


def test_the_recipe_makes_an_edit_again(engine: Engine) -> None:
    layer = ReferenceLayer("style", 0.5, name="Cat")
    (made,) = paint_all(engine, "klein", layer, prompt="make it winter, as <layer:cat>")
    recipe = made.recipe
    assert recipe.request.mode == "edit"
    (used,) = recipe.facts.references
    assert (used.kind, used.name, used.model, used.sha256) == ("style", "Cat", "", "")
    assert used.picture_hash
    assert [note for note in recipe.facts.notes if "sees reference layers whole" in note]
    inputs = Inputs(LAYER, rasters={"reference_1": CAT})
    (again,) = engine.generate(recipe.request, inputs)
    np.testing.assert_array_equal(again.pixels, made.pixels)
    assert again.recipe.facts.source_hash == recipe.facts.source_hash
    assert type(recipe).from_dict(recipe.to_dict()) == recipe


def test_the_prompt_names_reference_layers(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    model = engine.load("klein")
    read: list[str] = []
    encode = type(model.prompts).encode

    def keep(self: Any, prompt: str, *given: Any, **more: Any) -> Any:
        read.append(prompt)
        return encode(self, prompt, *given, **more)

    monkeypatch.setattr(type(model.prompts), "encode", keep)
    told = "put the <layer:cat> beside <layer: House >"
    references = (SUBJECT, ReferenceLayer("subject", name="House"))
    (made,) = paint_all(engine, "klein", *references, prompt=told)
    paint(engine, "klein", *references, prompt=told, mode="img2img")
    assert read == ["put the image 2 beside image 3", "put the image 1 beside image 2"]
    assert made.recipe.facts.prompt == told
    assert not [note for note in made.recipe.facts.notes if "layer" in note]


# ---- bad input ------------------------------------------------------------------------------


def test_what_cannot_be_edited_is_said_before_the_run(engine: Engine) -> None:
    with pytest.raises(BadInputError, match="mode edit needs a model .* 'plain' is Z-Image"):
        paint(engine, "plain")
    with pytest.raises(BadInputError, match="'kontext' sees 1 at once .* and there are 2; leave"):
        paint(engine, "kontext", SUBJECT)
    with pytest.raises(BadInputError, match="'klein' sees 4 at once .* and there are 5; leave"):
        paint(engine, "klein", *(SUBJECT,) * 4)
    with pytest.raises(BadInputError, match="character 9, '<layer:Dog>': no reference layer is"):
        paint(engine, "klein", SUBJECT, prompt="paint a <layer:Dog>")
    for layer in (None, np.zeros((64, 64, 4), np.uint8)):
        with pytest.raises(BadInputError, match="the layer is empty, so there is nothing to edit"):
            paint(engine, "klein", layer=layer, width=64, height=64)


def test_a_text_encoder_that_sees_nothing_is_told(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = engine.load("qwen-edit")
    vision = model.placed.pipeline.text_encoder.config.vision_config
    monkeypatch.setattr(vision, "depth", 0)
    with pytest.raises(ModelUnavailableError, match="the text encoder of this model lacks its vis"):
        paint(engine, "qwen-edit", prompt="a prompt that was not read before")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((64, 64), (64, 64)),
        ((48, 40), (48, 32)),
        ((256, 64), (128, 32)),
        ((5, 40), (16, 128)),
        ((100, 1), (1600, 16)),
    ],
)
def test_a_picture_is_cut_to_whole_tokens(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert fit_picture(np.zeros((*shape, 3), np.float32), 64).shape == (*expected, 3)


def test_a_cancelled_edit_leaves_nothing_behind(engine: Engine) -> None:
    from underpaint_client.errors import CancelledError

    model = engine.load("klein")
    request = BASE.with_values(model="klein", steps=4, mode="edit")
    steps: list[int] = []
    with pytest.raises(CancelledError):
        list(
            engine.generate(
                request,
                Inputs(LAYER),
                progress=lambda one: steps.append(one.step),
                cancelled=lambda: 2 in steps,
            )
        )
    assert not model.placed.denoiser._forward_hooks
    assert not model.placed.denoiser._forward_pre_hooks
