"""What the artist should know about a layer before a run, because GIMP allows nothing better."""

from __future__ import annotations

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402 - after its version

from underpaint_client.sentences import Listing, Sentence, sentence  # noqa: E402
from underpaint_editor.layers import describe_placement  # noqa: E402

from .tree import parents  # noqa: E402

_REDUCED = {
    Gimp.ImageBaseType.GRAY: sentence("the image is greyscale, and so is the result"),
    Gimp.ImageBaseType.INDEXED: sentence(
        "the image is indexed, so the result has only the palette's colours and no soft edges"
    ),
}


def cautions_of(image: Gimp.Image, layer: Gimp.Layer | None = None) -> list[Sentence]:
    """Return what the artist should know before results are made for a layer, each a clause.

    Parameters
    ----------
    image : Gimp.Image
    layer : Gimp.Layer, optional
        None if it was deleted.
    """
    found = [] if layer is None else _layer_cautions(layer)
    reduced = _REDUCED.get(image.get_base_type())
    return [*found, reduced] if reduced else found


def _layer_cautions(layer: Gimp.Layer) -> list[Sentence]:
    groups = list(parents(layer))
    found = describe_placement(
        deleted=False,
        hidden=not layer.get_visible(),
        inside_hidden=not all(group.get_visible() for group in groups),
        resized=False,
    )
    if not layer.has_alpha():
        found.append(
            sentence("the layer has no transparency: erasing paints the background colour")
        )
    if any(group.get_lock_content() for group in groups):
        found.append(sentence("the layer's group is locked, so the result goes above that group"))
    filters = [one.get_name() for one in layer.get_filters() if one.get_visible()]
    if filters:
        found.append(
            sentence(
                "the layer is used without its filters ({filters}); merge them to include their"
                " effect",
                filters=Listing(filters),
            )
        )
    return found
