"""The headers of weight files: the names, shapes and types of their tensors. No tensor is read.

Both formats are read here rather than by their packages: a folder may hold thousands of files, any
of them damaged or hostile. What is read of each is bounded, and nothing is mapped into memory, so
that a file that is truncated meanwhile does not crash the process.

- safetensors: https://github.com/huggingface/safetensors#format
- GGUF: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import functools
import math
import re
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from underpaint_client.errors import ModelUnavailableError, UnderpaintError
from underpaint_client.sentences import Listing

from .reading import parse_json

MAX_HEADER = 2**25
"""The most bytes of a header that are read.

Those of the largest models have about 1 MB, and text encoders in GGUF, which hold a vocabulary,
about 15 MB.
"""

MAX_TENSORS = 2**16
"""The most tensors of a file; the largest models have some thousands."""

MAX_DIMENSIONS = 8
"""The most dimensions of a tensor; 5 are usual."""

ENDINGS = (".safetensors", ".gguf")
"""The file formats that are read."""

_BITS = {
    "BOOL": 8,
    **{f"F8_{kind}": 8 for kind in ("E4M3", "E5M2", "E4M3FNUZ", "E5M2FNUZ", "E8M0")},
    **{f"{letter}{bits}": bits for letter in "IUF" for bits in (8, 16, 32, 64)},
    "BF16": 16,
    "C64": 64,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
}
"""Bits of a number, by the types of safetensors."""


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


def read_header(file: Path) -> Header:
    """Read the header of a `.safetensors` or `.gguf` file.

    Raises
    ------
    ModelUnavailableError
        It is not such a file, damaged, truncated, or too large. The message names the file, and
        what to do.
    """
    ending = file.suffix.lower()
    if ending not in ENDINGS:
        raise ModelUnavailableError(
            "{file} is not a model file: Underpaint reads {endings} files",
            file=file,
            endings=Listing(ENDINGS),
        )
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe or a device would wait for ever
            raise ModelUnavailableError(
                "{file} is not a regular file; name the file of a model", file=file
            )
        with file.open("rb") as stream:
            read = _read_gguf if ending == ".gguf" else _read_safetensors
            return read(stream, status.st_size)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreadableError(
            "weights {file} cannot be read ({reason}); fetch the file again, or remove it",
            file=file,
            reason=reason,
        ) from None
    except _DamagedError as error:
        raise ModelUnavailableError(
            "weights {file} are damaged or cut short ({error}); fetch the file again",
            file=file,
            error=error,
        ) from None


def read_bytes(file: Path, tensor: Tensor, most: int) -> bytes:
    """Return the beginning of a tensor's bytes: at most `most`.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    with file.open("rb") as stream:
        stream.seek(tensor.start)
        return stream.read(min(tensor.size, most))


class UnreadableError(ModelUnavailableError):
    """A file cannot be read: it is missing, locked, or on a failing disk."""


class _DamagedError(UnderpaintError):
    """A file does not follow its format."""


def _read_safetensors(stream: BinaryIO, size: int) -> Header:
    beginning = stream.read(min(size, 8))  # some files of /proc have no size, and no end
    length = _header_length(beginning, size)
    try:
        entries = parse_json(stream.read(length).decode())
    except ValueError as error:
        raise _DamagedError("its header: {error}", error=error) from None
    if not isinstance(entries, dict):
        raise _DamagedError("its header is not a JSON object")
    metadata = entries.pop("__metadata__", None)
    if len(entries) > MAX_TENSORS:
        raise _DamagedError(
            "it has {found} tensors, and at most {most} are read",
            found=len(entries),
            most=MAX_TENSORS,
        )
    data = 8 + length
    tensors = {}
    places = []
    for name, entry in entries.items():
        dtype, shape, start, stop = _read_entry(name, entry)
        bits = _BITS.get(dtype)
        if bits is not None and math.prod(shape) * bits != 8 * (stop - start):
            raise _DamagedError(
                "{tensor!r}, {dtype} {shape}, has {size} bytes",
                tensor=name[:120],
                dtype=dtype,
                shape=str(shape)[:80],
                size=stop - start,
            )
        places.append((start, stop, name))
        tensors[name] = Tensor(dtype, tuple(shape), data + start, stop - start)
    end = _check_places(places)
    if data + end != size:
        raise _DamagedError(
            "it has {size} bytes, and its header says {expected}", size=size, expected=data + end
        )
    said = metadata.items() if isinstance(metadata, dict) else ()
    return Header("safetensors", tensors, {n: one for n, one in said if isinstance(one, str)})


def _header_length(beginning: bytes, size: int) -> int:
    """Return the length of a header, which a file of this size begins with."""
    if len(beginning) < 8:
        raise _DamagedError("it has {size} bytes", size=size)
    if beginning == b"version ":
        raise _DamagedError("it is a Git LFS pointer, and not the file that this stands for")
    length: int = struct.unpack("<Q", beginning)[0]
    if length > size - 8:
        raise _DamagedError(
            "it is of {size} bytes, and its header would need {needed}", size=size, needed=length
        )
    if length > MAX_HEADER:
        raise _DamagedError(
            "its header has {size} bytes, and at most {most} are read", size=length, most=MAX_HEADER
        )
    return length


def _check_places(places: list[tuple[int, int, str]]) -> int:
    """Check that tensors follow each other without gaps, as they must; return their end."""
    end = 0
    for start, stop, name in sorted(places):
        if start != end:
            raise _DamagedError(
                "{tensor!r} begins at {start}, and the tensor before it ends at {end}",
                tensor=name[:120],
                start=start,
                end=end,
            )
        end = stop
    return end


def _read_entry(name: str, entry: Any) -> tuple[str, list[int], int, int]:
    """Return the type, the shape and the place of a tensor."""
    try:
        dtype, shape, (start, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError):
        raise _DamagedError("its header does not describe {tensor!r}", tensor=name[:120]) from None
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        raise _DamagedError(
            "its header gives {tensor!r} the shape {shape}",
            tensor=name[:120],
            shape=str(shape)[:80],
        )
    is_type = isinstance(dtype, str) and re.fullmatch(r"[A-Z][A-Z0-9_]{0,19}", dtype)
    numbers = (*shape, start, stop)
    if not is_type or not all(type(one) is int and 0 <= one < 2**63 for one in numbers):
        raise _DamagedError(
            "its header describes {tensor!r} in values of the wrong kind", tensor=name[:120]
        )
    if start > stop:
        raise _DamagedError(
            "its header places {tensor!r} at {start} to {end}",
            tensor=name[:120],
            start=start,
            end=stop,
        )
    return dtype, shape, start, stop


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
            raise _DamagedError("its header ends too early")
        found = self._stream.read(count)
        if len(found) < count:
            raise _DamagedError("its header ends too early")
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
            raise _DamagedError("its header has a value of the unknown type {type}", type=kind)
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
            raise _DamagedError("its header has a list of lists")
        return None

    def count(self, more: int) -> None:
        """Count keys or texts that follow."""
        self._texts += more
        if self._texts > _MOST_TEXTS:
            raise _DamagedError(
                "its header has {found} keys and texts, and at most {most} are read",
                found=self._texts,
                most=_MOST_TEXTS,
            )

    def _advance(self, count: int) -> None:
        self.place += count
        if self.place > MAX_HEADER:
            raise _DamagedError(
                "its header has over {most} bytes, and no more are read", most=MAX_HEADER
            )


def _read_gguf(stream: BinaryIO, size: int) -> Header:
    cursor = _Cursor(stream, size)
    if cursor.take(4) != b"GGUF":
        raise _DamagedError("it does not begin as a GGUF file")
    version = cursor.number("I")
    if version not in (2, 3):
        raise _DamagedError(
            "it is of version {version} of the format; 2 and 3 are read", version=version
        )
    count, values = cursor.number("Q"), cursor.number("Q")
    if count > MAX_TENSORS:
        raise _DamagedError(
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
        raise _DamagedError(
            "it has {size} bytes, and its header says {expected}", size=size, expected=end
        )
    return Header("gguf", tensors, metadata)


def _read_tensor(cursor: _Cursor) -> tuple[str, Tensor]:
    name, dimensions = cursor.text(), cursor.number("I")
    if dimensions > MAX_DIMENSIONS:
        raise _DamagedError(
            "{tensor!r} has {dimensions} dimensions", tensor=name[:120], dimensions=dimensions
        )
    shape = tuple(cursor.number("Q") for _ in range(dimensions))[::-1]
    kind, start = cursor.number("I"), cursor.number("Q")
    if kind not in _gguf_types():
        raise _DamagedError("{tensor!r} has the unknown type {type}", tensor=name[:120], type=kind)
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
        raise _DamagedError("its alignment is {alignment!r}", alignment=said[:80])
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
