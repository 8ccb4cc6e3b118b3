"""What the model sees of a layer that lies over a picture: the request's context `below`.

Symbols: a is a pixel's alpha, sel how much it is selected, k how much of its own colour is left,
all 0..1, and b the alpha of what is visible below it.

- Where a pixel is not selected, the model sees what an eye sees: the layer over what is below.
- Where it is selected, the model starts from the layer's own colour, also under alpha 0, so that
  hidden colour guides it and partial alpha is partial change, as without a context.
- Where the layer has no colour left (k = 0), it starts from the colour below.
- Where nothing is below (b = 0), all is as without a context.

So of the colour below, a pixel gets the share max(1 - k, (1 - sel) b (1 - a) / (a + b (1 - a))).
The result is composed with the layer alone: what is kept stays so, bit for bit.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np

from underpaint_client.geometry import Box

from .colour import SRGB
from .pixels import Pixels, fraction, quantize, strips
from .source import Source

_LEAST = np.float32(1e-6)
"""Less than any alpha, so that nothing is divided by 0."""


def as_model_sees(source: Source, area: Box) -> Source:
    """Return a part of a layer as the model sees it: over its context, and as sRGB.

    Parameters
    ----------
    source : Source
        The layer, its mode settled.
    area : Box
        On the canvas, inside the layer.
    """
    return _as_srgb(lay_over_context(source, area), area)


def lay_over_context(source: Source, area: Box) -> Source:
    """Return a part of a layer as the model sees it; the layer itself where it has no context.

    Parameters
    ----------
    source : Source
        The layer, its mode settled.
    area : Box
        On the canvas, inside the layer.

    Returns
    -------
    Source
        May change as much as the layer. Its alpha is that of what can be seen where nothing is
        selected, and the layer's own where everything is.
    """
    if source.context is None:
        return source
    context = _part(source.context, source, area)
    pixels = source.pixels_in(area).copy()
    known = source.known_in(area).copy()
    for strip in strips(area):
        rows = slice(strip.y - area.y, strip.bottom - area.y)
        own, below = fraction(pixels[rows]), fraction(context[rows])
        alpha, unselected = own[..., 3], 1 - source.selection_in(strip)
        seen_below = below[..., 3] * (1 - alpha)
        lost = np.where(below[..., 3] > 0, 1 - known[rows], 0)
        seen = np.maximum(alpha + seen_below, _LEAST)
        share = np.maximum(lost, unselected * seen_below / seen)[..., np.newaxis]
        # Where colour is lost in part, what is left of it is in there by its share already.
        kept = (1 - share) / np.maximum(known[rows], _LEAST)[..., np.newaxis]
        colour = kept * own[..., :3] + share * below[..., :3]
        mixed = np.dstack([colour, alpha + unselected * seen_below])
        changes = share[..., 0] > 0
        pixels[rows][changes] = quantize(mixed[changes], pixels.dtype)
        known[rows][changes] = 1
    return replace(
        source,
        pixels=pixels,
        box=area,
        selection=None,
        known=known,
        change=source.change_in(area),
        context=None,
    )


def _as_srgb(source: Source, area: Box) -> Source:
    """Return a part of a layer with its colours as sRGB; the layer itself where it is sRGB.

    It is as deep as the layer, or has 16 bits where that has 8: rounding to 8 twice would show.
    """
    space = source.space
    if not space.profile:
        return source
    own, known = source.pixels_in(area), source.known_in(area)
    depth = np.dtype(np.uint16) if own.dtype == np.uint8 else own.dtype
    pixels = np.empty(own.shape, depth)
    for strip in strips(area):
        rows = slice(strip.y - area.y, strip.bottom - area.y)
        pixels[rows, :, 3] = quantize(fraction(own[rows, :, 3]), depth)
        colours, share = own[rows, :, :3], known[rows][..., np.newaxis]
        if ((share == 0) | (share == 1)).all():
            pixels[rows, :, :3] = space.to_srgb(colours)
            continue
        # Where some of the colour is lost, what is left is in the pixel by its share.
        whole = np.minimum(fraction(colours) / np.maximum(share, _LEAST), 1)
        pixels[rows, :, :3] = quantize(space.to_srgb(whole) * share, depth)
    return replace(
        source,
        pixels=pixels,
        box=area,
        selection=None,
        known=known,
        change=source.change_in(area),
        space=SRGB,
    )


def hash_context(source: Source, area: Box) -> str:
    """Return the BLAKE2b hash of a layer's context in an area; empty where it has none."""
    if source.context is None:
        return ""
    pixels = np.ascontiguousarray(_part(source.context, source, area))
    return hashlib.blake2b(pixels.data, digest_size=16).hexdigest()


def _part(context: Pixels, source: Source, area: Box) -> Pixels:
    local = area.moved(-source.box.x, -source.box.y)
    return context[local.y : local.bottom, local.x : local.right]
