"""The architectures that are opened from one file: their configs, and where their parts come from.

A file from a model site has no configs, and often has the denoiser alone. Here is what differs
between architectures: the folder of the configs, and for each part the component that it can be
opened from. Models share components: `ae.safetensors` is the autoencoder of four families.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .families import FAST_NAMES, FLOWS, name_contains
from .model_index import INDEX
from .probes import Contents

CONFIGS = Path(__file__).with_name("configs")
"""A folder for each architecture; `clip`, `t5` and `qwen`, with vocabularies that several share."""


@dataclass(frozen=True)
class Component:
    """A part that comes as a file or folder of its own, and that several models may share.

    Parameters
    ----------
    title : str
        What its users call it.
    names : tuple of str
        What its files or folders are called, or how their names begin; the first is recommended.
        Upper and lower case, and `-`, `.` and `_`, count as the same.
    repository : str
        A repository of the Hugging Face Hub that has it.
    files : tuple of str
        Its files there.
    """

    title: str
    names: tuple[str, ...]
    repository: str = ""
    files: tuple[str, ...] = ()

    def is_called(self, name: str) -> bool:
        """Return whether a file or folder of this name may be this component."""
        found = _plain(name)
        return any(found == one or found.startswith(f"{one}_") for one in map(_plain, self.names))


def _plain(name: str) -> str:
    return re.sub(r"[-. ]", "_", name.lower())


_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")
_FLUX_ENCODERS = "comfyanonymous/flux_text_encoders"
_QWEN_IMAGE = "Comfy-Org/Qwen-Image_ComfyUI"
_QWEN_IMAGE_21 = "Comfy-Org/Qwen-Image-2.1"
_Z_IMAGE = "Comfy-Org/z_image_turbo"

COMPONENTS = {
    "sd1_vae": Component("VAE", ("sd1_vae", "sd_vae", "vae-ft-mse", "vae-ft-ema")),
    "sd2_vae": Component("VAE", ("sd2_vae", "sd_vae", "vae-ft-mse", "vae-ft-ema")),
    "sdxl_vae": Component("VAE", ("sdxl_vae", "sdxlvae")),
    "sd3_vae": Component("VAE", ("sd3_vae", "sd3.5_vae", "sd35_vae")),
    "flux_vae": Component(
        "VAE", ("ae", "flux_vae", "flux1_vae", "flux_ae", "flux1_ae"),
        _Z_IMAGE, ("split_files/vae/ae.safetensors",),
    ),
    "flux2_vae": Component(
        "VAE", ("flux2-vae", "flux2_ae", "flux_2_vae"),
        "Comfy-Org/flux2-dev", ("split_files/vae/flux2-vae.safetensors",),
    ),
    "qwen_image_vae": Component(
        "VAE", ("qwen_image_vae",), _QWEN_IMAGE, ("split_files/vae/qwen_image_vae.safetensors",)
    ),
    "clip_l": Component(
        "CLIP text encoder", ("clip_l",), _FLUX_ENCODERS, ("clip_l.safetensors",)
    ),
    "clip_h": Component("CLIP text encoder", ("clip_h", "open_clip_h")),
    "clip_g": Component(
        "CLIP text encoder", ("clip_g",),
        "Comfy-Org/stable-diffusion-3.5-fp8", ("text_encoders/clip_g.safetensors",),
    ),
    "t5xxl": Component(
        "T5 text encoder", ("t5xxl", "t5_xxl", "t5-v1_1-xxl"),
        _FLUX_ENCODERS, ("t5xxl_fp16.safetensors",),
    ),
    "qwen_3_4b": Component(
        "Qwen3 text encoder", ("qwen_3_4b", "qwen3_4b"),
        _Z_IMAGE, ("split_files/text_encoders/qwen_3_4b.safetensors",),
    ),
    "qwen_3_8b": Component(
        "Qwen3 text encoder", ("qwen_3_8b", "qwen3_8b"),
        "Comfy-Org/vae-text-encorder-for-flux-klein-9b",
        ("split_files/text_encoders/qwen_3_8b_fp8mixed.safetensors",),
    ),
    "qwen_2.5_vl_7b": Component(
        "Qwen2.5-VL text encoder", ("qwen_2.5_vl_7b", "qwen2.5_vl_7b", "qwen25_vl_7b"),
        _QWEN_IMAGE, ("split_files/text_encoders/qwen_2.5_vl_7b_fp8_scaled.safetensors",),
    ),
    "qwen3vl_4b": Component(
        "Qwen3-VL text encoder", ("qwen3vl_4b", "qwen3_vl_4b", "qwen_3_vl_4b")
    ),
    "qwen_image_2.1_vae": Component(
        "VAE", ("qwen_image_2.1_vae", "qwen_image_21_vae"),
        _QWEN_IMAGE_21, ("vae/qwen_image_2.1_vae_bf16.safetensors",),
    ),
    "qwen3vl_8b": Component(
        "Qwen3-VL text encoder", ("qwen3vl_8b", "qwen3_vl_8b", "qwen_3_vl_8b"),
        _QWEN_IMAGE_21, ("text_encoders/qwen3vl_8b_bf16.safetensors",),
    ),
    "gemma_2_2b": Component(
        "Gemma text encoder", ("gemma_2_2b", "gemma2_2b"),
        "Comfy-Org/Lumina_Image_2.0_Repackaged",
        ("split_files/text_encoders/gemma_2_2b_fp16.safetensors",),
    ),
    "gemma_tokenizer": Component(
        "Gemma tokenizer", ("gemma_tokenizer", "gemma2_tokenizer", "gemma_2_tokenizer"),
        "Alpha-VLLM/Lumina-Image-2.0", tuple(f"tokenizer/{name}" for name in _TOKENIZER),
    ),
}  # fmt: skip
"""The components, by name. The tokenizers of CLIP, T5 and Qwen come with Underpaint."""


@dataclass(frozen=True)
class Architecture:
    """An architecture that is opened from one file.

    Parameters
    ----------
    family, variant : str
        As `Contents` has them.
    configs : str
        A folder in `CONFIGS`.
    parts : mapping of str to str
        The component that each part may come from, by name in `COMPONENTS`.
    index : str
        The file in that folder that names the parts.
    named : tuple of str
        What the name of such a model contains, if nothing else identifies it; else empty.
    changes : mapping of str to mapping
        Values that take the place of those in a part's config.
    """

    family: str
    variant: str
    configs: str
    parts: Mapping[str, str]
    index: str = INDEX
    named: tuple[str, ...] = ()
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def is_optional(self, part: str) -> bool:
        """Return whether such a model works without a part."""
        return self.family in FLOWS and part in FLOWS[self.family].optional


_SD3 = {
    "vae": "sd3_vae", "text_encoder": "clip_l", "text_encoder_2": "clip_g",
    "text_encoder_3": "t5xxl",
}  # fmt: skip
_FLUX = {"vae": "flux_vae", "text_encoder": "clip_l", "text_encoder_2": "t5xxl"}
_CHROMA = {"vae": "flux_vae", "text_encoder": "t5xxl"}
_Z = {"vae": "flux_vae", "text_encoder": "qwen_3_4b"}
_KLEIN_4B = {**_Z, "vae": "flux2_vae"}
_KLEIN_9B = {**_KLEIN_4B, "text_encoder": "qwen_3_8b"}
_QWEN = {"vae": "qwen_image_vae", "text_encoder": "qwen_2.5_vl_7b"}
_KREA2 = {**_QWEN, "text_encoder": "qwen3vl_4b"}
_QWEN_21 = {"vae": "qwen_image_2.1_vae", "text_encoder": "qwen3vl_8b"}
_LUMINA2 = {"vae": "flux_vae", "text_encoder": "gemma_2_2b", "tokenizer": "gemma_tokenizer"}

_BASE_NAMES = ("klein-base", "klein_base", "base-4b", "base_4b", "base-9b", "base_9b")

_BASE = "base.json"
"""The index of models that are not distilled, which only their names tell."""

ARCHITECTURES = (
    Architecture("sd", "1", "sd1", {"vae": "sd1_vae", "text_encoder": "clip_l"}),
    Architecture("sd", "2", "sd2", {"vae": "sd2_vae", "text_encoder": "clip_h"}),
    Architecture(
        "sdxl", "", "sdxl",
        {"vae": "sdxl_vae", "text_encoder": "clip_l", "text_encoder_2": "clip_g"},
    ),
    Architecture("sd3", "3", "sd3-medium", _SD3),
    Architecture("sd3", "3.5-medium", "sd3.5-medium", _SD3),
    Architecture("sd3", "3.5-large", "sd3.5-large", _SD3),
    Architecture("flux", "dev", "flux-dev", _FLUX),
    Architecture(
        "flux", "fill", "flux-dev", _FLUX,
        changes={"transformer": {"in_channels": 384, "out_channels": 64}},
    ),
    Architecture("flux", "schnell", "flux-schnell", _FLUX),
    Architecture("chroma", "", "chroma", _CHROMA),
    Architecture("z-image", "", "z-image", _Z, named=FAST_NAMES),
    Architecture("z-image", "", "z-image", _Z, changes={"scheduler": {"shift": 6.0}}),
    Architecture("flux2-klein", "4b", "flux2-klein-4b", _KLEIN_4B, _BASE, _BASE_NAMES),
    Architecture("flux2-klein", "4b", "flux2-klein-4b", _KLEIN_4B),
    Architecture("flux2-klein", "9b", "flux2-klein-9b", _KLEIN_9B, _BASE, _BASE_NAMES),
    Architecture("flux2-klein", "9b", "flux2-klein-9b", _KLEIN_9B),
    Architecture("qwen-image", "", "qwen-image", _QWEN),
    Architecture("qwen-image-2.1", "", "qwen-image-2.1", _QWEN_21),
    Architecture("krea2", "", "krea2", _KREA2, named=FAST_NAMES),
    Architecture("krea2", "", "krea2", _KREA2, _BASE),
    Architecture("lumina2", "", "lumina2", _LUMINA2),
)  # fmt: skip
"""If a file may be several of them, the first whose name it has."""


def find_architecture(
    model: Path, contents: Contents, *, any_variant: bool = False
) -> Architecture | None:
    """Return the architecture of a model in one file; None where there are no configs for it.

    Parameters
    ----------
    model : Path
        The file. Its name may say whether it was distilled.
    contents : Contents
        What it is.
    any_variant : bool
        Whether the configs come from elsewhere, so that those of the variant need not be known.
    """
    family = [one for one in ARCHITECTURES if one.family == contents.family]
    variant = [one for one in family if one.variant == contents.variant]
    for one in variant or (family if any_variant else []):
        if not one.named or name_contains(model, one.named):
            return one
    return None


def find_providers(component: str) -> set[tuple[str, str]]:
    """Return in which part of which family a component may be found, as pairs.

    Not in Stable Diffusion's older families: who finetunes these, changes their text encoders too.
    """
    return {
        (one.family, part)
        for one in ARCHITECTURES
        for part, wanted in one.parts.items()
        if wanted == component and one.family in FLOWS
    }
