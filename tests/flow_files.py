"""Write models of the flow-matching families as files, with the names that their authors chose.

The rules are those of the files that model sites offer: Black Forest Labs', Stability's, Tongyi's
and Krea's transformers, Wan's autoencoder, and what comes before the names in a checkpoint of
ComfyUI's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from single_files import Tensors, original_vae
from underpaint.models.architectures import ARCHITECTURES, COMPONENTS, Architecture
from underpaint.models.model_index import find_family

Rules = tuple[tuple[str, str], ...]


def rename(tensors: Mapping[str, torch.Tensor], rules: Rules) -> Tensors:
    found = {}
    for name, tensor in tensors.items():
        new = name
        for old, by in rules:
            new = re.sub(old, by, new)
        found[new] = tensor
    return found


def join(tensors: Tensors, names: tuple[str, ...], by: str) -> Tensors:
    """Join tensors whose names differ in one word only, into one that is called by another."""
    found = dict(tensors)
    for name in tensors:
        if f".{names[0]}." in name:
            parts = [found.pop(name.replace(f".{names[0]}.", f".{one}.")) for one in names]
            found[name.replace(f".{names[0]}.", f".{by}.")] = torch.cat(parts)
    return found


def swap(tensors: Tensors, beginning: str) -> Tensors:
    """Exchange the halves of tensors: scale and shift."""
    return {
        name: torch.cat(tensor.chunk(2)[::-1]) if name.startswith(beginning) else tensor
        for name, tensor in tensors.items()
    }


FLUX_BLOCKS: Rules = (
    (r"^transformer_blocks\.", "double_blocks."),
    (r"attn\.norm_q\.weight", "img_attn.norm.query_norm.scale"),
    (r"attn\.norm_k\.weight", "img_attn.norm.key_norm.scale"),
    (r"attn\.norm_added_q\.weight", "txt_attn.norm.query_norm.scale"),
    (r"attn\.norm_added_k\.weight", "txt_attn.norm.key_norm.scale"),
    (r"attn\.to_out\.0\.", "img_attn.proj."),
    (r"attn\.to_add_out\.", "txt_attn.proj."),
    (r"attn\.img_qkv", "img_attn.qkv"),
    (r"attn\.txt_qkv", "txt_attn.qkv"),
    (r"^context_embedder", "txt_in"),
    (r"^x_embedder", "img_in"),
    (r"^proj_out", "final_layer.linear"),
    (r"^norm_out\.linear", "final_layer.adaLN_modulation.1"),
)
FLUX: Rules = (
    (r"\.ff\.net\.0\.proj", ".img_mlp.0"),
    (r"\.ff\.net\.2", ".img_mlp.2"),
    (r"\.ff_context\.net\.0\.proj", ".txt_mlp.0"),
    (r"\.ff_context\.net\.2", ".txt_mlp.2"),
    (r"^(transformer_blocks\.\d+)\.norm1\.linear", r"\1.img_mod.lin"),
    (r"^(transformer_blocks\.\d+)\.norm1_context\.linear", r"\1.txt_mod.lin"),
    (r"^time_text_embed\.timestep_embedder", "time_in"),
    (r"^time_text_embed\.text_embedder", "vector_in"),
    (r"^time_text_embed\.guidance_embedder", "guidance_in"),
    (r"^((?:time|vector|guidance)_in)\.linear_1", r"\1.in_layer"),
    (r"^((?:time|vector|guidance)_in)\.linear_2", r"\1.out_layer"),
    (r"^(distilled_guidance_layer\.layers\.\d+)\.linear_1", r"\1.in_layer"),
    (r"^(distilled_guidance_layer\.layers\.\d+)\.linear_2", r"\1.out_layer"),
    (r"^(distilled_guidance_layer\.norms\.\d+)\.weight", r"\1.scale"),
    (r"^single_transformer_blocks\.(\d+)\.norm\.linear", r"single_blocks.\1.modulation.lin"),
    (r"^single_transformer_blocks\.(\d+)\.attn\.norm_q\.weight",
     r"single_blocks.\1.norm.query_norm.scale"),
    (r"^single_transformer_blocks\.(\d+)\.attn\.norm_k\.weight",
     r"single_blocks.\1.norm.key_norm.scale"),
    (r"^single_transformer_blocks\.(\d+)\.proj_out", r"single_blocks.\1.linear2"),
    (r"^single_transformer_blocks\.(\d+)\.linear1", r"single_blocks.\1.linear1"),
)  # fmt: skip
FLUX2: Rules = (
    (r"\.ff\.linear_in", ".img_mlp.0"),
    (r"\.ff\.linear_out", ".img_mlp.2"),
    (r"\.ff_context\.linear_in", ".txt_mlp.0"),
    (r"\.ff_context\.linear_out", ".txt_mlp.2"),
    (r"^time_guidance_embed\.timestep_embedder\.linear_1", "time_in.in_layer"),
    (r"^time_guidance_embed\.timestep_embedder\.linear_2", "time_in.out_layer"),
    (r"_stream_modulation(_img|_txt|)\.linear", r"_stream_modulation\1.lin"),
    (r"^single_transformer_blocks\.(\d+)\.attn\.to_qkv_mlp_proj", r"single_blocks.\1.linear1"),
    (r"^single_transformer_blocks\.(\d+)\.attn\.to_out", r"single_blocks.\1.linear2"),
    (r"^single_transformer_blocks\.(\d+)\.attn\.norm_q\.weight",
     r"single_blocks.\1.norm.query_norm.scale"),
    (r"^single_transformer_blocks\.(\d+)\.attn\.norm_k\.weight",
     r"single_blocks.\1.norm.key_norm.scale"),
)  # fmt: skip
SD3: Rules = (
    (r"^transformer_blocks\.", "joint_blocks."),
    (r"\.attn\.img_qkv", ".x_block.attn.qkv"),
    (r"\.attn\.txt_qkv", ".context_block.attn.qkv"),
    (r"\.attn2\.img_qkv", ".x_block.attn2.qkv"),
    (r"\.attn\.to_out\.0", ".x_block.attn.proj"),
    (r"\.attn2\.to_out\.0", ".x_block.attn2.proj"),
    (r"\.attn\.to_add_out", ".context_block.attn.proj"),
    (r"\.(attn2?)\.norm_([qk])\.", r".x_block.\1.ln_\2."),
    (r"\.attn\.norm_added_([qk])\.", r".context_block.attn.ln_\1."),
    (r"\.norm1\.linear", ".x_block.adaLN_modulation.1"),
    (r"\.norm1_context\.linear", ".context_block.adaLN_modulation.1"),
    (r"\.ff\.net\.0\.proj", ".x_block.mlp.fc1"),
    (r"\.ff\.net\.2", ".x_block.mlp.fc2"),
    (r"\.ff_context\.net\.0\.proj", ".context_block.mlp.fc1"),
    (r"\.ff_context\.net\.2", ".context_block.mlp.fc2"),
    (r"^pos_embed\.pos_embed", "pos_embed"),
    (r"^pos_embed\.proj", "x_embedder.proj"),
    (r"^time_text_embed\.timestep_embedder\.linear_1", "t_embedder.mlp.0"),
    (r"^time_text_embed\.timestep_embedder\.linear_2", "t_embedder.mlp.2"),
    (r"^time_text_embed\.text_embedder\.linear_1", "y_embedder.mlp.0"),
    (r"^time_text_embed\.text_embedder\.linear_2", "y_embedder.mlp.2"),
    (r"^proj_out", "final_layer.linear"),
    (r"^norm_out\.linear", "final_layer.adaLN_modulation.1"),
)
Z_IMAGE: Rules = (
    (r"^all_final_layer\.2-1\.", "final_layer."),
    (r"^all_x_embedder\.2-1\.", "x_embedder."),
    (r"\.attention\.to_out\.0\.", ".attention.out."),
    (r"\.attention\.norm_([qk])\.", r".attention.\1_norm."),
)
LUMINA2: Rules = (
    (r"^time_caption_embed\.caption_embedder", "cap_embedder"),
    (r"^time_caption_embed\.timestep_embedder\.linear_1", "t_embedder.mlp.0"),
    (r"^time_caption_embed\.timestep_embedder\.linear_2", "t_embedder.mlp.2"),
    (r"^norm_out\.linear_1", "final_layer.adaLN_modulation.1"),
    (r"^norm_out\.linear_2", "final_layer.linear"),
    (r"^(context_refiner\.\d+)\.norm1\.", r"\1.attention_norm1."),
    (r"\.norm1\.norm", ".attention_norm1"),
    (r"\.norm1\.linear", ".adaLN_modulation.1"),
    (r"\.norm2\.", ".attention_norm2."),
    (r"\.attn\.", ".attention."),
    (r"\.to_out\.0\.", ".out."),
    (r"\.norm_([qk])\.", r".\1_norm."),
    (r"\.linear_([123])\.", r".w\1."),
    (r"^(final_layer)\.w2", r"\1.linear"),
)
KREA2: Rules = (
    (r"^img_in\.", "first."),
    (r"^time_embed\.linear_1\.", "tmlp.0."),
    (r"^time_embed\.linear_2\.", "tmlp.2."),
    (r"^time_mod_proj\.", "tproj.1."),
    (r"^txt_in\.norm\.weight", "txtmlp.0.scale"),
    (r"^txt_in\.linear_1\.", "txtmlp.1."),
    (r"^txt_in\.linear_2\.", "txtmlp.3."),
    (r"^text_fusion\.", "txtfusion."),
    (r"^transformer_blocks\.", "blocks."),
    (r"^final_layer\.linear\.", "last.linear."),
    (r"^final_layer\.norm\.weight", "last.norm.scale"),
    (r"^final_layer\.scale_shift_table", "last.modulation.lin"),
    (r"\.attn\.to_([qkv])\.", r".attn.w\1."),
    (r"\.attn\.to_out\.0\.", ".attn.wo."),
    (r"\.attn\.to_gate\.", ".attn.gate."),
    (r"\.attn\.norm_q\.weight", ".attn.qknorm.qnorm.scale"),
    (r"\.attn\.norm_k\.weight", ".attn.qknorm.knorm.scale"),
    (r"\.ff\.", ".mlp."),
    (r"\.norm1\.weight", ".prenorm.scale"),
    (r"\.norm2\.weight", ".postnorm.scale"),
    (r"(blocks\.\d+)\.scale_shift_table", r"\1.mod.lin"),
)
WAN_VAE: Rules = (
    (r"\.norm1\.", ".residual.0."),
    (r"\.conv1\.", ".residual.2."),
    (r"\.norm2\.", ".residual.3."),
    (r"\.conv2\.", ".residual.6."),
    (r"\.conv_shortcut\.", ".shortcut."),
    (r"\.mid_block\.resnets\.0\.", ".middle.0."),
    (r"\.mid_block\.attentions\.0\.", ".middle.1."),
    (r"\.mid_block\.resnets\.1\.", ".middle.2."),
    (r"\.norm_out\.", ".head.0."),
    (r"\.conv_out\.", ".head.2."),
    (r"\.conv_in\.", ".conv1."),
    (r"^quant_conv\.", "conv1."),
    (r"^post_quant_conv\.", "conv2."),
    (r"^encoder\.down_blocks\.", "encoder.downsamples."),
)


def original_flux(tensors: Tensors) -> Tensors:
    """Name a transformer of FLUX.1 or Chroma as their authors do."""
    found = dict(tensors)
    for name in tensors:
        if match := re.match(r"(single_transformer_blocks\.\d+)\.attn\.to_q\.(\w+)", name):
            block, kind = match.groups()
            names = [f"attn.to_{one}" for one in "qkv"] + ["proj_mlp"]
            parts = [found.pop(f"{block}.{one}.{kind}") for one in names]
            found[f"{block}.linear1.{kind}"] = torch.cat(parts)
    found = join(found, ("to_q", "to_k", "to_v"), "img_qkv")
    found = join(found, ("add_q_proj", "add_k_proj", "add_v_proj"), "txt_qkv")
    return swap(rename(found, FLUX + FLUX_BLOCKS), "final_layer.adaLN")


def original_flux2(tensors: Tensors) -> Tensors:
    found = join(tensors, ("to_q", "to_k", "to_v"), "img_qkv")
    found = join(found, ("add_q_proj", "add_k_proj", "add_v_proj"), "txt_qkv")
    return swap(rename(found, FLUX2 + FLUX_BLOCKS), "final_layer.adaLN")


def original_sd3(tensors: Tensors) -> Tensors:
    found = join(tensors, ("to_q", "to_k", "to_v"), "img_qkv")
    found = join(found, ("add_q_proj", "add_k_proj", "add_v_proj"), "txt_qkv")
    last = max(int(name.split(".")[1]) for name in found if name.startswith("transformer_blocks."))
    found = swap(rename(found, SD3), "final_layer.adaLN")
    return swap(found, f"joint_blocks.{last}.context_block.adaLN")


def original_z_image(tensors: Tensors) -> Tensors:
    return rename(join(tensors, ("to_q", "to_k", "to_v"), "qkv"), Z_IMAGE)


def original_lumina2(tensors: Tensors) -> Tensors:
    return rename(join(tensors, ("to_q", "to_k", "to_v"), "qkv"), LUMINA2)


def original_krea2(tensors: Tensors) -> Tensors:
    found = rename(tensors, KREA2)
    return {
        name: tensor.flatten() if re.match(r"blocks\.\d+\.mod\.lin", name) else tensor
        for name, tensor in found.items()
    }


def original_qwen_image_21(tensors: Tensors) -> Tensors:
    """Join gate and projection, as ComfyUI's files have them."""
    return join(tensors, ("gate_layer", "proj"), "gate_up")


def original_flux2_vae(tensors: Tensors, config: Mapping[str, Any]) -> Tensors:
    found = original_vae(tensors, config)
    return rename(found, ((r"^quant_", "encoder.quant_"), (r"^post_quant_", "decoder.post_quant_")))


def original_qwen_vae(tensors: Tensors, _config: Mapping[str, Any]) -> Tensors:
    """Name Qwen-Image's autoencoder as Wan's is named, which it was trained from."""

    def upper(name: str) -> str:
        return re.sub(
            r"^decoder\.up_blocks\.(\d)\.(resnets\.(\d)|upsamplers\.0)\.",
            lambda found: (
                f"decoder.upsamples.{4 * int(found[1]) + (int(found[3]) if found[3] else 3)}."
            ),
            name,
        )

    return rename({upper(name): tensor for name, tensor in tensors.items()}, WAN_VAE)


TRANSFORMERS: dict[str, Callable[[Tensors], Tensors]] = {
    "flux": original_flux,
    "chroma": original_flux,
    "flux2-klein": original_flux2,
    "sd3": original_sd3,
    "z-image": original_z_image,
    "lumina2": original_lumina2,
    "krea2": original_krea2,
    "qwen-image": dict,
    "qwen-image-2.1": original_qwen_image_21,
}
VAES: dict[str, Callable[[Tensors, Mapping[str, Any]], Tensors]] = {
    "AutoencoderKL": original_vae,
    "AutoencoderKLFlux2": original_flux2_vae,
    "AutoencoderKLQwenImage": original_qwen_vae,
    "AutoencoderKLQwenImage21": lambda tensors, _config: dict(tensors),
}

ENCODERS = {
    "clip_l": "clip_l", "clip_g": "clip_g", "t5xxl": "t5xxl", "qwen_3_4b": "qwen3_4b",
    "qwen_3_8b": "qwen3_8b", "qwen_2.5_vl_7b": "qwen25_7b", "qwen3vl_4b": "qwen3vl_4b",
    "qwen3vl_8b": "qwen3vl_8b",
    "gemma_2_2b": "gemma2_2b",
}  # fmt: skip
"""What ComfyUI calls the text encoders in a checkpoint."""


def read_weights(folder: Path, part: str) -> Tensors:
    found: Tensors = {}
    for file in sorted((folder / part).glob("*.safetensors")):
        found |= load_file(file)
    return found


def architecture_of(folder: Path) -> Architecture:
    """Return the first architecture of a folder's family: they differ in sizes alone."""
    family = find_family(json.loads((folder / "model_index.json").read_text()))
    return next(one for one in ARCHITECTURES if one.family == family)


def save_transformer(
    folder: Path, file: Path, *, original: bool = False, prefix: str = "", **said: Any
) -> Path:
    """Write a folder's transformer as a file, with a side-car that names the folder's configs."""
    tensors = read_weights(folder, "transformer")
    if original:
        tensors = TRANSFORMERS[architecture_of(folder).family](tensors)
    return save(file, {prefix + name: one for name, one in tensors.items()}, folder, **said)


def save(file: Path, tensors: Tensors, configs: Path, **said: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: one.contiguous() for name, one in tensors.items()}, file)
    beside = {"config": str(configs), "native": 64, **said}
    file.with_name(f"{file.stem}.underpaint.json").write_text(json.dumps(beside))
    return file


def save_parts(folder: Path, place: Path, *, without: Iterable[str] = ()) -> dict[str, Path]:
    """Write the other parts of a folder as files, as other tools call them."""
    place.mkdir(parents=True, exist_ok=True)
    files = {}
    for part, component in architecture_of(folder).parts.items():
        if part.startswith("tokenizer") or part in without or not (folder / part).is_dir():
            continue
        files[part] = place / f"{COMPONENTS[component].names[0]}.safetensors"
        save_file(read_weights(folder, part), files[part])
    return files


def save_checkpoint(folder: Path, file: Path, **said: Any) -> Path:
    """Write a folder as one checkpoint, as ComfyUI does."""
    architecture = architecture_of(folder)
    is_tiny = architecture.family in ("flux", "chroma", "lumina2")  # of which the width is fixed
    transformer = read_weights(folder, "transformer")
    if not is_tiny:
        transformer = TRANSFORMERS[architecture.family](transformer)
    tensors = {f"model.diffusion_model.{name}": one for name, one in transformer.items()}
    config = json.loads((folder / "vae" / "config.json").read_text())
    vae = VAES[config["_class_name"]](read_weights(folder, "vae"), config)
    tensors |= {f"vae.{name}": one for name, one in vae.items()}
    for part, component in architecture.parts.items():
        if part.startswith("text_encoder"):
            prefix = f"text_encoders.{ENCODERS[component]}.transformer."
            encoder = read_weights(folder, part)
            tensors |= {prefix + name: one for name, one in encoder.items()}
    return save(file, tensors, folder, **said)
