"""The rows that say what the layer is used as: `layer_role.ROLE_FIELDS`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import GLib, Gtk  # noqa: E402 - after its version

from underpaint_client.errors import UnderpaintError  # noqa: E402
from underpaint_editor.form import Text  # noqa: E402
from underpaint_editor.layer_role import ROLE_FIELDS, fields_of  # noqa: E402

from .control_menu import ControlMenu  # noqa: E402
from .controls import Control, make_controls  # noqa: E402

if TYPE_CHECKING:
    from .canvas import GimpDocument

_PAUSE = 800
"""Milliseconds without a key, after which what was typed is kept."""


class RoleRows:
    """See the module.

    Parameters
    ----------
    changed : callable
        Called after each change of a value.
    typed : callable
        Called after each character that is typed.
    menu : ControlMenu
        Whose button stands below them.
    """

    def __init__(
        self, changed: Callable[[], None], typed: Callable[[], None], menu: ControlMenu
    ) -> None:
        texts = [field for field in ROLE_FIELDS if isinstance(field, Text)]
        others = [field for field in ROLE_FIELDS if not isinstance(field, Text)]
        made = {**make_controls(changed, others).all, **make_controls(typed, texts).all}
        names = [field.name for field in ROLE_FIELDS]
        self.controls: Mapping[str, Control] = {name: made[name] for name in names}
        self.widget = Gtk.Grid(column_spacing=8, row_spacing=4)
        self._rows: dict[str, tuple[Gtk.Widget, Gtk.Widget]] = {}
        for row, (name, control) in enumerate(self.controls.items()):
            label = Gtk.Label(label=control.field.label, halign=Gtk.Align.START)
            self.widget.attach(label, 0, row, 1, 1)
            control.shown.set_hexpand(True)
            self.widget.attach(control.shown, 1, row, 1, 1)
            self._rows[name] = (label, control.shown)
        for widget in (one for name in names[1:] for one in self._rows[name]):
            widget.show_all()
            widget.set_no_show_all(True)
            widget.hide()
        self.widget.attach(menu.button, 0, len(self.controls), 2, 1)

    def show(self, *, enabled: bool, details: bool) -> None:
        """Show the controls, as `Toolkit.show_role`."""
        shown = fields_of(str(self.controls["layer_role"].value) if details else "")
        for name, widgets in self._rows.items():
            self.controls[name].shown.set_sensitive(enabled)
            for widget in widgets:
                widget.set_visible(name in shown)


class TypedRole:
    """Keeps a role when typing pauses: each time is an undo step.

    Parameters
    ----------
    keep : callable
        Keeps it, given what returns the document of the layer that it was typed for.
    """

    def __init__(self, keep: Callable[[Callable[[], GimpDocument]], None]) -> None:
        self._keep = keep
        self._document: GimpDocument | None = None
        self._timer = 0

    def type(self, find_document: Callable[[], GimpDocument]) -> None:
        """Begin, or go on; `find_document` returns the document of the active layer."""
        if self._document is None:
            with contextlib.suppress(UnderpaintError):
                self._document = find_document()
        if self._timer:
            GLib.source_remove(self._timer)
        self._timer = GLib.timeout_add(_PAUSE, self._pause)

    def _pause(self) -> bool:
        self._timer = 0
        self.finish()
        return bool(GLib.SOURCE_REMOVE)

    def finish(self) -> None:
        """Keep what was typed, if that was not done yet."""
        document, self._document = self._document, None
        if document is not None:
            self._keep(lambda: document)
