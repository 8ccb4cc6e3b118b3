"""Krita's canvas: read a layer and the selection, insert results.

What Krita's API forces is here and in `tree`, `selected` and `overlay`, and nothing else. Facts
about it that are not in its manual:

- `Document.pixelData` loses the colour under alpha 0, `Node.pixelData` and
  `Node.projectionPixelData` keep it; `Node.bounds` passes over such pixels.
- Only `addChildNode` can be undone, and each is a step, in a group that is nowhere yet too.
  `setChildNodes` is none: a group that is filled by it and then attached is one, pixels and all;
  but of several layers in it Krita draws none until it is told to.
- `setVisible` and `setLocked` leave no undo step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from krita import Krita

from underpaint_client.address import Address
from underpaint_client.errors import BadInputError
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box, Extent
from underpaint_editor.batch import Result
from underpaint_editor.layers import box_to_read, count_batches_above, describe_placement
from underpaint_editor.survey import Survey, has_lost_colour, survey_rows, take_alpha

from . import overlay
from .images import image_of, scaled
from .qt import QtCore, QtGui
from .redo import names_command
from .sources import (
    SRGB,
    describe_source,
    find_selection,
    is_blank,
    only_transparency_mask,
    read_layer,
)
from .tree import (
    all_nodes,
    attach_tag,
    batch_of,
    groups,
    id_of,
    is_batch,
    restore_active,
    root_of,
    tag_of,
)

_KEY = "underpaint/form"
_LAYERS = {"paintlayer", "grouplayer", "vectorlayer", "filelayer", "clonelayer", "filllayer"}
_DTYPES = {"U8": "u1", "U16": "u2", "F16": "f2", "F32": "f4"}


@dataclass(frozen=True)
class KritaDocument:
    """A document, and the layer in it that a job reads; see `contract.Document`.

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
    def of_active(cls) -> KritaDocument:
        """Return the document of the active layer.

        Raises
        ------
        BadInputError
            Where there is no document or no layer that has pixels.
        """
        document = Krita.instance().activeDocument()
        if document is None:
            raise BadInputError("no document is open; open or create one first")
        node = document.activeNode()
        while node is not None and node.type().endswith("mask"):
            node = node.parentNode()
        if node is None or node.parentNode() is None:
            raise BadInputError("no layer is selected; select one in the Layers docker")
        if node.type() not in _LAYERS:
            raise BadInputError(
                f"{node.name()!r} is a {node.type()}, which has no pixels; select a layer"
            )
        canvas = Box(0, 0, document.width(), document.height())
        return cls(document, node, canvas)

    def save_form(self, text: str) -> None:
        """Keep the form with the document, which makes it a changed one."""
        self.document.setAnnotation(_KEY, "Underpaint's settings", text.encode("utf-8"))

    @classmethod
    def find(cls, address: Address) -> KritaDocument:
        """Return the document of an address; one that is not open if there is no such layer."""
        for document in Krita.instance().documents():
            canvas = Box(0, 0, document.width(), document.height())
            for node in all_nodes(document.rootNode()):
                if id_of(node) == address.layer:
                    return cls(document, node, canvas)
            if address.document and document.fileName() == address.document:
                return cls(document, document.topLevelNodes()[-1], canvas)
        return cls(None, None, Box(0, 0, address.width, address.height))

    @property
    def address(self) -> Address:
        """Where this is, for another start of Krita."""
        canvas = self.canvas
        return Address(
            "Krita", self.document.fileName(), self.layer_id, canvas.width, canvas.height
        )

    def inserted_images(self, job: str) -> frozenset[int]:
        """Return which pictures of a job lie in the document already."""
        tags = (tag_of(self.document, node) for node in all_nodes(self.document.rootNode()))
        return frozenset(tag.index for tag in tags if tag is not None and tag.job == job)

    @property
    def is_open(self) -> bool:
        """Whether the document still is."""
        return self.document is not None and self.document in Krita.instance().documents()

    @property
    def is_deleted(self) -> bool:
        """Whether the layer, or a group it lies in, is no longer in its document."""
        return root_of(self.layer) != id_of(self.document.rootNode())

    def survey(self) -> Survey:
        """Look at a layer and the selection, to say what a run would do.

        Large ones are not read whole: rows at even distances stand for the rest.
        """
        node = self.layer
        selection = find_selection(self.document, node, self.canvas)
        dtype = _DTYPES[node.colorDepth()]
        lost = False

        def read_alpha(rows: Box) -> tuple[bytes, bool]:
            nonlocal lost
            pixels = read_layer(node, rows)
            nothing = pixels.count(0) == len(pixels)
            amounts = None if selection is None else selection.read(rows)
            lost = lost or has_lost_colour(pixels, amounts, rows.extent.pixels)
            return take_alpha(pixels, len(node.channels()), dtype), nothing

        found = survey_rows(
            self.canvas if selection is None else selection.box,
            self.canvas,
            read_alpha,
            None if selection is None else selection.read,
            is_empty=self.is_empty,
            slow=dtype.startswith("f"),
        )
        notes = describe_source(node, found)
        if self.can_redo:
            notes.append("inserting the result clears your redo history")
        return replace(found, lost=lost, notes=(*notes, *self.placement_notes()))

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
        selection = find_selection(document, node, self.canvas)
        selected = None if selection is None else selection.box
        box = box_to_read(self.canvas, selected, native, whole=whole)
        edges = (box.x, box.y, box.width, box.height)
        mask = only_transparency_mask(node)
        pixels = node.pixelData(*edges).data() if mask else read_layer(node, box)
        frames = {"layer": _converted(document, node, pixels, box)}
        if selection is not None:
            frames["selection"] = Frame("selection", box, "u1", "Y", selection.read(box))
        if mask is not None:
            frames["mask"] = Frame("mask", box, "u1", "Y", mask.pixelData(*edges).data())
        return frames

    def is_empty(self) -> bool:
        """Return whether the layer has nothing on the canvas."""
        return is_blank(self.layer, self.canvas)

    @property
    def can_redo(self) -> bool | None:
        """Whether something can be redone; None for a document that is not in front."""
        if self.document is None or self.document != Krita.instance().activeDocument():
            return None
        action = Krita.instance().action("edit_redo")
        return names_command(action.text(), action.iconText())

    def placement_notes(self) -> list[str]:
        """Return what the artist should know about where a result comes to lie."""
        layer, document = self.layer, self.document
        there = not self.is_deleted
        found = describe_placement(
            deleted=not there,
            hidden=there and not layer.visible(),
            inside_hidden=there and not all(group.visible() for group in groups(layer)),
            resized=Extent(document.width(), document.height()) != self.canvas.extent,
        )
        if there and layer.animated():
            found.append(
                "the layer is animated: the current frame is used, and the result is still"
            )
        return found

    @property
    def layer_id(self) -> str:
        """The layer's lasting name: saved with the document, unlike what the artist calls it."""
        return id_of(self.layer)

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
        if into is not None and root_of(into) == id_of(document.rootNode()):
            group = into.parentNode()
            for one in batch_of(document, into):
                one.layer.setVisible(False)
            for below, layer in zip((into, *layers), layers):
                group.addChildNode(layer, below)
        else:
            group = document.createGroupLayer(title)
            group.setChildNodes(layers)
            if self.is_deleted:
                document.rootNode().addChildNode(group, None)
            else:
                self.layer.parentNode().addChildNode(group, self._uppermost_batch())
        if len(layers) > 1:  # see above
            document.refreshProjection()
        if active is not None:
            restore_active(document, active, id_of(group))
        return group

    def show_preview(self, frame: Frame, area: Box) -> None:
        """Show over the canvas what a picture looks like so far."""
        overlay.show(self, self.document, image_of(frame.data, frame.box.extent), area)

    def remove_preview(self) -> None:
        """Show none any more."""
        overlay.hide(self)

    def _layer(self, result: Result) -> Any:
        """Make a layer of a result, not yet in the document."""
        layer = self.document.createNode(result.name, "paintlayer")
        layer.setColorSpace(*SRGB)
        box = result.area or result.frame.box
        pixels = QtCore.QByteArray(_pixels_of(result))
        layer.setPixelData(pixels, box.x, box.y, box.width, box.height)
        attach_tag(self.document, layer, result.tag(self))
        return layer

    def _uppermost_batch(self) -> Any:
        """Return the layer, or the highest of the batches that lie on it."""
        siblings = self.layer.parentNode().childNodes()  # from the lowest
        here = [id_of(node) for node in siblings].index(id_of(self.layer))
        above = siblings[here + 1 :]
        return siblings[here + count_batches_above([is_batch(self.document, one) for one in above])]

    def open_as_document(self, title: str, results: Sequence[Result]) -> None:
        """Open pictures as a new document, where their own was closed."""
        krita, extent = Krita.instance(), self.canvas.extent
        document = krita.createDocument(extent.width, extent.height, title, *SRGB, 300.0)
        krita.activeWindow().addView(document)
        layer = document.topLevelNodes()[0]
        KritaDocument(document, layer, Box.at(0, 0, extent)).insert(title, results)


def load_form(document: Any) -> str:
    """Return the form that was kept with a document; empty where none was."""
    return bytes(document.annotation(_KEY)).decode("utf-8", "replace")


def _pixels_of(result: Result) -> bytes:
    """Return a result's pixels as Krita has them, a kept preview scaled to its full size."""
    frame, area = result.frame, result.area
    if area is None:
        return bytes(frame.data)
    image = image_of(frame.data, frame.box.extent)
    image = scaled(image, area.extent).convertToFormat(QtGui.QImage.Format.Format_ARGB32)
    # Blue first, and without padding: a line is whole pixels of 4 bytes.
    return bytes(image.constBits().asstring(4 * area.extent.pixels))


def _converted(document: Any, node: Any, pixels: bytes, box: Box) -> Frame:
    """Return a layer's pixels as 8-bit sRGB."""
    if (node.colorModel(), node.colorDepth(), node.colorProfile()) == SRGB:
        return Frame("layer", box, "u1", "BGRA", pixels)
    edges = (box.x, box.y, box.width, box.height)
    # Converting the layer's own copy of itself would lose its masks; this one is never attached.
    copy = document.createNode("underpaint", "paintlayer")
    copy.setColorSpace(node.colorModel(), node.colorDepth(), node.colorProfile())
    copy.setPixelData(QtCore.QByteArray(pixels), *edges)
    copy.setColorSpace(*SRGB)
    return Frame("layer", box, "u1", "BGRA", copy.pixelData(*edges).data())
