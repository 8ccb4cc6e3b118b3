"""The button that makes a control layer of the layer: it opens a menu with the kinds."""

from __future__ import annotations

from collections.abc import Callable

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import Gdk, Gtk  # noqa: E402 - after their versions

from underpaint_editor.lists import ListedChoice  # noqa: E402

from .widgets import set_up_button  # noqa: E402


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
        self.button = set_up_button("make_control", Gtk.Button())
        self.button.connect("clicked", lambda _: self._open())
        self.menu = Gtk.Menu()
        self.menu.attach_to_widget(self.button, None)

    def _open(self) -> None:
        """Show the menu below the button."""
        for item in self.menu.get_children():
            self.menu.remove(item)
        for choice in self._list_choices():
            item = Gtk.MenuItem(label=choice.label)
            item.connect("activate", lambda _, kind=choice.value: self._make(kind))
            self.menu.append(item)
        self.menu.show_all()
        below, above = Gdk.Gravity.SOUTH_WEST, Gdk.Gravity.NORTH_WEST
        self.menu.popup_at_widget(self.button, below, above, None)
