"""The actions that Krita lists in its menus and shortcut settings."""

from __future__ import annotations

from krita import Extension, Krita, Window

from underpaint_client.sentences import sentence

from .docker import DOCKER, UnderpaintDocker
from .qt import QtWidgets

_ACTIONS = {
    "underpaint_generate": (sentence("Underpaint: Generate"), "generate"),
    "underpaint_cancel": (sentence("Underpaint: Cancel"), "cancel"),
    "underpaint_previous": (sentence("Underpaint: Previous Result"), "previous"),
    "underpaint_next": (sentence("Underpaint: Next Result"), "next"),
    "underpaint_keep": (sentence("Underpaint: Keep Result"), "keep"),
    "underpaint_vary": (sentence("Underpaint: Vary Result"), "vary"),
}
"""By their names, which `underpaint.action` lists too: the title, and the docker's button."""


class Actions(Extension):
    """What the docker's buttons do. The actions work while it is hidden, too."""

    def setup(self) -> None:
        """Do nothing: Krita calls this before there is a window."""

    def createActions(self, window: Window) -> None:  # noqa: N802 - Krita calls it
        """Add the actions to a window."""
        for name, (title, button) in _ACTIONS.items():
            action = window.createAction(name, title, "tools/scripts")
            action.triggered.connect(lambda _=False, b=button: _press(b))


def _press(button: str) -> None:
    """Press a button of the docker in the active window.

    The `Window` that `createActions` receives cannot be kept: Krita deletes it soon after.
    """
    window = Krita.instance().activeWindow()
    main = None if window is None else window.qwindow()
    docker = None if main is None else main.findChild(QtWidgets.QDockWidget, DOCKER)
    if isinstance(docker, UnderpaintDocker):
        docker.press(button)
