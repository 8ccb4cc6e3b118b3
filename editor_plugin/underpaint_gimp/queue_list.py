"""The list of this editor's jobs, where there are several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gtk, Pango  # noqa: E402 - after its version

from underpaint_editor.form import BUTTONS  # noqa: E402
from underpaint_editor.layers import describe_position  # noqa: E402
from underpaint_editor.lists import QueueEntry  # noqa: E402


class QueueList:
    """A line for each job, which stays the same widget while the job moves in the queue.

    Parameters
    ----------
    prefer, cancel : callable
        Called with a job when one of its buttons is pressed.
    """

    def __init__(self, prefer: Callable[[Any], None], cancel: Callable[[Any], None]) -> None:
        self.widget = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=2)
        self._prefer, self._cancel = prefer, cancel
        self._lines: dict[str, _Line] = {}

    def show(self, entries: Sequence[QueueEntry]) -> None:
        """Show these jobs, in their order."""
        names = {entry.job.name for entry in entries}
        for name in [name for name in self._lines if name not in names]:
            self._lines.pop(name).widget.destroy()
        for position, entry in enumerate(entries):
            name = entry.job.name
            if name not in self._lines:
                self._lines[name] = _Line(entry.job, self._prefer, self._cancel)
                self.widget.add(self._lines[name].widget)
            self._lines[name].show(entry)
            self.widget.reorder_child(self._lines[name].widget, position)


class _Line:
    """One job: what of its prompt there is room for, its position, and two buttons."""

    def __init__(
        self, job: Any, prefer: Callable[[Any], None], cancel: Callable[[Any], None]
    ) -> None:
        self.widget = Gtk.Box(spacing=4)
        prompt = " ".join(job.request.prompt.positive.split()) or "No prompt"
        label = Gtk.Label(label=prompt, xalign=0, ellipsize=Pango.EllipsizeMode.END)
        label.set_tooltip_text(prompt)
        self._position = Gtk.Label(xalign=1)
        self.widget.pack_start(label, True, True, 0)
        self.widget.add(self._position)
        self._hurry = self._button("hurry", lambda: prefer(job))
        self._button("drop", lambda: cancel(job))
        self.widget.show_all()

    def _button(self, name: str, act: Callable[[], None]) -> Any:
        button = Gtk.Button(label=BUTTONS[name].label)
        button.set_name(name)
        button.set_tooltip_text(BUTTONS[name].tip)
        button.get_accessible().set_description(BUTTONS[name].tip)
        button.connect("clicked", lambda _: act())
        self.widget.add(button)
        return button

    def show(self, entry: QueueEntry) -> None:
        """Show where the job is now."""
        self._position.set_text(describe_position(entry.job.position))
        self._hurry.set_sensitive(entry.waits)
