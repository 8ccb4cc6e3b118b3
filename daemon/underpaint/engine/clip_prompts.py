"""Prompts with weights, or of any length, for the CLIP text encoders of Stable Diffusion.

Which words weigh how much, and where a chunk of 75 tokens ends, follows Stable Diffusion WebUI
(A1111). What a weight does to a token's embedding follows compel, and ComfyUI: the embedding's
distance from that of the empty prompt is multiplied by the weight. Weights below 1 are treated in
the same way, so a prompt takes one run of the text encoder for each chunk. compel masks such words
out instead, which takes a run for each of them.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from diffusers.utils.torch_utils import get_module_execution_device

from underpaint_client.parsed_prompt import ParsedPrompt

from .textual_inversion import Embeddings, standing_in

CHUNK_COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
"""Numbers of chunks. A prompt is filled up with empty chunks to the next of them.

Prompts of different lengths are repeated to a common length (`to_length`), which these keep short:
48 chunks at most.
"""

COMMA_REACH = 20
"""How many tokens from a chunk's end a comma may be, for the chunk to end there."""


class Token(NamedTuple):
    """One token of a prompt, and how much it weighs.

    An id below 0 is a vector of an embedding: -1 is that of number 0.
    """

    id: int
    weight: float


Chunk = list[Token]


def cut_chunks(parts: Sequence[Sequence[Token]], size: int, comma: int | None) -> list[Chunk]:
    """Cut tokens into chunks that a text encoder reads at once, as A1111 does.

    Parameters
    ----------
    parts : sequence of sequences of Token
        What is between two `BREAK`: each one begins a new chunk.
    size : int
        How many tokens a chunk has at most.
    comma : int or None
        The token of a comma. What is behind the last comma of a full chunk goes to the next one,
        if the comma is at most `COMMA_REACH` from the end.

    Returns
    -------
    list of list of Token
        At least one chunk. Empty ones are kept, but for one behind a last `BREAK`.
    """
    chunks: list[Chunk] = []
    for number, part in enumerate(parts, 1):
        chunk: Chunk = []
        comma_at = -1
        for token in part:
            if token.id == comma:
                comma_at = len(chunk)
            elif len(chunk) == size and comma_at >= 0 and size - comma_at <= COMMA_REACH:
                chunks.append(chunk[: comma_at + 1])
                chunk, comma_at = chunk[comma_at + 1 :], -1
            if len(chunk) == size:
                chunks.append(chunk)
                chunk, comma_at = [], -1
            chunk.append(token)
        if chunk or number < len(parts) or not chunks:
            chunks.append(chunk)
    return chunks


def read_chunks(pipeline: Any, prompt: ParsedPrompt) -> list[list[Chunk]]:
    """Return the chunks of a prompt, for each of a pipeline's tokenizers."""
    return [_read_chunks(pipeline, tokenizer, prompt) for tokenizer, _ in clip_encoders(pipeline)]


def clip_encoders(pipeline: Any) -> list[tuple[Any, Any]]:
    """Return the tokenizers and text encoders of a pipeline, one or two."""
    names = (("tokenizer", "text_encoder"), ("tokenizer_2", "text_encoder_2"))
    parts = [tuple(getattr(pipeline, name, None) for name in pair) for pair in names]
    return [(tokenizer, encoder) for tokenizer, encoder in parts if tokenizer is not None]


def _read_chunks(pipeline: Any, tokenizer: Any, prompt: ParsedPrompt) -> list[Chunk]:
    parts: list[list[Token]] = []
    named: Embeddings = pipeline.named_embeddings
    for part in prompt.chunks:
        parts.append([])
        for segment in part:
            for words in named.split(segment.text):
                if words.embedding:
                    ids = [-1 - number for number in named.numbers(words.embedding)]
                else:
                    ids = _ids(tokenizer, words.text)
                parts[-1] += [Token(one, segment.weight) for one in ids]
    comma = _ids(tokenizer, ",")
    return cut_chunks(parts, _size(tokenizer), comma[0] if len(comma) == 1 else None)


def _size(tokenizer: Any) -> int:
    """Return how many tokens a text encoder reads at once, without beginning and end."""
    return int(tokenizer.model_max_length) - 2


def _ids(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text, truncation=False, verbose=False)["input_ids"]
    return found[1:-1]  # without beginning and end


class TokenCount(NamedTuple):
    """How many tokens a prompt has, and how many of them are in the chunks that are read."""

    tokens: int
    limit: int


def count_tokens(pipeline: Any, prompt: ParsedPrompt) -> TokenCount:
    """Count a prompt's tokens: of several tokenizers, by the one that reads least of it."""
    counts = []
    for chunks in read_chunks(pipeline, prompt):
        whole, read = (sum(map(len, some)) for some in (chunks, chunks[: CHUNK_COUNTS[-1]]))
        counts.append(TokenCount(whole, read))
    return max(counts, key=lambda one: one.tokens - one.limit)


def is_stock(pipeline: Any, prompt: ParsedPrompt) -> bool:
    """Return whether a pipeline encodes a prompt itself: one chunk, no weights, no embeddings."""
    if not prompt.is_plain:
        return False
    read = read_chunks(pipeline, prompt)
    return all(len(chunks) == 1 and all(one.id >= 0 for one in chunks[0]) for chunks in read)


def encode_chunks(
    pipeline: Any,
    prompt: ParsedPrompt,
    device: torch.device,
    *,
    penultimate: bool,
    skipped: int = 0,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Encode a prompt of any length, and weigh its words.

    Parameters
    ----------
    pipeline : diffusers pipeline
        The embeddings of its text encoders are concatenated.
    prompt : ParsedPrompt
    device : torch.device
        Where the embeddings go.
    penultimate : bool
        Whether the output before the last layer is used, as in Stable Diffusion XL.
    skipped : int, optional
        How many layers at the end of each text encoder are left out of the embeddings. The pooled
        one is always of the last layer.

    Returns
    -------
    tensor (1, 77 N, C)
        For N chunks.
    tensor (1, C), or None
        The pooled embedding of the first chunk, unweighted, where the last text encoder has one.
    """
    encoders, read = clip_encoders(pipeline), read_chunks(pipeline, prompt)
    most = min(max(map(len, read)), CHUNK_COUNTS[-1])
    count = next(one for one in CHUNK_COUNTS if one >= most)
    embeds, pooled = [], None
    for number, ((tokenizer, encoder), chunks) in enumerate(zip(encoders, read, strict=True)):
        filled = [*chunks, *([] for _ in range(count - len(chunks)))][:count]
        tokens = _free_tokens(tokenizer, filled)
        filled = [[one._replace(id=tokens.get(one.id, one.id)) for one in few] for few in filled]
        named: Embeddings = pipeline.named_embeddings
        vectors = {token: named.vector(-1 - one, number) for one, token in tokens.items()}
        with standing_in(encoder, vectors):
            if penultimate:
                whole = _WithoutLastHidden(encoder, skipped)
                embeds.append(_encode(tokenizer, whole, filled, penultimate=True))
            else:
                with without_layers(encoder, skipped):
                    embeds.append(_encode(tokenizer, encoder, filled, penultimate=False))
            if penultimate and encoder is encoders[-1][1]:
                ids, _ = _fill(tokenizer, filled[0])
                where = get_module_execution_device(encoder)
                pooled = encoder(torch.tensor([ids], device=where))[0].to(device)
    return torch.cat([one.to(device) for one in embeds], dim=-1), pooled


def _free_tokens(tokenizer: Any, chunks: Sequence[Chunk]) -> dict[int, int]:
    """Return a token for each vector of an embedding, which is nowhere else in the chunks.

    It is one of the first: pooling takes the highest id for the end of the prompt.
    """
    used = {one.id for chunk in chunks for one in chunk}
    taken = {*used, *tokenizer.all_special_ids}
    free = (token for token in itertools.count() if token not in taken)
    return dict(zip(sorted(one for one in used if one < 0), free, strict=False))


def _encode(
    tokenizer: Any, encoder: Any, chunks: Sequence[Chunk], *, penultimate: bool
) -> torch.Tensor:
    """Return the embeddings of chunks, (1, 77 N, C)."""
    compel = _compel()
    kinds = compel.ReturnedEmbeddingsType
    where = get_module_execution_device(encoder)
    provider = compel.EmbeddingsProvider(
        tokenizer,
        encoder,
        truncate=False,
        device=where,
        returned_embeddings_type=kinds.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED
        if penultimate
        else kinds.LAST_HIDDEN_STATES_NORMALIZED,
    )
    filled = [_fill(tokenizer, chunk) for chunk in chunks]
    ids = torch.tensor([one for ids, _ in filled for one in ids], device=where)
    weights = torch.tensor([one for _, weights in filled for one in weights], device=where)
    mask = None
    if getattr(encoder.config, "use_attention_mask", False):
        read = [len(chunk) + 2 for chunk in chunks]
        whole = tokenizer.model_max_length
        mask = torch.tensor([int(i < one) for one in read for i in range(whole)], device=where)
    found: torch.Tensor = provider.build_weighted_embedding_tensor(ids, weights, mask, where)
    return found.to(encoder.dtype)


@contextmanager
def without_layers(encoder: Any, skipped: int) -> Iterator[None]:
    """Leave out the last layers of a CLIP text encoder whose last output is taken.

    diffusers' own argument fails with transformers 5, where the encoder has no `text_model`. Where
    hidden states are taken they must be those of the whole encoder: at the first call that asks for
    them, transformers decides for good which layers it collects them from.
    """
    whole = getattr(encoder, "text_model", encoder).encoder
    layers = whole.layers
    whole.layers = layers[: len(layers) - skipped]
    try:
        yield
    finally:
        whole.layers = layers


class _WithoutLastHidden:
    """A text encoder whose outputs lack the last hidden states."""

    def __init__(self, encoder: Any, skipped: int) -> None:
        self._encoder = encoder
        self._skipped = skipped

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        outputs = self._encoder(*args, **kwargs)
        states = outputs.hidden_states
        outputs.hidden_states = states[: len(states) - self._skipped]
        return outputs


def _fill(tokenizer: Any, chunk: Chunk) -> tuple[list[int], list[float]]:
    """Return a chunk's tokens and weights with beginning, end and padding, as a tokenizer does."""
    missing = _size(tokenizer) - len(chunk)
    ids = [tokenizer.bos_token_id, *(one.id for one in chunk), tokenizer.eos_token_id]
    weights = [1.0, *(one.weight for one in chunk), 1.0]
    return ids + [tokenizer.pad_token_id] * missing, weights + [1.0] * missing


@functools.cache
def _compel() -> Any:
    import compel  # noqa: PLC0415 - few prompts need it

    return compel


def to_length(*embeds: torch.Tensor) -> list[torch.Tensor]:
    """Repeat embeddings (1, L, C) until all are of the same length.

    Attention weighs a repeated embedding as it does a single one, so each means the same as before,
    whatever the lengths of the others: an image does not depend on those that it is painted with.
    """
    length = math.lcm(*(one.shape[1] for one in embeds))
    return [one.repeat(1, length // one.shape[1], 1) for one in embeds]
