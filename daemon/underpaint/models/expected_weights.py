"""What the weights of each class in the flow-matching families must hold, as its config says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Expected = Iterator[tuple[str, tuple[int | None, ...]]]
"""How tensors end in name, and how their shapes begin; None is any length.

Of several endings, with `|` between, one must be there.
"""


def _sd3_weights(config: dict[str, Any]) -> Expected:
    width = config["num_attention_heads"] * config["attention_head_dim"]
    yield "pos_embed.proj.weight", (width, config["in_channels"])
    yield "context_embedder.weight", (config["caption_projection_dim"],)


def _packed_weights(name: str) -> Callable[[dict[str, Any]], Expected]:
    def expected(config: dict[str, Any]) -> Expected:
        width = config["num_attention_heads"] * config["attention_head_dim"]
        yield name, (width, config["in_channels"])

    return expected


def _z_image_weights(config: dict[str, Any]) -> Expected:
    yield "cap_embedder.1.weight", (config["dim"], config["cap_feat_dim"])


def _lumina2_weights(config: dict[str, Any]) -> Expected:
    patch = config["patch_size"] ** 2 * config["in_channels"]
    yield "x_embedder.weight", (config["hidden_size"], patch)


def _language_weights(config: dict[str, Any]) -> Expected:
    inner = config.get("text_config", config)
    yield "embed_tokens.weight", (inner["vocab_size"], inner["hidden_size"])


def _qwen_vae_weights(config: dict[str, Any]) -> Expected:
    yield "post_quant_conv.weight", (config["z_dim"], config["z_dim"])


def _t5_weights(config: dict[str, Any]) -> Expected:
    table = "shared.weight|encoder.embed_tokens.weight"
    yield table, (config["vocab_size"], config["d_model"])


EXPECTED: dict[str, Callable[[dict[str, Any]], Expected]] = {
    "SD3Transformer2DModel": _sd3_weights,
    "FluxTransformer2DModel": _packed_weights("x_embedder.weight"),
    "Flux2Transformer2DModel": _packed_weights("x_embedder.weight"),
    "ChromaTransformer2DModel": _packed_weights("x_embedder.weight"),
    "QwenImageTransformer2DModel": _packed_weights("img_in.weight"),
    "QwenImage21Transformer2DModel": _packed_weights("img_in.weight"),
    "Krea2Transformer2DModel": _packed_weights("img_in.weight"),
    "ZImageTransformer2DModel": _z_image_weights,
    "Lumina2Transformer2DModel": _lumina2_weights,
    "AutoencoderKLQwenImage": _qwen_vae_weights,
    "AutoencoderKLQwenImage21": _qwen_vae_weights,
    "T5EncoderModel": _t5_weights,
    "Qwen3Model": _language_weights,
    "Qwen3VLModel": _language_weights,
    "Qwen3VLForConditionalGeneration": _language_weights,
    "Qwen3ForCausalLM": _language_weights,
    "Qwen2_5_VLForConditionalGeneration": _language_weights,
    "Gemma2Model": _language_weights,
}
"""What the weights of a class must hold, as its config says; for other classes, see `weights`."""
