"""The window with the models that can be downloaded. It stays open beside Krita's own."""

from __future__ import annotations

from underpaint_editor.model_downloads import TITLE, ModelDownloads, Offer

from .qt import QtCore, QtGui, QtWidgets

_WIDTH, _HEIGHT = 520, 480  # pixels


class DownloadsDialog(QtWidgets.QDialog):
    """See the module.

    Parameters
    ----------
    downloads : ModelDownloads
        The session's.
    parent : QWidget
        The docker.
    """

    def __init__(self, downloads: ModelDownloads, parent: QtWidgets.QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("downloads")
        self.setWindowTitle(TITLE)
        self.resize(_WIDTH, _HEIGHT)
        self._downloads = downloads
        self.destroyed.connect(downloads.forget_window)
        self._rows: dict[str, _Row] = {}
        self.heading = _make_text("heading")
        self.footer = _make_text("footer")
        self.footer.setText(downloads.footer)
        body = QtWidgets.QWidget()
        self._column = QtWidgets.QVBoxLayout(body)
        self._column.setSpacing(12)
        self._column.addStretch(1)
        scroll = QtWidgets.QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(body)
        column = QtWidgets.QVBoxLayout(self)
        column.addWidget(self.heading)
        column.addWidget(scroll, 1)
        column.addWidget(self.footer)

    def open_window(self) -> None:
        """Show the window, and ask the daemon for its suggestions."""
        self._downloads.on_change = self._show
        self._downloads.open()
        self.show()
        self.raise_()
        self.activateWindow()

    def _show(self) -> None:
        self.heading.setText(self._downloads.heading)
        for index, offer in enumerate(self._downloads.offers):
            if offer.model not in self._rows:
                self._rows[offer.model] = row = _Row(offer.model, self._downloads)
                self._column.insertWidget(index, row)
            self._rows[offer.model].show_offer(offer)


class _Row(QtWidgets.QWidget):
    """A model: what it is good for, how far its download is, and a button."""

    def __init__(self, model: str, downloads: ModelDownloads) -> None:
        super().__init__()
        self.setObjectName(model)
        self._offer: Offer | None = None
        self._downloads = downloads
        self._title, self._details = _make_text("title"), _make_text("details")
        bold = QtGui.QFont(self._title.font())
        bold.setBold(True)
        self._title.setFont(bold)
        self._status = _make_text("status")
        self._bar = QtWidgets.QProgressBar()
        self._bar.setObjectName("bar")
        self._bar.setRange(0, 1000)
        self._bar.setTextVisible(False)
        self._bar.setFixedHeight(8)
        self._button = QtWidgets.QPushButton()
        self._button.setObjectName("button")
        self._button.setAutoDefault(False)  # else Enter in this window would press it
        self._button.clicked.connect(self._press)
        grid = QtWidgets.QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(2)
        grid.addWidget(self._title, 0, 0)
        grid.addWidget(self._details, 1, 0)
        grid.addWidget(self._status, 2, 0)
        grid.addWidget(self._bar, 3, 0)
        grid.addWidget(self._button, 0, 1, 2, 1, QtCore.Qt.AlignmentFlag.AlignTop)
        grid.setColumnStretch(0, 1)

    def _press(self) -> None:
        if self._offer is not None:
            self._downloads.press(self._offer)

    def show_offer(self, offer: Offer) -> None:
        """Show how the model is now."""
        if offer == self._offer:
            return
        self._offer = offer
        self._title.setText(offer.title)
        self._details.setText(offer.details)
        self._status.setText(offer.status)
        self._status.setVisible(bool(offer.status))
        self._bar.setVisible(offer.fraction is not None)
        self._bar.setValue(round(1000 * (offer.fraction or 0)))
        self._button.setText(offer.button)
        self._button.setAccessibleName(f"{offer.button} {offer.title}")
        self._button.setVisible(bool(offer.button))


def _make_text(name: str) -> QtWidgets.QLabel:
    label = QtWidgets.QLabel()
    label.setObjectName(name)
    label.setWordWrap(True)
    label.setTextFormat(QtCore.Qt.TextFormat.PlainText)
    label.setTextInteractionFlags(QtCore.Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
