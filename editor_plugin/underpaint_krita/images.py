"""Images of Qt's."""

from __future__ import annotations

from typing import Any

from underpaint_client.geometry import Extent

from .qt import QtCore, QtGui


def image_of(rgba: Any, extent: Extent) -> Any:
    """Give RGBA pixels of 8 bits as an image of Qt's."""
    straight = QtGui.QImage.Format.Format_RGBA8888
    image = QtGui.QImage(bytes(rgba), extent.width, extent.height, 4 * extent.width, straight)
    return image.copy()  # its own: the bytes above are gone when this returns


def scaled(image: Any, extent: Extent) -> Any:
    """Scale an image of Qt's, smoothly."""
    return image.scaled(
        extent.width,
        extent.height,
        QtCore.Qt.AspectRatioMode.IgnoreAspectRatio,
        QtCore.Qt.TransformationMode.SmoothTransformation,
    )
