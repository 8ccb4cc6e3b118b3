"""Small helpers for GTK's widgets."""

from __future__ import annotations

from typing import TypeVar

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gtk, Pango  # noqa: E402 - after its version

from underpaint_editor.buttons import BUTTONS, SPOKEN  # noqa: E402

_CLASS = "underpaint"
_STYLE = """
.underpaint button {
    min-width: 0;
    padding-left: 5px;
    padding-right: 5px;
}
.underpaint spinbutton button {
    min-width: 18px;
    padding-left: 3px;
    padding-right: 3px;
}
.underpaint button:checked {
    background-image: none;
    background-color: @theme_selected_bg_color;
}
.underpaint button:checked label {
    color: @theme_selected_fg_color;
}
"""
"""GIMP's themes hardly show which buttons are pressed, and their buttons are wide."""

_Button = TypeVar("_Button", bound=Gtk.Button)


def set_up_style(window: Gtk.Window) -> None:
    """Have a window show what is pressed, and be narrow beside an image."""
    provider = Gtk.CssProvider()
    provider.load_from_data(_STYLE.encode("ascii"))
    Gtk.StyleContext.add_provider_for_screen(
        window.get_screen(), provider, Gtk.STYLE_PROVIDER_PRIORITY_USER
    )
    window.get_style_context().add_class(_CLASS)


def set_up_button(name: str, widget: _Button) -> _Button:
    """Return a button with the text and tooltip of one of `buttons.BUTTONS`."""
    button = BUTTONS[name]
    widget.set_name(name)
    widget.set_label(button.label)
    widget.set_tooltip_text(button.tip)
    widget.get_accessible().set_description(button.tip)
    return widget


def make_label(name: str) -> Gtk.Label:
    """Return an empty label for one of the texts in `buttons.SPOKEN`."""
    label = Gtk.Label(halign=Gtk.Align.START, xalign=0, wrap=True, selectable=True)
    label.set_line_wrap_mode(Pango.WrapMode.WORD_CHAR)
    label.set_can_focus(False)
    label.set_name(name)
    label.get_accessible().set_description(SPOKEN[name])
    return label
