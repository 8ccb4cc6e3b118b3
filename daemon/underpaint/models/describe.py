"""What a model folder holds, read without opening the weights: no torch here.

All that can be wrong with a folder is found here, before minutes are spent on loading it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from underpaint_client.errors import BadInputError, ModelUnavailableError
from underpaint_client.home import home
from underpaint_client.rules import DEFAULT_SAMPLER, choose_sampler, longest_schedule

FAMILIES = {
    "StableDiffusion": "sd",
    "StableDiffusionXL": "sdxl",
}
"""Pipeline classes, less their purpose (`Img2ImgPipeline`), and the family of each."""

_PURPOSES = ("Img2ImgPipeline", "InpaintPipeline", "Pipeline")
_PARTS = ("unet", "vae", "text_encoder", "text_encoder_2")
MAX_NUMBER = 100_000
"""The largest number that a configuration may give, such as of training steps: usual are 1000."""

_PICKLES = ("*.bin", "*.ckpt", "*.pt", "*.pth")


@dataclass(frozen=True)
class ModelInfo:
    """A model as its folder describes it.

    Parameters
    ----------
    name : str
        The folder's name.
    path : Path
        The folder.
    family : str
        `sd` or `sdxl`.
    native : int
        The side it was trained at, in pixels.
    cell : int
        Pixels a side of a latent cell.
    train_steps : int
        Timesteps it was trained on.
    variant : str or None
        `fp16` where the folder holds only such weights.
    sampler : str
        A name of `rules.SAMPLERS`: what suits it, as a file `underpaint.json` in the folder may
        say: `{"sampler": "k_euler_a"}`.
    """

    name: str
    path: Path
    family: str
    native: int
    cell: int
    train_steps: int
    variant: str | None
    sampler: str


def describe_model(path: Path) -> ModelInfo:
    """Look at a model folder.

    Raises
    ------
    ModelUnavailableError
        The folder is no model, of an unsupported kind, incomplete, or holds pickles for weights.
    """
    index = _read_json(path / "model_index.json", path)
    class_name = str(index.get("_class_name"))
    family = FAMILIES.get(_without_purpose(class_name))
    if family is None:
        raise ModelUnavailableError(
            f"model {path} is a {class_name}, which is not supported yet;"
            f" supported are {' and '.join(FAMILIES)} models"
        )
    parts = [p for p in _PARTS if isinstance(index.get(p), list) and any(index[p])]
    missing = [part for part in ("unet", "vae", "text_encoder") if part not in parts]
    if missing:
        raise ModelUnavailableError(
            f"model {path} has no {missing[0]}; a whole model is needed (a refiner is not one)"
        )
    files = {part: _weight_files(path / part) for part in parts}
    for weights in files.values():
        for file in weights:
            _check_weights(file)
    unet = _read_json(path / "unet" / "config.json", path)
    vae = _read_json(path / "vae" / "config.json", path)
    scheduler = _read_json(path / "scheduler" / "scheduler_config.json", path)
    if unet.get("in_channels", 4) not in (4, 9):
        raise ModelUnavailableError(
            f"model {path} has {unet['in_channels']} input channels, which is not supported; take a"
            " plain model of its family (4) or an inpainting one (9)"
        )
    blocks = vae.get("block_out_channels", [0] * 4)
    if not isinstance(blocks, list) or not blocks:
        raise ModelUnavailableError(f"model {path}: block_out_channels {blocks!r} is no list")
    cell = 2 ** (len(blocks) - 1)
    variants = {".fp16." in file.name for weights in files.values() for file in weights}
    return ModelInfo(
        name=path.resolve().name,
        path=path,
        family=family,
        native=_number(path, unet, "sample_size", 64) * cell,
        cell=cell,
        train_steps=_number(path, scheduler, "num_train_timesteps", 1000),
        variant="fp16" if variants == {True} else None,
        sampler=_recommended_sampler(path),
    )


def hash_model(info: ModelInfo, *, again: bool = False) -> str:
    """Give the SHA-256 over the files a model is opened from: recipes tell models apart by it.

    Weights are gigabytes: what was hashed once is remembered, by size and time of change, in
    Underpaint's home.

    Parameters
    ----------
    info : ModelInfo
        The model.
    again : bool
        Read the files though they seem to be as they were.
    """
    files, key = _files(info)
    known = _known_hashes()
    if again or key not in known:
        total = hashlib.sha256()
        for file in files:
            relative = str(file.relative_to(info.path))
            with file.open("rb") as stream:
                total.update(relative.encode() + hashlib.file_digest(stream, "sha256").digest())
        now = total.hexdigest()
        if known.get(key, now) != now:
            known.setdefault(f"first {key}", known[key])
        known[key] = now
        _remember_hashes(known)
    return known[key]


def first_hash(info: ModelInfo) -> str:
    """Give the hash that a model had when its files, by size and time, were first read."""
    _, key = _files(info)
    known = _known_hashes()
    return known.get(f"first {key}") or known.get(key) or hash_model(info)


def _files(info: ModelInfo) -> tuple[list[Path], str]:
    """Give the files that a model is opened from, and what their sizes and times come to."""
    parts = [info.path / part for part in _PARTS if (info.path / part).is_dir()]
    weights = [file for part in parts for file in _weight_files(part)]
    files = sorted([*weights, *info.path.rglob("*.json"), *info.path.rglob("*.txt")])
    stats = [(str(f.relative_to(info.path)), f.stat().st_size, f.stat().st_mtime_ns) for f in files]
    key = hashlib.sha256(json.dumps([str(info.path.resolve()), stats]).encode()).hexdigest()
    return files, key


def note_use(info: ModelInfo, found: str) -> str:
    """Remember with which hash a model was used, and give the one that it was used with before.

    Parameters
    ----------
    info : ModelInfo
        The model.
    found : str
        From `hash_model`.

    Returns
    -------
    str
        Empty where it was never used.
    """
    known, folder = _known_hashes(), f"used {info.path.resolve()}"
    before = known.get(folder, "")
    if before != found:
        _remember_hashes({**known, folder: found})
    return before


def _known_hashes() -> dict[str, str]:
    try:
        return dict(json.loads(_hash_memory().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _remember_hashes(known: dict[str, str]) -> None:
    memory = _hash_memory()
    with contextlib.suppress(OSError):  # then it is hashed again next time
        memory.parent.mkdir(parents=True, exist_ok=True)
        draft = memory.with_name(f"{memory.name}.{os.getpid()}")
        draft.write_text(json.dumps(known, indent=1), encoding="utf-8")
        draft.replace(memory)


def _hash_memory() -> Path:
    return home() / "model-hashes.json"


def _recommended_sampler(model: Path) -> str:
    if not (model / "underpaint.json").exists():
        return DEFAULT_SAMPLER
    said = _read_json(model / "underpaint.json", model)
    try:
        sampler = choose_sampler(str(said.get("sampler", DEFAULT_SAMPLER)))
    except BadInputError as error:
        raise ModelUnavailableError(f"model {model}: underpaint.json: {error}") from None
    if longest_schedule(sampler) < longest_schedule(DEFAULT_SAMPLER):
        raise ModelUnavailableError(
            f"model {model}: underpaint.json: {sampler} runs {longest_schedule(sampler)} steps at"
            " most and must be chosen, not recommended; name another sampler there"
        )
    return sampler


def _number(model: Path, config: dict[str, Any], name: str, default: int) -> int:
    value = config.get(name, default)
    if type(value) is not int or value < 1:
        raise ModelUnavailableError(f"model {model}: {name} {value!r} is no whole number above 0")
    if value > MAX_NUMBER:  # schedulers make tables of that length
        raise ModelUnavailableError(f"model {model}: {name} {value} is over {MAX_NUMBER}")
    return value


def _without_purpose(class_name: str) -> str:
    for purpose in _PURPOSES:
        if class_name.endswith(purpose):
            return class_name.removesuffix(purpose)
    return class_name


def _read_json(file: Path, model: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelUnavailableError(
            f"{model} is no model: there is no {file.relative_to(model)} in it;"
            " name a folder in the diffusers format"
        ) from None
    except (OSError, ValueError) as error:
        raise ModelUnavailableError(
            f"model {model} cannot be read: {file.relative_to(model)}: {error}; fetch it again"
        ) from None
    if not isinstance(found, dict):
        raise ModelUnavailableError(
            f"model {model} cannot be read: {file.relative_to(model)} is no JSON object"
        )
    return found


def _weight_files(part: Path) -> list[Path]:
    tensors = sorted(part.glob("*.safetensors"))
    plain = [file for file in tensors if ".fp16." not in file.name]
    if tensors:
        return plain or tensors
    pickles = [file.name for pattern in _PICKLES for file in part.glob(pattern)]
    if pickles:
        raise ModelUnavailableError(
            f"model {part.parent} keeps its {part.name} in {pickles[0]}, a pickle, which can run"
            " any program when opened; convert it to safetensors"
        )
    raise ModelUnavailableError(
        f"model {part.parent} is incomplete: there are no weights (*.safetensors) in {part.name};"
        " fetch it again"
    )


def _check_weights(file: Path) -> None:
    """See that a file is whole: its header tells how long it must be."""
    try:
        with safe_open(file, framework="np"):
            pass
    except (SafetensorError, OSError) as error:
        raise ModelUnavailableError(
            f"weights {file} are damaged or cut short ({error}); fetch them again"
        ) from None
