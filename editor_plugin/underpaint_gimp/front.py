"""Which image is in front, and bringing our window there.

GIMP tells a plug-in which image is meant only when one of its menu entries is chosen.

Where windows can be seen (X11), the title of the topmost GIMP window names the image, as it does
unless the artist has chosen another format for titles. Elsewhere nothing is known, and the artist
chooses.
"""

from __future__ import annotations

import ctypes
import functools
import re
from collections.abc import Collection, Sequence
from typing import Any

import gi

gi.require_version("Gdk", "3.0")
from gi.repository import Gdk  # noqa: E402 - after its version

_ID = re.compile(r"-(\d+)\.\d+ \(")
_OURS = "Underpaint"  # how our own window's title begins


def image_in_title(title: str) -> int | None:
    """Return the id of the image that a GIMP window's title names."""
    found = _ID.findall(title)
    return int(found[-1]) if found else None


def name_in_title(image: Any) -> str:
    """Return what the title of an image's window begins with: no two images are called alike."""
    return f"{image.get_name()}-{image.get_id()}"


def choose_image(
    images: Sequence[int], in_front: int | None, chosen: int | None, seen: Collection[int]
) -> int | None:
    """Return the id of the image to paint on; None where the artist has to say which.

    Parameters
    ----------
    images : sequence of int
        The ids of all that are open.
    in_front : int or None
        Of that in front; None where that cannot be seen.
    chosen : int or None
        Of that which the artist chose last.
    seen : collection of int
        Of those that were open then. One that was opened later may be the one that is meant now.
    """
    if in_front is not None:
        return in_front
    if len(images) == 1:
        return images[0]
    return chosen if chosen in images and set(images) <= set(seen) else None


def image_in_front(images: Sequence[Any]) -> Any | None:
    """Return the image, of these, whose window is the topmost; None where nobody can know."""
    screen = Gdk.Screen.get_default()
    stack = screen.get_window_stack() if screen is not None else None
    by_id = {image.get_id(): image for image in images}
    for window in reversed(stack or []):
        title = _title(window)
        found = None if title.startswith(_OURS) else image_in_title(title)
        if found in by_id:
            return by_id[found]
    return None


def bring_to_front(window: Any) -> None:
    """Bring a window of ours to the front, as the artist has just asked for it."""
    stamp = 0
    if type(window.get_window()).__name__.startswith("X11"):
        # GIMP passes no time of the click on; without one, window managers keep it in the back.
        gi.require_version("GdkX11", "3.0")
        from gi.repository import GdkX11  # noqa: PLC0415 - on X11 alone

        stamp = GdkX11.x11_get_server_time(window.get_window())
    window.present_with_time(stamp)


class _TextProperty(ctypes.Structure):
    """Xlib's XTextProperty."""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("encoding", ctypes.c_ulong),
        ("format", ctypes.c_int),
        ("count", ctypes.c_ulong),
    )


def _title(window: Any) -> str:
    """Return a window's title; GTK 3 does not let Python read those of other programs."""
    xlib = _xlib()
    if xlib is None or not hasattr(window, "get_xid"):
        return ""
    library, display, atom = xlib
    if "gimp" not in _program(library, display, window.get_xid()).lower():
        return ""
    found = _TextProperty()
    # A window that is gone meanwhile is an error, which GDK passes over: it is not its connection.
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


def _program(library: Any, display: Any, xid: int) -> str:
    """Return the class of the program that a window belongs to."""
    found = _ClassHint()
    if not library.XGetClassHint(display, ctypes.c_ulong(xid), ctypes.byref(found)):
        return ""
    program = ctypes.string_at(found.program).decode("utf-8", "replace") if found.program else ""
    for text in (found.name, found.program):
        library.XFree(ctypes.c_void_p(text))
    return program


@functools.cache
def _xlib() -> tuple[Any, Any, int] | None:
    """Give Xlib, a connection of our own and what titles are kept under; None without X11."""
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
