"""Pixels in and out of GIMP's buffers.

Colour under alpha 0 stays in a layer's buffer, but a format that multiplies alpha loses it. The
layer's own colour space has to be named: without it, GIMP converts to sRGB, which is not exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gi

gi.require_version("Gegl", "0.4")
gi.require_version("Babl", "0.1")
from gi.repository import Babl, GdkPixbuf, Gegl, GLib  # noqa: E402 - after their versions

from underpaint_client.geometry import Box, Extent  # noqa: E402

FORMATS = {"u1": "R'G'B'A u8", "u2": "R'G'B'A u16"}
AMOUNTS = "Y u8"  # selections and masks are linear, whatever the picture is


@dataclass(frozen=True)
class Reader:
    """Reads a buffer by boxes on the canvas: `bounds` is where the buffer lies there."""

    buffer: Any
    format_name: str
    bounds: Box

    def read(self, box: Box) -> bytes:
        """Read a box on the canvas."""
        return get_pixels(self.buffer, box.moved(-self.bounds.x, -self.bounds.y), self.format_name)


def pixel_format(layer: Any, dtype: str = "u1") -> str:
    """Return the name of the format that pixels travel in, in the layer's own colour space."""
    return str(Babl.get_name(Babl.format_with_space(FORMATS[dtype], layer.get_format())))


def mask_reader(layer: Any, bounds: Box) -> Reader | None:
    """Return what reads a layer's mask, where one is applied."""
    mask = layer.get_mask()
    if mask is None or not layer.get_apply_mask():
        return None
    return Reader(mask.get_buffer(), AMOUNTS, bounds)


def get_pixels(buffer: Any, box: Box, format_name: str) -> bytes:
    """Read a box of a buffer; transparent, or 0, where there is nothing."""
    rectangle = Gegl.Rectangle.new(box.x, box.y, box.width, box.height)
    return bytes(buffer.get(rectangle, 1.0, format_name, Gegl.AbyssPolicy.NONE))


def set_pixels(buffer: Any, box: Box, format_name: str, pixels: bytes) -> None:
    """Write a box of a buffer."""
    buffer.set(Gegl.Rectangle.new(box.x, box.y, box.width, box.height), format_name, pixels)


def fill_scaled(layer: Any, rgba: Any, extent: Extent) -> None:
    """Write RGBA pixels of 8 bits all over a layer, scaled to its size."""
    box = Box(0, 0, layer.get_width(), layer.get_height())
    grown = scaled(image_of(rgba, extent), box.extent).get_pixels()
    buffer = layer.get_buffer()
    set_pixels(buffer, box, pixel_format(layer), grown)
    flush_layer(layer, buffer)


def flush_layer(layer: Any, buffer: Any) -> None:
    """Let GIMP see what was written into a layer's buffer."""
    buffer.flush()
    layer.update(0, 0, layer.get_width(), layer.get_height())


def image_of(rgba: Any, extent: Extent) -> Any:
    """Give RGBA pixels of 8 bits as an image of GTK's."""
    return GdkPixbuf.Pixbuf.new_from_bytes(
        GLib.Bytes.new(bytes(rgba)),
        GdkPixbuf.Colorspace.RGB, True, 8, extent.width, extent.height, 4 * extent.width,
    )  # fmt: skip


def scaled(image: Any, extent: Extent) -> Any:
    """Scale an image of GTK's, smoothly."""
    return image.scale_simple(extent.width, extent.height, GdkPixbuf.InterpType.BILINEAR)
