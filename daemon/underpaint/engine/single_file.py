"""Open a part of a model from a file in the layout of its authors, or in one of other tools."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import GGUFQuantizationConfig
from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES
from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint
from diffusers.models.model_loading_utils import load_gguf_checkpoint
from diffusers.quantizers.gguf.utils import GGUFParameter, dequantize_gguf_tensor
from safetensors import safe_open

from underpaint.models import Inside, Part

Tensors = dict[str, torch.Tensor]

_ORIGINAL_PREFIXES = {"unet": "model.diffusion_model."}
"""What diffusers' converters expect before a part's names, where they expect anything."""


def open_from_file(
    part: Part, inside: Inside, part_class: Any, file: Path, dtype: torch.dtype
) -> tuple[Any, list[str]]:
    """Open a part, and return it with the names of the weights that it lacks.

    Parameters
    ----------
    part : Part
        One with weights.
    inside : Inside
        How the file names its tensors.
    part_class : type
        Its class in diffusers or transformers.
    file : Path
        A `.safetensors` or `.gguf` file. Its folder holds the part's config.
    dtype : torch.dtype
        Which precision to compute in.

    Raises
    ------
    Exception
        What diffusers and transformers raise where they cannot open it.
    """
    tensors = _read(file, inside.prefix)
    if part.library == "transformers":
        tensors = {name: _whole(tensor, dtype) for name, tensor in tensors.items()}
        config = part_class.config_class.from_pretrained(file.parent, local_files_only=True)
        if inside.original:
            tensors = _convert_open_clip(config, tensors)
        opened, found = part_class.from_pretrained(
            None, config=config, state_dict=tensors, dtype=dtype, output_loading_info=True
        )
        return opened.eval(), sorted(found["missing_keys"])
    more: dict[str, Any] = {}
    if part.name == "vae":
        tensors = {name: _whole(tensor, dtype) for name, tensor in tensors.items()}
    elif any(isinstance(tensor, GGUFParameter) for tensor in tensors.values()):
        more["quantization_config"] = GGUFQuantizationConfig(compute_dtype=dtype)
    if inside.original:
        prefix = _ORIGINAL_PREFIXES.get(part.name, "")
        tensors = {prefix + name: tensor for name, tensor in tensors.items()}
    try:
        opened = part_class.from_single_file(
            tensors, config=str(file.parent), local_files_only=True, torch_dtype=dtype, **more
        )
    except NotImplementedError:  # diffusers fails on a weight that has no value
        return None, _list_missing(part_class, tensors, file.parent)
    return opened, []


def _list_missing(part_class: Any, tensors: Tensors, folder: Path) -> list[str]:
    """Return the names of the weights that a diffusers class needs and a file does not have."""
    config = part_class.load_config(folder)
    with init_empty_weights():
        needed = part_class.from_config(config).state_dict()
    convert = SINGLE_FILE_LOADABLE_CLASSES[part_class.__name__]["checkpoint_mapping_fn"]
    return sorted(needed.keys() - convert(config=config, checkpoint=tensors).keys())


def _read(file: Path, prefix: str) -> Tensors:
    """Read the tensors whose names begin with a prefix, by their names without it."""
    if file.suffix == ".gguf":
        found = load_gguf_checkpoint(str(file))
        return {n.removeprefix(prefix): t for n, t in found.items() if n.startswith(prefix)}
    with safe_open(file, framework="pt") as opened:
        names = [name for name in opened.keys() if name.startswith(prefix)]  # noqa: SIM118
        return {name.removeprefix(prefix): opened.get_tensor(name) for name in names}


def _whole(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return a tensor that is not quantised any more."""
    if isinstance(tensor, GGUFParameter):
        whole: torch.Tensor = dequantize_gguf_tensor(tensor).to(dtype)
        return whole
    return tensor


def _convert_open_clip(config: Any, tensors: Tensors) -> Tensors:
    """Return a text encoder's tensors by transformers' names."""
    looked_at = SimpleNamespace(config=config)  # all that the converter uses of a model
    found: Tensors = convert_open_clip_checkpoint(looked_at, tensors, prefix="")
    return found
