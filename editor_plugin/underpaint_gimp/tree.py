"""The layers of an image: how they lie, what they carry, and how the undo history hears of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402 - after its version

from underpaint_client.geometry import Box  # noqa: E402
from underpaint_client.results import Member  # noqa: E402
from underpaint_client.tag import Tag  # noqa: E402

TAG = "underpaint-recipe"
_TYPES = {
    Gimp.ImageBaseType.RGB: Gimp.ImageType.RGBA_IMAGE,
    Gimp.ImageBaseType.GRAY: Gimp.ImageType.GRAYA_IMAGE,
    Gimp.ImageBaseType.INDEXED: Gimp.ImageType.INDEXEDA_IMAGE,
}


def path_of(image: Any) -> str:
    """Give the file that an image was saved to; empty where it never was."""
    file = image.get_file()
    return "" if file is None else str(file.get_path() or file.get_uri())


def by_tattoo(image: Any, name: str) -> Any | None:
    """Give the layer of a lasting name."""
    number = int(name[:10]) if name.isascii() and name.isdigit() else 0
    return image.get_layer_by_tattoo(number) if 0 < number < 2**32 else None


def all_layers(layers: Iterable[Any]) -> Iterator[Any]:
    """Give layers and all that lie in them."""
    for layer in layers:
        yield layer
        if layer.is_group():
            yield from all_layers(layer.get_children())


def parents(layer: Any) -> Iterable[Any]:
    """Give the groups around a layer, the innermost first."""
    parent = layer.get_parent()
    while parent is not None:
        yield parent
        parent = parent.get_parent()


def tag_of(layer: Any) -> Tag | None:
    """Give what a result carries; None for any other layer."""
    return Tag.from_text(text_of(layer.get_parasite(TAG)))


def is_batch(layer: Any) -> bool:
    """Say whether a layer is a group with results in it."""
    return layer.is_group() and any(tag_of(child) for child in layer.get_children())


def batch_of(layer: Any) -> list[Member]:
    """Give the results in a result's group; outside of any group it is one by itself."""
    parent = layer.get_parent()
    inside = [layer] if parent is None else reversed(parent.get_children())
    tagged = ((one, tag_of(one)) for one in inside)
    return [Member(one, tag, bool(one.get_visible())) for one, tag in tagged if tag is not None]


def parasite(name: str, text: str) -> Any:
    """Give what keeps a text with an image or a layer, in its file too."""
    return Gimp.Parasite.new(name, Gimp.PARASITE_PERSISTENT, list(text.encode("ascii")))


def text_of(parasite: Any) -> str:
    """Give the text in a parasite; empty for None."""
    return "" if parasite is None else bytes(parasite.get_data()).decode("ascii", "replace")


def blank_layer(image: Any, name: str, box: Box) -> Any:
    """Make an empty layer with alpha for an image, not yet in it."""
    layer = Gimp.Layer.new(
        image, name, box.width, box.height,
        _TYPES[image.get_base_type()], 100, Gimp.LayerMode.NORMAL,
    )  # fmt: skip
    layer.set_offsets(box.x, box.y)
    return layer


def selection_keeper(image: Any) -> Callable[[Any], None]:
    """Remember what is selected; give what selects it again, or else what it is told to."""
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
def unseen(image: Any) -> Iterator[None]:
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
def one_step(image: Any) -> Iterator[None]:
    """Make one undo step of what is done to an image, and show it."""
    image.undo_group_start()
    try:
        yield
    finally:
        image.undo_group_end()
    Gimp.displays_flush()
