"""A short list of models to begin with, and which of them fit this machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass

from underpaint_client.sentences import Label, Sentence, sentence

from .card_memory import card_memory
from .host_memory import total_memory
from .known_sizes import KNOWN_MODELS
from .model_index import PARTS

_GB = 10**9


@dataclass(frozen=True)
class Suggestion:
    """A model on the Hugging Face Hub.

    Parameters
    ----------
    id : str
        Its repository.
    family : str
        As `Contents` has it.
    purpose : str
        What it is good for.
    size : float
        GB to download, about.
    memory : float
        GB of a GPU's memory with which all of the model stays there, as `card_memory` computes it.
    licence : str
    """

    id: str
    family: str
    purpose: str
    size: float
    memory: float
    licence: str


def _suggest(
    repository: str, family: str, purpose: Label, size: float, known: str, licence: str
) -> Suggestion:
    """Return a suggestion; `known` is the model's title in `KNOWN_MODELS`."""
    model = next(one for one in KNOWN_MODELS if one.title == known)
    memory = round(card_memory(model.needs, model.native) / _GB, 2)
    return Suggestion(repository, family, purpose, size, memory, licence)


SUGGESTIONS = (
    _suggest(
        "stable-diffusion-v1-5/stable-diffusion-v1-5", "sd",
        "everything, at 512 pixels; runs on old GPUs", 2.1,
        "Stable Diffusion 1.5", "CreativeML OpenRAIL-M",
    ),
    _suggest(
        "stable-diffusion-v1-5/stable-diffusion-inpainting", "sd",
        "filling holes, at 512 pixels; runs on old GPUs", 2.1,
        "Stable Diffusion 1.5", "CreativeML OpenRAIL-M",
    ),
    _suggest(
        "stabilityai/stable-diffusion-xl-base-1.0", "sdxl",
        "everything, at 1024 pixels; most finetunes and LoRAs are made for it", 6.9,
        "SDXL, Illustrious, Pony", "CreativeML OpenRAIL++-M",
    ),
    _suggest(
        "diffusers/stable-diffusion-xl-1.0-inpainting-0.1", "sdxl",
        "filling holes, at 1024 pixels", 6.9, "SDXL, Illustrious, Pony", "CreativeML OpenRAIL++-M",
    ),
    _suggest(
        "black-forest-labs/FLUX.2-klein-4B", "flux2-klein",
        "everything, at 1024 pixels and more, in 4 steps", 16.0, "FLUX.2 klein 4B", "Apache-2.0",
    ),
    _suggest(
        "Tongyi-MAI/Z-Image-Turbo", "z-image",
        "everything, at 1024 pixels, in 8 steps", 20.5, "Z-Image", "Apache-2.0",
    ),
    _suggest(
        "black-forest-labs/FLUX.1-schnell", "flux",
        "everything, at 1024 pixels, in 4 steps", 33.7, "FLUX.1", "Apache-2.0",
    ),
    _suggest(
        "Qwen/Qwen-Image", "qwen-image",
        "text in pictures, at 1328 pixels", 57.7, "Qwen-Image", "Apache-2.0",
    ),
)  # fmt: skip
"""Small ones first. Those whose family is not supported yet are not shown."""


def suggest_models() -> list[Suggestion]:
    """Return the models that can be painted with, small ones first."""
    return [one for one in SUGGESTIONS if one.family in PARTS]


@dataclass(frozen=True)
class Memory:
    """The memory that models must fit into.

    Parameters
    ----------
    size : int
        Bytes.
    what : Sentence
        The GPU's name, or `memory`.
    """

    size: int
    what: Sentence


def find_memory() -> Memory:
    """Return the largest GPU's memory; without a GPU, a part of the machine's own.

    torch would know more, and takes seconds to say it.
    """
    total = total_memory()
    if sys.platform == "darwin":  # the GPU uses the machine's own
        return Memory(total * 2 // 3, sentence("memory"))
    program = shutil.which("nvidia-smi")
    if program:
        query = ["--query-gpu=memory.total,name", "--format=csv,noheader,nounits"]
        try:
            told = subprocess.run(
                [program, *query], capture_output=True, text=True, timeout=10, check=True
            ).stdout
            cards = [line.partition(",") for line in told.splitlines() if line.strip()]
            return max(
                (Memory(int(size) * 2**20, Sentence(name.strip())) for size, _, name in cards),
                key=lambda one: one.size,
            )
        except (OSError, ValueError, subprocess.SubprocessError):
            pass  # a driver without a card
    return Memory(total, sentence("memory, without an NVIDIA GPU"))
