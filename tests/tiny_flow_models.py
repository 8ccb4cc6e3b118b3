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


def qwen_tokenizer(*more: str) -> Any:
    """Qwen's tokenizer with bytes alone, and its chat template's form."""
    from transformers import Qwen2Tokenizer
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    words = [*bytes_to_unicode().values(), "<|endoftext|>", "<|im_start|>", "<|im_end|>", *more]
    tokenizer = Qwen2Tokenizer(vocab={word: number for number, word in enumerate(words)})
    tokenizer.add_tokens(list(more), special_tokens=True)
    tokenizer.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}"
        "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    return tokenizer


def gemma_tokenizer() -> Any:
    """Gemma's tokenizer with letters and bytes alone."""
    from transformers import GemmaTokenizer

    words = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "▁", *LETTERS]
    words += [f"<0x{byte:02X}>" for byte in range(256)]
    return GemmaTokenizer(vocab={word: number for number, word in enumerate(words)})


def qwen3(layers: int, width: int = 16, *, head: bool = False) -> Any:
    from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3Model

    config = Qwen3Config(
        vocab_size=320, hidden_size=width, intermediate_size=32, num_hidden_layers=layers,
        num_attention_heads=2, num_key_value_heads=1, head_dim=8, max_position_embeddings=1024,
        tie_word_embeddings=True,
    )  # fmt: skip
    return Qwen3ForCausalLM(config) if head else Qwen3Model(config)


def flux_transformer(**changes: Any) -> Any:
    from diffusers import FluxTransformer2DModel

    return FluxTransformer2DModel(
        **{
            "in_channels": 64, "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16,
            "num_attention_heads": 2, "joint_attention_dim": 32, "pooled_projection_dim": 32,
            "axes_dims_rope": (4, 6, 6), **changes,
        }
    )  # fmt: skip


def flux(folder: Path, *, guidance: bool = True) -> Any:
    from diffusers import FluxPipeline
    from transformers import CLIPTextModel

    return FluxPipeline(
        transformer=flux_transformer(guidance_embeds=guidance),
        vae=autoencoder(scaling_factor=0.3611, shift_factor=0.1159),
        scheduler=shifting() if guidance else scheduler(shift=1.0),
        text_encoder=CLIPTextModel(text_config(32, 32)),
        tokenizer=byte_tokenizer(folder / "tokenizer"),
        text_encoder_2=t5_encoder(32),
        tokenizer_2=t5_tokenizer(),
    )


def schnell(folder: Path) -> Any:
    return flux(folder, guidance=False)


def fill(folder: Path) -> Any:
    """A model for inpainting: beside noisy latents it takes 64 channels of the kept and 256 of the
    mask."""
    from diffusers import FluxFillPipeline

    plain = flux(folder).components
    parts = {
        name: plain[name] for name in plain if name not in ("image_encoder", "feature_extractor")
    }
    parts["transformer"] = flux_transformer(guidance_embeds=True, in_channels=384, out_channels=64)
    return FluxFillPipeline(**parts)


def z_image(_folder: Path) -> Any:
    from diffusers import ZImagePipeline, ZImageTransformer2DModel

    transformer = ZImageTransformer2DModel(
        in_channels=16, dim=32, n_layers=2, n_refiner_layers=1, n_heads=2, n_kv_heads=2,
        cap_feat_dim=16, axes_dims=[4, 6, 6], axes_lens=[1024, 64, 64],
    )  # fmt: skip
    return ZImagePipeline(
        transformer=transformer,
        vae=autoencoder(scaling_factor=0.3611, shift_factor=0.1159),
        scheduler=scheduler(),
        text_encoder=qwen3(2),
        tokenizer=qwen_tokenizer(),
    )


def klein(_folder: Path, *, is_distilled: bool = True) -> Any:
    import torch
    from diffusers import AutoencoderKLFlux2, Flux2KleinPipeline, Flux2Transformer2DModel

    transformer = Flux2Transformer2DModel(
        patch_size=1, in_channels=32, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=3 * 16, axes_dims_rope=(4, 4, 4, 4),
        timestep_guidance_channels=32, guidance_embeds=False,
    )  # fmt: skip
    vae = AutoencoderKLFlux2(
        block_out_channels=(8, 16, 16, 16), latent_channels=8, norm_num_groups=4, sample_size=64
    )
    torch.nn.init.uniform_(vae.bn.running_mean, -0.5, 0.5)
    torch.nn.init.uniform_(vae.bn.running_var, 0.5, 2.0)
    return Flux2KleinPipeline(
        transformer=transformer,
        vae=vae,
        scheduler=shifting(),
        text_encoder=qwen3(28, head=True),
        tokenizer=qwen_tokenizer(),
        is_distilled=is_distilled,
    )


def klein_base(folder: Path) -> Any:
    return klein(folder, is_distilled=False)


def qwen_image(_folder: Path) -> Any:
    from diffusers import (
        AutoencoderKLQwenImage,
        QwenImagePipeline,
        QwenImageTransformer2DModel,
    )
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    transformer = QwenImageTransformer2DModel(
        in_channels=64, out_channels=16, num_layers=2, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=16, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip
    encoder = Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(
            text_config={
                "vocab_size": 320, "hidden_size": 16, "intermediate_size": 32,
                "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
                "rope_scaling": {"mrope_section": [1, 1, 2], "type": "default",
                                 "rope_type": "default"},
            },
            vision_config={
                "depth": 1, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2,
                "out_hidden_size": 16, "fullatt_block_indexes": [0],
            },
            image_token_id=300, video_token_id=301, vision_start_token_id=302,
            vision_end_token_id=303,
        )
    )  # fmt: skip
    return QwenImagePipeline(
        transformer=transformer,
        vae=AutoencoderKLQwenImage(base_dim=8, z_dim=16, num_res_blocks=1),
        scheduler=shifting(shift_terminal=0.02),
        text_encoder=encoder,
        tokenizer=qwen_tokenizer(),
    )


def qwen_image_21(_folder: Path, *, sample_sigmas: list[float] | None = None) -> Any:
    """A model whose autoencoder has four channels, RGBA, and cells of 16 pixels."""
    import torch
    from diffusers import (
        AutoencoderKLQwenImage21,
        QwenImage21Pipeline,
        QwenImage21Transformer2DModel,
    )
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    from underpaint.engine.text_processor import TextProcessor

    transformer = QwenImage21Transformer2DModel(
        in_channels=8, out_channels=8, num_layers=2, attention_head_dim=16, num_attention_heads=2,
        context_in_dim=16, mlp_ratio=2, axes_dims_rope=(4, 6, 6),
    )  # fmt: skip
    encoder = Qwen3VLForConditionalGeneration(
        Qwen3VLConfig(
            text_config={
                "vocab_size": 320, "hidden_size": 16, "intermediate_size": 32,
                "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
                "head_dim": 8, "max_position_embeddings": 8192,
                "rope_parameters": {"mrope_section": [2, 1, 1], "mrope_interleaved": True,
                                    "rope_type": "default", "rope_theta": 10000.0},
            },
            vision_config={
                "depth": 1, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2,
                "out_hidden_size": 16, "deepstack_visual_indexes": [0],
                "num_position_embeddings": 16,
            },
            image_token_id=300, video_token_id=301, vision_start_token_id=302,
            vision_end_token_id=303, tie_word_embeddings=False,
        )
    )  # fmt: skip
    with torch.no_grad():  # a trained one is not all ones, as its last norm must not count
        encoder.model.language_model.norm.weight.uniform_(0.5, 2.0)
    vae = AutoencoderKLQwenImage21(
        base_dim=8, decoder_base_dim=8, z_dim=8, dim_mult=[1, 1, 1, 1, 1], num_res_blocks=1,
        latents_mean=[0.1 * n for n in range(8)], latents_std=[1.0 + 0.1 * n for n in range(8)],
    )  # fmt: skip
    return QwenImage21Pipeline(
        transformer=transformer,
        vae=vae,
        scheduler=shifting(shift_terminal=0.02, max_image_seq_len=8192),
        text_encoder=encoder,
        processor=TextProcessor(qwen_tokenizer("<|image_pad|>")),
        sample_sigmas=sample_sigmas,
    )


def chroma(_folder: Path) -> Any:
    from diffusers import ChromaPipeline, ChromaTransformer2DModel

    transformer = ChromaTransformer2DModel(
        in_channels=64, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=32, axes_dims_rope=(4, 6, 6),
        approximator_num_channels=64, approximator_hidden_dim=32, approximator_layers=1,
    )  # fmt: skip
    return ChromaPipeline(
        transformer=transformer,
        vae=autoencoder(scaling_factor=0.3611, shift_factor=0.1159),
        scheduler=scheduler(shift=1.0),
        text_encoder=t5_encoder(32),
        tokenizer=t5_tokenizer(),
    )


def lumina2(_folder: Path) -> Any:
    from diffusers import Lumina2Pipeline, Lumina2Transformer2DModel
    from transformers import Gemma2Config, Gemma2Model

    transformer = Lumina2Transformer2DModel(
        sample_size=16, in_channels=16, hidden_size=24, num_layers=2, num_refiner_layers=1,
        num_attention_heads=3, num_kv_heads=1, multiple_of=2, axes_dim_rope=(4, 2, 2),
        axes_lens=(300, 64, 64), cap_feat_dim=16,
    )  # fmt: skip
    encoder = Gemma2Model(
        Gemma2Config(
            vocab_size=352, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
            num_attention_heads=2, num_key_value_heads=1, head_dim=8,
        )
    )  # fmt: skip
    return Lumina2Pipeline(
        transformer=transformer,
        vae=autoencoder(scaling_factor=0.3611, shift_factor=0.1159),
        scheduler=scheduler(shift=6.0),
        text_encoder=encoder,
        tokenizer=gemma_tokenizer(),
    )


def krea2(_folder: Path, *, is_distilled: bool = True) -> Any:
    from diffusers import AutoencoderKLQwenImage, Krea2Pipeline, Krea2Transformer2DModel
    from transformers import Qwen3VLConfig, Qwen3VLModel

    transformer = Krea2Transformer2DModel(
        in_channels=64, num_layers=2, attention_head_dim=16, num_attention_heads=2,
        num_key_value_heads=1, intermediate_size=32, timestep_embed_dim=32, text_hidden_dim=16,
        num_text_layers=2, text_num_attention_heads=2, text_num_key_value_heads=1,
        text_intermediate_size=32, num_layerwise_text_blocks=1, num_refiner_text_blocks=1,
        axes_dims_rope=(4, 6, 6),
    )  # fmt: skip
    encoder = Qwen3VLModel(
        Qwen3VLConfig(
            text_config={
                "vocab_size": 320, "hidden_size": 16, "intermediate_size": 32,
                "num_hidden_layers": 3, "num_attention_heads": 2, "num_key_value_heads": 1,
                "head_dim": 8,
                "rope_parameters": {"mrope_section": [2, 1, 1], "mrope_interleaved": True,
                                    "rope_type": "default", "rope_theta": 10000.0},
            },
            vision_config={
                "depth": 1, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2,
                "out_hidden_size": 16, "deepstack_visual_indexes": [0],
                "num_position_embeddings": 16,
            },
            image_token_id=300, video_token_id=301, vision_start_token_id=302,
            vision_end_token_id=303,
        )
    )  # fmt: skip
    return Krea2Pipeline(
        transformer=transformer,
        vae=AutoencoderKLQwenImage(base_dim=8, z_dim=16, num_res_blocks=1),
        scheduler=shifting(),
        text_encoder=encoder,
        tokenizer=qwen_tokenizer(),
        text_encoder_select_layers=(1, 2),
        is_distilled=is_distilled,
    )


def krea2_base(folder: Path) -> Any:
    return krea2(folder, is_distilled=False)


BUILDERS: dict[str, Callable[[Path], Any]] = {
    "sd3": sd3,
    "flux": flux,
    "schnell": schnell,
    "fill": fill,
    "z-image": z_image,
    "klein": klein,
    "klein-base": klein_base,
    "qwen-image": qwen_image,
    "qwen-image-2.1": qwen_image_21,
    "chroma": chroma,
    "lumina2": lumina2,
    "krea2": krea2,
    "krea2-base": krea2_base,
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
    processor = getattr(pipeline, "processor", None)
    if processor is not None:  # what reads pictures needs torchvision, and is left out
        processor.save_pretrained = lambda place, **_: processor.tokenizer.save_pretrained(place)
    pipeline.save_pretrained(folder)
    if processor is not None:
        index = folder / "model_index.json"
        named = {"processor": ["transformers", "Qwen3VLProcessor"]}
        index.write_text(json.dumps(json.loads(index.read_text()) | named), encoding="utf-8")
    (folder / "underpaint.json").write_text(json.dumps({"native": NATIVE}), encoding="utf-8")
    return folder


def enliven(transformer: Any) -> None:
    """Set to random values what a transformer begins training with at 0: else it puts out 0."""
    import torch

    for weights in transformer.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights, std=0.05)
