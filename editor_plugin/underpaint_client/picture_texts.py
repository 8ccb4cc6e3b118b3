"""The texts in which programs that paint keep their settings, of a PNG, JPEG or WebP file.

Needs no image library: the Python of an editor may have none.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator

from .png_chunks import PARAMETERS_KEY, RECIPE_KEY, SIGNATURE, read_chunks, read_text, text_key

COMFY_KEY = "prompt"
"""The keyword of the text that holds ComfyUI's graph."""

INVOKE_KEY = "invokeai_metadata"
"""The keyword of InvokeAI's text."""

OLD_INVOKE_KEY = "sd-metadata"
"""That of InvokeAI until version 2.3."""

LARGEST_TEXT = 2**22
"""Bytes of the largest text that is read."""

_KEYS = (RECIPE_KEY, PARAMETERS_KEY, COMFY_KEY, INVOKE_KEY, OLD_INVOKE_KEY)
_MOST_CHUNKS = 200_000
_MOST_ENTRIES = 500  # of a directory of EXIF data

_EXIF_DIRECTORY, _USER_COMMENT = 0x8769, 0x9286
_ASCII, _UNDEFINED = 2, 7


def read_texts(content: bytes) -> dict[str, str]:
    """Return the texts of a picture by their keywords: those of `_KEYS` alone, the first of each.

    Parameters
    ----------
    content : bytes
        The file. Damaged parts are passed over.
    """
    if content.startswith(SIGNATURE):
        return _read_png(content)
    exif: Iterator[bytes] = iter(())
    if content.startswith(b"\xff\xd8"):
        exif = _exif_of_jpeg(content)
    elif content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        exif = _exif_of_webp(content)
    texts: dict[str, str] = {}
    for data in exif:
        _add_exif(texts, data)
    return texts


def _read_png(content: bytes) -> dict[str, str]:
    texts: dict[str, str] = {}
    for chunk in itertools.islice(read_chunks(content), _MOST_CHUNKS):
        key = text_key(chunk)
        if key in _KEYS and key not in texts and len(chunk) <= LARGEST_TEXT:
            text = read_text(chunk)
            if text is not None:
                texts[key] = text
        elif chunk[4:8] == b"eXIf":
            _add_exif(texts, chunk[8:-4])
    return texts


def _exif_of_jpeg(content: bytes) -> Iterator[bytes]:
    """Yield the EXIF data of a JPEG, from the segments before its pixels."""
    position = 2
    while content[position : position + 1] == b"\xff" and position + 4 <= len(content):
        marker, length = content[position + 1], int.from_bytes(content[position + 2 :][:2], "big")
        if marker == 0xDA or length < 2:  # the pixels begin
            return
        data = content[position + 4 : position + 2 + length]
        if marker == 0xE1 and data.startswith(b"Exif\0\0"):
            yield data[6:]
        position += 2 + length


def _exif_of_webp(content: bytes) -> Iterator[bytes]:
    position = 12
    for _ in range(_MOST_CHUNKS):
        if position + 8 > len(content):
            return
        kind, (length,) = (
            content[position : position + 4],
            struct.unpack_from("<I", content, position + 4),
        )
        if kind == b"EXIF" and length <= LARGEST_TEXT:
            yield content[position + 8 : position + 8 + length].removeprefix(b"Exif\0\0")
        position += 8 + length + length % 2


def _add_exif(texts: dict[str, str], data: bytes) -> None:
    """Add what EXIF data holds: WebUI's comment, and ComfyUI's graph in any text of the picture."""
    for tag, value in _read_exif(data):
        if tag == _USER_COMMENT:
            texts.setdefault(PARAMETERS_KEY, _read_comment(value))
        elif value[:7].lower() == b"prompt:":
            texts.setdefault(COMFY_KEY, value[7:].rstrip(b"\0").decode("utf-8", "replace"))


def _read_exif(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the texts of EXIF data by their tags, from its first and its EXIF directory."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return
    try:
        (first,) = struct.unpack_from(f"{order}I", data, 4)
        directories = [first]
        for where in directories:
            (count,) = struct.unpack_from(f"{order}H", data, where)
            for number in range(min(count, _MOST_ENTRIES)):
                entry = where + 2 + 12 * number
                tag, kind, size, value = struct.unpack_from(f"{order}HHII", data, entry)
                if tag == _EXIF_DIRECTORY and len(directories) < 2:
                    directories.append(value)
                elif kind in (_ASCII, _UNDEFINED) and 4 < size <= LARGEST_TEXT:
                    yield tag, data[value : value + size]
    except struct.error:  # it ends too early
        return


def _read_comment(value: bytes) -> str:
    charset, text = value[:8], value[8:]
    if charset == b"UNICODE\0":
        is_big = text[:1] == b"\0" or text[:2] == b"\xfe\xff"
        read = text.decode("utf-16-be" if is_big else "utf-16-le", "replace")
        return read.lstrip("\ufeff").rstrip("\0")
    return text.rstrip(b"\0").decode("utf-8", "replace")
