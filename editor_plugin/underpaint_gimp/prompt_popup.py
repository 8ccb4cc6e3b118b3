"""The pop-up with completions at the caret of a prompt, and the mark of what cannot be read.

It never takes the focus: the prompt's keys pass through here first.
"""

from __future__ import annotations

from collections.abc import Callable

import gi

gi.require_version("Gtk", "3.0")
gi.require_version("Gdk", "3.0")
from gi.repository import Gdk, Gtk, Pango  # noqa: E402 - after their versions

from underpaint_client.parsed_prompt import PromptError  # noqa: E402
from underpaint_client.prompt_completion import Candidates, Kind  # noqa: E402
from underpaint_editor.prompt_popup import Completer, Key, Offer  # noqa: E402

_HIGHEST = 180  # pixels
_WIDEST = 34  # characters of a row
_MARK = "underpaint-error"
_KEYS = {
    Gdk.KEY_Up: Key.UP,
    Gdk.KEY_Down: Key.DOWN,
    Gdk.KEY_Return: Key.ENTER,
    Gdk.KEY_KP_Enter: Key.ENTER,
    Gdk.KEY_Tab: Key.TAB,
    Gdk.KEY_Escape: Key.ESCAPE,
}


class PromptPopup:
    """See the module. It is the `PromptField` of its `Completer`.

    Parameters
    ----------
    view : Gtk.TextView
        The prompt.
    candidates : callable
        As `Completer` has it.
    """

    def __init__(self, view: Gtk.TextView, candidates: Callable[[Kind], Candidates]) -> None:
        self.completer = Completer(self, candidates)
        self.rows: list[str] = []
        self._view, self._buffer = view, view.get_buffer()
        self._is_editing = False  # the buffer is, by keys or by a completion
        self.list = Gtk.ListBox()
        self.list.get_accessible().set_name("Completions")
        self.list.connect("button-press-event", self._clicked)
        self._scroll = Gtk.ScrolledWindow(hscrollbar_policy=Gtk.PolicyType.NEVER)
        self._scroll.set_max_content_height(_HIGHEST)
        self._scroll.set_propagate_natural_height(True)
        self._scroll.add(self.list)
        self._scroll.show_all()
        self.popover = Gtk.Popover(relative_to=view, modal=False, position=Gtk.PositionType.BOTTOM)
        self.popover.add(self._scroll)
        view.connect("key-press-event", self._key_pressed)
        view.connect("focus-out-event", self._left)
        self._buffer.connect("begin-user-action", self._begun)
        self._buffer.connect("end-user-action", self._ended)
        self._buffer.connect("changed", self._moved)
        self._buffer.connect("mark-set", self._moved)

    def _key_pressed(self, _view: Gtk.TextView, event: Gdk.EventKey) -> bool:
        key = _KEYS.get(event.keyval)
        if key is None or event.state & Gtk.accelerator_get_default_mod_mask():
            return False
        return self.completer.press(key)

    def _left(self, *_: object) -> bool:
        self.completer.close()
        return False

    def _begun(self, _buffer: Gtk.TextBuffer) -> None:
        self._is_editing = True

    def _ended(self, _buffer: Gtk.TextBuffer) -> None:
        self._is_editing = False
        self.completer.typed()

    def _moved(self, *_: object) -> None:
        if not self._is_editing:
            self.completer.moved()

    # ---- what the completer calls ----------------------------------------------------------

    def read(self) -> tuple[str, int]:
        """Return the prompt, and the place of the caret in it."""
        caret = self._buffer.get_iter_at_mark(self._buffer.get_insert())
        return str(self._buffer.get_property("text")), caret.get_offset()

    def insert(self, start: int, end: int, text: str) -> None:
        """Replace characters of the prompt."""
        self._is_editing = True
        self._buffer.delete(
            self._buffer.get_iter_at_offset(start), self._buffer.get_iter_at_offset(end)
        )
        self._buffer.insert(self._buffer.get_iter_at_offset(start), text)
        caret = self._buffer.get_iter_at_offset(start + len(text))
        self._buffer.place_cursor(caret)
        self._is_editing = False

    def show_offer(self, offer: Offer) -> None:
        """Show completions at the caret."""
        rows = offer.rows
        if rows != self.rows:
            self._fill(rows)
        row = self.list.get_row_at_index(offer.chosen) if offer.chosen >= 0 else None
        self.list.select_row(row)
        self._scroll_to(offer.chosen, len(rows))
        caret = self._buffer.get_iter_at_mark(self._buffer.get_insert())
        place = self._view.get_iter_location(caret)
        place.x, place.y = self._view.buffer_to_window_coords(
            Gtk.TextWindowType.WIDGET, place.x, place.y
        )
        place.width = max(1, place.width)
        self.popover.set_pointing_to(place)
        self.popover.show()

    def hide_offer(self) -> None:
        """Hide the pop-up."""
        self.popover.hide()

    def _fill(self, rows: list[str]) -> None:
        self.rows = rows
        for child in self.list.get_children():
            self.list.remove(child)
        width = min(max(map(len, rows)), _WIDEST)
        for text in rows:
            label = Gtk.Label(label=text, xalign=0, ellipsize=Pango.EllipsizeMode.END, margin=3)
            label.set_width_chars(width)
            row = Gtk.ListBoxRow(can_focus=False)
            row.add(label)
            self.list.add(row)
        self.list.show_all()

    def _clicked(self, _list: Gtk.ListBox, event: Gdk.EventButton) -> bool:
        row = self.list.get_row_at_y(int(event.y))
        if row is not None:
            self.completer.click(row.get_index())
        return True  # else the list would take the focus

    def _scroll_to(self, chosen: int, count: int) -> None:
        """Bring the chosen row into view; rows are equally high."""
        across = self._scroll.get_vadjustment()
        height = across.get_upper() / count
        top = max(0, chosen) * height
        if not across.get_value() <= top <= across.get_value() + across.get_page_size() - height:
            across.set_value(top)


def mark_error(view: Gtk.TextView, error: PromptError | None) -> None:
    """Underline what cannot be read in a prompt; see `contract.Toolkit`."""
    buffer = view.get_buffer()
    tags = buffer.get_tag_table()
    if tags.lookup(_MARK) is None:
        buffer.create_tag(_MARK, underline=Pango.Underline.ERROR)
    buffer.remove_tag_by_name(_MARK, buffer.get_start_iter(), buffer.get_end_iter())
    if error is not None:
        end = error.position + len(error.excerpt)
        places = (buffer.get_iter_at_offset(place) for place in (error.position, end))
        buffer.apply_tag_by_name(_MARK, *places)
