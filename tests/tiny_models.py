"""Models with random weights, built on the spot: the real classes, files and code, in a second.

What they paint means nothing, but everything around it (files, sizes, steps, seeds, masks) is
exactly what a big model goes through. Runs as a program too::

    python tests/tiny_models.py FOLDER [--family sd|sdxl] [--native 64]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

PARTS_SEED = 7


def byte_tokenizer(folder: Path, length: int = 77) -> Any:
    """Make CLIP's tokenizer with bytes alone: 256, 256 that end a word, start and end."""
    from transformers import CLIPTokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    folder.mkdir(parents=True, exist_ok=True)
    symbols = list(bytes_to_unicode().values())
    words = [*symbols, *(f"{s}</w>" for s in symbols), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return CLIPTokenizer(
        vocab=str(folder / "vocab.json"),
        merges=str(folder / "merges.txt"),
        model_max_length=length,
    )


def text_config(hidden: int, projection: int) -> Any:
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=514,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        projection_dim=projection,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
    )


def build_model(
    folder: Path,
    family: str = "sd",
    native: int = 64,
    seed: int = PARTS_SEED,
    *,
    inpainting: bool = False,
) -> Path:
    """Build a model folder and give its path.

    Parameters
    ----------
    folder : Path
        Where to; it may exist.
    family : str
        `sd` or `sdxl`.
    native : int
        Its native side in pixels, a multiple of 8.
    seed : int
        Of the weights.
    inpainting : bool
        Whether it is shown what is kept, beside the noisy latents.
    """
    import torch
    from diffusers import (
        AutoencoderKL,
        EulerDiscreteScheduler,
        PNDMScheduler,
        StableDiffusionPipeline,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    torch.manual_seed(seed)
    hidden = 32
    xl = family == "sdxl"
    noise_levels = {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 1000,
        "steps_offset": 1,
        "clip_sample": False,
    }
    vae = AutoencoderKL(
        block_out_channels=(8, 16, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=native,
        scaling_factor=0.13025 if xl else 0.18215,
        force_upcast=xl,
    )
    extra: dict[str, Any] = {}
    if xl:
        extra = {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 6 * 8 + hidden,
            "transformer_layers_per_block": (1, 1),
        }
    unet = UNet2DConditionModel(
        sample_size=native // 8,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=2 * hidden if xl else hidden,
        attention_head_dim=8,
        norm_num_groups=8,
        in_channels=9 if inpainting else 4,
        **extra,
    )
    tokenizer = byte_tokenizer(folder / "tokenizer")
    parts: dict[str, Any] = {"vae": vae, "unet": unet, "tokenizer": tokenizer}
    if xl:
        pipeline = StableDiffusionXLPipeline(
            **parts,
            text_encoder=CLIPTextModel(text_config(hidden, hidden)),
            text_encoder_2=CLIPTextModelWithProjection(text_config(hidden, hidden)),
            tokenizer_2=tokenizer,
            scheduler=EulerDiscreteScheduler(
                **{k: v for k, v in noise_levels.items() if k != "clip_sample"}
            ),
        )
    else:
        pipeline = StableDiffusionPipeline(
            **parts,
            text_encoder=CLIPTextModel(text_config(hidden, hidden)),
            scheduler=PNDMScheduler(
                skip_prk_steps=True,
                **{k: v for k, v in noise_levels.items() if k != "clip_sample"},
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    pipeline.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--family", choices=("sd", "sdxl"), default="sd")
    parser.add_argument("--native", type=int, default=64)
    options = parser.parse_args()
    build_model(options.folder, options.family, options.native)
