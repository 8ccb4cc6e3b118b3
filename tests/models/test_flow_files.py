"""A flow-matching model in one file paints what its folder paints, with parts from elsewhere."""

from __future__ import annotations

import inspect
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from flow_files import (
    TRANSFORMERS,
    VAES,
    architecture_of,
    read_weights,
    save,
    save_checkpoint,
    save_parts,
    save_transformer,
)
from single_files import Tensors, save_gguf
from tiny_flow_models import autoencoder, build_flow_model
from underpaint.engine import Engine
from underpaint.models import default_model, describe_model, list_entries
from underpaint.models.architectures import ARCHITECTURES, COMPONENTS, CONFIGS, Architecture
from underpaint.models.card_memory import card_memory, file_memory
from underpaint.models.families import FLOWS, check_flow_parts
from underpaint.models.known_sizes import KNOWN_MODELS
from underpaint.models.layouts import encoder_width
from underpaint.models.memory_needs import describe_needs
from underpaint.models.model_index import is_tokenizer
from underpaint.models.probes import read_contents
from underpaint.models.roots import Root
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.request import Request
from weight_files import write_safetensors

KINDS = (
    "flux", "schnell", "fill", "chroma", "z-image", "klein", "qwen-image", "sd3", "krea2",
    "lumina2", "qwen-image-2.1",
)  # fmt: skip
FIXED_WIDTH = ("flux", "schnell", "fill", "chroma", "lumina2")
"""diffusers converts the authors' names of these at their real width alone."""

Built = Callable[[str], Path]
Change = Callable[[Tensors], Tensors]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine("cpu")


@pytest.fixture(autouse=True)
def _home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts that one test puts into the home are not found by another."""
    monkeypatch.setenv("HF_HUB_CACHE", str(home / "hub"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """What builds a model folder, once."""
    folder = tmp_path_factory.mktemp("flow")

    def build(kind: str) -> Path:
        if not (folder / kind).exists():
            build_flow_model(folder / kind, kind)
        return folder / kind

    return build


@pytest.fixture
def parts(home: Path) -> Path:
    return home / "models" / "parts"


def paint(engine: Engine, model: Path) -> Any:
    request = Request.of(prompt="a lake", model=str(model), seed=1, steps=2, width=64, height=64)
    (picture,) = engine.generate(request)
    return picture.pixels


def assert_same(engine: Engine, model: Path, expected: Path) -> None:
    """Assert that two models have the same weights, bit for bit, and paint the same picture.

    Where a tensor begins in memory depends on the file, and a CPU adds in another order where that
    is no multiple of its registers' width: a pixel may differ by one level.
    """
    found, wanted = paint(engine, model), paint(engine, expected)
    own, other = (engine.load(str(one)).pipeline.components for one in (model, expected))
    networks = [name for name, part in other.items() if isinstance(part, torch.nn.Module)]
    assert len(networks) >= 3
    for name in networks:
        weights = own[name].state_dict()
        assert weights.keys() == other[name].state_dict().keys()
        for one, tensor in other[name].state_dict().items():
            assert torch.equal(weights[one], tensor), f"{name}: {one}"
    np.testing.assert_allclose(found.astype(int), wanted, atol=1)


def bare_configs(folder: Path, to: Path) -> Path:
    """Copy a folder's configs alone: without weights, and without tokenizers but CLIP's."""
    ignore = shutil.ignore_patterns("*.safetensors", "*.index.json")
    shutil.copytree(folder, to, ignore=ignore)
    for part in architecture_of(folder).parts:
        if part.startswith("tokenizer") and (to / part).is_dir():
            for file in (to / part).iterdir():
                if file.name != "tokenizer_config.json":
                    file.unlink()
    return to


# ---- the same picture ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "original"),
    [(kind, original) for kind in KINDS for original in (False, True)
     if not (original and kind in FIXED_WIDTH)],
)  # fmt: skip
def test_a_transformer_alone_paints_as_its_folder(
    engine: Engine, built: Built, parts: Path, tmp_path: Path, kind: str, original: bool
) -> None:
    folder = built(kind)
    save_parts(folder, parts)
    prefix = "model.diffusion_model." if original else ""
    file = save_transformer(folder, tmp_path / "one.safetensors", original=original, prefix=prefix)
    info, expected = describe_model(file), describe_model(folder)
    for name in ("family", "native", "cell", "purpose", "precision", "recommended"):
        assert getattr(info, name) == getattr(expected, name), name
    assert_same(engine, file, folder)


@pytest.mark.parametrize(
    ("kind", "variant"),
    [(kind, ("fp16", "bf16")[number % 2]) for number, kind in enumerate(KINDS)],
)
def test_a_folder_in_shards_of_half_precision_paints_what_its_numbers_say(
    engine: Engine, built: Built, tmp_path: Path, kind: str, variant: str
) -> None:
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}[variant]
    shards, whole = (
        Path(shutil.copytree(built(kind), tmp_path / one)) for one in ("shards", "whole")
    )
    for file in sorted(whole.glob("*/*.safetensors")):
        part, base = file.parent.name, file.stem
        own = read_weights(whole, part)
        halves = {n: one.to(dtype) if one.is_floating_point() else one for n, one in own.items()}
        save_file({n: one.to(own[n].dtype) for n, one in halves.items()}, file)
        (shards / part / file.name).unlink()
        names = [f"{base}.{variant}-0000{n}-of-00002.safetensors" for n in (1, 2)]
        placed = {name: names[number % 2] for number, name in enumerate(sorted(halves))}
        for name in names:
            held = {one: tensor for one, tensor in halves.items() if placed[one] == name}
            save_file(held, shards / part / name)
        index = shards / part / f"{base}.safetensors.index.{variant}.json"
        index.write_text(json.dumps({"metadata": {}, "weight_map": placed}))
    assert describe_model(shards).precision == variant
    assert_same(engine, shards, whole)


@pytest.mark.parametrize("kind", ["flux", "fill", "chroma", "z-image", "klein", "sd3", "lumina2"])
def test_a_checkpoint_paints_as_its_folder(
    engine: Engine, built: Built, tmp_path: Path, kind: str
) -> None:
    file = save_checkpoint(built(kind), tmp_path / "one.safetensors")
    info = describe_model(file)
    assert {part.weights for part in info.parts if part.has_weights} == {str(file)}
    assert_same(engine, file, built(kind))


@pytest.mark.parametrize("class_name", sorted(VAES.keys() - {"AutoencoderKLQwenImage21"}))
def test_an_autoencoder_by_its_authors_names_decodes_as_by_diffusers(
    tmp_path: Path, class_name: str
) -> None:
    import diffusers

    from underpaint.engine.single_file import open_from_file
    from underpaint.models.files import ModelFile, Part
    from underpaint.models.headers import read_header
    from underpaint.models.parts import find_inside

    makers: dict[str, Callable[[], Any]] = {
        "AutoencoderKL": autoencoder,
        "AutoencoderKLFlux2": lambda: diffusers.AutoencoderKLFlux2(
            block_out_channels=(8, 16, 16, 16), latent_channels=8, norm_num_groups=4
        ),
        "AutoencoderKLQwenImage": lambda: diffusers.AutoencoderKLQwenImage(base_dim=8, z_dim=4),
    }
    made = makers[class_name]()
    for name, tensor in made.named_buffers():
        if name.startswith("bn.running"):
            torch.nn.init.uniform_(tensor, 0.1, 0.5)
    made.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    file = tmp_path / "weights.safetensors"
    tensors = VAES[class_name](dict(made.state_dict()), config)
    save_file({name: one.contiguous() for name, one in tensors.items()}, file)
    part = Part("vae", "diffusers", class_name, (ModelFile("config.json", "config.json"),))
    inside = find_inside(part, read_header(file), config)
    assert inside is not None
    assert inside.layout == "original"
    opened, missing = open_from_file(part, inside, type(made), file, torch.float32)
    assert missing == []
    for name, tensor in made.state_dict().items():
        assert torch.equal(opened.state_dict()[name], tensor), name


def as_type(dtype: torch.dtype) -> Change:
    return lambda tensors: {
        name: one.to(dtype) if one.is_floating_point() else one for name, one in tensors.items()
    }


def scaled(tensors: Tensors) -> Tensors:
    """Store linear weights as 8 bits that use their whole range, as ComfyUI does."""
    found = {"scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}
    for name, tensor in tensors.items():
        if tensor.ndim == 2 and name.endswith(".weight"):
            scale = tensor.abs().max() / 448
            found[name] = (tensor / scale).to(torch.float8_e4m3fn)
            found[name.removesuffix("weight") + "scale_weight"] = scale
        else:
            found[name] = tensor.to(torch.float8_e4m3fn)
    return found


def descaled(tensors: Tensors) -> Tensors:
    """Return the numbers that `scaled` says."""
    stored, found = scaled(tensors), {}
    for name in tensors:
        found[name] = stored[name].float()
        scale = stored.get(name.removesuffix("weight") + "scale_weight")
        if scale is not None:
            found[name] = found[name] * scale
    return found


def as_stored(dtype: torch.dtype) -> tuple[Change, Change]:
    """Return what stores tensors in a type, and what returns the numbers that they then say."""
    store = as_type(dtype)
    return store, lambda tensors: as_type(torch.float32)(store(tensors))


STORED: dict[str, tuple[Change, Change]] = {
    "bf16": as_stored(torch.bfloat16),
    "fp16": as_stored(torch.float16),
    "fp8": as_stored(torch.float8_e4m3fn),
    "fp8_scaled": (scaled, descaled),
}


@pytest.mark.parametrize("precision", STORED)
@pytest.mark.parametrize("kind", ["flux", "z-image"])
def test_lesser_precision_paints_what_its_numbers_say(
    engine: Engine, built: Built, tmp_path: Path, kind: str, precision: str
) -> None:
    """In the transformer and in the text encoders, as painters have them."""
    folder = built(kind)
    files = {}
    for which, change in zip(("stored", "whole"), STORED[precision], strict=True):
        said = {}
        for part in architecture_of(folder).parts:
            if part.startswith("text_encoder") or part == "vae":
                file = tmp_path / which / f"{part}.safetensors"
                file.parent.mkdir(exist_ok=True)
                own = read_weights(folder, part)
                save_file(change(own) if part != "vae" else own, file)
                said[part] = str(file)
        tensors = change(read_weights(folder, "transformer"))
        files[which] = save(tmp_path / which / "one.safetensors", tensors, folder, **said)
    assert describe_model(files["stored"]).precision == precision
    assert_same(engine, files["stored"], files["whole"])


@pytest.mark.parametrize("kind", ["flux", "fill", "z-image", "krea2", "qwen-image-2.1"])
def test_a_quantised_transformer_paints_nearly_as_its_folder(
    engine: Engine, built: Built, parts: Path, tmp_path: Path, kind: str
) -> None:
    folder = built(kind)
    save_parts(folder, parts)
    tensors = read_weights(folder, "transformer")
    if kind not in FIXED_WIDTH:
        tensors = TRANSFORMERS[kind](tensors)

    def choose(name: str, tensor: torch.Tensor) -> str:
        return "Q8_0" if tensor.ndim == 2 and tensor.shape[-1] % 32 == 0 else "F32"

    file = save_gguf(tmp_path / "one-Q8_0.gguf", tensors, choose)
    said = {"config": str(folder), "native": 64}
    (tmp_path / "one-Q8_0.underpaint.json").write_text(json.dumps(said))
    assert describe_model(file).precision == "Q8_0"
    found, expected = (paint(engine, one).astype(int) for one in (file, folder))
    assert np.abs(found - expected).mean() < 8
    assert (found != expected).any()


def in_llama_cpp(tensors: Tensors, config: Any, class_name: str) -> Tensors:
    """Name a text encoder's tensors as llama.cpp's converter does; pictures have another file."""
    import gguf

    from underpaint.engine.text_encoders import GGUF_ARCHITECTURES

    inner = config.get_text_config()
    layers = getattr(inner, "num_hidden_layers", None) or inner.num_layers
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[GGUF_ARCHITECTURES[class_name]], layers)
    found = {}
    for name, tensor in tensors.items():
        stem, _, ending = name.replace("language_model.", "").rpartition(".")
        known = names.get_name(stem) or names.get_name(f"model.{stem}")
        if known:
            more = "Gemma" in class_name and stem.endswith("norm")
            found[f"{known}.{ending}"] = tensor + 1 if more else tensor
    return found


OTHER_NAMES: dict[str, Callable[[str], str]] = {
    "as saved": lambda name: name,
    "with model. before": lambda name: (
        name if name.startswith(("model.", "lm_head", "shared", "encoder")) else f"model.{name}"
    ),
    "as transformers 4 had it": lambda name: name.replace(
        "model.language_model.", "model."
    ).replace("model.visual.", "visual."),
    "T5's table by its other name": lambda name: name.replace(
        "shared.weight", "encoder.embed_tokens.weight"
    ),
}


@pytest.mark.parametrize("form", [*OTHER_NAMES, "without vision", "GGUF"])
@pytest.mark.parametrize(
    "kind",
    ["chroma", "z-image", "klein", "qwen-image", "krea2", "lumina2", "qwen-image-2.1"],
)
def test_text_encoders_by_all_names_in_use_read_the_same(
    built: Built, kind: str, form: str
) -> None:
    import transformers

    from underpaint.engine.text_encoders import open_text_encoder

    folder = built(kind)
    class_name = json.loads((folder / "model_index.json").read_text())["text_encoder"][1]
    part_class = getattr(transformers, class_name)
    expected = part_class.from_pretrained(folder / "text_encoder").eval()
    config = part_class.config_class.from_pretrained(folder / "text_encoder")
    tensors = read_weights(folder, "text_encoder")
    if form == "GGUF":
        tensors = in_llama_cpp(tensors, config, class_name)
    elif form == "without vision":
        tensors = {name: one for name, one in tensors.items() if "visual." not in name}
    else:
        tensors = {OTHER_NAMES[form](name): one for name, one in tensors.items()}
    layout = "llama.cpp" if form == "GGUF" else "library"
    found, missing = open_text_encoder(part_class, config, tensors, layout, torch.float32)
    assert missing == []
    tokens = torch.tensor([[5, 6, 7, 8]])
    with torch.inference_mode():
        states = [one(tokens, output_hidden_states=True).hidden_states for one in (found, expected)]
    for own, other in zip(*states, strict=True):
        torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["chroma", "z-image"])
def test_a_text_encoder_in_gguf_reads_prompts(
    engine: Engine, built: Built, parts: Path, tmp_path: Path, kind: str
) -> None:
    import transformers

    folder = built(kind)
    save_parts(folder, parts, without=["text_encoder"])
    class_name = json.loads((folder / "model_index.json").read_text())["text_encoder"][1]
    config_class = getattr(transformers, class_name).config_class
    config = config_class.from_pretrained(folder / "text_encoder")
    tensors = in_llama_cpp(read_weights(folder, "text_encoder"), config, class_name)
    name = COMPONENTS[architecture_of(folder).parts["text_encoder"]].names[0]
    save_gguf(parts / f"{name}-F32.gguf", tensors, lambda _name, _tensor: "F32")
    file = save_transformer(folder, tmp_path / "one.safetensors")
    assert_same(engine, file, folder)


# ---- parts from elsewhere ------------------------------------------------------------------


def test_a_part_that_is_missing_is_named_until_it_is_there(
    engine: Engine, built: Built, parts: Path, tmp_path: Path
) -> None:
    folder = built("flux")
    file = save_transformer(folder, tmp_path / "one.safetensors")
    wanted = {"vae": "ae", "text_encoder": "clip_l", "text_encoder_2": "t5xxl"}
    for part, name in wanted.items():
        with pytest.raises(ModelUnavailableError) as caught:
            describe_model(file)
        for told in (f"({part})", f"{parts}, as {name}.safetensors", f'{{"{part}": "FILE"}}'):
            assert told in str(caught.value)
        assert ". `underpaint models get " in str(caught.value)
        others = [one for one in wanted if one != part]
        save_parts(folder, parts, without=others)
    assert_same(engine, file, folder)


def test_a_tokenizer_that_is_missing_is_named_until_it_is_there(
    engine: Engine, built: Built, parts: Path, tmp_path: Path
) -> None:
    folder = built("lumina2")
    save_parts(folder, parts)
    configs = bare_configs(folder, tmp_path / "configs")
    file = save(tmp_path / "one.safetensors", read_weights(folder, "transformer"), configs)
    with pytest.raises(ModelUnavailableError) as caught:
        describe_model(file)
    place = parts / "gemma_tokenizer"
    for told in ("no Gemma tokenizer", str(place), f"--local-dir {place}` gets it"):
        assert told in str(caught.value)
    shutil.copytree(folder / "tokenizer", place / "tokenizer")  # as the Hub's own downloads lie
    assert_same(engine, file, folder)


@pytest.mark.parametrize("place", ["models", "hub"])
def test_parts_of_a_model_in_the_diffusers_format_are_used(
    engine: Engine,
    built: Built,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
) -> None:
    """Chroma's T5 is FLUX.1's, and so is its autoencoder."""
    folder = built("chroma")
    file = save(tmp_path / "one.safetensors", read_weights(folder, "transformer"), folder)
    with pytest.raises(ModelUnavailableError, match="has no VAE"):
        describe_model(file)
    if place == "models":
        donor = home / "models" / "flux"
    else:
        donor = home / "hub" / "models--a--flux" / "snapshots" / "0123"
        roots = [
            Root("underpaint", home / "models", is_own=True),
            Root("huggingface", home / "hub", is_hub=True),
        ]
        monkeypatch.setattr("underpaint.models.parts.used_roots", lambda: roots)
    flux = built("flux")
    shutil.copytree(flux, donor)
    for part, own in (("vae", "vae"), ("text_encoder_2", "text_encoder")):
        shutil.rmtree(donor / part)
        shutil.copytree(folder / own, donor / part)
    info = describe_model(file)
    used = {part.name: part.weights for part in info.parts if part.has_weights}
    assert used["text_encoder"].startswith(str(donor / "text_encoder_2"))
    assert used["vae"].startswith(str(donor / "vae"))
    assert_same(engine, file, folder)


def test_parts_of_another_size_or_without_weights_are_passed_over(
    built: Built, home: Path, tmp_path: Path
) -> None:
    folder = built("chroma")
    file = save(tmp_path / "one.safetensors", read_weights(folder, "transformer"), folder)
    donor = Path(shutil.copytree(folder, home / "models" / "donor"))
    config = json.loads((donor / "vae" / "config.json").read_text())
    (donor / "vae" / "config.json").write_text(json.dumps({**config, "scaling_factor": 9.0}))
    with pytest.raises(ModelUnavailableError, match="has no VAE"):
        describe_model(file)
    (donor / "vae" / "config.json").write_text(json.dumps(config))
    for weights in (donor / "text_encoder").glob("*.safetensors"):
        weights.unlink()
    with pytest.raises(ModelUnavailableError, match="has no T5 text encoder"):
        describe_model(file)


def test_stable_diffusion_lends_no_parts(models: Path, home: Path, tmp_path: Path) -> None:
    """Who finetunes it, changes its text encoder too."""
    from single_files import save_checkpoint as save_stable_diffusion

    shutil.copytree(models / "sd", home / "models" / "finetuned")
    for part in ("vae", "text_encoder"):
        file = save_stable_diffusion(models / "sd", tmp_path / "a.safetensors", without=(part,))
        with pytest.raises(ModelUnavailableError, match=rf"has no .* in it \({part}\)"):
            describe_model(file)


def test_parts_of_comfyui_are_found(
    engine: Engine, built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = built("flux")
    tool = tmp_path / "ComfyUI"
    files = save_parts(folder, tool / "models" / "text_encoders")
    (tool / "models" / "vae" / "flux").mkdir(parents=True)
    files["vae"].rename(tool / "models" / "vae" / "flux" / "ae.safetensors")
    roots = [
        Root("underpaint", tmp_path / "home", is_own=True),
        Root("comfyui", tool / "models" / "diffusion_models"),
    ]
    monkeypatch.setattr("underpaint.models.parts.used_roots", lambda: roots)
    file = tool / "models" / "diffusion_models" / "flux1-dev.safetensors"
    save(file, read_weights(folder, "transformer"), folder)
    assert_same(engine, file, folder)


def test_what_cannot_be_read_is_passed_over_for_what_can(
    engine: Engine, built: Built, parts: Path, tmp_path: Path
) -> None:
    """A painter has a part for another tool, in a form that only that tool reads."""
    folder = built("chroma")
    files = save_parts(folder, parts)
    odd = {name: ("I8", tuple(one.shape)) for name, one in read_weights(folder, "vae").items()}
    write_safetensors(parts / "ae-int8.safetensors", odd)
    file = save_transformer(folder, tmp_path / "one.safetensors")
    assert_same(engine, file, folder)
    files["vae"].unlink()
    with pytest.raises(ModelUnavailableError, match=r"ae-int8.safetensors are quantised as int8"):
        describe_model(file)


def test_stable_diffusion_3_does_without_t5(
    engine: Engine, built: Built, parts: Path, tmp_path: Path
) -> None:
    folder = built("sd3")
    save_parts(folder, parts, without=["text_encoder_3"])
    file = save_transformer(folder, tmp_path / "one.safetensors")
    names = {part.name for part in describe_model(file).parts}
    assert "text_encoder_2" in names
    assert not names & {"text_encoder_3", "tokenizer_3"}
    without = Path(shutil.copytree(folder, tmp_path / "folder"))
    index = json.loads((without / "model_index.json").read_text())
    for part in ("text_encoder_3", "tokenizer_3"):
        shutil.rmtree(without / part)
        index[part] = [None, None]
    (without / "model_index.json").write_text(json.dumps(index))
    assert_same(engine, file, without)


def test_models_in_one_file_are_listed_with_what_they_lack(
    built: Built, home: Path, parts: Path
) -> None:
    folder = built("flux")
    save_parts(folder, parts, without=["text_encoder_2"])
    save_transformer(folder, home / "models" / "flux1-dev.safetensors")

    def problem() -> str:
        (entry,) = (one for one in list_entries() if one.name == "flux1-dev")
        return entry.problem

    assert "has no T5 text encoder in it (text_encoder_2)" in problem()
    assert default_model() == "flux1-dev"  # it is the user's own, and says what it lacks
    shutil.copytree(built("z-image"), home / "models" / "whole")
    assert default_model() == "whole"
    save_parts(folder, parts)
    assert problem() == ""
    assert default_model() == "flux1-dev"


# ---- what comes with Underpaint ------------------------------------------------------------

FLOW_ARCHITECTURES = [one for one in ARCHITECTURES if one.family in FLOWS]


def name_of(architecture: Architecture) -> str:
    names = architecture.configs, architecture.variant, architecture.index
    return "-".join((*names, str(len(architecture.named))))


def make(architecture: Architecture, part: str) -> tuple[Any, dict[str, Any]]:
    """Return a part of real size, made of nothing, and its config."""
    import diffusers
    import transformers

    folder = CONFIGS / architecture.configs
    library, class_name = json.loads((folder / architecture.index).read_text())[part]
    config = json.loads((folder / part / "config.json").read_text())
    config |= architecture.changes.get(part, {})
    part_class = getattr(diffusers if library == "diffusers" else transformers, class_name)
    with torch.device("meta"):
        if library == "diffusers":
            unknown = config.keys() - inspect.signature(part_class.__init__).parameters.keys()
            assert unknown == {"_class_name"}, "diffusers would leave it out"
            return part_class.from_config(config), config
        return part_class(part_class.config_class(**config)), config


SIZES = {
    # billions of numbers in the transformer and in the text encoders, as published
    "flux-dev": (11.9, [0.123, 4.8]),
    "flux-schnell": (11.9, [0.123, 4.8]),
    "chroma": (8.9, [4.8]),
    "z-image": (6.15, [4.0]),
    "flux2-klein-4b": (3.9, [4.0]),
    "flux2-klein-9b": (9.1, [8.2]),
    "qwen-image": (20.4, [8.3]),
    "qwen-image-2.1": (7.1, [8.77]),
    "krea2": (12.9, [4.4]),
    "sd3-medium": (2.0, [0.123, 0.69, 4.8]),
    "sd3.5-medium": (2.2, [0.123, 0.69, 4.8]),
    "sd3.5-large": (8.1, [0.123, 0.69, 4.8]),
    "lumina2": (2.6, [2.6]),
}


@pytest.mark.parametrize("architecture", FLOW_ARCHITECTURES, ids=name_of)
def test_every_architecture_is_whole_and_its_parts_agree(
    architecture: Architecture, parts: Path, tmp_path: Path
) -> None:
    """A file of real size, by its authors' names, is described and every weight finds its place."""
    from underpaint.engine.single_file import _convert

    facts = FLOWS[architecture.family]
    folder = CONFIGS / architecture.configs
    ours = {
        part
        for part, (_, classes) in facts.parts.items()
        if classes & {"CLIPTokenizer", "T5Tokenizer", "Qwen2Tokenizer", "Qwen3VLProcessor"}
    }
    assert set(architecture.parts) | ours | {"transformer", "scheduler"} == set(facts.parts)
    made = {
        part: make(architecture, part)
        for part in facts.parts
        if part != "scheduler" and not is_tokenizer(part)
    }
    configs = {part: config for part, (_, config) in made.items()}
    assert check_flow_parts(folder, facts, configs) == facts.cell
    sizes = {
        part: sum(one.numel() for one in {id(p): p for p in network.parameters()}.values()) / 1e9
        for part, (network, _) in made.items()
    }
    transformer, encoders = SIZES[architecture.configs]
    assert sizes["transformer"] == pytest.approx(transformer, rel=0.03)
    found = [sizes[part] for part in sorted(sizes) if part.startswith("text_encoder")]
    assert found == pytest.approx(encoders, rel=0.03)
    widths = [encoder_width(configs[part]) for part in configs if "encoder" in part]
    config = configs["transformer"]
    text = config.get("joint_attention_dim", config.get("cap_feat_dim"))
    text = config.get("text_hidden_dim", config.get("context_in_dim", text))
    assert text == widths[-1] * (3 if architecture.family == "flux2-klein" else 1)

    network = made["transformer"][0]
    needed = dict(network.state_dict())
    originals = TRANSFORMERS[architecture.family](needed)
    if architecture.family != "qwen-image":
        back = _convert(type(network), dict(originals), folder / "transformer")
        assert {n: t.shape for n, t in back.items()} == {n: t.shape for n, t in needed.items()}
    vae, vae_config = made["vae"]
    own = dict(vae.state_dict())
    back = VAES[type(vae).__name__](own, vae_config)
    if architecture.family != "qwen-image-2.1":  # whose authors' names are diffusers'
        back = _convert(type(vae), back, folder / "vae")
    assert {n: t.shape for n, t in back.items()} == {n: t.shape for n, t in own.items()}

    layout = {name: ("BF16", tuple(one.shape)) for name, one in originals.items()}
    named = {"base.json": "klein-base", "model_index.json": "model"}[architecture.index]
    if architecture.named and architecture.index != "base.json":
        named = "turbo"
    file = write_safetensors(tmp_path / f"{named}.safetensors", layout)
    with pytest.raises(ModelUnavailableError, match=r"has no VAE in it \(vae\)"):
        describe_model(file)
    for part, component in architecture.parts.items():
        if part in made:
            network = made[part][0]
            names = {*dict(network.named_parameters()), *dict(network.named_buffers())}
            tensors = {n: t for n, t in network.state_dict().items() if n in names}  # each once
            if part == "vae":
                tensors = VAES[type(vae).__name__](tensors, vae_config)
            shapes = {n: ("BF16", tuple(t.shape)) for n, t in tensors.items()}
            write_safetensors(parts / f"{COMPONENTS[component].names[0]}.safetensors", shapes)
    if architecture.family == "lumina2":
        with pytest.raises(ModelUnavailableError, match="has no Gemma tokenizer"):
            describe_model(file)
        return
    info = describe_model(file)
    assert (info.family, info.native) == (architecture.family, facts.native)
    assert {part.name for part in info.parts} == set(facts.parts)
    assert len(info.own_files) == len(made)
    memory = card_memory(describe_needs(info, 2), info.native)
    assert file_memory(read_contents(file)) == pytest.approx(memory, rel=0.01)
    suggested = [card_memory(one.needs, one.native) for one in KNOWN_MODELS]
    is_known = architecture.configs not in ("sd3-medium", "sd3.5-medium", "flux2-klein-9b")
    assert is_known == any(memory == pytest.approx(one, rel=0.01) for one in suggested)
    if architecture.family in ("z-image", "krea2", "flux2-klein"):
        klein = architecture.family == "flux2-klein"
        distilled = architecture.index != "base.json" if klein else bool(architecture.named)
        suits = facts.fast if distilled else facts.recommended
        assert info.recommended == replace(suits, pictures=4 if klein else 0)


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("flux-dev", "flux1-dev-fp8", ("dev", 3.0, False)),
        ("z-image", "z_image_turbo_bf16", ("", 3.0, None)),
        ("z-image", "z_image_bf16", ("", 6.0, None)),
        ("flux2-klein-4b", "flux-2-klein-4b", ("4b", 3.0, True)),
        ("flux2-klein-4b", "flux-2-klein-base-4b", ("4b", 3.0, False)),
        ("krea2", "krea2_turbo_fp8_scaled", ("", 1.0, True)),
        ("krea2", "krea2_raw", ("", 1.0, False)),
    ],
)
def test_the_name_of_a_file_tells_whether_it_was_distilled(
    kind: str, name: str, expected: tuple[str, float, bool | None]
) -> None:
    from underpaint.models.architectures import find_architecture
    from underpaint.models.probes import Contents

    variant, shift, is_distilled = expected
    family = next(one.family for one in ARCHITECTURES if one.configs == kind)
    found = find_architecture(Path(f"{name}.safetensors"), Contents("model", family, variant))
    assert found is not None
    folder = CONFIGS / found.configs
    levels = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    assert {**levels, **found.changes.get("scheduler", {})}["shift"] == shift
    index = json.loads((folder / found.index).read_text())
    assert index.get("is_distilled", is_distilled) == is_distilled


TOKENS = {
    # public numbers of a sentence, and what comes after it
    "flux-dev/tokenizer_2": ("a photo of a cat", [3, 9, 1202, 13, 3, 9, 1712, 1]),
    "z-image/tokenizer": ("Hello, world!", [9707, 11, 1879, 0]),
    "qwen-image/tokenizer": ("Hello, world!", [9707, 11, 1879, 0]),
}


@pytest.mark.parametrize("name", TOKENS)
def test_the_tokenizers_that_come_with_underpaint_are_t5s_and_qwens(
    tmp_path: Path, name: str
) -> None:
    import transformers

    from underpaint.models import read_text
    from underpaint.models.checkpoint import _WORDS

    text, tokens = TOKENS[name]
    kind, part = name.split("/")
    index = json.loads((CONFIGS / kind / "model_index.json").read_text())
    class_name = index[part][1]
    shutil.copy(CONFIGS / name / "tokenizer_config.json", tmp_path)
    for word in next(words for start, words in _WORDS.items() if class_name.startswith(start)):
        (tmp_path / Path(word).stem).write_text(read_text(CONFIGS, word), encoding="utf-8")
    tokenizer = getattr(transformers, class_name).from_pretrained(tmp_path)
    assert tokenizer(text)["input_ids"] == tokens
    if class_name.startswith("T5"):
        assert (len(tokenizer), tokenizer.pad_token_id, tokenizer.unk_token_id) == (32100, 0, 2)
        return
    chat = "<|im_start|>user\nHello, world!<|im_end|>\n"
    assert tokenizer(chat)["input_ids"] == [151644, 872, 198, *tokens, 151645, 198]
    assert tokenizer.pad_token_id == 151643
    assert tokenizer.decode(tokenizer("Ünïcode 漢字 🎨")["input_ids"]) == "Ünïcode 漢字 🎨"
    if kind == "z-image":
        assert len(tokenizer) == 151669
        said = [{"role": "user", "content": "Hello, world!"}]
        shown = {
            thinks: tokenizer.apply_chat_template(
                said, tokenize=False, add_generation_prompt=True, enable_thinking=thinks
            )
            for thinks in (True, False)
        }
        assert shown[True] == f"{chat}<|im_start|>assistant\n"
        assert shown[False] == f"{shown[True]}<think>\n\n</think>\n\n"
        assert tokenizer("<think>")["input_ids"] == [151667]


# ---- refusals ------------------------------------------------------------------------------

FLUX = {
    "img_in.weight": ("BF16", (3072, 64)),
    "txt_in.weight": ("BF16", (3072, 4096)),
    "double_blocks.0.img_attn.norm.key_norm.scale": ("BF16", (128,)),
    "double_blocks.18.img_attn.qkv.weight": ("BF16", (9216, 3072)),
    "single_blocks.37.linear2.weight": ("BF16", (3072, 15360)),
}
REFUSED: dict[str, tuple[dict[str, tuple[str, tuple[int, ...]]], str]] = {
    "control": (
        {"img_in.weight": ("BF16", (3072, 128))},
        "FLUX.1 model for control; take a plain or an inpainting one",
    ),
    "width": (
        {"img_in.weight": ("BF16", (3072, 96))},
        r"its img_in.weight has the shape \[3072, 96\], and \[3072, 64, ...\] is known",
    ),
    "deeper": (
        {"double_blocks.19.img_attn.qkv.weight": ("BF16", (9216, 3072))},
        "it has 20 double_blocks, and 19 are known",
    ),
    "wider": (
        {"txt_in.weight": ("BF16", (3072, 2048))},
        r"its txt_in.weight has the shape \[3072, 2048\], and \[3072, 4096, ...\] is known",
    ),
    "int8": (
        {"double_blocks.0.img_attn.proj.weight": ("I8", (3072, 3072))},
        "are quantised .*take the model in",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_of_another_kind_is_refused_by_name(
    built: Built, parts: Path, tmp_path: Path, name: str
) -> None:
    more, told = REFUSED[name]
    file = write_safetensors(tmp_path / "one.safetensors", {**FLUX, **more})
    donor = built("flux")
    said = {part: str(donor / part) for part in ("vae", "text_encoder", "text_encoder_2")}
    (tmp_path / "one.underpaint.json").write_text(json.dumps(said))
    with pytest.raises(ModelUnavailableError, match=told):
        describe_model(file)


@pytest.mark.parametrize(
    ("original", "lacking"),
    [(False, "layers.1.attention.to_q.weight"), (True, "layers.1.feed_forward.w1.weight")],
)
def test_a_missing_weight_is_named(
    engine: Engine, built: Built, parts: Path, tmp_path: Path, original: bool, lacking: str
) -> None:
    folder = built("z-image")
    save_parts(folder, parts)
    tensors = read_weights(folder, "transformer")
    if original:
        tensors = TRANSFORMERS["z-image"](tensors)
    del tensors[lacking]
    file = save(tmp_path / "one.safetensors", tensors, folder)
    with pytest.raises(ModelUnavailableError, match=f"its transformer lacks {lacking}"):
        paint(engine, file)


def test_a_part_of_another_width_is_refused(built: Built, parts: Path, tmp_path: Path) -> None:
    folder = built("chroma")
    save_parts(folder, parts)
    encoder = read_weights(folder, "text_encoder")
    wider = {name: torch.cat([one, one], -1) for name, one in encoder.items()}
    save_file(wider, parts / "t5xxl.safetensors")
    file = save_transformer(folder, tmp_path / "one.safetensors")
    with pytest.raises(
        ModelUnavailableError, match=r"t5xxl.safetensors has no text_encoder .*fits"
    ):
        describe_model(file)
