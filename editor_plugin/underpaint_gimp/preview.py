"""The live preview: a layer on top of the source layer, outside of all groups.

GIMP has no other way to show something on its canvas. The layer is not in the undo history, and is
removed when the job ends. A layer that was left behind, by a GIMP that was killed or in a file that
was saved meanwhile, is recognized by its parasite and removed. A copy of one belongs to the artist.

The undo history does not know that the layers below are one position further down meanwhile. A
layer that an undo brings back there comes back one position too high.
"""

from __future__ import annotations

import time

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402 - after its version

from underpaint_client.frames import Frame  # noqa: E402
from underpaint_client.geometry import Box  # noqa: E402

from .buffers import fill_scaled  # noqa: E402
from .tree import (  # noqa: E402
    all_layers,
    blank_layer,
    parasite,
    parents,
    remember_selection,
    text_of,
    without_undo,
)

_MARK = "underpaint-preview"
_REST = 9  # pause after a preview, in multiples of its own time: large ones come less often

_shown: set[int] = set()  # ids of the preview layers of this process's jobs


class Preview:
    """See the module.

    Parameters
    ----------
    image : Gimp.Image
    layer : Gimp.Layer
        The source layer. It may be deleted at any time.
    """

    def __init__(self, image: Gimp.Image, layer: Gimp.Layer) -> None:
        remove_leftovers(image)
        self._image, self._source = image, layer
        self._layer: Gimp.Layer | None = None
        self._area = Box(0, 0, 0, 0)
        self._due = 0.0

    def show(self, frame: Frame, area: Box) -> None:
        """Show an unfinished image; do nothing if the artist has deleted the preview layer.

        Parameters
        ----------
        frame : Frame
            RGBA, u1.
        area : Box
            Where to scale it to on the canvas.
        """
        began = time.monotonic()
        if began < self._due:
            return
        layer = self._insert(area) if self._layer is None else self._layer
        if not layer.is_valid() or area != self._area or _is_locked(layer):
            return
        fill_scaled(layer, frame.data, frame.box.extent)  # not in the undo history
        Gimp.displays_flush()
        self._due = time.monotonic() + _REST * (time.monotonic() - began)

    def end(self) -> None:
        """Remove the layer."""
        if self._layer is None:
            return
        _shown.discard(self._layer.get_id())
        if self._layer.is_valid():
            _remove(self._image, [self._layer])

    def _insert(self, area: Box) -> Gimp.Layer:
        self._area = area
        self._layer = layer = blank_layer(self._image, "Live preview", area)
        _shown.add(layer.get_id())
        layer.attach_parasite(parasite(_MARK, str(layer.get_tattoo())))
        # Inside a group it would be part of what is read of that group.
        groups = list(parents(self._source)) if self._source.is_valid() else []
        outermost = [self._source, *groups][-1]
        position = self._image.get_item_position(outermost) if outermost.is_valid() else 0
        restore = remember_selection(self._image)
        with without_undo(self._image):
            self._image.insert_layer(layer, None, position)
            restore(layer)
        return layer


def _is_locked(layer: Gimp.Layer) -> bool:
    """Return whether a layer or a group around it is locked: GIMP ends a plug-in that writes."""
    return any(one.get_lock_content() for one in (layer, *parents(layer)))


def is_preview(layer: Gimp.Layer) -> bool:
    """Return whether a layer is a preview, and not the copy of one."""
    return text_of(layer.get_parasite(_MARK)) == str(layer.get_tattoo())


def remove_leftovers(image: Gimp.Image) -> None:
    """Remove the previews from an image that no running job shows."""
    previews = [layer for layer in all_layers(image.get_layers()) if is_preview(layer)]
    left = [layer for layer in previews if layer.get_id() not in _shown]
    if left:
        _remove(image, left)


def _remove(image: Gimp.Image, layers: list[Gimp.Layer]) -> None:
    with without_undo(image):
        for layer in layers:
            image.remove_layer(layer)
