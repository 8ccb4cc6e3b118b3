"""Write a model folder as one file, with the names that its authors gave to the tensors.

The rules are those of the files that model sites offer: Stable Diffusion's own UNet and autoencoder
(CompVis), CLIP as transformers has it, and OpenCLIP.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

Tensors = dict[str, torch.Tensor]

RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}
VAE = (
    (r"mid_block\.attentions\.0", "mid.attn_1"),
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"down_blocks\.(\d+)\.resnets", r"down.\1.block"),
    (r"down_blocks\.(\d+)\.downsamplers\.0", r"down.\1.downsample"),
    (r"conv_shortcut", "nin_shortcut"),
    (r"conv_norm_out", "norm_out"),
    (r"group_norm", "norm"),
    (r"to_([qkv])\.", r"\1."),
    (r"to_out\.0", "proj_out"),
)
OPEN_CLIP = (
    (r"^embeddings\.token_embedding\.", "token_embedding."),
    (r"^embeddings\.position_embedding\.weight", "positional_embedding"),
    (r"^encoder\.layers\.", "transformer.resblocks."),
    (r"layer_norm(\d)", r"ln_\1"),
    (r"mlp\.fc1", "mlp.c_fc"),
    (r"mlp\.fc2", "mlp.c_proj"),
    (r"self_attn\.out_proj", "attn.out_proj"),
    (r"^final_layer_norm", "ln_final"),
)


def original_unet(tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> Tensors:
    """Rename a UNet's tensors."""
    layers = config["layers_per_block"]

    def rename(name: str) -> str:
        for start, new in UNET.items():
            if name.startswith(f"{start}."):
                return new + within(name.removeprefix(start))
        found = re.match(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)(.*)", name)
        assert found, name
        way, block, kind, number, rest = found.groups()
        first = int(block) * (layers + 1)
        if kind == "downsamplers":
            return f"input_blocks.{first + layers + 1}.0.op{rest.removeprefix('.conv')}"
        if kind == "upsamplers":
            attends = any(one.startswith(f"up_blocks.{block}.attentions") for one in tensors)
            return f"output_blocks.{first + layers}.{2 if attends else 1}{rest}"
        place = first + int(number)
        blocks = f"input_blocks.{1 + place}" if way == "down" else f"output_blocks.{place}"
        return f"{blocks}.{0 if kind == 'resnets' else 1}{within(rest)}"

    def within(rest: str) -> str:
        for old, new in RESNET.items():
            if rest.startswith(f".{old}."):
                return f".{new}{rest.removeprefix(f'.{old}')}"
        return rest

    return {rename(name): tensor for name, tensor in tensors.items()}


def original_vae(tensors: Mapping[str, torch.Tensor], config: Mapping[str, Any]) -> Tensors:
    """Rename an autoencoder's tensors; its attention was made of convolutions."""
    last = len(config["block_out_channels"]) - 1
    found: Tensors = {}
    for name, tensor in tensors.items():
        new = re.sub(
            r"up_blocks\.(\d+)\.(resnets|upsamplers\.0)",
            lambda match: (
                f"up.{last - int(match[1])}."
                + {"resnets": "block", "upsamplers.0": "upsample"}[match[2]]
            ),
            name,
        )
        for old, by in VAE:
            new = re.sub(old, by, new)
        linear = "attn_1" in new and new.endswith("weight") and tensor.ndim == 2
        found[new] = tensor[:, :, None, None].contiguous() if linear else tensor
    return found


def original_open_clip(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """Rename a text encoder's tensors to OpenCLIP's, which keeps three projections in one."""
    found: Tensors = {}
    for name, tensor in plain(tensors).items():
        if name == "text_projection.weight":
            found["text_projection"] = tensor.T.contiguous()
            continue
        new = name
        for old, by in OPEN_CLIP:
            new = re.sub(old, by, new)
        if match := re.fullmatch(r"(.*)self_attn\.q_proj\.(weight|bias)", new):
            all_three = [plain(tensors)[name.replace("q_proj", f"{one}_proj")] for one in "qkv"]
            found[f"{match[1]}attn.in_proj_{match[2]}"] = torch.cat(all_three)
        elif "_proj." not in new or "out_proj" in new or "c_proj" in new:
            found[new] = tensor
    return found


def plain(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    return {name.removeprefix("text_model."): tensor for name, tensor in tensors.items()}


def clip(tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """Name a text encoder's tensors as transformers did when the files were made."""
    found = {
        name if name.startswith("text_projection") else f"text_model.{name}": tensor
        for name, tensor in plain(tensors).items()
    }
    positions = found["text_model.embeddings.position_embedding.weight"].shape[0]
    return {**found, "text_model.embeddings.position_ids": torch.arange(positions)[None]}


def read_part(folder: Path, part: str) -> tuple[Tensors, dict[str, Any]]:
    (file,) = (folder / part).glob("*.safetensors")
    return load_file(file), json.loads((folder / part / "config.json").read_text())


def checkpoint_parts(folder: Path) -> dict[str, Tensors]:
    """Return the tensors of each part of a model folder, by their names in one file."""
    xl = (folder / "text_encoder_2").is_dir()
    parts = {
        "unet": ("model.diffusion_model.", original_unet(*read_part(folder, "unet"))),
        "vae": ("first_stage_model.", original_vae(*read_part(folder, "vae"))),
    }
    first, config = read_part(folder, "text_encoder")
    if xl:
        second = original_open_clip(read_part(folder, "text_encoder_2")[0])
        parts["text_encoder"] = ("conditioner.embedders.0.transformer.", clip(first))
        parts["text_encoder_2"] = ("conditioner.embedders.1.model.", second)
    elif config["hidden_act"] == "gelu":
        parts["text_encoder"] = ("cond_stage_model.model.", original_open_clip(first))
    else:
        parts["text_encoder"] = ("cond_stage_model.transformer.", clip(first))
    return {
        part: {prefix + name: tensor for name, tensor in tensors.items()}
        for part, (prefix, tensors) in parts.items()
    }


def save_checkpoint(
    folder: Path,
    file: Path,
    *,
    without: tuple[str, ...] = (),
    change: Callable[[Tensors], Tensors] = lambda tensors: tensors,
    metadata: dict[str, str] | None = None,
    describe: bool = True,
    **said: Any,
) -> Path:
    """Write a model folder as one file.

    Parameters
    ----------
    folder : Path
        In the diffusers format.
    file : Path
        Where to.
    without : tuple of str
        Parts to leave out.
    change : callable
        Changes the tensors before they are written.
    metadata : dict, optional
        Of the file's header.
    describe : bool
        Whether a side-car file names the folder's configs, which are of no size that is known.
    **said
        What else the side-car file says.
    """
    parts = checkpoint_parts(folder)
    tensors = {
        name: tensor
        for part, own in parts.items()
        if part not in without
        for name, tensor in own.items()
    }
    save_file({n: t.contiguous() for n, t in change(tensors).items()}, file, metadata)
    if describe:
        said = {"config": str(folder), **said}
    if said:
        file.with_name(f"{file.stem}.underpaint.json").write_text(json.dumps(said))
    return file


def save_gguf(file: Path, tensors: Tensors, quantise: Callable[[str, torch.Tensor], str]) -> Path:
    """Write tensors as GGUF.

    Parameters
    ----------
    file : Path
        Where to.
    tensors : dict
        By name.
    quantise : callable
        Tells the type of each tensor. Those whose rows do not fill blocks are joined, and their
        shape is noted, as converters do it.
    """
    import gguf

    writer = gguf.GGUFWriter(file, "sd1")
    for name, tensor in tensors.items():
        kind = gguf.GGMLQuantizationType[quantise(name, tensor)]
        values = tensor.float().numpy()
        if values.shape[-1:] and values.shape[-1] % gguf.GGML_QUANT_SIZES[kind][0]:
            writer.add_array(f"comfy.gguf.orig_shape.{name}", list(values.shape))
            values = values.reshape(-1, gguf.GGML_QUANT_SIZES[kind][0])
        data = gguf.quants.quantize(values, kind)
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file
