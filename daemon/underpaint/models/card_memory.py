"""The memory of a GPU on which all of a model stays, for lists of models."""

from __future__ import annotations

import functools

from .architectures import ARCHITECTURES
from .describe import ModelInfo
from .facts import native_size
from .known_sizes import ENCODERS, VAE, VAES
from .memory_needs import (
    FULL_PRECISION_VAES,
    MemoryNeeds,
    PartSize,
    describe_needs,
    find_card,
    make_needs,
)
from .probes import Contents


def card_memory(needs: MemoryNeeds, native: int) -> int:
    """Return the bytes of a GPU's memory with which all of a model stays there, beside a desktop.

    For one picture of its native size. Computed from the sizes of its weights, and not measured:
    with less memory, parts of the model wait outside of the GPU for their turn, which takes longer.

    Parameters
    ----------
    needs : MemoryNeeds
        In 16 bits.
    native : int
        The side it was trained at, in pixels.
    """
    return round(find_card(needs.most(native**2)))


@functools.lru_cache(maxsize=256)  # every list asks, and each answer reads the headers again
def folder_memory(info: ModelInfo) -> int:
    """Return the `card_memory` of a model in a folder.

    Raises
    ------
    ModelUnavailableError
        As `describe_needs`.
    """
    return card_memory(describe_needs(info, 2), info.native)


def file_memory(contents: Contents) -> int:
    """Return the `card_memory` of a model in one file; 0 for a family that is not opened.

    Parts that are not in the file count as large as they are known to be: it need not be opened.
    """
    family = [one for one in ARCHITECTURES if one.family == contents.family]
    if not family:
        return 0
    kind = next((one for one in family if one.variant == contents.variant), family[0])
    sizes = dict(zip(contents.parts, contents.sizes, strict=False))
    denoiser = sizes.pop("unet", 0) or sizes.pop("transformer", 0)
    usual_vae, vae_class = VAES.get(kind.parts["vae"], (VAE, "AutoencoderKL"))
    vae = sizes.pop("vae", 0) or usual_vae.weights
    usual = [ENCODERS[one] for part, one in kind.parts.items() if part.startswith("text_encoder")]
    usual.sort(key=lambda one: one.weights)  # a file that has some of them has the small ones
    encoders = [*map(PartSize, sizes.values()), *usual[len(sizes) :]]
    vae_number = 4 if contents.family in FULL_PRECISION_VAES else 2
    needs = make_needs(
        encoders,
        PartSize(denoiser),
        PartSize(vae * vae_number // 2),
        vae_class=vae_class,
        vae_number=vae_number,
    )
    return card_memory(needs, native_size(contents))
