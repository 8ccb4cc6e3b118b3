"""Krita's canvas: read a layer and the selection, insert results.

This module and `sources`, `tree`, `selected` and `overlay` hold what Krita's API forces, and
nothing else. Facts about the API that are not in its manual:

- `Document.pixelData` loses the colour under alpha 0, `Node.pixelData` and
  `Node.projectionPixelData` keep it. `Node.bounds` ignores such pixels.
- If a group with several layers is attached, Krita draws none of them until it is told to.
- `setVisible` and `setLocked` leave no undo step.
- A `Document` or `Node` outlives what it stands for. Most of its methods then return None.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from krita import Document, Krita, Node

from underpaint_client.address import Address
from underpaint_client.errors import BadInputError
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box, Extent
from underpaint_client.sentences import Sentence, sentence
from underpaint_editor.batch import Result
from underpaint_editor.layer_role import LayerRole, ReadLayer, RoleLayer, refuse_role
from underpaint_editor.layers import box_to_read, describe_placement
from underpaint_editor.survey import Survey, has_lost_colour, survey_rows, take_alpha

from . import overlay
from .conversion import SentLayer, fill_layer, space_of, srgb, to_srgb
from .images import image_of, pixels_of
from .redo import names_command
from .result_layers import insert_layers, insertion_point
from .sources import (
    DTYPES,
    describe_source,
    find_selection,
    is_blank,
    only_transparency_mask,
    read_layer,
    to_box,
)
from .surroundings import KritaSurroundings
from .tree import (
    all_nodes,
    any_tag_of,
    attach_role,
    attach_tag,
    control_layers,
    created,
    groups,
    id_of,
    is_in,
    restore_active,
    role_of,
)

_KEY = "underpaint/form"
_LAYERS = {"paintlayer", "grouplayer", "vectorlayer", "filelayer", "clonelayer", "filllayer"}
_HALF = 128  # of 255
_RESOLUTION = 300.0  # pixels per inch of a new document


@dataclass(frozen=True)
class KritaDocument:
    """A document, and the layer in it that a job reads; see `contract.Document`.

    Parameters
    ----------
    found_document : Document or None
        Krita's document; None for one that is not open.
    found_layer : Node or None
        Krita's layer. It outlives its deletion, which the artist can undo.
    canvas : Box
        The document's size when it was read.
    sent : list of SentLayer
        The layer as it was read, if a whole one is to come back and was converted.
    """

    found_document: Document | None
    found_layer: Node | None
    canvas: Box
    sent: list[SentLayer] = field(default_factory=list, compare=False, repr=False)

    @classmethod
    def of_active(cls) -> KritaDocument:
        """Return the document of the active layer.

        Raises
        ------
        BadInputError
            If there is no document, or no layer that has pixels.
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
                "{name!r} is a {type}, which has no pixels; select a layer",
                name=node.name(),
                type=node.type(),
            )
        return cls(document, node, _canvas_of(document))

    @classmethod
    def find(cls, address: Address) -> KritaDocument:
        """Return the document of an address; one that is not open if there is none.

        Without the layer, the document's topmost layer stands in for it.
        """
        for document in Krita.instance().documents():
            for node in all_nodes(document):
                if id_of(node) == address.layer:
                    return cls(document, node, _canvas_of(document))
            layers = document.topLevelNodes()
            if address.document and document.fileName() == address.document and layers:
                return cls(document, layers[-1], _canvas_of(document))
        return cls(None, None, Box(0, 0, address.width, address.height))

    @property
    def document(self) -> Document:
        """Krita's document.

        Raises
        ------
        BadInputError
            If none was found.
        """
        if self.found_document is None:
            raise BadInputError("the document is not open; open it first")
        return self.found_document

    @property
    def layer(self) -> Node:
        """Krita's layer.

        Raises
        ------
        BadInputError
            If none was found.
        """
        if self.found_layer is None:
            raise BadInputError("the document is not open; open it first")
        return self.found_layer

    @property
    def address(self) -> Address:
        """Where the document and layer are, for the next start of Krita to find them."""
        canvas = self.canvas
        return Address(
            "Krita", self.document.fileName(), self.layer_id, canvas.width, canvas.height
        )

    @property
    def layer_id(self) -> str:
        """The layer's unique id, which is saved with the document."""
        return id_of(self.layer)

    @property
    def is_open(self) -> bool:
        """Whether the document is still open."""
        return (
            self.found_document is not None and self.found_document in Krita.instance().documents()
        )

    @property
    def is_deleted(self) -> bool:
        """Whether the layer, or a group around it, is no longer in its document."""
        return not is_in(self.document, self.layer)

    @property
    def can_redo(self) -> bool | None:
        """Whether something can be redone; None for a document that is not in front."""
        krita = Krita.instance()
        if self.found_document is None or self.found_document != krita.activeDocument():
            return None
        action = krita.action("edit_redo")
        return None if action is None else names_command(action.text(), action.iconText())

    # ---- reading ---------------------------------------------------------------------------

    def survey(self) -> Survey:
        """Return what a run would do here.

        Of a large layer, only rows at even distances are read.
        """
        node = self.layer
        refuse_role(self.role)
        selection = find_selection(self.document, node, self.canvas)
        dtype = DTYPES[node.colorDepth()]
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
            notes.append(sentence("inserting the result clears your redo history"))
        found = replace(found, lost=lost, notes=(*notes, *self.placement_notes()))
        return found.within(self.surroundings)

    def read(self, native: int, *, whole: bool) -> dict[str, Frame]:
        """Return the pixels that a run needs, with colours converted to sRGB.

        Parameters
        ----------
        native : int
            The model's native side in pixels; 0 if it is not known.
        whole : bool
            Whether to read the whole layer; else only the selection with its context.
        """
        document, node = self.document, self.layer
        selection = find_selection(document, node, self.canvas)
        selected = None if selection is None else selection.box
        box = box_to_read(self.canvas, selected, native, whole=whole)
        edges = (box.x, box.y, box.width, box.height)
        mask = only_transparency_mask(node)
        pixels = read_layer(node, box) if mask is None else node.pixelData(*edges).data()
        own, frame = space_of(node), to_srgb(document, node, pixels, box)
        frames = {"layer": frame}
        converted = own != srgb(frame.dtype)
        self.sent[:] = [SentLayer(frame, own, pixels)] if whole and converted else []
        if selection is not None:
            frames["selection"] = Frame("selection", box, "u1", "Y", selection.read(box))
        if mask is not None:
            frames["mask"] = Frame("mask", box, "u1", "Y", mask.pixelData(*edges).data())
        return frames

    def is_empty(self) -> bool:
        """Return whether every byte of the layer is 0 on the canvas."""
        return is_blank(self.layer, self.canvas)

    @property
    def role(self) -> LayerRole | None:
        """What the layer is used as; None if it is one to paint on."""
        return role_of(self.document, self.layer)

    def set_role(self, role: LayerRole | None) -> None:
        """Keep on the layer what it is used as, which marks the document as modified."""
        attach_role(self.document, self.layer, role)

    def control_layers(self) -> list[RoleLayer]:
        """Return the visible layers with a role, from the top."""
        document = self.document

        def reader(node: Node) -> ReadLayer:
            return lambda box: to_srgb(document, node, read_layer(node, box), box)

        return [
            RoleLayer(role, reader(node), node.name(), to_box(node.bounds()))
            for role, node in control_layers(document)
        ]

    @property
    def surroundings(self) -> KritaSurroundings:
        """What is around the layer in its document."""
        return KritaSurroundings(self.document, self.layer, self.canvas)

    # ---- writing ---------------------------------------------------------------------------

    def placement_notes(self) -> list[Sentence]:
        """Return what the artist should know about where results go, each a clause."""
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
                sentence(
                    "the layer is animated: the current frame is used, and the result is still"
                )
            )
        return found

    def inserted_images(self, job: str) -> frozenset[int]:
        """Return the indexes of a job's images that are in the document already."""
        document = self.document
        tags = (any_tag_of(document, node) for node in all_nodes(document))
        return frozenset(tag.index for tag in tags if tag is not None and tag.job == job)

    def insert(self, title: str, results: Sequence[Result], into: Node | None = None) -> Node:
        """Insert results as one group above their layer, in one undo step.

        The last result is on top, and the only visible one. If the layer was deleted, the group
        goes above all layers. Beside an earlier result, each new one is an undo step of its own:
        Krita has no other way to add to a group that is in the document.

        Parameters
        ----------
        title : str
            The group's name.
        results : sequence of Result
            From the lowest layer to the highest; BGRA, sRGB.
        into : Node, optional
            The layer of an earlier result. If it is in a group still, the new ones go above it.

        Raises
        ------
        BadInputError
            If the document was closed.
        """
        document = self.document
        active = document.activeNode()
        layers = [self._make_layer(result) for result in results]
        source = None if self.is_deleted else self.layer
        group = insert_layers(document, source, title, layers, into)
        if len(layers) > 1:  # see the module
            document.refreshProjection()
        if active is not None:
            restore_active(document, active, id_of(group))
        return group

    def insert_control_layer(self, result: Result, role: LayerRole) -> Node:
        """Insert the picture of a control layer above the layer, in one undo step.

        Raises
        ------
        BadInputError
            If the document was closed.
        """
        document = self.document
        active = document.activeNode()
        layer = created(document.createNode(result.name, "paintlayer"))
        box, dtype = result.frame.box, result.frame.dtype
        # In sRGB, whatever its source has: it is read as it came.
        fill_layer(layer, box, pixels_of(result), dtype, srgb(dtype), None)
        layer.setOpacity(_HALF)
        attach_tag(document, layer, result.tag(self))
        attach_role(document, layer, role)
        parent, above = insertion_point(document, None if self.is_deleted else self.layer)
        parent.addChildNode(layer, above)
        if active is not None:
            restore_active(document, active, id_of(layer))
        return layer

    def open_as_document(self, title: str, results: Sequence[Result]) -> None:
        """Open results as a new document, because theirs was closed or refused them.

        Raises
        ------
        BadInputError
            If Krita creates no document, or has no window to show it in.
        """
        krita, extent = Krita.instance(), self.canvas.extent
        space = srgb(results[0].frame.dtype)
        window = krita.activeWindow()
        document = krita.createDocument(extent.width, extent.height, title, *space, _RESOLUTION)
        if document is None or window is None:
            raise BadInputError(
                "Krita opened no document of {width} x {height} pixels",
                width=extent.width,
                height=extent.height,
            )
        window.addView(document)
        layer = document.topLevelNodes()[0]
        KritaDocument(document, layer, Box.at(0, 0, extent)).insert(title, results)

    def show_preview(self, frame: Frame, area: Box) -> None:
        """Show an unfinished image over the canvas."""
        overlay.show(self, self.document, image_of(frame.data, frame.box.extent), area)

    def remove_preview(self) -> None:
        """Remove what `show_preview` shows."""
        overlay.hide(self)

    def save_form(self, text: str) -> None:
        """Keep the form's settings with the document, which marks it as modified."""
        self.document.setAnnotation(_KEY, "Underpaint's settings", text.encode("utf-8"))

    def _make_layer(self, result: Result) -> Node:
        """Return a new layer with a result, not yet in the document."""
        layer = created(self.document.createNode(result.name, "paintlayer"))
        like = space_of(self.document if self.is_deleted else self.layer)
        box, dtype = result.area or result.frame.box, result.frame.dtype
        sent = self.sent[0] if self.sent else None
        fill_layer(layer, box, pixels_of(result), dtype, like, sent)
        attach_tag(self.document, layer, result.tag(self))
        return layer


def load_form(document: Document) -> str:
    """Return the form's settings that were kept with a document; empty if there are none."""
    return document.annotation(_KEY).data().decode("utf-8", "replace")


def _canvas_of(document: Document) -> Box:
    return Box(0, 0, document.width(), document.height())
