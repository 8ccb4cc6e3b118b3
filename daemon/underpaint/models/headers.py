"""The headers of weight files: the names, shapes and types of their tensors. No tensor is read.

Both formats are read here rather than by their packages: a folder may hold thousands of files, any
of them damaged or hostile. What is read of each is bounded, and nothing is mapped into memory, so
that a file that is truncated meanwhile does not crash the process.

- safetensors: https://github.com/huggingface/safetensors#format
- GGUF: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import contextlib
import math
import re
import stat
import struct
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.sentences import Listing

from .gguf_header import read_gguf
from .reading import check_count
from .tensors import MAX_DIMENSIONS, MAX_HEADER, MAX_TENSORS, DamagedError, Header, Tensor

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

_METADATA = "__metadata__"

_Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


_DTYPE = re.compile(r"^[A-Z][A-Z0-9_]{0,19}\Z")


class _Entry(msgspec.Struct):
    """A tensor as safetensors' header describes it."""

    dtype: Annotated[str, msgspec.Meta(pattern=_DTYPE.pattern)]
    shape: Annotated[tuple[_Number, ...], msgspec.Meta(max_length=MAX_DIMENSIONS)]
    data_offsets: tuple[_Number, _Number]


_NO_SHAPE, _NO_PLACE = (-1,), (1, 0)


class _Loose(msgspec.Struct, gc=False):
    """The same with less of it checked while it is read, as of thousands of tensors."""

    dtype: str = ""
    shape: Annotated[tuple[_Number, ...], msgspec.Meta(max_length=MAX_DIMENSIONS)] = _NO_SHAPE
    data_offsets: tuple[_Number, _Number] = _NO_PLACE


class _Metadata(msgspec.Struct, rename={"said": _METADATA}):
    """What a maker added to safetensors' header."""

    said: msgspec.Raw = msgspec.Raw(b"null")


_ENTRY = msgspec.json.Decoder(_Entry)
_ALL_LOOSE = msgspec.json.Decoder(dict[str, _Loose])
_ALL_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])
_SAID = msgspec.json.Decoder(_Metadata)


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
            read = read_gguf if ending == ".gguf" else _read_safetensors
            return read(stream, status.st_size)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreadableError(
            "weights {file} cannot be read ({reason}); fetch the file again, or remove it",
            file=file,
            reason=reason,
        ) from None
    except DamagedError as error:
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


def _read_safetensors(stream: BinaryIO, size: int) -> Header:
    beginning = stream.read(min(size, 8))  # some files of /proc have no size, and no end
    length = _header_length(beginning, size)
    try:
        text = stream.read(length).decode()
        check_count(text)
        metadata = msgspec.json.decode(_SAID.decode(text).said)
        entries = _read_entries(text)
    except RecursionError:
        raise DamagedError("its header: it is nested too deeply") from None
    except ValueError as error:
        raise DamagedError("its header: {error}", error=error) from None
    data = 8 + length
    tensors = {}
    places = []
    for name, entry in entries.items():
        dtype, shape, (start, stop) = entry.dtype, entry.shape, entry.data_offsets
        if start > stop:
            raise DamagedError(
                "its header places {tensor!r} at {start} to {end}",
                tensor=name[:120],
                start=start,
                end=stop,
            )
        bits = _BITS.get(dtype)
        if bits is not None and math.prod(shape) * bits != 8 * (stop - start):
            raise DamagedError(
                "{tensor!r}, {dtype} {shape}, has {size} bytes",
                tensor=name[:120],
                dtype=dtype,
                shape=str(list(shape))[:80],
                size=stop - start,
            )
        places.append((start, stop, name))
        tensors[name] = Tensor(dtype, shape, data + start, stop - start)
    end = _check_places(places)
    if data + end != size:
        raise DamagedError(
            "it has {size} bytes, and its header says {expected}", size=size, expected=data + end
        )
    said = metadata.items() if isinstance(metadata, dict) else ()
    return Header("safetensors", tensors, {n: one for n, one in said if isinstance(one, str)})


def _read_entries(text: str) -> dict[str, _Loose]:
    """Return what a header says of each tensor.

    Raises
    ------
    DamagedError
        It does not describe a tensor as it must, or has too many.
    ValueError
        It is not JSON.
    """
    with contextlib.suppress(msgspec.ValidationError):
        entries = _ALL_LOOSE.decode(text)
        entries.pop(_METADATA, None)
        _check_number(len(entries))
        if all(map(_DTYPE.match, {one.dtype for one in entries.values()})) and not any(
            one.shape == _NO_SHAPE or one.data_offsets == _NO_PLACE for one in entries.values()
        ):
            return entries
    found = {}  # one by one, for the name of the one that is wrong
    each = _ALL_RAW.decode(text)
    each.pop(_METADATA, None)
    _check_number(len(each))
    for name, encoded in each.items():
        try:
            entry = _ENTRY.decode(encoded)
        except msgspec.ValidationError as error:
            raise DamagedError(
                "its header does not describe {tensor!r} as it must: {error}",
                tensor=name[:120],
                error=error,
            ) from None
        found[name] = _Loose(entry.dtype, entry.shape, entry.data_offsets)
    return found


def _check_number(tensors: int) -> None:
    if tensors > MAX_TENSORS:
        raise DamagedError(
            "it has {found} tensors, and at most {most} are read", found=tensors, most=MAX_TENSORS
        )


def _header_length(beginning: bytes, size: int) -> int:
    """Return the length of a header, which a file of this size begins with."""
    if len(beginning) < 8:
        raise DamagedError("it has {size} bytes", size=size)
    if beginning == b"version ":
        raise DamagedError("it is a Git LFS pointer, and not the file that this stands for")
    length: int = struct.unpack("<Q", beginning)[0]
    if length > size - 8:
        raise DamagedError(
            "it is of {size} bytes, and its header would need {needed}", size=size, needed=length
        )
    if length > MAX_HEADER:
        raise DamagedError(
            "its header has {size} bytes, and at most {most} are read", size=length, most=MAX_HEADER
        )
    return length


def _check_places(places: list[tuple[int, int, str]]) -> int:
    """Check that tensors follow each other without gaps, as they must; return their end."""
    end = 0
    for start, stop, name in sorted(places):
        if start != end:
            raise DamagedError(
                "{tensor!r} begins at {start}, and the tensor before it ends at {end}",
                tensor=name[:120],
                start=start,
                end=end,
            )
        end = stop
    return end
