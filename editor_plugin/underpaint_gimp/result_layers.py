"""The layers that results become: in the image's own precision, with kept pixels unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gegl", "0.4")
from gi.repository import Gegl, Gimp  # noqa: E402 - after their versions

from underpaint_client.errors import GenerationFailedError  # noqa: E402
from underpaint_client.frames import Frame  # noqa: E402
from underpaint_client.geometry import Box  # noqa: E402
from underpaint_editor.batch import Result  # noqa: E402
from underpaint_editor.layer_id import LayerId  # noqa: E402
from underpaint_editor.layers import count_batches_above  # noqa: E402
from underpaint_editor.pixels import keep_unchanged  # noqa: E402

from .buffers import fill_scaled, flush_layer, get_pixels, pixel_format, set_pixels  # noqa: E402
from .tree import (  # noqa: E402
    attach_ids,
    batch_of,
    blank_layer,
    is_batch,
    parents,
    remember_selection,
)


@dataclass(frozen=True)
class SentLayer:
    """What a layer was when it was read. The artist may have changed it when results arrive.

    Parameters
    ----------
    frame : Frame
        The pixels that were sent.
    format_name : str
        Their format, with the colour space that the image had.
    bounds : Box
        What the result must cover if it is a whole layer.
    own : str
        The layer's own format, with alpha.
    everything : bytes
        The pixels of `bounds` in the layer's own format; empty if only a patch was asked for.
    precision : Gimp.Precision
        The image's precision.
    profile : Gimp.ColorProfile or None
        The image's colour profile.
    """

    frame: Frame
    format_name: str
    bounds: Box
    own: str
    everything: bytes
    precision: Gimp.Precision
    profile: Gimp.ColorProfile | None


def make_layer(
    image: Gimp.Image, source: Gimp.Layer, result: Result, sent: SentLayer | None
) -> Gimp.Layer:
    """Return a new layer with a result, not yet in the image.

    Parameters
    ----------
    image : Gimp.Image
        The image that it will be inserted into.
    source : Gimp.Layer
        The layer that was read, or the one that stands in for it.
    result : Result
    sent : SentLayer or None
        What was read; None if an earlier start of GIMP did that.
    """
    if result.area is not None:  # a kept preview, which is smaller than its area
        layer = blank_layer(image, result.name, result.area)
        fill_scaled(layer, result.frame.data, result.frame.box.extent)
        return layer
    frame = result.frame
    whole = sent is not None and bool(sent.everything) and sent.frame.box == frame.box
    box = sent.bounds if sent is not None and whole else frame.box
    layer = blank_layer(image, result.name, box)
    # The daemon and most editors mix colours in this space, so a soft edge looks as computed.
    layer.set_blend_space(Gimp.LayerColorSpace.RGB_NON_LINEAR)
    buffer = layer.get_buffer()
    if sent is not None and whole:
        pixels = _keep_own_pixels(sent, frame)
        set_pixels(buffer, Box(0, 0, box.width, box.height), sent.own, pixels)
    else:
        format_name = pixel_format(source, frame.dtype) if sent is None else sent.format_name
        inner = frame.box.moved(-box.x, -box.y)
        set_pixels(buffer, inner, format_name, bytes(frame.data))
    flush_layer(layer, buffer)
    return layer


def _keep_own_pixels(sent: SentLayer, painted: Frame) -> bytes:
    """Return a whole layer in its own format, with a result where that differs from what was sent.

    Sending pixels as 16 bits, or in another encoding, costs precision. So pixels that were not
    painted keep their own value bit for bit, as do those beyond the canvas.
    """
    bounds = sent.bounds
    everywhere = Box(0, 0, bounds.width, bounds.height)
    inner = painted.box.moved(-bounds.x, -bounds.y)
    buffer = Gegl.Buffer.new(sent.own, 0, 0, bounds.width, bounds.height)
    set_pixels(buffer, everywhere, sent.own, sent.everything)
    before = get_pixels(buffer, inner, sent.own)
    set_pixels(buffer, inner, sent.format_name, bytes(painted.data))
    after = get_pixels(buffer, inner, sent.own)
    pixels = painted.box.extent.pixels
    kept = keep_unchanged(bytes(sent.frame.data), bytes(painted.data), before, after, pixels)
    set_pixels(buffer, inner, sent.own, kept)
    return get_pixels(buffer, everywhere, sent.own)


def insert_layers(
    image: Gimp.Image,
    source: Gimp.Layer | None,
    ids: LayerId | None,
    title: str,
    layers: Sequence[Gimp.Layer],
    into: Gimp.Layer | None,
) -> Gimp.GroupLayer:
    """Insert new layers as one group, of which the last is visible, in one undo step.

    What is selected stays selected.

    Parameters
    ----------
    image : Gimp.Image
    source : Gimp.Layer or None
        The layer above which the group goes; None for above all layers.
    ids : LayerId or None
        What to attach to it.
    title : str
        The group's name.
    layers : sequence of Gimp.Layer
        From the lowest to the highest.
    into : Gimp.Layer or None
        The layer of an earlier result. If it is in a group still, the new ones go above it.

    Returns
    -------
    Gimp.GroupLayer
        The group that they are in.

    Raises
    ------
    GenerationFailedError
        If GIMP refuses the layers.
    """
    beside = into.get_parent() if into is not None and into.is_valid() else None
    earlier = [] if into is None or beside is None else batch_of(into)
    parent, position = _insertion_point(image, source)
    restore = remember_selection(image)
    image.undo_group_start()
    try:
        if source is not None and ids is not None:
            attach_ids(source, ids)
        if into is not None and beside is not None:
            group, done, at = beside, True, image.get_item_position(into)
        else:
            group, at = Gimp.GroupLayer.new(image, title), 0
            group.set_mode(Gimp.LayerMode.PASS_THROUGH)
            done = image.insert_layer(group, parent, position)
        for layer in layers:
            layer.set_visible(layer is layers[-1])
            done = done and image.insert_layer(layer, group, at)
        if done:
            for one in earlier:
                one.layer.set_visible(False)
        restore(group)
    finally:
        image.undo_group_end()
    if not done:
        raise GenerationFailedError("GIMP refused the new layers")
    return group


def insert_alone(
    image: Gimp.Image, source: Gimp.Layer | None, ids: LayerId | None, layer: Gimp.Layer
) -> None:
    """Insert one new layer, without a group, in one undo step; parameters as `insert_layers`.

    Raises
    ------
    GenerationFailedError
        If GIMP refuses the layer.
    """
    parent, position = _insertion_point(image, source)
    restore = remember_selection(image)
    image.undo_group_start()
    try:
        if source is not None and ids is not None:
            attach_ids(source, ids)
        done = image.insert_layer(layer, parent, position)
        restore(layer)
    finally:
        image.undo_group_end()
    if not done:
        raise GenerationFailedError("GIMP refused the new layer")


def _insertion_point(
    image: Gimp.Image, source: Gimp.Layer | None
) -> tuple[Gimp.GroupLayer | None, int]:
    """Return the parent of a new group, None for the image itself, and its position there.

    That is above the layer, or above the highest locked group around it, and above the groups of
    results that lie directly above that.
    """
    if source is None:
        return None, 0
    below = source
    for group in parents(source):
        if group.get_lock_content():
            below = group
    parent = below.get_parent()
    siblings = image.get_layers() if parent is None else parent.get_children()
    at = image.get_item_position(below)
    above = [is_batch(one) for one in reversed(siblings[:at])]
    return parent, at - count_batches_above(above)
