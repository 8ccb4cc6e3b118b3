"""Make the result layer of what the model painted (the design's promises 1 and 10).

Symbols: a is the source's alpha, sel the selection, c the change, w = min(1, 4c) how much of the
painted colour shows, A the whole layer's alpha, p the patch's; all 0..1. w reaches 1 at a quarter
of full change, so that a soft brush's edge blends, and only the painted colour shows inside. Where
the source has no colour left, there is nothing to blend with, and the painted colour shows alone.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from underpaint_client.geometry import Box

from .pixels import FULL, Floats, Pixels, box_of, fraction, quantize, resize, strips, unclipped
from .source import Source

NO_PATCH = (
    "no patch over this layer gives the same picture (a see-through layer changes only by"
    " replacing it), so the whole layer was returned"
)


@dataclass(frozen=True)
class Composed:
    """A result raster.

    Parameters
    ----------
    pixels : source's depth, (H, W, 4)
        RGBA, straight alpha.
    box : Box
        Where it lies on the canvas.
    kind : str
        `layer` or `patch`.
    notes : tuple of str
        Why it is not the kind that was asked for.
    """

    pixels: Pixels
    box: Box
    kind: str
    notes: tuple[str, ...] = ()


def unchanged(source: Source, kind: str) -> Composed:
    """Return the result of a run that changes nothing: the same bytes, or an empty patch."""
    if kind == "patch":
        return Composed(np.zeros_like(source.pixels), source.box, kind)
    return Composed(source.pixels, source.box, "layer")


@dataclass(frozen=True)
class Painted:
    """What the model painted of a part of the canvas.

    Parameters
    ----------
    source : Source
        The layer, its mode settled, with what is painted by others left out.
    area : Box
        The part of the canvas.
    colours : float32, (h, w, 3) or (h, w, 4)
        sRGB, 0..1, at any size; they are scaled to the area, and converted to the layer's space.
        Of a model that paints transparency, with straight alpha: the result gains so much less.
    """

    source: Source
    area: Box
    colours: Floats

    def blends(self) -> Iterator[tuple[Box, _Blend]]:
        """Yield the area in strips, as the maps of a whole layer would not fit into memory."""
        painted = resize(self.colours, self.area.extent)
        for strip in strips(self.area):
            rows = painted[strip.y - self.area.y : strip.bottom - self.area.y]
            colours, opacity = split_alpha(rows)
            yield (
                strip,
                _Blend.of(self.source, strip, self.source.space.from_srgb(colours), opacity),
            )


def split_alpha(painted: Floats) -> tuple[Floats, Floats | float]:
    """Return the colour (h, w, 3) and the alpha (h, w) of what a model painted; 1 for opaque."""
    return painted[..., :3], painted[..., 3] if painted.shape[-1] > 3 else 1.0


def compose(painted: Sequence[Painted], kind: str) -> Composed:
    """Blend what the model painted into the layer, or make a patch of it.

    Parameters
    ----------
    painted : sequence of Painted
        At least one, all of the same layer; what changes in one is left out of the others.
    kind : str
        `layer` or `patch`. A patch that cannot be made becomes a layer, with a note.
    """
    source = painted[0].source
    if kind == "patch":
        patch = _make_patch(painted)
        if patch is not None:
            return patch
    pixels = source.pixels.copy()
    result = replace(source, pixels=pixels)
    for one in painted:
        for strip, blend in one.blends():
            blend.write(result.pixels_in(strip))
    return Composed(pixels, source.box, "layer", (NO_PATCH,) if kind == "patch" else ())


def _make_patch(painted: Sequence[Painted]) -> Composed | None:
    """Return the smallest patch; None where there is none."""
    source = painted[0].source
    area = functools.reduce(Box.around, (one.area for one in painted))
    patch = np.zeros((area.height, area.width, 4), source.pixels.dtype)
    for one in painted:
        for strip, blend in one.blends():
            part = blend.patch()
            if part is None:
                return None
            here = strip.moved(-area.x, -area.y)
            seen = part[..., 3] > 0
            patch[here.y : here.bottom, here.x : here.right][seen] = part[seen]
    shown = box_of(patch[..., 3] > 0)
    if shown.empty:
        return unchanged(source, "patch")
    cut = patch[shown.y : shown.bottom, shown.x : shown.right]
    return Composed(cut, shown.moved(area.x, area.y), "patch")


@dataclass(frozen=True)
class _Blend:
    """The maps of one area, float32, 0..1: alphas and weights (h, w), colours (h, w, 3).

    `completed` is what the painted colour adds to the source's where that is not known, in full or
    in part, so that no black is mixed in.
    """

    pixels: Pixels
    change: Floats
    alpha: Floats  # a
    result_alpha: Floats  # A
    weight: Floats  # w
    colour: Floats
    completed: Floats
    painted: Floats

    @classmethod
    def of(cls, source: Source, area: Box, painted: Floats, opacity: Floats | float) -> _Blend:
        pixels = source.pixels_in(area)
        change = source.change_in(area)
        alpha = fraction(pixels[..., 3])
        grown = alpha
        if source.mode != "img2img":
            grown = alpha + source.selection_in(area) * (1 - alpha) * opacity
        completed = (1 - source.known_in(area))[..., np.newaxis] * painted
        return cls(
            pixels=pixels,
            change=change,
            alpha=alpha,
            result_alpha=grown,
            weight=np.minimum(1, 4 * change),
            colour=unclipped(pixels[..., :3]) + completed,
            completed=completed,
            painted=painted,
        )

    def _mix(self, weight: Floats) -> Floats:
        """Return colour + weight (painted - colour).

        An infinite colour stays where any of it is left, as the mean with anything else is
        infinite too, and is gone where nothing is left.
        """
        weight = weight[..., np.newaxis]
        with np.errstate(invalid="ignore"):
            mixed = self.colour + weight * (self.painted - self.colour)
        if np.isfinite(mixed).all():
            return mixed
        infinite = np.where(weight == 1, self.painted, self.colour)
        return np.where(np.isfinite(self.colour), mixed, infinite)

    def write(self, layer: Pixels) -> None:
        """Write the area into the same area of a layer, but for pixels whose c is 0."""
        result = np.empty_like(self.pixels)
        result[..., :3] = quantize(self._mix(self.weight), self.pixels.dtype)
        result[..., 3] = quantize(self.result_alpha, self.pixels.dtype)
        np.copyto(layer, result, where=(self.change != 0)[..., np.newaxis])

    def patch(self) -> Pixels | None:
        """Return what, laid over the source, makes the whole layer; None where nothing does.

        Laid over means out = p + a (1 - p) and out x colour = p x patch + (1 - p) a x source.
        Solved for the patch: p = (A - a) / (1 - a), or w where a is 1, and its colour is
        source + (w A / p) (painted - source), and (A / p - 1) more of what completes the source.
        """
        seen_through = self.alpha < 1
        with np.errstate(divide="ignore", invalid="ignore"):
            gained = (self.result_alpha - self.alpha) / (1 - self.alpha)
            alpha = np.where(seen_through, gained, self.weight)
            reach = np.where(alpha > 0, self.weight * self.result_alpha / alpha, 0)
            behind = np.where(alpha > 0, self.result_alpha / alpha - 1, 0)
        if ((alpha <= 0) & (self.weight > 0)).any():
            return None
        colour = self._mix(reach) + behind[..., np.newaxis] * self.completed
        half_level = 0.5 / max(FULL[self.pixels.dtype], 255.0)
        shown = colour[alpha > 0]
        if ((shown < -half_level) | (shown > 1 + half_level)).any():
            return None
        result = np.empty_like(self.pixels)
        result[..., :3] = quantize(np.clip(colour, 0, 1), self.pixels.dtype)
        result[..., 3] = quantize(alpha, self.pixels.dtype)
        return np.where((result[..., 3] > 0)[..., np.newaxis], result, np.zeros_like(result))
