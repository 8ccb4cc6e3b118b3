"""The chunks of a PNG, and the texts in them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"

RECIPE_KEY = "underpaint"
"""The keyword of the text chunk that holds the recipe."""

PARAMETERS_KEY = "parameters"
"""Where Stable Diffusion WebUI, and what came after it, keep theirs."""

LARGEST_CHUNK = 2**20
"""Bytes of the largest chunk that is carried along, unpacked."""

TEXTS = (b"tEXt", b"zTXt", b"iTXt")
"""The kinds of chunks that hold a text."""


def read_chunks(content: bytes) -> Iterator[bytes]:
    """Return each chunk of a PNG, whole; the last may be cut where the file is."""
    position = len(SIGNATURE)
    while position + 8 <= len(content):
        (length,) = struct.unpack_from(">I", content, position)
        chunk = content[position : position + 12 + length]
        yield chunk
        if chunk[4:8] == b"IEND":
            return
        position += 12 + length


def find_text(content: bytes, key: str) -> str | None:
    """Return a PNG's text by its keyword; None if there is none that can be read."""
    texts = (read_text(chunk) for chunk in read_chunks(content) if text_key(chunk) == key)
    return next((text for text in texts if text is not None), None)


def text_key(chunk: bytes) -> str:
    """Return the keyword of a text chunk; empty for other chunks."""
    return chunk[8:-4][:80].split(b"\0", 1)[0].decode("latin-1") if chunk[4:8] in TEXTS else ""


def read_text(chunk: bytes) -> str | None:
    """Return the text of a text chunk; None if that is damaged."""
    try:
        return unpack_chunk(chunk).decode("utf-8" if chunk[4:8] == b"iTXt" else "latin-1")
    except (ValueError, zlib.error):
        return None


def unpack_chunk(chunk: bytes) -> bytes:
    """Return a chunk's content, unpacked where it is packed; at most a byte over the largest.

    Raises
    ------
    ValueError, zlib.error
        It is not as the specification says.
    """
    kind, data = chunk[4:8], chunk[8:-4]
    packed = kind in (b"iCCP", b"zTXt")
    if kind in (b"iCCP", *TEXTS):
        _, data = data.split(b"\0", 1)
        if kind == b"iTXt":
            packed = data[:1] == b"\1"
            _, _, data = data[2:].split(b"\0", 2)
        elif packed:
            data = data[1:]
    return zlib.decompressobj().decompress(data, LARGEST_CHUNK + 1) if packed else data
