"""The button that makes a control layer of the layer: it opens a menu with the kinds."""

from __future__ import annotations

import functools
from collections.abc import Callable

from underpaint_editor.lists import ListedChoice

from .qt import QtWidgets
from .widgets import set_up_button


class ControlMenu:
    """See the module.

    Parameters
    ----------
    list_choices : callable
        Returns the kinds, when the menu opens.
    make : callable
        Called with the kind that was chosen.
    """

    def __init__(
        self, list_choices: Callable[[], list[ListedChoice]], make: Callable[[str], None]
    ) -> None:
        self._list_choices, self._make = list_choices, make
        self.button = set_up_button("make_control", QtWidgets.QPushButton())
        self.button.clicked.connect(self._open)
        self.menu = QtWidgets.QMenu(self.button)

    def _open(self) -> None:
        """Show the menu below the button. Unlike `QPushButton.setMenu`, this does not wait."""
        self.menu.clear()
        for choice in self._list_choices():
            action = self.menu.addAction(choice.label)
            action.triggered.connect(functools.partial(self._choose, choice.value))
        self.menu.popup(self.button.mapToGlobal(self.button.rect().bottomLeft()))

    def _choose(self, kind: str, _checked: bool = False) -> None:
        self._make(kind)
