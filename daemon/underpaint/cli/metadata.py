"""The metadata of a picture file: copied into the results, or reported as lost.

The currency is the PNG chunk, as results are PNGs. A chunk of a PNG travels as it is, where the PNG
specification says that it is still true after the pixels have changed: those that describe colours,
and those that are marked safe to copy (section 5.4 of the third edition). What other formats hold
is turned into chunks first.

Sizes are limited to what other programs read: Pillow refuses a whole picture for one chunk that
unpacks to more than 1 MiB.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
import struct
import warnings
import zlib
from collections.abc import Callable, Iterable
from typing import Any

from PIL import ExifTags, Image, PngImagePlugin

from underpaint_client.png_chunks import (
    LARGEST_CHUNK,
    PARAMETERS_KEY,
    RECIPE_KEY,
    SIGNATURE,
    TEXTS,
    read_chunks,
    read_text,
    text_key,
    unpack_chunk,
)
from underpaint_client.sentences import sentence

from .damage import DamagedError, decoding

LARGEST_IN_ALL = 2**23
"""Bytes of all chunks that are carried along."""

MOST_NOTES = 8
"""Notes about one file, before the others are counted only."""

_XMP_KEY = "XML:com.adobe.xmp"
_ORIENTED_TEXTS = (_XMP_KEY, "Raw profile type exif", "Raw profile type APP1")
_ORIENTATION = ExifTags.Base.Orientation
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_COLOURS = (b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI")
_NOT_MISSED = (b"bKGD", b"hIST", b"sBIT", b"sPLT", b"tIME", b"acTL", b"fcTL", b"fdAT", b"iDOT")
"""Of the old pixels alone, or told by the note about frames."""

_NAMES = {b"iCCP": "the colour profile", b"eXIf": "the EXIF data"}

# Tags of a TIFF that describe the picture; the others say how its pixels are stored.
_TIFF_TAGS = (
    ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model,
    ExifTags.Base.Software, ExifTags.Base.DateTime, ExifTags.Base.Artist,
    ExifTags.Base.HostComputer, ExifTags.Base.Copyright, ExifTags.Base.XPTitle,
    ExifTags.Base.XPComment, ExifTags.Base.XPAuthor, ExifTags.Base.XPKeywords,
    ExifTags.Base.XPSubject,
)  # fmt: skip
_TIFF_IFDS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
_TIFF_IPTC = (33723, 34377)

# What segments of a JPEG begin with that are carried along, or that say how it is stored.
_JPEG_KNOWN = (
    b"JFIF\0", b"JFXX\0", b"Exif\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0",
    b"MPF\0", b"Adobe", b"Ducky",
)  # fmt: skip
_JPEG_NAMES = {
    b"Photoshop 3.0\0": "the IPTC data",
    b"http://ns.adobe.com/xmp/extension/\0": "the extended XMP data",
}

# Identifiers of the boxes of a JPEG 2000 file (ISO 15444-1, annex I.7) that hold these.
_JP2_NAMES = {
    bytes.fromhex("be7acfcb97a942e89c71999491e3afac"): "the XMP data",
    b"JpgTiffExif->JP2": "the EXIF data",
}


def read_metadata(
    content: bytes, image: Image.Image, *, converted: bool = False
) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """Read what results carry along of a picture file.

    Parameters
    ----------
    content : bytes
        The file.
    image : Image
        The same, opened and loaded.
    converted : bool
        Its pixels were converted to sRGB: what the file says of their colours holds no longer.

    Returns
    -------
    chunks : tuple of bytes
        PNG chunks, whole, in an order that a PNG may have them in.
    notes : tuple of str
        What is not carried along, and why, as the end of a sentence.
    """
    lost: dict[str, str] = {}
    if not content.startswith(SIGNATURE):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF data, which is said
            content = _to_png(content, image, lost)
    # What comes back is RGB; a profile of greys or inks would only mislead.
    is_rgb = image.mode in ("RGB", "RGBA", "P", "PA")
    kept: list[bytes] = []
    room = LARGEST_IN_ALL
    ours = any(text_key(chunk) == RECIPE_KEY for chunk in read_chunks(content))
    for chunk in read_chunks(content):
        if _is_passed_over(chunk, ours=ours) or (converted and chunk[4:8] in _COLOURS):
            continue
        reason, size = _why_not(chunk, is_rgb=is_rgb, room=room)
        if reason:
            lost[_name(chunk)] = reason + ("; assign it again" if chunk[4:8] == b"iCCP" else "")
        else:
            kept.append(chunk)
            room -= size
    notes = [
        sentence("the result does not carry {part}: {reason}", part=what, reason=reason)
        for what, reason in lost.items()
    ]
    if len(notes) > MOST_NOTES:
        left = len(notes) - MOST_NOTES + 1
        notes[MOST_NOTES - 1 :] = [sentence("the result does not carry {count} more", count=left)]
    return tuple(kept), tuple(notes)


def find_profile(content: bytes, image: Image.Image) -> bytes:
    """Return the ICC profile of a picture file, opened and loaded; empty for none that is whole."""
    if not content.startswith(SIGNATURE):
        return _profile(content, image) or b""
    return carried_profile(chunk for chunk in read_chunks(content) if _is_whole(chunk))


def carried_profile(chunks: Iterable[bytes]) -> bytes:
    """Return the ICC profile among whole PNG chunks; empty for none that can be read."""
    for chunk in chunks:
        if chunk[4:8] == b"iCCP":
            with contextlib.suppress(ValueError, zlib.error):
                return unpack_chunk(chunk)
    return b""


def read_orientation(chunks: tuple[bytes, ...]) -> int:
    """Return how the pixels of a PNG with these chunks lie: EXIF's 1..8, 1 if none says it."""
    stand_in = Image.new("1", (1, 1))
    for chunk in chunks:
        if chunk[4:8] == b"eXIf":
            stand_in.info["exif"] = chunk[8:-4]
        elif (key := text_key(chunk)) in _ORIENTED_TEXTS:
            stand_in.info[key] = read_text(chunk)
    return image_orientation(stand_in)


def image_orientation(image: Image.Image) -> int:
    """Return an opened image's orientation, 1..8; 1 if it has none that can be read."""
    try:
        with warnings.catch_warnings(), decoding():
            warnings.simplefilter("ignore")
            found = image.getexif().get(_ORIENTATION, 1)
    except DamagedError:
        return 1
    return found if found in range(1, 9) else 1


# ---- PNG -----------------------------------------------------------------------------------


def pixels_alone(content: bytes) -> bytes:
    """Return a PNG without what is not needed to read its pixels.

    So nothing of that, however large or damaged, keeps them from being read.
    """
    chunks = (chunk for chunk in read_chunks(content) if chunk[4:8] in _PIXELS)
    return b"".join([SIGNATURE, *chunks])


def count_frames(content: bytes) -> int:
    """Return how many frames a PNG says it has; 1 if it is not animated."""
    for chunk in read_chunks(content):
        if chunk[4:8] == b"acTL" and len(chunk) == 20:
            return int(struct.unpack_from(">I", chunk, 8)[0])
    return 1


def make_text_chunks(texts: dict[str, str]) -> list[bytes]:
    """Return the iTXt chunks of texts by their keywords."""
    text = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        text.add_itxt(key, value)
    stream = io.BytesIO()
    Image.new("1", (1, 1)).save(stream, "PNG", pnginfo=text)
    return [chunk for chunk in read_chunks(stream.getvalue()) if chunk[4:8] == b"iTXt"]


def insert_chunks(content: bytes, chunks: list[bytes]) -> bytes:
    """Return a PNG with more chunks before its pixels."""
    header_end = len(SIGNATURE) + 12 + 13  # IHDR comes first and has 13 bytes of data
    return b"".join([content[:header_end], *chunks, content[header_end:]])


def _is_passed_over(chunk: bytes, *, ours: bool) -> bool:
    """Return whether nobody misses a chunk; `ours` says whether Underpaint wrote the file."""
    key = text_key(chunk)
    replaced = key == RECIPE_KEY or (ours and key == PARAMETERS_KEY)
    return replaced or chunk[4:8] in (*_PIXELS, *_NOT_MISSED)


def _why_not(chunk: bytes, *, is_rgb: bool, room: int) -> tuple[str, int]:
    """Return why a chunk is not carried along, and what it has of bytes, unpacked.

    The reason is empty for a chunk that is carried along.
    """
    kind, size = chunk[4:8], 0
    reason = ""
    if not _is_whole(chunk):
        reason = "it is damaged"
    elif text_key(chunk) == PARAMETERS_KEY:
        reason = "it has its own"
    elif not (kind in _COLOURS or chunk[7] & 0x20):
        reason = "it is of the old pixels alone"
    elif kind == b"iCCP" and not is_rgb:
        reason = "it is not for RGB, which the result is"
    else:
        try:
            size = len(unpack_chunk(chunk))
            if size <= min(LARGEST_CHUNK, room):
                _check_readable(chunk)
        except (ValueError, zlib.error):
            reason = "it is damaged"
        if size > LARGEST_CHUNK:
            reason = f"it is over {LARGEST_CHUNK >> 20} MiB"
        elif size > room:
            reason = f"all together is over {LARGEST_IN_ALL >> 20} MiB"
    return reason, size


def _is_whole(chunk: bytes) -> bool:
    (length,) = struct.unpack_from(">I", chunk)
    return len(chunk) == 12 + length and chunk[-4:] == struct.pack(">I", zlib.crc32(chunk[4:-4]))


def _check_readable(chunk: bytes) -> None:
    """Check that Pillow reads a picture with this chunk in it, and turns it upright.

    Raises
    ------
    ValueError
        If it does not: other programs could not read the result either.
    """
    with (
        decoding(),
        warnings.catch_warnings(action="error"),
        Image.open(io.BytesIO(insert_chunks(_one_pixel(), [chunk]))) as image,
    ):
        image.load()
        image.getexif()


@functools.cache
def _one_pixel() -> bytes:
    stream = io.BytesIO()
    Image.new("RGBA", (1, 1)).save(stream, "PNG")
    return stream.getvalue()


def _name(chunk: bytes) -> str:
    kind, key = chunk[4:8], text_key(chunk)
    if kind in TEXTS:
        return "the XMP data" if key == _XMP_KEY else f"the text {key[:40]!r}"
    return _NAMES.get(kind, f"the chunk {kind.decode('latin-1')!r}")


# ---- other formats -------------------------------------------------------------------------


def _to_png(content: bytes, image: Image.Image, lost: dict[str, str]) -> bytes:
    """Return a PNG of one pixel that holds what is carried along; return what cannot be."""
    lost.update(dict.fromkeys(_of_others(content, image), "only its own format has a place for it"))
    found: dict[str, Callable[[], dict[str, Any]]] = {
        "the colour profile": lambda: {"icc_profile": _profile(content, image)},
        "the resolution": lambda: {"dpi": _resolution(image)},
        "the EXIF data": lambda: {"exif": _exif(image)},
        "the XMP data": lambda: _as_text(_XMP_KEY, image.info.get("xmp")),
        "the comment": lambda: _as_text("Comment", image.info.get("comment")),
    }
    pixel = Image.new("RGBA", (1, 1))
    chunks: list[bytes] = []
    for what, describe in found.items():
        stream = io.BytesIO()
        try:
            with decoding():
                described = {key: value for key, value in describe().items() if value}
                pixel.save(stream, "PNG", **described)
        except DamagedError:
            lost[what] = "it is damaged"
        else:
            made = read_chunks(stream.getvalue())
            chunks += [chunk for chunk in made if chunk[4:8] not in _PIXELS]
    return b"".join([SIGNATURE, *chunks])


def _of_others(content: bytes, image: Image.Image) -> list[str]:
    """Name what a file holds that has no place in a PNG, or that nobody here can read."""
    if image.format in ("JPEG", "MPO"):
        found = []
        for marker, data in getattr(image, "applist", ()):
            if marker != "COM" and not data.startswith(_JPEG_KNOWN):
                names = (name for start, name in _JPEG_NAMES.items() if data.startswith(start))
                found.append(next(names, f"the segment {marker}"))
        return found
    if image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        return ["the IPTC data"] if any(tag in tags for tag in _TIFF_IPTC) else []
    if image.format == "JPEG2000":
        return [name for identifier, name in _JP2_NAMES.items() if identifier in content]
    return []


def _profile(content: bytes, image: Image.Image) -> bytes | None:
    found = image.info.get("icc_profile")
    place = content.find(b"colr\2")
    if found is None and image.format == "JPEG2000" and place >= 4:  # Pillow passes it over
        (length,) = struct.unpack_from(">I", content, place - 4)
        found = content[place + 7 : place - 4 + length]
    return found if found and found[36:40] == b"acsp" else None


def _exif(image: Image.Image) -> Any:
    """Return EXIF data: bytes where the file has them as such, so that nothing of them changes."""
    if image.format != "TIFF":
        return image.info.get("exif")
    every, kept = image.getexif(), Image.Exif()
    for tag in _TIFF_TAGS:
        if tag in every:
            kept[tag] = every[tag]
    for ifd in _TIFF_IFDS:
        if found := every.get_ifd(ifd):
            kept[ifd] = dict(found)
    return kept.tobytes() if len(kept) else None


def _resolution(image: Image.Image) -> tuple[float, ...] | None:
    found = tuple(map(float, image.info.get("dpi") or ()))
    return (
        found if found and all(math.isfinite(side) and 0 < side < 1e6 for side in found) else None
    )


def _as_text(key: str, value: Any) -> dict[str, Any]:
    if not value:
        return {}
    if not isinstance(value, str):
        value = bytes(value).rstrip(b"\0")
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            value = value.decode("latin-1")
    text = PngImagePlugin.PngInfo()
    text.add_itxt(key, value)
    return {"pnginfo": text}
