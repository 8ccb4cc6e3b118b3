"""What the window shows of the session's jobs: messages, progress, queue, preview and remedy."""

from __future__ import annotations

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gtk  # noqa: E402 - after its version

from underpaint_client.frames import Frame  # noqa: E402
from underpaint_editor.buttons import SPOKEN  # noqa: E402
from underpaint_editor.layers import preview_size  # noqa: E402
from underpaint_editor.session import Session  # noqa: E402

from .buffers import image_of, scaled  # noqa: E402
from .queue_list import QueueList  # noqa: E402
from .widgets import make_label  # noqa: E402


class JobView:
    """See the module; `widgets` are put into the window.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.progress = Gtk.ProgressBar()
        self.progress.set_name("progress")
        self.progress.get_accessible().set_name(SPOKEN["progress"])
        self.status = make_label("status")
        self.queue = QueueList(session)
        self.preview = Gtk.Image(no_show_all=True, halign=Gtk.Align.START)
        self.preview.set_name("preview")
        self.preview.get_accessible().set_name(SPOKEN["preview"])
        self.remedy = Gtk.Button(no_show_all=True)
        self.remedy.set_name("remedy")
        self.remedy.connect("clicked", lambda _: session.apply_remedy())

    @property
    def widgets(self) -> tuple[Gtk.Widget, ...]:
        """All of them, from the top to the bottom of the window."""
        return (self.progress, self.status, self.queue.widget, self.preview, self.remedy)

    def show_progress(self, fraction: float | None) -> None:
        """Show how much of the running job is done; None if that is not known."""
        if fraction is None:
            self.progress.pulse()
        else:
            self.progress.set_fraction(fraction)

    def show_preview(self, frame: Frame | None) -> None:
        """Show the unfinished image, or remove it."""
        self.preview.set_visible(frame is not None)
        if frame is not None:
            extent = frame.box.extent
            image = scaled(image_of(frame.data, extent), preview_size(extent))
            self.preview.set_from_pixbuf(image)

    def refresh(self) -> None:
        """Show the session's queue and remedy; no progress where no job runs."""
        if not self._session.running:
            self.show_progress(0)
        remedy = self._session.remedy
        self.remedy.set_label("" if remedy is None else remedy.label)
        self.remedy.set_visible(remedy is not None)
        self.queue.show(self._session.queue)
