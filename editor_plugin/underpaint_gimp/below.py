"""What is visible of a layer and of all below it.

It is read from a copy of the image, as hiding layers would be an undo step and flicker. The copy
shares its pixels with the image, and is cropped before GIMP composes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402 - after its version

from underpaint_client.geometry import Box  # noqa: E402
from underpaint_editor import paper  # noqa: E402
from underpaint_editor.layers import intersection  # noqa: E402

from .buffers import Reader, pixel_format  # noqa: E402
from .preview import is_preview  # noqa: E402
from .tree import is_batch, parents  # noqa: E402


def read_visible(image: Gimp.Image, layer: Gimp.Layer, box: Box, dtype: str) -> bytes:
    """Return what is visible of a layer and of all below it: RGBA, straight alpha.

    Parameters
    ----------
    image, layer
        The layer is in the image.
    box : Box
        On the canvas.
    dtype : str
        `u1` or `u2`.
    """
    path = _path(image, layer)
    copy = image.duplicate()
    try:
        copy.undo_disable()
        same, siblings = None, copy.get_layers()
        for index in path:
            for above in siblings[:index]:
                copy.remove_layer(above)
            same = siblings[index]
            siblings = same.get_children() if same.is_group() else []
        copy.crop(box.width, box.height, box.x, box.y)
        shown = Gimp.Layer.new_from_visible(copy, copy, "")
        whole = Box(0, 0, box.width, box.height)
        return Reader(shown.get_buffer(), pixel_format(shown, dtype), whole).read(whole)
    finally:
        copy.delete()


def is_new(image: Gimp.Image, layer: Gimp.Layer, bounds: Box, canvas: Box) -> bool:
    """Return whether a layer is the only one, results aside, and opaque and white."""
    layers = [one for one in image.get_layers() if not is_batch(one) and not is_preview(one)]
    alone = [one.get_id() for one in layers] == [layer.get_id()]
    if not alone or layer.is_group() or layer.get_mask() is not None or not bounds.contains(canvas):
        return False
    return paper.is_white(
        canvas, Reader(layer.get_buffer(), pixel_format(layer), bounds).read, "u1"
    )


def is_drawn(layer: Gimp.Layer) -> bool:
    """Return whether a layer holds text or, from GIMP 3.2 on, vectors."""
    vectors = getattr(layer, "is_vector_layer", None)
    return layer.is_text_layer() or (vectors is not None and bool(vectors()))


def is_painted_below(image: Gimp.Image, layer: Gimp.Layer, box: Box) -> bool:
    """Return whether anything but white paper is visible below a layer in a box."""
    return any(_is_painted(one, box) for one in _layers_below(image, layer))


def _is_painted(layer: Gimp.Layer, box: Box) -> bool:
    _, x, y = layer.get_offsets()
    bounds = Box(x, y, layer.get_width(), layer.get_height())
    read = Reader(layer.get_buffer(), pixel_format(layer), bounds).read
    return paper.shows_something(intersection(bounds, box), read, 4, "u1")


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
        if layer.get_visible() and layer.get_opacity() > 0:
            if layer.is_group():
                yield from _visible_leaves(layer.get_children())
            else:
                yield layer


def _path(image: Gimp.Image, layer: Gimp.Layer) -> list[int]:
    """Return the positions that lead to a layer, from the outermost group in."""
    inside_out = [layer, *parents(layer)]
    return [image.get_item_position(one) for one in reversed(inside_out)]
