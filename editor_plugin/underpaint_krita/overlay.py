"""The live preview, shown over the canvas and nowhere in the document.

A layer would be an undo step in Krita, be saved with the document, and be painted on by mistake. So
it is a widget on top of the canvas: it lets all input through, moves with the picture, and goes
when the job ends.

Krita does not say where on the screen a document lies. It follows from zoom, rotation and mirroring
of the canvas, and from its scroll bars, which tell where the box around the picture begins.
"""

from __future__ import annotations

from typing import Any

from krita import Krita

from underpaint_client.geometry import Box, Extent

from .qt import QtCore, QtGui, QtWidgets

_FOLLOW = 30  # milliseconds after which it has moved with the canvas
_CONTROLLER = "KisCanvasController"  # scrolls a canvas, and nothing else
_POINTS = 72  # an inch, by which Krita counts its zoom


_overlays: set[_Overlay] = set()  # Python would forget them, whatever Qt holds


def show(owner: object, document: Any, image: Any, area: Box) -> None:
    """Show an image over a document, wherever that is in front, and where it has been meanwhile.

    Parameters
    ----------
    owner : object
        Whose image it is: each has one, which goes when it says so.
    document : Document
        Krita's.
    image : QImage
        Of any size.
    area : Box
        Where it belongs, in the document's pixels.
    """
    own = [overlay for overlay in _overlays if overlay.owner is owner]
    for window in Krita.instance().windows():
        view = window.activeView()
        if view is None or view.document() != document:
            continue
        canvas = _find_canvas(window.qwindow())
        if canvas is not None and all(overlay.parent() is not canvas for overlay in own):
            own.append(_Overlay(owner, canvas, view))
    for overlay in own:
        overlay.take(image, area)


def hide(owner: object) -> None:
    """Show nothing of an owner's any more."""
    for overlay in list(_overlays):
        if overlay.owner is owner:
            overlay.end()


def set_hidden(document: Any, *, hidden: bool) -> None:
    """Hide for a while what is over a document, or show it again."""
    for overlay in _overlays:
        if overlay.view.document() == document:
            overlay.hidden = hidden
            overlay.setVisible(not hidden)


def _find_canvas(main: Any) -> Any:
    """Find the widget that shows the picture in front; None where this Krita is built otherwise."""
    mdi = main.findChild(QtWidgets.QMdiArea)
    inside = None if mdi is None else mdi.currentSubWindow()
    if inside is None:
        return None
    for area in inside.findChildren(QtWidgets.QAbstractScrollArea):
        if area.metaObject().className() == _CONTROLLER:
            return next((one for one in area.viewport().children() if one.isWidgetType()), None)
    return None


def _way_to_screen(
    extent: Extent, scale: float, angle: float, *, mirrored: bool, scrolled: tuple[int, int]
) -> Any:
    """Return the transformation from a document's pixels to those of its widget.

    Parameters
    ----------
    extent : Extent
        The document's.
    scale : float
        Pixels of the widget for one of the document.
    angle : float
        Degrees, clockwise.
    mirrored : bool
        Left for right, before it is turned.
    scrolled : tuple of int
        What the scroll bars say, across and down.
    """
    turned = QtGui.QTransform()
    turned.rotate(angle)
    turned.scale(-scale if mirrored else scale, scale)
    around = turned.mapRect(QtCore.QRectF(0, 0, extent.width, extent.height))
    moved = QtGui.QTransform.fromTranslate(-scrolled[0] - around.x(), -scrolled[1] - around.y())
    return turned * moved


class _Overlay(QtWidgets.QWidget):
    """An image over one view's canvas; it goes when that does."""

    def __init__(self, owner: object, canvas: Any, view: Any) -> None:
        super().__init__(canvas)
        self.setObjectName("underpaint_preview")
        self.setAttribute(QtCore.Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.NoFocus)
        _overlays.add(self)
        self.destroyed.connect(lambda: _overlays.discard(self))
        self.owner, self.view, self.hidden = owner, view, False
        self._image, self._area = QtGui.QImage(), Box(0, 0, 0, 0)
        self._way = QtGui.QTransform()
        self._bars = canvas.parent().parent()
        self._timer = QtCore.QTimer(self)
        self._timer.timeout.connect(self._follow)
        self._timer.start(_FOLLOW)
        self.lower()  # below the palette that the right button opens

    def take(self, image: Any, area: Box) -> None:
        """Show another image."""
        self._image, self._area = image, area
        self._follow()
        self.setVisible(not self.hidden)
        self.update()

    def end(self) -> None:
        """Show nothing any more."""
        self._timer.stop()
        self.hide()
        _overlays.discard(self)
        self.deleteLater()

    def _follow(self) -> None:
        """Move with the canvas."""
        canvas, document = self.view.canvas(), self.view.document()
        if canvas is None or document is None:  # the view is being closed
            return
        across, down = self._bars.horizontalScrollBar(), self._bars.verticalScrollBar()
        way = _way_to_screen(
            Extent(document.width(), document.height()),
            canvas.zoomLevel() * _POINTS / document.xRes(),
            canvas.rotation(),
            mirrored=canvas.mirror(),
            scrolled=(across.value(), down.value()),
        )
        there = way.mapRect(_rectangle(self._area)).toAlignedRect()
        around = there.intersected(self.parent().rect())
        if way != self._way or around != self.geometry():
            self._way = way
            self.setGeometry(around)
            self.update()

    def paintEvent(self, _event: Any) -> None:  # noqa: N802 - Qt calls it
        """Draw it where the document's own pixels are."""
        painter = QtGui.QPainter(self)
        painter.setRenderHint(QtGui.QPainter.RenderHint.SmoothPixmapTransform)
        painter.setTransform(self._way * QtGui.QTransform.fromTranslate(-self.x(), -self.y()))
        painter.drawImage(_rectangle(self._area), self._image)
        painter.end()


def _rectangle(box: Box) -> Any:
    return QtCore.QRectF(box.x, box.y, box.width, box.height)
