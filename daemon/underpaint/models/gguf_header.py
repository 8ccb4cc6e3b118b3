"""The headers of GGUF files: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md."""

from __future__ import annotations

import functools
import math
import re
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO

from .tensors import MAX_DIMENSIONS, MAX_HEADER, MAX_TENSORS, DamagedError, Header, Tensor

_SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
"""GGUF's types of values that have one length, as `struct` calls them."""

_TEXT, _LIST = 8, 9
_SHORT_LIST = 8

_MOST_TEXTS = 2**20
"""The most keys and texts in lists: a vocabulary of 260,000 words and its merges have 780,000."""


class _Cursor:
    """Read a GGUF header from the front of a file, never more than `MAX_HEADER` bytes of it."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._size = size
        self._texts = 0
        self.place = 0

    def skip(self, count: int) -> None:
        """Skip bytes."""
        self._advance(count)
        self._stream.seek(self.place)

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        self._advance(count)
        if self.place > self._size:
            raise DamagedError("its header ends too early")
        found = self._stream.read(count)
        if len(found) < count:
            raise DamagedError("its header ends too early")
        return found

    def number(self, kind: str) -> Any:
        """Return the next number, of a type of `struct`."""
        return struct.unpack(f"<{kind}", self.take(struct.calcsize(kind)))[0]

    def text(self) -> str:
        """Return the next text."""
        return self.take(self.number("Q")).decode("utf-8", "replace")

    def value(self, kind: int) -> str | None:
        """Return the next value as text; skip a list, unless it is a few numbers."""
        if kind == _TEXT:
            return self.text()
        if kind in _SCALARS:
            return str(self.number(_SCALARS[kind]))
        if kind != _LIST:
            raise DamagedError("its header has a value of the unknown type {type}", type=kind)
        inner, length = self.number("I"), self.number("Q")
        if inner in _SCALARS and length <= _SHORT_LIST:
            return " ".join(str(self.number(_SCALARS[inner])) for _ in range(length))
        if inner in _SCALARS:
            self.skip(length * struct.calcsize(_SCALARS[inner]))
        elif inner == _TEXT:
            self.count(length)
            for _ in range(length):
                self.skip(self.number("Q"))
        else:
            raise DamagedError("its header has a list of lists")
        return None

    def count(self, more: int) -> None:
        """Count keys or texts that follow."""
        self._texts += more
        if self._texts > _MOST_TEXTS:
            raise DamagedError(
                "its header has {found} keys and texts, and at most {most} are read",
                found=self._texts,
                most=_MOST_TEXTS,
            )

    def _advance(self, count: int) -> None:
        self.place += count
        if self.place > MAX_HEADER:
            raise DamagedError(
                "its header has over {most} bytes, and no more are read", most=MAX_HEADER
            )


def read_gguf(stream: BinaryIO, size: int) -> Header:
    """Read the header of a GGUF file.

    Raises
    ------
    DamagedError
        It does not follow the format, or is too large.
    """
    cursor = _Cursor(stream, size)
    if cursor.take(4) != b"GGUF":
        raise DamagedError("it does not begin as a GGUF file")
    version = cursor.number("I")
    if version not in (2, 3):
        raise DamagedError(
            "it is of version {version} of the format; 2 and 3 are read", version=version
        )
    count, values = cursor.number("Q"), cursor.number("Q")
    if count > MAX_TENSORS:
        raise DamagedError(
            "it has {found} tensors, and at most {most} are read", found=count, most=MAX_TENSORS
        )
    metadata = {}
    cursor.count(values)
    for _ in range(values):
        name, kind = cursor.text(), cursor.number("I")
        value = cursor.value(kind)
        if value is not None:
            metadata[name] = value
    described = [_read_tensor(cursor) for _ in range(count)]
    alignment = _alignment(metadata)
    data = -(-cursor.place // alignment) * alignment
    tensors = {}
    for name, tensor in described:
        said = metadata.get(f"comfy.gguf.orig_shape.{name}", "")  # where rows were joined to fit
        shape = _original_shape(said, tensor.shape)
        tensors[name] = Tensor(tensor.dtype, shape, data + tensor.start, tensor.size)
    end = max((tensor.start + tensor.size for tensor in tensors.values()), default=0)
    if end > size:
        raise DamagedError(
            "it has {size} bytes, and its header says {expected}", size=size, expected=end
        )
    return Header("gguf", tensors, metadata)


def _read_tensor(cursor: _Cursor) -> tuple[str, Tensor]:
    name, dimensions = cursor.text(), cursor.number("I")
    if dimensions > MAX_DIMENSIONS:
        raise DamagedError(
            "{tensor!r} has {dimensions} dimensions", tensor=name[:120], dimensions=dimensions
        )
    shape = tuple(cursor.number("Q") for _ in range(dimensions))[::-1]
    kind, start = cursor.number("I"), cursor.number("Q")
    if kind not in _gguf_types():
        raise DamagedError("{tensor!r} has the unknown type {type}", tensor=name[:120], type=kind)
    dtype, block, length = _gguf_types()[kind]
    return name, Tensor(dtype, shape, start, math.prod(shape) // block * length)


def _original_shape(said: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that a tensor had before it was stored, if as many numbers fit into it."""
    sides = said.split(maxsplit=MAX_DIMENSIONS)
    if not 0 < len(sides) <= MAX_DIMENSIONS or not all(map(_SIDE.fullmatch, sides)):
        return shape
    original = tuple(map(int, sides))
    return original if math.prod(original) == math.prod(shape) else shape


_SIDE = re.compile(r"\d{1,19}", re.ASCII)


def _alignment(metadata: Mapping[str, str]) -> int:
    said = metadata.get("general.alignment", "32")
    if not re.fullmatch(r"[1-9]\d{0,8}", said, re.ASCII):
        raise DamagedError("its alignment is {alignment!r}", alignment=said[:80])
    return int(said)


@functools.cache
def _gguf_types() -> dict[int, tuple[str, int, int]]:
    """Return the name of each type of GGUF, its numbers a block, and bytes a block."""
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType  # noqa: PLC0415 - it is slow

    return {
        int(kind): (kind.name, *GGML_QUANT_SIZES[kind])
        for kind in GGMLQuantizationType
        if kind in GGML_QUANT_SIZES
    }
