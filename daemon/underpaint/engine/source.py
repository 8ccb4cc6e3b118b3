"""The layer as it arrived, and how much each of its pixels may change.

Symbols: a is a pixel's alpha, sel how much it is selected, c how much it may change, all 0..1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from underpaint_client.geometry import Box, Extent
from underpaint_client.modes import LayerState, ModeChoice, change_mode, choose_mode

from .colour import SRGB, ColourSpace
from .grid import GridMask
from .pixels import FULL, Floats, Mask, Pixels, box_of, check_like, check_pixels, fraction, resize
from .pooling import max_resize


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
        `img2img`, `inpaint` or `txt2img`, by whose rule pixels may change; `auto` until
        `with_mode`.
    edits : bool
        Whether the model is shown the layer, to edit it: the mode is `edit`.
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
    edits: bool = False
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

    @property
    def told_mode(self) -> str:
        """The mode as a request has it."""
        return "edit" if self.edits else self.mode

    def with_mode(self, mode: str, *, edits: bool = False) -> Source:
        """Settle the mode: `auto` is decided by the pixels, as `modes.choose_mode` says.

        Parameters
        ----------
        mode : str
            One of `request.MODES`.
        edits : bool
            As `choose_mode` has it.
        """
        if mode == "auto":
            state = LayerState(
                empty=not self.pixels.any(),
                transparent=bool(self._erased().any()),
                selected=self.selection is not None,
                below=_shows_something(self.context),
            )
            mode = choose_mode(ModeChoice(mode), state, edits=edits).mode
        rule = change_mode(mode, transparent=mode == "edit" and bool(self._erased().any()))
        return replace(self, mode=rule, edits=mode == "edit")

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
            edits=self.edits,
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
