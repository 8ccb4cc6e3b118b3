"""The layers of a document: their order, their tags, and what is done to several of them.

- `Node.remove` cannot be undone. Krita's own actions can: in one step for all selected layers. The
  only way to select several is the action that selects the locked ones.
- `addChildNode` makes the new layer active some time later.
- A copy of a layer has another unique id, and so none of the annotations under the first one's id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from krita import Document, Krita, Node

from underpaint_client.errors import BadInputError
from underpaint_editor.layer_role import LayerRole
from underpaint_editor.results import Member, common_tag, is_copy
from underpaint_editor.tag import Tag

from .qt import QtCore

_TAG = "underpaint/recipe/"  # followed by the layer's unique id
_ROLE = "underpaint/role/"
_CHECKS = 20  # times that the active layer is checked after an insertion,
_CHECK_EVERY = 50  # milliseconds apart


def id_of(node: Node) -> str:
    """Return a layer's unique id, which is saved with the document."""
    return node.uniqueId().toString()


def top_of(node: Node) -> str:
    """Return the id of the topmost group around a node: its document's root, if it is in one."""
    *_, top = node, *groups(node)
    return id_of(top)


def created(node: Node | None) -> Node:
    """Return a new node of a document.

    Raises
    ------
    BadInputError
        If Krita returned none, as it does for a closed document.
    """
    if node is None:
        raise BadInputError("the document was closed")
    return node


def is_in(document: Document, node: Node) -> bool:
    """Return whether a document is open and a node is in it."""
    root = document.rootNode()
    return root is not None and top_of(node) == id_of(root)


def group_id(node: Node) -> str:
    """Return the id of the group around a layer; empty for one that is in none, as if removed."""
    parent = node.parentNode()
    return "" if parent is None else id_of(parent)


def groups(node: Node) -> Iterator[Node]:
    """Return the groups around a node, the innermost first; the last is the document's root."""
    parent = node.parentNode()
    while parent is not None:
        yield parent
        parent = parent.parentNode()


def all_nodes(document: Document) -> Iterator[Node]:
    """Return a document's root and all nodes below it; none if the document was closed."""
    root = document.rootNode()
    if root is not None:
        yield from _with_children(root)


def _with_children(node: Node) -> Iterator[Node]:
    yield node
    for child in node.childNodes():
        yield from _with_children(child)


def layer_names() -> Iterator[str]:
    """Yield the names of the layers of the active document, from the top; none without one."""
    document = Krita.instance().activeDocument()
    nodes = [] if document is None else list(all_nodes(document))[1:]
    yield from (node.name() for node in reversed(nodes))


def is_batch(document: Document, node: Node) -> bool:
    """Return whether a layer is a group with results in it."""
    return node.type() == "grouplayer" and any(
        tag_of(document, child) for child in node.childNodes()
    )


def batch_of(document: Document, layer: Node) -> list[Member]:
    """Return the results in a result's group, from the lowest; without a group, it alone."""
    parent = layer.parentNode()
    alone = parent is None or parent.parentNode() is None
    inside = [layer] if parent is None or alone else parent.childNodes()
    tagged = ((node, tag_of(document, node)) for node in inside)
    return [Member(node, tag, node.visible()) for node, tag in tagged if tag is not None]


def tag_of(document: Document, node: Node) -> Tag | None:
    """Return the tag of a result; None for any other layer."""
    tag = any_tag_of(document, node)
    return tag if tag is not None and tag.is_result else None


def any_tag_of(document: Document, node: Node) -> Tag | None:
    """Return the tag of a result or of a control layer that was made; None for other layers."""
    return Tag.from_text(document.annotation(_TAG + id_of(node)).data().decode("utf-8", "replace"))


def tag_of_copy(document: Document, node: Node) -> Tag | None:
    """Return the tag of the result that a layer is a copy of, and attach it to the copy.

    A copy is recognized by the name that Krita gives it, its position and its bounds, so one that
    was painted on beyond its bounds is not.
    """
    if not any(key.startswith(_TAG) for key in document.annotationTypes()):
        return None
    name, group, bounds = node.name(), group_id(node), node.bounds()
    alike = [
        (one, tag)
        for one in all_nodes(document)
        if is_copy(name, one.name()) and (tag := tag_of(document, one)) is not None
        if one.bounds() == bounds
    ]
    beside = [tag for one, tag in alike if group_id(one) == group]
    found = common_tag(beside or [tag for _, tag in alike])
    if found is not None:
        attach_tag(document, node, found)
    return found


def attach_tag(document: Document, node: Node, tag: Tag) -> None:
    """Attach a tag to a layer, in the saved document too."""
    text = tag.to_text().encode("ascii")
    document.setAnnotation(_TAG + id_of(node), "Underpaint's recipe", text)


def role_of(document: Document, node: Node) -> LayerRole | None:
    """Return what a layer is used as; None for one to paint on.

    A copy, which Krita gives no annotations, is used as the layer that it is a copy of until
    something else is chosen for it. It is recognized by the name that Krita gives it, its bounds
    and some of its pixels.
    """
    kept = [key for key in document.annotationTypes() if key.startswith(_ROLE)]
    if _ROLE + id_of(node) in kept:
        return _kept_role(document, node)
    return _role_of_copy(document, node) if kept else None


def _kept_role(document: Document, node: Node) -> LayerRole | None:
    found = document.annotation(_ROLE + id_of(node)).data()
    return LayerRole.from_text(found.decode("utf-8", "replace"))


def _role_of_copy(document: Document, node: Node) -> LayerRole | None:
    name = node.name()
    alike = [
        (one, role)
        for one in all_nodes(document)
        if name != one.name() and is_copy(name, one.name())
        if (role := _kept_role(document, one)) is not None and _look_alike(one, node)
    ]
    beside = [role for one, role in alike if group_id(one) == group_id(node)]
    found = set(beside or [role for _, role in alike])
    if len(found) != 1:
        return None
    (role,) = found
    attach_role(document, node, role)
    return role


def _look_alike(one: Node, other: Node) -> bool:
    """Return whether layers have the same bounds, and there the same pixels in three rows."""
    bounds = one.bounds()
    if bounds != other.bounds():
        return False
    x, y, width, height = bounds.x(), bounds.y(), bounds.width(), bounds.height()
    rows = {y, y + height // 2, y + height - 1} if height > 0 else set()
    return all(one.pixelData(x, row, width, 1) == other.pixelData(x, row, width, 1) for row in rows)


def attach_role(document: Document, node: Node, role: LayerRole | None) -> None:
    """Keep on a layer what it is used as, in the saved document too."""
    text = "" if role is None else role.to_text()
    document.setAnnotation(_ROLE + id_of(node), "Underpaint's use of a layer", text.encode("ascii"))


def control_layers(document: Document) -> Iterator[tuple[LayerRole, Node]]:
    """Yield the visible layers with a role, from the top."""
    if not any(key.startswith(_ROLE) for key in document.annotationTypes()):
        return
    for node in reversed(list(all_nodes(document))):
        role = role_of(document, node)
        if role is not None and all(one.visible() for one in (node, *groups(node))):
            yield role, node


def remove(document: Document, nodes: Sequence[Node]) -> None:
    """Remove layers in one undo step, by Krita's own action on the selected layers.

    To select them, they are for a moment the only locked ones.

    Raises
    ------
    BadInputError
        If Krita cannot select exactly these layers; nothing was removed.
    """
    krita = Krita.instance()
    select, delete = krita.action("select_locked_layers"), krita.action("remove_layer")
    window = krita.activeWindow()
    view = None if window is None else window.activeView()
    if select is None or delete is None or view is None:
        raise BadInputError("Krita offers no way to delete the other results; delete them by hand")
    wanted = {id_of(node) for node in nodes}
    locked = [(node, node.locked()) for node in all_nodes(document)]
    for node, _ in locked:
        node.setLocked(id_of(node) in wanted)
    select.trigger()
    for node, before in locked:
        node.setLocked(before)
    if {id_of(node) for node in view.selectedNodes()} != wanted:
        raise BadInputError("Krita did not select the other results; delete them by hand")
    delete.trigger()


def restore_active(document: Document, active: Node, group: str, checks: int = _CHECKS) -> None:
    """Make a layer active again as soon as Krita has made the new group active.

    Parameters
    ----------
    document : Document
        Krita's document.
    active : Node
        The layer that was active before.
    group : str
        The id of the group that was inserted.
    checks : int
        How often to check at most.
    """
    now = document.activeNode()
    if now is not None and id_of(now) != id_of(active):
        if group in (id_of(now), group_id(now)):
            document.setActiveNode(active)
        return  # if it is another layer, the artist has selected that one meanwhile
    if checks:
        QtCore.QTimer.singleShot(
            _CHECK_EVERY, lambda: restore_active(document, active, group, checks - 1)
        )
