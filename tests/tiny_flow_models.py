"""Models of the flow-matching families with random weights, as `tiny_models` builds the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tiny_models import PARTS_SEED, byte_tokenizer, text_config

NATIVE = 64

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,.!?'-:;<>|_=\n"


def t5_tokenizer() -> Any:
    """A tokenizer of T5's class whose words are letters."""
    from transformers import T5TokenizerFast

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -1.0)]
    pieces += [(letter, -2.0) for letter in LETTERS]
    return T5TokenizerFast(vocab=pieces, extra_ids=0, model_max_length=512)


def t5_encoder(width: int = 32) -> Any:
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(
            vocab_size=128, d_model=width, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
            feed_forward_proj="gated-gelu", decoder_start_token_id=0,
        )
    )  # fmt: skip


def autoencoder(**changes: Any) -> Any:
    """An autoencoder of 16 channels, as most of these families have it."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        **{
            "block_out_channels": (8, 16, 16, 16),
            "down_block_types": ("DownEncoderBlock2D",) * 4,
            "up_block_types": ("UpDecoderBlock2D",) * 4,
            "latent_channels": 16,
            "norm_num_groups": 4,
            "sample_size": NATIVE,
            "scaling_factor": 1.5305,
            "shift_factor": 0.0609,
            "use_quant_conv": False,
            "use_post_quant_conv": False,
            **changes,
        }
    )


def scheduler(**changes: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**{"shift": 3.0, **changes})


def shifting(**changes: Any) -> Any:
    """A scheduler whose noise levels depend on the picture's size."""
    return scheduler(use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15, **changes)


def sd3(folder: Path) -> Any:
    from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline
    from transformers import CLIPTextModelWithProjection

    transformer = SD3Transformer2DModel(
        sample_size=32, patch_size=2, in_channels=16, num_layers=2, attention_head_dim=8,
        num_attention_heads=4, joint_attention_dim=64, caption_projection_dim=32,
        pooled_projection_dim=64, out_channels=16, pos_embed_max_size=96,
    )  # fmt: skip
    return StableDiffusion3Pipeline(
        transformer=transformer,
        vae=autoencoder(),
        scheduler=scheduler(),
        text_encoder=CLIPTextModelWithProjection(text_config(32, 32)),
        tokenizer=byte_tokenizer(folder / "tokenizer"),
        text_encoder_2=CLIPTextModelWithProjection(text_config(32, 32)),
        tokenizer_2=byte_tokenizer(folder / "tokenizer_2"),
        text_encoder_3=t5_encoder(64),
        tokenizer_3=t5_tokenizer(),
    )


BUILDERS: dict[str, Callable[[Path], Any]] = {
    "sd3": sd3,
}
"""What builds a model of each family, by the name of its folder."""


def build_flow_model(folder: Path, kind: str, seed: int = PARTS_SEED) -> Path:
    """Build a model folder and give its path.

    Parameters
    ----------
    folder : Path
        Where to; it may exist.
    kind : str
        A key of `BUILDERS`.
    seed : int
        Of the weights.
    """
    import torch

    torch.manual_seed(seed)
    pipeline = BUILDERS[kind](folder)
    enliven(getattr(pipeline, "transformer", None))
    pipeline.save_pretrained(folder)
    (folder / "underpaint.json").write_text(json.dumps({"native": NATIVE}), encoding="utf-8")
    return folder


def enliven(transformer: Any) -> None:
    """Give random values to what a transformer begins training with at 0: else it puts out 0."""
    import torch

    for weights in transformer.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights, std=0.05)
