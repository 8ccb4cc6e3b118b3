"""Picture files in and out, with everything about them that an artist would miss.

Colour under alpha 0, 8 or 16 bits a channel, the ICC profile, the resolution and the EXIF data
stay. Pillow reads and writes what it can; it reads 16-bit RGBA as 8, so OpenCV reads and writes
those pixels. The file's own chunks that describe its colours travel from file to file untouched.

A picture whose EXIF data says that it lies on its side is turned upright for the model and for
its selection, and turned back when it is written, so that no pixel and no tag changes its place.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from underpaint_client.errors import BadInputError
from underpaint_client.geometry import Box, Extent
from underpaint_client.parameters import describe_parameters
from underpaint_client.request import Recipe
from underpaint_client.wire import check_size

Pixels = NDArray[Any]

RECIPE_KEY = "underpaint"
"""The keyword of the text chunk that holds the recipe."""

PARAMETERS_KEY = "parameters"
"""Where Stable Diffusion WebUI, and what came after it, keep theirs."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_ORIENTATION = 0x0112
_KEPT_CHUNKS = (b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"pHYs", b"eXIf")
"""What of a PNG describes its colours, resolution and orientation."""

# Turns of the array, upright from as stored, and back: quarter turns, then a flip.
_UPRIGHT: dict[int, tuple[int, bool]] = {
    1: (0, False), 2: (0, True), 3: (2, False), 4: (2, True),
    5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False),
}  # fmt: skip

Image.MAX_IMAGE_PIXELS = None  # `check_size` has the limit, with a sentence for the artist


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """What is known of a picture beside its pixels, and goes into those made from it.

    Parameters
    ----------
    has_alpha : bool
        Whether the file has an alpha channel of any kind.
    chunks : tuple of bytes
        PNG chunks that describe colours, resolution and orientation, as they are in the file.
    orientation : int
        EXIF's, 1..8; how the file's pixels lie.
    """

    has_alpha: bool
    chunks: tuple[bytes, ...] = field(default=(), repr=False)
    orientation: int = 1


@dataclass(frozen=True, kw_only=True)
class Drawing(Metadata):
    """A picture from a file.

    Parameters
    ----------
    pixels : uint8 or uint16, (H, W, 4)
        RGBA, straight alpha, upright.
    """

    pixels: Pixels = field(repr=False)

    @property
    def box(self) -> Box:
        """The picture's box, at the origin."""
        height, width = self.pixels.shape[:2]
        return Box(0, 0, width, height)


def read_picture(path: Path) -> Drawing:
    """Read a picture.

    Raises
    ------
    BadInputError
        The file is not there, is no picture, is damaged, empty or gigantic.
    """
    content = _read_bytes(path)
    with _open(content, path) as image:
        check_size(str(path), Box.at(0, 0, Extent(*image.size)))
        try:
            image.load()  # also reads what lies behind the pixels, and turns TIFFs upright
            orientation = image.getexif().get(_ORIENTATION, 1)
            bits = content[24] if content.startswith(_SIGNATURE) else 8
            pixels = _decode_deep(content, image) if bits == 16 else _decode(image, bits)
            chunks = tuple(_chunks_of(content, image))
            has_alpha = image.has_transparency_data
        except Exception as error:  # noqa: BLE001 - decoders of damaged files raise anything
            raise BadInputError(f"picture {path} cannot be read ({error}); save it again") from None
    pixels = _turn_upright(pixels, orientation if orientation in _UPRIGHT else 1)
    # Turned back only where the tag that says so is kept; else the picture is written upright.
    tagged = orientation in _UPRIGHT and any(chunk[4:8] == b"eXIf" for chunk in chunks)
    return Drawing(
        pixels=pixels,
        has_alpha=has_alpha,
        chunks=chunks,
        orientation=orientation if tagged else 1,
    )


def read_selection(path: Path) -> Pixels:
    """Read a selection from a picture: white is selected, black is not, grey in part.

    A picture with an alpha channel is taken times its alpha.

    Returns
    -------
    uint8 or uint16, (H, W)
        Upright.

    Raises
    ------
    BadInputError
        As `read_picture` does.
    """
    drawing = read_picture(path)
    pixels = drawing.pixels
    grey = pixels[..., 0]
    if not (pixels[..., :1] == pixels[..., 1:3]).all():
        weights = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in Pillow's "L"
        grey = np.rint(pixels[..., :3] @ weights).astype(pixels.dtype)
    if drawing.has_alpha:
        full = np.iinfo(pixels.dtype).max
        grey = np.rint(grey * (pixels[..., 3] / full)).astype(pixels.dtype)
    return np.ascontiguousarray(grey)


def write_picture(
    path: Path,
    pixels: Pixels,
    recipe: Recipe,
    like: Metadata | None = None,
    *,
    alpha: bool = True,
    replace: bool = False,
) -> None:
    """Write a picture as PNG, whole or not at all.

    Parameters
    ----------
    path : Path
        The file.
    pixels : uint8 or uint16, (H, W, 4)
        RGBA, upright.
    recipe : Recipe
        Goes into a text chunk.
    like : Metadata, optional
        Of the picture it was made from: its colour space, resolution and orientation are kept.
    alpha : bool
        Write the alpha channel.
    replace : bool
        Replace a file that is there.

    Raises
    ------
    FileExistsError
        A file is there, and was perhaps written a moment ago by another run.
    BadInputError
        The folder cannot be written to, or the disk is full.
    """
    orientation = like.orientation if like else 1
    stored = _turn_back(pixels if alpha else pixels[..., :3], orientation)
    order = [2, 1, 0, 3] if alpha else [2, 1, 0]
    written, encoded = cv2.imencode(".png", np.ascontiguousarray(stored[..., order]))
    if not written:
        raise BadInputError(
            f"{path} cannot be encoded as PNG: {stored.shape[1]} pixels are too wide"
        )
    chunks = [*(like.chunks if like else ()), *_recipe_chunks(recipe)]
    content = _insert_chunks(encoded.tobytes(), chunks)
    draft = path.with_name(f".underpaint-{os.getpid()}")
    try:
        draft.write_bytes(content)
        if replace:
            draft.replace(path)
        else:
            _publish(draft, path)
    except FileExistsError:
        raise
    except OSError as error:
        raise BadInputError(f"{path} cannot be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def _publish(draft: Path, path: Path) -> None:
    """Give a file its name, unless another has it."""
    try:
        os.link(draft, path)  # the one way to do so in a single step
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError(path) from None
        draft.replace(path)


def read_recipe(path: Path) -> Recipe:
    """Read the recipe out of a picture that Underpaint wrote.

    Raises
    ------
    BadInputError
        Where there is none, or it cannot be read.
    """
    with _open(_read_bytes(path), path) as image:
        image.load()
        text = image.info.get(RECIPE_KEY)
    if text is None:
        raise BadInputError(f"picture {path} holds no recipe; Underpaint did not write it")
    try:
        return Recipe.from_dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise BadInputError(f"the recipe in {path} cannot be read: {error}") from None


# ---- reading -------------------------------------------------------------------------------


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(f"picture {path} cannot be read: {error.strerror}") from None


def _open(content: bytes, path: Path) -> Image.Image:
    try:
        return Image.open(io.BytesIO(content))
    except Exception as error:  # noqa: BLE001 - as above
        reason = "it is empty" if not content else type(error).__name__
        raise BadInputError(
            f"{path} is no picture that can be read ({reason}); save it as PNG"
        ) from None


def _decode(image: Image.Image, bits: int) -> Pixels:
    """Decode what Pillow reads exactly: up to 8 bits a channel, and greys of 16."""
    if image.mode == "F":
        raise ValueError("its pixels are floating point numbers: 8 and 16 bits are read")
    if image.mode.startswith("I"):
        grey = np.asarray(image)
        if grey.max(initial=0) > 65535 or grey.min(initial=0) < 0:
            raise ValueError("its greys are deeper than 16 bits")
        return _grey(grey.astype(np.uint16))
    clear = image.info.get("transparency")
    if image.mode == "L" and isinstance(clear, int):
        # Pillow scales greys of 1, 2 and 4 bits to 8, but not the one that means transparent.
        scale = {1: 255, 2: 85, 4: 17}.get(bits, 1)
        return _grey(np.asarray(image), clear * scale)
    return np.array(image if image.mode == "RGBA" else image.convert("RGBA"))


def _grey(grey: Pixels, clear: int | None = None) -> Pixels:
    """Give RGBA of greys (H, W); those of the value `clear` are transparent."""
    full = np.iinfo(grey.dtype).max
    alpha = np.where(grey == clear, 0, full) if clear is not None else np.full(grey.shape, full)
    return np.dstack([grey, grey, grey, alpha.astype(grey.dtype)])


def _decode_deep(content: bytes, image: Image.Image) -> Pixels:
    """Decode a PNG of 16 bits a channel."""
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16:
        raise ValueError("its 16-bit pixels cannot be decoded")
    if found.ndim == 2:
        clear = image.info.get("transparency")
        return _grey(found, clear if isinstance(clear, int) else None)
    channels = found.shape[2]
    pixels = np.full((*found.shape[:2], 4), 65535, np.uint16)
    pixels[..., :3] = found[..., 2::-1] if channels >= 3 else found[..., :1]
    if channels in (2, 4):
        pixels[..., 3] = found[..., -1]
    return pixels


def _turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    turns, flip = _UPRIGHT[orientation]
    turned = np.rot90(pixels, turns)
    return np.ascontiguousarray(turned[:, ::-1] if flip else turned)


def _turn_back(pixels: Pixels, orientation: int) -> Pixels:
    turns, flip = _UPRIGHT[orientation]
    return np.rot90(pixels[:, ::-1] if flip else pixels, -turns)


# ---- chunks --------------------------------------------------------------------------------


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give kind and whole bytes of each chunk of a PNG."""
    position = len(_SIGNATURE)
    while position + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, position)
        kind = content[position + 4 : position + 8]
        if kind == b"IEND":
            return
        yield kind, content[position : position + 12 + length]
        position += 12 + length


def _chunks_of(content: bytes, image: Image.Image) -> Iterator[bytes]:
    """Give the chunks to keep; for a file that is no PNG, what Pillow makes of its description."""
    if not content.startswith(_SIGNATURE):
        stream = io.BytesIO()
        described = {key: image.info[key] for key in ("icc_profile", "dpi") if image.info.get(key)}
        exif = image.getexif()
        if exif:
            described["exif"] = exif
        Image.new("RGBA", (1, 1)).save(stream, "PNG", **described)
        content = stream.getvalue()
    # What comes back is RGB; a profile of greys or inks would only mislead.
    is_rgb = image.mode in ("RGB", "RGBA", "P", "PA")
    for kind, chunk in _chunks(content):
        if kind in _KEPT_CHUNKS and (is_rgb or kind != b"iCCP"):
            yield chunk


def _recipe_chunks(recipe: Recipe) -> list[bytes]:
    """Give our recipe, and what other tools read."""
    text = PngImagePlugin.PngInfo()
    text.add_itxt(RECIPE_KEY, json.dumps(recipe.to_dict(), ensure_ascii=False))
    text.add_itxt(PARAMETERS_KEY, describe_parameters(recipe))
    stream = io.BytesIO()
    Image.new("1", (1, 1)).save(stream, "PNG", pnginfo=text)
    return [chunk for kind, chunk in _chunks(stream.getvalue()) if kind == b"iTXt"]


def _insert_chunks(content: bytes, chunks: list[bytes]) -> bytes:
    header_end = len(_SIGNATURE) + 12 + 13  # IHDR comes first and has 13 bytes of data
    return b"".join([content[:header_end], *chunks, content[header_end:]])
