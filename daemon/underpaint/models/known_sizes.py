"""The sizes of well-known models, to say what fits a machine before a model is downloaded."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .memory_needs import MemoryNeeds, PartSize, make_needs

_MB = 10**6

CLIP_L = PartSize(246 * _MB, 76 * _MB)
CLIP_G = PartSize(1389 * _MB, 126 * _MB)
CLIP_H = PartSize(681 * _MB, 101 * _MB)
T5_XXL = PartSize(9525 * _MB, 263 * _MB)
QWEN3_4B = PartSize(8045 * _MB, 778 * _MB)
QWEN3_8B = PartSize(16381 * _MB, 1245 * _MB)
QWEN3_VL_4B = PartSize(8900 * _MB, 778 * _MB)
QWEN3_VL_8B = PartSize(17534 * _MB, 1245 * _MB)
QWEN25_VL_7B = PartSize(16600 * _MB, 1090 * _MB)
GEMMA2_2B = PartSize(5229 * _MB, 1180 * _MB)

ENCODERS = {
    "clip_l": CLIP_L, "clip_g": CLIP_G, "clip_h": CLIP_H, "t5xxl": T5_XXL,
    "qwen_3_4b": QWEN3_4B, "qwen_3_8b": QWEN3_8B, "qwen3vl_4b": QWEN3_VL_4B,
    "qwen3vl_8b": QWEN3_VL_8B,
    "qwen_2.5_vl_7b": QWEN25_VL_7B, "gemma_2_2b": GEMMA2_2B,
}  # fmt: skip
"""The text encoders, as `architectures.COMPONENTS` calls them."""

VAE = PartSize(167 * _MB, 5 * _MB)
_VAE_32 = PartSize(335 * _MB, 9 * _MB)
QWEN_VAE = PartSize(254 * _MB, 8 * _MB)
QWEN_VAE_21 = PartSize(675 * _MB, 24 * _MB)

VAES = {
    "qwen_image_vae": (QWEN_VAE, "AutoencoderKLQwenImage"),
    "qwen_image_2.1_vae": (QWEN_VAE_21, "AutoencoderKLQwenImage21"),
}
"""Autoencoders that are not the usual one, as `ENCODERS`, and their classes in diffusers."""

_Q4 = 4.5 / 16
"""The size of `Q4_K` as a share of 16 bits."""


@dataclass(frozen=True)
class KnownModel:
    """A well-known model in 16 bits, as its authors published it.

    Parameters
    ----------
    title : str
        What its users call it.
    native : int
        The side it was trained at, in pixels.
    needs : MemoryNeeds
        Sizes of the classes that diffusers and transformers make of its configs.
    """

    title: str
    native: int
    needs: MemoryNeeds


def _model(
    title: str, denoiser: PartSize, encoders: tuple[PartSize, ...], native: int = 1024
) -> KnownModel:
    return KnownModel(title, native, make_needs(encoders, denoiser, VAE))


def _with_qwen_vae(model: KnownModel, name: str = "qwen_image_vae") -> KnownModel:
    vae, vae_class = VAES[name]
    needs = make_needs(model.needs.encoders, model.needs.denoiser, vae, vae_class=vae_class)
    return replace(model, needs=needs)


def _in_q4(model: KnownModel) -> KnownModel:
    """Return a model whose denoiser is a GGUF file in `Q4_K`."""
    part = model.needs.denoiser
    smaller = PartSize(round(part.weights * _Q4), round(part.largest * _Q4))
    return replace(
        model, title=f"{model.title}, GGUF Q4", needs=replace(model.needs, denoiser=smaller)
    )


_FLUX = _model("FLUX.1", PartSize(23802 * _MB, 113 * _MB), (CLIP_L, T5_XXL))
_QWEN_IMAGE = _with_qwen_vae(
    _model("Qwen-Image", PartSize(40861 * _MB, 113 * _MB), (QWEN25_VL_7B,), 1328)
)

KNOWN_MODELS = (
    _model("Stable Diffusion 1.5", PartSize(1719 * _MB, 59 * _MB), (CLIP_L,), 512),
    _model("Stable Diffusion 2.1", PartSize(1732 * _MB, 59 * _MB), (CLIP_H,), 768),
    KnownModel(
        "SDXL, Illustrious, Pony",
        1024,
        make_needs((CLIP_L, CLIP_G), PartSize(5135 * _MB, 59 * _MB), _VAE_32, vae_number=4),
    ),
    _model("Lumina Image 2.0", PartSize(5214 * _MB, 42 * _MB), (GEMMA2_2B,)),
    _model("FLUX.2 klein 4B", PartSize(7766 * _MB, 170 * _MB), (QWEN3_4B,)),
    _model("Z-Image", PartSize(12310 * _MB, 79 * _MB), (QWEN3_4B,)),
    _with_qwen_vae(
        _model("Qwen-Image 2.1", PartSize(14230 * _MB, 134 * _MB), (QWEN3_VL_8B,)),
        "qwen_image_2.1_vae",
    ),
    _model("Stable Diffusion 3.5 Large", PartSize(16107 * _MB, 71 * _MB), (CLIP_L, CLIP_G, T5_XXL)),
    _model("Chroma", PartSize(17801 * _MB, 94 * _MB), (T5_XXL,)),
    _in_q4(_FLUX),
    _FLUX,
    _with_qwen_vae(_model("Krea 2", PartSize(25640 * _MB, 453 * _MB), (QWEN3_VL_4B,))),
    _in_q4(_QWEN_IMAGE),
    _QWEN_IMAGE,
)
"""By the size of the whole, about. Computed, as no tensor was read."""
