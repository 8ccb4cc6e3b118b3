"""List the embeddings (textual inversions), which teach text encoders a word by its vectors."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.printable import one_line
from underpaint_client.sentences import NO_TEXT, Sentence, sentence

from .facts import family_facts
from .headers import read_header
from .roots import embedding_roots
from .stamps import FileStamp
from .tensors import Header, Tensor
from .walking import Found, walk_roots

LARGEST = 2**26
"""Bytes of the largest file that is read."""

MOST_VECTORS = 75
"""Vectors of the longest embedding: as many tokens as a text encoder reads at once."""

_OF_ENCODERS = (("clip_l", "clip_g"), ("text_encoders_0", "text_encoders_1"))
"""What the tensors for the first and the second text encoder are called."""

_BASES = {(768,): ("sd", "1"), (1024,): ("sd", "2"), (768, 1280): ("sdxl", "")}
"""Family and variant, by the widths of the text encoders' tokens."""


@dataclass(frozen=True)
class ListedEmbedding:
    """An embedding.

    Parameters
    ----------
    name : str
        Its path below the folder of embeddings, without the ending.
    path : str
    tensors : tuple of str
        The names of the tensors for the text encoders of a model, in their order.
    widths : tuple of int
        How wide the vectors of each are.
    vectors : int
        How many tokens it stands for.
    reason : Sentence
        Why it cannot be used, without the file; empty where it can.
    stamp : FileStamp
    """

    name: str
    path: str
    tensors: tuple[str, ...] = ()
    widths: tuple[int, ...] = ()
    vectors: int = 0
    reason: Sentence = NO_TEXT
    stamp: FileStamp = (0, 0, 0)

    @property
    def base(self) -> str:
        """The model that it was made for, in words."""
        if self.widths in _BASES:
            return family_facts(*_BASES[self.widths]).title
        return " + ".join(map(str, self.widths))

    @property
    def base_family(self) -> str:
        """The family of that model; empty where it is not known."""
        return _BASES.get(self.widths, ("", ""))[0]

    @property
    def problem(self) -> Sentence:
        """Why it cannot be used; empty where it can."""
        if not self.reason:
            return NO_TEXT
        return sentence(
            "embedding {file}: {problem}", file=one_line(self.path), problem=self.reason
        )


def list_embeddings() -> tuple[ListedEmbedding, ...]:
    """Describe every embedding, by name; one that cannot be used says why."""
    found = (_describe(one) for one in walk_roots(embedding_roots()) if not one.is_folder)
    return tuple(sorted(found, key=lambda one: one.name))


@functools.lru_cache(maxsize=4096)
def _read_header(file: Path, _stamp: FileStamp) -> Header:
    """Return the header of a file in its current state: each job looks at all of them."""
    return read_header(file)


def _describe(one: Found) -> ListedEmbedding:
    path = str(one.path).encode("utf-8", "backslashreplace").decode()
    if one.problem or one.stamp[0] > LARGEST:
        return ListedEmbedding(one.name, path, reason=_UNREADABLE, stamp=one.stamp)
    try:
        tensors = _read_header(Path(one.path), one.stamp).tensors
    except ModelUnavailableError:
        return ListedEmbedding(one.name, path, reason=_UNREADABLE, stamp=one.stamp)
    names = find_tensors(tensors)
    shapes = [tensors[name].shape for name in names]
    counts = {1 if len(shape) == 1 else shape[0] for shape in shapes if shape}
    if not names or len(counts) != 1 or not 0 < max(counts) <= MOST_VECTORS:
        reason = sentence("it is no embedding of CLIP with up to {most} vectors", most=MOST_VECTORS)
        return ListedEmbedding(one.name, path, reason=reason, stamp=one.stamp)
    widths = tuple(shape[-1] for shape in shapes)
    return ListedEmbedding(one.name, path, names, widths, max(counts), stamp=one.stamp)


_UNREADABLE = sentence("its file cannot be read; fetch it again")


def find_tensors(tensors: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Return the names of the tensors for a model's text encoders; none where they are not told.

    A file for two text encoders names them. One for one text encoder has one tensor: `emb_params`,
    `*`, or what its diffusers token is called.
    """
    alone = tuple(tensors) if len(tensors) == 1 else ()
    found = next((names for names in _OF_ENCODERS if tensors.keys() >= {*names}), alone)
    return found if all(len(tensors[name].shape) in (1, 2) for name in found) else ()


class EmbeddingIndex:
    """Embeddings by the names that mean them: in any case, whole or by their last part."""

    def __init__(self, embeddings: tuple[ListedEmbedding, ...]) -> None:
        self._by_name: dict[str, ListedEmbedding] = {}
        for one in embeddings:
            self._by_name.setdefault(one.name.rpartition("/")[2].casefold(), one)
        self._by_name |= {one.name.casefold(): one for one in embeddings}

    def get(self, name: str) -> ListedEmbedding | None:
        """Return the embedding that a name means; None if there is none."""
        plain = name.replace("\\", "/").casefold().removesuffix(".safetensors")
        return self._by_name.get(plain)

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._by_name)
