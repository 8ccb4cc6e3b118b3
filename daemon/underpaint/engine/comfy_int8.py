"""Dequantise weights that ComfyUI stored as 8-bit integers.

A quantised layer has `weight` in int8, `weight_scale` (one factor, or one a row), and
`comfy_quant`, a JSON text as bytes that describes it:
`{"format": "int8_tensorwise", "convrot": true, "convrot_groupsize": 256}`. The descriptions of all
layers may be in the file's metadata instead. With `convrot`, the columns were rotated in groups by
a Hadamard matrix before they were rounded; comfy-kitchen rotates them back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from underpaint.models.reading import parse_json


def read_layers(
    tensors: Mapping[str, torch.Tensor], metadata: str, prefix: str = ""
) -> dict[str, dict[str, Any]]:
    """Return how each layer was quantised, as a file describes it.

    Parameters
    ----------
    tensors : mapping of str to tensor
        Those of the file.
    metadata : str
        What it has as `_quantization_metadata`, or nothing.
    prefix : str
        What the names of `tensors` begin with. Those in `metadata` may begin without it.
    """
    found: dict[str, dict[str, Any]] = {}
    listed = _parse(metadata).get("layers") if metadata else None
    if isinstance(listed, dict):
        for name, layer in listed.items():
            if isinstance(layer, dict):
                found[name if name.startswith(prefix) else prefix + name] = layer
    for name, tensor in tensors.items():
        if name.endswith(".comfy_quant"):
            text = bytes(tensor.tolist()).decode(errors="replace")
            found[name.removesuffix(".comfy_quant")] = _parse(text)
    return found


def dequantise(
    weight: torch.Tensor, scale: torch.Tensor, layer: Mapping[str, Any], dtype: torch.dtype
) -> torch.Tensor:
    """Return a layer's weights as they were before they were quantised, but for rounding.

    Parameters
    ----------
    weight : int8 or float8 tensor (rows, ...)
    scale : tensor () or (rows,) or (rows, 1)
    layer : mapping
        From `read_layers`; empty if the file does not describe the layer.
    dtype : torch.dtype
        What to return them in.

    Raises
    ------
    ValueError
        The columns do not divide into groups of the size that the file says.
    """
    if not layer.get("convrot"):
        rows = scale.float().reshape(-1, *[1] * (weight.ndim - 1))
        return (weight.float() * rows).to(dtype)
    from comfy_kitchen.tensor import QuantizedTensor, TensorWiseINT8Layout  # noqa: PLC0415 - extra

    params = TensorWiseINT8Layout.Params(
        scale=scale.float(),
        orig_dtype=torch.float32,
        orig_shape=tuple(weight.shape),
        convrot=True,
        convrot_groupsize=int(layer.get("convrot_groupsize", 256)),
    )
    whole: torch.Tensor = QuantizedTensor(weight, "TensorWiseINT8Layout", params).dequantize()
    return whole.to(dtype)


def _parse(text: str) -> dict[str, Any]:
    try:
        found = parse_json(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
