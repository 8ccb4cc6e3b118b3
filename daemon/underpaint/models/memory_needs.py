"""How much memory a model and one picture need, part by part, computed from headers alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .describe import ModelInfo
from .model_index import DENOISERS
from .precisions import loaded_size
from .weights import read_tensors


@dataclass(frozen=True)
class PartSize:
    """The weights of one part, in the precision that they are computed in.

    Parameters
    ----------
    weights : int
        Bytes of all of them.
    largest : int
        Bytes of the largest tensor.
    """

    weights: int
    largest: int = 0


@dataclass(frozen=True)
class MemoryNeeds:
    """What a model needs, besides the size and the number of the pictures.

    Parameters
    ----------
    encoders : tuple of PartSize
        Its text encoders.
    denoiser, vae : PartSize
        Its UNet or transformer, and its autoencoder.
    denoising, encoding, decoding : int
        Bytes that each pixel of a picture takes while the denoiser runs, and while the
        autoencoder encodes and decodes. A picture that is guided counts as one.
    """

    encoders: tuple[PartSize, ...]
    denoiser: PartSize
    vae: PartSize
    denoising: int
    encoding: int
    decoding: int

    @property
    def weights(self) -> int:
        """Bytes of all weights."""
        return sum(part.weights for part in (*self.encoders, self.denoiser, self.vae))

    def most(self, pixels: int) -> int:
        """Return the peak memory of one picture in bytes, with all weights on the GPU."""
        return self.weights + pixels * max(self.denoising, self.encoding, self.decoding)


DESKTOP = 800 * 10**6
"""Bytes of a GPU's memory that the driver and a desktop take, approximately."""

_SHARE, _LOST = 0.95, 300 * 2**20


def count_on(free: float) -> float:
    """Return how much of the free memory can be used, in bytes.

    The rest is lost to fragmentation and to libraries.
    """
    return max(0.0, free * _SHARE - _LOST)


def find_card(needed: float) -> float:
    """Return the bytes of memory of a GPU that has so many usable bytes beside a desktop."""
    return (needed + _LOST) / _SHARE + DESKTOP


DENOISING = 700
"""Bytes a pixel, in 16 bits. The tensors that are alive in one call take 316 (SDXL) to 588 (FLUX.2
klein), as `tests/benchmarks/working_memory.py` counts; the rest is room for what kernels take."""

_AUTOENCODERS = {
    "AutoencoderKLQwenImage": (1200, 2150),
    "AutoencoderKLQwenImage21": (1330, 4020),
}
_AUTOENCODER = 800, 960
"""Numbers a pixel that an autoencoder holds while it encodes and decodes. Counted on the usual
`AutoencoderKL`: 640 and 768, on Qwen-Image's: 967 and 1730, on that of 2.1: 1066 and 3216; a
quarter more is for convolutions."""


def make_needs(
    encoders: Iterable[PartSize],
    denoiser: PartSize,
    vae: PartSize,
    *,
    vae_class: str = "AutoencoderKL",
    number: int = 2,
    vae_number: int = 2,
) -> MemoryNeeds:
    """Return the needs of a model with parts of these sizes.

    Parameters
    ----------
    encoders, denoiser, vae
        As `MemoryNeeds` has them.
    vae_class : str
        The autoencoder's class in diffusers.
    number, vae_number : int
        Bytes of a number that the model, and its autoencoder, compute with.
    """
    encoding, decoding = _AUTOENCODERS.get(vae_class, _AUTOENCODER)
    return MemoryNeeds(
        tuple(encoders),
        denoiser,
        vae,
        denoising=DENOISING * number // 2,
        encoding=encoding * vae_number,
        decoding=decoding * vae_number,
    )


FULL_PRECISION_VAES = ("sdxl",)
"""Families whose autoencoder computes in 32 bits whatever the others do."""


def describe_needs(info: ModelInfo, number: int) -> MemoryNeeds:
    """Return what a model needs, from the headers of its weights.

    Parameters
    ----------
    info : ModelInfo
        From `describe_model`.
    number : int
        Bytes of a number that it computes with: 2 on a GPU, 4 on a CPU.

    Raises
    ------
    ModelUnavailableError
        A file is damaged, or was changed meanwhile.
    """
    sizes: dict[str, PartSize] = {}
    vae_number = 4 if info.family in FULL_PRECISION_VAES else number
    for part in info.parts:
        if part.has_weights:
            held = vae_number if part.name == "vae" else number
            stays = part.weights.lower().endswith(".gguf") and part.name in DENOISERS
            found = read_tensors(info.path, part).values()
            sizes[part.name] = _measure(
                [loaded_size(one, held, stays_quantised=stays) for one in found]
            )
    denoiser = "unet" if "unet" in sizes else "transformer"
    vae_class = next(part.class_name for part in info.parts if part.name == "vae")
    return make_needs(
        (size for name, size in sizes.items() if name not in (denoiser, "vae")),
        sizes[denoiser],
        sizes["vae"],
        vae_class=vae_class,
        number=number,
        vae_number=vae_number,
    )


def _measure(tensors: list[int]) -> PartSize:
    return PartSize(sum(tensors), max(tensors, default=0))
