"""What an IP-Adapter is for, and what a CLIP vision model reads, from their headers alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from underpaint_client.printable import one_line
from underpaint_client.sentences import Sentence, sentence
from underpaint_client.typed_json import SENTENCE

from .tensors import Header, Tensor


@dataclass(frozen=True)
class IpAdapterFacts:
    """What an IP-Adapter's header says.

    Parameters
    ----------
    bases : tuple of str
        The models that it fits, as `LoraFacts.bases`.
    text_width : int
        Numbers of a prompt's token, which its own have too; 0 where the file does not tell.
    tokens : int
        How many tokens it makes of a picture; 0 where the file does not tell.
    reads : str
        What it reads of a CLIP vision model: `projection`, one vector for all of the picture, or
        `patches`, one for each part of it; empty where it reads none.
    width : int
        Numbers of such a vector.
    title : str
        As its maker calls it (modelspec.title), in one line; empty where the file does not say it.
    problem : str
        Why it cannot be used, as the end of a sentence; empty where nothing is wrong with it.
    """

    bases: tuple[str, ...] = ()
    text_width: int = 0
    tokens: int = 0
    reads: str = ""
    width: int = 0
    title: str = ""
    problem: str = field(default="", metadata=SENTENCE)


@dataclass(frozen=True)
class VisionFacts:
    """What the header of a CLIP vision model says.

    Parameters
    ----------
    hidden : int
        Numbers of the vector of each part of a picture.
    projection : int
        Numbers of the vector of all of it; 0 for a model without.
    layers, intermediate : int
        How many layers there are, and how wide they are inside.
    patch : int
        The side of a part, in pixels.
    positions : int
        How many parts there are, and one for all.
    problem : str
        As `IpAdapterFacts`.
    """

    hidden: int = 0
    projection: int = 0
    layers: int = 0
    intermediate: int = 0
    patch: int = 0
    positions: int = 0
    problem: str = field(default="", metadata=SENTENCE)

    def width(self, reads: str) -> int:
        """Return how many numbers a vector has that an adapter reads; as `IpAdapterFacts`."""
        return self.projection if reads == "projection" else self.hidden


_KEYS = re.compile(r"^ip_adapter\.\d+\.to_k_ip\.weight$")
_BASES = {768: ("sd 1",), 1024: ("sd 2",), 2048: ("sdxl",)}
_IMAGE = "image_proj."


def tell_ip_adapter(header: Header) -> IpAdapterFacts:
    """Return what an IP-Adapter is for."""
    tensors = header.tensors
    keys = [one for name, one in tensors.items() if _KEYS.match(name) and len(one.shape) == 2]
    text_width = keys[0].shape[1] if keys else 0
    image = {name.removeprefix(_IMAGE): one for name, one in tensors.items() if _IMAGE in name}
    tokens, reads, width = _find_form(image, text_width)
    return IpAdapterFacts(
        bases=_BASES.get(text_width, ()),
        text_width=text_width,
        tokens=tokens,
        reads=reads,
        width=width,
        title=one_line(header.metadata.get("modelspec.title", ""), 100),
        problem=_find_problem(header, keys, image, reads),
    )


def _find_form(image: dict[str, Tensor], text_width: int) -> tuple[int, str, int]:
    """Return how many tokens an adapter makes, what it reads, and how wide that is."""
    if _reads_faces(image):
        return 0, "", 0
    if "proj.weight" in image and "norm.weight" in image:
        out, width = _shape(image, "proj.weight")
        return (out // text_width if text_width else 0), "projection", width
    if "proj.3.weight" in image:
        return 257, "patches", _shape(image, "proj.0.weight")[1]
    if "latents" in image and "proj_in.weight" in image:
        shape = image["latents"].shape
        tokens = shape[1] if len(shape) == 3 else 0
        return tokens, "patches", _shape(image, "proj_in.weight")[1]
    return 0, "", 0


def _reads_faces(image: dict[str, Tensor]) -> bool:
    """Return whether an adapter reads what InsightFace says of a face (FaceID)."""
    is_plain = "proj.2.weight" in image and "proj.3.weight" not in image
    return is_plain or "perceiver_resampler.proj_in.weight" in image


def _shape(image: dict[str, Tensor], name: str) -> tuple[int, int]:
    shape = image[name].shape if name in image else ()
    return (shape[0], shape[1]) if len(shape) == 2 else (0, 0)


def _find_problem(
    header: Header, keys: list[Tensor], image: dict[str, Tensor], reads: str
) -> str | Sentence:
    if header.format == "gguf":
        return sentence("an IP-Adapter in GGUF cannot be used; take one in safetensors")
    if _reads_faces(image):
        return sentence(
            "a FaceID adapter reads faces by InsightFace and cannot be used; take one that reads"
            " pictures, such as plus-face"
        )
    if not keys or not reads:
        return sentence(
            "only IP-Adapters for Stable Diffusion 1 and XL can be used; take one of these"
        )
    return ""


_VISION = "vision_model."
_LAYER = re.compile(r"^vision_model\.encoder\.layers\.(\d+)\.")


def tell_vision_model(header: Header) -> VisionFacts:
    """Return what a CLIP vision model reads."""
    tensors = header.tensors
    patches = tensors.get(f"{_VISION}embeddings.patch_embedding.weight")
    positions = tensors.get(f"{_VISION}embeddings.position_embedding.weight")
    projection = tensors.get("visual_projection.weight")
    inner = tensors.get(f"{_VISION}encoder.layers.0.mlp.fc1.weight")
    layers = {found[1] for name in tensors if (found := _LAYER.match(name))}
    if patches is None or positions is None or inner is None or len(patches.shape) != 4:
        told = sentence("only CLIP vision models in the layout of transformers can be used")
        return VisionFacts(problem=told)
    return VisionFacts(
        hidden=patches.shape[0],
        projection=projection.shape[0] if projection is not None else 0,
        layers=len(layers),
        intermediate=inner.shape[0],
        patch=patches.shape[2],
        positions=positions.shape[0],
        problem=sentence("a CLIP vision model in GGUF cannot be used")
        if header.format == "gguf"
        else "",
    )
