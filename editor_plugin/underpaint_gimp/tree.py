"""The layers of an image: how they lie, what they carry, and how the undo history hears of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402 - after its version

from underpaint_client.geometry import Box  # noqa: E402
from underpaint_editor.layer_id import IdentifiedLayer, LayerId, Marks, claim_id, find_layers  # noqa: E402
from underpaint_editor.results import Member  # noqa: E402
from underpaint_editor.tag import Tag  # noqa: E402

TAG = "underpaint-recipe"
_ID = "underpaint-id"
_SESSION = uuid.uuid4().hex  # GIMP counts its images from 1 in each
_NO_ID = "-"
_DIGITS = 10  # of the largest tattoo
_TYPES = {
    Gimp.ImageBaseType.RGB: Gimp.ImageType.RGBA_IMAGE,
    Gimp.ImageBaseType.GRAY: Gimp.ImageType.GRAYA_IMAGE,
    Gimp.ImageBaseType.INDEXED: Gimp.ImageType.INDEXEDA_IMAGE,
}


def path_of(image: Any) -> str:
    """Return the file that an image was saved to; empty where it never was."""
    file = image.get_file()
    return "" if file is None else str(file.get_path() or file.get_uri())


def sources(image: Any, name: str) -> list[Any]:
    """Return the layers that the name in a result's tag may mean.

    One where the layer is known, none where it is gone, several where copies of it cannot be told
    from it. Files of older versions have GIMP's tattoo in place of our id.
    """
    if is_tattoo(name):
        layer = image.get_layer_by_tattoo(int(name))
        return [] if layer is None else [layer]
    layers = list(all_layers(image.get_layers()))
    return [layers[index] for index in find_layers(name, [_identified(one) for one in layers])]


def lasting_name(layer: Any) -> str:
    """Return what another start of GIMP finds a layer by in the saved file: our id, and the tattoo.

    The file may have been saved before the layer got its id.
    """
    ids = id_of(layer)
    return f"{_NO_ID if ids is None else ids.own} {layer.get_tattoo()}"


def find_layer(image: Any, lasting: str) -> Any | None:
    """Return the layer of a `lasting_name`, or of one that an older version wrote; None if gone."""
    name, _, tattoo = lasting.rpartition(" ")
    found = sources(image, name) if name else []
    if len(found) == 1:
        return found[0]
    same = sources(image, tattoo) if is_tattoo(tattoo) and not found else []
    return next((one for one in same if name in ("", _NO_ID) or id_of(one) is None), None)


def is_tattoo(name: str) -> bool:
    """Return whether a name is a number that GIMP gives to layers."""
    return len(name) <= _DIGITS and name.isascii() and name.isdigit() and 0 < int(name) < 2**32


def id_of(layer: Any) -> LayerId | None:
    """Return the ids that a layer carries; None where nothing was made from it yet."""
    return LayerId.from_text(text_of(layer.get_parasite(_ID)))


def claim(layer: Any) -> LayerId:
    """Return the ids that a layer is to attach_ids, as something is made from it."""
    layers = list(all_layers(layer.get_image().get_layers()))
    index = [one.get_id() for one in layers].index(layer.get_id())
    return claim_id(index, [_identified(one) for one in layers])


def attach_ids(layer: Any, ids: LayerId) -> None:
    """Let a layer attach_ids these ids: part of the undo step that is open."""
    if id_of(layer) != ids:
        layer.attach_parasite(parasite(_ID, ids.to_text(), undoable=True))


def _identified(layer: Any) -> IdentifiedLayer:
    document = f"{_SESSION} {layer.get_image().get_id()}"
    return IdentifiedLayer(
        id_of(layer), Marks(document, str(layer.get_tattoo()), str(layer.get_name()))
    )


def all_layers(layers: Iterable[Any]) -> Iterator[Any]:
    """Give layers and all that lie in them."""
    for layer in layers:
        yield layer
        if layer.is_group():
            yield from all_layers(layer.get_children())


def parents(layer: Any) -> Iterable[Any]:
    """Return the groups around a layer, the innermost first."""
    parent = layer.get_parent()
    while parent is not None:
        yield parent
        parent = parent.get_parent()


def tag_of(layer: Any) -> Tag | None:
    """Return what a result carries; None for any other layer."""
    return Tag.from_text(text_of(layer.get_parasite(TAG)))


def is_batch(layer: Any) -> bool:
    """Return whether a layer is a group with results in it."""
    return layer.is_group() and any(tag_of(child) for child in layer.get_children())


def batch_of(layer: Any) -> list[Member]:
    """Return the results in a result's group; outside of any group it is one by itself."""
    parent = layer.get_parent()
    inside = [layer] if parent is None else reversed(parent.get_children())
    tagged = ((one, tag_of(one)) for one in inside)
    return [Member(one, tag, bool(one.get_visible())) for one, tag in tagged if tag is not None]


def parasite(name: str, text: str, *, undoable: bool = False) -> Any:
    """Return what keeps a text with an image or a layer, in its file too.

    Without `undoable`, GIMP lets nothing before it be undone where the layer is in an image.
    """
    flags = Gimp.PARASITE_PERSISTENT | (Gimp.PARASITE_UNDOABLE if undoable else 0)
    return Gimp.Parasite.new(name, flags, list(text.encode("ascii")))


def text_of(parasite: Any) -> str:
    """Return the text in a parasite; empty for None."""
    return "" if parasite is None else bytes(parasite.get_data()).decode("ascii", "replace")


def blank_layer(image: Any, name: str, box: Box) -> Any:
    """Make an empty layer with alpha for an image, not yet in it."""
    layer = Gimp.Layer.new(
        image, name, box.width, box.height,
        _TYPES[image.get_base_type()], 100, Gimp.LayerMode.NORMAL,
    )  # fmt: skip
    layer.set_offsets(box.x, box.y)
    return layer


def remember_selection(image: Any) -> Callable[[Any], None]:
    """Remember what is selected; return what selects it again, or else what it is told to."""
    layers, channels, paths = (
        image.get_selected_layers(),
        image.get_selected_channels(),
        image.get_selected_paths(),
    )

    def restore(otherwise: Any) -> None:
        image.set_selected_layers(layers or [otherwise])
        if channels:
            image.set_selected_channels(channels)
        if paths:
            image.set_selected_paths(paths)

    return restore


@contextmanager
def without_undo(image: Any) -> Iterator[None]:
    """Keep what is done to an image out of its undo history, and show it.

    Whatever the artist does meanwhile is kept out too: so be quick. An image that was saved counts
    as such still.
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
def undo_group(image: Any) -> Iterator[None]:
    """Make one undo step of what is done to an image, and show it."""
    image.undo_group_start()
    try:
        yield
    finally:
        image.undo_group_end()
    Gimp.displays_flush()
