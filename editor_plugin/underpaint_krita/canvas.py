"""Krita's canvas: read a layer and the selection, insert results.

What Krita's API forces is here, and nothing else. Facts about it that are not in its manual:

- `Document.pixelData` loses the colour under alpha 0, `Node.pixelData` and
  `Node.projectionPixelData` keep it; `Node.bounds` passes over such pixels.
- Only `addChildNode` can be undone, and each is a step, in a group that is nowhere yet too.
  `setChildNodes` is none: a group that is filled by it and then attached is one, pixels and all;
  but of several layers in it Krita draws none until it is told to.
- `addChildNode` makes the new layer active some time later.
- `Node.remove` cannot be undone. What Krita's own actions do can be, in one step for all layers
  that are selected; and to select several, there is an action that selects the locked ones.
- `setVisible` and `setLocked` leave no undo step.
- A copy of a layer has another unique id, and so none of the annotations that go by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from krita import Krita

from underpaint_client.address import Address
from underpaint_client.batch import Result
from underpaint_client.errors import BadInputError
from underpaint_client.geometry import Box, Extent
from underpaint_client.layers import (
    SOURCE_GONE,
    box_to_read,
    fit_into,
    newest_place,
    overlap,
    remark_on_place,
)
from underpaint_client.results import CARD, Member, agreed, is_copy
from underpaint_client.survey import Survey, survey_rows, take_alpha
from underpaint_client.tag import Tag
from underpaint_client.wire import Frame

from . import overlay
from .qt import QtCore, QtGui

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
        Beside an earlier result each is a step of its own: Krita has no other way to add to a group
        that is there.
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
        layers = [self._layer(result) for result in results]
        for layer in layers[:-1]:
            layer.setVisible(False)
        if into is not None and _root_of(into) == _id(document.rootNode()):
            group = into.parentNode()
            for one in _batch_of(document, into):
                one.layer.setVisible(False)
            for below, layer in zip((into, *layers), layers):
                group.addChildNode(layer, below)
        else:
            group = document.createGroupLayer(title)
            group.setChildNodes(layers)
            if self.deleted:
                document.rootNode().addChildNode(group, None)
            else:
                self.layer.parentNode().addChildNode(group, self._uppermost_batch())
        if len(layers) > 1:  # see above
            document.refreshProjection()
        if active is not None:
            _keep_active(document, active, _id(group))
        return group

    def show_preview(self, frame: Frame, area: Box) -> None:
        """Show over the canvas what a picture looks like so far."""
        overlay.show(self.document, image_of(frame.data, frame.box.extent), area)

    def end_preview(self) -> None:
        """Show none any more."""
        overlay.hide(self.document)

    def _layer(self, result: Result) -> Any:
        """Make a layer of a result, not yet in the document."""
        layer = self.document.createNode(result.name, "paintlayer")
        layer.setColorSpace(*_SRGB)
        box = result.area or result.frame.box
        pixels = QtCore.QByteArray(_pixels_of(result))
        layer.setPixelData(pixels, box.x, box.y, box.width, box.height)
        _attach(self.document, layer, result.tag(self))
        return layer

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
        for find in (_tag_of, _tag_of_copy):
            for candidate in (node, *inside):
                tag = find(document, candidate)
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

    @property
    def name(self) -> str:
        """What the layer is called."""
        return str(self.layer.name())

    @cached_property
    def results(self) -> list[Member]:
        """The batch's results, from the lowest."""
        return _batch_of(self.document, self.layer)

    @property
    def index(self) -> int:
        """Which of them this one is."""
        return [_id(one.layer) for one in self.results].index(_id(self.layer))

    def thumbnail(self, index: int) -> Any:
        """Give what one of them looks like: an image, as large as `CARD` at most.

        Krita's own is square whatever the layer is, and has the layer's surroundings around it.
        These are cut off where only what was painted is in the layer; in a large one that is mostly
        empty, `bounds` would take half a second.
        """
        layer, recipe = self.results[index].layer, self.results[index].tag.recipe
        image = layer.thumbnail(2 * CARD, 2 * CARD)
        if recipe is not None and recipe.result == "layer":
            extent = Extent(recipe.width, recipe.height)
        else:
            opaque = QtGui.QBitmap.fromImage(image.createAlphaMask())
            image = image.copy(QtGui.QRegion(opaque).boundingRect())
            extent = Extent(layer.bounds().width(), layer.bounds().height())
        return scaled(image, fit_into(extent, Extent(CARD, CARD)))

    def show(self, index: int) -> None:
        """Show one of them alone, and make it the active layer."""
        results = self.results
        for at, one in enumerate(results):
            one.layer.setVisible(at == index)
        self.document.setActiveNode(results[index].layer)
        self.document.refreshProjection()

    def keep_only(self) -> int:
        """Show this one, and remove the others but for locked ones: one undo step.

        Returns
        -------
        int
            How many were removed.

        Raises
        ------
        BadInputError
            Where Krita would not have it.
        """
        self.show(self.index)
        others = [
            one.layer
            for one in self.results
            if _id(one.layer) != _id(self.layer) and not one.layer.locked()
        ]
        if not others:
            return 0
        if any(group.locked() for group in _groups(others[0])):
            raise BadInputError("the results lie in a locked group; unlock it first")
        _remove(self.document, others)
        self.document.setActiveNode(self.layer)
        return len(others)

    def hide_results(self) -> Callable[[], None]:
        """Show the layer as it was, without any result made from it; give what ends that."""
        changed = []
        for node in _all_nodes(self.document.rootNode()):
            tag = _tag_of(self.document, node)
            result = tag is not None and tag.source == self.tag.source
            source = _id(node) == self.tag.source
            if (result and node.visible()) or (source and not node.visible()):
                changed.append((node, not result))
        self._set_visible(changed)
        return lambda: self._set_visible([(node, not visible) for node, visible in changed])

    def _set_visible(self, wanted: Sequence[tuple[Any, bool]]) -> None:
        for node, visible in wanted:
            node.setVisible(visible)
        self.document.refreshProjection()


def _batch_of(document: Any, layer: Any) -> list[Member]:
    """Give the results in a result's group; outside of any group it is one by itself."""
    parent = layer.parentNode()
    inside = [layer] if parent.parentNode() is None else parent.childNodes()
    tagged = ((node, _tag_of(document, node)) for node in inside)
    return [Member(node, tag, bool(node.visible())) for node, tag in tagged if tag is not None]


def _remove(document: Any, nodes: Sequence[Any]) -> None:
    """Remove layers in one undo step, as Krita does with the layers that are selected.

    To select them they are locked, alone of all, for a moment.

    Raises
    ------
    BadInputError
        Where Krita has not selected these and no others; nothing was removed.
    """
    wanted = {_id(node) for node in nodes}
    locked = [(node, node.locked()) for node in _all_nodes(document.rootNode())]
    for node, _ in locked:
        node.setLocked(_id(node) in wanted)
    Krita.instance().action("select_locked_layers").trigger()
    for node, before in locked:
        node.setLocked(before)
    view = Krita.instance().activeWindow().activeView()
    if {_id(node) for node in view.selectedNodes()} != wanted:
        raise BadInputError("Krita did not let the other results be selected; remove them by hand")
    Krita.instance().action("remove_layer").trigger()


def _tag_of(document: Any, node: Any) -> Tag | None:
    return Tag.from_text(bytes(document.annotation(_TAG + _id(node))).decode("utf-8", "replace"))


def _tag_of_copy(document: Any, node: Any) -> Tag | None:
    """Give the tag of the result that a layer is a copy of, and let it carry that from now on.

    Copies are known by what Krita calls them and by where they lie, as long as nothing was painted
    beyond that.
    """
    if not any(key.startswith(_TAG) for key in document.annotationTypes()):
        return None
    name, group, bounds = node.name(), _id(node.parentNode()), node.bounds()
    alike = [
        (one, tag)
        for one in _all_nodes(document.rootNode())
        if is_copy(name, one.name()) and (tag := _tag_of(document, one)) is not None
        if one.bounds() == bounds
    ]
    beside = [tag for one, tag in alike if _id(one.parentNode()) == group]
    found = agreed(beside or [tag for _, tag in alike])
    if found is not None:
        _attach(document, node, found)
    return found


def _attach(document: Any, node: Any, tag: Tag) -> None:
    text = tag.to_text().encode("ascii")
    document.setAnnotation(_TAG + _id(node), "Underpaint's recipe", text)


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


def _pixels_of(result: Result) -> bytes:
    """Give a result's pixels as Krita has them, a sketch's in its full size."""
    frame, area = result.frame, result.area
    if area is None:
        return bytes(frame.data)
    image = image_of(frame.data, frame.box.extent)
    image = scaled(image, area.extent).convertToFormat(QtGui.QImage.Format.Format_ARGB32)
    # Blue first, and without padding: a line is whole pixels of 4 bytes.
    return bytes(image.constBits().asstring(4 * area.extent.pixels))


def image_of(rgba: Any, extent: Extent) -> Any:
    """Give RGBA pixels of 8 bits as an image of Qt's."""
    straight = QtGui.QImage.Format.Format_RGBA8888
    image = QtGui.QImage(bytes(rgba), extent.width, extent.height, 4 * extent.width, straight)
    return image.copy()  # its own: the bytes above are gone when this returns


def scaled(image: Any, extent: Extent) -> Any:
    """Scale an image of Qt's, smoothly."""
    return image.scaled(
        extent.width,
        extent.height,
        QtCore.Qt.AspectRatioMode.IgnoreAspectRatio,
        QtCore.Qt.TransformationMode.SmoothTransformation,
    )


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
