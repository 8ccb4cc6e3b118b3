"""The window in which the artist chooses the picture whose settings to use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gtk  # noqa: E402 - after its version

from underpaint_client.sentences import sentence  # noqa: E402
from underpaint_editor.found_form import PICTURES  # noqa: E402


class PictureChooser:
    """See the module. GIMP and the form can be used while it is open.

    Parameters
    ----------
    chosen : callable
        Called with the file that is chosen.
    """

    def __init__(self, chosen: Callable[[Path], object]) -> None:
        self._chosen = chosen
        self._dialog: Gtk.FileChooserNative | None = None  # else it would be removed at once

    def open(self, window: Gtk.Window) -> None:
        """Show it above a window."""
        title, pictures = sentence("Use the settings of a picture"), Gtk.FileFilter()
        pictures.set_name(sentence("Pictures"))
        for pattern in PICTURES:
            pictures.add_pattern(pattern)
        self._dialog = Gtk.FileChooserNative.new(
            title, window, Gtk.FileChooserAction.OPEN, None, None
        )
        self._dialog.add_filter(pictures)
        self._dialog.connect("response", self._respond)
        self._dialog.show()

    def _respond(self, dialog: Gtk.FileChooserNative, response: int) -> None:
        file = dialog.get_filename()
        if response == Gtk.ResponseType.ACCEPT and file:
            self._chosen(Path(file))
