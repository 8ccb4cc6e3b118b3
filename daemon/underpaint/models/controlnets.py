"""What a ControlNet is for, read from its header alone: base model and, of a union, its kinds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from underpaint_client.printable import one_line
from underpaint_client.sentences import Sentence, sentence
from underpaint_client.typed_json import SENTENCE

from .tensors import Header, Tensor

CONTROL_LORA = "ControlNet (Control-LoRA)"
"""The kind of a Control-LoRA, as `find_addition` calls it."""

UNION_KINDS: tuple[tuple[str, ...], ...] = (
    ("pose",),
    ("depth",),
    ("scribble",),
    ("canny", "lines"),
    ("normal",),
    ("segmentation",),
    ("tile", "blur"),
)
"""The control layers that a union reads, by its numbers of kinds (xinsir's ControlNet++). Soft
edges are among its scribbles. The last one is only known to those of eight kinds."""


@dataclass(frozen=True)
class ControlNetFacts:
    """What a ControlNet's header says.

    Parameters
    ----------
    bases : tuple of str
        The models that it fits, as `LoraFacts.bases`.
    text_width : int
        Numbers of a prompt's token that it takes; 0 if it reads no prompt.
    union : int
        How many kinds of control layers a union tells apart; 0 for a ControlNet of one kind.
    title : str
        As its maker calls it (modelspec.title), in one line; empty where the file does not say it.
    problem : str
        Why it cannot be used, as the end of a sentence; empty where nothing is wrong with it.
    """

    bases: tuple[str, ...] = ()
    text_width: int = 0
    union: int = 0
    title: str = ""
    problem: str = field(default="", metadata=SENTENCE)


PREFIX = re.compile(r"^control_model\.")
"""What may stand before the names of a ControlNet's layers."""

_HINT = ("controlnet_cond_embedding.conv_in.weight", "input_hint_block.0.weight")
"""What a picture goes through first, in diffusers' layout and in the authors'."""

_TEXT = re.compile(r"\battn2\.to_k\.weight$")
_VARIANTS = {768: ("sd 1",), 1024: ("sd 2",), 2048: ("sdxl",)}

_TRANSFORMERS = tuple((family, re.compile(pattern)) for family, pattern in (
    ("qwen-image", r"^transformer_blocks\.\d+\.img_mod\."),
    ("z-image", r"^control_(?:layers|all_x_embedder)"),
    ("flux", r"^(?:single_transformer_blocks|single_blocks|double_blocks)\."
             r"|^controlnet_x_embedder\."),
    ("sd3", r"^(?:pos_embed_input|joint_blocks|transformer_blocks)\."),
))  # fmt: skip


def tell_controlnet(kind: str, header: Header) -> ControlNetFacts:
    """Return what a ControlNet is for.

    Parameters
    ----------
    kind : str
        From `find_addition`.
    header : Header
        Its header.
    """
    tensors = {PREFIX.sub("", name): one for name, one in header.tensors.items()}
    bases, width = _find_bases(tensors)
    union = tensors.get("task_embedding")
    return ControlNetFacts(
        bases=bases,
        text_width=width,
        union=union.shape[0] if union is not None and union.shape else 0,
        title=one_line(header.metadata.get("modelspec.title", ""), 100),
        problem=_find_problem(kind, header, tensors),
    )


def _find_bases(tensors: dict[str, Tensor]) -> tuple[tuple[str, ...], int]:
    """Return the models that a ControlNet fits, and the numbers of a token that it takes."""
    if not any(name in tensors for name in _HINT):
        families = (f for f, one in _TRANSFORMERS if any(map(one.match, tensors)))
        return tuple(families)[:1], 0
    shapes = (one.shape for name, one in tensors.items() if _TEXT.search(name))
    width = next((shape[1] for shape in shapes if len(shape) == 2), 0)
    is_xl = any(n in tensors for n in ("add_embedding.linear_1.weight", "label_emb.0.0.weight"))
    return _VARIANTS.get(width, ("sdxl",) if is_xl else ("sd",)), width


def _find_problem(kind: str, header: Header, tensors: dict[str, Tensor]) -> str | Sentence:
    if kind == CONTROL_LORA:
        return sentence("a Control-LoRA cannot be used; take a whole ControlNet")
    if header.format == "gguf":
        return sentence("a ControlNet in GGUF cannot be used; take one in safetensors")
    hint = next((tensors[name] for name in _HINT if name in tensors), None)
    if hint is None:
        return sentence(
            "only ControlNets for Stable Diffusion 1, 2 and XL can be used; take one of these"
        )
    if len(hint.shape) != 4 or hint.shape[1] != 3:
        return sentence(
            "it takes pictures of shape {shape}, and only those of three channels can be used; take"
            " another ControlNet",
            shape=" x ".join(map(str, hint.shape)),
        )
    return ""


_KINDS = tuple((kind, re.compile(pattern)) for kind, pattern in (
    ("canny", r"canny"),
    ("depth", r"depth|midas|zoe"),
    ("pose", r"pose"),
    ("normal", r"normal"),
    ("segmentation", r"(?<![a-z])seg(?:mentation)?(?![a-z])"),
    ("scribble", r"scribble|sketch"),
    ("lines", r"lineart|line_art|mlsd|(?<![a-z])hed(?![a-z])|softedge|pidi|(?<![a-z])lines?"
              r"(?![a-z])"),
    ("tile", r"(?<![a-z])tile"),
    ("blur", r"(?<![a-z])blur"),
))  # fmt: skip
"""What the names of ControlNets contain that read a kind of control layer."""


def tell_kinds(name: str, facts: ControlNetFacts) -> tuple[str, ...]:
    """Return the kinds of control layers that a ControlNet reads; empty where that is not known.

    Parameters
    ----------
    name : str
        Its file's or folder's. Beside what is in a union, only a name tells it.
    facts : ControlNetFacts
        From `tell_controlnet`.
    """
    if facts.union:
        last = len(UNION_KINDS) if facts.union > 6 else 6
        return tuple(kind for kinds in UNION_KINDS[:last] for kind in kinds)
    called = f"{name} {facts.title}".lower()
    found = [kind for kind, one in _KINDS if one.search(called)]
    if "tile" in found and "blur" not in found:  # made to keep a picture that lost its detail
        found.append("blur")
    return tuple(found)
