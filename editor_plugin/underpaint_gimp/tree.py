"""The layers of an image: their order, ids and tags, and changes outside of the undo history."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402 - after its version

from underpaint_client.geometry import Box  # noqa: E402
from underpaint_editor.layer_id import IdentifiedLayer, LayerId, Marks, claim_id, find_layers  # noqa: E402
from underpaint_editor.layer_role import LayerRole  # noqa: E402
from underpaint_editor.results import Member  # noqa: E402
from underpaint_editor.tag import Tag  # noqa: E402

TAG = "underpaint-recipe"
_ID = "underpaint-id"
_ROLE = "underpaint-role"
_SESSION = uuid.uuid4().hex  # each GIMP counts its images from 1
_NO_ID = "-"
_DIGITS = 10  # of the largest tattoo
_TYPES = {
    Gimp.ImageBaseType.RGB: Gimp.ImageType.RGBA_IMAGE,
    Gimp.ImageBaseType.GRAY: Gimp.ImageType.GRAYA_IMAGE,
    Gimp.ImageBaseType.INDEXED: Gimp.ImageType.INDEXEDA_IMAGE,
}


def path_of(image: Gimp.Image) -> str:
    """Return the file that an image was saved to; empty if it never was."""
    file = image.get_file()
    return "" if file is None else str(file.get_path() or file.get_uri())


def sources(image: Gimp.Image, name: str) -> list[Gimp.Layer]:
    """Return the layers that the name in a result's tag may mean.

    That is one if the layer is known, none if it was deleted, and several if copies cannot be told
    from it. Files of older versions have GIMP's tattoo in place of our id.
    """
    if is_tattoo(name):
        layer = image.get_layer_by_tattoo(int(name))
        return [] if layer is None else [layer]
    layers = list(all_layers(image.get_layers()))
    return [layers[index] for index in find_layers(name, [_identified(one) for one in layers])]


def lasting_name(layer: Gimp.Layer) -> str:
    """Return a name by which another start of GIMP finds a layer in the saved file.

    It holds our id and the tattoo, as the file may have been saved before the layer got its id.
    """
    ids = id_of(layer)
    return f"{_NO_ID if ids is None else ids.own} {layer.get_tattoo()}"


def find_layer(image: Gimp.Image, lasting: str) -> Gimp.Layer | None:
    """Return the layer of a `lasting_name`, also of an older version; None if it was deleted."""
    name, _, tattoo = lasting.rpartition(" ")
    found = sources(image, name) if name else []
    if len(found) == 1:
        return found[0]
    same = sources(image, tattoo) if is_tattoo(tattoo) and not found else []
    return next((one for one in same if name in ("", _NO_ID) or id_of(one) is None), None)


def is_tattoo(name: str) -> bool:
    """Return whether a name is a number that GIMP gives to layers."""
    return len(name) <= _DIGITS and name.isascii() and name.isdigit() and 0 < int(name) < 2**32


def id_of(layer: Gimp.Layer) -> LayerId | None:
    """Return the ids that a layer has; None if no result was made from it yet."""
    return LayerId.from_text(text_of(layer.get_parasite(_ID)))


def claim(layer: Gimp.Layer) -> LayerId:
    """Return the ids to attach to a layer, because a result is made from it."""
    layers = list(all_layers(layer.get_image().get_layers()))
    index = [one.get_id() for one in layers].index(layer.get_id())
    return claim_id(index, [_identified(one) for one in layers])


def attach_ids(layer: Gimp.Layer, ids: LayerId) -> None:
    """Attach ids to a layer, as part of the undo step that is open."""
    if id_of(layer) != ids:
        layer.attach_parasite(parasite(_ID, ids.to_text(), undoable=True))


def _identified(layer: Gimp.Layer) -> IdentifiedLayer:
    document = f"{_SESSION} {layer.get_image().get_id()}"
    return IdentifiedLayer(id_of(layer), Marks(document, str(layer.get_tattoo()), layer.get_name()))


def all_layers(layers: Iterable[Gimp.Layer]) -> Iterator[Gimp.Layer]:
    """Return layers and all that are inside them, each group before its children."""
    for layer in layers:
        yield layer
        if layer.is_group():
            yield from all_layers(layer.get_children())


def layer_names(image: Gimp.Image | None) -> list[str]:
    """Return the names of an image's layers, from the top; none if there is no image."""
    if image is None or not image.is_valid():
        return []
    return [layer.get_name() for layer in all_layers(image.get_layers())]


def parents(layer: Gimp.Layer) -> Iterator[Gimp.GroupLayer]:
    """Return the groups around a layer, the innermost first."""
    parent = layer.get_parent()
    while parent is not None:
        yield parent
        parent = parent.get_parent()


def tag_of(layer: Gimp.Layer) -> Tag | None:
    """Return the tag of a result; None for any other layer."""
    tag = any_tag_of(layer)
    return tag if tag is not None and tag.is_result else None


def any_tag_of(layer: Gimp.Layer) -> Tag | None:
    """Return the tag of a result or of a control layer that was made; None for other layers."""
    return Tag.from_text(text_of(layer.get_parasite(TAG)))


def role_of(layer: Gimp.Layer) -> LayerRole | None:
    """Return what a layer is used as; None for one to paint on."""
    return LayerRole.from_text(text_of(layer.get_parasite(_ROLE)))


def role_parasite(role: LayerRole) -> Gimp.Parasite:
    """Return what keeps a role on a layer."""
    return parasite(_ROLE, role.to_text(), undoable=True)


def attach_role(layer: Gimp.Layer, role: LayerRole | None) -> None:
    """Keep on a layer what it is used as, in one undo step."""
    if role is not None:
        layer.attach_parasite(role_parasite(role))
    elif layer.get_parasite(_ROLE) is not None:
        layer.detach_parasite(_ROLE)


def control_layers(image: Gimp.Image) -> Iterator[tuple[LayerRole, Gimp.Layer]]:
    """Yield the visible layers with a role, from the top."""
    for layer in all_layers(image.get_layers()):
        role = role_of(layer)
        if role is not None and all(one.get_visible() for one in (layer, *parents(layer))):
            yield role, layer


def is_batch(layer: Gimp.Layer) -> bool:
    """Return whether a layer is a group with results in it."""
    return layer.is_group() and any(tag_of(child) for child in layer.get_children())


def batch_of(layer: Gimp.Layer) -> list[Member]:
    """Return the results in a result's group, from the lowest; without a group, it alone."""
    parent = layer.get_parent()
    inside = [layer] if parent is None else reversed(parent.get_children())
    tagged = ((one, tag_of(one)) for one in inside)
    return [Member(one, tag, one.get_visible()) for one, tag in tagged if tag is not None]


def parasite(name: str, text: str, *, undoable: bool = False) -> Gimp.Parasite:
    """Return a parasite that keeps a text with an image or a layer, in the saved file too.

    Parameters
    ----------
    name : str
        The parasite's name.
    text : str
        ASCII.
    undoable : bool
        Whether attaching it is an undo step. Otherwise, attaching it to a layer of an image makes
        it impossible to undo what was done before.
    """
    flags = Gimp.PARASITE_PERSISTENT | (Gimp.PARASITE_UNDOABLE if undoable else 0)
    return Gimp.Parasite.new(name, flags, list(text.encode("ascii")))


def text_of(parasite: Gimp.Parasite | None) -> str:
    """Return the text in a parasite; empty for None."""
    return "" if parasite is None else bytes(parasite.get_data()).decode("ascii", "replace")


def blank_layer(image: Gimp.Image, name: str, box: Box) -> Gimp.Layer:
    """Return a new empty layer with alpha, not yet in the image."""
    layer = Gimp.Layer.new(
        image, name, box.width, box.height,
        _TYPES[image.get_base_type()], 100, Gimp.LayerMode.NORMAL,
    )  # fmt: skip
    layer.set_offsets(box.x, box.y)
    return layer


def remember_selection(image: Gimp.Image) -> Callable[[Gimp.Layer], None]:
    """Return a function that selects again what is selected now.

    It selects the layer that it is called with if no layer is selected now.
    """
    layers, channels, paths = (
        image.get_selected_layers(),
        image.get_selected_channels(),
        image.get_selected_paths(),
    )

    def restore(otherwise: Gimp.Layer) -> None:
        image.set_selected_layers(layers or [otherwise])
        if channels:
            image.set_selected_channels(channels)
        if paths:
            image.set_selected_paths(paths)

    return restore


@contextmanager
def without_undo(image: Gimp.Image) -> Iterator[None]:
    """Keep changes of an image out of its undo history, and show them.

    Be quick: what the artist does meanwhile is kept out too. An image without unsaved changes still
    has none afterwards.
    """
    clean = not image.is_dirty()
    image.undo_freeze()
    try:
        yield
    finally:
        image.undo_thaw()
    if clean:
        image.clean_all()
    Gimp.displays_flush()


@contextmanager
def undo_group(image: Gimp.Image) -> Iterator[None]:
    """Make one undo step of changes of an image, and show them."""
    image.undo_group_start()
    try:
        yield
    finally:
        image.undo_group_end()
    Gimp.displays_flush()
