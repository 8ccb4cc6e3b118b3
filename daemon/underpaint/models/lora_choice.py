"""Which LoRAs an image is painted with: those of the request, and those that its prompt names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from underpaint_client.conditioning import LoraWeight, check_loras
from underpaint_client.prompt_language import parse_prompt

from .additions import check_base
from .describe import ModelInfo
from .lora_list import find_lora, list_loras
from .stamps import FileStamp


@dataclass(frozen=True)
class ChosenLora:
    """A LoRA, and how strong it is.

    Parameters
    ----------
    name, path : str
        As `ListedLora`.
    stamp : FileStamp
        Of the file whose header was read.
    bases : str
        The models that it was made for, in words; empty where its header does not tell.
    weight, encoder_weight : float
        Its strength in the denoiser, and in the text encoders.
    """

    name: str
    path: str
    stamp: FileStamp
    bases: str = ""
    weight: float = 1.0
    encoder_weight: float = 1.0

    @property
    def file(self) -> tuple[str, FileStamp]:
        """What tells its file from others, and from what it becomes later."""
        return self.path, self.stamp


def named_loras(given: Sequence[LoraWeight], prompt: str) -> tuple[LoraWeight, ...]:
    """Return the LoRAs of a request, then those that a prompt names.

    Raises
    ------
    BadInputError
        A strength is out of range.
    """
    of_prompt = tuple(
        LoraWeight(one.name, one.weight, one.encoder_weight) for one in parse_prompt(prompt).loras
    )
    check_loras(of_prompt)
    return (*given, *of_prompt)


def choose_loras(
    wanted: Iterable[Sequence[LoraWeight]], info: ModelInfo
) -> tuple[tuple[ChosenLora, ...], ...]:
    """Find the LoRAs of each image, and check that they are for the model.

    Parameters
    ----------
    wanted : iterable of sequences of LoraWeight
        From `named_loras`, one for each image. The folders of LoRAs are only read if there are any.
    info : ModelInfo
        The model that paints.

    Returns
    -------
    tuple of tuples of ChosenLora
        Each LoRA once, in the order in which it is first named, its strengths added; without those
        whose strengths are 0.

    Raises
    ------
    ModelUnavailableError
        There is no such LoRA, it cannot be used, or it was made for another family of models.
    """
    images = list(wanted)
    there = list_loras() if any(images) else ()
    found: dict[str, ChosenLora] = {}
    for name in dict.fromkeys(one.name for image in images for one in image):
        lora = find_lora(name, there)
        check_base(lora, info)
        found[name] = ChosenLora(lora.name, lora.path, lora.stamp, lora.bases)
    return tuple(_add_up(image, found) for image in images)


def _add_up(image: Sequence[LoraWeight], found: dict[str, ChosenLora]) -> tuple[ChosenLora, ...]:
    total: dict[str, ChosenLora] = {}
    for one in image:
        lora = found[one.name]
        before = total.get(lora.path, replace(lora, weight=0.0, encoder_weight=0.0))
        total[lora.path] = replace(
            before,
            weight=before.weight + one.weight,
            encoder_weight=before.encoder_weight + one.in_encoders,
        )
    return tuple(one for one in total.values() if one.weight or one.encoder_weight)
