"""The button that gives a layer an alpha channel, without which nothing can be erased."""

from __future__ import annotations

from collections.abc import Callable

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import Gimp, Gtk  # noqa: E402 - after their versions

from .tree import parents  # noqa: E402
from .widgets import set_up_button  # noqa: E402


class AlphaButton:
    """See the module.

    Parameters
    ----------
    changed : callable
        Called when a layer was given its alpha channel.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._layer: Gimp.Layer | None = None
        self.widget = set_up_button("add_alpha", Gtk.Button(no_show_all=True))
        self.widget.connect("clicked", lambda _: self._add())

    def show(self, layer: Gimp.Layer | None) -> None:
        """Show the button for a layer that has no alpha channel and may be given one."""
        self._layer = layer if layer is not None and _can_have_one(layer) else None
        self.widget.set_visible(self._layer is not None)

    def _add(self) -> None:
        layer = self._layer
        if layer is not None and layer.is_valid() and _can_have_one(layer):
            layer.add_alpha()
            Gimp.displays_flush()
        self._changed()


def _can_have_one(layer: Gimp.Layer) -> bool:
    """Return whether a layer has no alpha channel and no lock, which would end the plug-in."""
    locked = any(one.get_lock_content() for one in (layer, *parents(layer)))
    return not layer.has_alpha() and not locked
