"""What a weight file is, told from its header, by the names that real files have."""

from __future__ import annotations

import dataclasses
import json
import os
import struct
from pathlib import Path

import pytest

from underpaint.models.headers import read_header
from underpaint.models.kinds import with_article
from underpaint.models.probes import Contents, probe_header, read_contents
from underpaint.models.tensors import Header, Tensor
from underpaint_client.errors import ModelUnavailableError
from weight_files import BITS, layout, write_gguf, write_safetensors

Shapes = dict[str, tuple[int, ...]]

UNET = "model.diffusion_model."
ATTENTION = "1.transformer_blocks.0.attn2.to_k.weight"
CLIP_L: Shapes = {"transformer.text_model.embeddings.position_embedding.weight": (77, 768)}
OPEN_CLIP: Shapes = {"model.transformer.resblocks.9.mlp.c_proj.bias": (1280,),
             "model.token_embedding.weight": (49408, 1280),
             "model.text_projection": (1280, 1280)}  # fmt: skip
VAE: Shapes = {"encoder.conv_in.weight": (128, 3, 3, 3), "decoder.conv_out.weight": (3, 128, 3, 3)}


def under(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + name: shape for name, shape in shapes.items()}


def sd_unet(channels: int = 4, width: int = 768) -> Shapes:
    linear = (320, 320) if width == 1024 else (320, 320, 1, 1)
    return {
        "input_blocks.0.0.weight": (320, channels, 3, 3),
        "input_blocks.1.1.proj_in.weight": linear,
        f"input_blocks.1.{ATTENTION}": (320, width),
        f"input_blocks.2.{ATTENTION}": (320, width),
        "output_blocks.11.0.skip_connection.weight": (320, 640, 1, 1),
        "out.2.weight": (4, 320, 3, 3),
    }


def sdxl_unet(channels: int = 4, sizes: int = 2816, width: int = 2048) -> Shapes:
    return {
        "input_blocks.0.0.weight": (320, channels, 3, 3),
        "label_emb.0.0.weight": (1280, sizes),
        f"input_blocks.4.{ATTENTION}": (640, width),
        "out.2.weight": (4, 320, 3, 3),
    }


def flux(width: int = 64, *, guided: bool = True) -> Shapes:
    found: Shapes = {
        "img_in.weight": (3072, width),
        "txt_in.weight": (3072, 4096),
        "double_blocks.0.img_attn.norm.key_norm.scale": (128,),
        "single_blocks.37.linear1.weight": (21504, 3072),
    }
    return {**found, "guidance_in.in_layer.weight": (3072, 256)} if guided else found


def sd3(*extra: str) -> Shapes:
    found: Shapes = {
        "joint_blocks.0.context_block.adaLN_modulation.1.bias": (9216,),
        "pos_embed": (1, 36864, 1536),
        "joint_blocks.0.x_block.attn.qkv.weight": (4608, 1536),
    }
    return {**found, **dict.fromkeys(extra, (64,))}


def whole(unet: Shapes, **parts: Shapes) -> Shapes:
    found = under(UNET, unet)
    for prefix, shapes in parts.items():
        found.update(under(prefix.replace("__", ".") + ".", shapes))
    return found


SD1 = whole(sd_unet(), first_stage_model=VAE, cond_stage_model=CLIP_L)
SD2 = whole(sd_unet(width=1024), first_stage_model=VAE, cond_stage_model=OPEN_CLIP)
XL_TEXT: dict[str, Shapes] = {
    "conditioner__embedders__0": CLIP_L,
    "conditioner__embedders__1": OPEN_CLIP,
}
SDXL = whole(sdxl_unet(), first_stage_model=VAE, **XL_TEXT)
LATER = "joint_blocks.0.x_block.attn.ln_q.weight"
QWEN: Shapes = {
    "img_in.weight": (3072, 64),
    "txt_norm.weight": (3584,),
    "transformer_blocks.0.img_mod.1.weight": (18432, 3072),
}
KLEIN: Shapes = {
    "single_stream_modulation.lin.weight": (9216, 3072),
    "double_blocks.0.img_attn.norm.key_norm.scale": (128,),
    "txt_in.weight": (3072, 7680),
}
Z_IMAGE: Shapes = {
    "cap_embedder.0.weight": (2560,),
    "layers.0.adaLN_modulation.0.weight": (15360, 256),
    "x_pad_token": (1, 3840),
}
LUMINA2: Shapes = {
    "cap_embedder.0.weight": (2304,),
    "layers.0.adaLN_modulation.1.weight": (9216, 1024),
    "norm_final.weight": (2304,),
}
CHROMA = {**flux(guided=False), "distilled_guidance_layer.in_proj.bias": (5120,)}
KREA2: Shapes = {"txtfusion.projector.weight": (6144, 2560), "first.weight": (6144, 64)}

SD1_PARTS = ("clip_l", "unet", "vae")
SDXL_PARTS = ("clip_g", "clip_l", "unet", "vae")


def model(family: str, **more: object) -> Contents:
    found = Contents("model", family, precision="fp16", parts=("transformer",), prediction="flow")
    return dataclasses.replace(found, **more)  # type: ignore[arg-type] # as the tables give them


def sd(**more: object) -> Contents:
    return model("sd", **{"variant": "1", "parts": SD1_PARTS, "prediction": "epsilon", **more})


def sdxl(**more: object) -> Contents:
    return model("sdxl", **{"parts": SDXL_PARTS, "prediction": "epsilon", **more})


MODELS: dict[str, tuple[Shapes, Contents]] = {
    "sd 1.5": (SD1, sd()),
    "sd 1.5, its own moving average beside": (
        {**SD1, "model_ema.decay": (1,), "cond_stage_model.transformer.text_model.x": (2**20,)},
        sd(),
    ),
    "sd 1.5, inpainting": (
        whole(sd_unet(9), first_stage_model=VAE, cond_stage_model=CLIP_L),
        sd(purpose="inpainting"),
    ),
    "instruct-pix2pix": (
        whole(sd_unet(8), first_stage_model=VAE, cond_stage_model=CLIP_L),
        sd(purpose="edit"),
    ),
    "sd 1.5, unet alone": (under(UNET, sd_unet()), sd(parts=("unet",))),
    "sd 1.5, unet alone and bare": (sd_unet(), sd(parts=("unet",))),
    "sd 2": (SD2, sd(variant="2", prediction="", parts=("open_clip", "unet", "vae"))),
    "sd 2, unet alone": (sd_unet(width=1024), sd(variant="2", prediction="", parts=("unet",))),
    "sd 2, v-prediction": (
        {**SD2, "v_pred": (0,)},
        sd(variant="2", prediction="v_prediction", parts=("open_clip", "unet", "vae")),
    ),
    "sdxl": (SDXL, sdxl()),
    "sdxl without clip": (
        whole(sdxl_unet(), first_stage_model=VAE),
        sdxl(parts=("unet", "vae")),
    ),
    "sdxl, inpainting": (
        whole(sdxl_unet(9), first_stage_model=VAE, **XL_TEXT),
        sdxl(purpose="inpainting"),
    ),
    "sdxl, v-prediction": ({**SDXL, "v_pred": (0,)}, sdxl(prediction="v_prediction")),
    "sdxl, v-prediction, zero-SNR": (
        {**SDXL, "v_pred": (0,), "ztsnr": (0,)},
        sdxl(prediction="v_prediction", zero_snr=True),
    ),
    "playground 2.5": (
        {**SDXL, "edm_mean": (1, 4, 1, 1), "edm_std": (1, 4, 1, 1)},
        sdxl(prediction="edm"),
    ),
    "sdxl refiner": (
        whole(
            sdxl_unet(4, 2560, 1280),
            first_stage_model=VAE,
            conditioner__embedders__0=OPEN_CLIP,
        ),
        sdxl(variant="refiner", parts=("clip_g", "unet", "vae")),
    ),
    "sdxl, diffusers' names": (
        {
            "conv_in.weight": (320, 4, 3, 3),
            "add_embedding.linear_1.weight": (1280, 2816),
            "time_embedding.linear_1.weight": (1280, 320),
            "down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k.weight": (640, 2048),
            "conv_norm_out.weight": (320,),
        },
        sdxl(parts=("unet",), layout="diffusers"),
    ),
    "sd 1.5, diffusers' names": (
        {
            "conv_in.weight": (320, 4, 3, 3),
            "time_embedding.linear_1.weight": (1280, 320),
            "down_blocks.0.attentions.0.proj_in.weight": (320, 320, 1, 1),
            "conv_norm_out.weight": (320,),
        },
        sd(parts=("unet",), layout="diffusers"),
    ),
    "sd3 medium": (
        {
            **under(UNET, sd3()),
            **under("first_stage_model.", VAE),
            **under("text_encoders.clip_l.", CLIP_L),
            "text_encoders.t5xxl.transformer.shared.weight": (32128, 4096),
        },
        model("sd3", variant="3", parts=("clip_l", "t5xxl", "transformer", "vae")),
    ),
    "sd3.5 medium": (
        sd3(LATER, "joint_blocks.0.x_block.attn2.qkv.weight"),
        model("sd3", variant="3.5-medium"),
    ),
    "sd3.5 large": (
        sd3(LATER, "joint_blocks.37.x_block.mlp.fc1.weight"),
        model("sd3", variant="3.5-large"),
    ),
    "flux dev": (flux(), model("flux", variant="dev")),
    "flux dev, prefixed": (under(UNET, flux()), model("flux", variant="dev")),
    "flux dev, with its parts": (
        {
            **under(UNET, flux()),
            **under("vae.", VAE),
            **under("text_encoders.clip_l.", CLIP_L),
            "text_encoders.t5xxl.transformer.shared.weight": (32128, 4096),
        },
        model("flux", variant="dev", parts=("clip_l", "t5xxl", "transformer", "vae")),
    ),
    "flux schnell": (flux(guided=False), model("flux", variant="schnell")),
    "flux fill": (flux(384), model("flux", variant="fill", purpose="inpainting")),
    "flux depth": (flux(128), model("flux", variant="dev", purpose="control")),
    "flux dev, diffusers' names": (
        {
            "x_embedder.weight": (3072, 64),
            "context_embedder.weight": (3072, 4096),
            "single_transformer_blocks.0.proj_mlp.weight": (12288, 3072),
            "time_text_embed.guidance_embedder.linear_1.weight": (3072, 256),
        },
        model("flux", variant="dev", layout="diffusers"),
    ),
    "chroma": (CHROMA, model("chroma")),
    "flux2 klein 4B": (KLEIN, model("flux2-klein", variant="4b")),
    "flux2 klein 9B": (
        {**KLEIN, "txt_in.weight": (4096, 12288)},
        model("flux2-klein", variant="9b"),
    ),
    "flux2 dev": (
        {**KLEIN, "guidance_in.in_layer.weight": (6144, 256)},
        model("flux2", variant="dev"),
    ),
    "z-image": (Z_IMAGE, model("z-image")),
    "z-image, prefixed": (under(UNET, Z_IMAGE), model("z-image")),
    "z-image, diffusers' names": (
        {**Z_IMAGE, "all_x_embedder.2-1.weight": (3840, 64)},
        model("z-image", layout="diffusers"),
    ),
    "lumina2": (LUMINA2, model("lumina2")),
    "qwen-image": (QWEN, model("qwen-image")),
    "qwen-image-edit 2511": (
        {**QWEN, "__index_timestep_zero__": (0,)},
        model("qwen-image", variant="edit-2511", purpose="edit"),
    ),
    "qwen-image 2.1": (
        {**QWEN, "txt_in.text_norm.weight": (4096,)},
        model("qwen-image-2.1"),
    ),
    "krea2": (KREA2, model("krea2")),
    "anima": (
        {"net.llm_adapter.blocks.0.self_attn.q_proj.weight": (1024, 1024)},
        model("anima"),
    ),
    "wan": ({"head.modulation": (1, 2, 1536)}, model("wan")),
}

OTHERS: dict[str, tuple[Shapes, str]] = {
    "kohya's LoRA": (
        {
            "lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (8, 320),
            "lora_unet_down_blocks_0_attentions_0_proj_in.lora_up.weight": (320, 8),
            "lora_unet_down_blocks_0_attentions_0_proj_in.alpha": (),
        },
        "LoRA",
    ),
    "peft's LoRA": (
        {"unet.down_blocks.0.attentions.0.proj_in.lora_A.weight": (8, 320)},
        "LoRA",
    ),
    "diffusers' LoRA": (
        {"unet.down_blocks.0.attn1.processor.to_q_lora.down.weight": (4, 320)},
        "LoRA",
    ),
    "flux LoRA": (
        {
            "transformer.single_transformer_blocks.0.attn.to_k.lora_A.weight": (16, 3072),
            "transformer.x_embedder.lora_B.weight": (3072, 16),
        },
        "LoRA",
    ),
    "comfy's LoRA": (
        {"diffusion_model.layers.0.adaLN_modulation.0.lora_A.weight": (16, 256)},
        "LoRA",
    ),
    "LoHa": ({"lora_unet_x.hada_w1_a": (320, 4), "lora_unet_x.alpha": ()}, "LyCORIS (LoHa)"),
    "LoKr": ({"lycoris_x.lokr_w1": (4, 4), "lycoris_x.lokr_w2_a": (80, 4)}, "LyCORIS (LoKr)"),
    "OFT": ({"lora_unet_x.oft_blocks": (4, 80, 80)}, "LyCORIS (OFT)"),
    "ControlNet": ({"control_model.time_embed.0.weight": (1280, 320)}, "ControlNet"),
    "ControlNet, diffusers' names": (
        {
            "controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3),
            "conv_in.weight": (320, 4, 3, 3),
            "time_embedding.linear_1.weight": (1280, 320),
            "add_embedding.linear_1.weight": (1280, 2816),
        },
        "ControlNet",
    ),
    "Control-LoRA": ({"lora_controlnet": (0,), "x.up": (320, 8)}, "ControlNet (Control-LoRA)"),
    "IP-Adapter": ({"image_proj.proj.weight": (3072, 1024)}, "IP-Adapter"),
    "motion module": (
        {
            "down_blocks.0.motion_modules.0.temporal_transformer.transformer_blocks.0."
            "attention_blocks.0.pos_encoder.pe": (1, 24, 320)
        },
        "motion module",
    ),
    "VAE": (VAE, "VAE"),
    "VAE, prefixed": (under("first_stage_model.", VAE), "VAE"),
    "flux VAE": (
        {"encoder.down.0.block.0.conv1.weight": (128, 128, 3, 3), "decoder.conv_in.bias": (512,)},
        "VAE",
    ),
    "qwen's VAE": ({"decoder.middle.0.residual.0.gamma": (384, 1, 1, 1)}, "VAE"),
    "TAESD": (
        {"0.weight": (64, 3, 3, 3), "2.conv.0.weight": (64, 64, 3, 3), "2.conv.2.bias": (64,)},
        "preview decoder",
    ),
    "CLIP-L": (
        {
            "text_model.embeddings.token_embedding.weight": (49408, 768),
            "text_model.encoder.layers.0.layer_norm1.weight": (768,),
            "text_model.encoder.layers.0.layer_norm1.bias": (768,),
            "text_model.encoder.layers.0.mlp.fc1.bias": (3072,),
            "text_model.final_layer_norm.weight": (768,),
        },
        "text encoder",
    ),
    "CLIP-L, as transformers names it since version 5": (
        {
            "embeddings.token_embedding.weight": (49408, 768),
            "encoder.layers.0.layer_norm1.weight": (768,),
            "encoder.layers.0.mlp.fc1.bias": (3072,),
            "final_layer_norm.weight": (768,),
            "final_layer_norm.bias": (768,),
        },
        "text encoder",
    ),
    "T5": (
        {
            "shared.weight": (32128, 4096),
            "encoder.block.0.layer.0.SelfAttention.q.weight": (4096, 4096),
        },
        "text encoder",
    ),
    "Qwen3": (
        {
            "model.embed_tokens.weight": (151936, 2560),
            "model.layers.0.self_attn.q_proj.weight": (4096, 2560),
        },
        "text encoder",
    ),
    "CLIP vision": (
        {"vision_model.embeddings.class_embedding": (1664,), "visual_projection.weight": (8, 1664)},
        "CLIP vision model",
    ),
    "embedding": ({"emb_params": (8, 768)}, "textual inversion"),
    "sdxl embedding": ({"clip_g": (8, 1280), "clip_l": (8, 768)}, "textual inversion"),
    "ESRGAN": (
        {"model.0.weight": (64, 3, 3, 3), "model.1.sub.0.RDB1.conv1.0.weight": (32, 64, 3, 3)},
        "upscaler",
    ),
    "Real-ESRGAN": (
        {"conv_first.weight": (64, 3, 3, 3), "body.0.rdb1.conv1.weight": (32, 64, 3, 3)},
        "upscaler",
    ),
    "SwinIR": (
        {
            "conv_first.weight": (180, 3, 3, 3),
            "layers.0.residual_group.blocks.0.norm1.weight": (180,),
        },
        "upscaler",
    ),
    "something else": ({"weights.0": (3, 5), "biases.0": (5,)}, ""),
    "nothing": ({}, ""),
}


def header(shapes: Shapes, dtype: str = "F16") -> Header:
    """Return the header of a file; a number says that a tensor has so many bytes."""
    tensors = {}
    for name, shape in shapes.items():
        size = BITS[dtype] // 8
        for side in shape:
            size *= side
        tensors[name] = Tensor(dtype, shape, 0, size)
    return Header("safetensors", tensors)


@pytest.mark.parametrize("what", MODELS)
def test_a_model_is_told_by_its_header(what: str) -> None:
    shapes, wanted = MODELS[what]
    assert probe_header(header(shapes)) == wanted


@pytest.mark.parametrize("what", OTHERS)
def test_what_is_no_model_is_called_by_what_it_is(what: str) -> None:
    shapes, wanted = OTHERS[what]
    found = probe_header(header(shapes))
    assert (found.kind, found.family) == (wanted, "")


def test_what_a_model_s_maker_says() -> None:
    said = {
        "modelspec.prediction_type": "v",
        "modelspec.resolution": "768x768",
        "modelspec.license": "CreativeML\nOpenRAIL-M",
    }
    found = probe_header(dataclasses.replace(header(SD2), metadata=said))
    assert (found.prediction, found.native) == ("v_prediction", 768)
    assert found.licence == "CreativeML OpenRAIL-M"
    odd = {"modelspec.resolution": "large", "modelspec.prediction_type": "?"}
    found = probe_header(dataclasses.replace(header(SD1), metadata=odd))
    assert (found.prediction, found.native) == ("epsilon", 0)


@pytest.mark.parametrize(
    ("shapes", "name", "said", "purpose"),
    [
        (flux(), "flux1-dev-kontext_fp8_scaled.safetensors", {}, "edit"),
        (flux(), "FLUX.1-Kontext-dev-Q4_K_M.gguf", {}, "edit"),
        (flux(), "mine.safetensors", {"modelspec.title": "Flux.1 Kontext"}, "edit"),
        (flux(), "mine.gguf", {"general.name": "Flux.1-Kontext-Dev"}, "edit"),
        (flux(384), "flux1-fill-kontext.safetensors", {}, "inpainting"),
        (flux(), "flux1-dev.safetensors", {"modelspec.title": "Flux.1-dev"}, "plain"),
        (flux(), "edited-colours.safetensors", {}, "plain"),
        (QWEN, "qwen_image_edit_2509_fp8_e4m3fn.safetensors", {}, "edit"),
        (QWEN, "Qwen-Image-Edit-Q4_K_M.gguf", {}, "edit"),
        (QWEN, "QwenEdit.safetensors", {}, "edit"),
        (QWEN, "qwen_image_special_edition.safetensors", {}, "plain"),
        (QWEN, "qwen_image_bf16.safetensors", {}, "plain"),
        (CHROMA, "chroma-kontext.safetensors", {}, "plain"),
        (Z_IMAGE, "z-image-edit.safetensors", {}, "plain"),
    ],
)
def test_an_edit_model_of_a_plain_layout_is_told_by_its_name(
    shapes: Shapes, name: str, said: dict[str, str], purpose: str
) -> None:
    named = dataclasses.replace(header(shapes), metadata=said)
    assert probe_header(named, Path(name)).purpose == purpose


COMFY = {"layers": {"double_blocks.0.img_attn.proj": {"format": "float8_e4m3fn"}}}
LAYER = "double_blocks.0.img_attn.proj"
PRECISIONS: dict[str, tuple[dict[str, tuple[str, tuple[int, ...]]], dict[str, str], str]] = {
    "full": ({f"{LAYER}.weight": ("F32", (64, 64))}, {}, "fp32"),
    "half": ({f"{LAYER}.weight": ("F16", (64, 64))}, {}, "fp16"),
    "bfloat16": ({f"{LAYER}.weight": ("BF16", (64, 64))}, {}, "bf16"),
    "norms in full": (
        {f"{LAYER}.weight": ("BF16", (64, 64)), "norm.scale": ("F32", (64,))},
        {},
        "bf16",
    ),
    "fp8": ({f"{LAYER}.weight": ("F8_E4M3", (64, 64))}, {}, "fp8"),
    "fp8 with a mark": (
        {f"{LAYER}.weight": ("F8_E4M3", (64, 64)), "scaled_fp8": ("F8_E4M3", (2,))},
        {},
        "fp8_scaled",
    ),
    "fp8 with scales": (
        {f"{LAYER}.weight": ("F8_E4M3", (64, 64)), f"{LAYER}.scale_weight": ("F32", (1,))},
        {},
        "fp8_scaled",
    ),
    "described for all layers": (
        {f"{LAYER}.weight": ("F8_E4M3", (64, 64)), f"{LAYER}.weight_scale": ("F32", (1,))},
        {"_quantization_metadata": json.dumps(COMFY)},
        "fp8_scaled",
    ),
    "nvfp4": (
        {
            f"{LAYER}.weight": ("U8", (64, 32)),
            f"{LAYER}.weight_scale": ("F8_E4M3", (64, 4)),
            f"{LAYER}.weight_scale_2": ("F32", (1,)),
        },
        {},
        "nvfp4",
    ),
    "bitsandbytes": (
        {
            f"{LAYER}.weight": ("U8", (2048, 1)),
            f"{LAYER}.weight.quant_state.bitsandbytes__nf4": ("U8", (90,)),
        },
        {},
        "bnb_nf4",
    ),
    "svdquant": (
        {f"{LAYER}.qweight": ("I8", (64, 32)), f"{LAYER}.wscales": ("BF16", (1, 64))},
        {},
        "svdquant",
    ),
}


@pytest.mark.parametrize("what", PRECISIONS)
def test_how_weights_are_stored(what: str, tmp_path: Path) -> None:
    tensors, metadata, wanted = PRECISIONS[what]
    shapes = layout("BF16", {**flux(), "single_blocks.37.linear1.weight": (1, 1)})
    small = {name: (dtype, (1, *shape[1:])) for name, (dtype, shape) in shapes.items()}
    small["txt_in.weight"] = small["img_in.weight"] = ("BF16", (1, 64))
    for prefix in ("", UNET):
        under_prefix = {prefix + name: one for name, one in {**small, **tensors}.items()}
        file = write_safetensors(tmp_path / "a.safetensors", under_prefix, metadata)
        assert read_contents(file).precision == wanted
        assert read_contents(file).family == "flux"


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"format": "int8_tensorwise", "convrot": True, "convrot_groupsize": 256}, "int8_convrot"),
        ({"format": "int8_tensorwise"}, "int8"),
        ({"format": "float8_e4m3fn"}, "fp8_scaled"),
        ({"format": "mxfp8"}, "mxfp8"),
        ([], "int8"),
    ],
)
def test_a_layer_may_describe_its_own_quantisation(
    said: object, wanted: str, tmp_path: Path
) -> None:
    text = json.dumps(said).encode()
    tensors = {
        **layout("BF16", {"double_blocks.0.img_attn.norm.key_norm.scale": (128,)}, UNET),
        f"{UNET}{LAYER}.weight": ("I8", (64, 64)),
        f"{UNET}{LAYER}.comfy_quant": ("U8", (len(text),)),
    }
    contents = {f"{UNET}{LAYER}.comfy_quant": text}
    file = write_safetensors(tmp_path / "a.safetensors", tensors, contents=contents)
    assert read_contents(file).precision == wanted


def test_a_gguf_file_is_told_as_a_safetensors_file_is(tmp_path: Path) -> None:
    tensors = {
        "img_in.weight": ("F16", (32, 64)),
        "double_blocks.0.img_attn.norm.key_norm.scale": ("F32", (128,)),
        "guidance_in.in_layer.weight": ("F16", (32, 256)),
        f"{LAYER}.weight": ("Q4_K", (512, 256)),
        "joined.weight": ("F16", (12, 6)),
    }
    file = write_gguf(tmp_path / "a.gguf", tensors, "flux")
    found = read_header(file)
    assert found.tensors[f"{LAYER}.weight"].shape == (512, 256)
    assert found.tensors["joined.weight"].shape == (4, 3, 3, 2)
    assert found.metadata["general.architecture"] == "flux"
    import gguf

    for tensor in gguf.GGUFReader(file).tensors:
        ours = found.tensors[tensor.name]
        assert (ours.start, ours.size) == (tensor.data_offset, tensor.n_bytes)
    assert probe_header(found) == model("flux", variant="dev", precision="Q4_K")


def test_a_language_model_in_gguf_is_a_text_encoder(tmp_path: Path) -> None:
    file = write_gguf(tmp_path / "a.gguf", {"blk.0.attn_q.weight": ("Q8_0", (64, 64))}, "qwen3")
    assert read_contents(file).kind == "text encoder"


def safetensors(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def gguf_file(*, count: int = 0, values: int = 0, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, count, values) + rest


def text(value: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(value) if length is None else length) + value


ONE = b'{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}'
DAMAGED: dict[str, tuple[str, bytes]] = {
    "empty": (".safetensors", b""),
    "no entry": (".safetensors", safetensors(b'{"a":{"dtype":"F16"}}')),
    "an odd shape": (".safetensors", safetensors(ONE.replace(b"[2]", b'"x"'), b"1234")),
    "an odd entry": (".safetensors", safetensors(b'{"a":[1]}')),
    "an LFS pointer": (".safetensors", b"version https://git-lfs.github.com/spec/v1\n"),
    "a web page": (".safetensors", b"<!doctype html><html>" * 9),
    "header of 2^60 bytes": (".safetensors", safetensors(b"{}", length=2**60)),
    "cut short": (".safetensors", safetensors(ONE, b"123")),
    "cut short in the header": (".safetensors", safetensors(ONE[:-9], length=len(ONE))),
    "longer than it says": (".safetensors", safetensors(ONE, b"12345")),
    "no JSON": (".safetensors", safetensors(b"x" * 40)),
    "a list": (".safetensors", safetensors(b"[1, 2, 3]")),
    "no UTF-8": (".safetensors", safetensors(b'{"\xff": 1}')),
    "deep": (".safetensors", safetensors(b'{"a":' + b"[" * 10**5 + b"]" * 10**5 + b"}")),
    "negative": (".safetensors", safetensors(ONE.replace(b"[0,4]", b"[-4,0]"))),
    "negative shape": (".safetensors", safetensors(ONE.replace(b"[2]", b"[-2]"), b"1234")),
    "wrong size": (".safetensors", safetensors(ONE.replace(b"[2]", b"[3]"), b"1234")),
    "huge": (".safetensors", safetensors(ONE.replace(b"0,4", b"0,99999999999999999999"))),
    "empty gguf": (".gguf", b""),
    "no gguf": (".gguf", safetensors(ONE, b"1234")),
    "old gguf": (".gguf", b"GGUF" + struct.pack("<IQQ", 1, 0, 0)),
    "2^60 tensors": (".gguf", gguf_file(count=2**60)),
    "2^60 values": (".gguf", gguf_file(values=2**60)),
    "name of 2^60 bytes": (".gguf", gguf_file(values=1, rest=text(b"a", 2**60))),
    "list of 2^60 texts": (
        ".gguf",
        gguf_file(values=1, rest=text(b"a") + struct.pack("<IIQ", 9, 8, 2**60)),
    ),
    "list of 2^60 numbers": (
        ".gguf",
        gguf_file(values=1, rest=text(b"a") + struct.pack("<IIQ", 9, 5, 2**60)),
    ),
    "list of lists": (
        ".gguf",
        gguf_file(values=1, rest=text(b"a") + struct.pack("<IIQ", 9, 9, 1)),
    ),
    "unknown value": (".gguf", gguf_file(values=1, rest=text(b"a") + struct.pack("<I", 77))),
    "2^31 dimensions": (".gguf", gguf_file(count=1, rest=text(b"a") + struct.pack("<I", 2**31))),
    "unknown type": (
        ".gguf",
        gguf_file(count=1, rest=text(b"a") + struct.pack("<IQIQ", 1, 2, 999, 0)),
    ),
    "gguf cut short": (
        ".gguf",
        gguf_file(count=1, rest=text(b"a") + struct.pack("<IQIQ", 1, 2**20, 0, 0)),
    ),
    "alignment 0": (
        ".gguf",
        gguf_file(values=1, rest=text(b"general.alignment") + struct.pack("<II", 4, 0)),
    ),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_damaged_file_is_named_with_a_way_out(what: str, tmp_path: Path) -> None:
    ending, content = DAMAGED[what]
    file = tmp_path / f"odd{ending}"
    file.write_bytes(content)
    with pytest.raises(ModelUnavailableError, match="damaged or cut short.*fetch") as error:
        read_contents(file)
    assert str(file) in str(error.value)
    assert len(str(error.value)) < 500 + len(str(file))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.safetensors"
    os.mkfifo(pipe)
    with pytest.raises(ModelUnavailableError, match="not a regular file"):
        read_contents(pipe)


def test_a_pickle_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_bytes(b"")
    with pytest.raises(ModelUnavailableError, match=r"reads \.safetensors, \.gguf files"):
        read_contents(tmp_path / "a.ckpt")


def test_a_file_that_is_gone_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="No such file"):
        read_contents(tmp_path / "a.gguf")


@pytest.mark.parametrize("told", ["a LoRA", "an IP-Adapter", "an upscaler", "a VAE", "a UNet"])
def test_articles(told: str) -> None:
    assert with_article(told.partition(" ")[2]) == told
