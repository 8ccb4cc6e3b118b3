"""What is known of each model family beside what a file says: sizes in pixels and in bytes."""

from __future__ import annotations

from dataclasses import dataclass

from underpaint_client.sentences import NO_TEXT, Listing, Sentence, sentence

from .architectures import ARCHITECTURES
from .families import FLOWS
from .probes import Contents

_GB = 10**9


@dataclass(frozen=True)
class FamilyFacts:
    """What is known of a family.

    Parameters
    ----------
    title : str
        What its users call it.
    native : int
        The side it was trained at, in pixels; of flow-matching families `FLOWS` says it.
    encoders : int
        Bytes of its text encoders in 16 bits, for files that come without them.
    working : int
        Bytes that one picture of the native size takes while it is painted, roughly.
    """

    title: str
    native: int = 1024
    encoders: int = 0
    working: int = 2 * _GB


_VAE = _GB // 6
"""Bytes of an autoencoder in 16 bits."""

_CLIP_L, _CLIP_G, _T5 = _GB // 4, 1_400_000_000, 9_500_000_000
_QWEN3_4B, _QWEN3_8B, _QWEN25_7B = 8_000_000_000, 16_400_000_000, 16_600_000_000

_FACTS = {
    "sd 1": FamilyFacts("Stable Diffusion 1", 512, _CLIP_L, _GB),
    "sd 2": FamilyFacts("Stable Diffusion 2", 768, 700_000_000, _GB),
    "sdxl": FamilyFacts("SDXL", encoders=_CLIP_L + _CLIP_G),
    "sd": FamilyFacts("Stable Diffusion", 512, _CLIP_L, _GB),
    "sdxl refiner": FamilyFacts("SDXL refiner", encoders=_CLIP_G),
    "sd3": FamilyFacts("Stable Diffusion 3", encoders=_CLIP_L + _CLIP_G + _T5),
    "flux": FamilyFacts("FLUX.1", encoders=_CLIP_L + _T5),
    "chroma": FamilyFacts("Chroma", encoders=_T5),
    "z-image": FamilyFacts("Z-Image", encoders=_QWEN3_4B),
    "qwen-image": FamilyFacts("Qwen-Image", encoders=_QWEN25_7B),
    "qwen-image 2.1": FamilyFacts("Qwen-Image 2.1", encoders=17_500_000_000),
    "flux2-klein": FamilyFacts("FLUX.2 klein", encoders=_QWEN3_4B),
    "flux2-klein 9b": FamilyFacts("FLUX.2 klein 9B", encoders=_QWEN3_8B),
    "flux2": FamilyFacts("FLUX.2 dev", encoders=48 * _GB),
    "krea2": FamilyFacts("Krea 2", encoders=8_900_000_000),
    "lumina2": FamilyFacts("Lumina 2", encoders=5_200_000_000),
    "anima": FamilyFacts("Anima", encoders=1_200_000_000),
}


def family_facts(family: str, variant: str = "") -> FamilyFacts:
    """Return what is known of a family; of one that is not known, its name and usual sizes."""
    return (
        _FACTS.get(f"{family} {variant}") or _FACTS.get(family) or FamilyFacts(family or "unknown")
    )


def native_size(contents: Contents) -> int:
    """Return the side that a model was trained at, in pixels."""
    if contents.family == "sd" and contents.variant == "2" and contents.purpose != "plain":
        return contents.native or 512
    flow = FLOWS.get(contents.family)
    known = flow.native if flow else family_facts(contents.family, contents.variant).native
    return contents.native or known


_COMPUTED = {"fp64": 0.25, "fp32": 0.5, "fp8": 2, "fp8_scaled": 2}
"""How many times as large weights are that are computed with, as those that are stored."""


def memory_needed(contents: Contents, size: int) -> int:
    """Return the bytes of memory in which a model and one picture of its native size fit.

    Weights count as they are stored, those of 32 bits, and those of 8 that are read as floating
    point, as the 16 that they are computed in. Parts that are not in the file count too. Computed,
    not measured: with less memory, parts of the model wait outside of the GPU for their turn, which
    takes longer.

    Parameters
    ----------
    contents : Contents
        From `read_contents`.
    size : int
        Bytes of all its weights.
    """
    facts = family_facts(contents.family, contents.variant)
    stored = int(size * _COMPUTED.get(contents.precision, 1))
    given = set(contents.parts)
    has_encoders = given - {"unet", "transformer", "vae"}
    missing = (0 if has_encoders else facts.encoders) + (0 if "vae" in given else _VAE)
    return stored + missing + facts.working


ONE_FILE = tuple(dict.fromkeys(one.family for one in ARCHITECTURES))
"""Families that are opened from one file."""


_OTHER_VARIANTS = ("2.1", "layered", "radiance", "edit-2511")
"""Variants whose denoiser is of another class, or has other tensors."""


def why_unusable(contents: Contents) -> Sentence:
    """Return why a file cannot be painted with; empty where its family is supported."""
    title = family_facts(contents.family, contents.variant).title
    if contents.family not in ONE_FILE:
        known = Listing(family_facts(family).title for family in ONE_FILE)
        return sentence(
            "it is a {family} model, and Underpaint opens {known}; take another model",
            family=title,
            known=known,
        )
    if contents.variant == "refiner":
        return sentence(
            "it is a refiner, which finishes another model's pictures; take a whole model"
        )
    if contents.variant in _OTHER_VARIANTS:
        return sentence(
            "it is a {family} model of another kind ({variant}); take a plain one",
            family=title,
            variant=contents.variant,
        )
    allowed = ("plain", "edit") if contents.family in FLOWS else ("plain", "inpainting")
    if contents.purpose not in allowed:
        what = sentence(
            "it is a {family} model for {purpose}", family=title, purpose=contents.purpose
        )
        if "inpainting" in allowed:
            return sentence("{problem}; take a plain or an inpainting one", problem=what)
        return sentence("{problem}; take a plain one", problem=what)
    return NO_TEXT
