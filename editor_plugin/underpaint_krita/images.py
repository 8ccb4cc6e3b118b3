"""Images in Qt's own format."""

from __future__ import annotations

from underpaint_client.frames import Bytes
from underpaint_client.geometry import Extent

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
