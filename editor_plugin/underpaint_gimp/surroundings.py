"""What is around a layer in its image, and what is visible of it and of all below it.

That is read from a copy of the image, as hiding layers would be an undo step and flicker. The copy
shares its pixels with the image, and is cropped before GIMP composes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402 - after its version

from underpaint_client.frames import Frame  # noqa: E402
from underpaint_client.geometry import Box  # noqa: E402
from underpaint_editor import paper  # noqa: E402
from underpaint_editor.layers import box_to_read, intersection  # noqa: E402

from .buffers import Reader, pixel_format, sent_dtype  # noqa: E402
from .preview import is_preview  # noqa: E402
from .selection import selection_bounds  # noqa: E402
from .tree import control_layers, is_batch, parents, role_of  # noqa: E402


@dataclass(frozen=True)
class GimpSurroundings:
    """See `contract.Surroundings`.

    Parameters
    ----------
    image, layer
        GIMP's; the layer is in the image.
    bounds, canvas : Box
        The layer's and the image's.
    """

    image: Gimp.Image
    layer: Gimp.Layer
    bounds: Box
    canvas: Box

    def is_new(self) -> bool:
        """Return whether the layer is the only one, opaque and all white.

        Results and control layers do not count.
        """
        layer, layers = self.layer, self.image.get_layers()
        artists = [one for one in layers if not is_batch(one) and not is_preview(one)]
        own = [one for one in artists if role_of(one) is None or not one.get_visible()]
        if [one.get_id() for one in own] != [layer.get_id()] or layer.get_mask() is not None:
            return False
        covers = self.bounds.contains(self.canvas)
        return covers and paper.is_white(self.canvas, _reader(layer).read, "u1")

    @property
    def is_drawn(self) -> bool:
        """Whether it is a text layer or, from GIMP 3.2 on, a vector layer."""
        vectors = getattr(self.layer, "is_vector_layer", None)
        return self.layer.is_text_layer() or (vectors is not None and bool(vectors()))

    def count_regions(self) -> int:
        """Return how many visible layers are regions."""
        return sum(role.is_region for role, _ in control_layers(self.image))

    def shows_below(self) -> bool:
        """Return whether anything but white paper is visible below, where a run would see it."""
        selected = selection_bounds(self.image)
        box = box_to_read(self.canvas, selected, 0, whole=False, layer=self.bounds)
        return any(_is_painted(one, box) for one in _layers_below(self.image, self.layer))

    def read_context(self, box: Box) -> Frame:
        """Return what is visible of the layer and of all below it."""
        dtype = sent_dtype(self.image)
        pixels = _read_visible(self.image, self.layer, box, dtype)
        return Frame("context", box, dtype, "RGBA", pixels)


def _read_visible(image: Gimp.Image, layer: Gimp.Layer, box: Box, dtype: str) -> bytes:
    """Return what is visible of a layer and of all below it: RGBA, straight alpha.

    Layers with a role are no part of the picture, but for groups around the layer.
    """
    path = _path(image, layer)
    copy = image.duplicate()
    try:
        copy.undo_disable()
        siblings = copy.get_layers()
        around: list[int] = []
        for index in path:
            around.append(siblings[index].get_id())
            for above in siblings[:index]:
                copy.remove_layer(above)
            siblings = siblings[index].get_children() if siblings[index].is_group() else []
        for _, held in list(control_layers(copy)):
            if held.is_valid() and held.get_id() not in around:  # it may have been in another one
                copy.remove_layer(held)
        copy.crop(box.width, box.height, box.x, box.y)
        shown = Gimp.Layer.new_from_visible(copy, copy, "")
        whole = Box(0, 0, box.width, box.height)
        return Reader(shown.get_buffer(), pixel_format(shown, dtype), whole).read(whole)
    finally:
        copy.delete()


def _is_painted(layer: Gimp.Layer, box: Box) -> bool:
    reader = _reader(layer)
    return paper.shows_something(intersection(reader.bounds, box), reader.read, 4, "u1")


def _reader(layer: Gimp.Layer) -> Reader:
    _, x, y = layer.get_offsets()
    bounds = Box(x, y, layer.get_width(), layer.get_height())
    return Reader(layer.get_buffer(), pixel_format(layer), bounds)


def _layers_below(image: Gimp.Image, layer: Gimp.Layer) -> Iterator[Gimp.Layer]:
    """Yield the visible layers below a layer, the nearest first, without groups."""
    siblings = image.get_layers()
    levels = []
    for index in _path(image, layer):
        levels.append(siblings[index + 1 :])
        siblings = siblings[index].get_children() if siblings[index].is_group() else []
    for below in reversed(levels):
        yield from _visible_leaves(below)


def _visible_leaves(layers: Iterable[Gimp.Layer]) -> Iterator[Gimp.Layer]:
    for layer in layers:
        if layer.get_visible() and layer.get_opacity() > 0 and role_of(layer) is None:
            if layer.is_group():
                yield from _visible_leaves(layer.get_children())
            else:
                yield layer


def _path(image: Gimp.Image, layer: Gimp.Layer) -> list[int]:
    """Return the positions that lead to a layer, from the outermost group in."""
    inside_out = [layer, *parents(layer)]
    return [image.get_item_position(one) for one in reversed(inside_out)]
