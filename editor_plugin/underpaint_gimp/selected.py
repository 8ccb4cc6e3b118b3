"""The selected result, and its batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import GdkPixbuf, Gimp  # noqa: E402 - after its version

from underpaint_client.errors import BadInputError  # noqa: E402
from underpaint_client.geometry import Extent  # noqa: E402
from underpaint_editor.layers import SOURCE_GONE, fit_into  # noqa: E402
from underpaint_editor.results import THUMBNAIL_SIDE, Member  # noqa: E402
from underpaint_editor.tag import Tag  # noqa: E402

from .canvas import GimpDocument  # noqa: E402
from .preview import is_preview  # noqa: E402
from .tree import all_layers, batch_of, parents, sources, tag_of, undo_group, without_undo  # noqa: E402


@dataclass(frozen=True)
class GimpResult:
    """A result layer that is selected; see `contract.SelectedResult`."""

    image: Gimp.Image
    layer: Gimp.Layer
    tag: Tag

    @classmethod
    def of(cls, image: Gimp.Image | None) -> GimpResult | None:
        """Return the selected layer as a result; for a batch's group, the result that it shows."""
        if image is None or not image.is_valid():
            return None
        layers = image.get_selected_layers()
        if len(layers) != 1:
            return None
        children = layers[0].get_children() if layers[0].is_group() else []
        for candidate in (layers[0], *(child for child in children if child.get_visible())):
            tag = tag_of(candidate)
            if tag is not None:
                return cls(image, candidate, tag)
        return None

    def find_source(self) -> GimpDocument:
        """Return the document with the layer that the result was made from.

        Raises
        ------
        BadInputError
            If the layer was deleted, or cannot be told from a copy.
        """
        found = sources(self.image, self.tag.source)
        if not found:
            raise BadInputError(SOURCE_GONE)
        if len(found) > 1:
            names = " or ".join(repr(layer.get_name()) for layer in found)
            raise BadInputError(
                "this result was made from {names}, and Underpaint cannot tell which; delete the"
                " copy, or generate again",
                names=names,
            )
        return GimpDocument.of(self.image, found)

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.layer.get_name()

    @cached_property
    def results(self) -> list[Member]:
        """The batch's results, from the lowest layer to the highest."""
        return batch_of(self.layer)

    @property
    def _layers(self) -> list[Gimp.Layer]:
        return [one.layer for one in self.results]

    @property
    def index(self) -> int:
        """The selected result's index in `results`."""
        return [layer.get_id() for layer in self._layers].index(self.layer.get_id())

    def thumbnail(self, index: int) -> GdkPixbuf.Pixbuf | None:
        """Return the image of a result; no side is longer than `THUMBNAIL_SIDE`.

        None if GIMP makes none, as for a layer that was deleted meanwhile.
        """
        layer = self._layers[index]
        size = fit_into(
            Extent(layer.get_width(), layer.get_height()), Extent(THUMBNAIL_SIDE, THUMBNAIL_SIDE)
        )
        return layer.get_thumbnail(size.width, size.height, Gimp.PixbufTransparency.KEEP_ALPHA)

    def show(self, index: int) -> None:
        """Make a result the only visible one of its batch and select it, in one undo step."""
        with undo_group(self.image):
            self._show(index)

    def _show(self, index: int) -> None:
        layers = self._layers
        for at, layer in enumerate(layers):
            layer.set_visible(at == index)
        self.image.set_selected_layers([layers[index]])

    def keep_only(self) -> int:
        """Show this result and delete the others, except locked ones, in one undo step.

        Returns
        -------
        int
            How many were deleted.

        Raises
        ------
        BadInputError
            If their group is locked.
        """
        if any(parent.get_lock_content() for parent in parents(self.layer)):
            raise BadInputError("the results are in a locked group; unlock it first")
        others = [
            layer
            for layer in self._layers
            if layer.get_id() != self.layer.get_id() and not layer.get_lock_content()
        ]
        if others:
            with undo_group(self.image):
                self._show(self.index)
                for layer in others:
                    self.image.remove_layer(layer)
        return len(others)

    def hide_results(self) -> Callable[[], None]:
        """Show the source layer without its results; return what shows them again."""
        changed, found = [], sources(self.image, self.tag.source)
        source_id = found[0].get_id() if len(found) == 1 else None
        for layer in all_layers(self.image.get_layers()):
            tag = tag_of(layer)
            result = is_preview(layer) or (tag is not None and tag.source == self.tag.source)
            source = layer.get_id() == source_id
            if (result and layer.get_visible()) or (source and not layer.get_visible()):
                changed.append((layer, not result))
        self._set_visible(changed)
        return lambda: self._set_visible([(layer, not visible) for layer, visible in changed])

    def _set_visible(self, wanted: Sequence[tuple[Gimp.Layer, bool]]) -> None:
        """Show and hide layers outside of the undo history."""
        if not self.image.is_valid():
            return
        with without_undo(self.image):
            for layer, visible in wanted:
                if layer.is_valid():
                    layer.set_visible(visible)
