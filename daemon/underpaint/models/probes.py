"""What a weight file is, told from its header alone.

Families are told apart by the names of tensors, as in diffusers' `CHECKPOINT_KEY_NAMES`
(diffusers/loaders/single_file_utils.py), and by widths only where names are the same. A file that
is no model, such as a LoRA, is called by what it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from .controlnets import ControlNetFacts, tell_controlnet
from .headers import read_header
from .ip_adapters import IpAdapterFacts, VisionFacts, tell_ip_adapter, tell_vision_model
from .kinds import (
    IP_ADAPTER,
    VISION_MODEL,
    find_addition,
    find_part_kind,
    is_controlnet,
    is_lora,
)
from .loras import LoraFacts, tell_lora
from .precisions import find_precision, loaded_size
from .tensor_names import UNET_INPUT, TensorNames
from .tensors import Header

MODEL = "model"


@dataclass(frozen=True)
class Contents:
    """What a weight file is.

    Parameters
    ----------
    kind : str
        `model`; else what it is instead, in a user's words: `LoRA`, `ControlNet`, `VAE`,
        `text encoder`, ... Empty where it is nothing that is known.
    family : str
        Such as `sd`, `sdxl` or `flux`; empty where `kind` is not `model`.
    variant : str
        Of the family: `1` or `2` of `sd`, `dev` or `schnell` of `flux`; empty for the usual one.
    purpose : str
        `plain`, `inpainting`, `edit`, or what else beside a prompt it must be given.
    prediction : str
        `epsilon`, `v_prediction`, `edm` or `flow`; empty where the header does not tell.
    zero_snr : bool
        Whether it was trained down to a signal-to-noise ratio of 0.
    precision : str
        How most weights of its largest part are stored: `fp32`, `fp16`, `bf16`, `fp8`,
        `fp8_scaled`, `int8_convrot`, `nvfp4`, ..., or a type of GGUF such as `Q4_K`.
    parts : tuple of str
        What is in the file: `unet` or `transformer`, `vae`, and text encoders (`clip_l`, `clip_g`,
        `open_clip`, `t5xxl`, ...), sorted.
    layout : str
        `original`, as the authors and most model sites name tensors, or `diffusers`.
    native : int
        The side it was trained at, in pixels, as its maker says (modelspec.resolution); 0 where
        the file does not say it.
    licence : str
        As its maker says (modelspec.license); empty where the file does not say it.
    sizes : tuple of int
        Bytes of each of `parts`, in their order, once it is loaded in 16 bits.
    lora : LoraFacts or None
        What a LoRA, or a LyCORIS, is for; None for other kinds.
    controlnet : ControlNetFacts or None
        What a ControlNet is for; None for other kinds.
    ip_adapter : IpAdapterFacts or None
        What an IP-Adapter is for; None for other kinds.
    vision : VisionFacts or None
        What a CLIP vision model reads; None for other kinds.
    """

    kind: str
    family: str = ""
    variant: str = ""
    purpose: str = "plain"
    prediction: str = ""
    zero_snr: bool = False
    precision: str = ""
    parts: tuple[str, ...] = ()
    layout: str = "original"
    native: int = 0
    licence: str = ""
    sizes: tuple[int, ...] = field(default=(), compare=False)
    lora: LoraFacts | None = None
    controlnet: ControlNetFacts | None = None
    ip_adapter: IpAdapterFacts | None = None
    vision: VisionFacts | None = None


def read_contents(file: Path) -> Contents:
    """Return what a `.safetensors` or `.gguf` file is.

    Raises
    ------
    ModelUnavailableError
        As `read_header`.
    """
    return probe_header(read_header(file), file)


def probe_header(header: Header, file: Path | None = None) -> Contents:
    """Return what a weight file is.

    Parameters
    ----------
    header : Header
        From `read_header`.
    file : Path, optional
        The file. Its name may tell an edit model, and some bytes of it are read if its
        quantisation is described in a tensor.
    """
    names = TensorNames(header)
    other = find_addition(names)
    if other:
        precision = find_precision(header, header.tensors, file)
        return Contents(
            other,
            precision=precision,
            licence=_licence(header),
            lora=tell_lora(header) if is_lora(other) else None,
            controlnet=tell_controlnet(other, header) if is_controlnet(other) else None,
            ip_adapter=tell_ip_adapter(header) if other == IP_ADAPTER else None,
        )
    for probe in _PROBES:
        if names.has(*probe.keys):
            return _describe(names, probe, header, file)
    other = find_part_kind(names, header)
    return Contents(
        other,
        precision=find_precision(header, header.tensors, file),
        vision=tell_vision_model(header) if other == VISION_MODEL else None,
    )


@dataclass(frozen=True)
class _Told:
    """What a header tells beside the family, or a family that is narrower than its probe's."""

    variant: str = ""
    purpose: str = "plain"
    prediction: str = ""
    family: str = ""


@dataclass(frozen=True)
class _Probe:
    """How a family is told: it has all these tensors, and no probe before it was right."""

    family: str
    keys: tuple[str, ...]
    tell: Callable[[TensorNames], _Told]
    layout: str = "original"


_CHANNELS = {4: "plain", 5: "depth", 7: "upscaling", 8: "edit", 9: "inpainting"}
"""What a UNet with so many input channels is for."""

_ATTENTION = "1.transformer_blocks.0.attn2.to_k.weight"


def _unet_purpose(names: TensorNames) -> str:
    channels = names.width(*UNET_INPUT)
    return _CHANNELS.get(channels, f"{channels} input channels")


def _tell_sd(names: TensorNames) -> _Told:
    """Distinguish Stable Diffusion 2 from 1: by its encoder, else by its linear projections."""
    projection = names.get(
        "input_blocks.1.1.proj_in.weight", "down_blocks.0.attentions.0.proj_in.weight"
    )
    second = any(name.startswith("cond_stage_model.model.") for name in names.all) or (
        projection is not None and len(projection.shape) == 2
    )
    width = names.width(
        f"input_blocks.1.{_ATTENTION}",
        f"down_blocks.0.attentions.0.{_ATTENTION.removeprefix('1.')}",
    )
    variant = "2" if second or width == 1024 else "1"
    return _Told(variant, _unet_purpose(names), "epsilon" if variant == "1" else "")


def _tell_sdxl(names: TensorNames) -> _Told:
    width = names.width("label_emb.0.0.weight", "add_embedding.linear_1.weight")
    lone = (
        "conditioner.embedders.0.model.text_projection" in names.all
        and "conditioner.embedders.1.model.text_projection" not in names.all
    )
    prediction = "edm" if "edm_mean" in names.all else "epsilon"
    return _Told("refiner" if lone or width == 2560 else "", _unet_purpose(names), prediction)


def _tell_sd3(names: TensorNames) -> _Told:
    if names.has("joint_blocks.0.x_block.attn2.qkv.weight") or names.has(
        "transformer_blocks.0.attn2.to_q.weight"
    ):
        return _Told("3.5-medium", prediction="flow")
    later = names.get(
        "joint_blocks.0.x_block.attn.ln_q.weight", "transformer_blocks.0.attn.norm_q.weight"
    )
    return _Told("3.5-large" if later else "3", prediction="flow")


def _tell_flux(names: TensorNames) -> _Told:
    guided = names.get(
        "guidance_in.in_layer.weight", "time_text_embed.guidance_embedder.linear_1.weight"
    )
    width = names.width("img_in.weight", "x_embedder.weight")
    purpose = {384: "inpainting", 128: "control"}.get(width, "plain")
    return _Told("fill" if width == 384 else "dev" if guided else "schnell", purpose, "flow")


def _tell_flux2(names: TensorNames) -> _Told:
    guided = names.get(
        "guidance_in.in_layer.weight", "time_guidance_embed.guidance_embedder.linear_1.weight"
    )
    width = names.width("txt_in.weight", "context_embedder.weight")
    if guided:
        return _Told("dev", prediction="flow")
    variant = {7680: "4b", 12288: "9b"}.get(width, "")
    return _Told(variant, prediction="flow", family="flux2-klein")


def _tell_qwen(names: TensorNames) -> _Told:
    if names.has("__index_timestep_zero__"):
        return _Told("edit-2511", "edit", "flow")
    if names.has("time_text_embed.addition_t_embedding.weight"):
        return _Told("layered", "layers", "flow")
    return _Told(prediction="flow")


def _flow(variant: str = "") -> Callable[[TensorNames], _Told]:
    return lambda _: _Told(variant, prediction="flow")


def _unknown(_: TensorNames) -> _Told:
    return _Told()


_PROBES = (
    # Stable Diffusion's UNets
    _Probe("sdxl", ("input_blocks.0.0.weight", "label_emb.0.0.weight"), _tell_sdxl),
    _Probe("sd", ("input_blocks.0.0.weight", "out.2.weight"), _tell_sd),
    _Probe("sdxl", ("conv_in.weight", "add_embedding.linear_1.weight", "conv_norm_out.weight",
                    "time_embedding.linear_1.weight"), _tell_sdxl, "diffusers"),
    _Probe("sd", ("conv_in.weight", "time_embedding.linear_1.weight", "conv_norm_out.weight"),
           _tell_sd, "diffusers"),
    # Transformers, as their authors name tensors; the more particular before the more general
    _Probe("sd3", ("joint_blocks.0.context_block.adaLN_modulation.1.bias",), _tell_sd3),
    _Probe("flux2", ("single_stream_modulation.lin.weight",), _tell_flux2),
    _Probe("flux3", ("early_stream_modulations.image.lin.weight",), _flow()),
    _Probe("chroma", ("distilled_guidance_layer.in_proj.bias", "img_in.weight"), _flow()),
    _Probe("chroma", ("distilled_guidance_layer.in_proj.bias", "img_in_patch.weight"),
           _flow("radiance")),
    _Probe("hunyuan-video", ("txt_in.individual_token_refiner.blocks.0.adaLN_modulation.1.bias",),
           _flow()),
    _Probe("flux", ("double_blocks.0.img_attn.norm.key_norm.scale",), _tell_flux),
    _Probe("z-image", ("all_x_embedder.2-1.weight", "cap_embedder.0.weight"), _flow(),
           "diffusers"),
    _Probe("z-image", ("cap_embedder.0.weight", "layers.0.adaLN_modulation.0.weight"), _flow()),
    _Probe("lumina2", ("cap_embedder.0.weight", "layers.0.adaLN_modulation.1.weight"), _flow()),
    _Probe("qwen-image-2.1", ("txt_in.text_norm.weight",), _flow()),
    _Probe("qwen-image", ("txt_norm.weight", "transformer_blocks.0.img_mod.1.weight"), _tell_qwen),
    _Probe("krea2", ("txtfusion.projector.weight",), _flow()),
    _Probe("anima", ("llm_adapter.blocks.0.self_attn.q_proj.weight",), _flow()),
    # Transformers, as diffusers names tensors
    _Probe("chroma", ("distilled_guidance_layer.in_proj.bias", "x_embedder.weight"), _flow(),
           "diffusers"),
    _Probe("flux2", ("single_stream_modulation.linear.weight",), _tell_flux2, "diffusers"),
    _Probe("flux", ("x_embedder.weight", "single_transformer_blocks.0.proj_mlp.weight",
                    "context_embedder.weight"), _tell_flux, "diffusers"),
    _Probe("sd3", ("pos_embed.proj.weight", "context_embedder.weight",
                   "transformer_blocks.0.norm1_context.linear.weight"), _tell_sd3, "diffusers"),
    _Probe("lumina2", ("time_caption_embed.caption_embedder.0.weight",), _flow(), "diffusers"),
    _Probe("krea2", ("text_fusion.projector.weight",), _flow(), "diffusers"),
    # Families that are only told by name
    _Probe("auraflow", ("double_layers.0.attn.w2q.weight",), _flow()),
    _Probe("sana", ("blocks.0.cross_attn.q_linear.weight",), _flow()),
    _Probe("hidream", ("double_stream_blocks.0.block.adaLN_modulation.1.bias",), _flow()),
    _Probe("wan", ("head.modulation",), _flow()),
    _Probe("ltx-video", ("patchify_proj.weight",), _flow()),
    _Probe("mochi", ("blocks.0.attn.qkv_x.weight",), _flow()),
    _Probe("cosmos", ("x_embedder.proj.1.weight",), _unknown),
    _Probe("stable-cascade", ("down_blocks.1.0.channelwise.0.weight",), _unknown),
    _Probe("stable-cascade", ("clip_txt_mapper.weight",), _unknown),
    _Probe("pixart", ("y_embedder.y_proj.fc1.weight", "blocks.0.scale_shift_table"), _unknown),
)  # fmt: skip


_EDIT_NAMES = {"flux": r"kontext", "qwen-image": r"edit(?![a-z])"}
"""What the names of edit models contain whose tensors are those of the plain ones."""


def _is_called_edit(family: str, header: Header, file: Path | None) -> bool:
    """Return whether a model's name, or the title that its maker gave it, is of an edit model."""
    titles = (header.metadata.get(name, "") for name in ("modelspec.title", "general.name"))
    pattern = _EDIT_NAMES.get(family)
    names = (*titles, file.stem if file else "")
    return pattern is not None and any(re.search(pattern, name.lower()) for name in names)


def _describe(names: TensorNames, probe: _Probe, header: Header, file: Path | None) -> Contents:
    told = probe.tell(names)
    if told.purpose == "plain" and _is_called_edit(probe.family, header, file):
        told = replace(told, purpose="edit")
    said = header.metadata.get("modelspec.prediction_type", "")
    prediction = {"v": "v_prediction", "epsilon": "epsilon"}.get(said, "") or told.prediction
    if "v_pred" in names.all and told.prediction != "flow":
        prediction = "v_prediction"
    elif told.prediction in ("flow", "edm"):
        prediction = told.prediction
    sizes = _measure_parts(names, probe.family, is_gguf=header.format == "gguf")
    return Contents(
        kind=MODEL,
        family=told.family or probe.family,
        variant=told.variant,
        purpose=told.purpose,
        prediction=prediction,
        zero_snr="ztsnr" in names.all,
        precision=find_precision(header, names.denoiser(), file),
        parts=tuple(sorted(sizes)),
        sizes=tuple(sizes[part] for part in sorted(sizes)),
        layout=probe.layout,
        native=_native(header.metadata.get("modelspec.resolution", "")),
        licence=_licence(header),
    )


def _licence(header: Header) -> str:
    return " ".join(header.metadata.get("modelspec.license", "").split())[:80]


def _native(said: str) -> int:
    """Return the side of a resolution such as `1024x1024`; 0 where it is none."""
    sides = re.fullmatch(r"(\d{2,5})[xX](\d{2,5})", said.strip(), re.ASCII)
    return round((int(sides[1]) * int(sides[2])) ** 0.5) if sides else 0


_ENCODERS = (
    ("cond_stage_model.transformer.", "clip_l"),
    ("cond_stage_model.model.", "open_clip"),
    ("conditioner.embedders.0.transformer.", "clip_l"),
    ("conditioner.embedders.0.model.", "clip_g"),
    ("conditioner.embedders.1.model.", "clip_g"),
)


def _measure_parts(names: TensorNames, family: str, *, is_gguf: bool) -> Counter[str]:
    """Return the bytes of each part that is there, by its name, once it is loaded in 16 bits."""
    denoiser = "unet" if family in ("sd", "sdxl", "stable-cascade") else "transformer"
    sizes: Counter[str] = Counter()
    own = set(names.denoiser())
    sizes[denoiser] = sum(loaded_size(names.all[n], 2, stays_quantised=is_gguf) for n in own)
    parts: dict[str, str] = {}
    for name, tensor in names.all.items():
        if name in own:
            continue
        start = ".".join(name.split(".", 4)[:4]) + "."
        if start not in parts:
            parts[start] = _find_part(start)
        if parts[start]:
            sizes[parts[start]] += loaded_size(tensor, 2, stays_quantised=False)
    return sizes


def _find_part(start: str) -> str:
    """Return which part a tensor is of, by how its name begins; empty for the denoiser."""
    if start.startswith(("first_stage_model.", "vae.")):
        return "vae"
    if start.startswith("text_encoders."):
        return start.split(".", 2)[1]
    return next((encoder for prefix, encoder in _ENCODERS if start.startswith(prefix)), "")
