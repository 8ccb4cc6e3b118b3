"""What is around a layer in its document, and what is visible of it and of all below it.

- `Document.projection` gives the whole picture as it is shown, in 8-bit sRGB.
- Layers that lie above, as the results do, are hidden in a copy of the document. Krita's tiles are
  shared with it, so it takes little time. In the document itself, they would flicker, and an
  autosave could find them hidden.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from krita import Document, Node

from underpaint_client.errors import BadInputError
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_editor.layers import box_to_read, intersection

from .images import bgra_of
from .sources import find_selection, is_painted, is_white, to_box
from .tree import control_layers, groups, id_of, is_batch

_LEAVES = {"paintlayer", "vectorlayer", "filelayer", "clonelayer", "filllayer"}


@dataclass(frozen=True)
class KritaSurroundings:
    """See `contract.Surroundings`.

    Parameters
    ----------
    document : Document
        Krita's document.
    layer : Node
        Krita's layer.
    canvas : Box
        The document's size when it was read.
    """

    document: Document
    layer: Node
    canvas: Box

    def is_new(self) -> bool:
        """Return whether the layer is the only one, opaque and all white.

        Results and control layers do not count.
        """
        document, held = self.document, _control_ids(self.document)
        layers = [one for one in document.topLevelNodes() if not is_batch(document, one)]
        alone = [one for one in map(id_of, layers) if one not in held] == [id_of(self.layer)]
        return alone and is_white(self.layer, self.canvas)

    @property
    def is_drawn(self) -> bool:
        """Whether it is a vector layer, which holds Krita's text, too."""
        return self.layer.type() == "vectorlayer"

    def count_regions(self) -> int:
        """Return how many visible layers are regions."""
        return sum(role.is_region for role, _ in control_layers(self.document))

    def shows_below(self) -> bool:
        """Return whether anything but white paper is visible below, where a run would see it."""
        selection = find_selection(self.document, self.layer, self.canvas)
        selected = None if selection is None else selection.box
        box = box_to_read(self.canvas, selected, 0, whole=False)
        held = _control_ids(self.document)
        return any(is_painted(one, box) for one in _layers_below(self.layer, held))

    def read_context(self, box: Box) -> Frame:
        """Return what is visible of the layer and of all below it, in 8-bit sRGB."""
        return Frame("context", box, "u1", "BGRA", _read_visible(self.document, self.layer, box))


def _read_visible(document: Document, node: Node, box: Box) -> bytes:
    """Return what is visible of a layer and of all below it: BGRA, 8-bit sRGB, straight alpha.

    Layers with a role are no part of the picture, but for groups around the layer.
    """
    around = [id_of(one) for one in groups(node)]
    with_roles = (one for _, one in control_layers(document))
    held = [_path(one) for one in with_roles if id_of(one) not in around]
    if not held and not any(one.visible() and _reaches(one, box) for one in _above(node)):
        document.waitForDone()
        return _read_picture(document, box)
    copy = document.clone()
    root = None if copy is None else copy.rootNode()
    if copy is None or root is None:
        raise BadInputError("the document was closed")
    try:
        unwanted = [*_above(_at(root, _path(node))), *(_at(root, path) for path in held)]
        for one in unwanted:
            one.setVisible(False)
        copy.refreshProjection()
        copy.waitForDone()
        return _read_picture(copy, box)
    finally:
        copy.close()


def _control_ids(document: Document) -> set[str]:
    return {id_of(node) for _, node in control_layers(document)}


def _layers_below(node: Node, left_out: AbstractSet[str]) -> Iterator[Node]:
    """Yield the visible layers with pixels below a layer, the nearest first, without groups."""
    for one, siblings in _levels(node):
        for sibling in reversed(siblings[: _index(one, siblings)]):
            yield from _visible_leaves(sibling, left_out)


def _visible_leaves(node: Node, left_out: AbstractSet[str]) -> Iterator[Node]:
    if not node.visible() or not node.opacity() or id_of(node) in left_out:
        return
    if node.type() in _LEAVES:
        yield node
    elif node.type() == "grouplayer":
        for child in reversed(node.childNodes()):
            yield from _visible_leaves(child, left_out)


def _above(node: Node) -> Iterator[Node]:
    """Yield what lies above a layer, in its group and in those around it."""
    for one, siblings in _levels(node):
        above = siblings[_index(one, siblings) + 1 :]
        yield from (sibling for sibling in above if not sibling.type().endswith("mask"))


def _reaches(node: Node, box: Box) -> bool:
    """Return whether a layer may show something in a box."""
    if node.type() not in {"grouplayer", *_LEAVES}:
        return True  # such as a filter layer
    return not intersection(to_box(node.bounds()), box).empty


def _path(node: Node) -> list[int]:
    """Return the indexes that lead from the root to a layer."""
    return [_index(one, siblings) for one, siblings in reversed(list(_levels(node)))]


def _at(root: Node, path: list[int]) -> Node:
    """Return the layer that such indexes lead to."""
    found = root
    for index in path:
        found = found.childNodes()[index]
    return found


def _levels(node: Node) -> Iterator[tuple[Node, list[Node]]]:
    """Yield a layer and the groups around it, each with its siblings; the root has none."""
    for one in (node, *groups(node)):
        parent = one.parentNode()
        if parent is not None:
            yield one, parent.childNodes()


def _index(node: Node, siblings: list[Node]) -> int:
    return [id_of(one) for one in siblings].index(id_of(node))


def _read_picture(document: Document, box: Box) -> bytes:
    return bgra_of(document.projection(box.x, box.y, box.width, box.height), box.extent)
