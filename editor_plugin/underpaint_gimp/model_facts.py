"""What the chosen model is, below its choice: a small picture, and some sentences."""

from __future__ import annotations

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gtk  # noqa: E402 - after its version

from underpaint_client.frames import Frame  # noqa: E402
from underpaint_editor.buttons import SPOKEN  # noqa: E402

from .buffers import image_of  # noqa: E402
from .widgets import make_label  # noqa: E402


class ModelFacts:
    """See the module. `widget` holds all of it."""

    def __init__(self) -> None:
        self.picture = Gtk.Image(no_show_all=True)
        self.picture.set_name("model_picture")
        self.picture.get_accessible().set_name(SPOKEN["model_picture"])
        self.text = make_label("model_facts")
        self.text.set_no_show_all(True)
        self.widget = Gtk.Box(spacing=6)
        self.widget.add(self.picture)
        self.widget.pack_start(self.text, True, True, 0)

    def show(self, text: str, picture: Frame | None) -> None:
        """Show a model; nothing if there is no text and no picture."""
        self.text.set_text(text)
        self.text.set_visible(bool(text))
        self.picture.set_visible(picture is not None)
        if picture is not None:
            self.picture.set_from_pixbuf(image_of(picture.data, picture.box.extent))
