"""A result that the artist has selected, and its batch. Showing and hiding leave no undo step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from krita import Krita

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
    """A result that the artist has selected, and what it carries."""

    document: Any
    layer: Any
    tag: Tag

    @classmethod
    def of_active(cls) -> KritaResult | None:
        """Return the active layer as a result; for a batch's group the one that is shown."""
        document = Krita.instance().activeDocument()
        node = None if document is None else document.activeNode()
        if node is None:
            return None
        inside = [child for child in reversed(node.childNodes()) if child.visible()]
        for find in (tag_of, tag_of_copy):
            for candidate in (node, *inside):
                tag = find(document, candidate)
                if tag is not None:
                    return cls(document, candidate, tag)
        return None

    def find_source(self) -> KritaDocument:
        """Return the document of the layer that it was made from.

        Raises
        ------
        BadInputError
            Where that is no longer there.
        """
        for node in all_nodes(self.document.rootNode()):
            if id_of(node) == self.tag.source:
                canvas = Box(0, 0, self.document.width(), self.document.height())
                return KritaDocument(self.document, node, canvas)
        raise BadInputError(SOURCE_GONE)

    @property
    def name(self) -> str:
        """What the layer is called."""
        return str(self.layer.name())

    @cached_property
    def results(self) -> list[Member]:
        """The batch's results, from the lowest."""
        return batch_of(self.document, self.layer)

    @property
    def index(self) -> int:
        """Which of them this one is."""
        return [id_of(one.layer) for one in self.results].index(id_of(self.layer))

    def thumbnail(self, index: int) -> Any:
        """Return what one of them looks like: an image, as large as `THUMBNAIL_SIDE` at most.

        Krita's own is square whatever the layer is, and has the layer's surroundings around it.
        These are cut off where only what was painted is in the layer; in a large one that is mostly
        empty, `bounds` would take half a second.
        """
        layer, recipe = self.results[index].layer, self.results[index].tag.recipe
        image = layer.thumbnail(2 * THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE)
        if recipe is not None and recipe.request.output.result == "layer":
            extent = Extent(recipe.facts.width, recipe.facts.height)
        else:
            opaque = QtGui.QBitmap.fromImage(image.createAlphaMask())
            image = image.copy(QtGui.QRegion(opaque).boundingRect())
            extent = Extent(layer.bounds().width(), layer.bounds().height())
        return scaled(image, fit_into(extent, Extent(THUMBNAIL_SIDE, THUMBNAIL_SIDE)))

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
            if id_of(one.layer) != id_of(self.layer) and not one.layer.locked()
        ]
        if not others:
            return 0
        if any(group.locked() for group in groups(others[0])):
            raise BadInputError("the results are in a locked group; unlock it first")
        remove(self.document, others)
        self.document.setActiveNode(self.layer)
        return len(others)

    def hide_results(self) -> Callable[[], None]:
        """Show the layer as it was, without any result made from it; return what ends that."""
        changed = []
        for node in all_nodes(self.document.rootNode()):
            tag = tag_of(self.document, node)
            result = tag is not None and tag.source == self.tag.source
            source = id_of(node) == self.tag.source
            if (result and node.visible()) or (source and not node.visible()):
                changed.append((node, not result))
        self._set_visible(changed)
        overlay.set_hidden(self.document, hidden=True)
        # Krita 5.1 has no way to hold its own timed saving back.
        autosaves = hasattr(self.document, "setAutosave") and self.document.autosave()
        if autosaves:
            self.document.setAutosave(False)

        def show_again() -> None:
            self._set_visible([(node, not visible) for node, visible in changed])
            overlay.set_hidden(self.document, hidden=False)
            if autosaves:
                self.document.setAutosave(True)

        return show_again

    def _set_visible(self, wanted: Sequence[tuple[Any, bool]]) -> None:
        for node, visible in wanted:
            node.setVisible(visible)
        self.document.refreshProjection()
