"""What can be done with the selected result: the thumbnails of its batch, and the buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import GdkPixbuf, GLib, Gtk, Pango  # noqa: E402 - after its version

from underpaint_editor.buttons import RESULT_BUTTONS  # noqa: E402
from underpaint_editor.results import THUMBNAIL_COLUMNS, THUMBNAILS, Thumbnail  # noqa: E402

from .widgets import make_label, set_up_button  # noqa: E402


class ThumbnailButton:
    """The thumbnail of a result, with its caption of two lines.

    Parameters
    ----------
    chosen : callable
        Called with the result's index when the button is clicked.
    """

    def __init__(self, chosen: Callable[[int], None]) -> None:
        self._index = 0
        self.button = Gtk.Button(no_show_all=True)
        self.button.connect("clicked", lambda _: chosen(self._index))
        self._image, self._label = Gtk.Image(), Gtk.Label(justify=Gtk.Justification.CENTER)
        self._label.set_ellipsize(Pango.EllipsizeMode.END)
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=2)
        column.pack_start(self._image, True, True, 0)
        column.add(self._label)
        column.show_all()
        self.button.add(column)

    def show(self, thumbnail: Thumbnail | None, image: GdkPixbuf.Pixbuf | None) -> None:
        """Show a result, or hide the button if there is none."""
        self.button.set_visible(thumbnail is not None)
        if thumbnail is None:
            return
        self._index = thumbnail.index
        self._image.set_from_pixbuf(image)
        text = GLib.markup_escape_text(f"{thumbnail.seed}\n{thumbnail.amount}")
        self._label.set_markup(f"<b>{text}</b>" if thumbnail.shown else text)
        self.button.set_relief(Gtk.ReliefStyle.NORMAL if thumbnail.shown else Gtk.ReliefStyle.NONE)
        self.button.set_tooltip_text(thumbnail.tip)
        self.button.get_accessible().set_name(thumbnail.tip)


class ResultRow:
    """See the module.

    Parameters
    ----------
    amount : Gtk.Widget
        The control for the amount of variation, which goes beside its button.
    chosen : callable
        Called with the index of a result whose thumbnail is clicked.
    pressed : callable
        Called with the name of a button that is clicked, except `compare`.
    """

    def __init__(
        self,
        amount: Gtk.Widget,
        chosen: Callable[[int], None],
        pressed: Callable[[str], None],
    ) -> None:
        self.widget = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=4)
        self.buttons = {name: set_up_button(name, Gtk.Button()) for name in RESULT_BUTTONS}
        self.thumbnails = [ThumbnailButton(chosen) for _ in range(THUMBNAILS)]
        self.page = make_label("page")
        self.page.set_no_show_all(True)
        buttons = self.buttons
        for name, button in buttons.items():
            if name != "compare":
                button.connect("clicked", lambda _, n=name: pressed(n))
        grid = Gtk.Grid(column_homogeneous=True, column_spacing=2, row_spacing=2)
        for slot, thumbnail in enumerate(self.thumbnails):
            grid.attach(thumbnail.button, slot % THUMBNAIL_COLUMNS, slot // THUMBNAIL_COLUMNS, 1, 1)
        self.widget.add(grid)
        self.widget.add(self.page)
        lines: tuple[list[Gtk.Widget], ...] = (
            [buttons[name] for name in ("previous", "next", "compare", "keep")],
            [buttons["vary"], amount, buttons["settings"]],
        )
        for line in lines:
            row = Gtk.Box(spacing=4)
            for widget in line:
                wide = widget not in (buttons["previous"], buttons["next"], amount)
                row.pack_start(widget, wide, True, 0)
            self.widget.add(row)
        self.widget.show_all()
        self.widget.set_no_show_all(True)
        self.widget.hide()

    def show_buttons(self, enabled: Mapping[str, bool] | None, page: str) -> None:
        """Show the row for a result, or hide it; see `contract.Toolkit.show_result_buttons`."""
        self.widget.set_visible(enabled is not None)
        self.page.set_text(page)
        self.page.set_visible(bool(page))
        for name, usable in (enabled or {}).items():
            self.buttons[name].set_sensitive(usable)
