"""What the check calls fine is opened and paints; what it refuses, it names, with the way out."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from underpaint.engine import Engine
from underpaint.models import BackgroundHash, ModelInfo, describe_model, list_entries
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.request import Request

Change = Callable[[Path], Any]

WAY_OUT = "fetch|convert|rename|take|set it|give yourself|put that|remove|name a|name one"
UNET = "unet/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"
BASES = {"unet": "diffusion_pytorch_model", "vae": "diffusion_pytorch_model"}


@pytest.fixture(autouse=True)
def _hangs_are_failures() -> Iterator[None]:
    """Let a test that waits on a pipe fail: nothing else would end it."""

    def stop(*_: object) -> None:
        raise AssertionError("hung")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine("cpu")


@pytest.fixture(params=["sd", "sdxl"])
def model(request: pytest.FixtureRequest, models: Path, tmp_path: Path) -> Path:
    """A copy of a tiny model of each family."""
    return Path(shutil.copytree(models / request.param, tmp_path / f"tiny-{request.param}"))


def paint(engine: Engine, folder: Path, prompt: str = "a lake", **changes: Any) -> Any:
    request = Request.of(
        prompt=prompt, model=str(folder), seed=1, steps=2, width=64, height=64, **changes
    )
    (picture,) = engine.generate(request)
    return picture


def check_and_paint(engine: Engine, folder: Path) -> np.ndarray[Any, Any]:
    """Check that a model is called fine, opens, paints, and reads the prompt."""
    describe_model(folder)
    picture = paint(engine, folder)
    other = paint(engine, folder, "seven tall red towers by the sea")
    assert (picture.pixels != other.pixels).any(), "the prompt is ignored"
    assert not [note for note in picture.recipe.facts.notes if "weights" not in note]
    return np.asarray(picture.pixels)


def refusal(folder: Path) -> str:
    with pytest.raises(ModelUnavailableError) as caught:
        describe_model(folder)
    message = str(caught.value)
    assert re.search(WAY_OUT, message, re.IGNORECASE), message
    return message


def edit(name: str, **changes: Any) -> Change:
    """Change values in a JSON file; `...` takes one out."""

    def change(folder: Path) -> None:
        file = folder / name
        found = {**json.loads(file.read_text()), **changes}
        file.write_text(json.dumps({k: v for k, v in found.items() if v is not ...}))

    return change


def parts_of(folder: Path) -> list[str]:
    return sorted(file.parent.name for file in folder.glob("*/*.safetensors"))


def as_variant(variant: str, dtype: torch.dtype, *only: str) -> Change:
    """Turn parts, all if none is named, into a variant: `model.fp16.safetensors`."""

    def change(folder: Path) -> None:
        for part in only or parts_of(folder):
            base = BASES.get(part, "model")
            file = folder / part / f"{base}.safetensors"
            tensors = {name: tensor.to(dtype) for name, tensor in load_file(file).items()}
            save_file(tensors, file.with_name(f"{base}.{variant}.safetensors"), {"format": "pt"})
            file.unlink()

    return change


def sharded(part: str, index: str, shard: str, dtype: torch.dtype = torch.float32) -> Change:
    """Cut a part's weights into three shards, with names of a form."""

    def change(folder: Path) -> None:
        base = BASES.get(part, "model")
        file = folder / part / f"{base}.safetensors"
        tensors = {name: tensor.to(dtype) for name, tensor in load_file(file).items()}
        places = {name: shard.format(base, n % 3 + 1) for n, name in enumerate(sorted(tensors))}
        for place in set(places.values()):
            own = {name: tensors[name] for name in tensors if places[name] == place}
            save_file(own, file.with_name(place), {"format": "pt"})
        listing = {"metadata": {"total_size": 1}, "weight_map": places}
        file.with_name(index.format(base)).write_text(json.dumps(listing))
        file.unlink()

    return change


def plainly_sharded(part: str) -> Change:
    return sharded(part, "{}.safetensors.index.json", "{}-{:05}-of-00003.safetensors")


def both(*changes: Change) -> Change:
    def change(folder: Path) -> None:
        for one in changes:
            one(folder)

    return change


def without(*names: str) -> Change:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


class Burglar:
    """What leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def put_pickle(name: str) -> Change:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(pickle.dumps(Burglar(folder / "opened")))

    return change


def put(name: str, content: Any) -> Change:
    def change(folder: Path) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)

    return change


def adapter(folder: Path) -> None:
    """Put what transformers opens by itself where peft is installed."""
    put("text_encoder/adapter_config.json", {"peft_type": "LORA", "r": 1})(folder)
    put_pickle("text_encoder/adapter_model.bin")(folder)


def linked(folder: Path) -> None:
    """Lay it out as a Hugging Face cache does: links to blobs whose names say nothing."""
    blobs = folder.parent / "blobs"
    blobs.mkdir()
    for number, file in enumerate(sorted(f for f in folder.rglob("*") if f.is_file())):
        file.rename(blobs / f"{number:x}")
        file.symlink_to(Path(os.path.relpath(blobs / f"{number:x}", file.parent)))


def litter(folder: Path) -> None:
    """Put beside the files what must not be looked at."""
    os.mkfifo(folder / "notes.json")
    os.mkfifo(folder / "unet" / "diffusion_pytorch_model.old.json")
    (folder / "vae" / "gone.safetensors").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")


def only_vocabulary(folder: Path) -> None:
    """Leave each tokenizer the older two files."""
    for tokenizer in folder.glob("tokenizer*"):
        for name in ("vocab.json", "merges.txt"):
            if not (tokenizer / name).exists():
                shutil.copy(folder / "tokenizer" / name, tokenizer)
        (tokenizer / "tokenizer.json").unlink()


def as_saved_by_old_versions(folder: Path) -> None:
    """Return the shards of a variant the names that diffusers gave until 0.28."""
    sharded(
        "unet",
        "{}.safetensors.fp16.index.json",
        "{}-{:05}-of-00003.fp16.safetensors",
        torch.float16,
    )(folder)


SCHEDULER = "scheduler/scheduler_config.json"
V_PREDICTION = edit(SCHEDULER, prediction_type="v_prediction")
ZERO_SNR = edit(SCHEDULER, prediction_type="v_prediction", rescale_betas_zero_snr=True)

FINE: dict[str, Change] = {
    "as it came": lambda _: None,
    "all fp16": as_variant("fp16", torch.float16),
    "all bf16": as_variant("bf16", torch.bfloat16),
    "an fp16 unet beside plain parts": as_variant("fp16", torch.float16, "unet"),
    "a bf16 text encoder": as_variant("bf16", torch.bfloat16, "text_encoder"),
    "before the moving average": as_variant("non_ema", torch.float32, "unet"),
    "shards": both(plainly_sharded("unet"), plainly_sharded("text_encoder")),
    "fp16 shards": both(
        *(
            sharded(
                part,
                "{}.safetensors.index.fp16.json",
                "{}.fp16-{:05}-of-00003.safetensors",
                torch.float16,
            )
            for part in ("unet", "vae", "text_encoder")
        )
    ),
    "fp16 shards with old names": as_saved_by_old_versions,
    "links into a cache": linked,
    "litter": litter,
    "pickles beside": both(
        put_pickle("unet/diffusion_pytorch_model.bin"), put_pickle("text_encoder/pytorch_model.bin")
    ),
    "a pickled adapter beside": adapter,
    "a pickled safety checker": both(
        put("safety_checker/config.json", {}),
        put_pickle("safety_checker/pytorch_model.bin"),
        edit(
            "model_index.json", safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"]
        ),
    ),
    "the older tokenizer files": only_vocabulary,
    "no tokenizer config": without("tokenizer/tokenizer_config.json"),
    "a tokenizer without a length": edit("tokenizer/tokenizer_config.json", model_max_length=...),
    "a length of 10^30": edit("tokenizer/tokenizer_config.json", model_max_length=10**30),
    "more tokens than positions": edit("tokenizer/tokenizer_config.json", model_max_length=1000),
    "few tokens": edit("tokenizer/tokenizer_config.json", model_max_length=20),
    "v-prediction": V_PREDICTION,
    "zero terminal SNR": ZERO_SNR,
    "beta sigmas": edit(SCHEDULER, use_beta_sigmas=True),
    "another class of scheduler": both(
        edit("model_index.json", scheduler=["diffusers", "UniPCMultistepScheduler"]),
        edit(SCHEDULER, _class_name="UniPCMultistepScheduler"),
    ),
    "an inpainting pipeline's name": edit(
        "model_index.json", _class_name="StableDiffusionInpaintPipeline"
    ),
}


@pytest.mark.parametrize("kind", FINE)
def test_what_is_called_fine_paints(engine: Engine, model: Path, kind: str) -> None:
    if kind == "an inpainting pipeline's name" and model.name == "tiny-sdxl":
        pytest.skip("the other family's name")
    FINE[kind](model)
    check_and_paint(engine, model)
    assert not (model / "opened").exists(), "a pickle was opened"


@pytest.mark.parametrize(
    "kind", ["shards", "links into a cache", "litter", "the older tokenizer files"]
)
def test_how_it_is_stored_changes_no_pixel(engine: Engine, model: Path, kind: str) -> None:
    before = check_and_paint(engine, model)
    FINE[kind](model)
    np.testing.assert_array_equal(check_and_paint(engine, model), before)


def test_plain_weights_come_before_a_variant(engine: Engine, model: Path) -> None:
    before = check_and_paint(engine, model)
    plain = (model / UNET).read_bytes()
    as_variant("non_ema", torch.float16, "unet")(model)
    (model / UNET).write_bytes(plain)
    np.testing.assert_array_equal(check_and_paint(engine, model), before)


# ---- damage, to every file that is opened --------------------------------------------------


def empty(file: Path) -> None:
    file.write_bytes(b"")


def half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def hollow(file: Path) -> None:
    file.write_text("{}")


def gone(file: Path) -> None:
    file.unlink()


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def dangling(file: Path) -> None:
    file.unlink()
    file.symlink_to("/nowhere/at/all")


def loop(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


DAMAGES = [empty, half, hollow, gone, pipe, dangling, loop, folder]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("stored", ["as it came", "the older tokenizer files", "shards"])
def test_a_damaged_file_is_named(
    engine: Engine, model: Path, stored: str, damage: Callable[[Path], None]
) -> None:
    FINE[stored](model)
    info = describe_model(model)
    harmless = {"tokenizer/tokenizer_config.json", "tokenizer_2/tokenizer_config.json"}
    if stored != "the older tokenizer files":
        harmless.add("tokenizer/tokenizer.json")  # the older files lie beside it
    for name in info.files:
        copy = model.with_name("damaged")
        shutil.copytree(model, copy)
        damage(copy / name)
        try:
            describe_model(copy)
        except ModelUnavailableError as error:
            named = name.rpartition("/")[2]
            if damage is gone:  # a missing file of a part is told by what is looked for there
                named = re.sub(r"-\d{5}-of-\d{5}|\.safetensors\.index\.json", "", named)
                assert named.partition(".")[0] in str(error), error
            else:
                assert named in str(error), error
            assert re.search(WAY_OUT, str(error), re.IGNORECASE), error
        else:
            assert damage in (gone, hollow), name
            assert name in harmless
            check_and_paint(engine, copy)
        shutil.rmtree(copy)


# ---- what does not fit ---------------------------------------------------------------------


def names_pickle(part: str, base: str, named: str) -> Change:
    """Let an index name another file than the decoy beside it."""

    def change(folder: Path) -> None:
        keys = load_file(folder / part / f"{base}.safetensors").keys()
        listing = {"metadata": {}, "weight_map": dict.fromkeys(keys, named)}
        (folder / part / f"{base}.safetensors.index.json").write_text(json.dumps(listing))
        target = folder / part / named
        target.write_bytes(pickle.dumps(Burglar(folder / "opened")))

    return change


def tensors(name: str, change: Callable[[str, torch.Tensor], torch.Tensor | None]) -> Change:
    """Change the tensors of a file, or leave some out."""

    def rewrite(folder: Path) -> None:
        found = {key: change(key, value) for key, value in load_file(folder / name).items()}
        save_file(
            {k: v for k, v in found.items() if v is not None}, folder / name, {"format": "pt"}
        )

    return rewrite


def all_but(ending: str) -> Callable[[str, torch.Tensor], torch.Tensor | None]:
    return lambda name, value: None if name.endswith(ending) else value


def vocabulary(change: Callable[[dict[str, Any]], Any]) -> Change:
    """Change the model in a `tokenizer.json`."""

    def rewrite(folder: Path) -> None:
        file = folder / "tokenizer" / "tokenizer.json"
        found = json.loads(file.read_text())
        change(found["model"])
        file.write_text(json.dumps(found))

    return rewrite


def from_other(part: str) -> Change:
    """Take a part from a model of other sizes."""

    def change(folder: Path) -> None:
        from tiny_models import build_model

        other = folder.parent / "other"
        build_model(other, "sd" if folder.name == "tiny-sdxl" else "sdxl")
        shutil.rmtree(folder / part)
        shutil.copytree(other / part, folder / part)

    return change


def scheduler(class_name: str) -> Change:
    return both(
        edit("model_index.json", scheduler=["diffusers", class_name]),
        edit(SCHEDULER, _class_name=class_name),
    )


UNET_INDEX = "unet/diffusion_pytorch_model.safetensors.index.json"

REFUSED: dict[str, tuple[Change, str]] = {
    "a pickle named by an index": (
        names_pickle("unet", "diffusion_pytorch_model", "w.bin"),
        f"{UNET_INDEX} names 'w.bin', which is not safetensors",
    ),
    "a pickle named by a text encoder's index": (
        names_pickle("text_encoder", "model", "w.bin"),
        "text_encoder/model.safetensors.index.json names 'w.bin', which is not safetensors",
    ),
    "a pickle called safetensors": (
        names_pickle("unet", "diffusion_pytorch_model", "w.safetensors"),
        "unet/w.safetensors are damaged",
    ),
    "shards elsewhere": (
        both(
            plainly_sharded("unet"),
            edit(UNET_INDEX, weight_map={"conv_in.weight": "../vae/w.safetensors"}),
        ),
        "names '../vae/w.safetensors', which is not beside it",
    ),
    "shards without their index": (
        both(plainly_sharded("unet"), without(UNET_INDEX)),
        r"unet has shards .* without diffusion_pytorch_model.safetensors.index.json",
    ),
    "a shard that lacks a tensor": (
        both(
            plainly_sharded("vae"),
            tensors(
                "vae/diffusion_pytorch_model-00001-of-00003.safetensors",
                lambda name, value: None if name == "decoder.conv_in.bias" else value,
            ),
        ),
        "says that decoder.conv_in.bias is in",
    ),
    "weights of another name": (
        lambda f: (f / UNET).rename(f / "unet" / "juggernaut.safetensors"),
        "no weights called diffusion_pytorch_model.safetensors in unet, but juggernaut.safetensors",
    ),
    "pickles alone": (
        lambda f: (f / TEXT).rename(f / "text_encoder" / "pytorch_model.bin"),
        "text_encoder in pytorch_model.bin, a pickle",
    ),
    "half of the tensors": (
        tensors(UNET, lambda name, value: None if name.startswith("up_blocks") else value),
        "unet lacks up_blocks",
    ),
    "whole numbers": (
        tensors(UNET, lambda _, value: value.to(torch.int8)),
        r"diffusion_pytorch_model.safetensors are quantised",
    ),
    "a quantised config": (
        edit("unet/config.json", quantization_config={"quant_method": "bitsandbytes"}),
        r"unet/config.json has a quantization_config",
    ),
    "another unet": (from_other("unet"), "unet/config.json"),
    "another text encoder's width": (
        edit("text_encoder/config.json", hidden_size=48),
        "text_encoder/config.json describes",
    ),
    "nine channels in the config alone": (
        edit("unet/config.json", in_channels=9),
        "unet/config.json describes: conv_in.weight",
    ),
    "blocks of the wrong kind": (
        edit("unet/config.json", block_out_channels="many"),
        "unet/config.json",
    ),
    "an unknown class": (
        edit("model_index.json", text_encoder=["transformers", "T5EncoderModel"]),
        "text_encoder is a transformers.T5EncoderModel, which is not supported",
    ),
    "a class of its own": (
        both(edit("model_index.json", unet=["unet", "Mine"]), put("unet/unet.py", "import os")),
        "its unet is a unet.Mine, which is not supported",
    ),
    "no tokenizer": (
        lambda f: shutil.rmtree(f / "tokenizer"),
        "neither tokenizer/tokenizer.json nor tokenizer/vocab.json",
    ),
    "no tokenizer in the index": (edit("model_index.json", tokenizer=[None, None]), "no tokenizer"),
    "a vocabulary without words": (
        vocabulary(lambda found: found.update(vocab={"<|startoftext|>": 0, "<|endoftext|>": 1})),
        "tokenizer/tokenizer.json: its 2 tokens lack 'a'",
    ),
    "merges of other tokens": (
        vocabulary(lambda found: found.update(merges=[["la", "ke"]])),
        "tokenizer/tokenizer.json: its merge .* is not of its tokens",
    ),
    "merges cut short": (
        vocabulary(lambda found: found["vocab"].update({f"ab{n}": n for n in range(50)})),
        "tokenizer/tokenizer.json: it is cut short",
    ),
    "tokens that the encoder lacks": (
        vocabulary(lambda found: found["vocab"].update({"a": 49407})),
        "tokenizer/tokenizer.json: its token 'a' has the number 49407",
    ),
    "another start": (
        edit("tokenizer/tokenizer_config.json", bos_token="<s>"),
        "tokenizer/tokenizer.json: it lacks the bos_token '<s>'",
    ),
    "no room for a prompt": (
        edit("tokenizer/tokenizer_config.json", model_max_length=2),
        "tokenizer/tokenizer_config.json: model_max_length '2' leaves no room",
    ),
    "a length of letters": (
        edit("tokenizer/tokenizer_config.json", model_max_length="long"),
        "tokenizer/tokenizer_config.json: model_max_length 'long'",
    ),
    "EDM levels": (
        scheduler("EDMDPMSolverMultistepScheduler"),
        "its scheduler is diffusers.EDMDPMSolverMultistepScheduler",
    ),
    "EDM in the config alone": (
        edit(SCHEDULER, _class_name="EDMEulerScheduler"),
        "scheduler_config.json: _class_name 'EDMEulerScheduler'",
    ),
    "flow matching": (
        scheduler("FlowMatchEulerDiscreteScheduler"),
        "its scheduler is diffusers.FlowMatchEulerDiscreteScheduler",
    ),
    "flow sigmas": (edit(SCHEDULER, use_flow_sigmas=True), "use_flow_sigmas 'True'"),
    "flow prediction": (
        edit(SCHEDULER, prediction_type="flow_prediction"),
        "prediction_type 'flow_prediction'",
    ),
    "predicted pictures": (edit(SCHEDULER, prediction_type="sample"), "prediction_type 'sample'"),
    "continuous levels": (
        edit(SCHEDULER, timestep_type="continuous"),
        "timestep_type 'continuous'",
    ),
    "unknown betas": (edit(SCHEDULER, beta_schedule="laplace"), "beta_schedule 'laplace'"),
    "a beta above 1": (edit(SCHEDULER, beta_end=12), "beta_end '12'"),
    "a gigabyte of timesteps": (
        edit(SCHEDULER, num_train_timesteps=10**9),
        "num_train_timesteps 1000000000",
    ),
    "no SNR and predicted noise": (
        edit(SCHEDULER, rescale_betas_zero_snr=True),
        "rescale_betas_zero_snr is true, and prediction_type is 'epsilon'",
    ),
    "a giant": (edit("unet/config.json", sample_size=10**400), "sample_size 1000"),
    "a deep index": (put("model_index.json", "[" * 10**5), "model_index.json"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_not_fit_is_refused_by_name(
    model: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, told = REFUSED[kind]
    change(model)
    assert re.search(told, refusal(model)), refusal(model)
    monkeypatch.setenv("UNDERPAINT_MODELS", str(model.parent))
    (entry,) = (one for one in list_entries() if one.name == model.name and one.problem)
    assert re.search(told, entry.problem)
    assert not (model / "opened").exists(), "a pickle was opened"


def test_a_missing_tensor_that_no_check_can_know_is_found_at_opening(
    engine: Engine, model: Path
) -> None:
    """transformers fills it with noise, diffusers with nothing."""
    for name, tensor in ((UNET, "time_embedding.linear_1.bias"), (TEXT, "mlp.fc1.bias")):
        copy = Path(shutil.copytree(model, model.with_name("lacking")))
        tensors(name, all_but(tensor))(copy)
        with pytest.raises(
            ModelUnavailableError, match=f"{Path(name).parent.name} lacks .*{tensor}"
        ):
            paint(engine, copy)
        shutil.rmtree(copy)


def test_files_that_change_while_they_are_opened_are_not_used(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from underpaint.engine import model as engine_model

    class HashAndReplace(BackgroundHash):
        def __init__(self, info: ModelInfo) -> None:
            super().__init__(info)
            os.utime(info.path / UNET)

    monkeypatch.setattr(engine_model, "BackgroundHash", HashAndReplace)
    with pytest.raises(ModelUnavailableError, match="was changed while it was opened"):
        paint(Engine("cpu"), model)


def test_a_full_temporary_folder_is_said(
    engine: Engine, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("underpaint.engine.opening._link", full)
    with pytest.raises(ModelUnavailableError, match="No space left on device.*make room there"):
        paint(engine, model)


ODD_VALUES = [None, -1, 10**30, 0.5, True, "x", [], ["x"], {}, {"x": 1}]


def test_no_value_in_a_config_breaks_the_check(model: Path) -> None:
    """It is called fine, or refused with a name and the way out; nothing else comes of it."""
    values = itertools.cycle(ODD_VALUES)
    for file in sorted(model.rglob("*.json")):
        if file.name == "vocab.json":  # its keys are tokens
            continue
        text = file.read_text()
        for key, value in zip(json.loads(text), values, strict=False):
            file.write_text(json.dumps({**json.loads(text), key: value}))
            try:
                describe_model(model)
            except ModelUnavailableError as error:
                assert re.search(WAY_OUT, str(error), re.IGNORECASE), (file, key, error)
        file.write_text(text)
