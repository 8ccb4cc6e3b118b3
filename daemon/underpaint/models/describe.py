"""What a model folder holds, read without opening the weights: no torch here.

All that can be wrong with a folder is found here, before minutes are spent on loading it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock

from underpaint_client.errors import BadInputError, ModelUnavailableError
from underpaint_client.home import home, make_folder, write_private
from underpaint_client.samplers import DEFAULT_SAMPLER, choose_sampler, longest_schedule

from .families import FLOWS, Recommended, check_flow_parts, override, read_native, recommend
from .files import INDEX, Part, Stamp, read_family, resolve_files, stamp_files, stamp_folder
from .reading import check_regular, read_json, unreadable
from .schedulers import check_scheduler
from .tokenizers import check_tokenizer
from .weights import check_shapes, read_shapes


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
        `sd`, `sdxl` or a key of `families.FLOWS`.
    native : int
        The side it was trained at, in pixels.
    cell : int
        Pixels a side of a latent cell.
    train_steps : int
        Timesteps it was trained on.
    sampler : str
        A name of `samplers.SAMPLERS`: what suits it, as a file `underpaint.json` in the folder may
        say: `{"sampler": "k_euler_a"}`.
    prompt_tokens : int
        How many tokens of a prompt it reads, with their start and end.
    parts : tuple of Part
        The exact files that it is opened from.
    stamps : tuple of Stamp
        What tells those files, as they were when they were looked at, from later ones: a model
        whose files were replaced is another one.
    recommended : Recommended
        Steps and guidance that suit it; `underpaint.json` may say others:
        `{"steps": 4, "guidance_scale": 1.0}`, as it may say its `native` side.
    """

    name: str
    path: Path
    family: str
    native: int
    cell: int
    train_steps: int
    sampler: str
    prompt_tokens: int
    parts: tuple[Part, ...]
    stamps: tuple[Stamp, ...]
    recommended: Recommended = field(default_factory=Recommended)

    @property
    def files(self) -> tuple[str, ...]:
        """All files that it is opened from, relative to its folder, sorted."""
        return _list_files(self.parts)


def describe_model(path: Path) -> ModelInfo:
    """Look at a model folder, and see that it can be opened.

    Raises
    ------
    ModelUnavailableError
        The folder is no model, of an unsupported kind, incomplete, damaged, or keeps its weights
        in anything but safetensors. Names the file, and what to do.
    """
    return _describe(path, str(path.absolute()), stamp_folder(path))


@functools.lru_cache(maxsize=64)  # every job asks, and the answer is the same until a file changes
def _describe(path: Path, _absolute: str, _stamps: tuple[Stamp, ...]) -> ModelInfo:
    index = read_json(path, INDEX)
    family = read_family(path, index)
    parts = {part.name: part for part in resolve_files(path, family, index)}
    stamps = stamp_files(path, _list_files(tuple(parts.values())))
    configs = {name: _read_config(path, part) for name, part in parts.items()}
    facts = FLOWS.get(family)
    if facts is None:
        _check_channels(path, configs["unet"], configs["vae"])
    for name, part in parts.items():
        if any(file.is_weights for file in part.files):
            check_shapes(path, part, configs[name], read_shapes(path, part))
    if facts is None:
        cell = _check_parts_match(path, configs)
        side = _number(path, configs["unet"], "sample_size", _NATIVE_CELLS[family], 1024) * cell
    else:
        cell, side = check_flow_parts(path, facts, configs), facts.native
    lengths = [
        check_tokenizer(path, part, configs[name.replace("tokenizer", "text_encoder")])
        for name, part in parts.items()
        if name.startswith("tokenizer")
    ]
    said = read_json(path, _SAID) if os.path.lexists(path / _SAID) else {}
    recommended = override(path, recommend(path, family, index, configs), said)
    return ModelInfo(
        name=Path(os.path.realpath(path)).name,
        path=path,
        family=family,
        native=read_native(path, said, side),
        cell=cell,
        train_steps=check_scheduler(path, family, configs["scheduler"]),
        sampler=_recommended_sampler(path, said, recommended.sampler),
        prompt_tokens=min(
            (length for length in lengths if length is not None),
            default=facts.prompt_tokens if facts else 0,
        ),
        parts=tuple(parts.values()),
        stamps=stamps,
        recommended=recommended,
    )


_SAID = "underpaint.json"

_NATIVE_CELLS = {"sd": 64, "sdxl": 128}
"""The side in latent cells that a UNet was trained at, where its config does not say it."""


def _list_files(parts: tuple[Part, ...]) -> tuple[str, ...]:
    return tuple(sorted([INDEX, *(file.path for part in parts for file in part.files)]))


def _read_config(model: Path, part: Part) -> dict[str, Any]:
    """Read a part's own config; a tokenizer's is read where it is checked."""
    if part.name.startswith("tokenizer"):
        return {}
    name = part.files[0].path
    config = read_json(model, name)
    if config.get("quantization_config") is not None:
        raise ModelUnavailableError(
            f"model {model}: {name} has a quantization_config, and quantised models are not"
            " supported yet; take the model in float32, bfloat16 or float16"
        )
    return config


def _check_channels(model: Path, unet: dict[str, Any], vae: dict[str, Any]) -> None:
    """Check that a UNet takes latents of the autoencoder, alone or with what is kept."""
    channels = _number(model, unet, "in_channels", 4, 2**10)
    latent = _number(model, vae, "latent_channels", 4, 2**10)
    if channels not in (latent, 2 * latent + 1):
        raise ModelUnavailableError(
            f"model {model} has {channels} input channels (in unet/config.json), which is not"
            f" supported; take a plain model of its family ({latent}) or an inpainting one"
            f" ({2 * latent + 1})"
        )


def _check_parts_match(model: Path, configs: dict[str, dict[str, Any]]) -> int:
    """Check that what one part puts out is what the next takes in, and return a cell's side.

    The names that are read here were held against the weights before.
    """
    unet, vae = configs["unet"], configs["vae"]
    blocks = vae.get("block_out_channels", [0] * 4)
    if not isinstance(blocks, list) or not 1 <= len(blocks) <= _MOST_VAE_BLOCKS:
        raise ModelUnavailableError(
            f"model {model}: vae/config.json: block_out_channels {str(blocks)[:80]} is no list of 1"
            f" to {_MOST_VAE_BLOCKS} numbers; fetch it again"
        )
    encoders = [name for name in configs if name.startswith("text_encoder")]
    width = sum(configs[name].get("hidden_size", 512) for name in encoders)
    wanted = unet.get("cross_attention_dim", 1280)
    if isinstance(wanted, int) and unet.get("encoder_hid_dim") is None and wanted != width:
        raise ModelUnavailableError(
            f"model {model}: its text encoders give {width} numbers a token (hidden_size in"
            f" {'/config.json, '.join(encoders)}/config.json), and its unet takes {wanted}"
            " (cross_attention_dim in unet/config.json); fetch all parts from one model"
        )
    if "text_encoder_2" in configs:
        sizes = 6 * _number(model, unet, "addition_time_embed_dim", 256, 2**20)
        given = sizes + configs["text_encoder_2"].get("projection_dim", 512)
        taken = unet.get("projection_class_embeddings_input_dim")
        if given != taken:
            raise ModelUnavailableError(
                f"model {model}: its unet takes {taken} numbers beside the prompt"
                " (projection_class_embeddings_input_dim in unet/config.json), and"
                f" text_encoder_2 and the six sizes give {given}; fetch all parts from one model"
            )
    halvings = len(blocks) - 1
    return int(2**halvings)


_MOST_VAE_BLOCKS = 5
"""Each but the first halves the picture; work areas are multiples of 16 pixels."""


def hash_model(info: ModelInfo, *, again: bool = False) -> str:
    """Return the SHA-256 over the files a model is opened from: recipes tell models apart by it.

    Weights are gigabytes: what was hashed once is remembered, by size and time of change, in
    Underpaint's home.

    Parameters
    ----------
    info : ModelInfo
        The model.
    again : bool
        Read the files though they seem to be as they were.

    Raises
    ------
    ModelUnavailableError
        A file cannot be read, or was written to meanwhile.
    """
    key = _key(info)
    known = _known_hashes()
    if again or key not in known:
        total = hashlib.sha256()
        for name in info.files:
            try:
                with (info.path / name).open("rb") as stream:
                    total.update(name.encode() + hashlib.file_digest(stream, "sha256").digest())
            except OSError as error:
                raise unreadable(info.path, name, error) from None
        if _key(info) != key:
            raise ModelUnavailableError(
                f"model {info.path} was changed while it was read; try again when it is complete"
            )
        now = total.hexdigest()
        with _changing_hashes() as known:
            if known.get(key, now) != now:
                known.setdefault(f"first {key}", known[key])
            known[key] = now
        return now
    return known[key]


def first_hash(info: ModelInfo) -> str:
    """Return the hash that a model had when its files, by size and time, were first read."""
    key = _key(info)
    known = _known_hashes()
    return known.get(f"first {key}") or known.get(key) or hash_model(info)


def _key(info: ModelInfo) -> str:
    """Return what names, sizes, times and inodes of a model's files come to at present.

    Not the time at which their status changed: it also changes when a file is only linked to.
    """
    stamps = []
    for name in info.files:
        found = check_regular(info.path, name)
        stamps.append((name, found.st_size, found.st_mtime_ns, found.st_ino))
    text = json.dumps([os.path.realpath(info.path), stamps])
    return hashlib.sha256(text.encode()).hexdigest()


def note_use(info: ModelInfo, found: str) -> str:
    """Remember with which hash a model was used, and return the one that it was used with before.

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
    folder = f"opened {os.path.realpath(info.path)}"
    before = _known_hashes().get(folder, "")
    if before != found:
        with _changing_hashes() as known:
            before = known.get(folder, "")
            known[folder] = found
    return before


def _known_hashes() -> dict[str, str]:
    try:
        return dict(json.loads(_hash_memory().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}


@contextlib.contextmanager
def _changing_hashes() -> Iterator[dict[str, str]]:
    """Yield what is remembered, to be changed, and write it; other processes wait meanwhile.

    Where the home cannot be written, nothing is remembered: models are hashed again next time.
    """
    memory = _hash_memory()
    lock = filelock.FileLock(f"{memory}.lock", timeout=_PATIENCE, mode=0o600)
    locked = False
    with contextlib.suppress(OSError):  # `filelock.Timeout` is one
        make_folder(memory.parent)
        lock.acquire()
        locked = True
    try:
        known = _known_hashes()
        yield known
        if locked:
            with contextlib.suppress(OSError):
                write_private(memory, json.dumps(known, indent=1))
    finally:
        lock.release()


_PATIENCE = 10.0
"""Seconds to wait for another process; a change takes milliseconds."""


def _hash_memory() -> Path:
    return home() / "model-hashes.json"


def _recommended_sampler(model: Path, said: dict[str, Any], default: str) -> str:
    try:
        sampler = choose_sampler(str(said.get("sampler", default)))
    except BadInputError as error:
        raise ModelUnavailableError(f"model {model}: underpaint.json: {error}") from None
    if longest_schedule(sampler) < longest_schedule(DEFAULT_SAMPLER):
        raise ModelUnavailableError(
            f"model {model}: underpaint.json: {sampler} runs {longest_schedule(sampler)} steps at"
            " most and must be chosen, not recommended; name another sampler there"
        )
    return sampler


def _number(model: Path, config: dict[str, Any], name: str, default: int, most: int) -> int:
    value = default if config.get(name) is None else config[name]
    if type(value) is not int or not 1 <= value <= most:
        raise ModelUnavailableError(
            f"model {model}: {name} {str(value)[:80]} is no whole number from 1 to {most};"
            " fetch the config again"
        )
    return value
