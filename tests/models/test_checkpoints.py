"""A model in one file paints what its folder paints, and what cannot be opened says what it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from single_files import Tensors, checkpoint_parts, read_part, save_checkpoint
from tiny_models import build_model
from underpaint.engine import Engine
from underpaint.models import describe_model, find_model
from underpaint.models.architectures import CONFIGS
from underpaint.models.roots import Root
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.request import Request
from weight_files import write_safetensors

Change = Callable[[Tensors], Tensors]
FAMILIES = ["sd", "sdxl"]


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
    assert not [note for note in picture.recipe.facts.notes if "weights" not in note]
    return picture.pixels


def edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def as_type(dtype: torch.dtype) -> Change:
    return lambda tensors: {
        name: tensor.to(dtype) if tensor.is_floating_point() else tensor
        for name, tensor in tensors.items()
    }


def with_more(**more: torch.Tensor) -> Change:
    return lambda tensors: tensors | more


def with_training_left(tensors: Tensors) -> Tensors:
    """Add what trainers leave in checkpoints."""
    moving = {
        "model_ema." + name.replace(".", ""): torch.zeros_like(tensor)
        for name, tensor in tensors.items()
        if name.startswith("model.diffusion_model.")
    }
    counts = {"model_ema.num_updates": torch.tensor(7, dtype=torch.int32)}
    return tensors | moving | counts


def as_before_transformers_4(tensors: Tensors) -> Tensors:
    return {
        name.replace(".transformer.text_model.", ".transformer."): t for name, t in tensors.items()
    }


# ---- the same picture ----------------------------------------------------------------------


@pytest.fixture(params=[*FAMILIES, "sd2", "inpainting"])
def folder(request: pytest.FixtureRequest, models: Path, tmp_path: Path) -> Path:
    if request.param == "inpainting":
        return build_model(tmp_path / "tiny", inpainting=True)
    copy = Path(shutil.copytree(models / request.param.strip("2"), tmp_path / "tiny"))
    if request.param == "sd2":  # its text encoder is OpenCLIP's, and its projections are linear
        edit(copy / "text_encoder" / "config.json", hidden_act="gelu")
    return copy


def test_a_file_paints_as_its_folder(engine: Engine, folder: Path, tmp_path: Path) -> None:
    file = save_checkpoint(folder, tmp_path / "one.safetensors")
    np.testing.assert_array_equal(paint(engine, file), paint(engine, folder))
    info, expected = describe_model(file), describe_model(folder)
    assert (info.form, expected.form) == ("file", "folder")
    for name in (
        "family",
        "native",
        "cell",
        "train_steps",
        "purpose",
        "prediction_type",
        "precision",
    ):
        assert getattr(info, name) == getattr(expected, name), name


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("change", [with_training_left, as_before_transformers_4])
def test_what_else_is_in_a_file_changes_no_pixel(
    engine: Engine, models: Path, tmp_path: Path, family: str, change: Change
) -> None:
    file = save_checkpoint(models / family, tmp_path / "one.safetensors", change=change)
    np.testing.assert_array_equal(paint(engine, file), paint(engine, models / family))


@pytest.mark.parametrize(
    ("dtype", "precision"),
    [
        (torch.float16, "fp16"),
        (torch.bfloat16, "bf16"),
        (torch.float8_e4m3fn, "fp8"),
        (torch.float8_e5m2, "fp8"),
    ],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_of_lesser_precision_paints_what_its_numbers_say(
    engine: Engine, models: Path, tmp_path: Path, family: str, dtype: torch.dtype, precision: str
) -> None:
    file = save_checkpoint(models / family, tmp_path / "one.safetensors", change=as_type(dtype))
    assert describe_model(file).precision == precision

    def rounded(tensors: Tensors) -> Tensors:
        return as_type(torch.float32)(as_type(dtype)(tensors))

    full = save_checkpoint(models / family, tmp_path / "full.safetensors", change=rounded)
    np.testing.assert_array_equal(paint(engine, file), paint(engine, full))


KEYS: dict[str, tuple[Change, dict[str, Any]]] = {
    "v-prediction": (with_more(v_pred=torch.tensor([])), {"prediction_type": "v_prediction"}),
    "zero terminal SNR": (
        with_more(v_pred=torch.tensor([]), ztsnr=torch.tensor([])),
        {
            "prediction_type": "v_prediction",
            "rescale_betas_zero_snr": True,
            "timestep_spacing": "trailing",
        },
    ),
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("family", FAMILIES)
def test_keys_tell_what_is_predicted(
    engine: Engine, models: Path, tmp_path: Path, family: str, key: str
) -> None:
    change, levels = KEYS[key]
    plain = save_checkpoint(models / family, tmp_path / "plain.safetensors")
    file = save_checkpoint(models / family, tmp_path / "one.safetensors", change=change)
    copy = Path(shutil.copytree(models / family, tmp_path / "folder"))
    edit(copy / "scheduler" / "scheduler_config.json", **levels)
    info = describe_model(file)
    assert info.prediction_type == "v_prediction"
    assert info.zero_snr == ("rescale_betas_zero_snr" in levels)
    found = paint(engine, file)
    np.testing.assert_array_equal(found, paint(engine, copy))
    assert (found != paint(engine, plain)).any()


def test_a_file_is_found_by_its_path_and_hashed_as_model_sites_do(
    models: Path, tmp_path: Path
) -> None:
    file = save_checkpoint(models / "sd", tmp_path / "one.v2.safetensors")
    assert find_model(str(file)) == file
    assert describe_model(file).name == "one.v2"


# ---- parts from elsewhere ------------------------------------------------------------------

PARTS = {
    "sd": {"vae": "sd1_vae", "text_encoder": "clip_l"},
    "sdxl": {"vae": "sdxl_vae", "text_encoder": "clip_l", "text_encoder_2": "clip_g"},
}


def lone(folder: Path, part: str, file: Path, *, bare: bool) -> None:
    """Write one part as a file of its own: without what comes before names, or with it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if bare and part != "vae":
        save_file(read_part(folder, part)[0], file)  # as transformers names it
        return
    tensors = checkpoint_parts(folder)[part]
    save_file({n.removeprefix("first_stage_model." * bare): t for n, t in tensors.items()}, file)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize(("family", "part"), [(f, part) for f in PARTS for part in PARTS[f]])
def test_a_part_that_a_file_lacks_comes_from_the_folder_of_parts(
    engine: Engine, models: Path, home: Path, tmp_path: Path, family: str, part: str, bare: bool
) -> None:
    folder, name = models / family, PARTS[family][part]
    file = save_checkpoint(folder, tmp_path / "one.safetensors", without=(part,))
    with pytest.raises(ModelUnavailableError) as caught:
        describe_model(file)
    place = home / "models" / "parts"
    for told in (f"({part})", f"{place}, as {name}.safetensors", f'{{"{part}": "FILE"}}'):
        assert told in str(caught.value)
    lone(folder, part, place / f"{name}.fp32.safetensors", bare=bare)
    np.testing.assert_array_equal(paint(engine, file), paint(engine, folder))


@pytest.mark.parametrize("place", ["VAE", "vae"])
def test_another_tools_parts_are_found(
    engine: Engine,
    models: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    """Beside the folder of its models, once that is used."""
    tool = tmp_path / "tool" / "models"
    (tool / "checkpoints").mkdir(parents=True)
    roots = [Root("underpaint", tmp_path, is_own=True), Root("comfyui", tool / "checkpoints")]
    monkeypatch.setattr("underpaint.models.parts.used_roots", lambda: roots)
    lone(models / "sd", "vae", tool / place / "vae-ft-mse-840000-ema.safetensors", bare=True)
    file = save_checkpoint(models / "sd", tmp_path / "one.safetensors", without=("vae",))
    np.testing.assert_array_equal(paint(engine, file), paint(engine, models / "sd"))


def test_a_unet_alone_is_a_model_where_its_parts_are(
    engine: Engine, models: Path, home: Path, tmp_path: Path
) -> None:
    for part, name in PARTS["sdxl"].items():
        lone(models / "sdxl", part, home / "models" / "parts" / f"{name}.safetensors", bare=True)
    unet = {
        "diffusers": read_part(models / "sdxl", "unet")[0],
        "original": {
            name.removeprefix("model.diffusion_model."): tensor
            for name, tensor in checkpoint_parts(models / "sdxl")["unet"].items()
        },
    }
    for kind, tensors in unet.items():
        file = tmp_path / f"{kind}.safetensors"
        save_file(tensors, file)
        said = {"config": str(models / "sdxl")}
        (tmp_path / f"{kind}.underpaint.json").write_text(json.dumps(said))
        np.testing.assert_array_equal(paint(engine, file), paint(engine, models / "sdxl"))


@pytest.mark.parametrize("form", ["folder", "file"])
@pytest.mark.parametrize("given", ["bare", "checkpoint", "model folder", "part folder"])
def test_another_autoencoder_takes_the_place_of_a_models_own(
    engine: Engine, models: Path, tmp_path: Path, form: str, given: str
) -> None:
    other = build_model(tmp_path / "other", seed=3)
    where = {
        "bare": tmp_path / "vae.safetensors",
        "checkpoint": tmp_path / "other.safetensors",
        "model folder": other,
        "part folder": other / "vae",
    }[given]
    if given == "bare":
        lone(other, "vae", where, bare=True)
    elif given == "checkpoint":
        save_checkpoint(other, where)
    expected = Path(shutil.copytree(models / "sd", tmp_path / "expected"))
    shutil.rmtree(expected / "vae")
    shutil.copytree(other / "vae", expected / "vae")
    said: dict[str, Any] = {"vae": where.name if where.parent == tmp_path else str(where)}
    if form == "file":
        model = save_checkpoint(models / "sd", tmp_path / "model.safetensors", **said)
    else:
        model = Path(shutil.copytree(models / "sd", tmp_path / "model"))
        (tmp_path / "model.underpaint.json").write_text(json.dumps(said))
    np.testing.assert_array_equal(paint(engine, model), paint(engine, expected))
    assert str(where) in " ".join(describe_model(model).files)


@pytest.mark.parametrize("form", ["folder", "file"])
def test_a_skipped_layer_of_clip_is_left_out(
    engine: Engine, models: Path, tmp_path: Path, form: str
) -> None:
    """Stable Diffusion WebUI counts from 1, which is the last layer."""
    plain = Path(shutil.copytree(models / "sd", tmp_path / "plain"))
    shorter = Path(shutil.copytree(models / "sd", tmp_path / "shorter"))
    edit(shorter / "text_encoder" / "config.json", num_hidden_layers=1)

    def skipping(skip: int) -> Path:
        if form == "file":
            return save_checkpoint(plain, tmp_path / f"skip{skip}.safetensors", clip_skip=skip)
        copy = Path(shutil.copytree(plain, tmp_path / f"skip{skip}"))
        (copy / "underpaint.json").write_text(json.dumps({"clip_skip": skip}))
        return copy

    np.testing.assert_array_equal(paint(engine, skipping(1)), paint(engine, plain))
    found = paint(engine, skipping(2))
    np.testing.assert_array_equal(found, paint(engine, shorter))
    assert (found != paint(engine, plain)).any()
    with pytest.raises(ModelUnavailableError, match=r"clip_skip 3 is too large.*at most 2"):
        describe_model(skipping(3))


def test_sdxl_is_read_before_the_last_layer_already(
    engine: Engine, models: Path, tmp_path: Path
) -> None:
    for skip in (1, 2):
        file = save_checkpoint(models / "sdxl", tmp_path / f"{skip}.safetensors", clip_skip=skip)
        np.testing.assert_array_equal(paint(engine, file), paint(engine, models / "sdxl"))
    file = save_checkpoint(models / "sdxl", tmp_path / "3.safetensors", clip_skip=3)
    with pytest.raises(ModelUnavailableError, match=r"clip_skip 3 is too large.*at most 2"):
        describe_model(file)


def test_a_side_car_that_changes_is_another_model(
    engine: Engine, models: Path, tmp_path: Path
) -> None:
    file = save_checkpoint(models / "sd", tmp_path / "one.safetensors")
    before = paint(engine, file)
    save_checkpoint(models / "sd", tmp_path / "one.safetensors", prediction="v_prediction")
    assert (paint(engine, file) != before).any()
    save_checkpoint(models / "sd", tmp_path / "one.safetensors", sampler="Euler a", native=128)
    info = describe_model(file)
    assert (info.recommended.sampler, info.native) == ("k_euler_a", 128)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"stepps": 3}, "stepps is unknown; there are family, "),
        ({"clip_skip": 0}, "clip_skip is 0; give a whole number from 1 to 12"),
        ({"clip_skip": True}, "clip_skip is True; give a whole number"),
        ({"prediction": "x0"}, "prediction is 'x0'; give one of epsilon, v_prediction"),
        ({"zero_snr": 1}, "zero_snr is '1'; give true or false"),
        ({"native": 5}, "native is 5; give a whole number"),
        ({"vae": 3}, "vae is '3'; give the path of a file or folder"),
        ({"vae": "none.safetensors"}, r"none.safetensors cannot be read \(No such file"),
        ({"vae": "one.underpaint.json"}, "is not a model file"),
        ({"sampler": "k_magic"}, "sampler 'k_magic' is unknown"),
        ({"config": "nowhere"}, "there is no .*nowhere/model_index.json"),
    ],
)
def test_what_a_side_car_cannot_say_is_named(
    models: Path, tmp_path: Path, said: dict[str, Any], told: str
) -> None:
    file = save_checkpoint(models / "sd", tmp_path / "one.safetensors", **said)
    with pytest.raises(ModelUnavailableError, match=told):
        describe_model(file)


# ---- what comes with Underpaint ------------------------------------------------------------


@pytest.mark.parametrize("pad", ["<|endoftext|>", "!"])
def test_the_tokenizer_that_comes_with_underpaint_is_clips(tmp_path: Path, pad: str) -> None:
    """These numbers are public: the start, the end, and a sentence of CLIP's own paper."""
    from transformers import CLIPTokenizer

    from underpaint.models import read_text

    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_text(read_text(CONFIGS, f"clip/{name}.gz"), encoding="utf-8")
    shutil.copy(
        CONFIGS / "sdxl" / f"tokenizer{'_2' * (pad == '!')}" / "tokenizer_config.json", tmp_path
    )
    tokenizer = CLIPTokenizer.from_pretrained(tmp_path)
    assert len(tokenizer) == 49408
    assert tokenizer("a photo of a cat")["input_ids"] == [49406, 320, 1125, 539, 320, 2368, 49407]
    assert tokenizer("a Photo  of a CAT")["input_ids"][1:-1] == [320, 1125, 539, 320, 2368]
    assert tokenizer("")["input_ids"] == [49406, 49407]
    padded = tokenizer("a cat", padding="max_length")["input_ids"]
    assert len(padded) == 77
    assert padded[-1] == {"!": 0}.get(pad, 49407)


def real_layout(kind: str, dtype: str = "F16") -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the header of a full-size checkpoint: the real classes, made of nothing."""
    import diffusers
    import transformers

    from single_files import clip, original_open_clip, original_unet, original_vae

    def make(part: str) -> tuple[Tensors, dict[str, Any]]:
        config = json.loads((CONFIGS / kind / part / "config.json").read_text())
        index = json.loads((CONFIGS / kind / "model_index.json").read_text())
        library, class_name = index[part]
        with torch.device("meta"):
            if library == "diffusers":
                made = getattr(diffusers, class_name).from_config(config)
            else:
                text = transformers.CLIPTextConfig(**config)
                made = getattr(transformers, class_name)(text)
        return dict(made.state_dict()), config

    parts = {
        "model.diffusion_model.": original_unet(*make("unet")),
        "first_stage_model.": original_vae(*make("vae")),
    }
    first, _ = make("text_encoder")
    if kind == "sd1":
        parts["cond_stage_model.transformer."] = clip(first)
    elif kind == "sd2":
        parts["cond_stage_model.model."] = original_open_clip(first)
    else:
        parts["conditioner.embedders.0.transformer."] = clip(first)
        parts["conditioner.embedders.1.model."] = original_open_clip(make("text_encoder_2")[0])
    return {
        prefix + name: ("I64" if name.endswith("position_ids") else dtype, tuple(tensor.shape))
        for prefix, tensors in parts.items()
        for name, tensor in tensors.items()
    }


@pytest.fixture(scope="module")
def layouts() -> dict[str, dict[str, tuple[str, tuple[int, ...]]]]:
    return {kind: real_layout(kind) for kind in ("sd1", "sd2", "sdxl")}


REAL = {
    # how many tensors and gigabytes the well-known files have, less what is not a tensor
    "sd1": ("sd", 512, "epsilon", 1131, 2.13),
    "sd2": ("sd", 512, "epsilon", 1227, 2.55),
    "sdxl": ("sdxl", 1024, "epsilon", 2515, 6.94),
}


@pytest.mark.parametrize("kind", REAL)
def test_full_size_files_are_described_by_what_comes_with_underpaint(
    layouts: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    family, native, prediction, count, size = REAL[kind]
    file = write_safetensors(tmp_path / "big.safetensors", layouts[kind])
    info = describe_model(file)
    assert (info.family, info.native, info.cell) == (family, native, 8)
    assert (info.prediction_type, info.zero_snr, info.precision) == (prediction, False, "fp16")
    assert (info.purpose, info.prompt_tokens) == ("plain", 77)
    assert info.own_files == (str(file),)
    assert abs(len(layouts[kind]) - count) < 50
    assert abs(file.stat().st_size / 1e9 - size) < 0.1


def test_full_size_variants_are_told(layouts: dict[str, Any], tmp_path: Path) -> None:
    first = "model.diffusion_model.input_blocks.0.0.weight"
    nine = {first: ("F16", (320, 9, 3, 3))}
    empty = ("F32", (0,))
    cases: dict[str, tuple[str, dict[str, Any], tuple[Any, ...]]] = {
        "inpainting": ("sd1", nine, ("inpainting", "epsilon", False, 512)),
        "sdxl inpainting": ("sdxl", nine, ("inpainting", "epsilon", False, 1024)),
        "noob": ("sdxl", {"v_pred": empty, "ztsnr": empty}, ("plain", "v_prediction", True, 1024)),
        "fluffy": ("sd1", {"v_pred": empty}, ("plain", "v_prediction", False, 512)),
    }
    for name, (kind, more, expected) in cases.items():
        info = describe_model(
            write_safetensors(tmp_path / f"{name}.safetensors", {**layouts[kind], **more})
        )
        found = (info.purpose, info.prediction_type, info.zero_snr, info.native)
        assert found == expected, name


@pytest.mark.parametrize("way", ["its weights", "a config of WebUI's", "its metadata", "side-car"])
def test_velocity_of_stable_diffusion_2_is_told(
    layouts: dict[str, Any], tmp_path: Path, way: str
) -> None:
    file = tmp_path / "v2.safetensors"
    bias = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"
    values = np.tile([0.2, -0.2], 160) if way == "its weights" else np.zeros(320)
    said = {"modelspec.prediction_type": "v"} if way == "its metadata" else {}
    write_safetensors(file, layouts["sd2"], said, {bias: values.astype(np.float16).tobytes()})
    if way == "a config of WebUI's":
        file.with_suffix(".yaml").write_text('model:\n  params:\n    parameterization: "v"\n')
    if way == "side-car":
        said = {"prediction": "v_prediction"}
        (tmp_path / "v2.underpaint.json").write_text(json.dumps(said))
    info = describe_model(file)
    assert (info.prediction_type, info.native) == ("v_prediction", 768)


# ---- refusals ------------------------------------------------------------------------------

UNET = "model.diffusion_model."

REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "edm": ("sdxl", {"edm_mean": ("F32", (4,))}, "EDM's noise levels.*take another sdxl model"),
    "cosxl": ("sdxl", {"edm_vpred.sigma_max": ("F32", ())}, "EDM's noise levels"),
    "edit": (
        "sd1",
        {f"{UNET}input_blocks.0.0.weight": ("F16", (320, 8, 3, 3))},
        "it is a Stable Diffusion 1 model for edit; take a plain or an inpainting one",
    ),
    "refiner": (
        "sdxl",
        {f"{UNET}label_emb.0.0.weight": ("F16", (1536, 2560))},
        "it is a refiner.*take a whole model",
    ),
    "wider": (
        "sd1",
        {f"{UNET}out.2.weight": ("F16", (4, 640, 3, 3))},
        r"no architecture that Underpaint knows: its out.2.weight has .*\[4, 640, 3, 3\]",
    ),
    "deeper": (
        "sdxl",
        {f"{UNET}input_blocks.4.1.transformer_blocks.10.norm1.bias": ("F16", (640,))},
        "it has 11 transformer_blocks, and 10 are known",
    ),
    "int8": (
        "sd1",
        {f"{UNET}middle_block.1.proj_in.weight": ("I8", (1280, 1280, 1, 1))},
        "are quantised .*I8.*take the model in",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_of_another_kind_is_refused_by_name(
    layouts: dict[str, Any], tmp_path: Path, name: str
) -> None:
    kind, more, told = REFUSED[name]
    file = write_safetensors(tmp_path / "x.safetensors", {**layouts[kind], **more})
    with pytest.raises(ModelUnavailableError, match=told):
        describe_model(file)


def test_a_distilled_unet_is_refused(layouts: dict[str, Any], tmp_path: Path) -> None:
    """As SSD-1B is, which has blocks of SDXL left out."""
    fewer = {n: t for n, t in layouts["sdxl"].items() if "output_blocks.8." not in n}
    file = write_safetensors(tmp_path / "x.safetensors", fewer)
    with pytest.raises(ModelUnavailableError, match=r"it has no output_blocks\.8.*side-car file"):
        describe_model(file)


NO_MODELS: dict[str, tuple[dict[str, tuple[int, ...]], str]] = {
    "a LoRA": ({"lora_unet_down_blocks_0.lora_up.weight": (320, 4)}, "is a LoRA, not a model"),
    "a VAE": ({"encoder.conv_in.weight": (128, 3, 3, 3)}, "is a VAE, not a model.*autoencoder"),
    "a ControlNet": (
        {"control_model.zero_convs.0.0.weight": (1, 1)},
        "is a ControlNet, not a model",
    ),
    "a text encoder": (
        {"text_model.embeddings.token_embedding.weight": (49408, 768)},
        "is a text encoder, not a model.*models/parts",
    ),
    "something else": (
        {"weight": (3, 3)},
        "is a file of a kind that Underpaint does not know, not a model",
    ),
    "auraflow": (
        {"double_layers.0.attn.w2q.weight": (8, 8)},
        "it is a auraflow model, and Underpaint opens Stable Diffusion, SDXL, .*; take another",
    ),
    "flux": (
        {"double_blocks.0.img_attn.norm.key_norm.scale": (128,)},
        "names the tensors of its transformer in no way that Underpaint knows; take another file",
    ),
}


@pytest.mark.parametrize("name", NO_MODELS)
def test_what_is_no_model_that_can_be_run_says_what_it_is(tmp_path: Path, name: str) -> None:
    shapes, told = NO_MODELS[name]
    layout = {one: ("F16", shape) for one, shape in shapes.items()}
    file = write_safetensors(tmp_path / "x.safetensors", layout)
    with pytest.raises(ModelUnavailableError, match=told):
        describe_model(file)


def test_a_file_that_lacks_a_weight_is_found_at_opening(
    engine: Engine, models: Path, tmp_path: Path
) -> None:
    for part, ending in (("unet", "time_embed.0.bias"), ("text_encoder", "layers.0.mlp.fc1.bias")):

        def change(tensors: Tensors, ending: str = ending) -> Tensors:
            return {name: tensor for name, tensor in tensors.items() if not name.endswith(ending)}

        file = save_checkpoint(models / "sd", tmp_path / "one.safetensors", change=change)
        with pytest.raises(ModelUnavailableError, match=f"its {part} lacks .*bias"):
            paint(engine, file)


@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "pickle"])
def test_a_damaged_file_is_named(models: Path, tmp_path: Path, damage: str) -> None:
    file = save_checkpoint(models / "sd", tmp_path / "one.safetensors")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-1000])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "gone":
        file.unlink()
    else:
        file = tmp_path / "one.ckpt"
        file.write_bytes(b"\x80\x04.")
    with pytest.raises(ModelUnavailableError, match="one"):
        describe_model(file)


def test_a_replaced_file_is_opened_anew(engine: Engine, models: Path, tmp_path: Path) -> None:
    file = save_checkpoint(models / "sd", tmp_path / "one.safetensors")
    before = paint(engine, file)
    other = build_model(tmp_path / "other", seed=5)
    save_checkpoint(other, tmp_path / "new.safetensors").replace(file)
    assert (paint(engine, file) != before).any()


def test_a_folder_is_described_without_a_look_for_parts(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its own, and folders of parts would be listed before each picture."""
    monkeypatch.setattr("underpaint.models.parts.parts_folders", lambda: pytest.fail("it looks"))
    assert describe_model(models / "sd").family == "sd"
