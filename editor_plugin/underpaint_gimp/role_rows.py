"""The rows that say what the layer is used as: `layer_role.ROLE_FIELDS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gtk  # noqa: E402 - after its version

from underpaint_editor.layer_role import ROLE_FIELDS  # noqa: E402

from .control_menu import ControlMenu  # noqa: E402
from .controls import Control, make_controls  # noqa: E402


class RoleRows:
    """See the module.

    Parameters
    ----------
    changed : callable
        Called after each change of a value.
    menu : ControlMenu
        Whose button stands below them.
    """

    def __init__(self, changed: Callable[[], None], menu: ControlMenu) -> None:
        made = make_controls(changed, ROLE_FIELDS).all
        names = [field.name for field in ROLE_FIELDS]
        self.controls: Mapping[str, Control] = {name: made[name] for name in names}
        self.widget = Gtk.Grid(column_spacing=8, row_spacing=4)
        self._details: list[Gtk.Widget] = []
        for row, control in enumerate(self.controls.values()):
            label = Gtk.Label(label=control.field.label, halign=Gtk.Align.START)
            self.widget.attach(label, 0, row, 1, 1)
            control.shown.set_hexpand(True)
            self.widget.attach(control.shown, 1, row, 1, 1)
            if row:
                self._details += [label, control.shown]
        for widget in self._details:
            widget.set_no_show_all(True)
        self.widget.attach(menu.button, 0, len(self.controls), 2, 1)

    def show(self, *, enabled: bool, details: bool) -> None:
        """Show the controls, as `Toolkit.show_role`."""
        for control in self.controls.values():
            control.shown.set_sensitive(enabled)
        for widget in self._details:
            widget.set_visible(details)
