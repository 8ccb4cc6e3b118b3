"""What the headers of weight files say, held against the configs beside them. No tensor is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from underpaint_client.errors import ModelUnavailableError

from .families import EXPECTED
from .files import Part, read_weight_map

Wanted = tuple[int | None, ...]
"""How a shape begins; None is any length."""

Shapes = dict[str, tuple[int, ...]]
"""The shape of each tensor of a part, by name."""

_INTEGERS = ("I", "U", "BOOL")

_COUNTS = ("position_ids", "num_batches_tracked")
"""How tensors end in name that are integers in any model."""


def read_shapes(model: Path, part: Part) -> Shapes:
    """Read the headers of a part's weights.

    Raises
    ------
    ModelUnavailableError
        A file is damaged, cut short or quantised, or its shards are not what their index says.
    """
    shapes: Shapes = {}
    shards: dict[str, str] = {}
    for file in part.files:
        if file.is_weights:
            found = _read_header(model / file.path)
            shapes.update(found)
            shards.update(dict.fromkeys(found, file.opened_as))
    for file in part.files:
        if file.is_index:
            for name, shard in read_weight_map(model, file.path).items():
                if shards.get(name) != shard:
                    raise ModelUnavailableError(
                        f"model {model}: {file.path} says that {name[:120]} is in {shard}, and"
                        " it is not; fetch the index and its shards again, all of one model"
                    )
    return shapes


def _read_header(file: Path) -> Shapes:
    """Return the shapes in a file whose header says how long it must be, and which is that long."""
    shapes: Shapes = {}
    try:
        with safe_open(file, framework="np") as opened:
            for name in opened.keys():  # noqa: SIM118 - it is no dict
                tensor = opened.get_slice(name)
                if tensor.get_dtype().startswith(_INTEGERS) and not name.endswith(_COUNTS):
                    raise ModelUnavailableError(
                        f"weights {file} are quantised ({name} is {tensor.get_dtype()}), which is"
                        " not supported yet; take the model in float32, bfloat16 or float16"
                    )
                shapes[name] = tuple(tensor.get_shape())
    except (SafetensorError, OSError) as error:
        raise ModelUnavailableError(
            f"weights {file} are damaged or cut short ({error}); fetch them again"
        ) from None
    return shapes


def check_shapes(model: Path, part: Part, config: dict[str, Any], shapes: Shapes) -> None:
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
    shapes : dict
        From `read_shapes`.

    Raises
    ------
    ModelUnavailableError
        Names the tensor, its shape, and the shape that the config asks for.
    """
    weights = next(file.path for file in part.files if file.is_weights)
    try:
        own = EXPECTED.get(part.class_name)
        expected = list(own(config) if own else _expected(part.name, config))
    except (TypeError, IndexError, KeyError) as error:
        raise ModelUnavailableError(
            f"model {model} cannot be read: {part.name}/config.json holds values of the wrong kind"
            f" ({error}); fetch it again"
        ) from None
    for ending, wanted in expected:
        found = [name for name in shapes if re.search(rf"(^|\.){re.escape(ending)}$", name)]
        if not found:
            raise ModelUnavailableError(
                f"model {model} cannot be opened: its {part.name} lacks {ending} ({weights});"
                " fetch it again"
            )
        for name in found:
            shape = shapes[name]
            beginning = shape[: len(wanted)]
            if len(beginning) < len(wanted) or any(
                length not in (None, is_) for length, is_ in zip(wanted, beginning, strict=True)
            ):
                raise ModelUnavailableError(
                    f"model {model}: {weights} is not what {part.name}/config.json describes:"
                    f" {name} has the shape {list(shape)}, where {_shown(wanted)} is described;"
                    " fetch both from one model"
                )


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
