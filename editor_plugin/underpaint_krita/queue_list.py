"""The list of this editor's jobs, which is shown if there are several."""

from __future__ import annotations

from collections.abc import Sequence

from underpaint_editor.lists import QueueEntry
from underpaint_editor.session import Session

from .qt import QtCore, QtWidgets
from .widgets import set_up_button


class QueueList(QtWidgets.QVBoxLayout):
    """A line for each job, with its position and two buttons.

    Parameters
    ----------
    session : Session
        Its jobs are preferred or cancelled by the buttons.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.setSpacing(2)
        self._session = session
        self._entries: Sequence[QueueEntry] = ()

    def show_entries(self, entries: Sequence[QueueEntry]) -> None:
        """Show jobs in this order; do nothing if they are shown already."""
        if list(entries) == list(self._entries):
            return
        self._entries = entries
        while (item := self.takeAt(0)) is not None:
            old = item.widget()
            if old is not None:
                old.hide()
                old.deleteLater()
        for entry in entries:
            self.addWidget(self._make_line(entry))

    def _make_line(self, entry: QueueEntry) -> QtWidgets.QWidget:
        line = QtWidgets.QWidget()
        line.setObjectName("job")
        row = QtWidgets.QHBoxLayout(line)
        row.setContentsMargins(0, 0, 0, 0)
        label = QtWidgets.QLabel(entry.text)
        label.setTextFormat(QtCore.Qt.TextFormat.PlainText)
        label.setSizePolicy(
            QtWidgets.QSizePolicy.Policy.Ignored, label.sizePolicy().verticalPolicy()
        )
        row.addWidget(label, 1)
        hurry = set_up_button("hurry", QtWidgets.QToolButton())
        hurry.setEnabled(entry.waits)
        hurry.clicked.connect(lambda: self._session.prefer(entry.job))
        row.addWidget(hurry)
        drop = set_up_button("drop", QtWidgets.QToolButton())
        drop.clicked.connect(lambda: self._session.cancel(entry.job))
        row.addWidget(drop)
        return line
