"""The layers of a document: how they lie, what they carry, and what is done to several of them.

- `Node.remove` cannot be undone. What Krita's own actions do can be, in one step for all layers
  that are selected; and to select several, there is an action that selects the locked ones.
- `addChildNode` makes the new layer active some time later.
- A copy of a layer has another unique id, and so none of the annotations that go by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from krita import Krita

from underpaint_client.errors import BadInputError
from underpaint_editor.results import Member, common_tag, is_copy
from underpaint_editor.tag import Tag

from .qt import QtCore

_TAG = "underpaint/recipe/"  # and the layer's unique id
_LOOKS = 20  # times that the active layer is looked at after an insertion,
_LOOK_EVERY = 50  # milliseconds apart


def id_of(node: Any) -> str:
    """Return what names a layer as long as it is that one, in its file too."""
    return str(node.uniqueId().toString())


def root_of(node: Any) -> str:
    """Name what a layer lies in: its document's root, unless it was deleted."""
    *_, top = node, *groups(node)
    return id_of(top)


def group_id(node: Any) -> str:
    """Name the group that a layer lies in; empty where it lies nowhere, as when it was removed."""
    parent = node.parentNode()
    return "" if parent is None else id_of(parent)


def groups(node: Any) -> Iterator[Any]:
    """Return the groups around a node, and the document's root."""
    parent = node.parentNode()
    while parent is not None:
        yield parent
        parent = parent.parentNode()


def all_nodes(node: Any) -> Iterator[Any]:
    """Return a node and all that lie in it."""
    yield node
    for child in node.childNodes():
        yield from all_nodes(child)


def is_batch(document: Any, node: Any) -> bool:
    """Return whether a layer is a group with results in it."""
    return node.type() == "grouplayer" and any(
        tag_of(document, child) for child in node.childNodes()
    )


def batch_of(document: Any, layer: Any) -> list[Member]:
    """Return the results in a result's group; outside of any group it is one by itself."""
    parent = layer.parentNode()
    alone = parent is None or parent.parentNode() is None
    inside = [layer] if alone else parent.childNodes()
    tagged = ((node, tag_of(document, node)) for node in inside)
    return [Member(node, tag, bool(node.visible())) for node, tag in tagged if tag is not None]


def tag_of(document: Any, node: Any) -> Tag | None:
    """Return what a result carries; None for any other layer."""
    return Tag.from_text(bytes(document.annotation(_TAG + id_of(node))).decode("utf-8", "replace"))


def tag_of_copy(document: Any, node: Any) -> Tag | None:
    """Return the tag of the result that a layer is a copy of, and let it carry that from now on.

    Copies are known by what Krita calls them and by where they lie, as long as nothing was painted
    beyond that.
    """
    if not any(key.startswith(_TAG) for key in document.annotationTypes()):
        return None
    name, group, bounds = node.name(), group_id(node), node.bounds()
    alike = [
        (one, tag)
        for one in all_nodes(document.rootNode())
        if is_copy(name, one.name()) and (tag := tag_of(document, one)) is not None
        if one.bounds() == bounds
    ]
    beside = [tag for one, tag in alike if group_id(one) == group]
    found = common_tag(beside or [tag for _, tag in alike])
    if found is not None:
        attach_tag(document, node, found)
    return found


def attach_tag(document: Any, node: Any, tag: Tag) -> None:
    """Let a layer carry that, in the saved document too."""
    text = tag.to_text().encode("ascii")
    document.setAnnotation(_TAG + id_of(node), "Underpaint's recipe", text)


def remove(document: Any, nodes: Sequence[Any]) -> None:
    """Remove layers in one undo step, as Krita does with the layers that are selected.

    To select them they are locked, alone of all, for a moment.

    Raises
    ------
    BadInputError
        Where Krita has not selected these and no others; nothing was removed.
    """
    wanted = {id_of(node) for node in nodes}
    locked = [(node, node.locked()) for node in all_nodes(document.rootNode())]
    for node, _ in locked:
        node.setLocked(id_of(node) in wanted)
    Krita.instance().action("select_locked_layers").trigger()
    for node, before in locked:
        node.setLocked(before)
    view = Krita.instance().activeWindow().activeView()
    if {id_of(node) for node in view.selectedNodes()} != wanted:
        raise BadInputError("Krita did not select the other results; delete them by hand")
    Krita.instance().action("remove_layer").trigger()


def restore_active(document: Any, active: Any, group: str, looks: int = _LOOKS) -> None:
    """Return the active layer back, as soon as Krita has made the group active."""
    now = document.activeNode()
    if now is not None and id_of(now) != id_of(active):
        inside = group in (id_of(now), group_id(now))
        if inside:
            document.setActiveNode(active)
        return  # else the artist has chosen another meanwhile
    if looks:
        QtCore.QTimer.singleShot(
            _LOOK_EVERY, lambda: restore_active(document, active, group, looks - 1)
        )
