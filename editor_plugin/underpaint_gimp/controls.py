"""The form's fields as GTK controls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("Gdk", "3.0")
from gi.repository import Gdk, Gtk  # noqa: E402 - after their versions

from underpaint_editor.form import Choice, Field, Number, Switch, Text, read_number  # noqa: E402

_ENTERS = (Gdk.KEY_Return, Gdk.KEY_KP_Enter)


class Control:
    """One field's widget, and its value.

    Parameters
    ----------
    field : Field
        What it is for; the widget is called by its name.
    changed : callable
        Called after each change of the value.
    """

    def __init__(self, field: Field, changed: Callable[[], None]) -> None:
        self.field = field
        self.shown, self.widget = _MAKE[type(field)](field, changed)
        self.widget.set_name(field.name)
        self.widget.set_tooltip_text(field.tip)
        spoken = self.widget.get_accessible()
        spoken.set_name(field.label)
        spoken.set_description(field.tip)

    @property
    def value(self) -> Any:
        """What it shows."""
        return _GET[type(self.field)](self.widget)

    @value.setter
    def value(self, value: Any) -> None:
        _SET[type(self.field)](self.widget, value)


def on_enter(window: Any, call: Callable[[], None]) -> None:
    """Call when Ctrl+Enter is pressed anywhere in a window: once, however long it is held."""
    held = False

    def pressed(_window: Any, event: Any) -> bool:
        nonlocal held
        if event.keyval not in _ENTERS or not event.state & Gdk.ModifierType.CONTROL_MASK:
            return False
        if not held:
            held = True
            if isinstance(window.get_focus(), Gtk.SpinButton):
                window.get_focus().update()  # or the number that is being typed would not count
            call()
        return True

    def released(_window: Any, event: Any) -> bool:
        nonlocal held
        held = held and event.keyval not in _ENTERS
        return False

    def left(*_: object) -> bool:
        nonlocal held
        held = False
        return False

    window.connect("key-press-event", pressed)
    window.connect("key-release-event", released)
    window.connect("focus-out-event", left)


def on_arrow(control: Control, call: Callable[[int], None]) -> None:
    """Call with -1 or 1 when an arrow key up or down can go no further in a text."""

    def pressed(view: Any, event: Any) -> bool:
        step = {Gdk.KEY_Up: -1, Gdk.KEY_Down: 1}.get(event.keyval)
        if step is None or event.state & Gtk.accelerator_get_default_mod_mask():
            return False
        buffer = view.get_buffer()
        cursor = buffer.get_iter_at_mark(buffer.get_insert())
        line = view.get_iter_location(cursor).y
        end = buffer.get_start_iter() if step < 0 else buffer.get_end_iter()
        if line != view.get_iter_location(end).y:
            return False
        call(step)
        return True

    control.widget.connect("key-press-event", pressed)


def make_slider(control: Control) -> Any:
    """Return a slider that moves together with a number's control."""
    scale = Gtk.Scale(adjustment=control.widget.get_adjustment(), draw_value=False, hexpand=True)
    scale.set_name(f"{control.field.name}_slider")
    scale.set_tooltip_text(control.field.tip)
    scale.get_accessible().set_name(control.field.label)
    _ignore_wheel(scale)
    return scale


def _ignore_wheel(widget: Any) -> None:
    """Let the wheel scroll the window instead of changing what happens to lie under it."""

    def scrolled(widget: Any, _event: Any) -> bool:
        if not widget.has_focus():
            widget.stop_emission_by_name("scroll-event")
        return False

    widget.connect("scroll-event", scrolled)


def _text(field: Text, changed: Callable[[], None]) -> tuple[Any, Any]:
    """Give several lines of text in a frame, with their label in it while they are empty."""
    view = Gtk.TextView(wrap_mode=Gtk.WrapMode.WORD_CHAR, accepts_tab=False)
    view.set_left_margin(4)
    view.set_right_margin(4)
    view.set_top_margin(3)
    line = view.create_pango_layout("X").get_pixel_size()[1]
    scroll = Gtk.ScrolledWindow(shadow_type=Gtk.ShadowType.IN, hscrollbar_policy=_NEVER)
    scroll.set_min_content_height(field.lines * line + 8)
    if field.lines == 1:  # a scroll bar would need more room than the line
        scroll.set_property("vscrollbar-policy", Gtk.PolicyType.EXTERNAL)
    scroll.add(view)
    hint = Gtk.Label(label=field.label, halign=Gtk.Align.START, valign=Gtk.Align.START, margin=5)
    hint.show()
    hint.set_no_show_all(True)
    hint.get_style_context().add_class("dim-label")
    overlay = Gtk.Overlay()
    overlay.add(scroll)
    overlay.add_overlay(hint)
    overlay.set_overlay_pass_through(hint, True)
    buffer = view.get_buffer()

    def edited(_buffer: Any) -> None:
        hint.set_visible(buffer.get_char_count() == 0)
        changed()

    buffer.connect("changed", edited)
    return overlay, view


class _Spin(Gtk.SpinButton):
    """A number that is typed with a decimal point or a decimal comma, whatever GIMP's language.

    GTK's own `numeric` drops the sign of the other languages: 0.45 became 45, and that the maximum.
    What is no number leaves the value as it was.
    """

    __gtype_name__ = "UnderpaintSpin"

    def do_input(self, _place: object) -> int:
        """Leave for GTK to read what it can read in every language."""
        value = read_number(self.get_text(), self.get_digits())
        self.set_text(f"{self.get_value() if value is None else value:.{self.get_digits()}f}")
        return 0  # GTK goes on; Python cannot write to the place of the value


def _number(field: Number, changed: Callable[[], None]) -> tuple[Any, Any]:
    adjustment = Gtk.Adjustment(
        lower=field.minimum, upper=field.maximum, step_increment=field.step,
        page_increment=10 * field.step,
    )  # fmt: skip
    spin = _Spin(adjustment=adjustment, digits=field.decimals)
    spin.set_width_chars(min(10, len(str(int(field.maximum))) + field.decimals))
    spin.connect("value-changed", lambda _spin: changed())
    _ignore_wheel(spin)
    return spin, spin


def _get_number(spin: Any) -> float | int:
    value, digits = float(spin.get_value()), int(spin.get_digits())
    return round(value, digits) if digits else round(value)


def _choice(field: Choice, changed: Callable[[], None]) -> tuple[Any, Any]:
    box = Gtk.ComboBoxText(hexpand=True)
    for cell in box.get_cells():
        cell.set_property("ellipsize", 3)  # at the end, so that the window may be narrow
    for value, label in field.options.items():
        box.append(value or _DEFAULT, label)
    box.connect("changed", lambda _box: changed())
    _ignore_wheel(box)
    return box, box


_DEFAULT = "\0"  # GTK takes an empty id for none
_NEVER = Gtk.PolicyType.NEVER


def _get_choice(box: Any) -> str:
    found = box.get_active_id()
    return "" if found in (None, _DEFAULT) else str(found)


def _set_choice(box: Any, value: str) -> None:
    if not box.set_active_id(value or _DEFAULT):  # a model that is not there just now
        box.append(value, value)
        box.set_active_id(value)


def fill_choice(control: Control, options: list[tuple[str, str]]) -> None:
    """Return a choice other options, values and labels; what is chosen stays."""
    chosen = control.value
    control.widget.remove_all()
    for value, label in options:
        control.widget.append(value or _DEFAULT, label)
    control.value = chosen


def _switch(field: Switch, changed: Callable[[], None]) -> tuple[Any, Any]:
    box = Gtk.CheckButton(label=field.label)
    box.connect("toggled", lambda _box: changed())
    return box, box


def _get_text(view: Any) -> str:
    return str(view.get_buffer().get_property("text"))


_MAKE: dict[type, Callable[..., tuple[Any, Any]]] = {
    Text: _text, Number: _number, Choice: _choice, Switch: _switch,
}  # fmt: skip
_GET: dict[type, Callable[[Any], Any]] = {
    Text: _get_text, Number: _get_number, Choice: _get_choice, Switch: lambda w: w.get_active(),
}  # fmt: skip
_SET: dict[type, Callable[[Any, Any], None]] = {
    Text: lambda w, value: w.get_buffer().set_text(value),
    Number: lambda w, value: w.set_value(value),
    Choice: _set_choice,
    Switch: lambda w, value: w.set_active(value),
}
