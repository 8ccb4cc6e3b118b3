"""Read a LoRA's file: which layers of a model it changes, and by which matrices.

Trainers name layers in their own ways. kohya writes `_` for dots, so a layer is looked up by its
name with `_` throughout, which also reads peft's and diffusers' layouts. Names that a model does
not have at all, as those of a model's authors, go through diffusers' converters first.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from underpaint.models.lora_choice import ChosenLora
from underpaint.models.loras import DOWN, PREFIXES, UP
from underpaint.models.stamps import stamp_status
from underpaint_client.errors import ModelUnavailableError

from .lora_products import find_product, product_rank, product_size

Tensors = dict[str, torch.Tensor]

Layers = dict[str, dict[str, torch.nn.Module]]
"""The layers of each part of a model that a LoRA may change, by name."""


@dataclass(frozen=True)
class LoraFile:
    """A LoRA's file, read whole.

    Parameters
    ----------
    tensors : dict of str to Tensor
        By the names in the file.
    metadata : dict of str to str
        What its maker added.
    sha256, tensors_sha256 : str
        Of the bytes that it was read from, and of those behind its header, hexadecimal.
    """

    tensors: Tensors
    metadata: dict[str, str]
    sha256: str
    tensors_sha256: str


@dataclass(frozen=True)
class LayerChange:
    """What a LoRA adds to a layer: `scale` times the product of matrices.

    Parameters
    ----------
    part, layer : str
        Of the pipeline, and the layer's name in it.
    matrices : dict of str to tensor
        A plain LoRA's `down` (rank, in), or (rank, in, h, w) for a convolution, and its `up`
        (out, rank), or (out, rank, 1, 1). Those of another form as `lora_products` has them.
    scale : float
        Alpha over the rank, at strength 1.
    """

    part: str
    layer: str
    matrices: Tensors
    scale: float

    def size(self, dtype: torch.dtype) -> int:
        """Return the bytes of the matrices in a precision."""
        return sum(one.numel() for one in self.matrices.values()) * dtype.itemsize


def read_lora_file(lora: ChosenLora) -> LoraFile:
    """Read the file whose header was checked, and no other.

    Raises
    ------
    ModelUnavailableError
        It cannot be read, is damaged, or was changed since its header was read.
    """
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        with open(os.open(lora.path, flags), "rb") as stream:  # noqa: PTH123 - of a descriptor
            stamps = [os.fstat(stream.fileno())]
            data = stream.read() if stat.S_ISREG(stamps[0].st_mode) else b""
            stamps.append(os.fstat(stream.fileno()))
    except (OSError, ValueError) as error:
        raise ModelUnavailableError(
            "LoRA {path} cannot be read ({reason}); fetch the file again, or name another LoRA",
            path=lora.path,
            reason=getattr(error, "strerror", None) or error,
        ) from None
    if any(stamp_status(one) != lora.stamp for one in stamps):
        raise ModelUnavailableError(
            "LoRA {path} was changed while it was opened; try again when it is complete",
            path=lora.path,
        )
    try:
        tensors = safetensors.torch.load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelUnavailableError(
            "LoRA {path} is damaged ({reason}); fetch the file again", path=lora.path, reason=error
        ) from None
    end = 8 + int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8:end]).get("__metadata__") or {}
    hashes = (hashlib.sha256(part).hexdigest() for part in (data, memoryview(data)[end:]))
    return LoraFile(tensors, metadata, *hashes)


def read_changes(
    lora: ChosenLora, file: LoraFile, layers: Layers, pipeline: Any, denoiser: str
) -> list[LayerChange]:
    """Return what a LoRA adds to which layers of a model.

    Parameters
    ----------
    lora : ChosenLora
        Named in errors.
    file : LoraFile
        Its contents.
    layers : Layers
        The model's.
    pipeline : diffusers pipeline
        The model's; it may know other names of layers.
    denoiser : str
        The part that denoises.

    Raises
    ------
    ModelUnavailableError
        It has layers that the model lacks or that are of another size, or is of a form that
        cannot be used.
    """
    _check_form(lora, file.tensors)
    flat = {part: {_flat(name): name for name in named} for part, named in layers.items()}
    found, unknown = _match(file.tensors, flat, denoiser)
    if unknown:
        found, unknown = _match(_convert(pipeline, file.tensors, denoiser), flat, denoiser)
    if unknown or not found:
        raise ModelUnavailableError(
            "LoRA {name!r} does not fit this model, which has no layer {layer}; it was made for"
            " {bases}",
            name=lora.name,
            layer=unknown or "that it changes",
            bases=lora.bases or "another model",
        )
    return [
        _make_change(lora, where, layers[where[0]][where[1]], one, file.metadata)
        for where, one in found.items()
    ]


_UNUSABLE = (
    (re.compile(r"\.(dora_scale|lora_magnitude_vector)(\.|$)"), "DoRA"),
    (re.compile(r"\.lora_mid\."), "LoCon with a third matrix (Tucker)"),
    (re.compile(r"\.(diff|diff_b|set_weight)$|\.lora_B(\.\w+)?\.bias$"), "LoRA with full weights"),
)


def _check_form(lora: ChosenLora, tensors: Tensors) -> None:
    for name, tensor in tensors.items():
        form = next((form for pattern, form in _UNUSABLE if pattern.search(name)), "")
        if not form and not tensor.is_floating_point() and not name.endswith(".alpha"):
            form = "quantised LoRA"
        if form:
            raise ModelUnavailableError(
                "LoRA {name!r} is a {form}, which cannot be used; use a plain LoRA",
                name=lora.name,
                form=form,
            )


# ---- names ----------------------------------------------------------------------------------

_ENDS = re.compile(
    rf"^(?P<layer>.+?)(?:(?P<down>{DOWN})|(?P<up>{UP})|(?:{DOWN})?\.(?P<alpha>alpha)"
    r"|\.(?P<other>hada_(?:w[12]_[ab]|t[12])|lokr_(?:w[12](?:_[ab])?|t2)))$"
)
_ENCODERS = (
    (re.compile(r"^(?:lora_te1?_|text_encoder\.|text_encoders\.clip_l\.(?:transformer\.)?|te1?[._])"),
     "text_encoder"),
    (re.compile(r"^(?:lora_te2_|text_encoder_2\.|text_encoders\.clip_g\.(?:transformer\.)?|te2[._])"),
     "text_encoder_2"),
    (re.compile(r"^(?:lora_te3_|text_encoder_3\.)"), "text_encoder_3"),
)  # fmt: skip
_OLD_NAMES = tuple(
    (re.compile(old), new)
    for old, new in (
        ("_processor_", "_"),
        ("self_attn_to_([qkv])$", r"self_attn_\1_proj"),
        ("self_attn_to_out$", "self_attn_out_proj"),
        ("_to_out$", "_to_out_0"),
    )
)
"""What diffusers called layers before it used peft."""

_Where = tuple[str, str]


def _flat(name: str) -> str:
    """Return a layer's name with `_` for dots, without what versions of CLIP differ in."""
    return name.replace(".", "_").removeprefix("text_model_")


def _match(
    tensors: Mapping[str, torch.Tensor | float], flat: dict[str, dict[str, str]], denoiser: str
) -> tuple[dict[_Where, dict[str, torch.Tensor | float]], str]:
    """Return tensors by the layers they are for and their roles, and a layer that is not there."""
    found: dict[_Where, dict[str, torch.Tensor | float]] = {}
    for name, tensor in tensors.items():
        told = _ENDS.match(name)
        if told is None:
            return {}, name
        layer, part = told["layer"], denoiser
        for pattern, encoder in _ENCODERS:
            if pattern.match(layer):
                layer, part = pattern.sub("", layer, count=1), encoder
                break
        else:
            layer = PREFIXES.sub("", layer, count=1)
        plain = _flat(layer)
        for old, new in _OLD_NAMES:
            if plain not in flat.get(part, ()):
                plain = old.sub(new, plain)
        if plain not in flat.get(part, ()):
            return {}, layer
        role = "down" if told["down"] else "up" if told["up"] else told["alpha"] or told["other"]
        found.setdefault((part, flat[part][plain]), {})[role] = tensor
    return found, ""


def _convert(pipeline: Any, tensors: Tensors, denoiser: str) -> dict[str, torch.Tensor | float]:
    """Return tensors by diffusers' names; the same where its converters do not know them."""
    if not hasattr(pipeline, "lora_state_dict"):
        return dict(tensors)
    try:
        if denoiser == "unet":
            return _rename(pipeline, tensors)
        converted = pipeline.lora_state_dict(dict(tensors))
    except (ValueError, KeyError, IndexError, AttributeError, RuntimeError, TypeError):
        return dict(tensors)  # whose names are then unknown
    named, *rest = converted if isinstance(converted, tuple) else (converted,)
    alphas = rest[0] if rest and isinstance(rest[0], dict) else {}
    return {**named, **alphas}


def _rename(pipeline: Any, tensors: Tensors) -> dict[str, torch.Tensor | float]:
    """Return a UNet's tensors by diffusers' names, whose converter knows plain LoRAs alone."""
    told = {name: _ENDS.match(name) for name in tensors}
    layers = list(dict.fromkeys(one["layer"] for one in told.values() if one))
    numbered = {
        f"{layer}.{end}.weight": torch.tensor(number)
        for number, layer in enumerate(layers)
        for end in ("lora_down", "lora_up")
    }
    named, *_ = pipeline.lora_state_dict(numbered, unet_config=pipeline.unet.config)
    new = {
        layers[int(number)]: found["layer"]
        for name, number in named.items()
        if (found := _ENDS.match(name)) is not None
    }
    return {
        new[one["layer"]] + name.removeprefix(one["layer"]): tensors[name]
        for name, one in told.items()
        if one is not None
    }


# ---- matrices -------------------------------------------------------------------------------


def _make_change(
    lora: ChosenLora,
    where: _Where,
    layer: Any,
    found: dict[str, Any],
    metadata: dict[str, str],
) -> LayerChange:
    """Return the change of a layer, its matrices in the shapes that the layer needs."""
    alpha = found.pop("alpha", None)
    if find_product(found) is not None:
        return _make_product(lora, where, layer, found, alpha)
    down, up = found.get("down"), found.get("up")
    if down is None or up is None:
        raise _misfit(lora, where, "one of two matrices", "both")
    is_convolution = not isinstance(layer, torch.nn.Linear)
    sides = layer.weight.ndim - 2 if is_convolution else 0
    ones = (1,) * sides
    if is_convolution:
        down, up = (one[(..., *(None,) * sides)] if one.ndim == 2 else one for one in (down, up))
        needed = (layer.in_channels, *layer.kernel_size), (layer.out_channels, *ones)
    else:
        down, up = (one.flatten(1) for one in (down, up))
        needed = (layer.in_features,), (layer.out_features,)
    rank = down.shape[0]
    has = tuple(down.shape[1:]), (up.shape[0], *up.shape[2:])
    if has != needed or up.shape[1] != rank or not rank:
        raise _misfit(lora, where, _shown(has), _shown(needed))
    matrices = {"down": down, "up": up}
    return LayerChange(*where, matrices, _scale(where, rank, alpha, metadata))


def _make_product(
    lora: ChosenLora, where: _Where, layer: Any, found: Tensors, alpha: Any
) -> LayerChange:
    """Return the change of a layer that is another product than a plain LoRA's."""
    if isinstance(layer, torch.nn.Linear):
        found = {name: _without_sides(one) for name, one in found.items()}
        needed = layer.out_features, layer.out_features * layer.in_features
    else:
        kernel = math.prod(layer.kernel_size)
        needed = layer.out_channels, layer.out_channels * layer.in_channels * kernel
    has = product_size(found)
    if has != needed:
        sides = "matrices that do not fit each other" if has is None else f"{has[1]} numbers"
        raise _misfit(lora, where, sides, f"{needed[1]}")
    rank = product_rank(found)
    scale = 1.0 if alpha is None or not rank else _finite(float(alpha)) / rank
    return LayerChange(*where, found, scale)


def _without_sides(matrix: torch.Tensor) -> torch.Tensor:
    """Return a matrix of a convolution of 1 x 1 as one of a linear layer."""
    return matrix.flatten(1) if matrix.ndim > 2 and matrix.shape[2:].numel() == 1 else matrix


def _shown(sides: tuple[tuple[int, ...], tuple[int, ...]]) -> str:
    return " to ".join(" x ".join(map(str, one)) for one in sides)


def _misfit(lora: ChosenLora, where: _Where, has: str, needed: str) -> ModelUnavailableError:
    return ModelUnavailableError(
        "LoRA {name!r} does not fit this model: its {layer} has {has}, and the model's has"
        " {needed}; it was made for {bases}",
        name=lora.name,
        layer=where[1],
        has=has,
        needed=needed,
        bases=lora.bases or "another model",
    )


def _scale(where: _Where, rank: int, alpha: Any, metadata: dict[str, str]) -> float:
    """Return the factor of a layer's change: its alpha over its rank.

    peft keeps no alpha in tensors: diffusers writes its settings into the metadata.
    """
    if alpha is not None:
        return _finite(float(alpha)) / rank
    mine: dict[str, Any] = {}
    try:
        told = json.loads(metadata.get("lora_adapter_metadata", "{}"))
        mine = {k.removeprefix(f"{where[0]}."): v for k, v in told.items()}
        own = mine.get("alpha_pattern") or {}
        alpha = float(own.get(where[1], mine.get("lora_alpha", rank)))
    except (ValueError, TypeError, AttributeError):
        return 1.0
    return _finite(alpha) / (math.sqrt(rank) if mine.get("use_rslora") else rank)


def _finite(number: float) -> float:
    return number if math.isfinite(number) else 0.0
