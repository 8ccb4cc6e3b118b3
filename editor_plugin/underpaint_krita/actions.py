"""The actions that Krita lists in its menus and shortcut settings."""

from __future__ import annotations

from typing import Any

from krita import Extension, Krita

from .docker import DOCKER
from .qt import QtWidgets

_ACTIONS = {
    "underpaint_generate": ("Underpaint: Generate", "generate"),
    "underpaint_cancel": ("Underpaint: Cancel", "cancel"),
}


class Actions(Extension):
    """Generate and Cancel, also where the docker is hidden."""

    def setup(self) -> None:
        """Do nothing: Krita asks for it before there is a window."""

    def createActions(self, window: Any) -> None:  # noqa: N802 - Krita calls it
        """Return a window its actions."""
        for name, (title, button) in _ACTIONS.items():
            action = window.createAction(name, title, "tools/scripts")
            action.triggered.connect(lambda _=False, b=button: _press(b))


def _press(button: str) -> None:
    """Press a button of the docker in the window in front.

    The `Window` that `createActions` is given cannot be kept: Krita deletes it soon after.
    """
    window = Krita.instance().activeWindow()
    docker = None if window is None else window.qwindow().findChild(QtWidgets.QDockWidget, DOCKER)
    if docker is not None:
        docker.press(button)
