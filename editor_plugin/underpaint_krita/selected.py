"""The selected result, and its batch. Showing and hiding results leave no undo step in Krita."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from krita import Document, Krita, Node

from underpaint_client.errors import BadInputError
from underpaint_client.geometry import Box, Extent
from underpaint_editor.layers import SOURCE_GONE, fit_into
from underpaint_editor.results import THUMBNAIL_SIDE, Member
from underpaint_editor.tag import Tag

from . import overlay
from .canvas import KritaDocument
from .images import scaled
from .qt import QtGui
from .tree import all_nodes, batch_of, groups, id_of, remove, tag_of, tag_of_copy


@dataclass(frozen=True)
class KritaResult:
    """A result layer that is selected; see `contract.SelectedResult`."""

    document: Document
    layer: Node
    tag: Tag

    @classmethod
    def of_active(cls) -> KritaResult | None:
        """Return the active layer as a result; for a batch's group, the result that it shows."""
        document = Krita.instance().activeDocument()
        node = None if document is None else document.activeNode()
        if document is None or node is None:
            return None
        inside = [child for child in reversed(node.childNodes()) if child.visible()]
        for find in (tag_of, tag_of_copy):
            for candidate in (node, *inside):
                tag = find(document, candidate)
                if tag is not None:
                    return cls(document, candidate, tag)
        return None

    def find_source(self) -> KritaDocument:
        """Return the document with the layer that the result was made from.

        Raises
        ------
        BadInputError
            If the layer was deleted.
        """
        for node in all_nodes(self.document):
            if id_of(node) == self.tag.source:
                canvas = Box(0, 0, self.document.width(), self.document.height())
                return KritaDocument(self.document, node, canvas)
        raise BadInputError(SOURCE_GONE)

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.layer.name()

    @cached_property
    def results(self) -> list[Member]:
        """The batch's results, from the lowest layer to the highest."""
        return batch_of(self.document, self.layer)

    @property
    def _layers(self) -> list[Node]:
        return [one.layer for one in self.results]

    @property
    def index(self) -> int:
        """The selected result's index in `results`."""
        return [id_of(layer) for layer in self._layers].index(id_of(self.layer))

    def thumbnail(self, index: int) -> QtGui.QImage:
        """Return the image of a result; no side is longer than `THUMBNAIL_SIDE`.

        Krita's thumbnail is square, whatever the layer's shape, and includes the layer's
        surroundings. They are cut off by the image's alpha. A layer that covers the whole canvas
        has its size from the recipe instead: `bounds` takes half a second for a large empty layer.
        """
        layer, recipe = self._layers[index], self.results[index].tag.recipe
        image = layer.thumbnail(2 * THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE)
        if recipe is not None and recipe.request.output.result == "layer":
            extent = Extent(recipe.facts.width, recipe.facts.height)
        else:
            opaque = QtGui.QBitmap.fromImage(image.createAlphaMask())
            image = image.copy(QtGui.QRegion(opaque).boundingRect())
            extent = Extent(layer.bounds().width(), layer.bounds().height())
        return scaled(image, fit_into(extent, Extent(THUMBNAIL_SIDE, THUMBNAIL_SIDE)))

    def show(self, index: int) -> None:
        """Make a result the only visible one of its batch, and select it."""
        layers = self._layers
        for at, layer in enumerate(layers):
            layer.setVisible(at == index)
        self.document.setActiveNode(layers[index])
        self.document.refreshProjection()

    def keep_only(self) -> int:
        """Show this result and delete the others, except locked ones, in one undo step.

        Returns
        -------
        int
            How many were deleted.

        Raises
        ------
        BadInputError
            If their group is locked, or Krita cannot select them.
        """
        self.show(self.index)
        others = [
            layer
            for layer in self._layers
            if id_of(layer) != id_of(self.layer) and not layer.locked()
        ]
        if not others:
            return 0
        if any(group.locked() for group in groups(others[0])):
            raise BadInputError("the results are in a locked group; unlock it first")
        remove(self.document, others)
        self.document.setActiveNode(self.layer)
        return len(others)

    def hide_results(self) -> Callable[[], None]:
        """Show the source layer without its results; return what shows them again."""
        changed = []
        for node in all_nodes(self.document):
            tag = tag_of(self.document, node)
            result = tag is not None and tag.source == self.tag.source
            source = id_of(node) == self.tag.source
            if (result and node.visible()) or (source and not node.visible()):
                changed.append((node, not result))
        self._set_visible(changed)
        overlay.set_hidden(self.document, hidden=True)
        # An autosave would save the document without its results. Krita 5.1 cannot be stopped.
        autosaves = hasattr(self.document, "setAutosave") and self.document.autosave()
        if autosaves:
            self.document.setAutosave(False)

        def show_again() -> None:
            self._set_visible([(node, not visible) for node, visible in changed])
            overlay.set_hidden(self.document, hidden=False)
            if autosaves:
                self.document.setAutosave(True)

        return show_again

    def _set_visible(self, wanted: Sequence[tuple[Node, bool]]) -> None:
        for node, visible in wanted:
            node.setVisible(visible)
        self.document.refreshProjection()
