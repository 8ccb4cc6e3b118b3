"""How the weights of a file are stored: in full precision, or quantised by which method."""

from __future__ import annotations

import contextlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .headers import read_bytes
from .reading import parse_json
from .tensors import Header, Tensor

_NAMES = {
    "F64": "fp64",
    "F32": "fp32",
    "F16": "fp16",
    "BF16": "bf16",
    "F8_E4M3": "fp8",
    "F8_E5M2": "fp8",
    "I8": "int8",
    "U8": "int8",
}
"""The names of the types of safetensors."""

_MOST_DESCRIBED = 4096
"""The most bytes of the description of a layer."""


def find_precision(header: Header, names: Iterable[str], file: Path | None = None) -> str:
    """Return how most of some tensors are stored.

    Parameters
    ----------
    header : Header
        From `read_header`.
    names : iterable of str
        The tensors, such as those of the denoiser.
    file : Path, optional
        The file, of which some bytes are read if its quantisation is described in a tensor.

    Returns
    -------
    str
        `fp32`, `fp16`, `bf16`, `fp8`, `fp8_scaled`, `int8`, `int8_convrot`, `nvfp4`, `mxfp8`,
        `bnb_nf4`, `bnb_fp4`, `svdquant`, a type of GGUF such as `Q4_K`, or empty where there are
        no tensors.
    """
    chosen = {name: header.tensors[name] for name in names}
    sizes: Counter[str] = Counter()
    for tensor in chosen.values():
        sizes[tensor.dtype] += tensor.size
    if not sizes:
        return ""
    most = sizes.most_common(1)[0][0]
    if header.format == "gguf":
        return {"F32": "fp32", "F16": "fp16", "BF16": "bf16"}.get(most, most)
    plain = _NAMES.get(most, most.lower())
    return _quantised(header, chosen, plain, file) or plain


def loaded_size(tensor: Tensor, number: int, *, stays_quantised: bool) -> int:
    """Return the bytes of a tensor once it is loaded.

    Parameters
    ----------
    tensor : Tensor
    number : int
        Bytes of a number that is computed with.
    stays_quantised : bool
        Whether it is of a denoiser in GGUF: of its linear layers alone the numbers stay quantised.
    """
    in_full = tensor.dtype in ("F32", "F16", "BF16") or len(tensor.shape) != 2
    if stays_quantised and not in_full:
        return tensor.size
    return math.prod(tensor.shape) * number


def _quantised(header: Header, chosen: Mapping[str, Tensor], plain: str, file: Path | None) -> str:
    """Return the method that the tensors were quantised by; empty where they were not."""
    endings = {name.rpartition(".")[2] for name in chosen}
    if {"qweight", "wscales"} <= endings:
        return "svdquant"
    for ending in endings:
        if ending.startswith("bitsandbytes__"):
            return f"bnb_{_as_name(ending.removeprefix('bitsandbytes__'))}"
    described = _layer_format(header, chosen, file)
    if described:
        return described
    if "weight_scale_2" in endings and plain == "int8":
        return "nvfp4"
    scaled = {"scale_weight", "weight_scale", "scaled_fp8"} & (endings | header.tensors.keys())
    if plain == "fp8" and (scaled or any(one.endswith("scaled_fp8") for one in header.tensors)):
        return "fp8_scaled"
    return ""


_FORMATS = {
    "float8_e4m3fn": "fp8_scaled",
    "float8_e5m2": "fp8_scaled",
    "int8_tensorwise": "int8",
    "nvfp4": "nvfp4",
    "mxfp8": "mxfp8",
}
"""ComfyUI's names of formats, where others are used here."""


def _layer_format(header: Header, chosen: Mapping[str, Tensor], file: Path | None) -> str:
    """Return the format that ComfyUI's description of most quantised layers names."""
    found: Counter[str] = Counter()
    layers = _parse(header.metadata.get("_quantization_metadata", "")).get("layers")
    if isinstance(layers, dict):
        found.update(_format(layer) for layer in layers.values() if isinstance(layer, dict))
    elif file is not None:
        tensors = [tensor for name, tensor in chosen.items() if name.endswith(".comfy_quant")]
        for tensor in tensors[:: max(1, len(tensors) // 8)]:
            with contextlib.suppress(OSError):  # then only the type of the tensors is known
                found[_format(_parse(read_bytes(file, tensor, _MOST_DESCRIBED)))] += 1
    found.pop("", None)
    return found.most_common(1)[0][0] if found else ""


def _format(layer: Mapping[str, Any]) -> str:
    named = _as_name(layer.get("format", ""))
    known = _FORMATS.get(named, named)
    return (
        f"{known}_convrot" if layer.get("convrot") and known and "convrot" not in known else known
    )


def _as_name(said: Any) -> str:
    """Return a format's name in a file, if it can be one: it is shown in tables."""
    return said if isinstance(said, str) and re.fullmatch(r"[\w.-]{1,40}", said, re.ASCII) else ""


def _parse(text: str | bytes) -> dict[str, Any]:
    try:
        found = parse_json(text if isinstance(text, str) else text.decode())
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
