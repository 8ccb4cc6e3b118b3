"""What can be done with the selected result: the thumbnails of its batch, and the buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from underpaint_editor.buttons import RESULT_BUTTONS
from underpaint_editor.results import THUMBNAIL_COLUMNS, THUMBNAIL_SIDE, THUMBNAILS, Thumbnail

from .qt import QtCore, QtGui, QtWidgets
from .widgets import highlighted, make_label, set_enabled, set_up_button

_ARROW, _NARROW = 32, 40  # pixels of the narrowest buttons, for a docker of 250 pixels


class ThumbnailButton(QtWidgets.QToolButton):
    """The thumbnail of a result, with its caption.

    Parameters
    ----------
    chosen : callable
        Called with the result's index when the button is clicked.
    """

    def __init__(self, chosen: Callable[[int], None]) -> None:
        super().__init__()
        self._index = 0
        self.setToolButtonStyle(QtCore.Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        self.setIconSize(QtCore.QSize(THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        self.setCheckable(True)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Ignored, self.sizePolicy().verticalPolicy())
        self.clicked.connect(lambda: chosen(self._index))

    def show_result(self, thumbnail: Thumbnail | None, image: QtGui.QImage | None) -> None:
        """Show a result, or hide the button if there is none."""
        self.setVisible(thumbnail is not None)
        if thumbnail is None or image is None:
            return
        self._index = thumbnail.index
        self.setIcon(QtGui.QIcon(QtGui.QPixmap.fromImage(image)))
        self.setText(f"{thumbnail.seed}\n{thumbnail.amount}")
        self.setToolTip(thumbnail.tip)
        self.setAccessibleName(thumbnail.tip)
        self.setChecked(thumbnail.shown)
        self.setAutoRaise(not thumbnail.shown)


class ResultRow(QtWidgets.QWidget):
    """See the module.

    Parameters
    ----------
    amount : QWidget
        The control for the amount of variation, which goes beside its button.
    chosen : callable
        Called with the index of a result whose thumbnail is clicked.
    pressed : callable
        Called with the name of a button that is clicked, except `compare`.
    """

    def __init__(
        self,
        amount: QtWidgets.QWidget,
        chosen: Callable[[int], None],
        pressed: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.buttons = {
            name: set_up_button(name, QtWidgets.QPushButton()) for name in RESULT_BUTTONS
        }
        self.thumbnails = [ThumbnailButton(chosen) for _ in range(THUMBNAILS)]
        self._page = make_label("page")
        buttons = self.buttons
        for name, button in buttons.items():
            button.setMinimumWidth(_NARROW)
            if name != "compare":
                button.clicked.connect(lambda _=False, n=name: pressed(n))
        for name in ("previous", "next"):
            buttons[name].setFixedWidth(_ARROW)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(self._make_grid())
        column.addWidget(self._page)
        lines: tuple[list[QtWidgets.QWidget], ...] = (
            [buttons[name] for name in ("previous", "next", "compare", "keep")],
            [buttons["vary"], amount, buttons["settings"]],
        )
        for line in lines:
            row = QtWidgets.QHBoxLayout()
            row.setSpacing(4)
            for widget in line:
                row.addWidget(widget, int(widget in (buttons["compare"], buttons["keep"])))
            column.addLayout(row)

    def show_buttons(self, enabled: Mapping[str, bool] | None, page: str) -> None:
        """Show the row for a result, or hide it; see `contract.Toolkit.show_result_buttons`."""
        self.setVisible(enabled is not None)
        self._page.setText(page)
        self._page.setVisible(bool(page))
        for name, usable in (enabled or {}).items():
            set_enabled(self.buttons[name], usable)

    def show_thumbnail(
        self, slot: int, thumbnail: Thumbnail | None, image: QtGui.QImage | None
    ) -> None:
        """Show one of the batch's results, or hide its slot."""
        button = self.thumbnails[slot]
        button.show_result(thumbnail, image)
        if thumbnail is not None:
            # The theme's colours and font may have changed since the last time.
            button.setFont(self._page.font())
            shown = thumbnail.shown
            button.setPalette(highlighted(self.palette()) if shown else self.palette())

    def _make_grid(self) -> QtWidgets.QGridLayout:
        """Return the grid of the batch's thumbnails."""
        grid = QtWidgets.QGridLayout()
        grid.setSpacing(2)
        for slot, button in enumerate(self.thumbnails):
            button.setObjectName(f"result_{slot}")
            grid.addWidget(button, slot // THUMBNAIL_COLUMNS, slot % THUMBNAIL_COLUMNS)
        for column in range(THUMBNAIL_COLUMNS):
            grid.setColumnStretch(column, 1)
        return grid
