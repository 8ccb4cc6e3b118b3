"""What is visible of a layer and of all below it.

- `Document.projection` gives the whole picture as it is shown, in 8-bit sRGB.
- Layers that lie above, as the results do, are hidden in a copy of the document. Krita's tiles are
  shared with it, so it takes little time. In the document itself, they would flicker, and an
  autosave could find them hidden.
"""

from __future__ import annotations

from collections.abc import Iterator

from krita import Document, Node

from underpaint_client.errors import BadInputError
from underpaint_client.geometry import Box

from .qt import QtGui
from .tree import groups, id_of

_LEAVES = {"paintlayer", "vectorlayer", "filelayer", "clonelayer", "filllayer"}


def read_visible(document: Document, node: Node, box: Box) -> bytes:
    """Return what is visible of a layer and of all below it: BGRA, 8-bit sRGB, straight alpha."""
    if not any(one.visible() for one in _above(node)):
        document.waitForDone()
        return _read_picture(document, box)
    path = list(_path(node))
    copy = document.clone()
    root = None if copy is None else copy.rootNode()
    if copy is None or root is None:
        raise BadInputError("the document was closed")
    try:
        same = root
        for index in path:
            same = same.childNodes()[index]
        for one in _above(same):
            one.setVisible(False)
        copy.refreshProjection()
        copy.waitForDone()
        return _read_picture(copy, box)
    finally:
        copy.close()


def layers_below(node: Node) -> Iterator[Node]:
    """Yield the visible layers with pixels below a layer, the nearest first, without groups."""
    for one in (node, *groups(node)):
        parent = one.parentNode()
        siblings = [] if parent is None else parent.childNodes()
        index = [id_of(sibling) for sibling in siblings].index(id_of(one)) if siblings else 0
        for sibling in reversed(siblings[:index]):
            yield from _visible_leaves(sibling)


def _visible_leaves(node: Node) -> Iterator[Node]:
    if not node.visible() or not node.opacity():
        return
    if node.type() in _LEAVES:
        yield node
    elif node.type() == "grouplayer":
        for child in reversed(node.childNodes()):
            yield from _visible_leaves(child)


def _above(node: Node) -> Iterator[Node]:
    """Yield what lies above a layer, in its group and in those around it."""
    for one in (node, *groups(node)):
        parent = one.parentNode()
        if parent is not None:
            siblings = parent.childNodes()
            yield from siblings[_index(one, siblings) + 1 :]


def _path(node: Node) -> list[int]:
    """Return the indexes that lead from the root to a layer."""
    inside = [one for one in (node, *groups(node)) if one.parentNode() is not None]
    return [_index(one, one.parentNode().childNodes()) for one in reversed(inside)]


def _index(node: Node, siblings: list[Node]) -> int:
    return [id_of(one) for one in siblings].index(id_of(node))


def _read_picture(document: Document, box: Box) -> bytes:
    image = document.projection(box.x, box.y, box.width, box.height)
    image = image.convertToFormat(QtGui.QImage.Format.Format_ARGB32)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    return bytes(bits)
