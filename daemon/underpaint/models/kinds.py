"""What weight files are that are not models: additions to a model, and parts of one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from underpaint_client.sentences import Sentence, sentence

from .tensor_names import UNET_INPUT, TensorNames
from .tensors import Header, Tensor

IP_ADAPTER = "IP-Adapter"
"""The kind of an IP-Adapter."""

VISION_MODEL = "CLIP vision model"
"""The kind of the encoder of pictures that IP-Adapters read with."""


def with_article(kind: str) -> Sentence:
    """Return a kind of file with its article: `a LoRA`, `an upscaler`, `a UNet`."""
    if kind[:1] in tuple("AEIOaeiou"):
        return sentence("an {kind}", kind=kind)
    return sentence("a {kind}", kind=kind)


def is_lora(kind: str) -> bool:
    """Return whether a kind of file is a LoRA, or one of its relatives of LyCORIS."""
    return kind.startswith(("LoRA", "LyCORIS"))


def is_controlnet(kind: str) -> bool:
    """Return whether a kind of file is a ControlNet of any form."""
    return kind.startswith("ControlNet")


def fits_base(bases: Sequence[str], family: str, variant: str = "") -> bool:
    """Return whether what was made for these models may be used with one.

    Parameters
    ----------
    bases : sequence of str
        Each a family, or a family and a variant: `sdxl`, `sd 1`. Empty if nothing is known.
    family, variant : str
        As `Contents` has them; without a variant, any of the family.
    """
    if not bases or family in bases or f"{family} {variant}" in bases:
        return True
    return not variant and any(base.split(" ")[0] == family for base in bases)


_ENDINGS = tuple((re.compile(rf"(?:{ending})$"), kind) for ending, kind in (
    (r"\.lora_(up|down|mid)\.weight|\.lora_[AB]\.(\w+\.)?weight|\.lora\.(up|down)\.weight"
     r"|_lora\d?\.(up|down)\.weight|\.lora_linear_layer\.(up|down)\.weight", "LoRA"),
    (r"\.hada_w[12](_[ab])?|\.hada_t[12]", "LyCORIS (LoHa)"),
    (r"\.lokr_w[12](_[ab])?|\.lokr_t2", "LyCORIS (LoKr)"),
    (r"\.oft_blocks|\.oft_diag|\.oft_R\.(\w+\.)?weight", "LyCORIS (OFT)"),
    (r"\.on_input", "LyCORIS (IA3)"),
    (r"\.[ab][12]\.weight", "LyCORIS (GLoRA)"),
    (r"\.diff|\.diff_b", "LyCORIS (full)"),
))  # fmt: skip
"""How the tensors of additions to a model end."""

_LYCORIS_STARTS = ("lora_", "lycoris_", "diffusion_model.", "transformer.", "unet.")


_MAYBE = ("lora", ".hada_", ".lokr_", ".oft_", ".on_input\n", ".diff\n", ".diff_b\n",
          ".a1.weight\n", ".a2.weight\n", ".b1.weight\n", ".b2.weight\n")  # fmt: skip
"""What names of additions contain: most models have none of it, and need no look at each name."""


def tail_of(name: str) -> str:
    """Return the last parts of a tensor's name, as many as say its role.

    There are far fewer of them than names.
    """
    before, _, last = name.rpartition(".")
    if last != "weight":
        return f".{last}"
    start, dot, middle = before.rpartition(".")
    if not dot:
        return f".{name}"
    # peft may put an adapter's name in between, and diffusers had lora before the last two
    if middle in ("up", "down") or start.endswith((".lora_A", ".lora_B")):
        return f".{start.rpartition('.')[2]}.{middle}.weight"
    return f".{middle}.weight"


def _count_additions(names: Iterable[str]) -> Counter[str]:
    """Return how many tensors there are of each kind of addition."""
    found: Counter[str] = Counter()
    tails = Counter((tail_of(name), name.startswith(_LYCORIS_STARTS)) for name in names)
    for (tail, is_lycoris), count in tails.items():
        for ending, kind in _ENDINGS:
            if (kind == "LoRA" or is_lycoris) and ending.search(tail):
                found[kind] += count
    return found


def find_addition(names: TensorNames) -> str:
    """Return what a file that might look like a model is instead; empty where it may be one."""
    if "lora_controlnet" in names.all:
        return "ControlNet (Control-LoRA)"
    text = "\n".join((*names.all, ""))
    found = _count_additions(names.all) if any(map(text.__contains__, _MAYBE)) else None
    if found:
        # a full-size model in which a LoRA was forgotten is no LoRA: it has far more of its own
        kind, _ = found.most_common(1)[0]
        if 4 * sum(found.values()) >= len(names.all) or not names.get(*UNET_INPUT):
            return kind
    return _first_match(_OTHERS, names.all)


def _first_match(patterns: Patterns, names: Iterable[str]) -> str:
    """Return the first kind of which a name begins as its pattern says; empty for none."""
    return next((kind for kind, one in patterns if any(map(one.match, names))), "")


Patterns = tuple[tuple[str, re.Pattern[str]], ...]

_OTHERS: Patterns = tuple((kind, re.compile(pattern)) for kind, pattern in (
    ("ControlNet", r"(control_model\.|controlnet_|(model\.diffusion_model\.)?control_(layers|all_x)"
                   r"|pulid_|controlnet_blocks\.|input_hint_block\.|zero_convs\.)"),
    ("T2I adapter", r"(adapter\.)?body\.0\.(in_conv|block1)\."),
    (IP_ADAPTER, r"(ip_adapter|image_proj)\."),
    ("motion module", r"(down_blocks|mid_block|up_blocks)\S*\.motion_modules\."),
))  # fmt: skip


def find_part_kind(names: TensorNames, header: Header) -> str:
    """Return what a file that has no denoiser is; empty where that is not known."""
    if _is_embedding(header.tensors):
        return "textual inversion"
    architecture = header.metadata.get("general.architecture", "")
    if architecture in _LANGUAGE_MODELS:
        return "text encoder"
    return _first_match(_PARTS, names.all)


_LANGUAGE_MODELS = ("t5", "t5encoder", "llama", "qwen2", "qwen2vl", "qwen3", "qwen3vl", "gemma2",
                    "gemma3", "mistral3", "clip")  # fmt: skip
"""Architectures, as GGUF calls them."""

_PARTS: Patterns = tuple((kind, re.compile(pattern)) for kind, pattern in (
    ("VAE", r"((first_stage_model|vae)\.)?(encoder|decoder)\."
            r"(conv_in|conv_out|down\.|up\.|down_blocks|up_blocks|mid|middle|conv1|head)"),
    ("preview decoder", r"((taesd_)?decoder\.)?(layers\.)?\d+\.(conv\.\d+\.)?(weight|bias)$"),
    (VISION_MODEL, r"(visual_projection|vision_model\.|visual\.transformer)"),
    ("text encoder", r"(text_encoders?\.|(cond_stage_model|conditioner)\.)?"
                     r"(text_model\.|transformer\.(text_model|resblocks)\.|encoder\.block\.0\.layer"
                     r"|shared\.weight|(embeddings\.)?token_embedding"
                     r"|model\.(language_model\.)?(layers|embed)|text_projection"
                     r"|enc\.blk\.|blk\.\d+\.attn)"),
    ("upscaler", r"(model\.\d+\.|conv_first\.|conv_body|RRDB_trunk|RDB\d|params\.|layers\.\d+\."
                 r"(residual_group|blocks)|body\.\d+\.(rdb|weight|bias)|upsampler\.|relative_pos)"),
))  # fmt: skip


def _is_embedding(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether these are the vectors of a textual inversion: few, and of a token's width."""
    widths = {768, 1024, 1280, 2048, 4096}
    return 0 < len(tensors) <= 4 and all(
        len(one.shape) in (1, 2) and one.shape[-1] in widths and one.shape[0] <= 4096
        for one in tensors.values()
    )
