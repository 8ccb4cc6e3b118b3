"""The layer as it arrived, and how much each of its pixels may change.

Symbols: a is a pixel's alpha, sel how much it is selected, c how much it may change, all 0..1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from underpaint_client.errors import BadInputError
from underpaint_client.geometry import Box, Extent
from underpaint_client.modes import LayerState, ModeChoice, choose_mode

from .colour import SRGB, ColourSpace
from .grid import GridMask
from .pooling import max_resize

Pixels = NDArray[Any]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

FULL: dict[np.dtype[Any], float] = {
    np.dtype(np.uint8): 255.0,
    np.dtype(np.uint16): 65535.0,
    np.dtype(np.float16): 1.0,
    np.dtype(np.float32): 1.0,
}
"""The value that means 1 in each depth."""


STRIP = 2**19
"""Pixels that are processed at once where each takes about a hundred bytes."""


def strips(area: Box) -> Iterator[Box]:
    """Yield a box from its top to its bottom, in strips of at most `STRIP` pixels or one row."""
    rows = max(1, STRIP // max(1, area.width))
    for y in range(area.y, area.bottom, rows):
        yield Box(area.x, y, area.width, min(rows, area.bottom - y))


def fraction(values: Pixels) -> Floats:
    """Return values of any depth as float32, 1 being full; HDR and NaN are clipped to 0..1."""
    result = unclipped(values)
    return np.clip(result, 0.0, 1.0, out=result)


def unclipped(values: Pixels) -> Floats:
    """Return values of any depth as float32, 1 being full; HDR stays, NaN becomes 0."""
    result: Floats = values.astype(np.float32)
    if values.dtype.kind == "f":
        return np.nan_to_num(result, copy=False, nan=0.0, posinf=np.inf, neginf=-np.inf)
    result /= np.float32(FULL[values.dtype])
    return result


def quantize(values: Floats, dtype: np.dtype[Any]) -> Pixels:
    """Return 0..1 at a depth, rounded and never floored, so that nothing darkens over many runs."""
    full = np.float32(FULL[dtype])
    if dtype.kind != "f":
        values = np.clip(np.rint(values * full), 0, full)
    result: Pixels = values.astype(dtype)
    return result


def mean_opacity(values: Floats, extent: Extent) -> Pixels:
    """Return how much of the painted colour shows in the result (promise 10), at a smaller size.

    Parameters
    ----------
    values : float32, (H, W)
        The change of each pixel.
    extent : Extent
        Of what is given.

    Returns
    -------
    uint8, (extent.height, extent.width)
        The mean over the pixels that become one: so an edge lies where it is, between cells too.
    """
    size, dtype = (extent.width, extent.height), np.dtype(np.uint8)
    mean = cv2.resize(np.minimum(1, 4 * values), size, interpolation=cv2.INTER_AREA)
    return quantize(np.asarray(mean, np.float32), dtype)


def check_pixels(name: str, pixels: Pixels) -> None:
    """Check the shape and depth of a layer or another picture, (H, W, 4).

    Raises
    ------
    BadInputError
        They cannot be used; the message calls it by `name`.
    """
    if pixels.ndim != 3 or pixels.shape[2] != 4 or pixels.dtype not in FULL or not pixels.size:
        raise BadInputError(
            "{name} of shape {shape} and depth {dtype} cannot be used; send (height, width, 4)"
            " of uint8, uint16, float16 or float32",
            name=name,
            shape=pixels.shape,
            dtype=pixels.dtype,
        )


def check_like(name: str, values: Pixels, pixels: Pixels) -> None:
    """Check a selection or a mask, (H, W), of a layer, (H, W, 4).

    Raises
    ------
    BadInputError
        It has another size, or a depth that cannot be used; the message calls it by `name`.
    """
    height, width = pixels.shape[:2]
    if values.shape != (height, width):
        found = " x ".join(str(side) for side in reversed(values.shape))
        raise BadInputError(
            "the {name} has {found} pixels and the layer {width} x {height}; make them the same"
            " size",
            name=name,
            found=found,
            width=width,
            height=height,
        )
    if values.dtype not in FULL:
        raise BadInputError(
            "a {name} of depth {dtype} cannot be used; send uint8, uint16, float16 or float32",
            name=name,
            dtype=values.dtype,
        )


@dataclass(frozen=True)
class Source:
    """A layer on its way through the engine.

    Parameters
    ----------
    pixels : uint8, uint16, float16 or float32, (H, W, 4)
        RGBA, straight alpha, colour kept where alpha is 0.
    box : Box
        Where it lies on the canvas.
    selection : same depths, (H, W), optional
        How much of each pixel is selected; None for all of it.
    mode : str
        `img2img`, `inpaint` or `txt2img`; `auto` until `with_mode`.
    known : float32, (H, W), optional
        0..1, how much of a pixel's colour is left, where `fitted` has mixed pixels.
    change : float32, (H, W), optional
        c, where `fitted` has pooled it.
    context : same depths, (H, W, 4), optional
        What is visible below the layer: RGBA, straight alpha.
    left_out : GridMask, optional
        Where nothing changes, as if it were not selected.
    space : ColourSpace
        Of pixels and context.
    """

    pixels: Pixels
    box: Box
    selection: Pixels | None = None
    mode: str = "auto"
    known: Floats | None = field(default=None, repr=False)
    change: Floats | None = field(default=None, repr=False)
    context: Pixels | None = field(default=None, repr=False)
    left_out: GridMask | None = field(default=None, repr=False)
    space: ColourSpace = SRGB

    @classmethod
    def of(
        cls,
        pixels: Pixels,
        selection: Pixels | None = None,
        x: int = 0,
        y: int = 0,
        *,
        context: Pixels | None = None,
        space: ColourSpace = SRGB,
    ) -> Source:
        """Take a layer, its selection, its place on the canvas and what is visible below it.

        Raises
        ------
        BadInputError
            For shapes and depths that are not as described above.
        """
        check_pixels("layer", pixels)
        height, width = pixels.shape[:2]
        if selection is not None:
            check_like("selection", selection, pixels)
        if context is not None:
            check_pixels("context", context)
            check_like("context", context[..., 3], pixels)
        box = Box(x, y, width, height)
        return cls(pixels, box, selection, context=context, space=space)

    @classmethod
    def blank(cls, extent: Extent) -> Source:
        """Return an empty 8-bit layer of that size."""
        return cls.of(np.zeros((extent.height, extent.width, 4), np.uint8))

    def with_mode(self, mode: str) -> Source:
        """Settle the mode: `auto` is decided by the pixels, as `modes.choose_mode` says."""
        if mode == "auto":
            state = LayerState(
                empty=not self.pixels.any(),
                transparent=bool(self._erased().any()),
                selected=self.selection is not None,
                below=_shows_something(self.context),
            )
            mode = choose_mode(ModeChoice(mode), state).mode
        return replace(self, mode=mode)

    def _erased(self) -> Mask:
        """Return where pixels are selected and not opaque."""
        full = self.pixels.dtype.type(FULL[self.pixels.dtype])
        erased = np.asarray(~(self.pixels[..., 3] >= full))  # NaN counts as erased
        if self.selection is not None:
            erased &= self.selection > 0
        return erased

    def change_box(self) -> Box:
        """Return the smallest box, on the canvas, that holds every pixel of change above 0."""
        if self.change is not None:
            found = box_of(self.change > 0)
        elif self.mode == "inpaint":
            found = box_of(self._erased())
        elif self.selection is None:
            return self.box
        else:
            found = box_of(self.selection > 0)
        return found.moved(self.box.x, self.box.y)

    def _part(self, values: Pixels, box: Box) -> Pixels:
        local = box.moved(-self.box.x, -self.box.y)
        return values[local.y : local.bottom, local.x : local.right]

    def pixels_in(self, box: Box) -> Pixels:
        """Return the pixels in a box on the canvas, as a view."""
        return self._part(self.pixels, box)

    def selection_in(self, box: Box) -> Floats:
        """Return sel in a box on the canvas: float32, (height, width), 0..1."""
        if self.selection is None:
            return self._share(np.ones((box.height, box.width), np.float32), box)
        return self._share(fraction(self._part(self.selection, box)), box)

    def _share(self, values: Floats, box: Box) -> Floats:
        """Return a map of a box without what is left out."""
        if self.left_out is None:
            return values
        return np.where(self.left_out.pixels_in(box), np.float32(0), values)

    def change_in(self, box: Box) -> Floats:
        """Return c in a box on the canvas: sel (1 - a) when inpainting, else sel."""
        if self.change is not None:
            return self._share(self._part(self.change, box), box)
        selection = self.selection_in(box)
        if self.mode == "inpaint":
            selection *= 1 - fraction(self.pixels_in(box)[..., 3])
        return selection

    def known_in(self, box: Box) -> Floats:
        """Return how much of each pixel's colour is left: 0 where alpha and RGB are all 0, else 1.

        An editor's Clear leaves such pixels; its eraser keeps the colour.
        """
        if self.known is not None:
            return self._part(self.known, box)
        return _has_colour(self.pixels_in(box)).astype(np.float32)

    def repainted(self, pixels: Pixels, areas: Iterable[Box]) -> Source:
        """Return the layer with what came of it as its colour, to be painted over again.

        What is erased stays erased, so that it may change as much as before.

        Parameters
        ----------
        pixels : same depth and shape
            The result.
        areas : iterable of Box
            The parts of the canvas that were painted.
        """
        known = self.known_in(self.box).copy()
        for area in areas:
            self._part(known, area)[self.change_in(area) > 0] = 1
        if self.mode == "inpaint":
            pixels = pixels.copy()
            pixels[..., 3] = self.pixels[..., 3]
        return replace(self, pixels=pixels, known=known)

    def fitted(self, limit: Extent) -> Source:
        """Scale everything, uniformly, to the largest size that fits into `limit`.

        Channels are resampled straight, each by itself, so that hidden colour stays what it was.
        The change map is pooled before it is scaled.
        """
        scale = min(limit.width / self.box.width, limit.height / self.box.height)
        extent = Extent(
            max(1, round(self.box.width * scale)), max(1, round(self.box.height * scale))
        )
        if extent == self.box.extent:
            return self
        selection = max_resize(self.selection_in(self.box), extent)
        change = max_resize(self.change_in(self.box), extent)
        pixels = resize(self.pixels, extent)
        if self.mode == "inpaint":  # what scaling made transparent must be filled too
            change = np.maximum(change, selection * (1 - fraction(pixels[..., 3])))
        return replace(
            self,
            pixels=pixels,
            box=Box.at(self.box.x, self.box.y, extent),
            selection=selection,
            known=resize(self.known_in(self.box), extent),
            change=change,
            context=None if self.context is None else resize(self.context, extent),
        )


def _shows_something(context: Pixels | None) -> bool:
    """Return whether anything but white paper is visible in a context."""
    if context is None:
        return False
    coloured = (context[..., :3] < FULL[context.dtype]).any(axis=-1)
    return bool((coloured & (context[..., 3] > 0)).any())


def _has_colour(pixels: Pixels) -> Mask:
    """Return where any channel is not 0. Integers are read as one wide number, which is fast."""
    if pixels.dtype.kind == "u" and pixels.strides[-1] == pixels.itemsize:
        return np.asarray(pixels.view(f"u{4 * pixels.itemsize}")[..., 0] != 0)
    return np.asarray(np.any(pixels != 0, axis=-1))


def box_of(mask: Mask) -> Box:
    """Return the smallest box around all that is true; an empty one if nothing is."""
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        return Box(0, 0, 0, 0)
    columns = np.flatnonzero(mask[rows[0] : rows[-1] + 1].any(axis=0))
    return Box(
        int(columns[0]),
        int(rows[0]),
        int(columns[-1] - columns[0]) + 1,
        int(rows[-1] - rows[0]) + 1,
    )


def resize(values: Pixels, extent: Extent) -> Pixels:
    """Resample pixels, every channel by itself, keeping the depth.

    Area averaging towards smaller (no aliasing), cubic towards larger. A value that is not finite
    takes no part in the mean of its neighbours; it stays where it is more than half of a pixel.
    """
    height, width = values.shape[:2]
    if (width, height) == (extent.width, extent.height):
        return values
    wide = values.astype(np.float32) if values.dtype == np.float16 else values
    if values.dtype.kind != "f":
        return _interpolate(wide, extent)
    lowest, highest = wide.min(), wide.max()
    if np.isfinite(lowest) and np.isfinite(highest):
        scaled = np.clip(_interpolate(wide, extent), lowest, highest)  # cubic overshoots
    else:
        scaled = _resize_finite(wide, extent)
    return scaled.astype(values.dtype, copy=False)


def _interpolate(values: Pixels, extent: Extent) -> Pixels:
    height, width = values.shape[:2]
    shrinks = extent.pixels < width * height
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return _scale(values, extent, method)


def _scale(values: Pixels, extent: Extent, method: int) -> Pixels:
    size = (extent.width, extent.height)
    return np.asarray(cv2.resize(np.ascontiguousarray(values), size, interpolation=method))


def _resize_finite(values: Floats, extent: Extent) -> Pixels:
    """Resample by the finite values alone; the nearest value where they are less than half."""
    finite = np.isfinite(values)
    if not finite.any():
        return _scale(values, extent, cv2.INTER_NEAREST_EXACT)
    lowest = values.min(where=finite, initial=np.inf)
    highest = values.max(where=finite, initial=-np.inf)
    weight = _interpolate(finite.astype(np.float32), extent)
    weight = np.where(abs(weight - 1) < 1e-5, np.float32(1), weight)  # the others keep their bits
    total = _interpolate(np.where(finite, values, np.float32(0)), extent)
    mean = np.clip(total / np.maximum(weight, np.float32(0.5)), lowest, highest)
    return np.where(weight >= 0.5, mean, _scale(values, extent, cv2.INTER_NEAREST_EXACT))


def hash_input(image: Floats, change: Floats) -> str:
    """Return the BLAKE2b hash of what the model sees of a picture and over what may change."""
    found = _hash(image)
    found.update(np.ascontiguousarray(change).data)
    return found.hexdigest()


def join_hashes(hashes: Iterable[str]) -> str:
    """Return one hash for several, of which there is at least one; a lone one as it is."""
    found = list(hashes)
    if len(found) == 1 or not any(found):
        return found[0]
    return hashlib.blake2b(" ".join(found).encode(), digest_size=16).hexdigest()


def hash_picture(image: Floats) -> str:
    """Return the BLAKE2b hash of a picture that the model, or a part of it, is given."""
    return _hash(image).hexdigest()


def _hash(image: Floats) -> hashlib.blake2b:
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16)
