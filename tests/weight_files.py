"""Weight files that have the header of a real one and no weights: sparse, and made in no time."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np

Layout = Mapping[str, tuple[str, tuple[int, ...]]]
"""The type and shape of each tensor, by name."""

BITS = {"F32": 32, "F16": 16, "BF16": 16, "F8_E4M3": 8, "I8": 8, "U8": 8, "F8_E8M0": 8, "I64": 64}


def write_safetensors(
    file: Path,
    layout: Layout,
    metadata: Mapping[str, str] | None = None,
    contents: Mapping[str, bytes] | None = None,
) -> Path:
    """Write a file whose tensors are zeros, but for those that are given, and return its path."""
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    place = 0
    places = {}
    for name, (dtype, shape) in layout.items():
        size = math.prod(shape) * BITS[dtype] // 8
        header[name] = {
            "dtype": dtype,
            "shape": list(shape),
            "data_offsets": [place, place + size],
        }
        places[name] = place
        place += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        stream.truncate(8 + len(text) + place)
        for name, data in (contents or {}).items():
            stream.seek(8 + len(text) + places[name])
            stream.write(data)
    return file


def write_gguf(
    file: Path, layout: Mapping[str, tuple[str, tuple[int, ...]]], architecture: str
) -> Path:
    """Write a GGUF file of zeros with the `gguf` package, and return its path."""
    import gguf

    file.parent.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(file, architecture)
    writer.add_array("general.tags", ["a", "b"])
    writer.add_array("comfy.gguf.orig_shape.joined.weight", [4, 3, 3, 2])
    for name, (dtype, shape) in layout.items():
        kind = gguf.GGMLQuantizationType[dtype]
        block, length = gguf.GGML_QUANT_SIZES[kind]
        rows = (*shape[:-1], shape[-1] // block * length)
        data = np.zeros(rows, np.uint8)
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def layout(dtype: str, shapes: Mapping[str, tuple[int, ...]], prefix: str = "") -> Layout:
    """Return a layout of one type, with a text before each name."""
    return {prefix + name: (dtype, shape) for name, shape in shapes.items()}


_UNET = "model.diffusion_model."

SD1 = layout(
    "F16",
    {
        f"{_UNET}input_blocks.0.0.weight": (320, 4, 3, 3),
        f"{_UNET}input_blocks.1.1.proj_in.weight": (320, 320, 1, 1),
        f"{_UNET}out.2.weight": (4, 320, 3, 3),
        "first_stage_model.encoder.conv_in.weight": (128, 3, 3, 3),
        "cond_stage_model.transformer.text_model.final_layer_norm.weight": (768,),
    },
)
SDXL = {
    **SD1,
    f"{_UNET}label_emb.0.0.weight": ("F16", (1280, 2816)),
    "conditioner.embedders.0.transformer.text_model.final_layer_norm.weight": ("F16", (768,)),
    "conditioner.embedders.1.model.text_projection": ("F16", (1280, 1280)),
}
FLUX = layout(
    "BF16",
    {
        "img_in.weight": (3072, 64),
        "double_blocks.0.img_attn.norm.key_norm.scale": (128,),
        "guidance_in.in_layer.weight": (3072, 256),
    },
)
LORA = layout(
    "F16",
    {"lora_unet_x.lora_down.weight": (4, 320), "lora_unet_x.lora_up.weight": (320, 4)},
)
"""As much of each as tells it from the others."""


def write_lora(file: Path, base: str = "sd", words: str = "") -> Path:
    """Write a LoRA of one layer, for Stable Diffusion 1 or SDXL, with trigger words."""
    blocks, width_in, width_out = {"sd": (0, 768, 320), "sdxl": (1, 2048, 640)}[base]
    layer = f"lora_unet_down_blocks_{blocks}_attentions_0_transformer_blocks_0_attn2_to_k"
    layout: Layout = {
        f"{layer}.lora_down.weight": ("F16", (4, width_in)),
        f"{layer}.lora_up.weight": ("F16", (width_out, 4)),
    }
    return write_safetensors(file, layout, {"modelspec.trigger_phrase": words} if words else None)
