"""The layers that results become: in the image's own precision, with kept pixels unchanged."""

from __future__ import annotations

from dataclasses import dataclass

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp  # noqa: E402 - after their versions

from underpaint_client.frames import Frame  # noqa: E402
from underpaint_client.geometry import Box  # noqa: E402
from underpaint_editor.batch import Result  # noqa: E402
from underpaint_editor.pixels import keep_unchanged  # noqa: E402

from .buffers import fill_scaled, flush_layer, get_pixels, pixel_format, set_pixels  # noqa: E402
from .tree import blank_layer  # noqa: E402


@dataclass(frozen=True)
class SentLayer:
    """What a layer was when it was read. The artist may have changed it when results arrive.

    Parameters
    ----------
    frame : Frame
        The pixels that were sent.
    format_name : str
        Their format, with the colour space that the image had.
    bounds : Box
        What the result must cover if it is a whole layer.
    own : str
        The layer's own format, with alpha.
    everything : bytes
        The pixels of `bounds` in the layer's own format; empty if only a patch was asked for.
    precision : Gimp.Precision
        The image's precision.
    profile : Gimp.ColorProfile or None
        The image's colour profile.
    """

    frame: Frame
    format_name: str
    bounds: Box
    own: str
    everything: bytes
    precision: Gimp.Precision
    profile: Gimp.ColorProfile | None


def make_layer(
    image: Gimp.Image, source: Gimp.Layer, result: Result, sent: SentLayer | None
) -> Gimp.Layer:
    """Return a new layer with a result, not yet in the image.

    Parameters
    ----------
    image : Gimp.Image
        The image that it will be inserted into.
    source : Gimp.Layer
        The layer that was read, or the one that stands in for it.
    result : Result
    sent : SentLayer or None
        What was read; None if an earlier start of GIMP did that.
    """
    if result.area is not None:  # a kept preview, which is smaller than its area
        layer = blank_layer(image, result.name, result.area)
        fill_scaled(layer, result.frame.data, result.frame.box.extent)
        return layer
    frame = result.frame
    whole = sent is not None and bool(sent.everything) and sent.frame.box == frame.box
    box = sent.bounds if sent is not None and whole else frame.box
    layer = blank_layer(image, result.name, box)
    # The daemon and most editors mix colours in this space, so a soft edge looks as computed.
    layer.set_blend_space(Gimp.LayerColorSpace.RGB_NON_LINEAR)
    buffer = layer.get_buffer()
    if sent is not None and whole:
        pixels = _keep_own_pixels(sent, frame)
        set_pixels(buffer, Box(0, 0, box.width, box.height), sent.own, pixels)
    else:
        format_name = pixel_format(source, frame.dtype) if sent is None else sent.format_name
        inner = frame.box.moved(-box.x, -box.y)
        set_pixels(buffer, inner, format_name, bytes(frame.data))
    flush_layer(layer, buffer)
    return layer


def _keep_own_pixels(sent: SentLayer, painted: Frame) -> bytes:
    """Return a whole layer in its own format, with a result where that differs from what was sent.

    Sending pixels as 16 bits, or in another encoding, costs precision. So pixels that were not
    painted keep their own value bit for bit, as do those beyond the canvas.
    """
    bounds = sent.bounds
    everywhere = Box(0, 0, bounds.width, bounds.height)
    inner = painted.box.moved(-bounds.x, -bounds.y)
    buffer = Gegl.Buffer.new(sent.own, 0, 0, bounds.width, bounds.height)
    set_pixels(buffer, everywhere, sent.own, sent.everything)
    before = get_pixels(buffer, inner, sent.own)
    set_pixels(buffer, inner, sent.format_name, bytes(painted.data))
    after = get_pixels(buffer, inner, sent.own)
    pixels = painted.box.extent.pixels
    kept = keep_unchanged(bytes(sent.frame.data), bytes(painted.data), before, after, pixels)
    set_pixels(buffer, inner, sent.own, kept)
    return get_pixels(buffer, everywhere, sent.own)
