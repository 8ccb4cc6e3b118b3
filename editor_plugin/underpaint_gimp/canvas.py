"""GIMP's canvas: read a layer and the selection, insert results.

What GIMP's API forces is here and in `buffers`, `tree` and `preview`, and nothing else. Facts about
it that are not in its manual:

- Writing to a layer that is in an image goes past its undo; one that is not, can be filled freely.
- Inserting a layer selects it, so that the artist's next stroke would go there.
- An undo step that is kept open takes in what the artist paints meanwhile.
- Hiding a layer is an undo step, unless the image's undo is frozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
gi.require_version("Babl", "0.1")
from gi.repository import Babl, Gegl, Gimp  # noqa: E402 - after their versions

from underpaint_client.address import Address  # noqa: E402
from underpaint_client.errors import BadInputError, GenerationFailedError  # noqa: E402
from underpaint_client.frames import Frame  # noqa: E402
from underpaint_client.geometry import Box, Extent  # noqa: E402
from underpaint_editor.batch import Result  # noqa: E402
from underpaint_editor.layers import (  # noqa: E402
    box_to_read,
    count_batches_above,
    describe_placement,
    intersection,
    union,
)
from underpaint_editor.pixels import keep_unchanged  # noqa: E402
from underpaint_editor.survey import Survey, survey_rows, take_alpha  # noqa: E402

from .buffers import (  # noqa: E402
    AMOUNTS,
    Reader,
    fill_scaled,
    flush_layer,
    get_pixels,
    mask_reader,
    pixel_format,
    set_pixels,
)
from .cautions import cautions_of  # noqa: E402
from .preview import Preview, is_preview  # noqa: E402
from .tree import (  # noqa: E402
    TAG,
    all_layers,
    attach_ids,
    batch_of,
    blank_layer,
    claim,
    find_layer,
    is_batch,
    lasting_name,
    parasite,
    parents,
    path_of,
    remember_selection,
    tag_of,
    text_of,
)

_KEY = "underpaint-form"
_PRECISIONS = {"u1": Gimp.Precision.U8_NON_LINEAR, "u2": Gimp.Precision.U16_NON_LINEAR}
_BAND = 256  # rows that are read at once
_EIGHT_BITS = {
    Gimp.Precision.U8_NON_LINEAR,
    Gimp.Precision.U8_PERCEPTUAL,
    Gimp.Precision.U8_LINEAR,  # which babl does not convert to 16 bits without garbage
}


@dataclass(frozen=True)
class _Sent:
    """What a layer was when it was read, so that a result fits that and nothing later.

    Parameters
    ----------
    frame : Frame
        The pixels that were sent.
    format_name : str
        Their format, colour space and all: the image's may be another when they come back.
    bounds : Box
        Around what the whole layer's result must hold.
    own : str
        The layer's own format, with alpha.
    everything : bytes
        The bounds in that format; empty where only a patch was asked for.
    precision : Gimp.Precision
    profile : Gimp.ColorProfile or None
    """

    frame: Frame
    format_name: str
    bounds: Box
    own: str
    everything: bytes
    precision: Any
    profile: Any


@dataclass
class GimpDocument:
    """An image, and the layer in it that a job reads; see `contract.Document`.

    Parameters
    ----------
    image, layer : Gimp.Image, Gimp.Layer
        They outlive what they stand for, and say so.
    canvas : Box
        The image's size when it was read.
    is_source : bool
        Whether results are made from the layer; else they only go above it.
    """

    image: Any
    layer: Any
    canvas: Box
    is_source: bool = True
    _name: str = ""
    _sent: _Sent | None = field(default=None, repr=False)
    _told: list[str] = field(default_factory=list)
    _preview: Preview | None = field(default=None, repr=False)

    @classmethod
    def of(cls, image: Any, layers: Sequence[Any] | None = None) -> GimpDocument:
        """Return the document of the layer that is selected in an image, or of another.

        Raises
        ------
        BadInputError
            Where there is no image, or not one layer that has pixels.
        """
        if image is None or not image.is_valid():
            raise BadInputError("no image is open; open or create one first")
        if image.get_floating_sel() is not None:
            raise BadInputError(
                "there is a floating selection; anchor it or turn it into a layer first"
            )
        chosen = list(image.get_selected_layers() if layers is None else layers)
        if len(chosen) != 1:
            count = f"{len(chosen)} layers are" if chosen else "no layer is"
            raise BadInputError(f"{count} selected; select one in the Layers dockable")
        layer = chosen[0]
        if isinstance(layer, Gimp.LayerMask):
            layer = Gimp.Layer.from_mask(layer)
        if not isinstance(layer, Gimp.Layer):
            raise BadInputError(f"{layer.get_name()!r} is not a layer; select one")
        if layer.get_image().get_id() != image.get_id():
            raise BadInputError(f"{layer.get_name()!r} is in another image; pass that image")
        if is_preview(layer):
            raise BadInputError("the selected layer is the live preview; select another one")
        return cls(image, layer, Box(0, 0, image.get_width(), image.get_height()))

    @classmethod
    def find(cls, address: Address) -> GimpDocument:
        """Return the document of an address; one that is not open if there is no such image."""
        for image in Gimp.get_images():
            if not address.document or path_of(image) != address.document:
                continue
            layer = find_layer(image, address.layer)
            canvas = Box(0, 0, image.get_width(), image.get_height())
            layers = [layer] if layer is not None else image.get_layers()
            if layers:
                return cls(image, layers[0], canvas, is_source=layer is not None)
        return cls(None, None, Box(0, 0, address.width, address.height))

    @property
    def address(self) -> Address:
        """Where this is, for another start of GIMP."""
        canvas, name = self.canvas, lasting_name(self.layer)
        return Address("GIMP", path_of(self.image), name, canvas.width, canvas.height)

    def inserted_images(self, job: str) -> frozenset[int]:
        """Return which pictures of a job lie in the image already."""
        tags = (tag_of(layer) for layer in all_layers(self.image.get_layers()))
        return frozenset(tag.index for tag in tags if tag is not None and tag.job == job)

    @property
    def is_open(self) -> bool:
        """Whether the image still is."""
        return self.image is not None and bool(self.image.is_valid())

    @property
    def can_redo(self) -> None:
        """Whether something can be redone, which GIMP does not tell."""
        return None

    @property
    def is_deleted(self) -> bool:
        """Whether the layer is no longer in its image."""
        return not self.layer.is_valid()

    @property
    def bounds(self) -> Box:
        """Around the layer, on the canvas and off it; an empty group is as large as the canvas."""
        if self.layer.is_group() and not self.layer.get_children():
            return self.canvas
        _, x, y = self.layer.get_offsets()
        return Box(x, y, self.layer.get_width(), self.layer.get_height())

    # ---- reading ---------------------------------------------------------------------------

    def survey(self) -> Survey:
        """Look at the layer and the selection, to say what a run would do.

        Raises
        ------
        BadInputError
            Where there is nothing to paint on.
        """
        selected = _selected(self.image)
        seen = box_to_read(self.canvas, selected, 0, whole=False, layer=self.bounds)
        layer = Reader(self.layer.get_buffer(), pixel_format(self.layer), self.bounds)
        mask = mask_reader(self.layer, self.bounds)
        chosen = Reader(self.image.get_selection().get_buffer(), AMOUNTS, self.canvas)

        def read_alpha(rows: Box) -> tuple[bytes, bool]:
            pixels = layer.read(rows)
            alpha = take_alpha(pixels, 4, "u1")
            if mask is not None:
                hidden = mask.read(rows)
                alpha = bytes(map(min, alpha, hidden)) if hidden.strip(b"\xff") else alpha
            return alpha, pixels.count(0) == len(pixels)

        return survey_rows(
            seen if selected is None else selected,
            intersection(self.bounds, self.canvas),
            read_alpha,
            None if selected is None else chosen.read,
            is_empty=self.is_empty,
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
        image, bounds = self.image, self.bounds
        self._told = self.cautions()
        selected = _selected(image)
        box = box_to_read(self.canvas, selected, native, whole=whole, layer=bounds)
        dtype = "u1" if image.get_precision() in _EIGHT_BITS else "u2"
        name, buffer = pixel_format(self.layer, dtype), self.layer.get_buffer()
        frame = Frame("layer", box, dtype, "RGBA", Reader(buffer, name, bounds).read(box))
        frames = {"layer": frame}
        if selected is not None:
            chosen = Reader(image.get_selection().get_buffer(), AMOUNTS, self.canvas)
            frames["selection"] = Frame("selection", box, "u1", "Y", chosen.read(box))
        mask = mask_reader(self.layer, bounds)
        if mask is not None:
            frames["mask"] = Frame("mask", box, "u1", "Y", mask.read(box))
        own = str(Babl.get_name(blank_layer(image, "", Box(0, 0, 1, 1)).get_format()))
        held = union(box, bounds)
        everything = Reader(buffer, own, bounds).read(held) if whole else b""
        self._sent = _Sent(
            frame,
            name,
            held,
            own,
            everything,
            image.get_precision(),
            image.get_color_profile(),
        )
        return frames

    def is_empty(self) -> bool:
        """Return whether there is nothing in the whole layer."""
        seen = intersection(self.bounds, self.canvas)
        layer = Reader(self.layer.get_buffer(), pixel_format(self.layer), self.bounds)
        for y in range(seen.y, seen.bottom, _BAND):
            band = layer.read(Box(seen.x, y, seen.width, min(_BAND, seen.bottom - y)))
            if band.count(0) < len(band):
                return False
        return True

    # ---- writing ---------------------------------------------------------------------------

    def placement_notes(self) -> list[str]:
        """Return what the artist was not told before the run about where a result comes to lie."""
        there = not self.is_deleted
        news = describe_placement(
            deleted=not there, hidden=False, inside_hidden=False, resized=self._resized
        )
        now = cautions_of(self.image, self.layer if there else None)
        return [*news, *(caution for caution in now if caution not in self._told)]

    @property
    def _resized(self) -> bool:
        extent = Extent(self.image.get_width(), self.image.get_height())
        return extent != self.canvas.extent

    def cautions(self) -> list[str]:
        """Return what the artist should know before a run."""
        return cautions_of(self.image, self.layer)

    @property
    def layer_id(self) -> str:
        """The layer's lasting name: our id of it. Empty before results were inserted."""
        return self._name

    def insert(self, title: str, results: Sequence[Result], into: Any = None) -> Any:
        """Insert results as a group above their layer: one undo step.

        The last lies on top and is the only visible one. What is selected stays so. Where the
        layer was deleted, the group goes on top of all; where a group around it is locked, above
        that one. With `into`, an earlier result, they come to lie above that.

        Raises
        ------
        GenerationFailedError
            Where GIMP refuses.
        """
        image = self.image
        beside = into is not None and into.is_valid() and into.get_parent() is not None
        earlier = batch_of(into) if beside else []
        ids = claim(self.layer) if self.is_source and not self.is_deleted else None
        self._name = "" if ids is None else ids.own
        layers = [self._layer(result) for result in results]
        parent, position = self._spot()
        restore = remember_selection(image)
        image.undo_group_start()
        try:
            if ids is not None:
                attach_ids(self.layer, ids)
            if beside:
                group, done, at = into.get_parent(), True, image.get_item_position(into)
            else:
                group, at = Gimp.GroupLayer.new(image, title), 0
                group.set_mode(Gimp.LayerMode.PASS_THROUGH)
                done = image.insert_layer(group, parent, position)
            for layer in layers:
                layer.set_visible(layer is layers[-1])
                done = done and image.insert_layer(layer, group, at)
            if beside and done:
                for one in earlier:
                    one.layer.set_visible(False)
            restore(group)
        finally:
            image.undo_group_end()
        if not done:
            raise GenerationFailedError("GIMP refused the new layers")
        Gimp.displays_flush()
        return group

    def show_preview(self, frame: Frame, area: Box) -> None:
        """Show above the layer what a picture looks like so far."""
        if self._preview is None:
            self._preview = Preview(self.image, self.layer)
        self._preview.show(frame, area)

    def remove_preview(self) -> None:
        """Show none any more."""
        if self._preview is not None:
            self._preview.end()
            self._preview = None

    def open_as_document(self, title: str, results: Sequence[Result]) -> None:
        """Open results as a new image, of their own image's kind, where that was closed."""
        extent, sent = self.canvas.extent, self._sent
        precision = _PRECISIONS[results[0].frame.dtype] if sent is None else sent.precision
        image = Gimp.Image.new_with_precision(
            extent.width, extent.height, Gimp.ImageBaseType.RGB, precision
        )
        image.undo_disable()
        if sent is not None and sent.profile is not None and sent.profile.is_rgb():
            image.set_color_profile(sent.profile)
        blank = blank_layer(image, title, self.canvas)
        document = GimpDocument(image, blank, self.canvas, is_source=False, _sent=sent)
        image.insert_layer(blank, None, 0)
        document.insert(title, results)
        image.remove_layer(blank)
        image.undo_enable()
        Gimp.Display.new(image)
        Gimp.displays_flush()

    def save_form(self, text: str) -> None:
        """Keep the form with the image."""
        self.image.attach_parasite(parasite(_KEY, text))

    def _spot(self) -> tuple[Any, int]:
        """Return the group's parent and its position in it."""
        if self.is_deleted:
            return None, 0
        below = self.layer
        for parent in parents(self.layer):
            if parent.get_lock_content():
                below = parent
        parent = below.get_parent()
        siblings = self.image.get_layers() if parent is None else parent.get_children()
        at = self.image.get_item_position(below)
        above = [is_batch(one) for one in reversed(siblings[:at])]
        return parent, at - count_batches_above(above)

    def _layer(self, result: Result) -> Any:
        """Make a layer of a result, not yet in the image."""
        frame, sent = result.frame, self._sent  # which an earlier start of GIMP took along
        if result.area is not None:
            return self._scaled_layer(result, result.area)
        painted = bytes(frame.data)
        whole = sent is not None and bool(sent.everything) and sent.frame.box == frame.box
        box = sent.bounds if sent is not None and whole else frame.box
        layer = blank_layer(self.image, result.name, box)
        # As the daemon, and most editors, mix colours: a soft edge comes out as it was computed.
        layer.set_blend_space(Gimp.LayerColorSpace.RGB_NON_LINEAR)
        buffer, everywhere = layer.get_buffer(), Box(0, 0, box.width, box.height)
        inner = frame.box.moved(-box.x, -box.y)
        if sent is not None and whole:
            # Sending as 16 bits or in another encoding cost precision: what was not painted gets
            # its own back, to the bit; and what the canvas does not show stays.
            held = Gegl.Buffer.new(sent.own, 0, 0, box.width, box.height)
            set_pixels(held, everywhere, sent.own, sent.everything)
            before = get_pixels(held, inner, sent.own)
            set_pixels(held, inner, sent.format_name, painted)
            pixels = frame.box.extent.pixels
            after = get_pixels(held, inner, sent.own)
            after = keep_unchanged(bytes(sent.frame.data), painted, before, after, pixels)
            set_pixels(held, inner, sent.own, after)
            set_pixels(buffer, everywhere, sent.own, get_pixels(held, everywhere, sent.own))
        else:
            format_name = (
                pixel_format(self.layer, frame.dtype) if sent is None else sent.format_name
            )
            set_pixels(buffer, inner, format_name, painted)
        flush_layer(layer, buffer)
        return self._tagged(layer, result)

    def _scaled_layer(self, result: Result, area: Box) -> Any:
        """Make a layer of a kept preview, scaled to its area."""
        layer = blank_layer(self.image, result.name, area)
        fill_scaled(layer, result.frame.data, result.frame.box.extent)
        return self._tagged(layer, result)

    def _tagged(self, layer: Any, result: Result) -> Any:
        """Return a layer what it is to attach_ids."""
        layer.attach_parasite(parasite(TAG, result.tag(self).to_text()))
        return layer


def load_form(image: Any) -> str:
    """Return the form that was kept with an image; empty where none was."""
    return text_of(image.get_parasite(_KEY))


def _selected(image: Any) -> Box | None:
    """Return the box around what is selected; None where nothing is."""
    _, some, left, top, right, bottom = Gimp.Selection.bounds(image)
    return Box(left, top, right - left, bottom - top) if some else None
