"""Read and write the pixels of GIMP's buffers.

A layer's buffer keeps the colour under alpha 0, but a format with premultiplied alpha loses it. A
format must name the layer's own colour space. Otherwise GIMP converts to sRGB, which is not exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
gi.require_version("Babl", "0.1")
from gi.repository import Babl, GdkPixbuf, Gegl, Gimp, GLib  # noqa: E402 - after their versions

from underpaint_client.frames import Bytes  # noqa: E402
from underpaint_client.geometry import Box, Extent  # noqa: E402

FORMATS = {"u1": "R'G'B'A u8", "u2": "R'G'B'A u16"}
AMOUNTS = "Y u8"  # selections and masks are linear, whatever the image is
_EIGHT_BITS = {
    Gimp.Precision.U8_NON_LINEAR,
    Gimp.Precision.U8_PERCEPTUAL,
    Gimp.Precision.U8_LINEAR,  # babl's conversion of it to 16 bits is wrong
}


@dataclass(frozen=True)
class Reader:
    """Reads a buffer by boxes on the canvas.

    Parameters
    ----------
    buffer : Gegl.Buffer
    format_name : str
        The format to read in.
    bounds : Box
        Where the buffer is on the canvas.
    """

    buffer: Gegl.Buffer
    format_name: str
    bounds: Box

    def read(self, box: Box) -> bytes:
        """Return the pixels of a box on the canvas."""
        return get_pixels(self.buffer, box.moved(-self.bounds.x, -self.bounds.y), self.format_name)


def sent_dtype(image: Gimp.Image) -> str:
    """Return the depth that an image's pixels are sent in: 8 bits if it has no more, else 16."""
    return "u1" if image.get_precision() in _EIGHT_BITS else "u2"


def pixel_format(layer: Gimp.Layer, dtype: str = "u1") -> str:
    """Return the name of the format that pixels are sent in, in the layer's own colour space."""
    return Babl.get_name(Babl.format_with_space(FORMATS[dtype], layer.get_format()))


def mask_reader(layer: Gimp.Layer, bounds: Box) -> Reader | None:
    """Return a reader of a layer's mask; None if it has none or does not apply it."""
    mask = layer.get_mask()
    if mask is None or not layer.get_apply_mask():
        return None
    return Reader(mask.get_buffer(), AMOUNTS, bounds)


def multiply_alpha(pixels: bytes, amounts: bytes) -> bytes:
    """Return RGBA pixels of 8 bits with their alpha times a mask's amounts, one a pixel."""
    if not amounts.strip(b"\xff"):
        return pixels
    changed = bytearray(pixels)
    products = (alpha * amount for alpha, amount in zip(pixels[3::4], amounts))
    changed[3::4] = bytes((product + 127) // 255 for product in products)
    return bytes(changed)


def get_pixels(buffer: Gegl.Buffer, box: Box, format_name: str) -> bytes:
    """Return the pixels of a box of a buffer, all 0 beyond the buffer."""
    rectangle = Gegl.Rectangle.new(box.x, box.y, box.width, box.height)
    return bytes(buffer.get(rectangle, 1.0, format_name, Gegl.AbyssPolicy.NONE))


def set_pixels(buffer: Gegl.Buffer, box: Box, format_name: str, pixels: bytes) -> None:
    """Set the pixels of a box of a buffer."""
    buffer.set(Gegl.Rectangle.new(box.x, box.y, box.width, box.height), format_name, pixels)


def fill_scaled(layer: Gimp.Layer, rgba: Bytes, extent: Extent) -> None:
    """Fill a layer with RGBA pixels of 8 bits, scaled to its size."""
    box = Box(0, 0, layer.get_width(), layer.get_height())
    grown = scaled(image_of(rgba, extent), box.extent).get_pixels()
    buffer = layer.get_buffer()
    set_pixels(buffer, box, pixel_format(layer), grown)
    flush_layer(layer, buffer)


def flush_layer(layer: Gimp.Layer, buffer: Gegl.Buffer) -> None:
    """Send what was written to a layer's buffer to GIMP."""
    buffer.flush()
    layer.update(0, 0, layer.get_width(), layer.get_height())


def image_of(rgba: Bytes, extent: Extent) -> GdkPixbuf.Pixbuf:
    """Return RGBA pixels of 8 bits as an image for GTK."""
    return GdkPixbuf.Pixbuf.new_from_bytes(
        GLib.Bytes.new(bytes(rgba)),
        GdkPixbuf.Colorspace.RGB, True, 8, extent.width, extent.height, 4 * extent.width,
    )  # fmt: skip


def scaled(image: GdkPixbuf.Pixbuf, extent: Extent) -> GdkPixbuf.Pixbuf:
    """Return an image, scaled smoothly.

    Raises
    ------
    MemoryError
        If there is not enough memory for it.
    """
    found = image.scale_simple(extent.width, extent.height, GdkPixbuf.InterpType.BILINEAR)
    if found is None:
        raise MemoryError(f"no memory for an image of {extent.width} x {extent.height} pixels")
    return found
