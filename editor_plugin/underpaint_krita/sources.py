"""Read the pixels of Krita's layers, with their masks and the selection.

- `projectionPixelData` has all masks applied. It loses the colour of what a filter or colorize
  mask, or two masks of any kind, leave transparent. `pixelData` has that colour, without any mask.
- A selection mask, which Krita calls a local selection, replaces the document's selection for its
  layer. Krita does not tell which of several is active.
"""

from __future__ import annotations

from dataclasses import dataclass

from krita import Document, Node, Selection

from underpaint_client.geometry import Box
from underpaint_client.sentences import Sentence, sentence
from underpaint_editor import paper
from underpaint_editor.layers import intersection
from underpaint_editor.pixels import restore_hidden
from underpaint_editor.survey import Survey

from .qt import QtCore

ITEM_BYTES = {"U8": 1, "U16": 2, "F16": 2, "F32": 4}
"""Bytes of one channel, by Krita's names of depths."""

DTYPES = {"U8": "u1", "U16": "u2", "F16": "f2", "F32": "f4"}
"""What the wire calls Krita's depths."""

_WHITE_IS_FULL = {"RGBA", "GRAYA"}  # colour models in which each channel of white is 1
_PAINT = "paintlayer"
_STRIP = 500_000  # pixels that are read at once to see whether a layer is empty


@dataclass(frozen=True)
class SelectedArea:
    """What is selected of a layer.

    Parameters
    ----------
    source : Selection or Node
        Krita's object; one byte per pixel.
    box : Box
        The selection's bounds, on the canvas.
    """

    source: Selection | Node
    box: Box

    def read(self, box: Box) -> bytes:
        """Return how much of each pixel is selected, 0..255."""
        return self.source.pixelData(box.x, box.y, box.width, box.height).data()


def to_box(rectangle: QtCore.QRect) -> Box:
    """Return a rectangle of Qt's as a box."""
    return Box(rectangle.x(), rectangle.y(), rectangle.width(), rectangle.height())


def find_selection(document: Document, node: Node, canvas: Box) -> SelectedArea | None:
    """Return what is selected of a layer; None if nothing is, which means all of it."""
    local = local_selections(node)
    if local:
        return SelectedArea(local[-1], intersection(to_box(local[-1].bounds()), canvas))
    selection = document.selection()
    if selection is None:
        return None
    box = Box(selection.x(), selection.y(), selection.width(), selection.height())
    return SelectedArea(selection, intersection(box, canvas))


def local_selections(node: Node) -> list[Node]:
    """Return a layer's visible selection masks, from the lowest."""
    return [child for child in _visible_children(node) if child.type() == "selectionmask"]


def only_transparency_mask(node: Node) -> Node | None:
    """Return a paint layer's transparency mask, if that is its only visible mask.

    The projection of such a layer has lost the colour that the mask hides.
    """
    masks = _effect_masks(node)
    alone = len(masks) == 1 and masks[0].type() == "transparencymask"
    return masks[0] if alone and node.type() == _PAINT else None


def read_layer(node: Node, box: Box) -> bytes:
    """Return a layer's pixels, with its masks applied, in its own colour space.

    What the masks leave transparent has the layer's own colour, unless a mask moves pixels.
    """
    edges = (box.x, box.y, box.width, box.height)
    masks = _effect_masks(node)
    if node.type() == _PAINT and not masks:
        return node.pixelData(*edges).data()
    shown = node.projectionPixelData(*edges).data()
    if node.type() != _PAINT or any(mask.type() == "transformmask" for mask in masks):
        return shown
    stored = node.pixelData(*edges).data()
    if len(stored) != len(shown):
        return shown
    return restore_hidden(shown, stored, box.extent.pixels, ITEM_BYTES[node.colorDepth()])


def is_blank(node: Node, canvas: Box) -> bool:
    """Return whether every byte of a layer is 0 on the canvas, whatever there is beyond it."""
    box = intersection(to_box(node.bounds()), canvas)
    if box.empty:
        return True
    rows = max(1, _STRIP // box.width)
    for y in range(box.y, box.bottom, rows):
        pixels = read_layer(node, Box(box.x, y, box.width, min(rows, box.bottom - y)))
        if pixels.count(0) < len(pixels):
            return False
    return True


def is_white(node: Node, canvas: Box) -> bool:
    """Return whether a layer is opaque and white on the canvas."""
    if node.colorModel() not in _WHITE_IS_FULL:
        return False
    dtype = DTYPES[node.colorDepth()]
    return paper.is_white(canvas, lambda rows: read_layer(node, rows), dtype)


def is_painted(node: Node, box: Box) -> bool:
    """Return whether a layer shows anything but white paper in a box."""
    inside = intersection(to_box(node.bounds()), box)

    def read(rows: Box) -> bytes:
        return node.projectionPixelData(rows.x, rows.y, rows.width, rows.height).data()

    return paper.shows_something(inside, read, len(node.channels()), DTYPES[node.colorDepth()])


def describe_source(node: Node, found: Survey) -> list[Sentence]:
    """Return what the artist should know about a layer before a run, each a clause.

    Parameters
    ----------
    node : Node
        Krita's layer.
    found : Survey
        What a run would do.
    """
    notes: list[Sentence] = []
    local = local_selections(node)
    if len(local) > 1:
        notes.append(
            sentence(
                "its local selection {name!r} is used; hide it to use another",
                name=local[-1].name(),
            )
        )
    if found.empty and not node.bounds().isEmpty():
        notes.append(sentence("the layer's content lies outside the canvas"))
    moved = any(mask.type() == "transformmask" for mask in _effect_masks(node))
    if found.transparent and node.type() == _PAINT and not moved and _is_recoloured(node):
        notes.append(sentence("erased pixels have the layer's own colour, without its masks"))
    return notes


def _is_recoloured(node: Node) -> bool:
    return any(mask.type() in ("filtermask", "colorizemask") for mask in _effect_masks(node))


def _effect_masks(node: Node) -> list[Node]:
    """Return the visible masks that change how a layer looks."""
    return [
        child
        for child in _visible_children(node)
        if child.type().endswith("mask") and child.type() != "selectionmask"
    ]


def _visible_children(node: Node) -> list[Node]:
    return [child for child in node.childNodes() if child.visible()]
