"""The live preview, as a layer on top of the one that is painted on, outside of all groups.

GIMP has no other way to show something on its canvas. The undo history hears nothing of the layer,
and it goes when the job ends. One that was left behind, by a GIMP that was killed or in a file that
was saved meanwhile, is known by its parasite and removed; a copy of one is the artist's own.

What the history cannot know is that the layers below lie one place further down meanwhile: what is
undone there and then comes to lie a place too high.
"""

from __future__ import annotations

import time
from typing import Any

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
_REST = 9  # times as long as the last one took until the next: a large one is shown less often

_shown: set[int] = set()  # ids of the layers that jobs of this process show


class Preview:
    """See the module.

    Parameters
    ----------
    image : Gimp.Image
    layer : Gimp.Layer
        Which is painted on; it may be gone.
    """

    def __init__(self, image: Any, layer: Any) -> None:
        remove_leftovers(image)
        self._image, self._below = image, layer
        self._layer: Any = None
        self._area = Box(0, 0, 0, 0)
        self._due = 0.0

    def show(self, frame: Frame, area: Box) -> None:
        """Show what a picture looks like so far; nothing where the artist has removed the layer.

        Parameters
        ----------
        frame : Frame
            RGBA, u1.
        area : Box
            Where it belongs on the canvas.
        """
        began = time.monotonic()
        if began < self._due:
            return
        if self._layer is None:
            self._insert(area)
        if not self._layer.is_valid() or area != self._area or _is_locked(self._layer):
            return
        fill_scaled(self._layer, frame.data, frame.box.extent)  # past the undo history
        Gimp.displays_flush()
        self._due = time.monotonic() + _REST * (time.monotonic() - began)

    def end(self) -> None:
        """Remove the layer."""
        if self._layer is None:
            return
        _shown.discard(self._layer.get_id())
        if self._layer.is_valid():
            _remove(self._image, [self._layer])

    def _insert(self, area: Box) -> None:
        self._area = area
        self._layer = layer = blank_layer(self._image, "Live preview", area)
        _shown.add(layer.get_id())
        layer.attach_parasite(parasite(_MARK, str(layer.get_tattoo())))
        # Not inside a group: what is read of one is what it looks like.
        *_, outermost = self._below, *(parents(self._below) if self._below.is_valid() else ())
        position = self._image.get_item_position(outermost) if outermost.is_valid() else 0
        restore = remember_selection(self._image)
        with without_undo(self._image):
            self._image.insert_layer(layer, None, position)
            restore(layer)


def _is_locked(layer: Any) -> bool:
    """Return whether it was locked, or a group around it: writing would end this process."""
    return any(one.get_lock_content() for one in (layer, *parents(layer)))


def is_preview(layer: Any) -> bool:
    """Return whether a layer is such a one, and no copy."""
    return text_of(layer.get_parasite(_MARK)) == str(layer.get_tattoo())


def remove_leftovers(image: Any) -> None:
    """Remove from an image what was left behind."""
    previews = [layer for layer in all_layers(image.get_layers()) if is_preview(layer)]
    left = [layer for layer in previews if layer.get_id() not in _shown]
    if left:
        _remove(image, left)


def _remove(image: Any, layers: list[Any]) -> None:
    with without_undo(image):
        for layer in layers:
            image.remove_layer(layer)
