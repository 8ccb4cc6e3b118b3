"""Put the layers of results into a document, in one undo step where Krita allows it.

Only `addChildNode` can be undone. Each call is a step, even into a group that is not in the
document yet. `setChildNodes` leaves no step: a group that is filled by it and then attached is one
step, pixels included.
"""

from __future__ import annotations

from collections.abc import Sequence

from krita import Document, Node

from underpaint_editor.layers import count_batches_above

from .tree import batch_of, created, id_of, is_batch, is_in


def insert_layers(
    document: Document, source: Node | None, title: str, layers: Sequence[Node], into: Node | None
) -> Node:
    """Insert new layers as one group, of which the last is visible; return the group.

    Parameters
    ----------
    document : Document
    source : Node or None
        The layer above which the group goes; None for above all layers.
    title : str
        The group's name.
    layers : sequence of Node
        From the lowest to the highest.
    into : Node or None
        The layer of an earlier result. If it is in a group still, the new ones go above it.

    Raises
    ------
    BadInputError
        If the document was closed.
    """
    for layer in layers[:-1]:
        layer.setVisible(False)
    beside = into.parentNode() if into is not None and is_in(document, into) else None
    if into is not None and beside is not None:
        for one in batch_of(document, into):
            one.layer.setVisible(False)
        for below, layer in zip((into, *layers), layers):
            beside.addChildNode(layer, below)
        return beside
    group = created(document.createGroupLayer(title))
    group.setChildNodes(layers)
    parent, above = insertion_point(document, source)
    parent.addChildNode(group, above)
    return group


def insertion_point(document: Document, source: Node | None) -> tuple[Node, Node | None]:
    """Return the parent of a new group, and the node to insert it above; None for the top.

    That is the layer, or the highest of the groups of results that lie directly above it.
    """
    parent = None if source is None else source.parentNode()
    if source is None or parent is None:
        return created(document.rootNode()), None
    siblings = parent.childNodes()  # from the lowest
    here = [id_of(node) for node in siblings].index(id_of(source))
    above = [is_batch(document, one) for one in siblings[here + 1 :]]
    return parent, siblings[here + count_batches_above(above)]
