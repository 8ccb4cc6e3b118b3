"""What the model families that work by flow matching are made of, and how they are painted with.

A table without torch: folders are checked against it before anything is opened, and the engine's
`families` run what it names. `files` has the parts of the Stable Diffusion families.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.recommended import USUAL, Recommended
from underpaint_client.samplers import DEFAULT_SAMPLER

Classes = tuple[str, frozenset[str]]
"""A library, and the classes of it that a part may have."""


@dataclass(frozen=True)
class FlowFacts:
    """What a folder of a family that works by flow matching must hold.

    Parameters
    ----------
    pipeline : str
        The pipeline class that `model_index.json` names, less its purpose (`Img2ImgPipeline`).
    parts : mapping of str to Classes
        The parts that are opened.
    tokens_patch : int
        How many latent cells go into one token of the transformer.
    native : int
        The side that the family was trained at, in pixels.
    prompt_tokens : int
        How many tokens of a prompt its longest text encoder reads.
    recommended : Recommended
        For its plain models.
    fast : Recommended
        For those that were distilled to few steps.
    inpainting : Recommended or None
        For its inpainting models, whose transformer is shown the kept picture's latents and the
        mask beside the noisy latents; None where it has none.
    optional : frozenset of str
        Parts that a model may lack; the others are needed.
    cell : int
        Pixels a side of a latent cell.
    multiple : int
        Pixels: every side that it works at is a multiple of it.
    """

    pipeline: str
    parts: Mapping[str, Classes]
    tokens_patch: int
    native: int
    prompt_tokens: int
    recommended: Recommended
    fast: Recommended
    inpainting: Recommended | None = None
    optional: frozenset[str] = field(default_factory=frozenset)
    cell: int = 8
    multiple: int = 16


_EULER = "k_euler"

_CLIP = ("transformers", frozenset({"CLIPTokenizer", "CLIPTokenizerFast"}))
_T5 = ("transformers", frozenset({"T5Tokenizer", "T5TokenizerFast"}))
_T5_ENCODER = ("transformers", frozenset({"T5EncoderModel"}))
_QWEN = ("transformers", frozenset({"Qwen2Tokenizer", "Qwen2TokenizerFast"}))
_QWEN3 = ("transformers", frozenset({"Qwen3Model", "Qwen3ForCausalLM"}))
_CLIP_PROJECTED = ("transformers", frozenset({"CLIPTextModelWithProjection"}))
_VAE = ("diffusers", frozenset({"AutoencoderKL"}))
_SCHEDULER = ("diffusers", frozenset({"FlowMatchEulerDiscreteScheduler"}))


def _transformer(class_name: str) -> Classes:
    return "diffusers", frozenset({class_name})


FLOWS: dict[str, FlowFacts] = {
    "sd3": FlowFacts(
        pipeline="StableDiffusion3",
        parts={
            "transformer": _transformer("SD3Transformer2DModel"),
            "vae": _VAE,
            "text_encoder": _CLIP_PROJECTED,
            "tokenizer": _CLIP,
            "text_encoder_2": _CLIP_PROJECTED,
            "tokenizer_2": _CLIP,
            "text_encoder_3": _T5_ENCODER,
            "tokenizer_3": _T5,
            "scheduler": _SCHEDULER,
        },
        optional=frozenset({"text_encoder_3", "tokenizer_3"}),
        tokens_patch=1,
        native=1024,
        prompt_tokens=256,
        recommended=Recommended(28, 4.5, _EULER),
        fast=Recommended(4, 1.0, _EULER),
    ),
    "flux": FlowFacts(
        pipeline="Flux",
        parts={
            "transformer": _transformer("FluxTransformer2DModel"),
            "vae": _VAE,
            "text_encoder": ("transformers", frozenset({"CLIPTextModel"})),
            "tokenizer": _CLIP,
            "text_encoder_2": _T5_ENCODER,
            "tokenizer_2": _T5,
            "scheduler": _SCHEDULER,
        },
        tokens_patch=4,
        native=1024,
        prompt_tokens=512,
        recommended=Recommended(28, 3.5, _EULER, takes_negative=False),
        inpainting=Recommended(28, 30.0, _EULER, takes_negative=False),
        fast=Recommended(4, 1.0, _EULER, takes_negative=False),
    ),
    "z-image": FlowFacts(
        pipeline="ZImage",
        parts={
            "transformer": _transformer("ZImageTransformer2DModel"),
            "vae": _VAE,
            "text_encoder": _QWEN3,
            "tokenizer": _QWEN,
            "scheduler": _SCHEDULER,
        },
        tokens_patch=1,
        native=1024,
        prompt_tokens=512,
        recommended=Recommended(28, 4.0, _EULER),
        fast=Recommended(8, 1.0, _EULER),
    ),
    "flux2-klein": FlowFacts(
        pipeline="Flux2Klein",
        parts={
            "transformer": _transformer("Flux2Transformer2DModel"),
            "vae": ("diffusers", frozenset({"AutoencoderKLFlux2"})),
            "text_encoder": _QWEN3,
            "tokenizer": _QWEN,
            "scheduler": _SCHEDULER,
        },
        tokens_patch=4,
        native=1024,
        prompt_tokens=512,
        recommended=Recommended(24, 5.0, _EULER),
        fast=Recommended(4, 1.0, _EULER, takes_negative=False),
    ),
    "qwen-image": FlowFacts(
        pipeline="QwenImage",
        parts={
            "transformer": _transformer("QwenImageTransformer2DModel"),
            "vae": ("diffusers", frozenset({"AutoencoderKLQwenImage"})),
            "text_encoder": (
                "transformers",
                frozenset({"Qwen2_5_VLForConditionalGeneration"}),
            ),
            "tokenizer": _QWEN,
            "scheduler": _SCHEDULER,
        },
        tokens_patch=4,
        native=1328,
        prompt_tokens=512,
        recommended=Recommended(40, 4.0, _EULER),
        fast=Recommended(8, 1.0, _EULER),
    ),
    "qwen-image-2.1": FlowFacts(
        pipeline="QwenImage21",
        parts={
            "transformer": _transformer("QwenImage21Transformer2DModel"),
            "vae": ("diffusers", frozenset({"AutoencoderKLQwenImage21"})),
            "text_encoder": ("transformers", frozenset({"Qwen3VLForConditionalGeneration"})),
            "processor": ("transformers", frozenset({"Qwen3VLProcessor"})),
            "scheduler": _SCHEDULER,
        },
        tokens_patch=1,
        native=1024,
        prompt_tokens=4096,
        recommended=Recommended(40, 1.0, _EULER),
        fast=Recommended(8, 1.0, _EULER),
        cell=16,
        multiple=32,
    ),
    "chroma": FlowFacts(
        pipeline="Chroma",
        parts={
            "transformer": _transformer("ChromaTransformer2DModel"),
            "vae": _VAE,
            "text_encoder": _T5_ENCODER,
            "tokenizer": _T5,
            "scheduler": _SCHEDULER,
        },
        tokens_patch=4,
        native=1024,
        prompt_tokens=512,
        recommended=Recommended(30, 4.0, _EULER),
        fast=Recommended(8, 1.0, _EULER),
    ),
    "lumina2": FlowFacts(
        pipeline="Lumina2",
        parts={
            "transformer": _transformer("Lumina2Transformer2DModel"),
            "vae": _VAE,
            "text_encoder": ("transformers", frozenset({"Gemma2Model"})),
            "tokenizer": ("transformers", frozenset({"GemmaTokenizer", "GemmaTokenizerFast"})),
            "scheduler": _SCHEDULER,
        },
        tokens_patch=1,
        native=1024,
        prompt_tokens=256,
        recommended=Recommended(30, 4.0, _EULER),
        fast=Recommended(8, 1.0, _EULER),
    ),
    "krea2": FlowFacts(
        pipeline="Krea2",
        parts={
            "transformer": _transformer("Krea2Transformer2DModel"),
            "vae": ("diffusers", frozenset({"AutoencoderKLQwenImage"})),
            "text_encoder": ("transformers", frozenset({"Qwen3VLModel"})),
            "tokenizer": _QWEN,
            "scheduler": _SCHEDULER,
        },
        tokens_patch=4,
        native=1024,
        prompt_tokens=512,
        recommended=Recommended(28, 4.5, _EULER),
        fast=Recommended(8, 1.0, _EULER, takes_negative=False),
    ),
}
"""The families, by name."""

FAST_NAMES = ("turbo", "lightning", "hyper-sd", "lcm", "dmd2", "schnell", "4step", "8step")
"""What the names of models that were distilled to few steps contain."""


def name_contains(path: Path, words: Iterable[str]) -> bool:
    """Return whether the name of a model, or of the two folders that it lies in, has a word."""
    names = "/".join(path.absolute().parts[-3:]).lower()  # the hub's cache has it two folders up
    return any(word in names for word in words)


_FAST_DIFFUSION = Recommended(8, 1.0, DEFAULT_SAMPLER)


def recommend(
    path: Path,
    family: str,
    index: dict[str, Any],
    configs: dict[str, dict[str, Any]],
    purpose: str = "plain",
) -> Recommended:
    """Return how a model is best run, as its configs say, else its name.

    Parameters
    ----------
    path : Path
        The model's folder or file.
    family : str
        A key of `FLOWS`, `sd` or `sdxl`.
    index : dict
        What `model_index.json` holds.
    configs : dict of str to dict
        The config of each part, by name.
    purpose : str
        `plain`, `inpainting` or `edit`.
    """
    named_fast = name_contains(path, FAST_NAMES)
    facts = FLOWS.get(family)
    if facts is None:
        return _FAST_DIFFUSION if named_fast else USUAL
    fast = _said_fast(family, index, configs)
    if named_fast if fast is None else fast:
        return facts.fast
    return (facts.inpainting if purpose == "inpainting" else None) or facts.recommended


_PICTURES = {("flux", "edit"): 1, ("flux2-klein", "plain"): 4, ("qwen-image", "edit"): 1}
"""How many pictures the models of a family and purpose see beside the prompt."""

_MORE_PICTURES = re.compile(r"2509|2511|plus", re.IGNORECASE)
"""What the names of Qwen-Image-Edit's later versions contain, which see three."""


def count_pictures(family: str, purpose: str, name: str, pipeline: str = "") -> int:
    """Return how many pictures a model sees beside the prompt.

    Parameters
    ----------
    family, purpose : str
        As `ModelInfo`.
    name : str
        Its file's or folder's.
    pipeline : str
        The class that its `model_index.json` names, if it has one of its own.
    """
    if (family, purpose) == ("qwen-image", "edit") and _MORE_PICTURES.search(name + pipeline):
        return 3
    return _PICTURES.get((family, purpose), 0)


def _said_fast(
    family: str, index: dict[str, Any], configs: dict[str, dict[str, Any]]
) -> bool | None:
    """Return whether a model's own files say that it was distilled; None where they do not."""
    if family == "flux":
        return not configs["transformer"].get("guidance_embeds", False)
    if family in ("flux2-klein", "krea2"):
        return bool(index.get("is_distilled"))
    if family == "qwen-image-2.1" and isinstance(index.get("sample_sigmas"), list):
        return len(index["sample_sigmas"]) <= 8
    return None


def check_flow_parts(path: Path, facts: FlowFacts, configs: dict[str, dict[str, Any]]) -> int:
    """Check that the transformer takes latents of the autoencoder; return a cell's side in pixels.

    Raises
    ------
    ModelUnavailableError
        Names both numbers.
    """
    vae, transformer = configs["vae"], configs["transformer"]
    latent = vae.get("z_dim", vae.get("latent_channels"))
    taken = transformer.get("in_channels")
    if type(latent) is not int or taken not in _count_inputs(facts, latent).values():
        raise ModelUnavailableError(
            "model {path}: its transformer takes {channels} channels (in_channels in"
            " transformer/config.json), and its vae has {latent} of which {cells} cells make a"
            " token; fetch all parts from one model",
            path=path,
            channels=str(taken)[:20],
            latent=str(latent)[:20],
            cells=facts.tokens_patch,
        )
    halvings = vae.get("temperal_downsample", (vae.get("block_out_channels") or [0] * 4)[1:])
    if not isinstance(halvings, list) or 2 ** len(halvings) != facts.cell:
        raise ModelUnavailableError(
            "model {path}: vae/config.json describes an autoencoder whose cells are not {cell}"
            " pixels wide; fetch it again",
            path=path,
            cell=facts.cell,
        )
    return facts.cell


def find_flow_purpose(facts: FlowFacts, configs: dict[str, dict[str, Any]], said: str) -> str:
    """Return what a model is for, by the channels that its transformer takes.

    Parameters
    ----------
    facts : FlowFacts
        Of its family.
    configs : dict of str to dict
        Of its parts, as `check_flow_parts` has passed them.
    said : str
        What its index or its user says: an edit model is told by nothing else.
    """
    vae, taken = configs["vae"], configs["transformer"].get("in_channels")
    latent: Any = vae.get("z_dim", vae.get("latent_channels"))
    if taken != _count_inputs(facts, latent)["plain"]:
        return "inpainting"
    return "edit" if said == "edit" else "plain"


def _count_inputs(facts: FlowFacts, latent: int) -> dict[str, int]:
    """Return how many channels a token has in the models of a family, by purpose."""
    counts = {"plain": facts.tokens_patch * latent}
    if facts.inpainting is not None:  # and the kept picture's latents, and each pixel of the mask
        counts["inpainting"] = facts.tokens_patch * (2 * latent + facts.cell**2)
    return counts
