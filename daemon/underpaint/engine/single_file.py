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

from underpaint.models import Inside, Part, read_header

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
    keeps = part.library == "diffusers" and part.name != "vae"
    tensors = _read(file, inside.prefix, dtype, keep_quantised=keeps)
    if part.library == "transformers":
        config = part_class.config_class.from_pretrained(file.parent, local_files_only=True)
        if inside.original:
            tensors = _convert_open_clip(config, tensors)
        opened, found = part_class.from_pretrained(
            None, config=config, state_dict=tensors, dtype=dtype, output_loading_info=True
        )
        return opened.eval(), sorted(found["missing_keys"])
    more: dict[str, Any] = {}
    if any(isinstance(tensor, GGUFParameter) for tensor in tensors.values()):
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


def _read(file: Path, prefix: str, dtype: torch.dtype, *, keep_quantised: bool) -> Tensors:
    """Read the tensors whose names begin with a prefix, by their names without it."""
    if file.suffix == ".gguf":
        return _read_gguf(file, prefix, dtype, keep_quantised=keep_quantised)
    with safe_open(file, framework="pt") as opened:
        names = [name for name in opened.keys() if name.startswith(prefix)]  # noqa: SIM118
        return _rescale({n.removeprefix(prefix): opened.get_tensor(n) for n in names}, dtype)


_SCALES = (".scale_weight", ".weight_scale")
_NO_WEIGHTS = (*_SCALES, ".scale_input", ".input_scale", ".comfy_quant", "scaled_fp8")
"""How tensors end that go with weights of 8 bits, in ComfyUI's files."""


def _rescale(tensors: Tensors, dtype: torch.dtype) -> Tensors:
    """Return tensors in the range that they were trained in.

    Weights of 8 bits may have been scaled to use that type's whole range, by a factor for each
    layer or each row, which lies beside them.
    """
    found = {n: tensor for n, tensor in tensors.items() if not n.endswith(_NO_WEIGHTS)}
    for name, scale in tensors.items():
        weight = f"{name.rpartition('.')[0]}.weight"
        if name.endswith(_SCALES) and weight in found:
            rows = scale.float().reshape(-1, *[1] * (found[weight].ndim - 1))
            found[weight] = (found[weight].float() * rows).to(dtype)
    return found


def _read_gguf(file: Path, prefix: str, dtype: torch.dtype, *, keep_quantised: bool) -> Tensors:
    """Read tensors from a GGUF file.

    Parameters
    ----------
    keep_quantised : bool
        Whether the weights of linear layers stay quantised, as diffusers computes with them. All
        others become whole: it has no other layers that do so.
    """
    described = read_header(file).tensors
    found: Tensors = {}
    for name, tensor in load_gguf_checkpoint(str(file)).items():
        if name.startswith(prefix):
            shape = described[name].shape
            if not isinstance(tensor, GGUFParameter):
                found[name.removeprefix(prefix)] = tensor.reshape(shape)
            elif keep_quantised and len(shape) == 2 and tensor.shape[0] == shape[0]:
                found[name.removeprefix(prefix)] = tensor
            else:
                whole = dequantize_gguf_tensor(tensor).to(dtype)
                found[name.removeprefix(prefix)] = whole.reshape(shape)
    return found


def _convert_open_clip(config: Any, tensors: Tensors) -> Tensors:
    """Return a text encoder's tensors by transformers' names."""
    looked_at = SimpleNamespace(config=config)  # all that the converter uses of a model
    found: Tensors = convert_open_clip_checkpoint(looked_at, tensors, prefix="")
    return found
