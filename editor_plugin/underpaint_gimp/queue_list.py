"""The list of this editor's jobs, which is shown if there are several."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gtk, Pango  # noqa: E402 - after its version

from underpaint_client.sentences import sentence  # noqa: E402
from underpaint_editor.buttons import BUTTONS  # noqa: E402
from underpaint_editor.layers import describe_position  # noqa: E402
from underpaint_editor.lists import QueueEntry  # noqa: E402
from underpaint_editor.session import Session  # noqa: E402


class QueueList:
    """A line for each job, which stays the same widget while the job moves in the queue.

    Parameters
    ----------
    session : Session
        Its jobs are preferred or cancelled by the buttons.
    """

    def __init__(self, session: Session) -> None:
        self.widget = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=2)
        self._session = session
        self._lines: dict[str, _Line] = {}

    def show(self, entries: Sequence[QueueEntry]) -> None:
        """Show jobs in this order."""
        names = {entry.job.name for entry in entries}
        for name in [name for name in self._lines if name not in names]:
            self._lines.pop(name).widget.destroy()
        for position, entry in enumerate(entries):
            name = entry.job.name
            if name not in self._lines:
                self._lines[name] = _Line(entry, self._session)
                self.widget.add(self._lines[name].widget)
            self._lines[name].show(entry)
            self.widget.reorder_child(self._lines[name].widget, position)


class _Line:
    """A job's prompt, shortened to fit, its position, and two buttons."""

    def __init__(self, entry: QueueEntry, session: Session) -> None:
        self.widget = Gtk.Box(spacing=4)
        job = entry.job
        prompt = " ".join(job.request.prompt.positive.split()) or sentence("No prompt")
        label = Gtk.Label(label=prompt, xalign=0, ellipsize=Pango.EllipsizeMode.END)
        label.set_tooltip_text(prompt)
        self._position = Gtk.Label(xalign=1)
        self.widget.pack_start(label, True, True, 0)
        self.widget.add(self._position)
        self._hurry = self._add_button("hurry", lambda: session.prefer(job))
        self._add_button("drop", lambda: session.cancel(job))
        self.widget.show_all()

    def _add_button(self, name: str, clicked: Callable[[], None]) -> Gtk.Button:
        button = Gtk.Button(label=BUTTONS[name].label)
        button.set_name(name)
        button.set_tooltip_text(BUTTONS[name].tip)
        button.get_accessible().set_description(BUTTONS[name].tip)
        button.connect("clicked", lambda _: clicked())
        self.widget.add(button)
        return button

    def show(self, entry: QueueEntry) -> None:
        """Show the job's position now."""
        self._position.set_text(describe_position(entry.job.position))
        self._hurry.set_sensitive(entry.waits)
