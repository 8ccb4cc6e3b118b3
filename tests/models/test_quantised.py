"""Quantised files paint what their numbers say; what cannot be read says which form it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lora_files
from single_files import Tensors, checkpoint_parts, save_checkpoint, save_gguf
from underpaint.engine import Engine
from underpaint.engine.comfy_int8 import read_layers
from underpaint.engine.savings import PLACEMENTS, Placement, Saving
from underpaint.models import describe_model
from underpaint_client.conditioning import LoraWeight
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.request import Request

UNET = "model.diffusion_model."


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine("cpu")


@pytest.fixture(autouse=True)
def _home(home: Path) -> None:
    """Parts that one test puts into the home are not found by another."""


def paint(engine: Engine, model: Path, **changes: Any) -> Any:
    request = Request.of(
        prompt="a lake", model=str(model), seed=1, steps=2, width=64, height=64, **changes
    )
    (picture,) = engine.generate(request)
    return picture.pixels


def name_configs(file: Path, folder: Path, **said: str) -> Path:
    """Write the side-car file of a model of no size that is known."""
    beside = file.with_name(f"{file.stem}.underpaint.json")
    beside.write_text(json.dumps({"config": str(folder), **said}))
    return file


def whole(file: Path, names: dict[str, tuple[int, ...]]) -> Tensors:
    """Return the numbers that a GGUF file says, as diffusers reads them."""
    from diffusers.models.model_loading_utils import load_gguf_checkpoint
    from diffusers.quantizers.gguf.utils import dequantize_gguf_tensor

    found = load_gguf_checkpoint(str(file))
    return {
        name: dequantize_gguf_tensor(tensor).float().reshape(names[name])
        for name, tensor in found.items()
    }


def quantise_by(kind: str) -> Callable[[str, torch.Tensor], str]:
    """Quantise all that has enough numbers; norms and biases stay as they are."""

    def choose(name: str, tensor: torch.Tensor) -> str:
        return kind if tensor.ndim > 1 and tensor.numel() % 32 == 0 else "F32"

    return choose


@pytest.mark.parametrize("kind", ["Q8_0", "Q5_1", "Q4_0", "BF16", "F16"])
@pytest.mark.parametrize("family", ["sd", "sdxl"])
def test_a_unet_in_gguf_is_painted_with(
    engine: Engine, models: Path, tmp_path: Path, family: str, kind: str
) -> None:
    """As ComfyUI's users have it: the UNet alone, its names without what comes before them."""
    folder = models / family
    tensors = {n.removeprefix(UNET): t for n, t in checkpoint_parts(folder)["unet"].items()}
    file = save_gguf(tmp_path / "unet.gguf", tensors, quantise_by(kind))
    rest = save_checkpoint(folder, tmp_path / "rest.safetensors", without=("unet",))
    parts = ["vae", "text_encoder", *["text_encoder_2"] * (family == "sdxl")]
    name_configs(file, folder, **dict.fromkeys(parts, rest.name))
    info = describe_model(file)
    assert (info.form, info.precision) == ("file", {"BF16": "bf16", "F16": "fp16"}.get(kind, kind))
    numbers = whole(file, {name: tuple(tensor.shape) for name, tensor in tensors.items()})

    def with_numbers(given: Tensors) -> Tensors:
        return given | {UNET + name: tensor for name, tensor in numbers.items()}

    expected = save_checkpoint(folder, tmp_path / "expected.safetensors", change=with_numbers)
    found = paint(engine, file)
    np.testing.assert_array_equal(found, paint(engine, expected))
    if kind == "Q4_0":
        assert (found != paint(engine, folder)).any()
    unet = engine.load(str(file)).pipeline.unet
    kept = {type(module).__name__ for module in unet.modules()}
    assert ("GGUFLinear" in kept) == (kind != "F16"), "linear layers stay as small as they were"


def test_a_whole_model_in_gguf_is_painted_with(
    engine: Engine, models: Path, tmp_path: Path
) -> None:
    """As stable-diffusion.cpp writes it: all parts, with the names of a checkpoint."""
    tensors = {
        name: tensor
        for part in checkpoint_parts(models / "sd").values()
        for name, tensor in part.items()
        if not name.endswith("position_ids")
    }
    file = save_gguf(tmp_path / "model.gguf", tensors, quantise_by("Q8_0"))
    name_configs(file, models / "sd")
    numbers = whole(file, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    expected = save_checkpoint(
        models / "sd", tmp_path / "expected.safetensors", change=lambda _: numbers
    )
    np.testing.assert_array_equal(paint(engine, file), paint(engine, expected))


def test_a_lora_is_added_to_what_gguf_paints_with(
    engine: Engine, home: Path, models: Path, tmp_path: Path
) -> None:
    folder = models / "sd"
    tensors = {n.removeprefix(UNET): t for n, t in checkpoint_parts(folder)["unet"].items()}
    file = save_gguf(tmp_path / "unet.gguf", tensors, quantise_by("Q8_0"))
    rest = save_checkpoint(folder, tmp_path / "rest.safetensors", without=("unet",))
    name_configs(file, folder, vae=rest.name, text_encoder=rest.name)
    plain = paint(engine, file)
    unet = engine.load(str(file)).pipeline.unet
    names = [name for name, one in unet.named_modules() if type(one).__name__ == "GGUFLinear"]
    assert names
    numbers = whole(file, {name: tuple(tensor.shape) for name, tensor in tensors.items()})
    opened = Engine("cpu")
    expected = save_checkpoint(
        folder, tmp_path / "expected.safetensors",
        change=lambda given: given | {UNET + name: one for name, one in numbers.items()},
    )  # fmt: skip
    pipeline = opened.load(str(expected)).pipeline
    matrices = lora_files.draw(pipeline, {"unet": names})
    lora_files.save(home / "loras" / "ink.safetensors", lora_files.kohya(matrices))
    lora_files.add_to(pipeline, matrices)
    found = paint(engine, file, loras=(LoraWeight("ink"),)).astype(int)
    assert np.abs(found - paint(opened, expected)).max() <= 1 < np.abs(found - plain).max()
    np.testing.assert_array_equal(paint(engine, file), plain)


@pytest.mark.parametrize("placement", [one for one in PLACEMENTS if one != "gpu"])
def test_gguf_paints_the_same_wherever_its_parts_wait(
    engine: Engine, models: Path, tmp_path: Path, placement: Placement,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = models / "sd"
    tensors = {n.removeprefix(UNET): t for n, t in checkpoint_parts(folder)["unet"].items()}
    file = save_gguf(tmp_path / "unet.gguf", tensors, quantise_by("Q8_0"))
    rest = save_checkpoint(folder, tmp_path / "rest.safetensors", without=("unet",))
    name_configs(file, folder, vae=rest.name, text_encoder=rest.name)
    expected = paint(engine, file)
    monkeypatch.setattr("underpaint.engine.devices.OFFLOADING", ("cpu",))
    moved = Engine("cpu", "fp8")  # what is quantised already stays as it is
    moved.experience(describe_model(file)).savings[0] = Saving(placement=placement)
    np.testing.assert_array_equal(paint(moved, file), expected)
    assert moved.load(str(file)).saving == Saving(placement=placement)


def scaled(ending: str, *, rows: bool, more: tuple[str, ...] = ()) -> Callable[[Tensors], Tensors]:
    """Store a UNet's linear weights as 8 bits that use their whole range."""

    def change(tensors: Tensors) -> Tensors:
        found = dict(tensors)
        for name, tensor in tensors.items():
            if name.startswith(UNET) and tensor.ndim == 2 and name.endswith(".weight"):
                base = name.removesuffix(".weight")
                most = tensor.abs().amax(1) if rows else tensor.abs().max()
                scale = most / 448
                by = scale[:, None] if rows else scale
                found[name] = (tensor / by).to(torch.float8_e4m3fn)
                found[base + ending] = scale
                for one in more:
                    found[base + one] = torch.ones(())
            elif name.startswith(UNET):
                found[name] = tensor.to(torch.float8_e4m3fn)
        return found

    return change


FORMS = {
    "fp8_scaled": (scaled(".scale_weight", rows=False, more=(".scale_input",)), True),
    "by rows": (scaled(".weight_scale", rows=True), False),
}


@pytest.mark.parametrize("form", FORMS)
def test_weights_of_eight_bits_are_taken_back_to_their_range(
    engine: Engine, models: Path, tmp_path: Path, form: str
) -> None:
    change, marked = FORMS[form]

    def marking(tensors: Tensors) -> Tensors:
        mark = {f"{UNET}scaled_fp8": torch.empty(2, dtype=torch.float8_e4m3fn)} if marked else {}
        return change(tensors) | mark

    def numbers(tensors: Tensors) -> Tensors:
        stored, found = change(tensors), {}
        for name in tensors:
            base = name.removesuffix(".weight")
            scale = stored.get(f"{base}.scale_weight", stored.get(f"{base}.weight_scale"))
            found[name] = stored[name]
            if tensors[name].is_floating_point():
                found[name] = stored[name].float()
            if scale is not None:
                found[name] = found[name] * (scale[:, None] if scale.ndim else scale)
        return found

    file = save_checkpoint(models / "sd", tmp_path / "one.safetensors", change=marking)
    assert describe_model(file).precision == "fp8_scaled"
    expected = save_checkpoint(models / "sd", tmp_path / "expected.safetensors", change=numbers)
    found = paint(engine, file)
    np.testing.assert_array_equal(found, paint(engine, expected))
    forgotten = save_checkpoint(
        models / "sd",
        tmp_path / "forgotten.safetensors",
        change=lambda given: {n: t for n, t in change(given).items() if "scale" not in n},
    )
    assert (found != paint(engine, forgotten)).any()


def hadamard(size: int) -> torch.Tensor:
    """Return the orthogonal matrix that ComfyUI's rotation is made of; `size` is a power of 4."""
    four = 1 - 2 * torch.eye(4).flip(1)
    whole = four / 2
    while len(whole) < size:
        whole = torch.kron(whole, four / 2)
    return whole


GROUP = 16


def in_int8(
    *, rows: bool = True, rotates: bool = False, scaled: bool = True
) -> Callable[[Tensors], Tensors]:
    """Store linear weights as ComfyUI's int8."""

    def change(tensors: Tensors) -> Tensors:
        found = dict(tensors)
        for name, tensor in tensors.items():
            if not (name.startswith(UNET) and tensor.ndim == 2 and name.endswith(".weight")):
                continue
            base, numbers = name.removesuffix("weight"), tensor
            described: dict[str, Any] = {"format": "int8_tensorwise"}
            if rotates:
                described |= {"convrot": True, "convrot_groupsize": GROUP}
                turned = tensor.reshape(len(tensor), -1, GROUP) @ hadamard(GROUP).T
                numbers = turned.reshape(tensor.shape)
            most = numbers.abs().amax(1, keepdim=True) if rows else numbers.abs().max()
            found[name] = (numbers / most * 127).round().to(torch.int8)
            if scaled:
                found[base + "weight_scale"] = most / 127
            text = bytearray(json.dumps(described).encode())
            found[base + "comfy_quant"] = torch.frombuffer(text, dtype=torch.uint8).clone()
        return found

    return change


@pytest.mark.parametrize("before", ["", UNET])
def test_a_file_may_describe_its_layers_in_its_metadata(before: str) -> None:
    layer = {"format": "int8_tensorwise", "convrot": True}
    metadata = json.dumps({"layers": {f"{before}one": layer, f"{before}two": 3}})
    assert read_layers({}, metadata, UNET) == {f"{UNET}one": layer}
    text = torch.tensor(list(b'{"format": "x"}'), dtype=torch.uint8)
    own = {f"{UNET}one.comfy_quant": text, "two.comfy_quant": text[:-1]}
    assert read_layers(own, metadata, UNET) == {f"{UNET}one": {"format": "x"}, "two": {}}
    for odd in ("", "[]", "{", '{"layers": []}'):
        assert read_layers({}, odd) == {}


INT8 = {
    "by layer": (in_int8(rows=False), "int8"),
    "by rows": (in_int8(), "int8"),
    "rotated": (in_int8(rotates=True), "int8_convrot"),
}


@pytest.mark.parametrize("form", INT8)
def test_int8_is_near_to_what_it_was_made_of(
    engine: Engine, models: Path, tmp_path: Path, form: str
) -> None:
    change, precision = INT8[form]
    if precision == "int8_convrot":
        pytest.importorskip("comfy_kitchen")
    file = save_checkpoint(models / "sd", tmp_path / "one.safetensors", change=change)
    info = describe_model(file)
    assert info.precision == precision
    found, whole = paint(engine, file), paint(engine, models / "sd")
    assert 0 < np.abs(found.astype(int) - whole).mean() < 3
    stored, layers = change(checkpoint_parts(models / "sd")["unet"]), 0
    weights = dict(engine.load(str(file)).pipeline.unet.named_parameters())
    for name, tensor in engine_weights(models / "sd").items():
        away = (weights[name] - tensor).abs().max() / tensor.abs().max().clamp(min=1e-9)
        assert away < 0.02
        layers += int(away > 0)
    assert layers == sum(one.dtype == torch.int8 for one in stored.values())


def engine_weights(folder: Path) -> Tensors:
    return dict(Engine("cpu").load(str(folder)).pipeline.unet.named_parameters())


def test_a_package_that_is_lacking_is_named(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("underpaint.models.weights.find_spec", lambda _: None)
    file = save_checkpoint(models / "sd", tmp_path / "one.safetensors", change=INT8["rotated"][0])
    told = r"int8_convrot .*comfy-kitchen; run `pip install 'underpaint\[comfy-kitchen\]'`, or take"
    with pytest.raises(ModelUnavailableError, match=told):
        describe_model(file)


def in_four_bits(tensors: Tensors) -> Tensors:
    """Store linear weights as bitsandbytes does."""
    found = dict(tensors)
    for name, tensor in tensors.items():
        if name.startswith(UNET) and tensor.ndim == 2 and name.endswith(".weight"):
            found[name] = torch.zeros(tensor.numel() // 2, 1, dtype=torch.uint8)
            state = torch.zeros(4, dtype=torch.uint8)
            found[f"{name}.quant_state.bitsandbytes__nf4"] = state
    return found


def described_as(form: str, dtype: torch.dtype, **more: torch.Tensor) -> Callable[..., Tensors]:
    """Store linear weights in a form of ComfyUI's, with what lies beside each."""

    def change(tensors: Tensors) -> Tensors:
        found = dict(tensors)
        for name, tensor in tensors.items():
            if name.startswith(UNET) and tensor.ndim == 2 and name.endswith(".weight"):
                base, text = name.removesuffix("weight"), json.dumps({"format": form}).encode()
                found[name] = torch.zeros(tensor.shape, dtype=dtype)
                found |= {base + ending: one.clone() for ending, one in more.items()}
                found[base + "comfy_quant"] = torch.tensor(list(text), dtype=torch.uint8)
        return found

    return change


UNREADABLE: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "bnb_nf4": (in_four_bits, "bnb_nf4"),
    "int8 without scales": (in_int8(scaled=False), "int8"),
    "nvfp4": (
        described_as("nvfp4", torch.uint8, weight_scale=torch.ones(2, 2).to(torch.float8_e4m3fn),
                     weight_scale_2=torch.ones(())),
        "nvfp4",
    ),
    "mxfp8": (
        described_as("mxfp8", torch.float8_e4m3fn, weight_scale=torch.ones(2).to(torch.uint8)),
        "mxfp8",
    ),
    "w4a4": (described_as("convrot_w4a4", torch.int8, weight_scale=torch.ones(2)), "convrot_w4a4"),
}  # fmt: skip


@pytest.mark.parametrize("form", UNREADABLE)
def test_what_cannot_be_read_says_which_form_it_is(models: Path, tmp_path: Path, form: str) -> None:
    change, told = UNREADABLE[form]
    file = save_checkpoint(models / "sd", tmp_path / "one.safetensors", change=change)
    with pytest.raises(ModelUnavailableError, match=f"quantised as {told} .*take the model in"):
        describe_model(file)


def test_a_type_of_gguf_that_diffusers_cannot_read_is_named(models: Path, tmp_path: Path) -> None:
    import gguf

    file = tmp_path / "unet.gguf"
    writer = gguf.GGUFWriter(file, "sd1")
    for name, tensor in checkpoint_parts(models / "sd")["unet"].items():
        values = tensor.numpy()
        if name.endswith("attn2.to_k.weight"):
            kind = gguf.GGMLQuantizationType.TQ2_0
            writer.add_tensor(name, np.zeros((len(values), 66), np.uint8), raw_dtype=kind)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    name_configs(file, models / "sd", vae=str(models / "sd"), text_encoder=str(models / "sd"))
    with pytest.raises(ModelUnavailableError, match=r"TQ2_0.*GGUF in one of Q8_0, Q6_K"):
        describe_model(file)
