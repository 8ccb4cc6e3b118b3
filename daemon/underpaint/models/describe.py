"""Describe a model without opening its weights, and without torch.

Faults of a folder are found here, before minutes are spent on loading it.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.recommended import Recommended

from .architectures import CONFIGS
from .checkpoint import resolve_checkpoint
from .clip_skip import count_skipped
from .families import (
    FLOWS,
    FlowFacts,
    check_flow_parts,
    count_pictures,
    find_flow_purpose,
    recommend,
)
from .files import WEIGHTS_ENDINGS, Part, read_config, resolve_files
from .model_index import INDEX, encoder_of, is_tokenizer, read_family, read_purpose
from .parts import find_part, stamp_names, stamp_providers
from .precisions import find_precision
from .reading import is_folder, read_json
from .schedulers import ZERO_SNR, check_scheduler
from .sidecar import Sidecar, correct_recommended, find_sidecar, read_sidecar
from .stamps import Stamp, stamp_files, stamp_folder
from .tensors import Header
from .tokenizers import check_tokenizer
from .weights import Tensors, check_shapes, read_tensors


@dataclass(frozen=True)
class ModelInfo:
    """A model as its folder or its file describes it.

    Parameters
    ----------
    name : str
        The folder's name, or the file's without its ending.
    path : Path
        The folder, or the file.
    family : str
        `sd`, `sdxl` or a key of `families.FLOWS`.
    native : int
        The side it was trained at, in pixels.
    cell : int
        Pixels a side of a latent cell.
    multiple : int
        Pixels: every side that it works at is a multiple of it.
    train_steps : int
        Timesteps it was trained on.
    prompt_tokens : int
        How many tokens of a prompt it reads, with their start and end.
    parts : tuple of Part
        The exact files that it is opened from.
    stamps : tuple of Stamp
        Sizes and times of those files when they were examined: a model whose files were replaced
        is another one.
    index : str
        The path of the `model_index.json` that names its parts: relative to its folder, or
        absolute.
    form : str
        `folder`, in the diffusers format, or `file`.
    purpose : str
        `plain`, `inpainting` or `edit`.
    prediction_type : str
        What its denoiser predicts: `epsilon` or `v_prediction`.
    zero_snr : bool
        Whether its noise levels end in pure noise.
    precision : str
        How most weights of its denoiser are stored: `fp32`, `fp16`, `bf16`, `fp8`, a type of GGUF
        such as `Q4_K`, ... (`precisions.find_precision`).
    recommended : Recommended
        Steps, guidance scale and sampler that suit it; the side-car file may say others:
        `{"steps": 4, "guidance_scale": 1.0, "sampler": "k_euler_a"}`, as it may say its `native`
        side.
    """

    name: str
    path: Path
    family: str
    native: int
    cell: int
    multiple: int
    train_steps: int
    prompt_tokens: int
    parts: tuple[Part, ...]
    stamps: tuple[Stamp, ...]
    index: str
    form: str
    purpose: str
    prediction_type: str
    zero_snr: bool
    precision: str
    recommended: Recommended = field(default_factory=Recommended)

    @property
    def files(self) -> tuple[str, ...]:
        """All files that it is opened from, relative to its folder or absolute, sorted."""
        return _list_files(self.index, self.parts)

    @property
    def own_files(self) -> tuple[str, ...]:
        """Those of them that did not come with Underpaint."""
        return tuple(name for name in self.files if not Path(name).is_relative_to(CONFIGS))


def describe_model(path: Path) -> ModelInfo:
    """Describe a model, and check that it can be opened.

    Parameters
    ----------
    path : Path
        A folder in the diffusers format, or a `.safetensors` or `.gguf` file.

    Raises
    ------
    ModelUnavailableError
        It is not a model, its kind is not supported, it is incomplete or damaged, or its weights
        are neither safetensors nor GGUF. The message names the file, and what to do.
    """
    said = read_sidecar(find_sidecar(path))
    is_file = _is_one_file(path)
    named = stamp_files(path, stamp_names(path, said, is_file=is_file))
    if is_file:
        others = stamp_files(path, stamp_providers())
        stamps = (*stamp_files(path.parent, [path.name]), *named, *others)
    else:
        stamps = (*stamp_folder(path), *named)
    return _describe(path, str(path.absolute()), said, stamps)


def _is_one_file(path: Path) -> bool:
    return path.suffix.lower() in WEIGHTS_ENDINGS and not is_folder(path)


@functools.lru_cache(maxsize=256)  # every job needs it, and it stays the same until a file changes
def _describe(path: Path, _absolute: str, said: Sidecar, _stamps: tuple[Stamp, ...]) -> ModelInfo:
    name = Path(os.path.realpath(path)).name
    if _is_one_file(path):
        form, name = "file", path.stem
        family, found, index, purpose = resolve_checkpoint(path, said)
    else:
        form, index = "folder", INDEX
        given = read_json(path, INDEX)
        family, purpose = read_family(path, given), said.purpose or read_purpose(given)
        found = tuple(
            (part.name in said.parts and find_part(path, None, _without_weights(part), said))
            or part
            for part in resolve_files(path, family, given)
        )
    parts = {part.name: _change(path, part, family, said) for part in found}
    stamps = stamp_files(path, _list_files(index, tuple(parts.values())))
    configs = {name: _read_config(path, part) for name, part in parts.items()}
    facts = FLOWS.get(family)
    if facts is None:
        purpose = _check_channels(path, configs["unet"], configs["vae"])
    tensors: dict[str, Tensors] = {}
    for one, part in parts.items():
        if part.has_weights:
            tensors[one] = read_tensors(path, part)
            check_shapes(path, part, configs[one], tensors[one])
    if facts is None:
        cell = _check_parts_match(path, configs)
        side = _number(path, configs["unet"], "sample_size", _NATIVE_CELLS[family], 1024) * cell
    else:
        cell, side = check_flow_parts(path, facts, configs), facts.native
        purpose = find_flow_purpose(facts, configs, purpose)
    lengths = [
        check_tokenizer(path, part, configs[encoder_of(one)])
        for one, part in parts.items()
        if is_tokenizer(one)
    ]
    levels = configs["scheduler"]
    named = read_json(path, index)
    recommended = replace(
        recommend(path, family, named, configs, purpose),
        edits=purpose == "edit",
        pictures=count_pictures(family, purpose, path.name, str(named.get("_class_name"))),
    )
    denoiser = "unet" if facts is None else "transformer"
    return ModelInfo(
        name=name,
        path=path,
        family=family,
        native=said.native or _check_native(path, side),
        cell=cell,
        multiple=(facts or FlowFacts).multiple,
        train_steps=check_scheduler(path, family, levels),
        prompt_tokens=min(
            (length for length in lengths if length is not None),
            default=facts.prompt_tokens if facts else 0,
        ),
        parts=tuple(parts.values()),
        stamps=stamps,
        index=index,
        form=form,
        purpose=purpose,
        prediction_type=(levels.get("prediction_type") or "epsilon") if facts is None else "flow",
        zero_snr=bool(levels.get("rescale_betas_zero_snr")),
        recommended=correct_recommended(recommended, said),
        precision=_precision(parts[denoiser], tensors[denoiser]),
    )


def _without_weights(part: Part) -> Part:
    return replace(part, files=part.files[:1])


def _check_native(model: Path, side: int) -> int:
    """Return the native side in pixels that a model's config tells, if it can be."""
    if not 64 <= side <= 8192 or side % 16:
        raise ModelUnavailableError(
            "model {model}: its native side, {side} pixels, is not a multiple of 16 from 64 to"
            " 8192; fetch it again, or write the right one into its side-car file, as"
            ' {{"native": 512}}',
            model=model,
            side=side,
        )
    return side


def _precision(part: Part, tensors: Tensors) -> str:
    file = Path(part.weights)
    ending = file.suffix.lower().removeprefix(".")
    return find_precision(Header(ending, tensors), tensors, file if part.inside else None)


def _change(model: Path, part: Part, family: str, said: Sidecar) -> Part:
    """Return a part with the changes of the side-car in its config."""
    if family in FLOWS:
        for name, usual in (("prediction", "flow"), ("zero_snr", False), ("clip_skip", None)):
            value = getattr(said, name)
            if value not in (None, usual):
                raise ModelUnavailableError(
                    "model {model}: {name} {value!r} is not for a model of the family {family};"
                    " take it out of the side-car file",
                    model=model,
                    name=name,
                    value=value,
                    family=family,
                )
        return part
    if part.name == "scheduler":
        if said.prediction is not None:
            part = part.changed(prediction_type=said.prediction)
        if said.zero_snr is not None:
            part = part.changed(
                **(ZERO_SNR if said.zero_snr else {"rescale_betas_zero_snr": False})
            )
    elif part.name == "text_encoder" and said.clip_skip is not None:
        _check_skip(model, part, family, said.clip_skip)
    return part


def _check_skip(model: Path, part: Part, family: str, skip: int) -> None:
    """Check that a text encoder has the layers that are skipped."""
    config = read_config(model, part.files[0])
    layers = _number(model, config, "num_hidden_layers", 12, 2**10)
    skipped = count_skipped(skip, config.get("hidden_size", 0), is_xl=family == "sdxl")
    if skipped >= layers or (skipped and family == "sdxl"):
        most = 2 if family == "sdxl" else skip - skipped + layers - 1
        raise ModelUnavailableError(
            "model {model}: clip_skip {clip_skip} is too large for it; set it to at most {most} in"
            " the side-car file",
            model=model,
            clip_skip=skip,
            most=most,
        )


_NATIVE_CELLS = {"sd": 64, "sdxl": 128}
"""The side in latent cells that a UNet was trained at, if its config does not say it."""


def _list_files(index: str, parts: tuple[Part, ...]) -> tuple[str, ...]:
    return tuple(sorted({index, *(file.path for part in parts for file in part.files)}))


def _read_config(model: Path, part: Part) -> dict[str, Any]:
    """Read a part's own config; a tokenizer's is read where it is checked."""
    if is_tokenizer(part.name):
        return {}
    name = part.files[0].path
    config = read_config(model, part.files[0])
    if config.get("quantization_config") is not None:
        raise ModelUnavailableError(
            "model {model}: {name} has a quantization_config, and quantised models are not"
            " supported yet; take the model in float32, bfloat16 or float16",
            model=model,
            name=name,
        )
    return config


def _check_channels(model: Path, unet: dict[str, Any], vae: dict[str, Any]) -> str:
    """Check that a UNet takes the autoencoder's latents; return its purpose."""
    channels = _number(model, unet, "in_channels", 4, 2**10)
    latent = _number(model, vae, "latent_channels", 4, 2**10)
    if channels not in (latent, 2 * latent + 1):
        raise ModelUnavailableError(
            "model {model} has {channels} input channels (in unet/config.json), which is not"
            " supported; take a plain model of its family ({latent}) or an inpainting one"
            " ({inpainting})",
            model=model,
            channels=channels,
            latent=latent,
            inpainting=2 * latent + 1,
        )
    return "plain" if channels == latent else "inpainting"


def _check_parts_match(model: Path, configs: dict[str, dict[str, Any]]) -> int:
    """Check that the output of each part fits the next one, and return a cell's side.

    The values that are read here were compared with the weights before.
    """
    unet, vae = configs["unet"], configs["vae"]
    blocks = vae.get("block_out_channels", [0] * 4)
    if not isinstance(blocks, list) or not 1 <= len(blocks) <= _MOST_VAE_BLOCKS:
        raise ModelUnavailableError(
            "model {model}: vae/config.json: block_out_channels {blocks} is not a list of 1 to"
            " {most} numbers; fetch it again",
            model=model,
            blocks=str(blocks)[:80],
            most=_MOST_VAE_BLOCKS,
        )
    encoders = [name for name in configs if name.startswith("text_encoder")]
    width = 0
    for name in encoders:  # an explicit null would be any number in the checks of shapes
        given = {key: "null" if value is None else value for key, value in configs[name].items()}
        width += _number(model, given, "hidden_size", 512, 2**16)
        _number(model, given, "vocab_size", 49408, 2**24)
    wanted = unet.get("cross_attention_dim", 1280)
    if isinstance(wanted, int) and unet.get("encoder_hid_dim") is None and wanted != width:
        raise ModelUnavailableError(
            "model {model}: its text encoders give {width} numbers a token (hidden_size in"
            " {encoders}/config.json), and its unet takes {wanted} (cross_attention_dim in"
            " unet/config.json); fetch all parts from one model",
            model=model,
            width=width,
            encoders="/config.json, ".join(encoders),
            wanted=wanted,
        )
    if "text_encoder_2" in configs:
        sizes = 6 * _number(model, unet, "addition_time_embed_dim", 256, 2**20)
        pooled = sizes + configs["text_encoder_2"].get("projection_dim", 512)
        taken = unet.get("projection_class_embeddings_input_dim")
        if pooled != taken:
            raise ModelUnavailableError(
                "model {model}: its unet takes {channels} numbers beside the prompt"
                " (projection_class_embeddings_input_dim in unet/config.json), and text_encoder_2"
                " and the six sizes give {expected}; fetch all parts from one model",
                model=model,
                channels=taken,
                expected=pooled,
            )
    halvings = len(blocks) - 1
    return int(2**halvings)


_MOST_VAE_BLOCKS = 5
"""Each but the first halves the picture; work areas are multiples of 16 pixels."""


def _number(model: Path, config: dict[str, Any], name: str, default: int, most: int) -> int:
    value = default if config.get(name) is None else config[name]
    if type(value) is not int or not 1 <= value <= most:
        raise ModelUnavailableError(
            "model {model}: {name} {value} is not a whole number from 1 to {most}; fetch the config"
            " again",
            model=model,
            name=name,
            value=str(value)[:80],
            most=most,
        )
    return value
