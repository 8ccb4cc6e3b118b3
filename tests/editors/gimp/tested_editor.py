"""GIMP with its adapter, as `editor.contract_checks` drives it."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp, Gio  # noqa: E402

from editor.contract_checks import SETTLE, Steps  # noqa: E402
from underpaint_client.address import Address  # noqa: E402
from underpaint_client.geometry import Box, Extent  # noqa: E402
from underpaint_gimp.buffers import AMOUNTS, get_pixels, pixel_format  # noqa: E402
from underpaint_gimp.canvas import GimpDocument  # noqa: E402
from underpaint_gimp.selected import GimpResult  # noqa: E402
from underpaint_gimp.session import GimpEventLoop, WindowListener  # noqa: E402
from underpaint_gimp.tree import tag_of  # noqa: E402

FOUND = Path(os.environ["UNDERPAINT_AGENT"])
_numbers = itertools.count(1)


class GimpUnderTest:
    """See `EditorUnderTest`.

    Parameters
    ----------
    window : Window
        The plug-in's.
    to_gimp : callable
        Brings GIMP's window to the front.
    """

    def __init__(self, window: Any, to_gimp: Callable[[], Steps]) -> None:
        self._window, self._to_gimp = window, to_gimp
        self.event_loop, self.listener = GimpEventLoop(), WindowListener()

    def find_document(self, address: Address) -> GimpDocument:
        return GimpDocument.find(address)

    def make_toolkit(self) -> Any:
        return self._window

    def open_painting(self, pixels: bytes, extent: Extent) -> GimpDocument:
        gimp: Any = Gimp
        image = gimp.Image.new(extent.width, extent.height, Gimp.ImageBaseType.RGB)
        image.undo_disable()
        layer = Gimp.Layer.new(
            image, "Painting", extent.width, extent.height,
            Gimp.ImageType.RGBA_IMAGE, 100, Gimp.LayerMode.NORMAL,
        )  # fmt: skip
        rectangle = Gegl.Rectangle.new(0, 0, extent.width, extent.height)
        layer.get_buffer().set(rectangle, pixel_format(layer), pixels)
        image.insert_layer(layer, None, 0)
        image.undo_enable()
        gio: Any = Gio.File
        file = gio.new_for_path(str(FOUND / f"contract-{next(_numbers)}.xcf"))
        gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, file, None)
        image.delete()
        image = gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file)
        (layer,) = image.get_layers()
        Gimp.Display.new(image)
        Gimp.displays_flush()
        return GimpDocument(image, layer, Box.at(0, 0, extent))

    def select(self, document: GimpDocument, box: Box) -> None:
        gimp: Any = Gimp
        image: Any = document.image
        image.select_rectangle(gimp.ChannelOps.REPLACE, box.x, box.y, box.width, box.height)

    def delete_layer(self, document: GimpDocument) -> None:
        document.image.remove_layer(document.layer)

    def close(self, document: GimpDocument) -> None:
        display: Any = Gimp.Display
        for number in range(1, 1000):
            if display.id_is_valid(number):
                display.get_by_id(number).delete()

    def undo(self, document: GimpDocument) -> Steps:
        yield from self._to_gimp()
        subprocess.run(["xdotool", "key", "ctrl+z"], check=True, timeout=20)
        yield 0.3
        yield SETTLE

    def state(self, document: GimpDocument) -> object:
        image, everywhere = document.image, document.canvas
        layers = [
            (one.get_id(), one.get_name(), one.get_visible(), one.get_parasite_list(),
             get_pixels(one.get_buffer(), everywhere, pixel_format(one)))
            for one in _layers(image.get_layers())
        ]  # fmt: skip
        selection = get_pixels(image.get_selection().get_buffer(), everywhere, AMOUNTS)
        return layers, selection, [one.get_name() for one in image.get_selected_layers()]

    def shown(self, document: GimpDocument) -> dict[str, bool]:
        layers = list(_layers(document.image.get_layers()))
        return {one.get_name(): one.get_visible() for one in layers if not one.is_group()}

    def select_layer(self, document: GimpDocument, name: str) -> GimpResult:
        layers = _layers(document.image.get_layers())
        (layer,) = (one for one in layers if one.get_name() == name)
        document.image.set_selected_layers([layer])
        tag = tag_of(layer)
        assert tag is not None
        return GimpResult(document.image, layer, tag)

    def document_count(self) -> int:
        return len(Gimp.get_images())

    def image_extent(self, image: Any) -> Extent:
        return Extent(image.get_width(), image.get_height())


def _layers(layers: Any) -> Iterator[Any]:
    """Return layers and all that are inside them, from the lowest."""
    for layer in reversed(layers):
        yield layer
        if layer.is_group():
            yield from _layers(layer.get_children())
