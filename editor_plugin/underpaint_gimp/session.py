"""The session of this GIMP, on GLib's event loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, GLib  # noqa: E402 - after its version

from underpaint_editor.log import open_log  # noqa: E402
from underpaint_editor.session import Session  # noqa: E402

from .canvas import GimpDocument  # noqa: E402

_PERSIST = 20  # milliseconds that GIMP is listened to at once


class _EventLoop:
    def watch(self, fd: int, callback: Callable[[], None]) -> Callable[[], None]:
        def awake(*_: object) -> bool:
            callback()
            return bool(GLib.SOURCE_CONTINUE)

        source = GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, fd, GLib.IOCondition.IN, awake)
        return lambda: GLib.source_remove(source)

    def call_later(self, milliseconds: int, callback: Callable[[], None]) -> None:
        def once(*_: object) -> bool:
            callback()
            return bool(GLib.SOURCE_REMOVE)

        GLib.timeout_add(milliseconds, once)


class WindowListener:
    """Shows the session's state in the window, once there is one."""

    def __init__(self) -> None:
        self.window: Any = None

    def show_message(self, text: str) -> None:
        """Show a status message."""
        if self.window is not None:
            self.window.show_message(text)

    def show_progress(self, fraction: float | None) -> None:
        """Show how much of the running job is done."""
        if self.window is not None:
            self.window.show_progress(fraction)

    def show_preview(self, frame: Any) -> None:
        """Show the unfinished image."""
        if self.window is not None:
            self.window.show_preview(frame)

    def refresh(self) -> None:
        """Show the session's jobs, models and remedy."""
        if self.window is not None:
            self.window.refresh()


@functools.cache
def listener() -> WindowListener:
    """Return the listener, to give it the window."""
    return WindowListener()


@functools.cache
def session() -> Session:
    """Return the one session of this GIMP."""
    open_log("GIMP", Gimp.version())
    return Session("GIMP", _EventLoop(), listener(), GimpDocument.find)


def wait_until(condition: Callable[[], bool], plugin: Any) -> None:
    """Let the event loop run until something is so, and GIMP call what its menu has."""
    context = GLib.MainContext.default()
    while not condition():
        while context.iteration(False):
            pass
        plugin.persistent_process(_PERSIST)
