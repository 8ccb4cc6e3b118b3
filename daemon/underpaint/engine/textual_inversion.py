"""Use embeddings (textual inversions): vectors in place of those of a prompt's tokens.

No weight is touched, and no vocabulary is extended. While a prompt is encoded, each vector stands
for a token of the vocabulary that the prompt does not have, and a hook puts it into what the table
of tokens returns.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from underpaint.models.embedding_list import LARGEST, EmbeddingIndex, ListedEmbedding
from underpaint.models.stamps import stamp_status
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.parsed_prompt import ParsedPrompt
from underpaint_client.prompt_embeddings import PromptPart, split_embeddings
from underpaint_client.recipe import UsedEmbedding


@dataclass(frozen=True, eq=False)
class Embedding:
    """The vectors of an embedding.

    Parameters
    ----------
    used : UsedEmbedding
        What a recipe says of it.
    vectors : tuple of tensor (n, C)
        For each of the model's text encoders.
    """

    used: UsedEmbedding
    vectors: tuple[torch.Tensor, ...]


class Embeddings:
    """The embeddings that the words of a model's prompts may name; none by default.

    Parameters
    ----------
    index : EmbeddingIndex, optional
    widths : tuple of int
        How wide the tokens of each of the model's text encoders are.
    """

    def __init__(
        self, index: EmbeddingIndex | None = None, widths: tuple[int, ...] = (), model: str = ""
    ) -> None:
        self._index, self._widths, self._model = index, widths, model
        self._read: dict[str, Embedding] = {}
        self._first: dict[str, int] = {}  # the number of an embedding's first vector
        self._vectors: list[tuple[torch.Tensor, ...]] = []  # by number, for each text encoder

    def find(self, name: str) -> ListedEmbedding | None:
        """Return the embedding for this model that a name means; None if there is none."""
        found = None if self._index is None else self._index.get(name)
        is_usable = found is not None and not found.reason and found.widths == self._widths
        return found if is_usable else None

    def split(self, text: str) -> Iterator[PromptPart]:
        """Yield the parts of a text, as `split_embeddings` does."""
        if not self._index:
            return iter((PromptPart(text),))
        return split_embeddings(text, lambda name: self.find(name) is not None)

    def check(self, name: str) -> None:
        """Check that an embedding which a prompt refers to can be used, if there is one.

        Raises
        ------
        ModelUnavailableError
            It is damaged, or was made for another model.
        """
        found = None if self._index is None else self._index.get(name)
        if found is None:
            return
        if found.problem:
            raise ModelUnavailableError(found.problem)
        if found.widths != self._widths:
            raise ModelUnavailableError(
                "embedding {name!r} is for {base}, and its vectors do not fit the model {model!r};"
                " choose an embedding for this model, or another model",
                name=found.name,
                base=found.base,
                model=self._model,
            )

    def numbers(self, name: str) -> range:
        """Return the numbers of an embedding's vectors, 0, 1, ...; it is read at first."""
        found = self.find(name)
        assert found is not None, name  # noqa: S101 - `split` has found it
        if found.path not in self._first:
            embedding = read_embedding(found)
            self._read[found.path] = embedding
            self._first[found.path] = len(self._vectors)
            self._vectors += zip(*embedding.vectors, strict=True)
        first = self._first[found.path]
        return range(first, first + found.vectors)

    def vector(self, number: int, encoder: int) -> torch.Tensor:
        """Return a vector for one of the text encoders."""
        return self._vectors[number][encoder]

    def used_in(self, prompts: Iterable[ParsedPrompt]) -> tuple[UsedEmbedding, ...]:
        """Return what a recipe says of the embeddings in prompts, each once."""
        found: dict[str, UsedEmbedding] = {}
        for prompt in prompts:
            for segment in itertools.chain(*prompt.chunks):
                for part in self.split(segment.text):
                    one = self.find(part.embedding) if part.embedding else None
                    if one is not None:
                        self.numbers(part.embedding)
                        found[one.path] = self._read[one.path].used
        return tuple(found.values())


NO_EMBEDDINGS = Embeddings()


def read_embedding(one: ListedEmbedding) -> Embedding:
    """Read the file whose header was looked at.

    Raises
    ------
    ModelUnavailableError
        It cannot be read, is damaged, or was changed since.
    """
    try:
        with Path(one.path).open("rb") as stream:
            data = stream.read(LARGEST + 1)
        stamp = stamp_status(Path(one.path).stat())
        tensors = safetensors.torch.load(data)
        found = (tensors[name] for name in one.tensors)
        vectors = tuple(few.reshape(-1, few.shape[-1]).float() for few in found)
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelUnavailableError(
            "embedding {file} cannot be read ({reason}); fetch it again",
            file=one.path,
            reason=error,
        ) from None
    if stamp != one.stamp:
        raise ModelUnavailableError(
            "embedding {file} was changed while it was read; try again when it is complete",
            file=one.path,
        )
    return Embedding(UsedEmbedding(one.name, hashlib.sha256(data).hexdigest()), vectors)


def encoder_widths(encoders: Iterable[Any]) -> tuple[int, ...]:
    """Return how wide the tokens of text encoders are."""
    return tuple(int(one.get_input_embeddings().embedding_dim) for one in encoders)


@contextmanager
def standing_in(encoder: Any, vectors: Mapping[int, torch.Tensor]) -> Iterator[None]:
    """Have a text encoder take vectors for tokens, for a while.

    Parameters
    ----------
    encoder : CLIP text encoder
    vectors : mapping of int to tensor (C)
        By the ids of tokens that mean nothing else meanwhile.
    """
    if not vectors:
        yield
        return

    def put(_table: Any, args: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        changed = output.clone()
        for token, vector in vectors.items():
            changed[args[0] == token] = vector.to(output)
        return changed

    hook = encoder.get_input_embeddings().register_forward_hook(put)
    try:
        yield
    finally:
        hook.remove()
