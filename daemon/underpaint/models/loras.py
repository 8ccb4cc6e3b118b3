"""What a LoRA is for, read from its header alone: base models, rank, trigger words.

kohya joins the names of layers with `_` (`lora_unet_double_blocks_0_img_attn_proj.lora_down`), peft
and diffusers keep the dots (`transformer.transformer_blocks.0.attn.to_q.lora_A`). Both become the
same here, so that one table tells the base model: by the names of layers, and by how many numbers
they take and give where names are the same.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from underpaint_client.printable import one_line
from underpaint_client.sentences import NO_TEXT, Sentence, sentence
from underpaint_client.typed_json import SENTENCE

from .kinds import fits_base, tail_of
from .reading import parse_json
from .tensors import Header, Tensor

MOST_RANK = 4096
"""The highest rank of a LoRA; 4 to 128 are usual, and full-size extractions have up to 1024."""

LONGEST_NAME = 400
"""Characters of a tensor's name; the longest of real files have about 130."""

MOST_WORDS, LONGEST_WORD = 12, 100
"""How many trigger words are kept, and of how many characters."""


@dataclass(frozen=True)
class LoraFacts:
    """What a LoRA's header says.

    Parameters
    ----------
    bases : tuple of str
        The models that it fits, each as a family, or a family and a variant: `sdxl`, `sd 1`,
        `flux2-klein 4b`. Several if the header does not tell them apart; empty if it says
        nothing.
    rank : int
        The highest of its layers; 0 where they have none.
    layers : int
        How many layers it changes.
    text_encoder : bool
        Whether some of them are a text encoder's.
    trigger_words : tuple of str
        What its maker says to write in the prompt; else the most frequent tags of its training
        captions. Of one line each.
    base_model : str
        The base model's name as its maker wrote it; empty where the file does not say it.
    problem : str
        Why it cannot be used, as the end of a sentence; empty where nothing is wrong with it.
    """

    bases: tuple[str, ...] = ()
    rank: int = 0
    layers: int = 0
    text_encoder: bool = False
    trigger_words: tuple[str, ...] = ()
    base_model: str = ""
    problem: str = field(default="", metadata=SENTENCE)

    def fits(self, family: str, variant: str = "") -> bool:
        """Return whether it was made for such a model, as far as the header says."""
        return fits_base(self.bases, family, variant)


def tell_lora(header: Header) -> LoraFacts:
    """Return what a LoRA or LyCORIS is for."""
    layers = _layers(header.tensors)
    measured: dict[tuple[tuple[str, tuple[int, ...]], ...], tuple[int, str]] = {}
    lines, rank = [], 0
    problem: str = ""
    for name, layer in layers.items():
        shapes = tuple(layer.shapes.items())
        if shapes not in measured:  # most layers have the shapes of others
            measured[shapes] = layer.rank, f" {layer.width_in} {layer.width_out}\n"
            problem = problem or layer.problem(name)
        layer_rank, widths = measured[shapes]
        rank = max(rank, layer_rank)
        lines.append(name + widths)
    listing = "".join(lines)
    said = header.metadata
    return LoraFacts(
        bases=_narrow(_find_bases(listing), _said_base(said)),
        rank=rank,
        layers=len(layers),
        text_encoder=_TEXT_LAYER.search(listing) is not None,
        trigger_words=tuple(_trigger_words(said)),
        base_model=one_line(_first(said, _BASE_NAMES), LONGEST_WORD),
        problem=problem,
    )


# ---- its layers -----------------------------------------------------------------------------

DOWN = (
    r"(?:\.lora_down|_lora\d?\.down|\.lora\.down|\.lora_linear_layer\.down|\.lora_A(?:\.\w+)?)"
    r"\.weight"
)
UP = (
    r"(?:\.lora_up|_lora\d?\.up|\.lora\.up|\.lora_linear_layer\.up|\.lora_B(?:\.\w+)?)"
    r"\.weight"
)
"""The patterns of how the two matrices of a layer end, in every layout."""

_ROLES = re.compile(
    rf"(?:(?P<down>{DOWN})|(?P<up>{UP})"
    r"|(?P<other>\.(?:hada_w[12]_[ab]|lokr_w[12](?:_[ab])?|diff))"
    r")$"
)
PREFIXES = re.compile(
    r"^(?:base_model\.model\.)?(?:(?:lora_unet|lycoris|lora_transformer|lora_prior_unet)_"
    r"|(?:model\.)?diffusion_model\.|transformer\.|unet\.)?"
)
"""What may stand before the name of a denoiser's layer."""

_TEXT_LAYER = re.compile(r"^(?:lora_te|text_encoder|te\d?_|text_encoders)", re.MULTILINE)


_RANKED = ("down", "hada_w1_b", "lokr_w2_b", "lokr_w1_b")
"""The matrices that have as many rows as the rank is."""


@dataclass(slots=True)
class _Layer:
    """A layer that is changed: the shapes of what is added to it, by their role."""

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def _side(self, role: str, side: int) -> int:
        shape = self.shapes.get(role, ())
        return shape[side] if len(shape) > 1 else 0

    @property
    def rank(self) -> int:
        return max((self._side(role, 0) for role in _RANKED if role in self.shapes), default=0)

    @property
    def width_in(self) -> int:
        """The number of its inputs; 0 if that is not known."""
        return (
            self._side("down", 1)
            or self._side("hada_w1_b", 1)
            or self._kron(1, "_b")
            or self._side("diff", 1)
        )

    @property
    def width_out(self) -> int:
        """The number of its outputs; 0 if that is not known."""
        return (
            self._side("up", 0)
            or self._side("hada_w1_a", 0)
            or self._kron(0, "_a")
            or self._side("diff", 0)
        )

    def _kron(self, side: int, half: str) -> int:
        """Return a side of a Kronecker product, whose factors may be products themselves."""
        return math.prod(
            self._side(factor, side) or self._side(factor + half, side)
            for factor in ("lokr_w1", "lokr_w2")
        )

    def problem(self, name: str) -> Sentence:
        """Return what is wrong with its shapes."""
        if ("down" in self.shapes) != ("up" in self.shapes):
            return sentence(
                "{layer} has one of its two matrices only; fetch the file again",
                layer=one_line(name, LONGEST_WORD),
            )
        if "down" in self.shapes:
            rank, other = self._side("down", 0), self._side("up", 1)
            if not rank or rank != other:
                return sentence(
                    "the two matrices of {layer} do not fit each other ({down} and {up}); fetch"
                    " the file again",
                    layer=one_line(name, LONGEST_WORD),
                    down=_shape(self.shapes["down"]),
                    up=_shape(self.shapes["up"]),
                )
        if self.rank > MOST_RANK:
            return sentence(
                "{layer} has rank {rank}, and at most {most} is used",
                layer=one_line(name, LONGEST_WORD),
                rank=self.rank,
                most=MOST_RANK,
            )
        return NO_TEXT


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a number"


def _layers(tensors: Mapping[str, Tensor]) -> dict[str, _Layer]:
    """Return the layers that tensors change, by names with `_` for dots and without a prefix."""
    layers: dict[str, _Layer] = {}
    known: dict[str, _Layer] = {}  # by their names as they are
    roles: dict[str, tuple[str, int]] = {}  # by the tails of names
    for name, tensor in tensors.items():
        if len(name) > LONGEST_NAME:
            continue
        tail = tail_of(name)
        if tail not in roles:
            roles[tail] = _find_role(tail)
        role, length = roles[tail]
        if not role or length >= len(name):  # alpha, dora_scale and the like
            continue
        called = name[:-length]
        layer = known.get(called)
        if layer is None:
            plain = PREFIXES.sub("", called, count=1).replace(".", "_")
            layer = known[called] = layers.setdefault(plain, _Layer())
        layer.shapes[role] = tensor.shape
    return layers


def _find_role(tail: str) -> tuple[str, int]:
    """Return what a tensor is of its layer, and how many characters of its name say it."""
    told = _ROLES.search(tail)
    if told is None:
        return "", 0
    role = "down" if told["down"] else "up" if told["up"] else told["other"][1:]
    return role, len(told[0])


# ---- its base model -------------------------------------------------------------------------

_SD3_ATTENTION = r"^(?:joint|transformer)_blocks_\d+_(?:x_block_|context_block_)?attn2?_\w+"
_FLUX_LIKE = ("flux", "chroma", "flux2-klein 4b")
_RULES = tuple((bases, re.compile(pattern, re.MULTILINE)) for bases, pattern in (
    # Stable Diffusion's UNets: how wide the text is, and how deep the transformers are
    (("sd 1",), r"_\d+_transformer_blocks_\d+_attn2_(?:processor_)?to_[kv] 768 "),
    (("sd 2",), r"_\d+_transformer_blocks_\d+_attn2_(?:processor_)?to_[kv] 1024 "),
    (("sdxl",), r"_\d+_transformer_blocks_\d+_attn2_(?:processor_)?to_[kv] 2048 "),
    (("sdxl",), r"^(?:down_blocks|up_blocks|mid_block|input_blocks|output_blocks|middle_block)_"
                r"(?:\d+_)?(?:attentions_)?(?:\d+_)?transformer_blocks_[1-9]"),
    (("sd", "sdxl"), r"^(?:down_blocks|up_blocks|mid_block|input_blocks|output_blocks"
                     r"|middle_block)_"),
    # Transformers
    (("chroma",), r"^distilled_guidance_layer_"),
    (("hunyuan-video",), r"^double_blocks_\d+_(?:img|txt)_mlp_fc\d |^txt_in_individual_token"),
    (("flux2-klein 4b",), r"^single_(?:transformer_)?blocks_\d+_(?:linear1|attn_to_qkv_mlp_proj)"
                          r" 3072 27648$|^double_blocks_\d+_(?:img|txt)_mlp_0 3072 18432$"
                          r"|^transformer_blocks_\d+_ff(?:_context)?_linear_in 3072 "
                          r"|^(?:double|single)_stream_modulation_\w+ 3072 "),
    (("flux2-klein 9b",), r"^(?:double_blocks|single_blocks)_\d+_\w+ 4096 "
                          r"|^single_transformer_blocks_\d+_attn_\w+ 4096 "
                          r"|^transformer_blocks_\d+_(?:attn_add_[qkv]_proj|ff_linear_in) 4096 "),
    (("flux2",), r"^(?:double_blocks|single_blocks)_\d+_\w+ 6144 "
                 r"|^single_transformer_blocks_\d+_attn_\w+ 6144 "
                 r"|^transformer_blocks_\d+_(?:attn_add_[qkv]_proj|ff_linear_in) 6144 "),
    (("flux",), r"^(?:double_blocks_\d+_(?:img|txt)_mod_lin|single_blocks_\d+_modulation_lin"
                r"|(?:single_)?transformer_blocks_\d+_norm1?_linear) 3072 "
                r"|^(?:guidance|vector)_in_\w+ "),
    (("flux", "chroma"), r"^double_blocks_(?:[5-9]|1\d)_|^single_blocks_(?:2\d|3\d)_"
                         r"|^double_blocks_\d+_(?:img|txt)_mlp_0 3072 12288$"
                         r"|^single_blocks_\d+_linear1 3072 21504$"
                         r"|^single_transformer_blocks_\d+_(?:proj_mlp|attn_to_[qkv]) "
                         r"|^double_blocks_\d+_processor_"),
    (_FLUX_LIKE, r"^double_blocks_\d+_(?:img|txt)_|^single_blocks_\d+_|^single_transformer_blocks"),
    (("sd3 3", "sd3 3.5-medium"), rf"{_SD3_ATTENTION} 1536 "),
    (("sd3 3.5-large",), rf"{_SD3_ATTENTION} 2432 "),
    (("sd3",), r"^joint_blocks_\d+_"),
    (("qwen-image-2.1",), r"^transformer_blocks_\d+_img_mlp_(?:proj|gate_layer|gate_up|out) "),
    (("qwen-image",), r"^transformer_blocks_\d+_(?:img|txt)_(?:mlp|mod)_"
                      r"|^transformer_blocks_(?:19|[2-5]\d)_attn_\w+ 3072 "),
    (("ltx-video",), r"^transformer_blocks_\d+_attn2_to_"),
    (("krea2",), r"^blocks_\d+_attn_w[qkvo] |^(?:txtfusion|text_fusion)_"
                 r"|^transformer_blocks_\d+_attn_to_[qkv] 6144 "),
    (("flux", "qwen-image"), r"^transformer_blocks_\d+_attn_\w+ 3072 "),
    (("lumina2",), r"^(?:layers|noise_refiner|context_refiner)_\d+_\w+ (?:2304 \d+|\d+ 2304)$"),
    (("z-image",), r"^(?:layers|noise_refiner|context_refiner)_\d+_\w+ (?:3840 \d+|\d+ 3840)$"),
    (("anima",), r"^blocks_\d+_(?:self|cross)_attn_[qkv]_proj |^llm_adapter_"),
    (("wan",), r"^blocks_\d+_(?:self|cross)_attn_[qkvo] "),
    (("hidream",), r"^double_stream_blocks_"),
    (("auraflow",), r"^double_layers_"),
    # Text encoders alone
    (("sd 1",), r"^lora_te_text_model_encoder_layers_\d+_\w+ (?:768|3072) "),
    (("sd 2",), r"^lora_te_text_model_encoder_layers_\d+_\w+ (?:1024|4096) "),
    (("sdxl",), r"^(?:lora_te2|text_encoder_2)_text_model_encoder_layers_"),
    (("sd 1", "sdxl"), r"^text_encoder_text_model_encoder_layers_\d+_\w+ 768 "),
))  # fmt: skip
"""The models that a LoRA fits, by a line `NAME IN OUT` for each of its layers.

The first that matches is right. Lumina 2 comes before Z-Image: it gives as many numbers as Z-Image
takes. No pattern may look at a line more than a few times: names may come from strangers.
"""


_SECOND_ENCODER = re.compile(r"^(?:lora_te2|text_encoder_2)_text_model", re.MULTILINE)


def _find_bases(listing: str) -> tuple[str, ...]:
    bases = next((bases for bases, one in _RULES if one.search(listing)), ())
    is_double = bases == ("sd", "sdxl") and _SECOND_ENCODER.search(listing) is not None
    return ("sdxl",) if is_double else bases


_SAID = tuple((base, re.compile(pattern, re.IGNORECASE)) for base, pattern in (
    ("sdxl", r"stable-diffusion-xl|^sdxl"),
    ("sd 1", r"stable-diffusion-v1|^sd_?(v?1|15)"),
    ("sd 2", r"stable-diffusion-v2|^sd_?v?2"),
    ("sd3 3.5-large", r"stable-diffusion-3\.?5-large"),
    ("sd3 3.5-medium", r"stable-diffusion-3\.?5-medium"),
    ("sd3", r"stable-diffusion-(v?3)|^sd3"),
    ("flux2-klein 9b", r"flux[._-]?2.*klein.*9b"),
    ("flux2-klein 4b", r"flux[._-]?2.*klein"),
    ("flux2", r"flux[._-]?2"),
    ("chroma", r"chroma"),
    ("flux", r"flux"),
    ("qwen-image-2.1", r"qwen[._-]?image[._-]?2[._]?1"),
    ("qwen-image", r"qwen[._-]?image"),
    ("z-image", r"z[._-]?image"),
    ("lumina2", r"lumina[._-]?(image[._-]?)?2"),
    ("krea2", r"krea[._-]?2"),
))  # fmt: skip
"""How makers call base models in `modelspec.architecture` and `ss_base_model_version`."""

_BASE_NAMES = ("ss_sd_model_name", "modelspec.architecture", "ss_base_model_version")


def _first(said: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((said[name] for name in names if said.get(name, "None") not in ("", "None")), "")


def _said_base(said: Mapping[str, str]) -> str:
    name = _first(said, ("modelspec.architecture", "ss_base_model_version"))[:LONGEST_WORD]
    return next((base for base, pattern in _SAID if pattern.search(name)), "")


def _narrow(bases: tuple[str, ...], said: str) -> tuple[str, ...]:
    """Return the models that the layers fit; if these are several or none, what the maker says."""
    if not bases:
        return (said,) if said else ()
    family, _, _ = said.partition(" ")
    fitting = tuple(one for one in bases if one in (said, family) or one.split(" ")[0] == said)
    if len(bases) == 1 or not said or not fitting:
        return bases
    return (said,) if family in fitting else fitting


# ---- its trigger words ----------------------------------------------------------------------


def _trigger_words(said: Mapping[str, str]) -> Iterator[str]:
    """Yield the trigger words that the maker names, else the tags that most captions had."""
    phrase = _first(said, ("modelspec.trigger_phrase", "ss_trigger_words", "trigger_word"))
    words = re.split(r"[,\n]", phrase[: MOST_WORDS * LONGEST_WORD]) if phrase else _tags(said)
    seen: set[str] = set()
    for word in words:
        shown = one_line(word, LONGEST_WORD).strip()
        if shown and shown.lower() not in seen and len(seen) < MOST_WORDS:
            seen.add(shown.lower())
            yield shown


def _tags(said: Mapping[str, str]) -> list[str]:
    """Return the most frequent tags of the captions: those at least half as frequent as the first.

    `ss_tag_frequency` has a count for each tag, by folders of training pictures.
    """
    try:
        folders = parse_json(said.get("ss_tag_frequency", ""))
    except ValueError:
        return []
    counts: Counter[str] = Counter()
    for tags in folders.values() if isinstance(folders, dict) else ():
        for tag, count in tags.items() if isinstance(tags, dict) else ():
            if type(count) is int and 0 < count < 2**31:
                counts[tag.strip()] += count
    most = counts.most_common(MOST_WORDS)
    return [tag for tag, count in most if 2 * count >= most[0][1]]
