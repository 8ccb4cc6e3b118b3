"""What is known of each model family beside what a file says."""

from __future__ import annotations

from dataclasses import dataclass

from underpaint_client.sentences import NO_TEXT, Listing, Sentence, sentence

from .architectures import ARCHITECTURES
from .families import FLOWS
from .probes import Contents


@dataclass(frozen=True)
class FamilyFacts:
    """What is known of a family.

    Parameters
    ----------
    title : str
        What its users call it.
    native : int
        The side it was trained at, in pixels; of flow-matching families `FLOWS` says it.
    """

    title: str
    native: int = 1024


_FACTS = {
    "sd 1": FamilyFacts("Stable Diffusion 1", 512),
    "sd 2": FamilyFacts("Stable Diffusion 2", 768),
    "sdxl": FamilyFacts("SDXL"),
    "sd": FamilyFacts("Stable Diffusion", 512),
    "sdxl refiner": FamilyFacts("SDXL refiner"),
    "sd3": FamilyFacts("Stable Diffusion 3"),
    "flux": FamilyFacts("FLUX.1"),
    "flux fill": FamilyFacts("FLUX.1 Fill"),
    "chroma": FamilyFacts("Chroma"),
    "z-image": FamilyFacts("Z-Image"),
    "qwen-image": FamilyFacts("Qwen-Image"),
    "qwen-image-2.1": FamilyFacts("Qwen-Image 2.1"),
    "flux2-klein": FamilyFacts("FLUX.2 klein"),
    "flux2-klein 9b": FamilyFacts("FLUX.2 klein 9B"),
    "flux2": FamilyFacts("FLUX.2 dev"),
    "krea2": FamilyFacts("Krea 2"),
    "lumina2": FamilyFacts("Lumina 2"),
    "anima": FamilyFacts("Anima"),
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


ONE_FILE = tuple(dict.fromkeys(one.family for one in ARCHITECTURES))
"""Families that are opened from one file."""


_OTHER_VARIANTS = ("layered", "radiance", "edit-2511")
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
    flow = FLOWS.get(contents.family)
    allowed = {"plain", "inpainting"} if flow is None else {"plain", "edit"}
    if flow is not None and flow.inpainting is not None:
        allowed.add("inpainting")
    if contents.purpose not in allowed:
        what = sentence(
            "it is a {family} model for {purpose}", family=title, purpose=contents.purpose
        )
        if "inpainting" in allowed:
            return sentence("{problem}; take a plain or an inpainting one", problem=what)
        return sentence("{problem}; take a plain one", problem=what)
    return NO_TEXT
