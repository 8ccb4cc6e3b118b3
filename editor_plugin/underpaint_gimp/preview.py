"""The picture so far, as a layer above the one that is painted on.

GIMP has no other way to show something on its canvas. The undo history hears nothing of the layer,
nothing can be painted on it, and it goes when the job ends. One that was left behind, by a GIMP
that was killed or in a file that was saved meanwhile, is known by its parasite and removed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from underpaint_client.geometry import Box
from underpaint_client.wire import Frame

from .buffers import image_of, scaled, set_pixels, words_of
from .tree import (
    all_layers,
    blank_layer,
    parasite,
    parents,
    selection_keeper,
    text_of,
    unseen,
)

_MARK = "underpaint-preview"
_OWN = str(os.getpid())
_REST = 9  # times as long as the last one took until the next: a large one is shown less often


class Preview:
    """See the module.

    Parameters
    ----------
    image : Gimp.Image
    find_spot : callable
        Gives the layer's parent and its place in it.
    """

    def __init__(self, image: Any, find_spot: Callable[[], tuple[Any, int]]) -> None:
        sweep(image)
        self._image, self._find_spot = image, find_spot
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
        if not self._layer.is_valid() or area != self._area or _is_below_lock(self._layer):
            return
        everywhere = Box(0, 0, area.width, area.height)
        grown = scaled(image_of(frame.data, frame.box.extent), area.extent).get_pixels()
        buffer = self._layer.get_buffer()
        with unseen(self._image):
            self._layer.set_lock_content(False)  # writing to a locked one would end this process
            set_pixels(buffer, everywhere, words_of(self._layer), grown)
            buffer.flush()
            self._layer.update(0, 0, area.width, area.height)
            self._layer.set_lock_content(True)
        self._due = time.monotonic() + _REST * (time.monotonic() - began)

    def end(self) -> None:
        """Remove the layer."""
        if self._layer is not None and self._layer.is_valid():
            _remove(self._image, [self._layer])

    def _insert(self, area: Box) -> None:
        self._area = area
        self._layer = blank_layer(self._image, "The picture so far", area)
        self._layer.attach_parasite(parasite(_MARK, _OWN))
        parent, position = self._find_spot()
        restore = selection_keeper(self._image)
        clean = not self._image.is_dirty()
        with unseen(self._image):
            self._image.insert_layer(self._layer, parent, position)
            restore(self._layer)
        if clean:
            self._image.clean_all()


def _is_below_lock(layer: Any) -> bool:
    """Say whether the artist has locked a group around it: writing would end this process."""
    return any(group.get_lock_content() for group in parents(layer))


def is_preview(layer: Any) -> bool:
    """Say whether a layer is such a one."""
    return layer.get_parasite(_MARK) is not None


def sweep(image: Any) -> None:
    """Remove from an image what was left behind."""
    marks = [(one, text_of(one.get_parasite(_MARK))) for one in all_layers(image.get_layers())]
    left = [layer for layer, mark in marks if mark not in ("", _OWN)]
    if left:
        _remove(image, left)


def _remove(image: Any, layers: list[Any]) -> None:
    clean = not image.is_dirty()
    with unseen(image):
        for layer in layers:
            layer.set_lock_content(False)
            image.remove_layer(layer)
    if clean:
        image.clean_all()
