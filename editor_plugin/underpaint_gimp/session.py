"""The plug-in's session, on GLib's event loop. There is one for each running GIMP."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp, GLib  # noqa: E402 - after its version

from underpaint_client.frames import Frame  # noqa: E402
from underpaint_client.sentences import Sentence  # noqa: E402
from underpaint_editor.log import open_log  # noqa: E402
from underpaint_editor.session import Session  # noqa: E402
from underpaint_editor.unhandled import catch_unhandled  # noqa: E402

from .canvas import GimpDocument  # noqa: E402

if TYPE_CHECKING:
    from underpaint_editor.contract import Listener

_WAIT = 20  # milliseconds to wait for GIMP's calls at once


def _find_fd_add() -> Callable[[int, int, GLib.IOCondition, Callable[..., bool]], int]:
    """Return GLib's function that watches a descriptor; newer versions have it elsewhere."""
    try:
        gi.require_version("GLibUnix", "2.0")
        from gi.repository import GLibUnix  # noqa: PLC0415 - after its version
    except (ValueError, ImportError):
        return GLib.unix_fd_add_full
    return GLibUnix.fd_add_full


class GimpEventLoop:
    """GLib's event loop; see `contract.EventLoop`."""

    def watch(self, fd: int, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` whenever a descriptor becomes readable; return what stops that."""

        def readable(*_: object) -> bool:
            try:
                callback()
            except Exception:  # noqa: BLE001 - GLib would stop watching
                sys.excepthook(*sys.exc_info())
            return GLib.SOURCE_CONTINUE

        source = _find_fd_add()(GLib.PRIORITY_DEFAULT, fd, GLib.IOCondition.IN, readable)

        def stop() -> None:
            GLib.source_remove(source)

        return stop

    def call_later(self, milliseconds: int, callback: Callable[[], None]) -> None:
        """Call `callback` once, after a delay."""

        def once(*_: object) -> bool:
            callback()
            return GLib.SOURCE_REMOVE

        GLib.timeout_add(milliseconds, once)


class WindowListener:
    """Passes the session's state on to the window, if there is one."""

    def __init__(self) -> None:
        self.window: Listener | None = None

    def show_message(self, text: Sentence) -> None:
        """Show a status message."""
        if self.window is not None:
            self.window.show_message(text)

    def show_progress(self, fraction: float | None) -> None:
        """Show how much of the running job is done."""
        if self.window is not None:
            self.window.show_progress(fraction)

    def show_preview(self, frame: Frame | None) -> None:
        """Show the unfinished image, or remove it."""
        if self.window is not None:
            self.window.show_preview(frame)

    def refresh(self) -> None:
        """Show the session's jobs, models and remedy."""
        if self.window is not None:
            self.window.refresh()


@functools.cache
def listener() -> WindowListener:
    """Return the session's listener; the window sets itself as its `window`."""
    return WindowListener()


@functools.cache
def session() -> Session:
    """Return the session, which is created by the first call."""
    open_log("GIMP", Gimp.version())
    made = Session("GIMP", GimpEventLoop(), listener(), GimpDocument.find)
    catch_unhandled(made.report)
    return made


def wait_until(condition: Callable[[], bool], plugin: Gimp.PlugIn) -> None:
    """Run the event loop until a condition is true. Menu entries work meanwhile."""
    context = GLib.MainContext.default()
    while not condition():
        while context.iteration(False):
            pass
        plugin.persistent_process(_WAIT)
