"""The window: the form, the line that says what will happen, and what the session says.

It stays open beside the image while the artist paints.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")
from gi.repository import Gdk, Gimp, GimpUi, GLib, Gtk, Pango  # noqa: E402 - after their versions

from underpaint_client.errors import BadInputError  # noqa: E402
from underpaint_editor.form import BUTTONS, FIELDS, RESULT_BUTTONS, ROWS, SPOKEN, Form, Switch  # noqa: E402
from underpaint_editor.layers import describe_plan_line, preview_size  # noqa: E402
from underpaint_editor.lists import ModelChoice  # noqa: E402
from underpaint_editor.panel import Panel  # noqa: E402
from underpaint_editor.results import THUMBNAILS, Thumbnail  # noqa: E402
from underpaint_editor.survey import Survey  # noqa: E402

from . import front  # noqa: E402
from .buffers import image_of, scaled  # noqa: E402
from .canvas import GimpDocument, load_form  # noqa: E402
from .controls import Control, fill_choice, make_slider, on_arrow, on_enter  # noqa: E402
from .preview import remove_leftovers  # noqa: E402
from .queue_list import QueueList  # noqa: E402
from .selected import GimpResult  # noqa: E402
from .session import listener, session  # noqa: E402

_WIDTH, _HEIGHT = 300, 720  # pixels
_ABREAST = 3  # thumbnails
_SETTLED = 500  # milliseconds in which window managers give a new window the focus, or not


def form_file() -> Path:
    """Return the file that keeps the form from one start to the next."""
    return Path(Gimp.directory(), "underpaint.json")


def last_form() -> Form:
    """Return the form as it was left."""
    try:
        return Form.from_text(form_file().read_text(encoding="utf-8"))
    except OSError:
        return Form()


class Window:
    """See the module. It is the panel's `Toolkit`."""

    def __init__(self) -> None:
        GimpUi.init("underpaint")
        self.session = session()
        self.panel = Panel(self.session, self)
        self.panel.filling = True
        self._listed: list[ModelChoice] = []
        self._image: Any = None
        self._seen: frozenset[int] = frozenset()  # images that were open when it was chosen
        self._front_known = True  # whether it can be seen which image is in front
        self._document = ""  # of the plan, where the artist may think of another one
        self._cautions: list[str] = []
        self._forms: dict[int, Form] = {}
        self._unassigned: Form | None = None  # as it was when the artist had to choose an image
        self._build()
        self.panel.fill(last_form())
        listener().window = self
        self.show_message(self.session.last_message)
        self.refresh()

    # ---- how it looks ----------------------------------------------------------------------

    def _build(self) -> None:
        self.controls = {field.name: Control(field, self.panel.form_edited) for field in FIELDS}
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, margin=8)
        self.images = Gtk.ComboBoxText(no_show_all=True)
        self.images.set_name("image")
        self.images.set_tooltip_text("The image to work on")
        self.images.get_accessible().set_name("Image")
        self.images.connect("changed", self._image_chosen)
        column.add(self.images)
        for name in ("prompt", "negative_prompt"):
            column.add(self.controls[name].shown)
        on_arrow(self.controls["prompt"], self.panel.recall_prompt)
        column.add(self._strength())
        self.plan = _label("plan")
        column.add(self.plan)
        column.add(self._buttons())
        column.add(self._result_row())
        self.progress = Gtk.ProgressBar()
        self.progress.set_name("progress")
        self.progress.get_accessible().set_name(SPOKEN["progress"])
        column.add(self.progress)
        self.status = _label("status")
        column.add(self.status)
        self.queue = QueueList(self.session.prefer, self.session.cancel)
        column.add(self.queue.widget)
        self.preview = Gtk.Image(no_show_all=True, halign=Gtk.Align.START)
        self.preview.set_name("preview")
        self.preview.get_accessible().set_name(SPOKEN["preview"])
        column.add(self.preview)
        self.remedy = Gtk.Button(no_show_all=True)
        self.remedy.set_name("remedy")
        self.remedy.connect("clicked", lambda _: self.session.apply_remedy())
        column.add(self.remedy)
        column.add(self._rows())
        scroll = Gtk.ScrolledWindow(hscrollbar_policy=Gtk.PolicyType.NEVER)
        scroll.add(column)
        self.window = Gtk.Window(title="Underpaint", type_hint=Gdk.WindowTypeHint.UTILITY)
        self.window.set_role("underpaint")
        self.window.set_default_size(_WIDTH, _HEIGHT)
        self.window.add(scroll)
        self.window.connect("delete-event", lambda *_: self.window.hide_on_delete())
        on_enter(self.window, self.generate_now)
        self.window.connect("enter-notify-event", self._entered)
        self.window.connect("focus-in-event", self._entered)

    def _strength(self) -> Any:
        strength = self.controls["strength"]
        self.strength_label = Gtk.Label(halign=Gtk.Align.END, hexpand=True)
        self.strength_label.set_name("strength_words")
        title = Gtk.Label.new_with_mnemonic("_Strength")
        title.set_mnemonic_widget(strength.widget)
        title.set_halign(Gtk.Align.START)
        grid = Gtk.Grid(column_spacing=8)
        grid.attach(title, 0, 0, 1, 1)
        grid.attach(self.strength_label, 1, 0, 2, 1)
        grid.attach(make_slider(strength), 0, 1, 2, 1)
        grid.attach(strength.widget, 2, 1, 1, 1)
        return grid

    def _rows(self) -> Any:
        grid = Gtk.Grid(column_spacing=8, row_spacing=4)
        for row, name in enumerate(ROWS):
            control = self.controls[name]
            if not isinstance(control.field, Switch):
                label = Gtk.Label(label=control.field.label, halign=Gtk.Align.START)
                grid.attach(label, 0, row, 1, 1)
            shown = self._seed() if name == "seed" else control.shown
            shown.set_hexpand(True)
            grid.attach(shown, 1, row, 1, 1)
        return grid

    def _seed(self) -> Any:
        dice = _button("seed_dice", Gtk.Button())
        dice.connect("clicked", lambda _: self.panel.draw_seed())
        self.lock = _button("seed_locked", Gtk.ToggleButton())
        self.lock.connect("toggled", lambda _: self.panel.form_edited())
        row = Gtk.Box(spacing=4)
        row.pack_start(self.controls["seed"].shown, True, True, 0)
        row.add(dice)
        row.add(self.lock)
        return row

    def _buttons(self) -> Any:
        self.generate = _button("generate", Gtk.Button())
        self.generate.get_style_context().add_class("suggested-action")
        self.generate.connect("clicked", lambda _: self.generate_now())
        self.cancel = _button("cancel", Gtk.Button())
        self.cancel.connect("clicked", lambda _: self.session.cancel())
        row = Gtk.Box(spacing=6)
        row.pack_start(self.generate, True, True, 0)
        row.add(self.cancel)
        return row

    def _result_row(self) -> Any:
        """Return what can be done with a result, shown while one is selected."""
        self.result_row = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=4)
        self.result_buttons = {name: _button(name, Gtk.Button()) for name in RESULT_BUTTONS}
        buttons = self.result_buttons
        for name, button in buttons.items():
            if name != "compare":
                button.connect("clicked", lambda _, n=name: self.use_result(n))
        buttons["compare"].connect(
            "pressed", lambda _: self.panel.compare(GimpResult.of(self._image))
        )
        buttons["compare"].connect("released", lambda _: self.panel.end_comparison())
        self.result_row.add(self._thumbnails())
        self.page = _label("page")
        self.page.set_no_show_all(True)
        self.result_row.add(self.page)
        amount = self.controls["vary_amount"].shown
        for line in (
            [buttons[name] for name in ("previous", "next", "compare", "keep")],
            [buttons["vary"], amount, buttons["settings"]],
        ):
            row = Gtk.Box(spacing=4)
            for widget in line:
                wide = widget not in (buttons["previous"], buttons["next"], amount)
                row.pack_start(widget, wide, True, 0)
            self.result_row.add(row)
        self.result_row.show_all()
        self.result_row.set_no_show_all(True)
        self.result_row.hide()
        return self.result_row

    def _thumbnails(self) -> Any:
        """Return the grid of the batch's thumbnails."""
        grid = Gtk.Grid(column_homogeneous=True, column_spacing=2, row_spacing=2)
        self.thumbnails = [_ThumbnailButton(self._show_result) for _ in range(THUMBNAILS)]
        for slot, thumbnail in enumerate(self.thumbnails):
            grid.attach(thumbnail.button, slot % _ABREAST, slot // _ABREAST, 1, 1)
        return grid

    # ---- the form --------------------------------------------------------------------------

    def is_seed_locked(self) -> bool:
        """Return whether the button that locks the seed is down."""
        return bool(self.lock.get_active())

    def set_seed_locked(self, locked: bool) -> None:
        """Set the button that locks the seed."""
        self.lock.set_active(locked)

    def show_plan(self, text: str) -> None:
        """Show the plan line, with what GIMP cannot do for this image."""
        self.plan.set_text(describe_plan_line(text, self._cautions, self._document))

    def show_strength(self, text: str) -> None:
        """Show the description of the strength."""
        self.strength_label.set_text(text)

    def save_form(self) -> None:
        """Keep the form in GIMP's folder."""
        _write_form(self.panel.form)

    # ---- the image -------------------------------------------------------------------------

    def show(self, image: Any = None, *, to_front: bool) -> None:
        """Show the window, for an image where one is given.

        Parameters
        ----------
        to_front : bool
            Whether the artist means to write into it now.
        """
        GimpUi.window_set_transient(self.window)
        if not to_front and not self.window.get_visible():
            # Or the next stroke's keys would go to a window that came up beside the image.
            self.window.set_accept_focus(False)
            GLib.timeout_add(_SETTLED, self._accept_focus)
        self.window.show_all()
        if to_front:
            front.bring_to_front(self.window)
            self.controls["prompt"].widget.grab_focus()
        self.look(image)

    def _accept_focus(self) -> bool:
        self.window.set_accept_focus(True)
        return bool(GLib.SOURCE_REMOVE)

    def look(self, image: Any = None) -> None:
        """Look at the image in front, or another, and its layer: nobody says when they change."""
        by_id = {one.get_id(): one for one in Gimp.get_images()}
        in_front = front.image_in_front(list(by_id.values()))
        self._front_known = in_front is not None or len(by_id) < 2
        if image is not None:
            self._seen = frozenset(by_id)
        else:
            first = None if in_front is None else in_front.get_id()
            before = None if self._image is None else self._image.get_id()
            found = front.choose_image(list(by_id), first, before, self._seen)
            image = None if found is None else by_id[found]
        self._look_at(image)

    def _look_at(self, image: Any) -> None:
        """Look at an image and its layer; at none where there is none, or nobody said which."""
        self._take(image)
        self._list_images(Gimp.get_images(), choose=not self._front_known)
        self.panel.end_comparison()
        self.panel.show_selected(GimpResult.of(self._image))
        name, self._cautions, self._document = "Underpaint", [], ""

        def look() -> Survey:
            nonlocal name
            if image is not None and image.is_valid() and not self._front_known:
                self._document = front.name_in_title(image)
            document = self._current_document()
            shown = self._document or document.image.get_name()
            name = f"Underpaint: {document.layer.get_name()} in {shown}"
            found = document.survey()
            self._cautions = document.cautions()
            return found

        self.panel.survey_document(look)
        self.window.set_title(name)

    def _current_document(self, layers: list[Any] | None = None) -> GimpDocument:
        """Return the document of the selected layer of the image, or of another layer.

        Raises
        ------
        BadInputError
            Where there is none, or nobody has said in which image.
        """
        if self._image is None and not self._front_known:
            raise BadInputError(
                "several images are open, and Underpaint cannot tell which one is in front; choose"
                " it at the top of this window, or use Filters > Underpaint in the image's window"
            )
        return GimpDocument.of(self._image, layers)

    def _take(self, image: Any) -> None:
        """Change to an image, and to the form that it had."""
        before, self._image = self._image, image
        if before is not None and image is not None and before.get_id() == image.get_id():
            return
        if before is not None:
            self._forms[before.get_id()] = self.panel.form
        if image is None:
            if not self._front_known and self._unassigned is None:
                self._unassigned = self.panel.form
            return
        remove_leftovers(image)
        unasked, self._unassigned = self._unassigned, None
        if unasked not in (None, self.panel.form):
            return  # it was written for this image, before that was chosen
        known = self._forms.get(image.get_id())
        self.panel.fill(known or Form.from_text(load_form(image), self.panel.form))

    def _list_images(self, images: list[Any], *, choose: bool) -> None:
        self.panel.filling = True
        self.images.remove_all()
        for image in images:
            self.images.append(str(image.get_id()), front.name_in_title(image))
        self.images.set_active_id(None if self._image is None else str(self._image.get_id()))
        self.images.set_visible(choose)
        self.panel.filling = False

    def _image_chosen(self, box: Any) -> None:
        chosen = box.get_active_id()
        if not self.panel.filling and chosen:
            self.look(Gimp.Image.get_by_id(int(chosen)))

    def _entered(self, *_: object) -> bool:
        self.look()
        return False

    # ---- the session ------------------------------------------------------------------------

    def generate_now(self, image: Any = None, layers: list[Any] | None = None) -> None:
        """Do what the button does, on the layer in front or on another."""
        self.look(image)
        sent = self.session.generate(self.panel.form, lambda: self._current_document(layers))
        if sent is not None:
            self.controls["seed"].value = sent.value("seed")
            self.look(image)

    def use_result(self, name: str) -> None:
        """Do what one of the buttons for the selected result does."""
        selected = GimpResult.of(self._image)
        if selected is not None:
            self.panel.use_selected(name, selected)
        self._look_at(self._image)

    def _compare(self) -> None:
        self.panel.compare(GimpResult.of(self._image))

    def _show_result(self, index: int) -> None:
        selected = GimpResult.of(self._image)
        if selected is not None and index < len(selected.results):
            selected.show(index)
        self._look_at(self._image)

    def show_result_buttons(self, enabled: Mapping[str, bool] | None, page: str) -> None:
        """Show the buttons for a result."""
        self.result_row.set_visible(enabled is not None)
        self.page.set_text(page)
        self.page.set_visible(bool(page))
        for name, usable in (enabled or {}).items():
            self.result_buttons[name].set_sensitive(usable)

    def show_thumbnail(self, slot: int, thumbnail: Thumbnail | None, image: Any) -> None:
        """Show one of the batch's results, or nothing."""
        self.thumbnails[slot].show(thumbnail, image)

    def show_message(self, text: str) -> None:
        """Show a status message."""
        self.status.set_text(text)

    def show_progress(self, fraction: float | None) -> None:
        """Show how much of the running job is done."""
        if fraction is None:
            self.progress.pulse()
        else:
            self.progress.set_fraction(fraction)

    def show_preview(self, frame: Any) -> None:
        """Show the unfinished image, or nothing."""
        self.preview.set_visible(frame is not None)
        if frame is not None:
            extent = frame.box.extent
            image = scaled(image_of(frame.data, extent), preview_size(extent))
            self.preview.set_from_pixbuf(image)

    def refresh(self) -> None:
        """Show the session's jobs, models and remedy."""
        self.cancel.set_sensitive(self.session.running)
        if not self.session.running:
            self.show_progress(0)
        if not self.panel.comparing:  # else results that are hidden for a moment would count
            self.panel.show_selected(GimpResult.of(self._image))
        remedy = self.session.remedy
        self.remedy.set_label("" if remedy is None else remedy.label)
        self.remedy.set_visible(remedy is not None)
        self.queue.show(self.session.queue)
        wanted = self.session.model_choices
        if wanted != self._listed:
            self._listed, self.panel.filling = wanted, True
            fill_choice(
                self.controls["model"],
                [(c.value, c.label if c.usable else f"{c.label}: {c.tip}") for c in wanted],
            )
            self.panel.filling = False


class _ThumbnailButton:
    """A button with a result's thumbnail, and its two lines of caption."""

    def __init__(self, chosen: Callable[[int], None]) -> None:
        self.index = 0
        self.button = Gtk.Button(no_show_all=True)
        self.button.connect("clicked", lambda _: chosen(self.index))
        self._image, self._label = Gtk.Image(), Gtk.Label(justify=Gtk.Justification.CENTER)
        self._label.set_ellipsize(Pango.EllipsizeMode.END)
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=2)
        column.pack_start(self._image, True, True, 0)
        column.add(self._label)
        column.show_all()
        self.button.add(column)

    def show(self, thumbnail: Thumbnail | None, image: Any) -> None:
        """Show a result, or nothing."""
        self.button.set_visible(thumbnail is not None)
        if thumbnail is None:
            return
        self.index = thumbnail.index
        self._image.set_from_pixbuf(image)
        text = GLib.markup_escape_text(f"{thumbnail.seed}\n{thumbnail.amount}")
        self._label.set_markup(f"<b>{text}</b>" if thumbnail.shown else text)
        self.button.set_relief(Gtk.ReliefStyle.NORMAL if thumbnail.shown else Gtk.ReliefStyle.NONE)
        self.button.set_tooltip_text(thumbnail.tip)
        self.button.get_accessible().set_name(thumbnail.tip)


def _write_form(form: Form) -> None:
    file = form_file()
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    draft.write_text(form.to_text(), encoding="utf-8")
    draft.replace(file)


def _label(name: str) -> Any:
    label = Gtk.Label(halign=Gtk.Align.START, xalign=0, wrap=True, selectable=True)
    label.set_line_wrap_mode(Pango.WrapMode.WORD_CHAR)
    label.set_can_focus(False)
    label.set_name(name)
    label.get_accessible().set_description(SPOKEN[name])
    return label


def _button(name: str, widget: Any) -> Any:
    button = BUTTONS[name]
    widget.set_name(name)
    widget.set_label(button.label)
    widget.set_tooltip_text(button.tip)
    widget.get_accessible().set_description(button.tip)
    return widget
