"""The pixels of a picture file, at their depth, and notes about what of them is not read.

Pillow reads what has 8 bits a channel, and greys of 16. It reads deeper colours as 8 bits, so
OpenCV reads those. Both see every such file: where they do not agree, it is refused.
"""

from __future__ import annotations

import io
import math
import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from underpaint_client import png_chunks
from underpaint_client.errors import BadInputError
from underpaint_client.sentences import Sentence, sentence

from . import metadata
from .damage import DamagedError, decoding

Pixels = NDArray[Any]

cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # errors are told from here

_CODESTREAM = b"\xff\x4f\xff\x51"
"""What a JPEG 2000 codestream begins with: the markers SOC and SIZ."""

_TIFF_BITS, _TIFF_PHOTOMETRIC, _TIFF_SAMPLES, _TIFF_PLANAR = 258, 262, 277, 284

_FRAMES = {"TIFF": "pages", "MPO": "pictures", "PSD": "layers"}

MOST_NOISE = 32
"""Levels of 255: more would hide soft edges."""

WEBP_NOISE = 16

_SURELY = 2
"""Levels of 255 by which two decoders of the same deep colours may differ, as each rounds."""


def decode(content: bytes, image: Image.Image) -> Pixels:
    """Decode a picture's pixels.

    Parameters
    ----------
    content : bytes
        The file; of a PNG, at least the chunks that its pixels need.
    image : Image
        The same, opened and not yet loaded.

    Returns
    -------
    uint8 or uint16, (H, W, 4)
        RGBA, straight alpha. As they are stored; a TIFF is turned upright.

    Raises
    ------
    BadInputError
        They have a depth or layout that is not read.
    Exception
        Any, where the file is damaged.
    """
    largest = _largest_value(content, image)
    layout = _raw_mode(image)
    image.load()  # also turns TIFFs upright
    if largest <= 255 and image.mode != "F":
        return _decode_shallow(image, largest)
    if image.format not in {"PNG", "JPEG2000"} and image.mode.startswith("I"):
        return _grey(_decode_grey(image, largest))
    if image.mode == "F":
        raise ValueError("its pixels are floating point numbers: 8 and 16 bits are read")
    return _decode_deep(content, image, largest, layout)


def describe_losses(content: bytes, image: Image.Image, *, converted: bool = False) -> list[str]:
    """Return what the pixels of a file are more than `decode` gives, as ends of a sentence.

    Parameters
    ----------
    content : bytes
        The whole file.
    image : Image
        The same, opened and loaded.
    converted : bool
        Its colours were converted to sRGB by its profile.
    """
    told: list[str] = []
    frames = _count_frames(content)
    if frames > 1:
        what = _FRAMES.get(str(image.format), "frames")
        if what == "layers":
            told.append(sentence("it has {number} layers, and they are read as one", number=frames))
        else:
            told.append(
                sentence(
                    "it has {number} {what}, and only the first is read",
                    number=frames,
                    what=Sentence(what),
                )
            )
    sizes = len(image.info.get("sizes", ()))
    if sizes > 1:
        told.append(sentence("it has {number} sizes, and only the largest is read", number=sizes))
    if converted:
        told.append(Sentence("its colours were converted to sRGB by its colour profile"))
    elif image.mode in ("CMYK", "HSV", "LAB", "YCbCr"):
        told.append(
            sentence(
                "its {mode} colours are turned into RGB without a colour profile", mode=image.mode
            )
        )
    if image.format == "AVIF" and (bits := _avif_bits(content)) > 8:
        told.append(
            sentence(
                "its {bits} bits a channel are read as 8; save it as a 16-bit PNG to keep them",
                bits=bits,
            )
        )
    extra = getattr(image, "tag_v2", {}).get(_TIFF_SAMPLES, 0) - len(image.getbands())
    if image.format == "TIFF" and image.mode in ("RGB", "RGBA", "L", "LA") and extra > 0:
        told.append(Sentence("its channels beyond colour and alpha are left out"))
    return told


def measure_noise(content: bytes, image: Image.Image) -> int:
    """Return how far lossy compression may have moved values, in levels of 255; 0 for none.

    Of a JPEG: three times the error that its quantisation of luminance leaves on average, were
    every coefficient off by as much as it can be; at most an eighth of all levels. Of a lossy
    WebP, as measured at its usual quality.
    """
    if image.format in ("JPEG", "MPO"):
        steps = np.array(getattr(image, "quantization", {}).get(0, [0]), np.float64)
        return min(math.ceil(3 * math.sqrt((steps**2).mean() / 12)), MOST_NOISE)
    return WEBP_NOISE if image.format == "WEBP" and _is_lossy_webp(content) else 0


def _is_lossy_webp(content: bytes) -> bool:
    """Look for a lossy bitstream among a WebP's chunks (RFC 9649, section 2)."""
    position = 12
    while position + 8 <= len(content):
        kind = content[position : position + 4]
        if kind in (b"VP8 ", b"VP8L"):
            return kind == b"VP8 "
        (size,) = struct.unpack_from("<I", content, position + 4)
        position += 8 + size + size % 2
    return False


def _count_frames(content: bytes) -> int:
    if content.startswith(png_chunks.SIGNATURE):
        return metadata.count_frames(content)
    try:
        with decoding(), Image.open(io.BytesIO(content)) as image:
            frames = int(getattr(image, "n_frames", 1))
    except DamagedError:  # what is damaged behind the first frame does not matter
        frames = 1
    return frames


# ---- depth ---------------------------------------------------------------------------------


def _largest_value(content: bytes, image: Image.Image) -> int:
    """Return the value of a full channel, as stored: 2**bits - 1 but for Netpbm's."""
    if image.format == "PNG":
        return int(2 ** content[24] - 1)
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(_TIFF_BITS, (1,))
        return int(2 ** max(bits) - 1)
    if image.format == "PPM":
        arguments = _tile_arguments(image)
        maximum = arguments[1] if isinstance(arguments, tuple) else 255
        return int(maximum) if image.mode != "I" else 65535  # Pillow scales greys
    if image.format == "JPEG2000":
        return int(2 ** _jpeg2000_bits(content) - 1)
    if image.format == "SGI":
        return 65535 if content[3] == 2 else 255
    return 65535 if ";16" in _raw_mode(image) and not image.mode.startswith("I") else 255


def _tile_arguments(image: Image.Image) -> Any:
    """Return what Pillow hands to its decoder; nothing once the pixels are loaded."""
    tiles = getattr(image, "tile", ())
    return tiles[0].args if tiles else ()


def _raw_mode(image: Image.Image) -> str:
    """Return how Pillow calls the layout of the stored pixels, `RGB;16L` for example."""
    arguments = _tile_arguments(image)
    first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return first if isinstance(first, str) else ""


def _jpeg2000_bits(content: bytes) -> int:
    """Return the depth of the deepest component (ISO 15444-1, annex A.5.1)."""
    start = content.find(_CODESTREAM)
    if start < 0 or start + 42 > len(content):
        return 8
    (count,) = struct.unpack_from(">H", content, start + 40)
    depths = content[start + 42 : start + 42 + 3 * count : 3]
    return max(((depth & 0x7F) + 1 for depth in depths), default=8)


def _avif_bits(content: bytes) -> int:
    """Return the depth that an AVIF's configuration says (AV1 in ISOBMFF, section 2.3.3)."""
    start = content.find(b"av1C")
    if start < 0 or start + 7 > len(content) or not content[start + 6] & 0x40:
        return 8
    return 12 if content[start + 6] & 0x20 else 10


# ---- decoding ------------------------------------------------------------------------------


def _decode_shallow(image: Image.Image, largest: int) -> Pixels:
    clear = image.info.get("transparency")
    if image.mode == "L" and isinstance(clear, int):
        # Pillow scales greys of 1, 2 and 4 bits to 8, but not the one that means transparent.
        return _grey(np.asarray(image), clear * (255 // largest))
    return np.array(image if image.mode == "RGBA" else image.convert("RGBA"))


def _decode_grey(image: Image.Image, largest: int) -> Pixels:
    grey = np.asarray(image)
    if grey.max(initial=0) > 65535 or grey.min(initial=0) < 0:
        raise ValueError("its greys are deeper than 16 bits")
    scaled = _to_full(grey.astype(np.uint16), min(largest, 65535))
    white_is_zero = getattr(image, "tag_v2", {}).get(_TIFF_PHOTOMETRIC) == 0
    return 65535 - scaled if white_is_zero else scaled


def _grey(grey: Pixels, clear: int | None = None) -> Pixels:
    """Return RGBA of greys (H, W); those of the value `clear` are transparent."""
    full = np.iinfo(grey.dtype).max
    alpha = np.where(grey == clear, 0, full) if clear is not None else np.full(grey.shape, full)
    return np.dstack([grey, grey, grey, alpha.astype(grey.dtype)])


def _decode_deep(content: bytes, image: Image.Image, largest: int, layout: str) -> Pixels:
    """Decode with OpenCV, and see that Pillow finds the same in the upper bits."""
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    planar = getattr(image, "tag_v2", {}).get(_TIFF_PLANAR) == 2
    if found is None or found.dtype != np.uint16 or planar:  # OpenCV takes planes for rows
        raise _refuse(image, largest)
    found = _to_full(found, largest)
    if found.ndim == 2:
        clear = image.info.get("transparency")
        return _agreeing(_grey(found, clear if isinstance(clear, int) else None), image, largest)
    channels = found.shape[2]
    pixels = np.full((*found.shape[:2], 4), 65535, np.uint16)
    pixels[..., :3] = found[..., 2::-1] if channels >= 3 else found[..., :1]
    if channels in (2, 4) and not layout.startswith("RGBX"):
        pixels[..., 3] = found[..., -1]
    if layout.startswith("RGBa"):
        return _agreeing(_straight(pixels), image, largest, alpha_alone=True)
    return _agreeing(pixels, image, largest)


def _refuse(image: Image.Image, largest: int) -> BadInputError:
    kind = f"{image.format} of this kind ({image.mode})"
    return BadInputError(
        "its {bits} bits a channel are not read from a {kind}, and 8 would lose some; save it as a"
        " 16-bit PNG",
        bits=largest.bit_length(),
        kind=kind,
    )


def _agreeing(
    pixels: Pixels, image: Image.Image, largest: int, *, alpha_alone: bool = False
) -> Pixels:
    """Return pixels whose upper 8 bits are as Pillow finds them.

    Raises
    ------
    BadInputError
        They are not.
    """
    deep = image.mode.startswith("I")
    upper = np.asarray(image) >> 8 if deep else np.asarray(image.convert("RGBA"))
    channels = slice(3, 4) if alpha_alone else slice(0, 3)
    seen = (upper[..., None] if deep else upper[..., channels]).astype(np.int16)
    ours = (pixels[..., channels] >> 8).astype(np.int16)
    if upper.shape[:2] != pixels.shape[:2] or np.abs(ours - seen).max(initial=0) > _SURELY:
        raise _refuse(image, largest)
    return pixels


def _to_full(values: Pixels, largest: int) -> Pixels:
    """Scale values up to 65535."""
    if largest == 65535:
        return values
    scaled = np.rint(np.minimum(values, largest) * (65535 / largest))
    return scaled.astype(np.uint16)


def _straight(pixels: Pixels) -> Pixels:
    """Divide colours by the alpha that they were multiplied with."""
    alpha = pixels[..., 3:].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        colours = np.where(alpha > 0, pixels[..., :3] * (65535 / alpha), 0)
    straight = np.clip(np.rint(colours), 0, 65535).astype(np.uint16)
    return np.dstack([straight, pixels[..., 3]])
