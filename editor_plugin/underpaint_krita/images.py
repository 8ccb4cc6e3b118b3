"""Images in Qt's own format."""

from __future__ import annotations

from underpaint_client.frames import Bytes
from underpaint_client.geometry import Extent
from underpaint_editor.batch import Result

from .qt import QtCore, QtGui


def image_of(rgba: Bytes, extent: Extent) -> QtGui.QImage:
    """Return RGBA pixels of 8 bits as an image."""
    straight = QtGui.QImage.Format.Format_RGBA8888
    image = QtGui.QImage(bytes(rgba), extent.width, extent.height, 4 * extent.width, straight)
    return image.copy()  # the image above does not own its bytes, which are freed on return


def scaled(image: QtGui.QImage, extent: Extent) -> QtGui.QImage:
    """Return an image, scaled smoothly."""
    return image.scaled(
        extent.width,
        extent.height,
        QtCore.Qt.AspectRatioMode.IgnoreAspectRatio,
        QtCore.Qt.TransformationMode.SmoothTransformation,
    )


def pixels_of(result: Result) -> bytes:
    """Return a result's pixels in Krita's order; those of a kept preview at its full size."""
    frame, area = result.frame, result.area
    if area is None:
        return bytes(frame.data)
    return bgra_of(scaled(image_of(frame.data, frame.box.extent), area.extent), area.extent)


def bgra_of(image: QtGui.QImage, extent: Extent) -> bytes:
    """Return an image's pixels in Krita's order, 8 bits, straight alpha."""
    # ARGB32 is BGRA in memory, and its lines have no padding: a pixel has 4 bytes.
    data = image.convertToFormat(QtGui.QImage.Format.Format_ARGB32).constBits()
    return b"" if data is None else data.asstring(4 * extent.pixels)
