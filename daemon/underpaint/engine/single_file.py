"""Open a part of a model from a file in the layout of its authors, or in one of other tools."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers import GGUFQuantizationConfig
from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES
from diffusers.loaders.single_file_utils import (
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
    convert_wan_vae_to_diffusers,
)
from diffusers.models.model_loading_utils import (
    load_gguf_checkpoint,
    load_model_dict_into_meta,
)
from diffusers.quantizers.gguf.utils import GGUFParameter, dequantize_gguf_tensor
from safetensors import safe_open

from underpaint.models import Inside, Part, read_header
from underpaint.models.files import ORIGINAL

from .comfy_int8 import dequantise, read_layers
from .text_encoders import open_text_encoder

Tensors = dict[str, torch.Tensor]

_ORIGINAL_PREFIXES = {"unet": "model.diffusion_model."}
"""The prefix that diffusers' converters expect of a part's names, if any."""


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
    if part.library == "diffusers":
        keeps = part.name != "vae"
        return _open_network(  # which frees each tensor that it converts
            read_tensors(file, inside.prefix, dtype, keep_quantised=keeps),
            part, inside, part_class, file.parent, dtype,
        )  # fmt: skip
    tensors = read_tensors(file, inside.prefix, dtype)
    config = part_class.config_class.from_pretrained(file.parent, local_files_only=True)
    if not part.class_name.startswith("CLIP"):
        return open_text_encoder(part_class, config, tensors, inside.layout, dtype)
    if inside.layout == ORIGINAL:
        tensors = _convert_open_clip(config, tensors)
    elif part.name == "text_encoder" and part.class_name == "CLIPTextModelWithProjection":
        # Stable Diffusion 3 uses CLIP-L's pooled output as it is, and its files have no projection
        tensors.setdefault("text_projection.weight", torch.eye(config.hidden_size))
    opened, found = part_class.from_pretrained(
        None, config=config, state_dict=tensors, dtype=dtype, output_loading_info=True
    )
    return opened.eval(), sorted(found["missing_keys"])


def _open_network(
    tensors: Tensors, part: Part, inside: Inside, part_class: Any, folder: Path, dtype: torch.dtype
) -> tuple[Any, list[str]]:
    """Open a network of diffusers', and return it with the names of the weights that it lacks."""
    if inside.layout == ORIGINAL:
        prefix = _ORIGINAL_PREFIXES.get(part.name, "")
        tensors = {prefix + name: tensors.pop(name) for name in list(tensors)}
        try:
            tensors = _convert(part_class, tensors, folder)
        except KeyError as error:
            return None, [str(error.args[0])]
    made = make_empty(part_class, part_class.load_config(folder))
    tensors, missing = choose_own(made, tensors)
    if missing:
        return None, missing
    if any(isinstance(tensor, GGUFParameter) for tensor in tensors.values()):
        quantisation = GGUFQuantizationConfig(compute_dtype=dtype)
        opened = part_class.from_single_file(
            tensors,
            config=str(folder),
            local_files_only=True,
            torch_dtype=dtype,
            quantization_config=quantisation,
        )
        _make_whole(opened, dtype)
        return opened, []
    return fill(made, tensors, dtype), []


def make_empty(part_class: Any, config: dict[str, Any]) -> Any:
    """Make a network of diffusers', without weights."""
    with init_empty_weights():
        return part_class.from_config(config)


def choose_own(network: Any, tensors: Tensors) -> tuple[Tensors, list[str]]:
    """Return a network's weights among tensors, and the names of those that it lacks."""
    needed = network.state_dict().keys()
    own = {name: tensor for name, tensor in tensors.items() if name in needed}
    return own, sorted(needed - own.keys())


def fill(network: Any, tensors: Tensors, dtype: torch.dtype) -> Any:
    """Put weights into an empty network, as `from_pretrained` does, from a folder."""
    load_model_dict_into_meta(
        network,
        tensors,
        dtype=dtype,
        keep_in_fp32_modules=network._keep_in_fp32_modules or [],
        device_map={"": torch.device("cpu")},
    )
    return network.eval()


def _convert(part_class: Any, tensors: Tensors, folder: Path) -> Tensors:
    """Return tensors by the names of a diffusers class; the given mapping is emptied.

    Raises
    ------
    KeyError
        One is missing: its name.
    """
    name = part_class.__name__
    convert: Callable[..., Tensors] | None = _CONVERTERS.get(name)
    if convert is None:
        convert = SINGLE_FILE_LOADABLE_CLASSES[name]["checkpoint_mapping_fn"]
    found = convert(config=part_class.load_config(folder), checkpoint=tensors)
    return {name: tensor for name, tensor in found.items() if tensor is not None}


def _convert_flux2_vae(config: Any, checkpoint: Tensors) -> Tensors:
    """Name the tensors of FLUX.2's autoencoder, which normalises its latents, as diffusers does."""
    plain = {
        name.replace("encoder.quant_conv.", "quant_conv.").replace(
            "decoder.post_quant_conv.", "post_quant_conv."
        ): tensor
        for name, tensor in checkpoint.items()
    }
    statistics = {name: tensor for name, tensor in plain.items() if name.startswith("bn.")}
    statistics.setdefault("bn.num_batches_tracked", torch.zeros((), dtype=torch.long))
    converted: Tensors = convert_ldm_vae_checkpoint(config=config, checkpoint=plain)
    return converted | statistics


_CONVERTERS: dict[str, Callable[..., Tensors]] = {
    "AutoencoderKLFlux2": _convert_flux2_vae,
    "AutoencoderKLQwenImage": convert_wan_vae_to_diffusers,  # it is Wan's, for a video of one frame
}
"""What converts the classes for which diffusers has it elsewhere."""


def _make_whole(network: torch.nn.Module, dtype: torch.dtype) -> None:
    """Dequantise the weights that are not of a linear layer: nothing computes with these."""
    for module in network.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if isinstance(weight, GGUFParameter) and not isinstance(module, torch.nn.Linear):
                whole = dequantize_gguf_tensor(weight).to(dtype)
                setattr(module, name, torch.nn.Parameter(whole, requires_grad=False))


def read_tensors(
    file: Path, prefix: str, dtype: torch.dtype, *, keep_quantised: bool = False
) -> Tensors:
    """Read the tensors whose names begin with a prefix, by their names without it."""
    if file.suffix == ".gguf":
        return _read_gguf(file, prefix, dtype, keep_quantised=keep_quantised)
    with safe_open(file, framework="pt") as opened:
        names = [name for name in opened.keys() if name.startswith(prefix)]  # noqa: SIM118
        tensors = {name: opened.get_tensor(name) for name in names}
        metadata = (opened.metadata() or {}).get("_quantization_metadata", "")
    whole = _rescale(tensors, read_layers(tensors, metadata, prefix), dtype)
    return {name.removeprefix(prefix): tensor for name, tensor in whole.items()}


_SCALES = (".scale_weight", ".weight_scale")
_NO_WEIGHTS = (*_SCALES, ".scale_input", ".input_scale", ".comfy_quant", "scaled_fp8")
"""The endings of tensors that belong to weights of 8 bits, in ComfyUI's files."""


def _rescale(tensors: Tensors, layers: dict[str, dict[str, Any]], dtype: torch.dtype) -> Tensors:
    """Return tensors in the range that they were trained in.

    Weights of 8 bits may have been scaled to use that type's whole range, by a factor for each
    layer or each row, which lies beside them.
    """
    found = {n: tensor for n, tensor in tensors.items() if not n.endswith(_NO_WEIGHTS)}
    for name, scale in tensors.items():
        layer = name.rpartition(".")[0]
        weight = f"{layer}.weight"
        if name.endswith(_SCALES) and weight in found:
            found[weight] = dequantise(found[weight], scale, layers.get(layer, {}), dtype)
    return found


def _read_gguf(file: Path, prefix: str, dtype: torch.dtype, *, keep_quantised: bool) -> Tensors:
    """Read tensors from a GGUF file.

    Parameters
    ----------
    keep_quantised : bool
        Whether the weights of linear layers stay quantised, which diffusers computes with. All
        others are dequantised.
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
