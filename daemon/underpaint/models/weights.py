"""Compare the headers of weight files with the configs beside them. No tensor is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.sentences import Listing, Sentence, sentence

from .expected_weights import EXPECTED, Expected
from .files import ORIGINAL, Part, read_weight_map
from .headers import read_header
from .layouts import expected_in_file, find_depths
from .precisions import find_precision
from .tensors import Header, Tensor

Wanted = tuple[int | None, ...]
"""How a shape begins; None is any length."""

Tensors = dict[str, Tensor]
"""The tensors of a part as headers describe them, by name."""

_READABLE = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2")
"""The types of tensors in safetensors whose numbers need no scale."""

_READABLE_GGUF = (
    *("F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K", "Q5_1", "Q5_0", "Q4_K", "Q4_1", "Q4_0"),
    *("Q3_K", "Q2_K", "IQ4_NL", "IQ4_XS"),
)
"""The types of tensors in GGUF that diffusers reads."""

_READABLE_METHODS = ("fp64", "fp32", "fp16", "bf16", "fp8", "fp8_scaled", "")
"""The methods of `find_precision` that are read from safetensors."""

_SCALED_INT8 = ("int8", "int8_convrot")
"""The methods that are read from one file where each layer of int8 has its scale beside it."""

_NO_WEIGHTS = ("position_ids", "num_batches_tracked", ".comfy_quant", "spiece_model")
"""The endings of tensors that no layer computes with, and that are integers in any model."""


def read_tensors(model: Path, part: Part) -> Tensors:
    """Read the headers of a part's weights.

    Returns
    -------
    dict of str to Tensor
        The tensors of this part, by names without `Inside.prefix`.

    Raises
    ------
    ModelUnavailableError
        A file is damaged, truncated or quantised, or its shards are not what their index says.
    """
    if part.inside is not None:
        header, prefix = read_header(model / part.weights), part.inside.prefix
        found = {
            name.removeprefix(prefix): tensor
            for name, tensor in header.tensors.items()
            if name.startswith(prefix)
        }
        _check_types(model / part.weights, replace(header, tensors=found), in_one_file=True)
        return found
    tensors: Tensors = {}
    shards: dict[str, str] = {}
    for file in part.files:
        if file.is_weights:
            header = read_header(model / file.path)
            found = dict(header.tensors)
            _check_types(model / file.path, header)
            tensors.update(found)
            shards.update(dict.fromkeys(found, file.opened_as))
    for file in part.files:
        if file.is_index:
            for name, shard in read_weight_map(model, file.path).items():
                if shards.get(name) != shard:
                    raise ModelUnavailableError(
                        "model {model}: {path} says that {name} is in {shard}, and it is not;"
                        " fetch the index and its shards again, all of one model",
                        model=model,
                        path=file.path,
                        name=name[:120],
                        shard=shard,
                    )
    return tensors


def _check_types(file: Path, header: Header, *, in_one_file: bool = False) -> None:
    """Check that all tensors are numbers that can be computed with."""
    form, tensors = header.format, header.tensors
    readable = _READABLE_GGUF if form == "gguf" else _READABLE
    method = find_precision(header, tensors, file)
    has_scales = in_one_file and method in _SCALED_INT8
    odd = [
        (name, tensor.dtype)
        for name, tensor in tensors.items()
        if tensor.dtype not in readable
        and not name.endswith(_NO_WEIGHTS)
        and not (has_scales and tensor.dtype == "I8" and f"{name}_scale" in tensors)
    ]
    readable_methods = (*_READABLE_METHODS, *(_SCALED_INT8 if has_scales else ()))
    needs_package = False
    if has_scales and method == "int8_convrot" and not odd and find_spec("comfy_kitchen") is None:
        readable_methods = _READABLE_METHODS
        needs_package = True
    if odd or (form == "safetensors" and method not in readable_methods):
        name, dtype = odd[0] if odd else next((n, t.dtype) for n, t in tensors.items())
        formats = Listing(_READABLE_GGUF[3:])
        if needs_package:
            raise ModelUnavailableError(
                "weights {file} are quantised as {method} ({tensor} is {dtype}), which needs the"
                " package comfy-kitchen; run `pip install 'underpaint[comfy-kitchen]'`, or take the"
                " model in float32, bfloat16, float16 or fp8, or as GGUF in one of {formats}",
                file=file,
                method=method,
                tensor=name[:120],
                dtype=dtype,
                formats=formats,
            )
        raise ModelUnavailableError(
            "weights {file} are quantised as {method} ({tensor} is {dtype}), which is not supported"
            " yet; take the model in float32, bfloat16, float16 or fp8, or as GGUF in one of"
            " {formats}",
            file=file,
            method=method,
            tensor=name[:120],
            dtype=dtype,
            formats=formats,
        )


def check_shapes(model: Path, part: Part, config: dict[str, Any], tensors: Tensors) -> None:
    """Check that a part's weights are of the model that its config describes.

    Only the tensors at the ends of the part are looked at, which differ between families.

    Parameters
    ----------
    model : Path
        For errors.
    part : Part
        Of `resolve_files`.
    config : dict
        What its `config.json` holds.
    tensors : dict
        From `read_tensors`.

    Raises
    ------
    ModelUnavailableError
        Names the tensor, its shape, and the shape that the config asks for.
    """
    original = part.inside is not None and part.inside.layout == ORIGINAL
    weights = part.weights
    try:
        expected = list(_expect(part, config))
        depths = list(find_depths(part, config)) if part.inside is not None else []
        depths += _find_depths(part, config) if original else []
    except (TypeError, IndexError, KeyError) as error:
        raise ModelUnavailableError(
            "model {model} cannot be read: {name}/config.json holds values of the wrong kind"
            " ({error}); fetch it again",
            model=model,
            name=part.name,
            error=error,
        ) from None
    for ending, wanted in expected:
        endings = "|".join(map(re.escape, ending.split("|")))
        found = [name for name in tensors if re.search(rf"(^|\.)({endings})$", name)]
        if not found and part.inside is not None:
            raise _unlike(model, part, sentence("it has no {tensor}", tensor=ending))
        if not found:
            raise ModelUnavailableError(
                "model {model} cannot be opened: its {name} lacks {ending} ({weights}); fetch it"
                " again",
                model=model,
                name=part.name,
                ending=ending,
                weights=weights,
            )
        for name in found:
            shape = tensors[name].shape
            beginning = shape[: len(wanted)]
            if len(beginning) < len(wanted) or any(
                length not in (None, is_) for length, is_ in zip(wanted, beginning, strict=True)
            ):
                if part.inside is not None:
                    difference = sentence(
                        "its {tensor} has the shape {shape}, and {known} is known",
                        tensor=name,
                        shape=list(shape),
                        known=_shown(wanted),
                    )
                    raise _unlike(model, part, difference)
                raise ModelUnavailableError(
                    "model {model}: {weights} is not what {name}/config.json describes:"
                    " {other_name} has the shape {shape}, where {expected} is described; fetch both"
                    " from one model",
                    model=model,
                    weights=weights,
                    name=part.name,
                    other_name=name,
                    shape=list(shape),
                    expected=_shown(wanted),
                )

    for pattern, limit in depths:
        _check_depth(model, part, pattern, limit, tensors)


def _expect(part: Part, config: dict[str, Any]) -> Expected:
    """Yield how tensors of a part end in name and begin in shape, in the naming of its file."""
    original = part.inside is not None and part.inside.layout == ORIGINAL
    own = expected_in_file(part) or (None if original else EXPECTED.get(part.class_name))
    if own is not None:
        return own(config)
    return (_expected_originally if original else _expected)(part.name, config)


def _unlike(model: Path, part: Part, difference: Sentence) -> ModelUnavailableError:
    """Return the error for a file that does not have the architecture it seemed to have."""
    return ModelUnavailableError(
        "model {model}: the {name} in {weights} is of no architecture that Underpaint knows:"
        " {difference}. Name a folder in the diffusers format whose configs describe it in the"
        ' side-car file, as {{"config": "FOLDER"}}, or take another model',
        model=model,
        name=part.name,
        weights=part.weights,
        difference=difference,
    )


def _check_depth(
    model: Path, part: Part, pattern: re.Pattern[str], limit: int, tensors: Tensors
) -> None:
    """Check that a part has no more layers than its config says: they would be left out."""
    found = [match for name in tensors if (match := pattern.search(name))]
    deepest = max(found, key=lambda match: int(match[2]), default=None)
    if deepest is not None and int(deepest[2]) >= limit:
        difference = sentence(
            "it has {found} {layers}, and {most} are known",
            found=int(deepest[2]) + 1,
            layers=deepest[1],
            most=limit,
        )
        raise _unlike(model, part, difference)


def _find_depths(part: Part, config: dict[str, Any]) -> Iterator[tuple[re.Pattern[str], int]]:
    """Yield patterns that find the number of a layer, and how many are known."""
    layers = config.get("transformer_layers_per_block", 1)
    deepest = max(layers) if isinstance(layers, list) else layers
    limits: dict[str, int] = {}
    if part.name == "unet":
        blocks = len(config.get("block_out_channels", ())) * (_layers(config) + 1)
        limits = {"input_blocks": blocks, "output_blocks": blocks, "transformer_blocks": deepest}
    elif part.name == "vae":
        limits = {"encoder.down": len(config.get("block_out_channels", ()))}
    for name, limit in limits.items():
        yield re.compile(rf"(?:^|\.)({re.escape(name)})\.(\d+)\."), limit


def _layers(config: dict[str, Any]) -> int:
    return int(config.get("layers_per_block", 2))


def _shown(wanted: Wanted) -> str:
    lengths = ("any" if length is None else str(length) for length in wanted)
    return f"[{', '.join(lengths)}, ...]"


def _expected(part: str, config: dict[str, Any]) -> Iterator[tuple[str, Wanted]]:
    """Yield how tensors of a part end in name and begin in shape, as its config says."""
    if part == "unet":
        blocks = config.get("block_out_channels", (320, 640, 1280, 1280))
        yield "conv_in.weight", (blocks[0], config.get("in_channels", 4))
        yield "conv_out.weight", (config.get("out_channels", 4), blocks[0])
        yield f"down_blocks.{len(blocks) - 1}.resnets.0.conv1.weight", (blocks[-1],)
        yield f"up_blocks.{len(blocks) - 1}.resnets.0.conv1.weight", (blocks[0],)
        if isinstance(width := config.get("cross_attention_dim", 1280), int):
            for name in ("attn2.to_k.weight", "attn2.to_v.weight"):
                yield name, (None, width)
    elif part == "vae":
        blocks = config.get("block_out_channels", (64,))
        latent = config.get("latent_channels", 4)
        yield "encoder.conv_in.weight", (blocks[0], config.get("in_channels", 3))
        yield "encoder.conv_out.weight", (2 * latent, blocks[-1])
        yield "decoder.conv_in.weight", (blocks[-1], latent)
        yield "decoder.conv_out.weight", (config.get("out_channels", 3), blocks[0])
    else:
        width = config.get("hidden_size", 512)
        yield "embeddings.token_embedding.weight", (config.get("vocab_size", 49408), width)
        yield (
            "embeddings.position_embedding.weight",
            (config.get("max_position_embeddings", 77), width),
        )
        last = config.get("num_hidden_layers", 12) - 1
        yield f"encoder.layers.{last}.self_attn.q_proj.weight", (width, width)
        yield "final_layer_norm.weight", (width,)
        if part == "text_encoder_2":
            yield "text_projection.weight", (config.get("projection_dim", 512), width)


def _expected_originally(part: str, config: dict[str, Any]) -> Iterator[tuple[str, Wanted]]:
    """Yield the same for names that the model's authors chose."""
    if part == "unet":
        blocks = config["block_out_channels"]
        last = len(blocks) * (_layers(config) + 1) - 1
        yield "input_blocks.0.0.weight", (blocks[0], config.get("in_channels", 4))
        yield "out.2.weight", (config.get("out_channels", 4), blocks[0])
        yield f"input_blocks.{last}.0.in_layers.2.weight", (blocks[-1],)
        yield f"output_blocks.{last}.0.in_layers.2.weight", (blocks[0],)
        if isinstance(width := config.get("cross_attention_dim", 1280), int):
            for name in ("attn2.to_k.weight", "attn2.to_v.weight"):
                yield name, (None, width)
        if config.get("addition_embed_type") == "text_time":
            beside = config["projection_class_embeddings_input_dim"]
            yield "label_emb.0.0.weight", (4 * blocks[0], beside)
    elif part == "vae":
        yield from _expected(part, config)
        yield f"encoder.down.{len(config['block_out_channels']) - 1}.block.0.conv1.weight", ()
    else:
        width, last = config["hidden_size"], config["num_hidden_layers"] - 1
        yield "token_embedding.weight", (config.get("vocab_size", 49408), width)
        yield "positional_embedding", (config.get("max_position_embeddings", 77), width)
        yield f"transformer.resblocks.{last}.attn.in_proj_weight", (3 * width, width)
        yield "ln_final.weight", (width,)
        if part == "text_encoder_2":
            yield "text_projection", (width, config.get("projection_dim", 512))
