"""Open the language models that read prompts from a weight file: T5, Qwen and Gemma."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from accelerate import init_empty_weights

from underpaint.models.files import LLAMA_CPP

Tensors = dict[str, torch.Tensor]

_STARTS = ("model.", "language_model.")
"""What versions of transformers put before names, or leave out."""


def open_text_encoder(
    part_class: Any, config: Any, tensors: Tensors, layout: str, dtype: torch.dtype
) -> tuple[Any, list[str]]:
    """Open a language model, and return it with the names of the weights that it lacks.

    Parameters
    ----------
    part_class : type
        A class of transformers.
    config : transformers config
        Its own.
    tensors : dict of str to Tensor
        By the names in the file.
    layout : str
        `LIBRARY` or `LLAMA_CPP`.
    dtype : torch.dtype
        Which precision to compute in.
    """
    if not any("visual." in name for name in tensors):
        _leave_out_vision(config)
    with init_empty_weights():
        needed = list(part_class(config).state_dict())
    if layout == LLAMA_CPP:
        named = _rename_llama_cpp(part_class.__name__, config, tensors, needed)
    else:
        found = {_plain(name): tensor for name, tensor in tensors.items()}
        if "encoder.embed_tokens.weight" in found:  # T5's, which has one table under two names
            found.setdefault("shared.weight", found["encoder.embed_tokens.weight"])
        named = {name: found[_plain(name)] for name in needed if _plain(name) in found}
    opened, told = part_class.from_pretrained(
        None, config=config, state_dict=named, dtype=dtype, output_loading_info=True
    )
    missing = [name for name in told["missing_keys"] if not _is_unused(name, config)]
    return opened.eval(), sorted(missing)


def _plain(name: str) -> str:
    """Return a name without what some versions of transformers put before it."""
    while name.startswith(_STARTS):
        name = name.partition(".")[2]
    return name


def _leave_out_vision(config: Any) -> None:
    """Remove the layers of a model that see pictures: no prompt runs through them."""
    vision = getattr(config, "vision_config", None)
    if vision is not None:
        vision.depth = 0
        if hasattr(vision, "deepstack_visual_indexes"):
            vision.deepstack_visual_indexes = []


def _is_unused(name: str, config: Any) -> bool:
    """Return whether a weight belongs to the layers that were left out."""
    vision = getattr(config, "vision_config", None)
    return vision is not None and vision.depth == 0 and _plain(name).startswith("visual.")


GGUF_ARCHITECTURES = {
    "T5EncoderModel": "T5ENCODER",
    "Qwen3Model": "QWEN3",
    "Qwen3ForCausalLM": "QWEN3",
    "Qwen2_5_VLForConditionalGeneration": "QWEN2VL",
    "Qwen3VLModel": "QWEN3VL",
    "Qwen3VLForConditionalGeneration": "QWEN3VL",
    "Gemma2Model": "GEMMA2",
}
"""What the `gguf` package calls the classes."""


def _rename_llama_cpp(
    class_name: str, config: Any, tensors: Tensors, needed: Iterable[str]
) -> Tensors:
    """Return the tensors of a GGUF file by transformers' names."""
    import gguf  # noqa: PLC0415 - it is slow, and few have such files

    inner = config.get_text_config()
    architecture = gguf.MODEL_ARCH[GGUF_ARCHITECTURES[class_name]]
    layers = getattr(inner, "num_hidden_layers", None) or inner.num_layers
    names = gguf.get_tensor_name_map(architecture, layers)
    found: Tensors = {}
    for name in needed:
        stem, _, ending = name.rpartition(".")
        plain = _plain(stem)
        known = names.get_name(plain) or names.get_name(f"model.{plain}")
        tensor = tensors.get(f"{known}.{ending}")
        if known is not None and tensor is not None:
            # llama.cpp stores the factors of Gemma's norms, Google stores them minus 1
            is_less = class_name.startswith("Gemma") and plain.endswith("norm")
            found[name] = tensor - 1 if is_less else tensor
    return found
