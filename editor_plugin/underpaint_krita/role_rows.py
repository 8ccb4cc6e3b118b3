"""The rows that say what the layer is used as: `layer_role.ROLE_FIELDS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from underpaint_editor.layer_role import ROLE_FIELDS, fields_of

from .control_menu import ControlMenu
from .controls import Control, make_controls
from .qt import QtWidgets
from .widgets import make_form


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
        self._labels: list[QtWidgets.QLabel] = []
        self.layout = make_form()
        for control in self.controls.values():
            label = QtWidgets.QLabel(control.field.label)
            self._labels.append(label)
            self.layout.addRow(label, control.widget)
        self.layout.addRow(menu.button)

    def show(self, *, enabled: bool, details: bool) -> None:
        """Show the controls, as `Toolkit.show_role`."""
        kind = str(self.controls["layer_role"].value) if details else ""
        shown = fields_of(kind)
        for label, (name, control) in zip(self._labels, self.controls.items()):
            control.widget.setEnabled(enabled)
            for widget in (label, control.widget):
                widget.setVisible(name in shown)
