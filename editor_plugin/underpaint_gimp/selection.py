"""What is selected in an image: the layer, and the area."""

from __future__ import annotations

from collections.abc import Sequence

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402 - after its version

from underpaint_client.errors import BadInputError  # noqa: E402
from underpaint_client.geometry import Box  # noqa: E402

from .preview import is_preview  # noqa: E402


def selected_layer(image: Gimp.Image, items: Sequence[Gimp.Item] | None = None) -> Gimp.Layer:
    """Return the layer that is selected in an image.

    Parameters
    ----------
    image : Gimp.Image
    items : sequence of Gimp.Item, optional
        What to use in place of the selected layers, such as what a script passes. A layer mask
        stands for its layer.

    Raises
    ------
    BadInputError
        If there is not exactly one layer of the image that has pixels.
    """
    if image.get_floating_sel() is not None:
        raise BadInputError(
            "there is a floating selection; anchor it or turn it into a layer first"
        )
    chosen: list[Gimp.Item] = list(image.get_selected_layers() if items is None else items)
    if len(chosen) != 1:
        if not chosen:
            raise BadInputError("no layer is selected; select one in the Layers dockable")
        raise BadInputError(
            "{layers} layers are selected; select one in the Layers dockable", layers=len(chosen)
        )
    layer = chosen[0]
    if isinstance(layer, Gimp.LayerMask):
        layer = Gimp.Layer.from_mask(layer)
    if not isinstance(layer, Gimp.Layer):
        raise BadInputError("{name!r} is not a layer; select one", name=layer.get_name())
    if layer.get_image().get_id() != image.get_id():
        raise BadInputError("{name!r} is in another image; pass that image", name=layer.get_name())
    if is_preview(layer):
        raise BadInputError("the selected layer is the live preview; select another one")
    return layer


def selection_bounds(image: Gimp.Image) -> Box | None:
    """Return the bounds of the selected area; None if nothing is selected."""
    _, some, left, top, right, bottom = Gimp.Selection.bounds(image)
    return Box(left, top, right - left, bottom - top) if some else None
