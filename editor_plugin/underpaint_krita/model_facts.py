"""What the chosen model is, below its choice: a small picture, and some sentences."""

from __future__ import annotations

from underpaint_client.frames import Frame

from .images import image_of
from .qt import QtGui, QtWidgets
from .widgets import make_label


class ModelFacts(QtWidgets.QHBoxLayout):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.setSpacing(6)
        self._picture, self._text = make_label("model_picture"), make_label("model_facts")
        self.addWidget(self._picture)
        self.addWidget(self._text, 1)

    def show_model(self, text: str, picture: Frame | None) -> None:
        """Show a model; nothing if there is no text and no picture."""
        self._text.setText(text)
        self._text.setVisible(bool(text))
        self._picture.setVisible(picture is not None)
        if picture is not None:
            image = image_of(picture.data, picture.box.extent)
            self._picture.setPixmap(QtGui.QPixmap.fromImage(image))
