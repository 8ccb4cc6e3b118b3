"""Picture files in and out, with everything about them that an artist would miss.

Colour under alpha 0, 8 or 16 bits a channel, the ICC profile, the resolution, EXIF, XMP and texts
stay: `decode` reads the pixels and `metadata` the rest, and what they cannot read or carry along is
in `Drawing.notes`. Greys and inks with a profile become sRGB (`conversion`).

A picture whose EXIF data says that it lies on its side is turned upright for the model and for
its selection, and turned back when it is written, so that no pixel and no tag changes its place.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import stat
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from underpaint_client import png_chunks
from underpaint_client.errors import BadInputError
from underpaint_client.frames import check_size
from underpaint_client.geometry import Box, Extent
from underpaint_client.recipe import Recipe
from underpaint_client.sentences import sentence
from underpaint_client.webui_text import describe_parameters

from . import metadata
from .conversion import change_space, convert_to_srgb
from .damage import DamagedError, decoding
from .decode import decode, describe_losses, measure_noise

Pixels = NDArray[Any]

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
        PNG chunks that results carry along.
    orientation : int
        EXIF's, 1..8; how the pixels of a file with these chunks lie.
    """

    has_alpha: bool
    chunks: tuple[bytes, ...] = field(default=(), repr=False)
    orientation: int = 1

    @property
    def profile(self) -> bytes:
        """The ICC profile that its colours have, and those of results; empty for sRGB."""
        return metadata.carried_profile(self.chunks)


@dataclass(frozen=True, kw_only=True)
class Drawing(Metadata):
    """A picture from a file.

    Parameters
    ----------
    pixels : uint8 or uint16, (H, W, 4)
        RGBA, straight alpha, upright.
    notes : tuple of str
        What reading has dropped: one sentence each.
    """

    pixels: Pixels = field(repr=False)
    notes: tuple[str, ...] = ()

    @property
    def box(self) -> Box:
        """The picture's box, at the origin."""
        height, width = self.pixels.shape[:2]
        return Box(0, 0, width, height)

    def pixels_in(self, profile: bytes) -> Pixels:
        """Return the pixels in the colour space of an ICC profile; empty for sRGB."""
        return change_space(self.pixels, self.profile, profile)


def read_picture(path: Path, *, managed: bool = True) -> Drawing:
    """Read a picture.

    Parameters
    ----------
    path : Path
        The file.
    managed : bool
        Its pixels are colours: greys and inks with a profile become sRGB. Else they are numbers,
        such as depths.

    Raises
    ------
    BadInputError
        If the file does not exist, is not a picture, is damaged, empty or too large, or has a depth
        that cannot be kept.
    """
    return _read(path, managed=managed)[0]


def _read(path: Path, *, managed: bool) -> tuple[Drawing, tuple[str, ...], int]:
    """Read a picture; give also the notes that are about its pixels, and `measure_noise` of it."""
    content = _read_bytes(path)
    is_png = content.startswith(png_chunks.SIGNATURE)
    bare = metadata.pixels_alone(content) if is_png else content
    with warnings.catch_warnings(action="ignore"), _open(bare, path) as image:
        check_size(str(path), Box.at(0, 0, Extent(*image.size)))
        try:
            with decoding():
                pixels = decode(bare, image)
                has_alpha = image.has_transparency_data
                profile = metadata.find_profile(content, image)
                converted = convert_to_srgb(pixels, image, profile) if managed else None
        except BadInputError as error:
            raise BadInputError("picture {path}: {error}", path=path, error=error) from None
        except DamagedError as error:
            raise BadInputError(
                "picture {path} cannot be read ({error}); save it again", path=path, error=error
            ) from None
        is_converted = converted is not None
        losses = describe_losses(content, image, converted=is_converted)
        of_pixels = tuple(_about(path, told) for told in losses)
        chunks, left_out = metadata.read_metadata(content, image, converted=is_converted)
        carried = metadata.read_orientation(chunks)
        lies = carried if is_png else metadata.image_orientation(image)
        noise = measure_noise(content, image)
    drawing = Drawing(
        pixels=_turn_upright(pixels if converted is None else converted, lies),
        has_alpha=has_alpha,
        chunks=chunks,
        orientation=carried,  # it is written as its tag says, or upright where none is left
        notes=(*of_pixels, *(_about(path, told) for told in left_out)),
    )
    return drawing, of_pixels, noise


def _about(path: Path, told: str) -> str:
    return sentence("{file}: {problem}", file=path.name, problem=told)


@dataclass(frozen=True)
class Selection:
    """A selection from a file.

    Parameters
    ----------
    amounts : uint8 or uint16, (H, W)
        How much is selected; upright.
    notes : tuple of str
        What reading has dropped or changed: one sentence each.
    """

    amounts: Pixels = field(repr=False)
    notes: tuple[str, ...] = ()


def read_selection(path: Path) -> Selection:
    """Read a selection from a picture: white is selected, black is not, grey in part.

    A picture with an alpha channel is taken times its alpha. The noise that lossy compression
    leaves around black and white is taken for black and white.

    Raises
    ------
    BadInputError
        As `read_picture` does.
    """
    drawing, of_pixels, noise = _read(path, managed=False)
    pixels, notes = drawing.pixels, list(of_pixels)
    grey = pixels[..., 0]
    if not (pixels[..., :1] == pixels[..., 1:3]).all():
        weights = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in Pillow's "L"
        grey = np.rint(pixels[..., :3] @ weights).astype(pixels.dtype)
    if noise and grey.dtype == np.uint8:
        clean = _without_noise(grey, noise)
        changed = int((clean != grey).sum())
        if changed:
            notes.append(
                sentence(
                    "{file}: {number} pixels are nearly black or white, as lossy compression"
                    " leaves them, and are taken for black or white; save selections as PNG",
                    file=path.name,
                    number=changed,
                )
            )
        grey = clean
    if drawing.has_alpha:
        full = np.iinfo(pixels.dtype).max
        grey = np.rint(grey * (pixels[..., 3] / full)).astype(pixels.dtype)
    return Selection(np.ascontiguousarray(grey), tuple(notes))


def _without_noise(grey: Pixels, noise: int) -> Pixels:
    """Round values that are within `noise` of 0 or 255 to these.

    The next ones are stretched, so that a soft edge stays one and has no step.
    """
    levels = np.arange(256)
    known = [0, noise, 2 * noise, 255 - 2 * noise, 255 - noise, 255]
    table = np.interp(levels, known, [0, 0, 2 * noise, 255 - 2 * noise, 255, 255])
    return np.rint(table).astype(np.uint8)[grey]


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
            "{path} cannot be encoded as PNG: {width} pixels are too wide",
            path=path,
            width=stored.shape[1],
        )
    recipe_text = json.dumps(recipe.to_dict(), ensure_ascii=False)
    texts = {png_chunks.RECIPE_KEY: recipe_text}
    if not recipe.request.control_picture.kind:  # which has no settings to use again
        texts[png_chunks.PARAMETERS_KEY] = describe_parameters(recipe)
    chunks = [*(like.chunks if like else ()), *metadata.make_text_chunks(texts)]
    content = metadata.insert_chunks(encoded.tobytes(), chunks)
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
        raise BadInputError(
            "{path} cannot be written: {reason}", path=path, reason=error.strerror
        ) from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()


def _publish(draft: Path, path: Path) -> None:
    """Return a file its name, unless another has it."""
    try:
        os.link(draft, path)  # the one way to do so in a single step
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        draft.replace(path)


def read_recipe(path: Path) -> Recipe:
    """Read the recipe out of a picture that Underpaint wrote.

    Raises
    ------
    BadInputError
        If there is none, or it cannot be read.
    """
    content = _read_bytes(path)
    is_png = content.startswith(png_chunks.SIGNATURE)
    bare = metadata.pixels_alone(content) if is_png else content
    with warnings.catch_warnings(action="ignore"), _open(bare, path) as image:
        try:
            with decoding():
                image.load()
        except DamagedError as error:
            raise BadInputError(
                "picture {path} cannot be read ({error}); save it again", path=path, error=error
            ) from None
        text = png_chunks.find_text(content, png_chunks.RECIPE_KEY) if is_png else None
    if text is None:
        raise BadInputError("picture {path} has no recipe; Underpaint did not write it", path=path)
    try:
        return Recipe.from_dict(json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise BadInputError(
            "the recipe in {path} cannot be read: {error}", path=path, error=error
        ) from None


# ---- reading -------------------------------------------------------------------------------


_LARGEST = 2**32
"""Bytes of a file that are read: more than the largest picture has without compression."""


def _read_bytes(path: Path) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            raise BadInputError(
                "picture {path} cannot be read: it is a device; name a file", path=path
            )
        if status.st_size > _LARGEST:
            raise BadInputError(
                "picture {path} cannot be read: it has {size} bytes, and at most {most} are read;"
                " save it smaller",
                path=path,
                size=status.st_size,
                most=_LARGEST,
            )
        return path.read_bytes()
    except OSError as error:
        raise BadInputError(
            "picture {path} cannot be read: {reason}", path=path, reason=error.strerror
        ) from None


def _open(content: bytes, path: Path) -> Image.Image:
    try:
        with decoding():
            image = Image.open(io.BytesIO(content))
    except DamagedError as error:
        reason = "it is empty" if not content else type(error.__cause__).__name__
        if content.startswith((b"II*\0", b"MM\0*")):
            reason = "an unsupported kind of TIFF: only 8 bits, or 16 in grey or RGB"
        raise BadInputError(
            "{path} is not a picture that can be read ({reason}); save it as PNG",
            path=path,
            reason=reason,
        ) from None
    return image


def _turn_upright(pixels: Pixels, orientation: int) -> Pixels:
    turns, flip = _UPRIGHT[orientation]
    turned = np.rot90(pixels, turns)
    return np.ascontiguousarray(turned[:, ::-1] if flip else turned)


def _turn_back(pixels: Pixels, orientation: int) -> Pixels:
    turns, flip = _UPRIGHT[orientation]
    return np.rot90(pixels[:, ::-1] if flip else pixels, -turns)
