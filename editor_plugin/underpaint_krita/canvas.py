"""Krita's canvas: read a layer and the selection, insert results.

What Krita's API forces is here, and nothing else. Facts about it that are not in its manual:

- `Document.pixelData` loses the colour under alpha 0, `Node.pixelData` and
  `Node.projectionPixelData` keep it; `Node.bounds` passes over such pixels.
- Only `addChildNode` can be undone. A group that is filled first and attached last is one undo
  step, pixels and all.
- `addChildNode` makes the new layer active some time later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from krita import Krita

from underpaint_client.address import Address
from underpaint_client.errors import BadInputError
from underpaint_client.geometry import Box, Extent
from underpaint_client.layers import (
    SOURCE_GONE,
    box_to_read,
    newest_place,
    overlap,
    remark_on_place,
    step_to,
)
from underpaint_client.office import Result
from underpaint_client.survey import Survey, survey_rows, take_alpha
from underpaint_client.tag import Tag
from underpaint_client.wire import Frame

from .qt import QtCore

_KEY = "underpaint/form"
_TAG = "underpaint/recipe/"  # and the layer's unique id
_SRGB = ("RGBA", "U8", "sRGB-elle-V2-srgbtrc.icc")
_LAYERS = {"paintlayer", "grouplayer", "vectorlayer", "filelayer", "clonelayer", "filllayer"}
_DTYPES = {"U8": "u1", "U16": "u2", "F16": "f2", "F32": "f4"}
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

    @classmethod
    def find(cls, address: Address) -> Place:
        """Give the place of an address; one that is not open where there is no such layer."""
        for document in Krita.instance().documents():
            canvas = Box(0, 0, document.width(), document.height())
            for node in _all_nodes(document.rootNode()):
                if _id(node) == address.layer:
                    return cls(document, node, canvas)
            if address.document and document.fileName() == address.document:
                return cls(document, document.topLevelNodes()[-1], canvas)
        return cls(None, None, Box(0, 0, address.width, address.height))

    @property
    def address(self) -> Address:
        """Where this is, for another start of Krita."""
        canvas = self.canvas
        return Address("Krita", self.document.fileName(), self.name, canvas.width, canvas.height)

    def has(self, job: str) -> frozenset[int]:
        """Say which pictures of a job lie in the document already."""
        tags = (_tag_of(self.document, node) for node in _all_nodes(self.document.rootNode()))
        return frozenset(tag.index for tag in tags if tag is not None and tag.job == job)

    @property
    def open(self) -> bool:
        """Whether the document still is."""
        return self.document is not None and self.document in Krita.instance().documents()

    @property
    def deleted(self) -> bool:
        """Whether the layer, or a group it lies in, is no longer in its document."""
        return _root_of(self.layer) != _id(self.document.rootNode())

    def look(self) -> Survey:
        """Look at a layer and the selection, to say what a run would do.

        Large ones are not read whole: rows at even distances stand for the rest.
        """
        node, selection, box = self.layer, self.document.selection(), self.canvas
        if selection is not None:
            box = _selected(selection, box)
        dtype = _DTYPES[node.colorDepth()]

        def read_alpha(rows: Box) -> tuple[bytes, bool]:
            pixels = _stored(node, (rows.x, rows.y, rows.width, rows.height))
            nothing = pixels.count(0) == len(pixels)
            return take_alpha(pixels, len(node.channels()), dtype), nothing

        def read_amounts(rows: Box) -> bytes:
            return bytes(selection.pixelData(rows.x, rows.y, rows.width, rows.height).data())

        return survey_rows(
            box,
            self.canvas,
            read_alpha,
            None if selection is None else read_amounts,
            has_nothing=self.has_nothing,
            slow=dtype.startswith("f"),
        )

    def read(self, native: int, *, whole: bool) -> dict[str, Frame]:
        """Read what a run needs: the layer, and where there are any, selection and mask.

        Other colour spaces are converted to 8-bit sRGB for the trip.

        Parameters
        ----------
        native : int
            The model's native side; 0 where it is not known.
        whole : bool
            Whether to read all of the layer; else only what is selected, with context.
        """
        document, node = self.document, self.layer
        selection = document.selection()
        selected = None if selection is None else _selected(selection, self.canvas)
        box = box_to_read(self.canvas, selected, native, whole=whole)
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

    def has_nothing(self) -> bool:
        """Say whether the whole layer is transparent."""
        return bool(self.layer.bounds().isEmpty())

    def remarks(self) -> list[str]:
        """Give what the artist should know about where a result comes to lie."""
        layer, document = self.layer, self.document
        there = not self.deleted
        found = remark_on_place(
            deleted=not there,
            hidden=there and not layer.visible(),
            inside_hidden=there and not all(group.visible() for group in _groups(layer)),
            resized=Extent(document.width(), document.height()) != self.canvas.extent,
        )
        if there and layer.animated():
            found.append("its layer is animated: this is the current frame, and stays in all")
        return found

    @property
    def name(self) -> str:
        """The layer's lasting name: saved with the document, unlike what the artist calls it."""
        return _id(self.layer)

    def insert(self, title: str, results: Sequence[Result], into: Any = None) -> Any:
        """Insert pictures as a group above their layer: one undo step.

        The last picture lies on top and is the only visible one. Active layer and selection stay.
        Where the layer was deleted, the group goes on top of all.

        Parameters
        ----------
        title : str
            The group's name.
        results : sequence of Result
            Pixels in BGRA, 8 bits.
        into : Node, optional
            An earlier result; the new ones come to lie above it, where it is still in its group.
        """
        document = self.document
        active = document.activeNode()
        beside = into is not None and _root_of(into) == _id(document.rootNode())
        group = into.parentNode() if beside else document.createGroupLayer(title)
        below = into if beside else None
        for index, result in enumerate(results):
            layer = document.createNode(result.name, "paintlayer")
            layer.setColorSpace(*_SRGB)
            frame, box = result.frame, result.frame.box
            layer.setPixelData(
                QtCore.QByteArray(bytes(frame.data)), box.x, box.y, box.width, box.height
            )
            layer.setVisible(index == len(results) - 1)
            group.addChildNode(layer, below)
            below = layer
            self.document.setAnnotation(
                _TAG + _id(layer), "Underpaint's recipe", result.tag(self).to_text().encode("ascii")
            )
        if beside:
            into.setVisible(False)
        elif self.deleted:
            document.rootNode().addChildNode(group, None)
        else:
            self.layer.parentNode().addChildNode(group, self._uppermost_batch())
        if active is not None:
            _keep_active(document, active, _id(group))
        return group

    def _uppermost_batch(self) -> Any:
        """Give the layer, or the highest of the batches that lie on it."""
        siblings = self.layer.parentNode().childNodes()  # from the lowest
        here = [_id(node) for node in siblings].index(_id(self.layer))
        above = siblings[here + 1 :]
        return siblings[here + newest_place([_is_batch(self.document, one) for one in above])]

    def open_as_document(self, title: str, results: Sequence[Result]) -> None:
        """Open pictures as a new document, where their own was closed."""
        krita, extent = Krita.instance(), self.canvas.extent
        document = krita.createDocument(extent.width, extent.height, title, *_SRGB, 300.0)
        krita.activeWindow().addView(document)
        layer = document.topLevelNodes()[0]
        Place(document, layer, Box.at(0, 0, extent)).insert(title, results)


def _groups(node: Any) -> Iterator[Any]:
    """Give the groups around a node, and the document's root."""
    parent = node.parentNode()
    while parent is not None:
        yield parent
        parent = parent.parentNode()


@dataclass(frozen=True)
class Selected:
    """A result that the artist has selected, and what it carries."""

    document: Any
    layer: Any
    tag: Tag

    @classmethod
    def of_active(cls) -> Selected | None:
        """Give the active layer as a result; for a batch's group the one that is shown."""
        document = Krita.instance().activeDocument()
        node = None if document is None else document.activeNode()
        if node is None:
            return None
        inside = [child for child in reversed(node.childNodes()) if child.visible()]
        for candidate in (node, *inside):
            tag = _tag_of(document, candidate)
            if tag is not None:
                return cls(document, candidate, tag)
        return None

    def find_source(self) -> Place:
        """Give the place of the layer that it was made from.

        Raises
        ------
        BadInputError
            Where that is no longer there.
        """
        for node in _all_nodes(self.document.rootNode()):
            if _id(node) == self.tag.source:
                canvas = Box(0, 0, self.document.width(), self.document.height())
                return Place(self.document, node, canvas)
        raise BadInputError(SOURCE_GONE)

    def show_other(self, step: int) -> None:
        """Show the next result of the group, or the one before, and make it the active layer."""
        results = [
            node for node in self.layer.parentNode().childNodes() if _tag_of(self.document, node)
        ]
        wanted = step_to([node.visible() for node in results], step)
        for index, node in enumerate(results):
            node.setVisible(index == wanted)
        self.document.setActiveNode(results[wanted])
        self.document.refreshProjection()


def _tag_of(document: Any, node: Any) -> Tag | None:
    return Tag.from_text(bytes(document.annotation(_TAG + _id(node))).decode("utf-8", "replace"))


def _is_batch(document: Any, node: Any) -> bool:
    return node.type() == "grouplayer" and any(
        _tag_of(document, child) for child in node.childNodes()
    )


def _all_nodes(node: Any) -> Iterator[Any]:
    """Give a node and all that lie in it."""
    yield node
    for child in node.childNodes():
        yield from _all_nodes(child)


def _root_of(node: Any) -> str:
    *_, top = node, *_groups(node)
    return _id(top)


def recall(document: Any) -> str:
    """Give the form that was kept with a document; empty where none was."""
    return bytes(document.annotation(_KEY)).decode("utf-8", "replace")


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


def _id(node: Any) -> str:
    return str(node.uniqueId().toString())
