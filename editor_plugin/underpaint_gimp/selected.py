"""A result that the artist has selected, and its batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402 - after its version

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
    """A result that the artist has selected, and what it carries."""

    image: Any
    layer: Any
    tag: Tag

    @classmethod
    def of(cls, image: Any) -> GimpResult | None:
        """Return the selected layer as a result; for a batch's group the one that is shown."""
        layers = image.get_selected_layers() if image is not None and image.is_valid() else []
        if len(layers) != 1:
            return None
        children = layers[0].get_children() if layers[0].is_group() else []
        for candidate in (layers[0], *(child for child in children if child.get_visible())):
            tag = tag_of(candidate)
            if tag is not None:
                return cls(image, candidate, tag)
        return None

    def find_source(self) -> GimpDocument:
        """Return the document of the layer that it was made from.

        Raises
        ------
        BadInputError
            Where that is no longer there, or cannot be told from a copy of it.
        """
        found = sources(self.image, self.tag.source)
        if not found:
            raise BadInputError(SOURCE_GONE)
        if len(found) > 1:
            names = " or ".join(repr(str(layer.get_name())) for layer in found)
            raise BadInputError(
                f"this result was made from {names}, and Underpaint cannot tell which; delete the"
                " copy, or generate again"
            )
        return GimpDocument.of(self.image, found)

    @property
    def name(self) -> str:
        """What the layer is called."""
        return str(self.layer.get_name())

    @cached_property
    def results(self) -> list[Member]:
        """The batch's results, from the lowest."""
        return batch_of(self.layer)

    @property
    def index(self) -> int:
        """Which of them this one is."""
        return [one.layer.get_id() for one in self.results].index(self.layer.get_id())

    def thumbnail(self, index: int) -> Any:
        """Return what one of them looks like: an image, as large as `THUMBNAIL_SIDE` at most."""
        layer = self.results[index].layer
        size = fit_into(
            Extent(layer.get_width(), layer.get_height()), Extent(THUMBNAIL_SIDE, THUMBNAIL_SIDE)
        )
        return layer.get_thumbnail(size.width, size.height, Gimp.PixbufTransparency.KEEP_ALPHA)

    def show(self, index: int) -> None:
        """Show one of them alone, and select it: one undo step."""
        with undo_group(self.image):
            self._show(index)

    def _show(self, index: int) -> None:
        results = self.results
        for at, one in enumerate(results):
            one.layer.set_visible(at == index)
        self.image.set_selected_layers([results[index].layer])

    def keep_only(self) -> int:
        """Show this one, and remove the others but for locked ones: one undo step.

        Returns
        -------
        int
            How many were removed.

        Raises
        ------
        BadInputError
            Where a lock forbids it.
        """
        if any(parent.get_lock_content() for parent in parents(self.layer)):
            raise BadInputError("the results are in a locked group; unlock it first")
        others = [
            one.layer
            for one in self.results
            if one.layer.get_id() != self.layer.get_id() and not one.layer.get_lock_content()
        ]
        if others:
            with undo_group(self.image):
                self._show(self.index)
                for layer in others:
                    self.image.remove_layer(layer)
        return len(others)

    def hide_results(self) -> Callable[[], None]:
        """Show the layer as it was, without any result made from it; return what ends that."""
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

    def _set_visible(self, wanted: Sequence[tuple[Any, bool]]) -> None:
        """Show and hide layers, of which the undo history hears nothing."""
        if not self.image.is_valid():
            return
        with without_undo(self.image):
            for layer, visible in wanted:
                if layer.is_valid():
                    layer.set_visible(visible)
