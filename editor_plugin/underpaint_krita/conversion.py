"""Convert pixels between the colour space of a layer and sRGB, which is sent, by Krita itself."""

from __future__ import annotations

from dataclasses import dataclass

from krita import Document, Node

from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_editor.pixels import keep_unchanged

from .qt import QtCore
from .tree import created

ColourSpace = tuple[str, str, str]
"""Krita's names of a colour model, a depth and a profile."""

_SRGB = "sRGB-elle-V2-srgbtrc.icc"


@dataclass(frozen=True)
class SentLayer:
    """What a layer was when it was read.

    Parameters
    ----------
    frame : Frame
        The pixels that were sent.
    space : ColourSpace
        The layer's.
    pixels : bytes
        The same pixels in that space.
    """

    frame: Frame
    space: ColourSpace
    pixels: bytes


def space_of(node: Node | Document) -> ColourSpace:
    """Return the colour space of a layer or a document."""
    return node.colorModel(), node.colorDepth(), node.colorProfile()


def srgb(dtype: str) -> ColourSpace:
    """Return the colour space of what is sent, and of what comes back, at a depth of the wire."""
    return "RGBA", {"u1": "U8", "u2": "U16"}[dtype], _SRGB


def to_srgb(document: Document, node: Node, pixels: bytes, box: Box) -> Frame:
    """Return a layer's pixels as sRGB: 8 bits if it has no more, else 16."""
    own, dtype = space_of(node), "u1" if node.colorDepth() == "U8" else "u2"
    if own == srgb(dtype):
        return Frame("layer", box, dtype, "BGRA", pixels)
    edges = (box.x, box.y, box.width, box.height)
    # Krita's duplicate of the layer would lose the masks. This layer is never attached.
    copy = created(document.createNode("underpaint", "paintlayer"))
    copy.setColorSpace(*own)
    copy.setPixelData(QtCore.QByteArray(pixels), *edges)
    copy.setColorSpace(*srgb(dtype))
    return Frame("layer", box, dtype, "BGRA", copy.pixelData(*edges).data())


def fill_layer(
    layer: Node, box: Box, pixels: bytes, dtype: str, space: ColourSpace, sent: SentLayer | None
) -> None:
    """Fill a new layer with what came back, and give it a colour space.

    Parameters
    ----------
    layer : Node
        Not yet in the document.
    box : Box
        Where the pixels lie.
    pixels : bytes
        BGRA, sRGB.
    dtype : str
        Their depth, as the wire has it.
    space : ColourSpace
        What the layer is to have.
    sent : SentLayer or None
        What was read, where what came back is a whole layer: what did not change keeps its own
        bytes, which the way to sRGB and back may have rounded.
    """
    edges = (box.x, box.y, box.width, box.height)
    layer.setColorSpace(*srgb(dtype))
    layer.setPixelData(QtCore.QByteArray(pixels), *edges)
    if space == srgb(dtype):
        return
    layer.setColorSpace(*space)
    if sent is not None and (sent.space, sent.frame.box, sent.frame.dtype) == (space, box, dtype):
        after = layer.pixelData(*edges).data()
        count = box.extent.pixels
        kept = keep_unchanged(bytes(sent.frame.data), pixels, sent.pixels, after, count)
        layer.setPixelData(QtCore.QByteArray(kept), *edges)
