"""The session of this GIMP, on GLib's event loop."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from gi.repository import GLib

from underpaint_editor.session import Session

from .canvas import Place

_GLANCE = 20  # milliseconds that GIMP is listened to at once


class _Loop:
    def watch(self, fd: int, call: Callable[[], None]) -> Callable[[], None]:
        def awake(*_: object) -> bool:
            call()
            return bool(GLib.SOURCE_CONTINUE)

        source = GLib.unix_fd_add_full(GLib.PRIORITY_DEFAULT, fd, GLib.IOCondition.IN, awake)
        return lambda: GLib.source_remove(source)

    def later(self, milliseconds: int, call: Callable[[], None]) -> None:
        def once(*_: object) -> bool:
            call()
            return bool(GLib.SOURCE_REMOVE)

        GLib.timeout_add(milliseconds, once)


class Listeners:
    """Passes on what the session says to the window, once there is one."""

    def __init__(self) -> None:
        self.window: Any = None

    def said(self, text: str) -> None:
        """Pass it on."""
        if self.window is not None:
            self.window.said(text)

    def moved(self, fraction: float | None) -> None:
        """Pass it on."""
        if self.window is not None:
            self.window.moved(fraction)

    def previewed(self, frame: Any) -> None:
        """Pass it on."""
        if self.window is not None:
            self.window.previewed(frame)

    def changed(self) -> None:
        """Pass it on."""
        if self.window is not None:
            self.window.changed()


@functools.cache
def listeners() -> Listeners:
    """Return what the session tells."""
    return Listeners()


@functools.cache
def session() -> Session:
    """Return the one session of this GIMP."""
    return Session("GIMP", _Loop(), listeners(), Place.find)


def wait_until(condition: Callable[[], bool], plugin: Any) -> None:
    """Let the event loop run until something is so, and GIMP call what its menu has."""
    context = GLib.MainContext.default()
    while not condition():
        while context.iteration(False):
            pass
        plugin.persistent_process(_GLANCE)
