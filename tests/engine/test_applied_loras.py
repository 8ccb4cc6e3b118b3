"""LoRAs add what they say to a model's layers, and leave no bit of it changed."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lora_files
from lora_files import Matrices, Tensors
from runs import BASE, make, make_all, texture, with_hole
from tiny_flow_models import build_flow_model
from underpaint.engine import Engine, Inputs
from underpaint.engine import adapters as adapters_module
from underpaint.engine.lora_files import read_lora_file
from underpaint.engine.savings import PLACEMENTS, Saving
from underpaint.models import describe_model, find_model
from underpaint_client.conditioning import LoraWeight
from underpaint_client.errors import BadInputError, CancelledError, ModelUnavailableError

LAYER = with_hole(texture(32, 48))
FLOWS = ("sd3", "flux", "z-image", "klein", "qwen-image", "chroma", "lumina2", "krea2")
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")


@pytest.fixture(scope="module")
def flows(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("flows")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERPAINT_MODELS", str(folder))
        yield folder


def use(*names: str, weight: float = 1.0) -> dict[str, Any]:
    return {"loras": tuple(LoraWeight(name, weight) for name in names)}


def layers_of(part: torch.nn.Module, *ends: str) -> list[str]:
    """Return a part's layers; those that an earlier test wrapped are called as ever."""
    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    names = [
        name.removesuffix(".base_layer")
        for name, one in part.named_modules()
        if isinstance(one, kinds) and ".lora_" not in name
    ]
    return [name for name in names if not ends or name.endswith(ends)]


def everything(pipeline: Any) -> dict[str, list[str]]:
    parts = ("unet", "transformer", "text_encoder", "text_encoder_2")
    there = [part for part in parts if getattr(pipeline, part, None) is not None]
    return {part: layers_of(getattr(pipeline, part)) for part in there}


def paint(engine: Engine, model: str = "sd", layer: Any = None, **changes: Any) -> Any:
    wanted = {"model": model, "steps": 2, "width": 64, "height": 64, **changes}
    return make(engine, layer, **wanted).pixels.astype(int)


def added(model: str, matrices: Sequence[Matrices], strength: float = 1.0, **changes: Any) -> Any:
    """What a model paints whose weights have the change in them."""
    engine = Engine("cpu")
    lora_files.add_to(engine.load(model).pipeline, matrices, strength)
    return paint(engine, model, **changes)


def is_near(found: Any, expected: Any, plain: Any) -> bool:
    """Whether two pictures differ by rounding alone, and from a third one much more."""
    return bool(np.abs(found - expected).max() <= 1 < 3 < np.abs(found - plain).max())


def old_diffusers(matrices: Sequence[Matrices]) -> Tensors:
    """Name the attention layers of a UNet as diffusers did before it used peft."""
    tensors: Tensors = {}
    for one in matrices:
        block, _, layer = one.layer.rpartition(".attn")
        number, _, layer = layer.partition(".")
        name = f"unet.{block}.attn{number}.processor.{layer.removesuffix('.0')}_lora"
        tensors[f"{name}.down.weight"] = one.down
        tensors[f"{name}.up.weight"] = one.up * one.alpha / one.down.shape[0]
    return tensors


def named_adapter(matrices: Sequence[Matrices]) -> Tensors:
    return {
        f"base_model.model.{name.partition('.')[2].replace('.weight', '.default.weight')}": tensor
        for name, tensor in lora_files.peft(matrices).items()
    }


_SDXL_BLOCKS = {
    "down_blocks.0.resnets.0": "input_blocks.1.0",
    "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
    "down_blocks.1.resnets.0": "input_blocks.3.0",
    "down_blocks.1.attentions.0": "input_blocks.3.1",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "up_blocks.0.resnets.0": "output_blocks.0.0",
    "up_blocks.0.attentions.0": "output_blocks.0.1",
    "up_blocks.0.resnets.1": "output_blocks.1.0",
    "up_blocks.0.attentions.1": "output_blocks.1.1",
    "up_blocks.0.upsamplers.0": "output_blocks.1.2",
    "up_blocks.1.resnets.0": "output_blocks.2.0",
    "up_blocks.1.resnets.1": "output_blocks.3.0",
}
_SDXL_LAYERS = {
    ".conv1": ".in_layers.2",
    ".conv2": ".out_layers.3",
    ".time_emb_proj": ".emb_layers.1",
    ".conv_shortcut": ".skip_connection",
}


def authors_sdxl(matrices: Sequence[Matrices]) -> Tensors:
    """Name the blocks of the tiny SDXL as its authors do, and kohya after them."""
    tensors: Tensors = {}
    for one in matrices:
        layer = one.layer
        for ours, theirs in _SDXL_BLOCKS.items():
            if layer.startswith((f"{ours}.", ours)) and theirs.split(".")[0] not in layer:
                layer = layer.replace(ours, theirs, 1)
        if "transformer_blocks" not in layer:
            for ours, theirs in _SDXL_LAYERS.items():
                layer = layer.replace(ours, theirs)
        changed = Matrices(one.part, layer, one.down, one.up, one.alpha)
        tensors |= lora_files.kohya([changed], first_encoder="lora_te1_")
    return tensors


# ---- what they add --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_a_lora_is_its_product_added_to_the_weights(engine: Engine, loras: Path, name: str) -> None:
    pipeline = engine.load(name).pipeline
    matrices = lora_files.draw(pipeline, everything(pipeline))
    first = "lora_te1_" if name == "sdxl" else "lora_te_"
    lora_files.save(loras / "ink.safetensors", lora_files.kohya(matrices, first_encoder=first))
    plain = paint(engine, name)
    found = paint(engine, name, **use("ink", weight=0.75))
    assert is_near(found, added(name, matrices, 0.75), plain)


@pytest.mark.parametrize(
    ("model", "layout"),
    [
        ("sd", lora_files.peft),
        ("sd", named_adapter),
        ("sd", old_diffusers),
        ("sdxl", authors_sdxl),
        ("sdxl", lora_files.peft),
    ],
)
def test_every_layout_means_the_same(
    engine: Engine, loras: Path, model: str, layout: Callable[[Sequence[Matrices]], Tensors]
) -> None:
    pipeline = engine.load(model).pipeline
    ends = ATTENTION if layout is old_diffusers else ()
    matrices = lora_files.draw(pipeline, {"unet": layers_of(pipeline.unet, *ends)})
    if layout is authors_sdxl:
        outer = ("conv_in", "conv_out", "time_embedding", "add_embedding")
        matrices = [one for one in matrices if not one.layer.startswith(outer)]
    lora_files.save(loras / "a.safetensors", lora_files.kohya(matrices))
    lora_files.save(loras / "b.safetensors", layout(matrices))
    plain = paint(engine, model)
    found, other = (paint(engine, model, **use(one)) for one in "ab")
    assert is_near(other, found, plain)


@pytest.mark.parametrize("kind", FLOWS)
def test_flow_families_take_loras(flows: Path, loras: Path, kind: str) -> None:
    if not (flows / kind).exists():
        build_flow_model(flows / kind, kind)
    engine = Engine("cpu")
    pipeline = engine.load(kind).pipeline
    layers = layers_of(pipeline.transformer)
    linear = [n for n in layers if pipeline.transformer.get_submodule(n).weight.ndim == 2]
    matrices = lora_files.draw(pipeline, {"transformer": linear})
    lora_files.save(loras / "ink.safetensors", lora_files.peft(matrices))
    plain = paint(engine, kind)
    found = paint(engine, kind, **use("ink"))
    assert is_near(found, added(kind, matrices), plain)
    np.testing.assert_array_equal(paint(engine, kind), plain)


def test_layers_as_authors_name_them_are_converted(flows: Path, loras: Path) -> None:
    if not (flows / "flux").exists():
        build_flow_model(flows / "flux", "flux")
    engine = Engine("cpu")
    pipeline = engine.load("flux").pipeline
    block = "transformer_blocks.0"
    attention = [f"{block}.attn.to_{one}" for one in "qkv"]
    mine = [*attention, f"{block}.attn.to_out.0"]
    matrices = lora_files.draw(pipeline, {"transformer": mine})
    down = matrices[0].down  # one for all three, as for the layer that authors have
    matrices = [Matrices(m.part, m.layer, down, m.up, m.alpha) for m in matrices[:3]] + [
        matrices[3]
    ]
    joined = Matrices("transformer", "double_blocks.0.img_attn.qkv", down,
                      torch.cat([m.up for m in matrices[:3]]), matrices[0].alpha)  # fmt: skip
    last = matrices[3]
    proj = Matrices("transformer", "double_blocks.0.img_attn.proj", last.down, last.up, last.alpha)
    lora_files.save(loras / "ink.safetensors", lora_files.kohya([joined, proj]))
    found = paint(engine, "flux", **use("ink"))
    assert is_near(found, added("flux", matrices), paint(engine, "flux"))


def test_several_are_added_and_one_named_twice_counts_twice(engine: Engine, loras: Path) -> None:
    pipeline = engine.load("sd").pipeline
    drawn = [lora_files.draw(pipeline, everything(pipeline), seed=seed) for seed in (1, 2)]
    for name, matrices in zip("ab", drawn, strict=True):
        lora_files.save(loras / f"{name}.safetensors", lora_files.kohya(matrices))
    both = [Matrices(m.part, m.layer, m.down, m.up, m.alpha / 2) for m in itertools.chain(*drawn)]
    found = paint(engine, "sd", loras=(LoraWeight("a", 0.25),), prompt="a lake <lora:b:0.5>"
                  "<lora:A:0.25>")  # fmt: skip
    assert is_near(found, added("sd", both), paint(engine))


def test_denoiser_and_text_encoders_have_strengths_of_their_own(
    engine: Engine, loras: Path
) -> None:
    pipeline = engine.load("sd").pipeline
    matrices = lora_files.draw(pipeline, everything(pipeline))
    lora_files.save(loras / "ink.safetensors", lora_files.kohya(matrices))
    plain = paint(engine)
    for weight, encoder, part in ((1.0, 0.0, "unet"), (0.0, 1.0, "text_encoder")):
        found = paint(engine, loras=(LoraWeight("ink", weight, encoder),))
        of_part = [one for one in matrices if one.part == part]
        assert is_near(found, added("sd", of_part), plain)


def test_alpha_that_diffusers_keeps_in_metadata_counts(engine: Engine, loras: Path) -> None:
    pipeline = engine.load("sd").pipeline
    matrices = lora_files.draw(pipeline, {"unet": layers_of(pipeline.unet, *ATTENTION)})
    bare = [Matrices(m.part, m.layer, m.down, m.up, m.down.shape[0]) for m in matrices]
    said = {"lora_adapter_metadata": '{"unet.r": 2, "unet.lora_alpha": 1}'}
    lora_files.save(loras / "ink.safetensors", lora_files.peft(bare), said)
    assert is_near(paint(engine, **use("ink")), added("sd", matrices), paint(engine))


# ---- what they leave ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sd", "sdxl"])
def test_the_model_is_to_the_bit_what_it_was(engine: Engine, loras: Path, name: str) -> None:
    pipeline = engine.load(name).pipeline
    matrices = lora_files.draw(pipeline, everything(pipeline))
    lora_files.save(loras / "ink.safetensors", lora_files.kohya(matrices))
    plain = paint(engine, name, LAYER)
    with_lora = paint(engine, name, LAYER, **use("ink"))
    assert (with_lora != plain).any()
    np.testing.assert_array_equal(paint(engine, name, LAYER), plain)
    np.testing.assert_array_equal(paint(engine, name, LAYER, **use("ink", weight=0.0)), plain)
    np.testing.assert_array_equal(paint(engine, name, LAYER, **use("ink")), with_lora)


def test_a_cancelled_run_leaves_nothing(engine: Engine, loras: Path) -> None:
    pipeline = engine.load("sd").pipeline
    matrices = lora_files.draw(pipeline, everything(pipeline))
    lora_files.save(loras / "ink.safetensors", lora_files.kohya(matrices))
    plain = paint(engine)
    asked = iter([False, False, True])
    request = BASE.with_values(**use("ink"), width=64, height=64)
    with pytest.raises(CancelledError):
        list(engine.generate(request, Inputs(), cancelled=lambda: next(asked, True)))
    np.testing.assert_array_equal(paint(engine), plain)


@pytest.mark.parametrize("kind", ["sd", "flux"])
def test_they_work_wherever_the_parts_of_a_model_are(
    gpu: None, flows: Path, loras: Path, kind: str
) -> None:
    if kind != "sd" and not (flows / kind).exists():
        build_flow_model(flows / kind, kind)
    engine = Engine("cpu")
    pipeline = engine.load(kind).pipeline
    parts = everything(pipeline)
    matrices = lora_files.draw(pipeline, {part: names[:4] for part, names in parts.items()})
    lora_files.save(loras / "ink.safetensors", lora_files.peft(matrices))
    layer = with_hole(texture(96, 128))
    plain, expected = paint(engine, kind, layer), paint(engine, kind, layer, **use("ink"))
    assert (plain != expected).any()
    for placement in (*PLACEMENTS, *reversed(PLACEMENTS)):
        known = engine.experience(describe_model(find_model(kind)))
        known.savings[0] = Saving(placement=placement)
        engine.load(kind).forget()
        np.testing.assert_array_equal(paint(engine, kind, layer, **use("ink")), expected)
        np.testing.assert_array_equal(paint(engine, kind, layer), plain)
        assert engine.load(kind).saving.placement == placement


def test_they_work_on_quantised_weights(gpu: None, flows: Path, loras: Path) -> None:
    if not (flows / "flux").exists():
        build_flow_model(flows / "flux", "flux")
    engine = Engine("cpu", quantise="fp8")
    pipeline = engine.load("flux").pipeline
    names = layers_of(pipeline.transformer)[:12]
    matrices = lora_files.draw(Engine("cpu").load("flux").pipeline, {"transformer": names})
    lora_files.save(loras / "ink.safetensors", lora_files.peft(matrices))
    plain, found = paint(engine, "flux"), paint(engine, "flux", **use("ink"))
    whole = Engine("cpu")
    of_whole = paint(whole, "flux", **use("ink")) - paint(whole, "flux")
    change = (found - plain).ravel()
    assert np.corrcoef(change, of_whole.ravel())[0, 1] > 0.8
    np.testing.assert_array_equal(paint(engine, "flux"), plain)


def test_prompts_are_remembered_by_the_loras_that_they_were_encoded_with(
    engine: Engine, loras: Path
) -> None:
    pipeline = engine.load("sd").pipeline
    for part in ("unet", "text_encoder"):
        matrices = lora_files.draw(pipeline, {part: everything(pipeline)[part]})
        lora_files.save(loras / f"{part}.safetensors", lora_files.kohya(matrices))
    engine.load("sd").forget()
    remembered = engine.load("sd").prompts.kept
    paint(engine)
    paint(engine, **use("unet"))
    assert len(remembered.kept) == 1
    paint(engine, **use("text_encoder"))
    paint(engine, **use("text_encoder", weight=0.5))
    assert len(remembered.kept) == 3


def test_unused_ones_are_kept_up_to_a_number_of_bytes(
    models: Path, loras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine("cpu")
    model = engine.load("sd")
    pipeline = model.pipeline
    plain = paint(engine)
    keys = set(pipeline.unet.state_dict())
    for seed, name in enumerate("abc"):
        matrices = lora_files.draw(pipeline, {"unet": ["conv_in", "conv_out"]}, seed=seed)
        lora_files.save(loras / f"{name}.safetensors", lora_files.kohya(matrices))
    loaded = model.placed.adapters._loaded

    def names() -> list[str]:
        return sorted(Path(path).stem for path, _ in loaded)

    first = paint(engine, **use("a"))
    size = next(one.size for (path, _), one in loaded.items() if path.endswith("a.safetensors"))
    monkeypatch.setattr(adapters_module, "KEPT_BYTES", size)
    paint(engine, **use("b"))
    paint(engine, **use("c"))
    assert names() == ["b", "c"]
    np.testing.assert_array_equal(paint(engine, **use("a")), first)
    monkeypatch.setattr(adapters_module, "KEPT_BYTES", 0)
    np.testing.assert_array_equal(paint(engine), plain)
    assert names() == []
    assert set(pipeline.unet.state_dict()) == keys


def test_each_image_has_the_loras_of_its_own_prompt(engine: Engine, loras: Path) -> None:
    pipeline = engine.load("sd").pipeline
    for seed, name in enumerate("ab"):
        matrices = lora_files.draw(pipeline, everything(pipeline), seed=seed)
        lora_files.save(loras / f"{name}.safetensors", lora_files.kohya(matrices))
    wanted = {
        "width": 64,
        "height": 64,
        "steps": 2,
        "prompt": "a {<lora:a>|<lora:b:0.5>|lake|hill}",
    }
    pictures = make_all(engine, images=6, **wanted)
    used = [tuple(one.name for one in picture.recipe.facts.loras) for picture in pictures]
    assert set(used) == {("a",), ("b",), ()}
    for picture in pictures:
        recipe = picture.recipe
        (alone,) = engine.generate(recipe.request, Inputs())
        assert alone.recipe.facts.loras == recipe.facts.loras
        assert np.abs(alone.pixels.astype(int) - picture.pixels.astype(int)).max() <= 1


# ---- what is refused ------------------------------------------------------------------------


def refused(engine: Engine, **changes: Any) -> str:
    with pytest.raises((BadInputError, ModelUnavailableError)) as caught:
        paint(engine, **changes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_used_is_told_before_the_run(engine: Engine, loras: Path) -> None:
    pipeline = engine.load("sd").pipeline
    plain = paint(engine)
    matrices = lora_files.draw(pipeline, {"unet": ["conv_in", "down_blocks.0.resnets.0.conv1"]})
    tensors = lora_files.kohya(matrices)
    lora_files.save(loras / "dora.safetensors", {**tensors, "lora_unet_conv_in.dora_scale":
                                                 torch.ones(16)})  # fmt: skip
    lora_files.save(loras / "strange.safetensors", {
        name.replace("resnets_0", "resnets_9"): one for name, one in tensors.items()
    })  # fmt: skip
    lora_files.save(loras / "wide.safetensors", {
        name: torch.cat([one, one], 1) if "conv_in.lora_down" in name else one
        for name, one in tensors.items()
    })  # fmt: skip
    lora_files.save(loras / "flux.safetensors", {
        "transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight": torch.ones(2, 3072),
        "transformer.single_transformer_blocks.0.attn.to_q.lora_B.weight": torch.ones(3072, 2),
    })  # fmt: skip
    (loras / "broken.safetensors").write_bytes(b"no weights")
    told = {name: refused(engine, **use(name)) for name in
            ("none", "dora", "strange", "wide", "flux", "broken")}  # fmt: skip
    assert "LoRA 'none' is unknown" in told["none"]
    assert "'dora' is a DoRA, which cannot be used" in told["dora"]
    assert "no layer down_blocks.0.resnets.9.conv1" in told["strange"]
    assert "its conv_in has 8 x 3 x 3 to 16" in told["wide"]
    assert "the model's has 4 x 3 x 3 to 16" in told["wide"]
    assert "'flux' is for FLUX.1" in told["flux"]
    assert "is Stable Diffusion" in told["flux"]
    assert "broken.safetensors are damaged" in told["broken"]
    assert "out of range" in refused(engine, **use("dora", weight=11.0))
    assert "out of range" in refused(engine, prompt="<lora:dora:-11>")
    np.testing.assert_array_equal(paint(engine), plain)


def test_a_lora_that_cannot_be_used_leaves_the_others_where_they_belong(
    gpu: None, models: Path, loras: Path
) -> None:
    engine = Engine("cpu")
    engine.experience(describe_model(find_model("sd"))).savings[0] = Saving(
        placement="group_offload"
    )
    pipeline = engine.load("sd").pipeline
    tensors = lora_files.kohya(lora_files.draw(pipeline, {"unet": ["conv_in"]}))
    lora_files.save(loras / "good.safetensors", tensors)
    other = {name.replace("conv_in", "conv_none"): one for name, one in tensors.items()}
    lora_files.save(loras / "wrong.safetensors", other)
    paint(engine)
    assert "no layer" in refused(engine, **use("good", "wrong"))
    leaves: dict[str, Any] = {
        name: one for name, one in pipeline.unet.named_modules() if isinstance(one, torch.nn.Conv2d)
    }
    assert "conv_in.lora_A.lora0" in leaves
    assert all("group_offloading" in one._diffusers_hook.hooks for one in leaves.values())


def test_a_file_that_changes_after_its_header_was_read_is_not_opened(
    engine: Engine, loras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = engine.load("sd").pipeline
    matrices = lora_files.draw(pipeline, {"unet": ["conv_in"]})
    file = lora_files.save(loras / "late.safetensors", lora_files.kohya(matrices))
    read = read_lora_file

    def replaced(lora: Any) -> Any:
        file.write_bytes(file.read_bytes() + b"more")
        return read(lora)

    monkeypatch.setattr(adapters_module, "read_lora_file", replaced)
    assert "was changed while it was opened" in refused(engine, **use("late"))


def test_a_strength_of_0_and_a_layer_that_is_kept_need_no_model(
    engine: Engine, loras: Path
) -> None:
    (kept,) = make_all(engine, LAYER, strength=0.0, **use("ink"))
    assert kept.recipe.facts.loras == ()
