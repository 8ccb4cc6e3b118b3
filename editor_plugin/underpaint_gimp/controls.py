"""The form's fields as GTK controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Union

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("Gdk", "3.0")
from gi.repository import Gdk, Gtk  # noqa: E402 - after their versions

from underpaint_client.prompt_editing import STEP, change_weight  # noqa: E402
from underpaint_editor import controls as editor_controls  # noqa: E402
from underpaint_editor.buttons import BUTTONS  # noqa: E402
from underpaint_editor.form import (  # noqa: E402
    FIELDS,
    Choice,
    Field,
    Number,
    Switch,
    Text,
    describe_own,
    read_number,
)

from .widgets import set_up_button  # noqa: E402

_WIDEST = 7  # characters that a number has at least, so that the window can be narrow
_ENTER_KEYS = (Gdk.KEY_Return, Gdk.KEY_KP_Enter)
_GENERATES = Gdk.ModifierType.CONTROL_MASK | Gdk.ModifierType.SHIFT_MASK  # either, with Enter
_NO_ID = "\0"  # stands for an empty value: GTK takes an empty id for none
_ELLIPSIS_AT_END = 3  # Pango.EllipsizeMode.END, as the property of a cell wants it


def _describe(widget: Gtk.Widget, field: Field) -> None:
    """Set a widget's name and tooltip to those of its field."""
    widget.set_name(field.name)
    widget.set_tooltip_text(field.tip)
    accessible = widget.get_accessible()
    accessible.set_name(field.label)
    accessible.set_description(field.tip)


def _ignore_wheel(widget: Gtk.Widget) -> None:
    """Let the mouse wheel scroll the window, not change the control under the pointer."""

    def scrolled(widget: Gtk.Widget, _event: object) -> bool:
        if not widget.has_focus():
            widget.stop_emission_by_name("scroll-event")
        return False

    widget.connect("scroll-event", scrolled)


class TextControl:
    """A text field's widget, and its value. `shown` is the widget with its frame and label.

    Parameters
    ----------
    field : Text
    changed : callable
        Called after each change of the value.
    """

    def __init__(self, field: Text, changed: Callable[[], None]) -> None:
        self.field = field
        self.widget = view = Gtk.TextView(wrap_mode=Gtk.WrapMode.WORD_CHAR, accepts_tab=False)
        view.set_left_margin(4)
        view.set_right_margin(4)
        view.set_top_margin(3)
        line = view.create_pango_layout("X").get_pixel_size()[1]
        scroll = Gtk.ScrolledWindow(
            shadow_type=Gtk.ShadowType.IN, hscrollbar_policy=Gtk.PolicyType.NEVER
        )
        scroll.set_min_content_height(field.lines * line + 8)
        if field.lines == 1:  # a scroll bar would need more height than the line
            scroll.set_property("vscrollbar-policy", Gtk.PolicyType.EXTERNAL)
        scroll.add(view)
        hint = Gtk.Label(
            label=field.label, halign=Gtk.Align.START, valign=Gtk.Align.START, margin=5
        )
        hint.show()
        hint.set_no_show_all(True)
        hint.get_style_context().add_class("dim-label")
        overlay = Gtk.Overlay()
        overlay.add(scroll)
        overlay.add_overlay(hint)
        overlay.set_overlay_pass_through(hint, True)
        self.shown: Gtk.Widget = overlay
        buffer = view.get_buffer()

        def edited(_buffer: object) -> None:
            hint.set_visible(buffer.get_char_count() == 0)
            changed()

        buffer.connect("changed", edited)
        view.connect("key-press-event", _change_weight)
        _describe(view, field)

    @property
    def value(self) -> str:
        """The text."""
        return str(self.widget.get_buffer().get_property("text"))

    @value.setter
    def value(self, value: str) -> None:
        self.widget.get_buffer().set_text(value)


def _change_weight(view: Gtk.TextView, event: Gdk.EventKey) -> bool:
    """Change the weight of the words at the caret on Ctrl+Up and Ctrl+Down."""
    change = {Gdk.KEY_Up: STEP, Gdk.KEY_Down: -STEP}.get(event.keyval)
    pressed = event.state & Gtk.accelerator_get_default_mod_mask()
    if change is None or pressed != Gdk.ModifierType.CONTROL_MASK:
        return False
    buffer = view.get_buffer()
    marks = (buffer.get_selection_bound(), buffer.get_insert())
    start, end = (buffer.get_iter_at_mark(mark).get_offset() for mark in marks)
    text = str(buffer.get_property("text"))
    edited = change_weight(text, start, end, change)
    if edited.text != text:
        buffer.set_text(edited.text)
    buffer.select_range(
        buffer.get_iter_at_offset(edited.end), buffer.get_iter_at_offset(edited.start)
    )
    return True


class _SpinButton(Gtk.SpinButton):
    """A number that is typed with a decimal point or a decimal comma, whatever GIMP's language.

    GTK's own `numeric` property drops the decimal sign of another language: 0.45 became 45, which
    was cut to the maximum. Text that is not a number leaves the value as it was.
    """

    __gtype_name__ = "UnderpaintSpin"

    def do_input(self, _result: object) -> int:
        """Replace the text by one that GTK reads in every language."""
        value = read_number(self.get_text(), self.get_digits())
        self.set_text(f"{self.get_value() if value is None else value:.{self.get_digits()}f}")
        return 0  # GTK reads the text then; Python cannot write to the result


class NumberControl:
    """A number field's widget, and its value; see `TextControl`.

    `shown` is the widget, beside the button that leaves the number to the model where it may be.
    """

    def __init__(self, field: Number, changed: Callable[[], None]) -> None:
        self.field = field
        self._changed = changed
        self._own: float | None = None
        self._is_showing = False
        self._auto: Gtk.ToggleButton | None = None
        adjustment = Gtk.Adjustment(
            lower=field.minimum, upper=field.maximum, step_increment=field.step,
            page_increment=10 * field.step,
        )  # fmt: skip
        self.widget = spin = _SpinButton(adjustment=adjustment, digits=field.decimals)
        spin.set_width_chars(min(_WIDEST, len(str(int(field.maximum))) + field.decimals))
        spin.connect("value-changed", lambda _spin: self._edited())
        _ignore_wheel(spin)
        _describe(spin, field)
        self.shown: Gtk.Widget = self._add_auto() if field.by_model else spin

    def _add_auto(self) -> Gtk.Widget:
        self._auto = auto = set_up_button("auto", Gtk.ToggleButton())
        auto.set_name(f"{self.field.name}_auto")
        auto.get_accessible().set_name(f"{self.field.label}: {BUTTONS['auto'].label}")
        auto.set_active(True)
        auto.connect("toggled", lambda _auto: self._toggled())
        row = Gtk.Box(spacing=4)
        row.pack_start(self.widget, True, True, 0)
        row.add(auto)
        return row

    def _edited(self) -> None:
        """Take a number that was typed for the artist's own."""
        if self._is_showing:
            return
        if self._auto is not None and self._auto.get_active():
            self._auto.set_active(False)  # which sends `toggled`
        else:
            self._changed()

    def _toggled(self) -> None:
        if self._auto is not None and self._auto.get_active():
            self._show(self._own)
        self._changed()

    def _show(self, number: float | None) -> None:
        """Show a number that is not the artist's own."""
        if number is not None and number != self.widget.get_value():  # the text may be half typed
            self._is_showing = True
            self.widget.set_value(number)
            self._is_showing = False

    def show_own(self, number: float) -> None:
        """Show the model's number while the field is left to it."""
        self._own = number
        if self.value is None:
            self._show(number)

    @property
    def value(self) -> float | None:
        """The number, an int if the field has no decimals; None if it is left to the model."""
        if self._auto is not None and self._auto.get_active():
            return None
        value, digits = self.widget.get_value(), self.widget.get_digits()
        return round(value, digits) if digits else round(value)

    @value.setter
    def value(self, value: float | None) -> None:
        if self._auto is not None:
            self._auto.set_active(value is None)
        if value is not None:
            self.widget.set_value(value)


class ChoiceControl:
    """The widget of a choice, and its value; see `TextControl`."""

    def __init__(self, field: Choice, changed: Callable[[], None]) -> None:
        self.field = field
        self.widget = box = Gtk.ComboBoxText(hexpand=True)
        self.shown: Gtk.Widget = box
        self._unusable: AbstractSet[str] = frozenset()
        for cell in box.get_cells():
            cell.set_property("ellipsize", _ELLIPSIS_AT_END)  # so that the window can be narrow
            box.set_cell_data_func(cell, self._show_option)
        for value, label in field.options.items():
            box.append(value or _NO_ID, label)
        box.connect("changed", lambda _box: changed())
        _ignore_wheel(box)
        _describe(box, field)

    @property
    def value(self) -> str:
        """The chosen value; empty if nothing is chosen."""
        found = self.widget.get_active_id()
        return "" if found in (None, _NO_ID) else str(found)

    @value.setter
    def value(self, value: str) -> None:
        if not self.widget.set_active_id(value or _NO_ID):  # such as a model that is not installed
            self.widget.append(value or _NO_ID, value)
            self.widget.set_active_id(value or _NO_ID)

    def show_own(self, value: str) -> None:
        """Show what the model has beside the option that leaves it to the model."""
        text = describe_own(next(iter(self.field.options.values())), value)
        first = self.widget.get_model()[0]
        if first[0] != text:
            first[0] = text

    def _show_option(
        self, _box: Gtk.ComboBoxText, cell: Gtk.CellRenderer, rows: Gtk.ListStore, row: Gtk.TreeIter
    ) -> None:
        """Show an option that cannot be chosen as such; GTK then passes it over."""
        cell.set_property("sensitive", rows[row][1] not in self._unusable)

    def set_options(
        self, options: list[tuple[str, str]], unusable: AbstractSet[str] = frozenset()
    ) -> None:
        """Replace the options, as values and labels; the chosen value stays chosen.

        Those whose values are `unusable` are shown, and cannot be chosen.
        """
        chosen, self._unusable = self.value, unusable
        self.widget.remove_all()
        for value, label in options:
            self.widget.append(value or _NO_ID, label)
        self.value = chosen


class SwitchControl:
    """The widget of a switch, and its value; see `TextControl`."""

    def __init__(self, field: Switch, changed: Callable[[], None]) -> None:
        self.field = field
        self.widget = box = Gtk.CheckButton(label=field.label)
        self.shown: Gtk.Widget = box
        box.connect("toggled", lambda _box: changed())
        _describe(box, field)

    @property
    def value(self) -> bool:
        """Whether it is on."""
        return self.widget.get_active()

    @value.setter
    def value(self, value: bool) -> None:
        self.widget.set_active(value)


Control = Union[TextControl, NumberControl, ChoiceControl, SwitchControl]


Controls = editor_controls.Controls[TextControl, NumberControl, ChoiceControl, SwitchControl]


def make_controls(changed: Callable[[], None], fields: Sequence[Field] = FIELDS) -> Controls:
    """Return the form's controls; `changed` is called after each change of a value."""
    return editor_controls.make_controls(
        TextControl, NumberControl, ChoiceControl, SwitchControl, changed, fields
    )


def make_slider(control: NumberControl) -> Gtk.Scale:
    """Return a slider that moves together with a number's control."""
    scale = Gtk.Scale(adjustment=control.widget.get_adjustment(), draw_value=False, hexpand=True)
    scale.set_name(f"{control.field.name}_slider")
    scale.set_tooltip_text(control.field.tip)
    scale.get_accessible().set_name(control.field.label)
    _ignore_wheel(scale)
    return scale


def on_enter(window: Gtk.Window, call: Callable[[], None]) -> None:
    """Call a function when Ctrl+Enter or Shift+Enter is pressed: once, however long it is held."""
    held = False

    def pressed(_window: object, event: Gdk.EventKey) -> bool:
        nonlocal held
        if event.keyval not in _ENTER_KEYS or not event.state & _GENERATES:
            return False
        if not held:
            held = True
            focus = window.get_focus()
            if isinstance(focus, Gtk.SpinButton):
                focus.update()  # else the number that is being typed would not count
            call()
        return True

    def released(_window: object, event: Gdk.EventKey) -> bool:
        nonlocal held
        held = held and event.keyval not in _ENTER_KEYS
        return False

    def left(*_: object) -> bool:
        nonlocal held
        held = False
        return False

    window.connect("key-press-event", pressed)
    window.connect("key-release-event", released)
    window.connect("focus-out-event", left)


def hide_on_close(window: Gtk.Window) -> None:
    """Hide a window that is closed, also by Ctrl+W, and by Escape if no part of it takes that."""

    def pressed(_window: object, event: Gdk.EventKey) -> bool:
        modifiers = event.state & Gtk.accelerator_get_default_mod_mask()
        closes = event.keyval == Gdk.KEY_w and modifiers == Gdk.ModifierType.CONTROL_MASK
        if event.keyval == Gdk.KEY_Escape and not modifiers:
            closes = not window.propagate_key_event(event)
        if closes:
            window.hide()
        return closes or event.keyval == Gdk.KEY_Escape

    window.connect("delete-event", lambda *_: window.hide_on_delete())
    window.connect("key-press-event", pressed)


def on_arrow(control: TextControl, call: Callable[[int], None]) -> None:
    """Call a function with -1 or 1 if the arrow key up or down can go no further in a text."""

    def pressed(view: Gtk.TextView, event: Gdk.EventKey) -> bool:
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
