"""Tensors as the header of a weight file describes them, and how much of a header is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from underpaint_client.errors import UnderpaintError

MAX_HEADER = 2**25
"""The most bytes of a header that are read.

Those of the largest models have about 1 MB, and text encoders in GGUF, which hold a vocabulary,
about 15 MB.
"""

MAX_TENSORS = 2**16
"""The most tensors of a file; the largest models have some thousands."""

MAX_DIMENSIONS = 8
"""The most dimensions of a tensor; 5 are usual."""


class Tensor(NamedTuple):
    """A tensor as a header describes it.

    Parameters
    ----------
    dtype : str
        In capitals, as the format calls it: `F16`, `F8_E4M3`, `Q4_K`.
    shape : tuple of int
        As in PyTorch: the last dimension changes fastest.
    start : int
        Where its bytes begin in the file.
    size : int
        How many there are.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int = 0
    size: int = 0


@dataclass(frozen=True)
class Header:
    """The header of a weight file.

    Parameters
    ----------
    format : str
        `safetensors` or `gguf`.
    tensors : mapping of str to Tensor
        By name, in the order of the file.
    metadata : mapping of str to str
        Texts and numbers that the file's maker added; long lists are left out.
    """

    format: str
    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)


class DamagedError(UnderpaintError):
    """A file does not follow its format."""
