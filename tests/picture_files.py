"""Picture files of kinds that no library here writes, and damaged ones."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Any

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png_chunk(kind: bytes, data: bytes, *, damaged: bool = False) -> bytes:
    checksum = zlib.crc32(kind + data) ^ damaged
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def with_chunks(content: bytes, *chunks: bytes, behind: bool = False) -> bytes:
    """A PNG with more chunks, before or behind its pixels."""
    place = len(content) - 12 if behind else len(SIGNATURE) + 25
    return content[:place] + b"".join(chunks) + content[place:]


def packed_text(key: bytes, size: int) -> bytes:
    return png_chunk(b"zTXt", key + b"\0\0" + zlib.compress(b"x" * size))


def packed_profile(profile: bytes) -> bytes:
    return png_chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))


_FORMATS = {3: "H", 4: "I", 7: "B"}


def tiff(
    pixels: Any,
    *,
    order: str = "<",
    photometric: int = 2,
    extra: Sequence[int] | None = None,
    orientation: int = 1,
    planes: bool = False,
    bits: int = 0,
    sample: int = 1,
) -> bytes:
    """An uncompressed TIFF of pixels (H, W, channels).

    Parameters
    ----------
    order : str
        `<` or `>`: of bytes.
    photometric, orientation, sample : int
        As the tags PhotometricInterpretation, Orientation and SampleFormat have them.
    extra : sequence of int, optional
        ExtraSamples: 0 unspecified, 1 multiplied into the colours, 2 straight alpha.
    planes : bool
        Each channel by itself.
    bits : int
        12 packs values of so many; 0 takes those of the dtype.
    """
    height, width, channels = pixels.shape
    stored = pixels.transpose(2, 0, 1) if planes else pixels
    data = stored.astype(pixels.dtype.newbyteorder(order)).tobytes()
    if bits == 12:
        rows = ["".join(f"{value:03x}" for value in row.ravel().tolist()) for row in pixels]
        data = b"".join(bytes.fromhex(row + "0" * (len(row) % 2)) for row in rows)
    strips = channels if planes else 1
    size = len(data) // strips
    tags: dict[int, tuple[int, list[int]]] = {
        256: (4, [width]), 257: (4, [height]),
        258: (3, [bits or pixels.dtype.itemsize * 8] * channels), 259: (3, [1]),
        262: (3, [photometric]), 273: (4, [0] * strips), 274: (3, [orientation]),
        277: (3, [channels]), 278: (4, [height]), 279: (4, [size] * strips),
        284: (3, [2 if planes else 1]), 339: (3, [sample] * channels),
    }  # fmt: skip
    if extra is not None:
        tags[338] = (3, list(extra))
    start = 8 + 2 + 12 * len(tags) + 4
    long = sum(
        n for kind, v in tags.values() if (n := struct.calcsize(_FORMATS[kind]) * len(v)) > 4
    )
    tags[273] = (4, [start + long + size * strip for strip in range(strips)])
    entries, values = struct.pack(f"{order}H", len(tags)), b""
    for tag, (kind, found) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(found)}{_FORMATS[kind]}", *found)
        entries += struct.pack(f"{order}HHI", tag, kind, len(found))
        if len(packed) > 4:
            entries += struct.pack(f"{order}I", start + len(values))
            values += packed
        else:
            entries += packed.ljust(4, b"\0")
    magic = b"II*\0" if order == "<" else b"MM\0*"
    header = magic + struct.pack(f"{order}I", 8)
    return b"".join([header, entries, bytes(4), values, data])


def netpbm(pixels: Any, largest: int, *, plain: bool = False) -> bytes:
    """A PPM or PGM of pixels (H, W, channels) of 16 bits."""
    height, width, channels = pixels.shape
    kind = {(1, False): 5, (3, False): 6, (1, True): 2, (3, True): 3}[channels, plain]
    header = f"P{kind}\n# comment\n{width} {height}\n{largest}\n".encode()
    if plain:
        return header + " ".join(map(str, pixels.ravel().tolist())).encode()
    return b"".join([header, pixels.astype(">u2").tobytes()])
