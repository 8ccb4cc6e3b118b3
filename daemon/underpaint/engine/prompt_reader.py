"""What a model reads of prompts: their encodings, embeddings, and what is lost of them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from underpaint.models.embedding_list import EmbeddingIndex, list_embeddings
from underpaint_client.prompt_embeddings import find_references
from underpaint_client.prompt_language import parse_prompt
from underpaint_client.recipe import UsedEmbedding
from underpaint_client.sentences import Sentence

from .clip_prompts import clip_encoders
from .families.family import Family, Prompt
from .pixels import Floats, hash_picture
from .placed_pipeline import PlacedPipeline
from .prompt_notes import describe_losses
from .recent import Recent
from .textual_inversion import NO_EMBEDDINGS, Embeddings, encoder_widths


class PromptReader:
    """Reads prompts for a model, and remembers the last ones.

    Parameters
    ----------
    model : str
        The model's name, for errors.
    family : Family
        The model's.
    placed : PlacedPipeline
        Its text encoders, wherever they are.
    """

    def __init__(self, model: str, family: Family, placed: PlacedPipeline) -> None:
        self._model, self._family, self._placed = model, family, placed
        self._embeddings = NO_EMBEDDINGS
        self.forget()

    def forget(self) -> None:
        """Forget the prompts that were encoded."""
        self.kept = Recent(8)

    def find_embeddings(self, prompts: Iterable[str]) -> None:
        """Look for the embeddings that prompts may name.

        Raises
        ------
        ModelUnavailableError
            A prompt refers to one that cannot be used.
        """
        if not self._family.has_embeddings:
            return
        widths = encoder_widths(encoder for _, encoder in clip_encoders(self._placed.pipeline))
        index = EmbeddingIndex(list_embeddings())
        self._embeddings = Embeddings(index, widths, self._model)
        self._placed.name_embeddings(self._embeddings)
        for prompt in prompts:
            for _, name in find_references(prompt):
                self._embeddings.check(name)

    def embeddings_in(self, *prompts: str) -> tuple[UsedEmbedding, ...]:
        """Return what a recipe says of the embeddings that prompts name."""
        return self._embeddings.used_in(map(parse_prompt, prompts))

    def encode(
        self,
        prompt: str,
        negative: str,
        *,
        guided: bool,
        clip_skip: int | None = None,
        pictures: Sequence[Floats] = (),
        most_pictures: int = 0,
    ) -> Prompt:
        """Encode a prompt, or return what was encoded before.

        Parameters
        ----------
        prompt, negative : str
            In the language of `prompt_language`.
        guided : bool
            Whether the negative prompt is needed.
        clip_skip : int, optional
            1 .. 12, as Stable Diffusion WebUI counts. A family without clip skip ignores it.
        pictures : sequence of float32, (H, W, 3)
            What the model is shown; some families read prompts with it.
        most_pictures : int
            As `Recommended.pictures`.

        Returns
        -------
        dict of str to tensor (1, ...) or list of tensors
            By the pipeline's own argument names.

        Raises
        ------
        BadInputError
            The clip skip is too large for the model.
        """
        family = self._family.skipping(self._placed.pipeline, clip_skip or 1)
        family = family.seeing(pictures, most_pictures)
        on_cpu = self._placed.saving.placement == "encoders_on_cpu"

        def run_encoders() -> Prompt:
            where = torch.device("cpu") if on_cpu else self._placed.device
            encoded = family.encode_parsed(
                self._placed.pipeline,
                parse_prompt(prompt),
                parse_prompt(negative),
                guided=guided,
                device=where,
            )
            return {name: _to_device(value, self._placed.device) for name, value in encoded.items()}

        loras, embeddings = self._placed.encoder_key, self.embeddings_in(prompt, negative)
        seen = tuple(map(hash_picture, pictures))
        found: Prompt = self.kept.get(
            (prompt, negative, guided, on_cpu, family.skipped, loras, embeddings, seen),
            run_encoders,
        )
        return found

    def notes(
        self,
        prompt: str,
        negative: str = "",
        *,
        guided: bool = True,
        regions: Sequence[tuple[Sentence, str]] = (),
    ) -> tuple[str, ...]:
        """Return notes about what the model will not read of prompts, as `describe_losses`."""
        read = functools.partial(self._family.read_prompt, self._placed.pipeline)
        return describe_losses(
            prompt,
            negative,
            read,
            guided=guided,
            takes_negative=self._family.takes_negative(self._placed.pipeline),
            weighs_words=self._family.weighs_words,
            is_loaded=lambda name: self._embeddings.find(name) is not None,
            regions=regions,
        )


def _to_device(value: Any, device: torch.device) -> Any:
    """Bring a tensor, or those of a list, to a device."""
    if isinstance(value, list):
        return [_to_device(one, device) for one in value]
    return value.to(device) if isinstance(value, torch.Tensor) else value
