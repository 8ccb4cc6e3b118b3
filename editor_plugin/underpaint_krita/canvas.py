"""Krita's canvas: read a layer and the selection, insert results.

What Krita's API forces is here, and nothing else. Facts about it that are not in its manual:

- `Document.pixelData` loses the colour under alpha 0, `Node.pixelData` and
  `Node.projectionPixelData` keep it; `Node.bounds` passes over such pixels.
- Only `addChildNode` can be undone. A group that is filled first and attached last is one undo
  step, pixels and all.
- `addChildNode` makes the new layer active some time later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from krita import Krita

from underpaint_client.errors import BadInputError
from underpaint_client.geometry import Box, Extent
from underpaint_client.layers import needed_box, overlap
from underpaint_client.survey import Survey, survey, take_alpha
from underpaint_client.wire import Frame

from .qt import QtCore

_KEY = "underpaint/form"
_SRGB = ("RGBA", "U8", "sRGB-elle-V2-srgbtrc.icc")
_LAYERS = {"paintlayer", "grouplayer", "vectorlayer", "filelayer", "clonelayer", "filllayer"}
_DTYPES = {"U8": "u1", "U16": "u2", "F16": "f2", "F32": "f4"}
_LOOKED_AT = 1_000_000  # pixels that are read to say what a run would do
_LOOKS = 20  # times that the active layer is looked at after an insertion,
_LOOK_EVERY = 50  # milliseconds apart


@dataclass(frozen=True)
class Place:
    """Where a job's pixels came from, and its results go.

    Parameters
    ----------
    document : Document
        Krita's.
    layer : Node
        Krita's; it outlives its deletion, which could be undone.
    canvas : Box
        The document's size when it was read.
    """

    document: Any
    layer: Any
    canvas: Box

    @classmethod
    def of_active(cls) -> Place:
        """Give the place of the active layer.

        Raises
        ------
        BadInputError
            Where there is no document or no layer that has pixels.
        """
        document = Krita.instance().activeDocument()
        if document is None:
            raise BadInputError("no document is open; open or make one first")
        node = document.activeNode()
        while node is not None and node.type().endswith("mask"):
            node = node.parentNode()
        if node is None or node.parentNode() is None:
            raise BadInputError("no layer is active; choose one in the Layers docker")
        if node.type() not in _LAYERS:
            raise BadInputError(
                f"{node.name()!r} is a {node.type()}, which has no picture; choose a layer"
            )
        canvas = Box(0, 0, document.width(), document.height())
        return cls(document, node, canvas)

    def remember(self, text: str) -> None:
        """Keep the form with the document, which makes it a changed one."""
        self.document.setAnnotation(_KEY, "Underpaint's settings", text.encode("utf-8"))

    @property
    def open(self) -> bool:
        """Whether the document still is."""
        return self.document in Krita.instance().documents()

    @property
    def deleted(self) -> bool:
        """Whether the layer, or a group it lies in, is no longer in its document."""
        top = self.layer
        while top.parentNode() is not None:
            top = top.parentNode()
        return _id(top) != _id(self.document.rootNode())


def recall(document: Any) -> str:
    """Give the form that was kept with a document; empty where none was."""
    return bytes(document.annotation(_KEY)).decode("utf-8", "replace")


def read_layer(place: Place, native: int, *, whole: bool) -> dict[str, Frame]:
    """Read what a run needs: the layer, and where there are any, selection and transparency mask.

    Other colour spaces are converted to 8-bit sRGB for the trip.

    Parameters
    ----------
    place : Place
        Of an open document.
    native : int
        The model's native side; 0 where it is not known.
    whole : bool
        Whether to read all of the layer; else only what is selected, with context.
    """
    document, node = place.document, place.layer
    selection = document.selection()
    box = place.canvas
    if selection is not None:
        selected = _selected(selection, box)
        if selected.empty:
            raise BadInputError("nothing on the canvas is selected; select a part of it, or all")
        box = box if whole else needed_box(selected, box, native)
    edges = (box.x, box.y, box.width, box.height)
    mask = _only_mask(node)
    pixels = node.pixelData(*edges).data() if mask else _stored(node, edges)
    frames = {"layer": _converted(document, node, pixels, box)}
    if selection is not None:
        amounts = selection.pixelData(*edges).data()
        frames["selection"] = Frame("selection", box, "u1", "Y", amounts)
    if mask is not None:
        frames["mask"] = Frame("mask", box, "u1", "Y", mask.pixelData(*edges).data())
    return frames


def has_nothing(place: Place) -> bool:
    """Say whether the whole layer is transparent."""
    return bool(place.layer.bounds().isEmpty())


def _selected(selection: Any, canvas: Box) -> Box:
    box = Box(selection.x(), selection.y(), selection.width(), selection.height())
    return overlap(box, canvas)


def _only_mask(node: Any) -> Any | None:
    """Give a paint layer's transparency mask, where that is all that changes it.

    Krita's own picture of such a layer has lost the colour that the mask hides.
    """
    masks = [child for child in node.childNodes() if child.visible()]
    alone = len(masks) == 1 and masks[0].type() == "transparencymask"
    return masks[0] if alone and node.type() == "paintlayer" else None


def _converted(document: Any, node: Any, pixels: bytes, box: Box) -> Frame:
    """Give a layer's pixels as 8-bit sRGB."""
    if (node.colorModel(), node.colorDepth(), node.colorProfile()) == _SRGB:
        return Frame("layer", box, "u1", "BGRA", pixels)
    edges = (box.x, box.y, box.width, box.height)
    # Converting the layer's own copy of itself would lose its masks; this one is never attached.
    copy = document.createNode("underpaint", "paintlayer")
    copy.setColorSpace(node.colorModel(), node.colorDepth(), node.colorProfile())
    copy.setPixelData(QtCore.QByteArray(pixels), *edges)
    copy.setColorSpace(*_SRGB)
    return Frame("layer", box, "u1", "BGRA", copy.pixelData(*edges).data())


def _stored(node: Any, edges: tuple[int, int, int, int]) -> bytes:
    """Read a layer's pixels, with its masks applied, in its own colour space."""
    masked = any(child.type().endswith("mask") for child in node.childNodes())
    plain = node.type() == "paintlayer" and not masked
    pixels = node.pixelData(*edges) if plain else node.projectionPixelData(*edges)
    return bytes(pixels.data())


def insert(place: Place, title: str, results: Sequence[tuple[str, Frame]]) -> None:
    """Insert pictures as a group above their layer: one undo step.

    The last picture lies on top and is the only visible one. Active layer and selection stay.

    Parameters
    ----------
    place : Place
        Of an open document. Where the layer was deleted, the group goes on top of all.
    title : str
        The group's name.
    results : sequence of (str, Frame)
        Names of the layers, and pixels in BGRA, 8 bits.
    """
    document = place.document
    active = document.activeNode()
    group = document.createGroupLayer(title)
    for index, (name, frame) in enumerate(results):
        layer = document.createNode(name, "paintlayer")
        layer.setColorSpace(*_SRGB)
        box = frame.box
        layer.setPixelData(
            QtCore.QByteArray(bytes(frame.data)), box.x, box.y, box.width, box.height
        )
        layer.setVisible(index == len(results) - 1)
        group.addChildNode(layer, None)
    if place.deleted:
        document.rootNode().addChildNode(group, None)
    else:
        place.layer.parentNode().addChildNode(group, place.layer)
    if active is not None:
        _keep_active(document, active, _id(group))


def _keep_active(document: Any, active: Any, group: str, looks: int = _LOOKS) -> None:
    """Give the active layer back, as soon as Krita has made the group active."""
    now = document.activeNode()
    if now is not None and _id(now) != _id(active):
        inside = _id(now) == group or _id(now.parentNode()) == group
        if inside:
            document.setActiveNode(active)
        return  # else the artist has chosen another meanwhile
    if looks:
        QtCore.QTimer.singleShot(
            _LOOK_EVERY, lambda: _keep_active(document, active, group, looks - 1)
        )


def open_as_document(extent: Extent, title: str, results: Sequence[tuple[str, Frame]]) -> None:
    """Open pictures as a new document, where their own was closed."""
    krita = Krita.instance()
    document = krita.createDocument(extent.width, extent.height, title, *_SRGB, 300.0)
    krita.activeWindow().addView(document)
    layer = document.topLevelNodes()[0]
    insert(Place(document, layer, Box.at(0, 0, extent)), title, results)


def _id(node: Any) -> str:
    return str(node.uniqueId().toString())


def look(place: Place) -> Survey:
    """Look at a layer and the selection, to say what a run would do.

    Large ones are not read whole: rows at even distances stand for the rest.

    Parameters
    ----------
    place : Place
        Of an open document.
    """
    node, selection, box = place.layer, place.document.selection(), place.canvas
    if selection is not None:
        box = _selected(selection, box)
    if box.empty:
        return survey(b"", b"")
    dtype = _DTYPES[node.colorDepth()]
    most = _LOOKED_AT if dtype.startswith("u") else _LOOKED_AT // 5
    pitch = -(-box.extent.pixels // most)
    height = box.height if pitch == 1 else 1
    alpha, amounts, empty = [], [], has_nothing(place)
    for y in range(box.y, box.bottom, pitch if pitch > 1 else box.height):
        pixels = _stored(node, (box.x, y, box.width, height))
        empty = empty and pixels.count(0) == len(pixels)
        alpha.append(take_alpha(pixels, len(node.channels()), dtype))
        if selection is not None:
            amounts.append(bytes(selection.pixelData(box.x, y, box.width, height).data()))
    return survey(
        b"".join(alpha),
        None if selection is None else b"".join(amounts),
        empty=empty,
        part=box.extent.pixels / place.canvas.extent.pixels,
    )


def remarks(place: Place) -> list[str]:
    """Give what the artist should know about where a result comes to lie."""
    layer = place.layer
    found = []
    if place.deleted:
        found.append("its layer was deleted meanwhile, so the result lies on top of all")
    elif not layer.visible():
        found.append("its layer is hidden, the result is shown above it")
    elif not layer.parentNode().visible():
        found.append("the group it lies in is hidden, and the result in it")
    if not place.deleted and layer.animated():
        found.append("its layer is animated: this is the current frame, and stays in all")
    if (place.document.width(), place.document.height()) != (
        place.canvas.width,
        place.canvas.height,
    ):
        found.append("the document's size was changed meanwhile; see where the result lies")
    return found
