"""The window with the models that can be downloaded."""

from __future__ import annotations

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import Gdk, GLib, Gtk, Pango  # noqa: E402 - after their versions

from underpaint_editor.model_downloads import TITLE, ModelDownloads, Offer  # noqa: E402

_WIDTH, _HEIGHT = 520, 480  # pixels
_CHARACTERS = 50


class DownloadsWindow:
    """See the module.

    Parameters
    ----------
    downloads : ModelDownloads
        The session's.
    parent : Gtk.Window
        The plug-in's window.
    """

    def __init__(self, downloads: ModelDownloads, parent: Gtk.Window) -> None:
        self._downloads = downloads
        self._rows: dict[str, _Row] = {}
        self.heading, self.footer = _make_text("heading"), _make_text("footer")
        self.footer.set_text(downloads.footer)
        for label in (self.heading, self.footer):
            label.set_width_chars(_CHARACTERS)  # else GTK makes room for a column of single words
        self._column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=12)
        scroll = Gtk.ScrolledWindow(hscrollbar_policy=Gtk.PolicyType.NEVER, vexpand=True)
        scroll.add(self._column)
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=8, margin=8)
        column.add(self.heading)
        column.add(scroll)
        column.add(self.footer)
        self.window = Gtk.Window(
            title=TITLE, type_hint=Gdk.WindowTypeHint.UTILITY, transient_for=parent
        )
        self.window.set_name("downloads")
        self.window.set_default_size(_WIDTH, _HEIGHT)
        self.window.add(column)
        self.window.connect("delete-event", lambda *_: self.window.hide_on_delete())

    def open(self) -> None:
        """Show the window, and ask the daemon for its suggestions."""
        self._downloads.on_change = self._show
        self._downloads.open()
        self.window.show_all()
        self.window.present()
        self._show()

    def _show(self) -> None:
        self.heading.set_text(self._downloads.heading)
        for offer in self._downloads.offers:
            if offer.model not in self._rows:
                self._rows[offer.model] = row = _Row(offer.model, self._downloads)
                self._column.add(row.widget)
            self._rows[offer.model].show(offer)


class _Row:
    """A model: what it is good for, how far its download is, and a button."""

    def __init__(self, model: str, downloads: ModelDownloads) -> None:
        self._offer: Offer | None = None
        self._downloads = downloads
        self._title, self._details = _make_text("title"), _make_text("details")
        self._status = _make_text("status")
        self._bar = Gtk.ProgressBar()
        self._button = Gtk.Button(valign=Gtk.Align.START)
        self._button.set_name("button")
        self._button.connect("clicked", lambda _: self._press())
        self.widget = Gtk.Grid(column_spacing=8, row_spacing=2)
        self.widget.set_name(model)
        for line, widget in enumerate((self._title, self._details, self._status, self._bar)):
            widget.set_hexpand(True)
            self.widget.attach(widget, 0, line, 1, 1)
        self.widget.attach(self._button, 1, 0, 1, 2)
        self.widget.show_all()
        for widget in (self._status, self._bar, self._button):
            widget.set_no_show_all(True)

    def _press(self) -> None:
        if self._offer is not None:
            self._downloads.press(self._offer)

    def show(self, offer: Offer) -> None:
        """Show how the model is now."""
        if offer == self._offer:
            return
        self._offer = offer
        self._title.set_markup(f"<b>{GLib.markup_escape_text(offer.title)}</b>")
        self._details.set_text(offer.details)
        self._status.set_text(offer.status)
        self._status.set_visible(bool(offer.status))
        self._bar.set_visible(offer.fraction is not None)
        self._bar.set_fraction(offer.fraction or 0)
        self._button.set_label(offer.button)
        self._button.get_accessible().set_name(f"{offer.button} {offer.title}")
        self._button.set_visible(bool(offer.button))


def _make_text(name: str) -> Gtk.Label:
    label = Gtk.Label(halign=Gtk.Align.START, xalign=0, wrap=True, selectable=True)
    label.set_line_wrap_mode(Pango.WrapMode.WORD_CHAR)
    label.set_can_focus(False)
    label.set_name(name)
    return label
