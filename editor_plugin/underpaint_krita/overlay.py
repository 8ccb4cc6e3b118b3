"""The live preview, drawn over the canvas and not in the document.

A layer would be an undo step in Krita, be saved with the document, and be painted on by mistake. So
the preview is a widget on top of the canvas. It lets all input through, moves with the canvas, and
is removed when the job ends.

From 5.2 on, Krita tells where on the screen a document is. Before, the position follows from the
canvas's zoom, rotation and mirroring, and from its scroll bars, which tell where the image's
bounding box begins.
"""

from __future__ import annotations

from krita import Document, Krita, View

from underpaint_client.geometry import Box, Extent

from .qt import QtCore, QtGui, QtWidgets

_FOLLOW = 30  # milliseconds until the preview has moved with the canvas
_CONTROLLER = "KisCanvasController"  # the class of the scroll area around a canvas
_POINTS = 72  # per inch, in which Krita measures its zoom up to 5.2


_overlays: set[_Overlay] = set()  # Python would delete them, even if Qt holds them


def show(owner: object, document: Document, image: QtGui.QImage, area: Box) -> None:
    """Show an image over a document, in each view of it that is or was in front.

    Parameters
    ----------
    owner : object
        Whose image it is. Each owner has one image, until it calls `hide`.
    document : Document
        Krita's document.
    image : QImage
        Of any size.
    area : Box
        Where to draw it, in the document's pixels.
    """
    own = [overlay for overlay in _overlays if overlay.owner is owner]
    for window in Krita.instance().windows():
        view, main = window.activeView(), window.qwindow()
        if view is None or main is None or view.document() != document:
            continue
        found = find_canvas(main)
        if found is not None and all(overlay.parentWidget() is not found[0] for overlay in own):
            own.append(_Overlay(owner, *found, view))
    for overlay in own:
        overlay.show_image(image, area)


def hide(owner: object) -> None:
    """Remove the image of an owner."""
    for overlay in list(_overlays):
        if overlay.owner is owner:
            overlay.remove()


def set_hidden(document: Document, *, hidden: bool) -> None:
    """Hide the images over a document for a while, or show them again."""
    for overlay in _overlays:
        if overlay.view.document() == document:
            overlay.hidden = hidden
            overlay.setVisible(not hidden)


def find_canvas(
    main: QtWidgets.QMainWindow,
) -> tuple[QtWidgets.QWidget, QtWidgets.QAbstractScrollArea] | None:
    """Return the canvas in front and the area that scrolls it; None if Krita has changed them."""
    mdi = main.findChild(QtWidgets.QMdiArea)
    inside = None if mdi is None else mdi.currentSubWindow()
    if inside is None:
        return None
    for area in inside.findChildren(QtWidgets.QAbstractScrollArea):
        if area.metaObject().className() == _CONTROLLER:
            children = area.viewport().children()
            canvas = next((one for one in children if isinstance(one, QtWidgets.QWidget)), None)
            return None if canvas is None else (canvas, area)
    return None


def _canvas_transform(
    extent: Extent, scale: float, angle: float, *, mirrored: bool, scrolled: tuple[int, int]
) -> QtGui.QTransform:
    """Return the transformation from a document's pixels to those of the canvas widget.

    Parameters
    ----------
    extent : Extent
        The document's size.
    scale : float
        Pixels of the widget for one of the document.
    angle : float
        Degrees, clockwise.
    mirrored : bool
        Whether left and right are swapped, before the rotation.
    scrolled : tuple of int
        The values of the scroll bars, horizontal and vertical.
    """
    turned = QtGui.QTransform()
    turned.rotate(angle)
    turned.scale(-scale if mirrored else scale, scale)
    around = turned.mapRect(QtCore.QRectF(0, 0, extent.width, extent.height))
    moved = QtGui.QTransform.fromTranslate(-scrolled[0] - around.x(), -scrolled[1] - around.y())
    return turned * moved


class _Overlay(QtWidgets.QWidget):
    """An image over one view's canvas. It is deleted with the canvas."""

    def __init__(
        self,
        owner: object,
        canvas: QtWidgets.QWidget,
        area: QtWidgets.QAbstractScrollArea,
        view: View,
    ) -> None:
        super().__init__(canvas)
        self.setObjectName("underpaint_preview")
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        _overlays.add(self)
        self.destroyed.connect(lambda: _overlays.discard(self))
        self.owner, self.view, self.hidden = owner, view, False
        self._canvas, self._scroll = canvas, area
        self._image, self._area = QtGui.QImage(), Box(0, 0, 0, 0)
        self._transform = QtGui.QTransform()
        self._timer = QtCore.QTimer(self)
        self._timer.timeout.connect(self._follow)
        self._timer.start(_FOLLOW)
        self.lower()  # below the palette that a right click opens

    def show_image(self, image: QtGui.QImage, area: Box) -> None:
        """Show another image."""
        self._image, self._area = image, area
        self._follow()
        self.setVisible(not self.hidden)
        self.update()

    def remove(self) -> None:
        """Delete the widget."""
        self._timer.stop()
        self.hide()
        _overlays.discard(self)
        self.deleteLater()

    def _follow(self) -> None:
        """Move with the canvas."""
        canvas, document = self.view.canvas(), self.view.document()
        if canvas is None or document is None:  # the view is being closed
            return
        if hasattr(self.view, "flakeToCanvasTransform"):
            from_image, _ = self.view.flakeToImageTransform().inverted()
            transform = from_image * self.view.flakeToCanvasTransform()
        else:
            bars = self._scroll.horizontalScrollBar(), self._scroll.verticalScrollBar()
            transform = _canvas_transform(
                Extent(document.width(), document.height()),
                canvas.zoomLevel() * _POINTS / document.xRes(),
                canvas.rotation(),
                mirrored=canvas.mirror(),
                scrolled=(bars[0].value(), bars[1].value()),
            )
        target = transform.mapRect(_rectangle(self._area)).toAlignedRect()
        visible = target.intersected(self._canvas.rect())
        if transform != self._transform or visible != self.geometry():
            self._transform = transform
            self.setGeometry(visible)
            self.update()

    def paintEvent(self, _event: QtCore.QEvent) -> None:  # noqa: N802 - Qt calls it
        """Draw the image where the document's own pixels are."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.SmoothPixmapTransform)
        offset = QtGui.QTransform.fromTranslate(-self.x(), -self.y())
        painter.setTransform(self._transform * offset)
        painter.drawImage(_rectangle(self._area), self._image)
        painter.end()


def _rectangle(box: Box) -> QtCore.QRectF:
    return QtCore.QRectF(box.x, box.y, box.width, box.height)
