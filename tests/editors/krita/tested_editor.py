"""Krita with its adapter, as `editor.contract_checks` drives it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from krita import Krita, Selection

from editor.contract_checks import SETTLE, Steps
from underpaint_client.address import Address
from underpaint_client.geometry import Box, Extent
from underpaint_krita.canvas import KritaDocument
from underpaint_krita.conversion import srgb
from underpaint_krita.qt import QtCore
from underpaint_krita.selected import KritaResult
from underpaint_krita.session import KritaEventLoop, SignalListener, Signals
from underpaint_krita.tree import tag_of

FOUND = Path(os.environ["UNDERPAINT_AGENT"])
_numbers = itertools.count(1)


class KritaUnderTest:
    """See `EditorUnderTest`."""

    def __init__(self, docker: Any) -> None:
        self._docker, self._signals = docker, Signals()
        self.event_loop = KritaEventLoop(self._signals)
        self.listener = SignalListener(self._signals)

    def find_document(self, address: Address) -> KritaDocument:
        return KritaDocument.find(address)

    def make_toolkit(self) -> Any:
        return self._docker

    def open_painting(self, pixels: bytes, extent: Extent) -> KritaDocument:
        document: Any = Krita.instance().createDocument(
            extent.width, extent.height, "test", *srgb("u1"), 300.0
        )
        document.setBatchmode(True)
        window: Any = Krita.instance().activeWindow()
        window.addView(document)
        layer = document.topLevelNodes()[0]
        layer.setName("Painting")
        swapped = bytearray(pixels)
        swapped[0::4], swapped[2::4] = pixels[2::4], pixels[0::4]
        layer.setPixelData(QtCore.QByteArray(bytes(swapped)), 0, 0, extent.width, extent.height)
        document.refreshProjection()
        document.saveAs(str(FOUND / f"contract-{next(_numbers)}.kra"))
        return KritaDocument(document, layer, Box.at(0, 0, extent))

    def select(self, document: KritaDocument, box: Box) -> None:
        selection: Any = Selection()
        selection.select(box.x, box.y, box.width, box.height, 255)
        krita_document: Any = document.document
        krita_document.setSelection(selection)

    def delete_layer(self, document: KritaDocument) -> None:
        layer: Any = document.layer
        layer.remove()

    def close(self, document: KritaDocument) -> None:
        krita_document: Any = document.document
        krita_document.setModified(False)
        krita_document.close()

    def undo(self, document: KritaDocument) -> Steps:
        action: Any = Krita.instance().action("edit_undo")
        document.document.waitForDone()  # what is still going on would be cancelled, not undone
        action.trigger()
        yield 0.2
        document.document.waitForDone()
        yield SETTLE

    def state(self, document: KritaDocument) -> object:
        krita_document, extent = document.document, document.canvas.extent
        edges = (0, 0, extent.width, extent.height)
        layers = [
            (node.name(), node.type(), node.visible(), node.pixelData(*edges).data())
            for node in _layers(krita_document.rootNode())
        ]
        selection, active = krita_document.selection(), krita_document.activeNode()
        selected = None if selection is None else selection.pixelData(*edges).data()
        return layers, selected, None if active is None else active.name()

    def shown(self, document: KritaDocument) -> dict[str, bool]:
        nodes = list(_layers(document.document.rootNode()))
        return {node.name(): node.visible() for node in nodes if node.type() != "grouplayer"}

    def select_layer(self, document: KritaDocument, name: str) -> KritaResult:
        nodes = _layers(document.document.rootNode())
        (node,) = (node for node in nodes if node.name() == name)
        document.document.setActiveNode(node)
        tag = tag_of(document.document, node)
        assert tag is not None
        return KritaResult(document.document, node, tag)

    def document_count(self) -> int:
        return len(Krita.instance().documents())

    def image_extent(self, image: Any) -> Extent:
        return Extent(image.width(), image.height())


def _layers(root: Any) -> Iterator[Any]:
    """Return all layers below a node, from the lowest, without masks."""
    for node in root.childNodes():
        if not node.type().endswith("mask"):
            yield node
            yield from _layers(node)
