"""How the tensors of a part are named in weight files, and how to recognise such a part.

Three namings are in use: the one of the library that opens the part (`LIBRARY`), the one of the
model's authors (`ORIGINAL`), and that of llama.cpp for text encoders in GGUF (`LLAMA_CPP`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from .expected_weights import Expected
from .files import LIBRARY, LLAMA_CPP, ORIGINAL, Inside, Part

_DENOISER = ("model.diffusion_model.", "diffusion_model.", "transformer.", "")
_VAE = ("first_stage_model.", "vae.", "")
_DEEP_CONVOLUTIONS = (
    (ORIGINAL, "encoder.down.0.block.0.conv1.weight"),
    (LIBRARY, "encoder.down_blocks.0.resnets.0.conv1.weight"),
)
_Q = "layers.0.self_attn.q_proj.weight"
_QUERIES = (
    (LIBRARY, f"model.language_model.{_Q}"),
    (LIBRARY, f"language_model.{_Q}"),
    (LIBRARY, f"model.{_Q}"),
    (LIBRARY, _Q),
    (LLAMA_CPP, "blk.0.attn_q.weight"),
)


def _encoder(*names: str) -> tuple[str, ...]:
    """Return the prefix of a text encoder's tensors in ComfyUI's checkpoints."""
    inside = (f"text_encoders.{name}.{end}" for name in names for end in ("transformer.", ""))
    return (*inside, "")


_Naming = tuple[tuple[str, ...], tuple[tuple[str, str], ...]]

_QWEN3: _Naming = (_encoder("qwen3_4b", "qwen3_8b"), _QUERIES)
_NAMINGS: dict[str, _Naming] = {
    "UNet2DConditionModel": (
        ("model.diffusion_model.", "diffusion_model.", "unet.", ""),
        ((ORIGINAL, "input_blocks.0.0.weight"), (LIBRARY, "time_embedding.linear_1.weight")),
    ),
    "FluxTransformer2DModel": (
        _DENOISER, ((ORIGINAL, "img_in.weight"), (LIBRARY, "x_embedder.weight"))
    ),
    "ChromaTransformer2DModel": (
        _DENOISER, ((ORIGINAL, "img_in.weight"), (LIBRARY, "x_embedder.weight"))
    ),
    "Flux2Transformer2DModel": (
        _DENOISER, ((ORIGINAL, "img_in.weight"), (LIBRARY, "x_embedder.weight"))
    ),
    "SD3Transformer2DModel": (
        _DENOISER, ((ORIGINAL, "x_embedder.proj.weight"), (LIBRARY, "pos_embed.proj.weight"))
    ),
    "ZImageTransformer2DModel": (
        _DENOISER, ((ORIGINAL, "x_embedder.weight"), (LIBRARY, "all_x_embedder.2-1.weight"))
    ),
    "Lumina2Transformer2DModel": (
        _DENOISER,
        ((ORIGINAL, "cap_embedder.1.weight"),
         (LIBRARY, "time_caption_embed.caption_embedder.1.weight")),
    ),
    "QwenImageTransformer2DModel": (_DENOISER, ((LIBRARY, "img_in.weight"),)),
    "QwenImage21Transformer2DModel": (
        _DENOISER,
        ((ORIGINAL, "transformer_blocks.0.img_mlp.gate_up.weight"), (LIBRARY, "img_in.weight")),
    ),
    "Krea2Transformer2DModel": (
        _DENOISER, ((ORIGINAL, "first.weight"), (LIBRARY, "img_in.weight"))
    ),
    "AutoencoderKL": (_VAE, _DEEP_CONVOLUTIONS),
    "AutoencoderKLFlux2": (_VAE, _DEEP_CONVOLUTIONS),
    "AutoencoderKLQwenImage": (
        _VAE,
        ((ORIGINAL, "encoder.downsamples.0.residual.0.gamma"),
         (LIBRARY, "encoder.down_blocks.0.norm1.gamma")),
    ),
    "AutoencoderKLQwenImage21": (
        _VAE, ((LIBRARY, "encoder.down_blocks.0.resnets.0.norm1.gamma"),)
    ),
    "T5EncoderModel": (
        _encoder("t5xxl"),
        ((LIBRARY, "encoder.block.0.layer.0.SelfAttention.q.weight"),
         (LLAMA_CPP, "enc.blk.0.attn_q.weight")),
    ),
    "Qwen3Model": _QWEN3,
    "Qwen3ForCausalLM": _QWEN3,
    "Qwen2_5_VLForConditionalGeneration": (_encoder("qwen25_7b"), _QUERIES),
    "Qwen3VLModel": (_encoder("qwen3vl_4b"), _QUERIES),
    "Qwen3VLForConditionalGeneration": (_encoder("qwen3vl_8b"), _QUERIES),
    "Gemma2Model": (_encoder("gemma2_2b"), _QUERIES),
}  # fmt: skip
"""The prefixes of a class's tensors, and a tensor by which each naming is recognised.

The last dimension of a text encoder's tensor is its width.
"""

_CLIP_PREFIXES = {
    "text_encoder": (
        "cond_stage_model.transformer.",
        "conditioner.embedders.0.transformer.",
        "text_encoders.clip_l.transformer.",
        "",
    ),
    "text_encoder_2": ("text_encoders.clip_g.transformer.", ""),
}
_OPEN_CLIP_PREFIXES = {
    "text_encoder": ("cond_stage_model.model.", ""),
    "text_encoder_2": ("conditioner.embedders.1.model.", ""),
}
_HIDDEN = "embeddings.token_embedding.weight"


def namings(part: Part) -> Iterator[tuple[Inside, str]]:
    """Yield how files name a part's tensors, and a tensor by which each naming is recognised."""
    prefixes, probes = _NAMINGS.get(part.class_name, ((), ()))
    for prefix in prefixes:
        for layout, probe in probes:
            yield Inside(prefix, layout), probe
    if part.class_name.startswith("CLIP"):  # a model may have two, told apart by prefix
        for prefix in _CLIP_PREFIXES.get(part.name, ()):
            yield Inside(prefix, LIBRARY), f"text_model.{_HIDDEN}"
            yield Inside(prefix, LIBRARY), _HIDDEN  # as other versions of it save it
        for prefix in _OPEN_CLIP_PREFIXES.get(part.name, ()):
            yield Inside(prefix, ORIGINAL), "token_embedding.weight"


def encoder_width(config: dict[str, Any]) -> Any:
    """Return how many numbers a text encoder gives for a token, as its config says."""
    inner = config.get("text_config", config)
    return inner.get("hidden_size", inner.get("d_model")) if isinstance(inner, dict) else None


# ---- what a file must hold ------------------------------------------------------------------


def _width(config: dict[str, Any]) -> int:
    return int(config["num_attention_heads"] * config["attention_head_dim"])


def _flux(config: dict[str, Any]) -> Expected:
    width = _width(config)
    yield "img_in.weight", (width, config["in_channels"])
    yield "txt_in.weight", (width, config["joint_attention_dim"])
    yield f"double_blocks.{config['num_layers'] - 1}.img_attn.qkv.weight", (3 * width, width)
    yield f"single_blocks.{config['num_single_layers'] - 1}.linear2.weight", (width,)


def _sd3(config: dict[str, Any]) -> Expected:
    width = _width(config)
    text = config["joint_attention_dim"]
    yield "x_embedder.proj.weight", (width, config["in_channels"])
    yield "context_embedder.weight", (config["caption_projection_dim"], text)
    yield f"joint_blocks.{config['num_layers'] - 1}.x_block.attn.qkv.weight", (3 * width, width)


def _z_image(config: dict[str, Any]) -> Expected:
    width = config["dim"]
    yield "cap_embedder.1.weight", (width, config["cap_feat_dim"])
    yield f"layers.{config['n_layers'] - 1}.attention.qkv.weight", (3 * width, width)


def _lumina2(config: dict[str, Any]) -> Expected:
    width = config["hidden_size"]
    yield "x_embedder.weight", (width, config["patch_size"] ** 2 * config["in_channels"])
    yield "cap_embedder.1.weight", (width, config["cap_feat_dim"])
    yield f"layers.{config['num_layers'] - 1}.attention.qkv.weight", (None, width)


def _qwen_image_21(config: dict[str, Any]) -> Expected:
    width = _width(config)
    yield "img_in.weight", (width, config["in_channels"])
    yield "txt_in.in_layer.weight", (width, config["context_in_dim"])
    last = f"transformer_blocks.{config['num_layers'] - 1}.img_mlp.gate_up.weight"
    yield last, (2 * config["mlp_ratio"] * width, width)


def _krea2(config: dict[str, Any]) -> Expected:
    width = _width(config)
    yield "first.weight", (width, config["in_channels"])
    yield "txtmlp.1.weight", (width, config["text_hidden_dim"])
    yield f"blocks.{config['num_layers'] - 1}.attn.wq.weight", (width, width)


def _qwen_vae(config: dict[str, Any]) -> Expected:
    yield "conv2.weight", (config["z_dim"], config["z_dim"])
    yield "decoder.conv1.weight", (config["base_dim"] * config["dim_mult"][-1], config["z_dim"])


def _t5_in_gguf(config: dict[str, Any]) -> Expected:
    inner = config["num_heads"] * config["d_kv"]
    yield "token_embd.weight", (config["vocab_size"], config["d_model"])
    yield f"enc.blk.{config['num_layers'] - 1}.attn_q.weight", (inner, config["d_model"])


def _language_in_gguf(config: dict[str, Any]) -> Expected:
    inner = config.get("text_config", config)
    yield "token_embd.weight", (inner["vocab_size"], inner["hidden_size"])
    yield f"blk.{inner['num_hidden_layers'] - 1}.attn_q.weight", (None, inner["hidden_size"])


_EXPECTED: dict[tuple[str, str], Callable[[dict[str, Any]], Expected]] = {
    (ORIGINAL, "FluxTransformer2DModel"): _flux,
    (ORIGINAL, "ChromaTransformer2DModel"): _flux,
    (ORIGINAL, "Flux2Transformer2DModel"): _flux,
    (ORIGINAL, "SD3Transformer2DModel"): _sd3,
    (ORIGINAL, "ZImageTransformer2DModel"): _z_image,
    (ORIGINAL, "Lumina2Transformer2DModel"): _lumina2,
    (ORIGINAL, "QwenImage21Transformer2DModel"): _qwen_image_21,
    (ORIGINAL, "Krea2Transformer2DModel"): _krea2,
    (ORIGINAL, "AutoencoderKLQwenImage"): _qwen_vae,
    (LLAMA_CPP, "T5EncoderModel"): _t5_in_gguf,
    (LLAMA_CPP, "Qwen3Model"): _language_in_gguf,
    (LLAMA_CPP, "Qwen3ForCausalLM"): _language_in_gguf,
    (LLAMA_CPP, "Qwen2_5_VLForConditionalGeneration"): _language_in_gguf,
    (LLAMA_CPP, "Qwen3VLModel"): _language_in_gguf,
    (LLAMA_CPP, "Qwen3VLForConditionalGeneration"): _language_in_gguf,
    (LLAMA_CPP, "Gemma2Model"): _language_in_gguf,
}


def expected_in_file(part: Part) -> Callable[[dict[str, Any]], Expected] | None:
    """Return what a part's weights must hold in a naming that is not its library's own.

    None if nothing is known about that class.
    """
    layout = part.inside.layout if part.inside is not None else LIBRARY
    return _EXPECTED.get((layout, part.class_name))


_DEPTHS = {
    "FluxTransformer2DModel": (
        (r"(double_blocks|transformer_blocks)", "num_layers"),
        (r"(single_blocks|single_transformer_blocks)", "num_single_layers"),
    ),
    "SD3Transformer2DModel": ((r"(joint_blocks|transformer_blocks)", "num_layers"),),
    "ZImageTransformer2DModel": ((r"(layers)", "n_layers"),),
    "Lumina2Transformer2DModel": ((r"(layers)", "num_layers"),),
    "QwenImageTransformer2DModel": ((r"(transformer_blocks)", "num_layers"),),
    "QwenImage21Transformer2DModel": ((r"(transformer_blocks)", "num_layers"),),
    "Krea2Transformer2DModel": ((r"(blocks|transformer_blocks)", "num_layers"),),
    "T5EncoderModel": ((r"(encoder\.block|enc\.blk)", "num_layers"),),
}
_DEPTHS["ChromaTransformer2DModel"] = _DEPTHS["FluxTransformer2DModel"]
_DEPTHS["Flux2Transformer2DModel"] = _DEPTHS["FluxTransformer2DModel"]
"""How the layers of a class are called, where its tensors' names begin, and what counts them."""


def find_depths(part: Part, config: dict[str, Any]) -> Iterator[tuple[re.Pattern[str], int]]:
    """Yield patterns that find the number of a layer, as their last group, and how many are known.

    Layers beyond those of the config would be left out without an error.
    """
    for names, key in _DEPTHS.get(part.class_name, ()):
        yield re.compile(rf"^{names}\.(\d+)\."), int(config[key])
