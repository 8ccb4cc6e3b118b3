"""Which image is in front, and how to bring our window to the front.

GIMP tells a plug-in which image is meant only when one of its menu entries is chosen.

On X11, where a program can list windows, the title of the topmost GIMP window names the image,
unless the artist has set another format for titles. Elsewhere the artist has to choose.
"""

from __future__ import annotations

import ctypes
import functools
import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import gi

gi.require_version("Gdk", "3.0")
from gi.repository import Gdk  # noqa: E402 - after its version

if TYPE_CHECKING:
    from gi.repository import Gimp, Gtk

_ID = re.compile(r"-(\d+)\.\d+ \(")
_OURS = "Underpaint"  # the beginning of our own window's title


def image_in_title(title: str) -> int | None:
    """Return the id of the image that a GIMP window's title names."""
    found = _ID.findall(title)
    return int(found[-1]) if found else None


def name_in_title(image: Gimp.Image) -> str:
    """Return how the title of an image's window begins, which is unique among the open images."""
    return f"{image.get_name()}-{image.get_id()}"


def choose_image(
    images: Sequence[int], in_front: int | None, chosen: int | None, seen: Collection[int]
) -> int | None:
    """Return the id of the image to work on; None if the artist has to choose one.

    Parameters
    ----------
    images : sequence of int
        The ids of the open images.
    in_front : int or None
        The one in front; None if that cannot be told.
    chosen : int or None
        The one that the artist chose last.
    seen : collection of int
        Those that were open then. The artist may mean one that was opened later.
    """
    if in_front is not None:
        return in_front
    if len(images) == 1:
        return images[0]
    return chosen if chosen in images and set(images) <= set(seen) else None


def image_in_front(images: Sequence[Gimp.Image]) -> Gimp.Image | None:
    """Return the image whose window is the topmost; None if that cannot be told."""
    screen = Gdk.Screen.get_default()
    stack = screen.get_window_stack() if screen is not None else None
    by_id = {image.get_id(): image for image in images}
    for window in reversed(stack or []):
        title = _title(window)
        found = None if title.startswith(_OURS) else image_in_title(title)
        if found in by_id:
            return by_id[found]
    return None


def bring_to_front(window: Gtk.Window) -> None:
    """Bring a window of ours to the front, after the artist has asked for it."""
    stamp, surface = 0, window.get_window()
    if type(surface).__name__.startswith("X11"):
        # GIMP does not pass on the time of the click. Window managers keep a window without one in
        # the back.
        gi.require_version("GdkX11", "3.0")
        from gi.repository import GdkX11  # noqa: PLC0415 - on X11 only

        if isinstance(surface, GdkX11.X11Window):
            stamp = GdkX11.x11_get_server_time(surface)
    window.present_with_time(stamp)


class _TextProperty(ctypes.Structure):
    """Xlib's XTextProperty."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("encoding", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("count", ctypes.c_ulong),
    )


def _title(window: Gdk.Window) -> str:
    """Return the title of a GIMP window; empty for other programs' windows, and without X11.

    GTK 3 does not let Python read the titles of other programs.
    """
    xlib = _xlib()
    if xlib is None or not hasattr(window, "get_xid"):
        return ""
    library, display, atom = xlib
    if "gimp" not in _program(library, display, window.get_xid()).lower():
        return ""
    found = _TextProperty()
    # A window that was closed meanwhile is an error of this connection, which GDK ignores.
    if not library.XGetTextProperty(display, window.get_xid(), ctypes.byref(found), atom):
        return ""
    if not found.value:
        return ""
    title = ctypes.string_at(found.value).decode("utf-8", "replace")
    library.XFree(ctypes.c_void_p(found.value))
    return title


class _ClassHint(ctypes.Structure):
    """Xlib's XClassHint."""

    _fields_ = (("name", ctypes.c_void_p), ("program", ctypes.c_void_p))


def _program(library: ctypes.CDLL, display: ctypes.c_void_p, xid: int) -> str:
    """Return the class of the program that a window belongs to; empty if it has none."""
    found = _ClassHint()
    if not library.XGetClassHint(display, ctypes.c_ulong(xid), ctypes.byref(found)):
        return ""
    program = ctypes.string_at(found.program).decode("utf-8", "replace") if found.program else ""
    for text in (found.name, found.program):
        library.XFree(ctypes.c_void_p(text))
    return program


@functools.cache
def _xlib() -> tuple[ctypes.CDLL, ctypes.c_void_p, int] | None:
    """Return Xlib, a connection of our own and the atom of window titles; None without X11."""
    try:
        library = ctypes.CDLL("libX11.so.6")
    except OSError:
        return None
    library.XOpenDisplay.restype = ctypes.c_void_p
    display = ctypes.c_void_p(library.XOpenDisplay(None))
    if not display:
        return None
    library.XInternAtom.restype = ctypes.c_ulong
    library.XGetTextProperty.argtypes = (
        ctypes.c_void_p, ctypes.c_ulong, ctypes.POINTER(_TextProperty), ctypes.c_ulong,
    )  # fmt: skip
    return library, display, library.XInternAtom(display, b"_NET_WM_NAME", 0)
