"""GIMP's canvas: read a layer and the selection, insert results.

What GIMP's API forces is here, and nothing else. Facts about it that are not in its manual:

- Colour under alpha 0 stays in a layer's buffer, but a format that multiplies alpha loses it. The
  layer's own colour space has to be named: without it, GIMP converts to sRGB, which is not exact.
- Writing to a layer that is in an image goes past its undo; one that is not, can be filled freely.
- Inserting a layer selects it, so that the artist's next stroke would go there.
- An undo step that is kept open takes in what the artist paints meanwhile.
- Hiding a layer is an undo step, unless the image's undo is frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
gi.require_version("Babl", "0.1")
from gi.repository import Babl, GdkPixbuf, Gegl, Gimp, GLib  # noqa: E402 - after their versions

from underpaint_client.address import Address  # noqa: E402
from underpaint_client.batch import Result  # noqa: E402
from underpaint_client.errors import BadInputError, GenerationFailedError  # noqa: E402
from underpaint_client.geometry import Box, Extent  # noqa: E402
from underpaint_client.layers import (  # noqa: E402
    SOURCE_GONE,
    around,
    box_to_read,
    fit_into,
    newest_place,
    overlap,
    remark_on_place,
)
from underpaint_client.pixels import keep_unchanged  # noqa: E402
from underpaint_client.results import CARD, Member  # noqa: E402
from underpaint_client.survey import Survey, survey_rows, take_alpha  # noqa: E402
from underpaint_client.tag import Tag  # noqa: E402
from underpaint_client.wire import Frame  # noqa: E402

_KEY = "underpaint-form"
_TAG = "underpaint-recipe"
_FORMATS = {"u1": "R'G'B'A u8", "u2": "R'G'B'A u16"}
_PRECISIONS = {"u1": Gimp.Precision.U8_NON_LINEAR, "u2": Gimp.Precision.U16_NON_LINEAR}
_BAND = 256  # rows that are read at once
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


@dataclass(frozen=True)
class _Sent:
    """What a layer was when it was read, so that a result fits that and nothing later.

    Parameters
    ----------
    frame : Frame
        The pixels that were sent.
    words : str
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
    words: str
    bounds: Box
    own: str
    everything: bytes
    precision: Any
    profile: Any


@dataclass
class Place:
    """Where a job's pixels came from, and its results go.

    Parameters
    ----------
    image, layer : Gimp.Image, Gimp.Layer
        They outlive what they stand for, and say so.
    canvas : Box
        The image's size when it was read.
    """

    image: Any
    layer: Any
    canvas: Box
    _sent: _Sent | None = field(default=None, repr=False)

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
        if layer.get_image().get_id() != image.get_id():
            raise BadInputError(f"{layer.get_name()!r} is in another image; name that image")
        return cls(image, layer, Box(0, 0, image.get_width(), image.get_height()))

    @classmethod
    def find(cls, address: Address) -> Place:
        """Give the place of an address; one that is not open where there is no such image."""
        for image in Gimp.get_images():
            if not address.document or _path_of(image) != address.document:
                continue
            layer = _by_tattoo(image, address.layer)
            canvas = Box(0, 0, image.get_width(), image.get_height())
            layers = image.get_layers()
            if layer is not None or layers:
                return cls(image, layer or layers[0], canvas)
        return cls(None, None, Box(0, 0, address.width, address.height))

    @property
    def address(self) -> Address:
        """Where this is, for another start of GIMP."""
        canvas = self.canvas
        return Address("GIMP", _path_of(self.image), self.name, canvas.width, canvas.height)

    def has(self, job: str) -> frozenset[int]:
        """Say which pictures of a job lie in the image already."""
        tags = (_tag_of(layer) for layer in _all_layers(self.image.get_layers()))
        return frozenset(tag.index for tag in tags if tag is not None and tag.job == job)

    @property
    def open(self) -> bool:
        """Whether the image still is."""
        return self.image is not None and bool(self.image.is_valid())

    @property
    def deleted(self) -> bool:
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

    def look(self) -> Survey:
        """Look at the layer and the selection, to say what a run would do.

        Raises
        ------
        BadInputError
            Where there is nothing to paint on.
        """
        selected = _selected(self.image)
        seen = box_to_read(self.canvas, selected, 0, whole=False, layer=self.bounds)
        layer = _Reader(self.layer.get_buffer(), self._words("u1"), self.bounds)
        mask = _mask_reader(self.layer, self.bounds)
        chosen = _Reader(self.image.get_selection().get_buffer(), _AMOUNTS, self.canvas)

        def read_alpha(rows: Box) -> tuple[bytes, bool]:
            pixels = layer.read(rows)
            alpha = take_alpha(pixels, 4, "u1")
            if mask is not None:
                hidden = mask.read(rows)
                alpha = bytes(map(min, alpha, hidden)) if hidden.strip(b"\xff") else alpha
            return alpha, pixels.count(0) == len(pixels)

        return survey_rows(
            seen if selected is None else selected,
            overlap(self.bounds, self.canvas),
            read_alpha,
            None if selected is None else chosen.read,
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
        image, bounds = self.image, self.bounds
        selected = _selected(image)
        box = box_to_read(self.canvas, selected, native, whole=whole, layer=bounds)
        dtype = "u1" if image.get_precision() in _EIGHT_BITS else "u2"
        words, buffer = self._words(dtype), self.layer.get_buffer()
        frame = Frame("layer", box, dtype, "RGBA", _Reader(buffer, words, bounds).read(box))
        frames = {"layer": frame}
        if selected is not None:
            chosen = _Reader(image.get_selection().get_buffer(), _AMOUNTS, self.canvas)
            frames["selection"] = Frame("selection", box, "u1", "Y", chosen.read(box))
        mask = _mask_reader(self.layer, bounds)
        if mask is not None:
            frames["mask"] = Frame("mask", box, "u1", "Y", mask.read(box))
        own = str(Babl.get_name(_blank(image, "", Box(0, 0, 1, 1)).get_format()))
        held = around(box, bounds)
        everything = _Reader(buffer, own, bounds).read(held) if whole else b""
        self._sent = _Sent(
            frame, words, held, own, everything, image.get_precision(), image.get_color_profile()
        )
        return frames

    def has_nothing(self) -> bool:
        """Say whether there is nothing in the whole layer."""
        seen = overlap(self.bounds, self.canvas)
        layer = _Reader(self.layer.get_buffer(), self._words("u1"), self.bounds)
        for y in range(seen.y, seen.bottom, _BAND):
            band = layer.read(Box(seen.x, y, seen.width, min(_BAND, seen.bottom - y)))
            if band.count(0) < len(band):
                return False
        return True

    def _words(self, dtype: str) -> str:
        """Give the name of the format that pixels travel in, in the layer's own colour space."""
        own = self.layer.get_format()
        return str(Babl.get_name(Babl.format_with_space(_FORMATS[dtype], own)))

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

    @property
    def name(self) -> str:
        """The layer's lasting name, which GIMP saves with the image."""
        return str(self.layer.get_tattoo()) if self.layer.is_valid() else ""

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
        earlier = _batch_of(into) if beside else []
        layers = [self._layer(result) for result in results]
        parent, position = self._spot()
        restore = _selection_keeper(image)
        image.undo_group_start()
        try:
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
            raise GenerationFailedError("GIMP did not take the new layers")
        Gimp.displays_flush()
        return group

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
        place = Place(image, _blank(image, title, self.canvas), self.canvas, sent)
        image.insert_layer(place.layer, None, 0)
        place.insert(title, results)
        image.remove_layer(place.layer)
        image.undo_enable()
        Gimp.Display.new(image)
        Gimp.displays_flush()

    def remember(self, text: str) -> None:
        """Keep the form with the image."""
        self.image.attach_parasite(_parasite(_KEY, text))

    def _spot(self) -> tuple[Any, int]:
        """Give the group's parent and its place in it."""
        if self.deleted:
            return None, 0
        below = self.layer
        for parent in _parents(self.layer):
            if parent.get_lock_content():
                below = parent
        parent = below.get_parent()
        siblings = self.image.get_layers() if parent is None else parent.get_children()
        at = self.image.get_item_position(below)
        above = [_is_batch(one) for one in reversed(siblings[:at])]
        return parent, at - newest_place(above)

    def _layer(self, result: Result) -> Any:
        """Make a layer of a result, not yet in the image."""
        frame, sent = result.frame, self._sent  # which an earlier start of GIMP took along
        if result.area is not None:
            return self._sketch(result, result.area)
        painted = bytes(frame.data)
        whole = sent is not None and bool(sent.everything) and sent.frame.box == frame.box
        box = sent.bounds if sent is not None and whole else frame.box
        layer = _blank(self.image, result.name, box)
        # As the daemon, and most editors, mix colours: a soft edge comes out as it was computed.
        layer.set_blend_space(Gimp.LayerColorSpace.RGB_NON_LINEAR)
        buffer, everywhere = layer.get_buffer(), Box(0, 0, box.width, box.height)
        inner = frame.box.moved(-box.x, -box.y)
        if sent is not None and whole:
            # Sending as 16 bits or in another encoding cost precision: what was not painted gets
            # its own back, to the bit; and what the canvas does not show stays.
            held = Gegl.Buffer.new(sent.own, 0, 0, box.width, box.height)
            _set(held, everywhere, sent.own, sent.everything)
            before = _get(held, inner, sent.own)
            _set(held, inner, sent.words, painted)
            pixels = frame.box.extent.pixels
            after = _get(held, inner, sent.own)
            after = keep_unchanged(bytes(sent.frame.data), painted, before, after, pixels)
            _set(held, inner, sent.own, after)
            _set(buffer, everywhere, sent.own, _get(held, everywhere, sent.own))
        else:
            words = self._words(frame.dtype) if sent is None else sent.words
            _set(buffer, inner, words, painted)
        return self._finished(layer, result)

    def _sketch(self, result: Result, area: Box) -> Any:
        """Make a layer of a sketch, scaled to its area."""
        image = scaled(image_of(result.frame.data, result.frame.box.extent), area.extent)
        layer = _blank(self.image, result.name, area)
        words = str(Babl.get_name(Babl.format_with_space(_FORMATS["u1"], layer.get_format())))
        _set(layer.get_buffer(), Box(0, 0, area.width, area.height), words, image.get_pixels())
        return self._finished(layer, result)

    def _finished(self, layer: Any, result: Result) -> Any:
        """Give a layer that was filled what it is to carry."""
        layer.get_buffer().flush()
        layer.update(0, 0, layer.get_width(), layer.get_height())
        layer.attach_parasite(_parasite(_TAG, result.tag(self).to_text()))
        return layer


@dataclass(frozen=True)
class Selected:
    """A result that the artist has selected, and what it carries."""

    image: Any
    layer: Any
    tag: Tag

    @classmethod
    def of(cls, image: Any) -> Selected | None:
        """Give the selected layer as a result; for a batch's group the one that is shown."""
        layers = image.get_selected_layers() if image is not None and image.is_valid() else []
        if len(layers) != 1:
            return None
        children = layers[0].get_children() if layers[0].is_group() else []
        for candidate in (layers[0], *(child for child in children if child.get_visible())):
            tag = _tag_of(candidate)
            if tag is not None:
                return cls(image, candidate, tag)
        return None

    def find_source(self) -> Place:
        """Give the place of the layer that it was made from.

        Raises
        ------
        BadInputError
            Where that is no longer there.
        """
        found = _by_tattoo(self.image, self.tag.source)
        if found is None:
            raise BadInputError(SOURCE_GONE)
        return Place.of(self.image, [found])

    @property
    def name(self) -> str:
        """What the layer is called."""
        return str(self.layer.get_name())

    @cached_property
    def results(self) -> list[Member]:
        """The batch's results, from the lowest."""
        return _batch_of(self.layer)

    @property
    def index(self) -> int:
        """Which of them this one is."""
        return [one.layer.get_id() for one in self.results].index(self.layer.get_id())

    def thumbnail(self, index: int) -> Any:
        """Give what one of them looks like: an image, as large as `CARD` at most."""
        layer = self.results[index].layer
        size = fit_into(Extent(layer.get_width(), layer.get_height()), Extent(CARD, CARD))
        return layer.get_thumbnail(size.width, size.height, Gimp.PixbufTransparency.KEEP_ALPHA)

    def show(self, index: int) -> None:
        """Show one of them alone, and select it: one undo step."""
        with _one_step(self.image):
            self._show(index)

    def _show(self, index: int) -> None:
        results = self.results
        for at, one in enumerate(results):
            one.layer.set_visible(at == index)
        self.image.set_selected_layers([results[index].layer])

    def keep_only(self) -> int:
        """Show this one, and remove the others but for locked ones: one undo step.

        Returns
        -------
        int
            How many were removed.

        Raises
        ------
        BadInputError
            Where a lock forbids it.
        """
        if any(parent.get_lock_content() for parent in _parents(self.layer)):
            raise BadInputError("the results lie in a locked group; unlock it first")
        others = [
            one.layer
            for one in self.results
            if one.layer.get_id() != self.layer.get_id() and not one.layer.get_lock_content()
        ]
        if others:
            with _one_step(self.image):
                self._show(self.index)
                for layer in others:
                    self.image.remove_layer(layer)
        return len(others)

    def hide_results(self) -> Callable[[], None]:
        """Show the layer as it was, without any result made from it; give what ends that."""
        changed = []
        for layer in _all_layers(self.image.get_layers()):
            tag = _tag_of(layer)
            result = tag is not None and tag.source == self.tag.source
            source = str(layer.get_tattoo()) == self.tag.source
            if (result and layer.get_visible()) or (source and not layer.get_visible()):
                changed.append((layer, not result))
        self._set_visible(changed)
        return lambda: self._set_visible([(layer, not visible) for layer, visible in changed])

    def _set_visible(self, wanted: Sequence[tuple[Any, bool]]) -> None:
        """Show and hide layers, of which the undo history hears nothing."""
        if not self.image.is_valid():
            return
        self.image.undo_freeze()
        try:
            for layer, visible in wanted:
                if layer.is_valid():
                    layer.set_visible(visible)
        finally:
            self.image.undo_thaw()
        Gimp.displays_flush()


def _by_tattoo(image: Any, name: str) -> Any | None:
    """Give the layer of a lasting name."""
    number = int(name[:10]) if name.isascii() and name.isdigit() else 0
    return image.get_layer_by_tattoo(number) if 0 < number < 2**32 else None


def _path_of(image: Any) -> str:
    """Give the file that an image was saved to; empty where it never was."""
    file = image.get_file()
    return "" if file is None else str(file.get_path() or file.get_uri())


def _batch_of(layer: Any) -> list[Member]:
    """Give the results in a result's group; outside of any group it is one by itself."""
    parent = layer.get_parent()
    inside = [layer] if parent is None else reversed(parent.get_children())
    tagged = ((one, _tag_of(one)) for one in inside)
    return [Member(one, tag, bool(one.get_visible())) for one, tag in tagged if tag is not None]


@contextmanager
def _one_step(image: Any) -> Iterator[None]:
    """Make one undo step of what is done to an image, and show it."""
    image.undo_group_start()
    try:
        yield
    finally:
        image.undo_group_end()
    Gimp.displays_flush()


def _all_layers(layers: Iterable[Any]) -> Iterator[Any]:
    """Give layers and all that lie in them."""
    for layer in layers:
        yield layer
        if layer.is_group():
            yield from _all_layers(layer.get_children())


def image_of(rgba: Any, extent: Extent) -> Any:
    """Give RGBA pixels of 8 bits as an image of GTK's."""
    return GdkPixbuf.Pixbuf.new_from_bytes(
        GLib.Bytes.new(bytes(rgba)),
        GdkPixbuf.Colorspace.RGB, True, 8, extent.width, extent.height, 4 * extent.width,
    )  # fmt: skip


def scaled(image: Any, extent: Extent) -> Any:
    """Scale an image of GTK's, smoothly."""
    return image.scale_simple(extent.width, extent.height, GdkPixbuf.InterpType.BILINEAR)


def _tag_of(layer: Any) -> Tag | None:
    return Tag.from_text(_text_of(layer.get_parasite(_TAG)))


def _is_batch(layer: Any) -> bool:
    return layer.is_group() and any(_tag_of(child) for child in layer.get_children())


def recall(image: Any) -> str:
    """Give the form that was kept with an image; empty where none was."""
    return _text_of(image.get_parasite(_KEY))


def _text_of(parasite: Any) -> str:
    return "" if parasite is None else bytes(parasite.get_data()).decode("ascii", "replace")


def _parasite(name: str, text: str) -> Any:
    return Gimp.Parasite.new(name, Gimp.PARASITE_PERSISTENT, list(text.encode("ascii")))


def _selected(image: Any) -> Box | None:
    """Give the box around what is selected; None where nothing is."""
    _, some, left, top, right, bottom = Gimp.Selection.bounds(image)
    return Box(left, top, right - left, bottom - top) if some else None


@dataclass(frozen=True)
class _Reader:
    """Reads a buffer by boxes on the canvas: `bounds` is where the buffer lies there."""

    buffer: Any
    words: str
    bounds: Box

    def read(self, box: Box) -> bytes:
        return _get(self.buffer, box.moved(-self.bounds.x, -self.bounds.y), self.words)


def _mask_reader(layer: Any, bounds: Box) -> _Reader | None:
    """Give what reads a layer's mask, where one is applied."""
    mask = layer.get_mask()
    if mask is None or not layer.get_apply_mask():
        return None
    return _Reader(mask.get_buffer(), _AMOUNTS, bounds)


def _blank(image: Any, name: str, box: Box) -> Any:
    """Make an empty layer with alpha for an image, not yet in it."""
    layer = Gimp.Layer.new(
        image, name, box.width, box.height,
        _TYPES[image.get_base_type()], 100, Gimp.LayerMode.NORMAL,
    )  # fmt: skip
    layer.set_offsets(box.x, box.y)
    return layer


def _selection_keeper(image: Any) -> Callable[[Any], None]:
    """Remember what is selected; give what selects it again, or else what it is told to."""
    layers, channels, paths = (
        image.get_selected_layers(),
        image.get_selected_channels(),
        image.get_selected_paths(),
    )

    def restore(otherwise: Any) -> None:
        image.set_selected_layers(layers or [otherwise])
        if channels:
            image.set_selected_channels(channels)
        if paths:
            image.set_selected_paths(paths)

    return restore


def _parents(layer: Any) -> Iterable[Any]:
    """Give the groups around a layer, the innermost first."""
    parent = layer.get_parent()
    while parent is not None:
        yield parent
        parent = parent.get_parent()


def _get(buffer: Any, box: Box, words: str) -> bytes:
    """Read a box of a buffer; transparent, or 0, where there is nothing."""
    rectangle = Gegl.Rectangle.new(box.x, box.y, box.width, box.height)
    return bytes(buffer.get(rectangle, 1.0, words, Gegl.AbyssPolicy.NONE))


def _set(buffer: Any, box: Box, words: str, pixels: bytes) -> None:
    """Write a box of a buffer."""
    buffer.set(Gegl.Rectangle.new(box.x, box.y, box.width, box.height), words, pixels)
