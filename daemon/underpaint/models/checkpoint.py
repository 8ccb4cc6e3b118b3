"""A model in one file, as model sites offer it.

Such a file has the weights of several parts, under names of its own, and no configs. The configs of
each architecture come with Underpaint, in `configs`, as folders in the diffusers format without
weights. Where a file's header has better information, they are changed.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from underpaint_client.errors import ModelUnavailableError

from .architectures import CONFIGS, Architecture, find_architecture
from .facts import family_facts, why_unusable
from .families import FLOWS
from .files import ModelFile, Part, tokenizer_files
from .headers import read_bytes, read_header
from .kinds import with_article
from .model_index import INDEX, check_classes, encoder_of, is_tokenizer, read_family
from .parts import find_inside, find_part, find_tokenizer
from .probes import MODEL, Contents, probe_header
from .reading import check_regular, expand_user, list_names, read_json, read_text
from .schedulers import ZERO_SNR
from .sidecar import Sidecar, correct_contents
from .tensors import Header


def resolve_checkpoint(model: Path, said: Sidecar) -> tuple[str, tuple[Part, ...], str, str]:
    """List the files that each part of a model in one file is opened from.

    Parameters
    ----------
    model : Path
        A `.safetensors` or `.gguf` file. All paths of what is returned are absolute.
    said : Sidecar
        What the user says about it.

    Returns
    -------
    family : str
        As `ModelInfo` has it.
    parts : tuple of Part
        Those of the family, without optional ones that are neither in the file nor elsewhere.
    index : str
        The path of the `model_index.json` that names the parts.
    purpose : str
        As `Contents` has it.

    Raises
    ------
    ModelUnavailableError
        It is not a model, its kind is not supported, or a part is neither in it nor elsewhere.
    """
    check_regular(model.parent, model.name)
    header = read_header(model)
    contents = correct_contents(probe_header(header, model), said)
    kind = _check_kind(model, header, contents, has_configs=bool(said.config))
    folder = CONFIGS / kind.configs
    if said.config:
        folder = (model.parent / expand_user(Path(said.config))).absolute()
    index = str(folder / (INDEX if said.config else kind.index))
    given = read_json(model, index)
    family = read_family(model, given)
    if family != contents.family:
        raise ModelUnavailableError(
            "model {model} is of the family {family}, and the configs in {folder} are of"
            " {other_family}; name others in the side-car file",
            model=model,
            family=contents.family,
            folder=folder,
            other_family=family,
        )
    changes = _find_changes(model, kind, header, contents, has_configs=bool(said.config))
    parts: list[Part] = []
    for name, (library, class_name) in check_classes(model, family, given).items():
        part = Part(name, library, class_name, ())
        if is_tokenizer(name):
            if any(one.name == encoder_of(name) for one in parts):
                parts.append(_open_tokenizer(model, kind, folder, part))
            continue
        config = "scheduler_config.json" if name == "scheduler" else "config.json"
        file = ModelFile(str(folder / name / config), config, changes.get(name, ()))
        part = replace(part, files=(file,))
        if name != "scheduler":
            inside = find_inside(part, header, read_json(model, file.path))
            if inside is None or name in said.parts:
                found = find_part(model, kind, part, said)
                if found is None:
                    continue
                part = found
            else:
                weights = ModelFile(str(model.absolute()), f"weights{model.suffix.lower()}")
                part = replace(part, files=(file, weights), inside=inside)
        parts.append(part)
    return family, tuple(parts), index, contents.purpose


def _check_kind(
    model: Path, header: Header, contents: Contents, *, has_configs: bool
) -> Architecture:
    """Return which configs and parts a file needs.

    Raises
    ------
    ModelUnavailableError
        It is not a model, or one that cannot be run. The message says what it is.
    """
    if contents.kind != MODEL:
        what = contents.kind or "file of a kind that Underpaint does not know"
        raise ModelUnavailableError(
            "{model} is {kind}, not a model; name a checkpoint that has the denoiser in it{hint}",
            model=model,
            kind=with_article(what),
            hint=_PLACES.get(contents.kind, ""),
        )
    if contents.prediction == "edm" or any(name.startswith("edm_") for name in header.tensors):
        raise ModelUnavailableError(
            "model {model} cannot be opened: it was trained for EDM's noise levels (a tensor of it"
            " is called edm_..., as in Playground 2.5 and CosXL), which are not supported; take"
            " another {family} model",
            model=model,
            family=contents.family,
        )
    reason = why_unusable(contents)
    if reason:
        raise ModelUnavailableError(
            "model {model} cannot be opened: {reason}", model=model, reason=reason
        )
    kind = find_architecture(model, contents, any_variant=has_configs)
    if kind is None:
        title = family_facts(contents.family).title
        variant = f" {contents.variant}" if contents.variant else ""
        raise ModelUnavailableError(
            "model {model} cannot be opened: it is a {title} model{variant} of a size that"
            " Underpaint has no configs for; take its folder in the diffusers format, or name one"
            ' whose configs describe it in the side-car file, as {{"config": "FOLDER"}}',
            model=model,
            title=title,
            variant=variant,
        )
    return kind


_PLACES = {
    "VAE": '. This file can be a model\'s autoencoder: {"vae": "FILE"} in its side-car file',
    "text encoder": ". This file can be a part of a model: put it into models/parts",
}
"""What can be done with files that are not models."""


def _find_changes(
    model: Path, kind: Architecture, header: Header, contents: Contents, *, has_configs: bool
) -> Mapping[str, tuple[tuple[str, Any], ...]]:
    """Return what a file and its side-car change in the configs of its architecture."""
    if contents.family in FLOWS:
        said = {} if has_configs else kind.changes
        return {part: tuple(values.items()) for part, values in said.items()}
    unet: dict[str, Any] = {}
    if contents.purpose == "inpainting":
        unet["in_channels"] = 9
    prediction = contents.prediction
    if not prediction and contents.purpose == "plain":
        prediction = _read_prediction(model, header)
    scheduler: dict[str, Any] = {}
    if not has_configs or contents.prediction == "v_prediction":
        scheduler["prediction_type"] = prediction or "epsilon"
    if kind.configs == "sd2" and not has_configs and scheduler["prediction_type"] == "epsilon":
        unet["sample_size"] = 64  # those of 768 pixels predict velocity
    if contents.native:
        unet["sample_size"] = contents.native // _CELL
    if contents.zero_snr:
        scheduler |= ZERO_SNR
    found = {"unet": unet, "scheduler": scheduler}
    return {part: tuple(values.items()) for part, values in found.items()}


_CELL = 8
"""Pixels a side of a latent cell, in both of these families."""

_V_SPREAD = 0.09
"""The least standard deviation of a bias for which a model predicts velocity.

Stable Diffusion 2 does not say it; ComfyUI and others use this bias.
"""


def _read_prediction(model: Path, header: Header) -> str:
    """Return what a model predicts whose header does not say it; empty if that is unknown."""
    beside = model.with_suffix(".yaml")  # as WebUI needs it beside such models
    with contextlib.suppress(ModelUnavailableError):
        text = read_text(beside.parent, beside.name, "latin-1")  # only ASCII is looked for
        if re.search(r"""^\s*parameterization:\s*["']?v["']?\s*(#.*)?$""", text, re.MULTILINE):
            return "v_prediction"
    ending = "output_blocks.11.1.transformer_blocks.0.norm1.bias"
    tensor = next((one for name, one in header.tensors.items() if name.endswith(ending)), None)
    if tensor is None or tensor.dtype not in ("F32", "F16", "BF16"):
        return ""
    raw = read_bytes(model, tensor, 2**16)
    if tensor.dtype == "BF16":  # the upper half of a float32
        raw = b"".join(b"\0\0" + raw[place : place + 2] for place in range(0, len(raw), 2))
    kind = "e" if tensor.dtype == "F16" else "f"
    count = len(raw) // struct.calcsize(kind)
    values = struct.unpack(f"<{count}{kind}", raw[: count * struct.calcsize(kind)])
    mean = sum(values) / max(1, count)
    spread = (sum((value - mean) ** 2 for value in values) / max(1, count)) ** 0.5
    return "v_prediction" if spread > _V_SPREAD else "epsilon"


def _open_tokenizer(model: Path, kind: Architecture, folder: Path, part: Part) -> Part:
    """Return a tokenizer with its files: those beside the configs, ours, or another model's."""
    there = list_names(folder, part.name)
    if "tokenizer.json" in there or "vocab.json" in there:
        names = tokenizer_files(folder, part.name)
        files = tuple(ModelFile(str(folder / part.name / one), one) for one in names)
        return replace(part, files=files)
    config = "tokenizer_config.json"
    own = ModelFile(str(folder / part.name / config), config)
    for beginning, words in _WORDS.items():
        if part.class_name.startswith(beginning):
            given = (ModelFile(str(CONFIGS / one), Path(one).stem) for one in words)
            return replace(part, files=(*given, own))
    return find_tokenizer(model, kind, replace(part, files=(own,)))


_WORDS = {
    "CLIP": ("clip/vocab.json.gz", "clip/merges.txt.gz"),
    "T5": ("t5/tokenizer.json.gz",),
    "Qwen2": ("qwen/vocab.json.gz", "qwen/merges.txt.gz"),
    "Qwen3VL": ("qwen/vocab.json.gz", "qwen/merges.txt.gz"),
}
"""The vocabularies that come with Underpaint, by how the tokenizers' classes begin."""
