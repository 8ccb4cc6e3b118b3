"""What Krita's layers hold, and what of it their masks and selections leave.

- `projectionPixelData` has all masks applied, but loses the colour of what a filter or colorize
  mask, or two masks of any kind, leave transparent; `pixelData` has it, without any mask.
- A selection mask, which Krita calls a local selection, replaces the document's selection for its
  layer. Krita does not tell which of several is active.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from underpaint_client.geometry import Box
from underpaint_editor.layers import intersection
from underpaint_editor.pixels import restore_hidden
from underpaint_editor.survey import Survey

ITEM_BYTES = {"U8": 1, "U16": 2, "F16": 2, "F32": 4}
"""Bytes of one channel, by Krita's names of depths."""

SRGB = ("RGBA", "U8", "sRGB-elle-V2-srgbtrc.icc")
"""Colour model, depth and profile of what is sent and of results."""

_PAINT = "paintlayer"
_STRIP = 500_000  # pixels that are looked at before it is known that a layer is not blank


@dataclass(frozen=True)
class SelectedArea:
    """What is selected of a layer.

    Parameters
    ----------
    source : Selection or Node
        Krita's; has one byte a pixel.
    box : Box
        Around all of it on the canvas.
    """

    source: Any
    box: Box

    def read(self, box: Box) -> bytes:
        """Return how much of each pixel is selected, 0..255."""
        return bytes(self.source.pixelData(box.x, box.y, box.width, box.height).data())


def find_selection(document: Any, node: Any, canvas: Box) -> SelectedArea | None:
    """Return what is selected of a layer; None where nothing is, which means everything."""
    local = local_selections(node)
    if local:
        bounds = local[-1].bounds()
        box = Box(bounds.x(), bounds.y(), bounds.width(), bounds.height())
        return SelectedArea(local[-1], intersection(box, canvas))
    selection = document.selection()
    if selection is None:
        return None
    box = Box(selection.x(), selection.y(), selection.width(), selection.height())
    return SelectedArea(selection, intersection(box, canvas))


def local_selections(node: Any) -> list[Any]:
    """Return a layer's visible selection masks, from the lowest."""
    return [child for child in _visible(node) if child.type() == "selectionmask"]


def only_transparency_mask(node: Any) -> Any | None:
    """Return a paint layer's transparency mask, where that is all that changes it.

    Krita's own picture of such a layer has lost the colour that the mask hides.
    """
    masks = _effect_masks(node)
    alone = len(masks) == 1 and masks[0].type() == "transparencymask"
    return masks[0] if alone and node.type() == _PAINT else None


def read_layer(node: Any, box: Box) -> bytes:
    """Return a layer's pixels, with its masks applied, in its own colour space.

    What the masks leave transparent has the layer's own colour, unless one moves it.
    """
    edges = (box.x, box.y, box.width, box.height)
    masks = _effect_masks(node)
    if node.type() == _PAINT and not masks:
        return bytes(node.pixelData(*edges).data())
    shown = bytes(node.projectionPixelData(*edges).data())
    if node.type() != _PAINT or any(mask.type() == "transformmask" for mask in masks):
        return shown
    stored = bytes(node.pixelData(*edges).data())
    if len(stored) != len(shown):
        return shown
    return restore_hidden(shown, stored, box.extent.pixels, ITEM_BYTES[node.colorDepth()])


def is_blank(node: Any, canvas: Box) -> bool:
    """Return whether a layer has nothing on the canvas, whatever it has outside of it."""
    bounds = node.bounds()
    box = intersection(Box(bounds.x(), bounds.y(), bounds.width(), bounds.height()), canvas)
    if box.empty:
        return True
    rows = max(1, _STRIP // box.width)
    for y in range(box.y, box.bottom, rows):
        pixels = read_layer(node, Box(box.x, y, box.width, min(rows, box.bottom - y)))
        if pixels.count(0) < len(pixels):
            return False
    return True


def describe_source(node: Any, found: Survey) -> list[str]:
    """Return what the artist should know about a layer before a run.

    Parameters
    ----------
    node : Node
        Krita's.
    found : Survey
        What was seen of the layer.
    """
    notes = []
    local = local_selections(node)
    if len(local) > 1:
        notes.append(f"its local selection {local[-1].name()!r} is used; hide it to use another")
    if found.empty and not node.bounds().isEmpty():
        notes.append("the layer's content lies outside the canvas")
    moved = any(mask.type() == "transformmask" for mask in _effect_masks(node))
    if found.transparent and node.type() == _PAINT and not moved and _is_recoloured(node):
        notes.append("erased pixels have the layer's own colour, without its masks")
    if (node.colorModel(), node.colorDepth(), node.colorProfile()) != SRGB:
        notes.append("the result is an 8-bit sRGB layer")
    return notes


def _is_recoloured(node: Any) -> bool:
    return any(mask.type() in ("filtermask", "colorizemask") for mask in _effect_masks(node))


def _effect_masks(node: Any) -> list[Any]:
    """Return the visible masks that change how a layer looks."""
    return [
        child
        for child in _visible(node)
        if child.type().endswith("mask") and child.type() != "selectionmask"
    ]


def _visible(node: Any) -> list[Any]:
    return [child for child in node.childNodes() if child.visible()]
