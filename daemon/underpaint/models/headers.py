"""The headers of weight files: the names, shapes and types of their tensors. No tensor is read.

Both formats are read here rather than by their packages: a folder may hold thousands of files, any
of them damaged or hostile. What is read of each is bounded, and nothing is mapped into memory, so
that a file that is truncated meanwhile does not crash the process.

- safetensors: https://github.com/huggingface/safetensors#format
- GGUF: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import math
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

_Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Entry(msgspec.Struct):
    """A tensor as safetensors' header describes it."""

    dtype: Annotated[str, msgspec.Meta(pattern=r"^[A-Z][A-Z0-9_]{0,19}\Z")]
    shape: Annotated[tuple[_Number, ...], msgspec.Meta(max_length=MAX_DIMENSIONS)]
    data_offsets: tuple[_Number, _Number]


_ENTRIES = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENTRY = msgspec.json.Decoder(_Entry)


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
        entries = _read_entries(stream.read(length))
        metadata = msgspec.json.decode(entries.pop("__metadata__", b"null"))
    except ValueError as error:
        raise DamagedError("its header: {error}", error=error) from None
    if len(entries) > MAX_TENSORS:
        raise DamagedError(
            "it has {found} tensors, and at most {most} are read",
            found=len(entries),
            most=MAX_TENSORS,
        )
    data = 8 + length
    tensors = {}
    places = []
    for name, encoded in entries.items():
        try:
            entry = _ENTRY.decode(encoded)
        except msgspec.ValidationError as error:
            raise DamagedError(
                "its header does not describe {tensor!r} as it must: {error}",
                tensor=name[:120],
                error=error,
            ) from None
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


def _read_entries(header: bytes) -> dict[str, msgspec.Raw]:
    """Return the JSON text of each entry of a header; raise a `ValueError` if it is damaged."""
    text = header.decode()
    check_count(text)
    try:
        return _ENTRIES.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


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
