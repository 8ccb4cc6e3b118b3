"""GIMP's canvas: read a layer and the selection, insert results.

What GIMP's API forces is here, and nothing else. Facts about it that are not in its manual:

- Colour under alpha 0 stays in a layer's buffer, but a format that multiplies alpha loses it. The
  layer's own colour space has to be named: without it, GIMP converts to sRGB, which is not exact.
- Writing to a layer that is in an image goes past its undo; one that is not, can be filled freely.
- Inserting a layer selects it, so that the artist's next stroke would go there.
- An undo step that is kept open takes in what the artist paints meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
gi.require_version("Babl", "0.1")
from gi.repository import Babl, Gegl, Gimp  # noqa: E402 - after their versions

from underpaint_client.errors import BadInputError  # noqa: E402
from underpaint_client.geometry import Box, Extent  # noqa: E402
from underpaint_client.layers import (  # noqa: E402
    around,
    box_to_read,
    overlap,
    remark_on_place,
)
from underpaint_client.office import Result  # noqa: E402
from underpaint_client.pixels import keep_unchanged  # noqa: E402
from underpaint_client.survey import Survey, survey_rows, take_alpha  # noqa: E402
from underpaint_client.wire import Frame  # noqa: E402

_KEY = "underpaint-form"
_FORMATS = {"u1": "R'G'B'A u8", "u2": "R'G'B'A u16"}
_AMOUNTS = "Y u8"  # selections and masks are linear, whatever the picture is
_TYPES = {
    Gimp.ImageBaseType.RGB: Gimp.ImageType.RGBA_IMAGE,
    Gimp.ImageBaseType.GRAY: Gimp.ImageType.GRAYA_IMAGE,
    Gimp.ImageBaseType.INDEXED: Gimp.ImageType.INDEXEDA_IMAGE,
}
_POORER = {
    Gimp.ImageBaseType.GRAY: "the image is greyscale, and so is what was painted",
    Gimp.ImageBaseType.INDEXED: (
        "the image is indexed: what was painted has the palette's colours alone, and no soft edges"
    ),
}
_EIGHT_BITS = {
    Gimp.Precision.U8_NON_LINEAR,
    Gimp.Precision.U8_PERCEPTUAL,
    Gimp.Precision.U8_LINEAR,  # which babl does not convert to 16 bits without garbage
}


@dataclass
class Place:
    """Where a job's pixels came from, and its results go.

    Parameters
    ----------
    image, layer : Gimp.Image, Gimp.Layer
        They outlive what they stand for, and say so.
    canvas : Box
        The image's size when it was read.
    sent : Frame or None
        The pixels that were read last.
    """

    image: Any
    layer: Any
    canvas: Box
    sent: Frame | None = field(default=None, repr=False)

    @classmethod
    def of(cls, image: Any, layers: Sequence[Any] | None = None) -> Place:
        """Give the place of the layer that is selected in an image, or of another.

        Raises
        ------
        BadInputError
            Where there is no image, or not one layer that has pixels.
        """
        if image is None or not image.is_valid():
            raise BadInputError("no image is open; open or make one first")
        if image.get_floating_sel() is not None:
            raise BadInputError(
                "there is a floating selection; anchor it, or make it a layer, first"
            )
        chosen = list(image.get_selected_layers() if layers is None else layers)
        if len(chosen) != 1:
            count = f"{len(chosen)} layers are" if chosen else "no layer is"
            raise BadInputError(f"{count} selected; select one in the Layers dockable")
        layer = chosen[0]
        if isinstance(layer, Gimp.LayerMask):
            layer = Gimp.Layer.from_mask(layer)
        if not isinstance(layer, Gimp.Layer):
            raise BadInputError(f"{layer.get_name()!r} is no layer; select one")
        return cls(image, layer, Box(0, 0, image.get_width(), image.get_height()))

    @property
    def open(self) -> bool:
        """Whether the image still is."""
        return bool(self.image.is_valid())

    @property
    def deleted(self) -> bool:
        """Whether the layer is no longer in its image."""
        return not self.layer.is_valid()

    @property
    def bounds(self) -> Box:
        """Around the layer, on the canvas and off it."""
        _, x, y = self.layer.get_offsets()
        return Box(x, y, self.layer.get_width(), self.layer.get_height())

    # ---- reading ---------------------------------------------------------------------------

    def look(self) -> Survey:
        """Look at the layer and the selection, to say what a run would do."""
        selected = _selected(self.image)
        box = overlap(self.bounds, self.canvas) if selected is None else selected
        mask = _mask(self.layer)

        def read_alpha(rows: Box) -> tuple[bytes, bool]:
            pixels = self._pixels(rows, "u1")
            alpha = take_alpha(pixels, 4, "u1")
            if mask is not None:
                hidden = self._amounts(mask, rows)
                alpha = bytes(map(min, alpha, hidden)) if hidden.strip(b"\xff") else alpha
            return alpha, pixels.count(0) == len(pixels)

        def read_amounts(rows: Box) -> bytes:
            return _get(self.image.get_selection().get_buffer(), rows, _AMOUNTS)

        return survey_rows(
            box,
            self.canvas,
            read_alpha,
            None if selected is None else read_amounts,
            has_nothing=self.has_nothing,
            slow=False,
        )

    def read(self, native: int, *, whole: bool) -> dict[str, Frame]:
        """Read what a run needs: the layer, and where there are any, selection and mask.

        Pixels stay in the image's own colour space, as 8 bits where it has no more, else 16.

        Parameters
        ----------
        native : int
            The model's native side; 0 where it is not known.
        whole : bool
            Whether to read all of the layer; else only what is selected, with context.
        """
        selected = _selected(self.image)
        box = box_to_read(self.canvas, selected, native, whole=whole, layer=self.bounds)
        dtype = "u1" if self.image.get_precision() in _EIGHT_BITS else "u2"
        self.sent = Frame("layer", box, dtype, "RGBA", self._pixels(box, dtype))
        frames = {"layer": self.sent}
        if selected is not None:
            amounts = _get(self.image.get_selection().get_buffer(), box, _AMOUNTS)
            frames["selection"] = Frame("selection", box, "u1", "Y", amounts)
        mask = _mask(self.layer)
        if mask is not None:
            frames["mask"] = Frame("mask", box, "u1", "Y", self._amounts(mask, box))
        return frames

    def has_nothing(self) -> bool:
        """Say whether there is nothing in the whole layer."""
        pixels = self._pixels(overlap(self.bounds, self.canvas), "u1")
        return pixels.count(0) == len(pixels)

    def _pixels(self, box: Box, dtype: str) -> bytes:
        words = _words(dtype, self.layer.get_format())
        return _get(self.layer.get_buffer(), self._inside(box), words)

    def _amounts(self, mask: Any, box: Box) -> bytes:
        return _get(mask.get_buffer(), self._inside(box), _AMOUNTS)

    def _inside(self, box: Box) -> Box:
        """Give a box on the canvas as one in the layer's own buffer."""
        bounds = self.bounds
        return Box(box.x - bounds.x, box.y - bounds.y, box.width, box.height)

    # ---- writing ---------------------------------------------------------------------------

    def remarks(self) -> list[str]:
        """Give what the artist should know about where a result comes to lie."""
        image, there = self.image, not self.deleted
        parents = list(_parents(self.layer)) if there else []
        found = remark_on_place(
            deleted=not there,
            hidden=there and not self.layer.get_visible(),
            inside_hidden=not all(parent.get_visible() for parent in parents),
            resized=Extent(image.get_width(), image.get_height()) != self.canvas.extent,
        )
        if any(parent.get_lock_content() for parent in parents):
            found.append("the group it lies in is locked, so the result lies above that")
        poorer = _POORER.get(image.get_base_type())
        return [*found, poorer] if poorer else found

    def insert(self, title: str, results: Sequence[Result]) -> Any:
        """Insert results as a group above their layer: one undo step.

        The last lies on top and is the only visible one. What is selected stays so. Where the
        layer was deleted, the group goes on top of all; where a group around it is locked, above
        that one.
        """
        image = self.image
        selected = image.get_selected_layers()
        group = Gimp.GroupLayer.new(image, title)
        group.set_mode(Gimp.LayerMode.PASS_THROUGH)
        layers = [self._layer(result) for result in results]
        parent, position = self._spot()
        image.undo_group_start()
        try:
            image.insert_layer(group, parent, position)
            for layer in layers:
                layer.set_visible(layer is layers[-1])
                image.insert_layer(layer, group, 0)
            image.set_selected_layers(selected)
        finally:
            image.undo_group_end()
        Gimp.displays_flush()
        return group

    def open_as_document(self, title: str, results: Sequence[Result]) -> None:
        """Open results as a new image, where their own was closed."""
        extent = self.canvas.extent
        image = Gimp.Image.new(extent.width, extent.height, Gimp.ImageBaseType.RGB)
        layer = Gimp.Layer.new(
            image, title, extent.width, extent.height,
            Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL,
        )  # fmt: skip
        image.insert_layer(layer, None, 0)
        Place(image, layer, self.canvas).insert(title, results)
        image.remove_layer(layer)
        Gimp.Display.new(image)
        Gimp.displays_flush()

    def remember(self, text: str) -> None:
        """Keep the form with the image."""
        data = list(text.encode("ascii"))
        self.image.attach_parasite(Gimp.Parasite.new(_KEY, Gimp.PARASITE_PERSISTENT, data))

    def _spot(self) -> tuple[Any, int]:
        """Give the group's parent and its place in it."""
        if self.deleted:
            return None, 0
        below = self.layer
        for parent in _parents(self.layer):
            if parent.get_lock_content():
                below = parent
        return below.get_parent(), self.image.get_item_position(below)

    def _layer(self, result: Result) -> Any:
        """Make a layer of a result, not yet in the image."""
        frame, image = result.frame, self.image
        whole = self.sent is not None and self.sent.box == frame.box and not self.deleted
        whole = whole and result.recipe.result == "layer" and _mask(self.layer) is None
        box = around(frame.box, self.bounds) if whole else frame.box
        layer = Gimp.Layer.new(
            image, result.name, box.width, box.height,
            _TYPES[image.get_base_type()], 100, Gimp.LayerMode.NORMAL,
        )  # fmt: skip
        layer.set_offsets(box.x, box.y)
        # As the daemon, and most editors, mix colours: a soft edge comes out as it was computed.
        layer.set_blend_space(Gimp.LayerColorSpace.RGB_NON_LINEAR)
        own, buffer = Babl.get_name(layer.get_format()), layer.get_buffer()
        inner = Box(frame.box.x - box.x, frame.box.y - box.y, frame.box.width, frame.box.height)
        if whole:  # what the canvas does not show stays too
            everything = _get(self.layer.get_buffer(), self._inside(box), own)
            _set(buffer, Box(0, 0, box.width, box.height), own, everything)
        before = _get(buffer, inner, own)
        painted = bytes(frame.data)
        _set(buffer, inner, _words(frame.dtype, layer.get_format()), painted)
        if whole and self.sent is not None:
            # Sending as 16 bits or in another encoding cost precision: what was not painted gets
            # its own back, to the bit.
            pixel = frame.box.extent.pixels
            after = keep_unchanged(
                bytes(self.sent.data), painted, before, _get(buffer, inner, own), pixel
            )
            _set(buffer, inner, own, after)
        buffer.flush()
        layer.update(0, 0, box.width, box.height)
        return layer


def recall(image: Any) -> str:
    """Give the form that was kept with an image; empty where none was."""
    parasite = image.get_parasite(_KEY)
    return "" if parasite is None else bytes(parasite.get_data()).decode("ascii", "replace")


def _selected(image: Any) -> Box | None:
    """Give the box around what is selected; None where nothing is."""
    _, some, left, top, right, bottom = Gimp.Selection.bounds(image)
    return Box(left, top, right - left, bottom - top) if some else None


def _mask(layer: Any) -> Any | None:
    """Give a layer's mask, where it is applied."""
    mask = layer.get_mask()
    return mask if mask is not None and layer.get_apply_mask() else None


def _parents(layer: Any) -> Iterable[Any]:
    """Give the groups around a layer, the innermost first."""
    parent = layer.get_parent()
    while parent is not None:
        yield parent
        parent = parent.get_parent()


def _words(dtype: str, own: Any) -> str:
    """Give the name of the format that pixels travel in, in a layer's own colour space."""
    return str(Babl.get_name(Babl.format_with_space(_FORMATS[dtype], own)))


def _get(buffer: Any, box: Box, words: str) -> bytes:
    """Read a box of a buffer; transparent, or 0, where there is nothing."""
    rectangle = Gegl.Rectangle.new(box.x, box.y, box.width, box.height)
    return bytes(buffer.get(rectangle, 1.0, words, Gegl.AbyssPolicy.NONE))


def _set(buffer: Any, box: Box, words: str, pixels: bytes) -> None:
    """Write a box of a buffer."""
    buffer.set(Gegl.Rectangle.new(box.x, box.y, box.width, box.height), words, pixels)
