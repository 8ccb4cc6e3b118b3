"""The window: the form, the plan line, the session's messages and jobs.

It stays open beside the image while the artist paints.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
gi.require_version("GimpUi", "3.0")
from gi.repository import Gdk, GdkPixbuf, Gimp, GimpUi, GLib, Gtk  # noqa: E402 - after their versions

from underpaint_client.frames import Frame  # noqa: E402
from underpaint_client.home import write_private  # noqa: E402
from underpaint_client.parsed_prompt import PromptError  # noqa: E402
from underpaint_client.prompt_completion import Candidates, Kind  # noqa: E402
from underpaint_client.sentences import Sentence, sentence  # noqa: E402
from underpaint_editor.form import BUTTONS, PROMPTS, ROWS, SPOKEN, Form  # noqa: E402
from underpaint_editor.layer_role import ROLE_FIELDS  # noqa: E402
from underpaint_editor.layers import describe_plan_line, preview_size  # noqa: E402
from underpaint_editor.lists import ListedChoice  # noqa: E402
from underpaint_editor.panel import Panel  # noqa: E402
from underpaint_editor.results import Thumbnail  # noqa: E402
from underpaint_editor.survey import Survey  # noqa: E402

from . import front  # noqa: E402
from .buffers import image_of, scaled  # noqa: E402
from .canvas import GimpDocument, load_form  # noqa: E402
from .control_menu import ControlMenu  # noqa: E402
from .controls import (  # noqa: E402
    Control,
    SwitchControl,
    make_controls,
    make_slider,
    on_arrow,
    on_enter,
)
from .downloads_window import DownloadsWindow  # noqa: E402
from .image_choice import ImageChoice  # noqa: E402
from .model_facts import ModelFacts  # noqa: E402
from .picture_chooser import PictureChooser  # noqa: E402
from .preview import remove_leftovers  # noqa: E402
from .prompt_popup import PromptPopup, mark_error  # noqa: E402
from .queue_list import QueueList  # noqa: E402
from .result_row import ResultRow  # noqa: E402
from .selected import GimpResult  # noqa: E402
from .session import listener, session  # noqa: E402
from .tree import layer_names  # noqa: E402
from .widgets import make_label, set_up_button, set_up_style  # noqa: E402

_WIDTH, _HEIGHT = 300, 720  # pixels
_SETTLED = 500  # milliseconds in which a window manager decides whether a new window gets the focus


def form_file() -> Path:
    """Return the file that keeps the form until the next start."""
    return Path(Gimp.directory(), "underpaint.json")


def last_form() -> Form:
    """Return the form that was saved last; the default one if there is none."""
    try:
        return Form.from_text(form_file().read_text(encoding="utf-8"))
    except OSError:
        return Form()


class Window:
    """See the module. It is the `Toolkit` of its panel, and a `Listener`."""

    def __init__(self) -> None:
        GimpUi.init("underpaint")
        self.session = session()
        self.panel = Panel(self.session, self)
        self.panel.filling = True
        self._listed: dict[str, list[ListedChoice]] = {}
        self._title_name = ""  # of the image in the plan line, if the artist may mean another one
        self._cautions: list[Sentence] = []
        self._forms: dict[int, Form] = {}  # by the ids of images
        self._unassigned: Form | None = None  # as it was when the artist had to choose an image
        self._downloads: DownloadsWindow | None = None
        self._pictures = PictureChooser(self.panel.use_picture)
        self._build()
        self.panel.fill(last_form())
        listener().window = self
        self.show_message(self.session.last_message)
        self.refresh()

    # ---- layout ----------------------------------------------------------------------------

    def _build(self) -> None:
        self._fields = make_controls(self.panel.form_edited)
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, margin=8)
        self.images = ImageChoice(self.look)
        column.add(self.images.widget)
        self.popups: list[PromptPopup] = []
        for name in PROMPTS:
            column.add(self._fields.texts[name].shown)
            find = functools.partial(self._candidates, name)
            self.popups.append(PromptPopup(self._fields.texts[name].widget, find))
        on_arrow(self._fields.texts["prompt"], self.panel.recall_prompt)
        column.add(self._make_strength())
        self.plan = make_label("plan")
        column.add(self.plan)
        column.add(self._make_offer())
        column.add(self._make_buttons())
        amount = self._fields.numbers["vary_amount"].shown
        self.result_row = ResultRow(amount, self._show_result, self.use_result)
        compare = self.result_row.buttons["compare"]
        compare.connect("pressed", lambda _: self.panel.compare(GimpResult.of(self.images.image)))
        compare.connect("released", lambda _: self.panel.end_comparison())
        column.add(self.result_row.widget)
        self.progress = Gtk.ProgressBar()
        self.progress.set_name("progress")
        self.progress.get_accessible().set_name(SPOKEN["progress"])
        column.add(self.progress)
        self.status = make_label("status")
        column.add(self.status)
        self.queue = QueueList(self.session)
        column.add(self.queue.widget)
        self.preview = Gtk.Image(no_show_all=True, halign=Gtk.Align.START)
        self.preview.set_name("preview")
        self.preview.get_accessible().set_name(SPOKEN["preview"])
        column.add(self.preview)
        self.remedy = Gtk.Button(no_show_all=True)
        self.remedy.set_name("remedy")
        self.remedy.connect("clicked", lambda _: self.session.apply_remedy())
        column.add(self.remedy)
        column.add(self._make_role())
        column.add(self._make_rows())
        column.add(self._make_picture())
        scroll = Gtk.ScrolledWindow(hscrollbar_policy=Gtk.PolicyType.NEVER)
        scroll.add(column)
        self.window = Gtk.Window(title="Underpaint", type_hint=Gdk.WindowTypeHint.UTILITY)
        self.window.set_role("underpaint")
        self.window.set_default_size(_WIDTH, _HEIGHT)
        self.window.add(scroll)
        set_up_style(self.window)
        self.window.connect("delete-event", lambda *_: self.window.hide_on_delete())
        on_enter(self.window, self.generate_now)
        self.window.connect("enter-notify-event", self._entered)
        self.window.connect("focus-in-event", self._entered)

    def _candidates(self, field: str, kind: Kind) -> Candidates:
        return self.panel.candidates(field, kind, lambda: layer_names(self.images.image))

    def _make_strength(self) -> Gtk.Grid:
        strength = self._fields.numbers["strength"]
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

    def _make_picture(self) -> Gtk.Button:
        picture = set_up_button("picture", Gtk.Button())
        picture.connect("clicked", lambda _: self._pictures.open(self.window))
        return picture

    def _make_role(self) -> Gtk.Grid:
        self._role = make_controls(self._change_role, ROLE_FIELDS)
        self._role_details: list[Gtk.Widget] = []
        grid = Gtk.Grid(column_spacing=8, row_spacing=4)
        for row, control in enumerate(self.role_controls.values()):
            label = Gtk.Label(label=control.field.label, halign=Gtk.Align.START)
            grid.attach(label, 0, row, 1, 1)
            control.shown.set_hexpand(True)
            grid.attach(control.shown, 1, row, 1, 1)
            if row:
                self._role_details += [label, control.shown]
        for widget in self._role_details:
            widget.set_no_show_all(True)
        self.control_menu = ControlMenu(lambda: self.session.control_pictures, self.make_control)
        grid.attach(self.control_menu.button, 0, len(self.role_controls), 2, 1)
        return grid

    def _make_offer(self) -> Gtk.Button:
        self.offer = Gtk.Button(no_show_all=True)
        self.offer.set_name("offer")
        self.offer.set_halign(Gtk.Align.START)
        self.offer.set_relief(Gtk.ReliefStyle.NONE)
        self.offer.connect("clicked", lambda _: self.panel.accept_offer())
        return self.offer

    def _make_rows(self) -> Gtk.Grid:
        self.model_facts = ModelFacts()
        grid = Gtk.Grid(column_spacing=8, row_spacing=4)
        row = 0
        for name in ROWS:
            control = self.controls[name]
            if not isinstance(control, SwitchControl):
                label = Gtk.Label(label=control.field.label, halign=Gtk.Align.START)
                grid.attach(label, 0, row, 1, 1)
            shown = self._make_seed() if name == "seed" else control.shown
            shown.set_hexpand(True)
            grid.attach(shown, 1, row, 1, 1)
            row += 1
            if name == "model":
                grid.attach(self.model_facts.widget, 0, row, 2, 1)
                row += 1
        return grid

    def _make_seed(self) -> Gtk.Box:
        dice = set_up_button("seed_dice", Gtk.Button())
        dice.connect("clicked", lambda _: self.panel.draw_seed())
        self.lock = set_up_button("seed_locked", Gtk.ToggleButton())
        self.lock.connect("toggled", lambda _: self.panel.form_edited())
        row = Gtk.Box(spacing=4)
        row.pack_start(self._fields.numbers["seed"].shown, True, True, 0)
        row.add(dice)
        row.add(self.lock)
        return row

    def _make_buttons(self) -> Gtk.Box:
        self.generate = set_up_button("generate", Gtk.Button())
        self.generate.get_style_context().add_class("suggested-action")
        self.generate.connect("clicked", lambda _: self.generate_now())
        self.cancel = set_up_button("cancel", Gtk.Button())
        self.cancel.connect("clicked", lambda _: self.session.cancel())
        row = Gtk.Box(spacing=6)
        row.pack_start(self.generate, True, True, 0)
        row.add(self.cancel)
        return row

    # ---- the form --------------------------------------------------------------------------

    @property
    def controls(self) -> Mapping[str, Control]:
        """The form's controls, by the names of the fields."""
        return self._fields.all

    @property
    def role_controls(self) -> Mapping[str, Control]:
        """The controls of the layer's role, by the names of the fields."""
        return {field.name: self._role.all[field.name] for field in ROLE_FIELDS}

    def show_role(self, *, enabled: bool, details: bool, refusal: Sentence) -> None:
        """Show the controls of the layer's role, and whether Generate can be pressed."""
        self.generate.set_sensitive(not refusal)
        self.generate.set_tooltip_text(refusal or BUTTONS["generate"].tip)
        for control in self.role_controls.values():
            control.shown.set_sensitive(enabled)
        for widget in self._role_details:
            widget.set_visible(details)

    def _change_role(self) -> None:
        if not self.panel.filling:
            self.panel.role_edited(self._current_document)
            self._look_at(self.images.image)

    def is_seed_locked(self) -> bool:
        """Return whether the button that locks the seed is down."""
        return self.lock.get_active()

    def set_seed_locked(self, locked: bool) -> None:
        """Set the button that locks the seed."""
        self.lock.set_active(locked)

    def show_own(self, values: Mapping[str, float | str]) -> None:
        """Show what the model has in the fields that are left to it."""
        for name, value in values.items():
            if isinstance(value, str):
                self._fields.choices[name].show_own(value)
            else:
                self._fields.numbers[name].show_own(value)

    def show_model(self, text: Sentence, picture: Frame | None) -> None:
        """Show what the chosen model is."""
        self.model_facts.show(text, picture)

    def show_plan(self, text: Sentence) -> None:
        """Show the plan line, with the cautions for this image."""
        self.plan.set_text(describe_plan_line(text, self._cautions, self._title_name))

    def show_offer(self, text: Sentence) -> None:
        """Show the button for the other choice, or hide it."""
        self.offer.set_label(text)
        self.offer.set_visible(bool(text))

    def mark_error(self, name: str, error: PromptError | None) -> None:
        """Underline in a prompt what cannot be read."""
        mark_error(self._fields.texts[name].widget, error)

    def show_strength(self, text: Sentence) -> None:
        """Show the description of the strength."""
        self.strength_label.set_text(text)

    def save_form(self) -> None:
        """Save the form in GIMP's folder."""
        write_private(form_file(), self.panel.form.to_text())

    def show_downloads(self) -> None:
        """Show the window with the models that can be downloaded."""
        if self._downloads is None:
            self._downloads = DownloadsWindow(self.session.downloads, self.window)
        self._downloads.open()

    # ---- the image -------------------------------------------------------------------------

    def show(self, image: Gimp.Image | None = None, *, to_front: bool) -> None:
        """Show the window.

        Parameters
        ----------
        image : Gimp.Image, optional
            The image to work on.
        to_front : bool
            Whether the artist wants to type into the window now.
        """
        GimpUi.window_set_transient(self.window)
        if not to_front and not self.window.get_visible():
            # Else the keys of the next stroke would go to this window.
            self.window.set_accept_focus(False)
            GLib.timeout_add(_SETTLED, self._accept_focus)
        self.window.show_all()
        if to_front:
            front.bring_to_front(self.window)
            self._fields.texts["prompt"].widget.grab_focus()
        self.look(image)

    def _accept_focus(self) -> bool:
        self.window.set_accept_focus(True)
        return GLib.SOURCE_REMOVE

    def look(self, image: Gimp.Image | None = None) -> None:
        """Survey the image in front, or another: GIMP sends no signal when something changes."""
        self._look_at(self.images.find(image))

    def _look_at(self, image: Gimp.Image | None) -> None:
        """Show the selected result and the plan line of an image; None if there is no image."""
        self._change_image(image)
        self.images.show()
        self.panel.end_comparison()
        self.panel.show_selected(GimpResult.of(image))
        self.panel.show_role(self._current_document)
        title, self._cautions, self._title_name = Sentence("Underpaint"), [], ""

        def survey() -> Survey:
            nonlocal title
            if image is not None and image.is_valid() and not self.images.front_known:
                self._title_name = front.name_in_title(image)
            document = self._current_document()
            shown = self._title_name or document.image.get_name()
            title = sentence(
                "Underpaint: {layer} in {image}", layer=document.layer.get_name(), image=shown
            )
            found = document.survey()
            self._cautions = document.cautions()
            return found

        self.panel.survey_document(survey)
        self.window.set_title(title)

    def _current_document(self, items: Sequence[Gimp.Item] | None = None) -> GimpDocument:
        """Return the document of the selected layer of the image, or of another layer.

        Raises
        ------
        BadInputError
            If there is none, or the artist has to choose an image.
        """
        self.images.check()
        return GimpDocument.of(self.images.image, items)

    def _change_image(self, image: Gimp.Image | None) -> None:
        """Work on another image from now on, with the form that it had."""
        before, self.images.image = self.images.image, image
        if before is not None and image is not None and before.get_id() == image.get_id():
            return
        if before is not None:
            self._forms[before.get_id()] = self.panel.form
        if image is None:
            if not self.images.front_known and self._unassigned is None:
                self._unassigned = self.panel.form
            return
        remove_leftovers(image)
        unassigned, self._unassigned = self._unassigned, None
        if unassigned not in (None, self.panel.form):
            return  # the artist has edited the form for this image, before choosing it
        known = self._forms.get(image.get_id())
        self.panel.fill(known or Form.from_text(load_form(image), self.panel.form))

    def _entered(self, *_: object) -> bool:
        self.look()
        return False

    # ---- the selected result ---------------------------------------------------------------

    def use_result(self, name: str) -> None:
        """Do what one of the buttons for the selected result does."""
        selected = GimpResult.of(self.images.image)
        if selected is not None:
            self.panel.use_selected(name, selected)
        self._look_at(self.images.image)

    def _show_result(self, index: int) -> None:
        selected = GimpResult.of(self.images.image)
        if selected is not None and index < len(selected.results):
            selected.show(index)
        self._look_at(self.images.image)

    def show_result_buttons(self, enabled: Mapping[str, bool] | None, page: str) -> None:
        """Show the buttons for a selected result, or hide them."""
        self.result_row.show_buttons(enabled, page)

    def show_thumbnail(
        self, slot: int, thumbnail: Thumbnail | None, image: GdkPixbuf.Pixbuf | None
    ) -> None:
        """Show one of the batch's results, or hide its slot."""
        self.result_row.thumbnails[slot].show(thumbnail, image)

    # ---- the session -----------------------------------------------------------------------

    def generate_now(
        self, image: Gimp.Image | None = None, items: Sequence[Gimp.Item] | None = None
    ) -> None:
        """Do what the Generate button does, on the layer in front or on another."""
        self.look(image)
        sent = self.session.generate(self.panel.form, lambda: self._current_document(items))
        if sent is not None:
            self._fields.numbers["seed"].value = sent.value("seed")
            self.look(image)

    def make_control(self, kind: str) -> None:
        """Make a control layer of the selected layer; `kind` is one of `CONTROL_PICTURES`."""
        self.look()
        self.session.make_control_layer(kind, self._current_document)

    def show_message(self, text: str) -> None:
        """Show a status message."""
        self.status.set_text(text)

    def show_progress(self, fraction: float | None) -> None:
        """Show how much of the running job is done."""
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
        """Show the session's jobs, models and remedy."""
        self.cancel.set_sensitive(self.session.running)
        if not self.session.running:
            self.show_progress(0)
        if not self.panel.comparing:  # else the results that Compare hides would count as hidden
            self.panel.show_selected(GimpResult.of(self.images.image))
        remedy = self.session.remedy
        self.remedy.set_label("" if remedy is None else remedy.label)
        self.remedy.set_visible(remedy is not None)
        self.queue.show(self.session.queue)
        for name, choices in self.session.choices.items():
            if choices == self._listed.get(name):
                continue
            self._listed[name], self.panel.filling = choices, True
            self._fields.choices[name].set_options(
                [(choice.value, _label_of(choice)) for choice in choices],
                {choice.value for choice in choices if not choice.usable},
            )
            self.panel.filling = False
        self.panel.follow_model()
        for popup in self.popups:
            popup.completer.refresh()


def _label_of(choice: ListedChoice) -> Sentence:
    """Return what a model or style is called in the list, which shows no tooltips."""
    if choice.usable:
        return choice.label
    return sentence("{name}: {problem}", name=choice.label, problem=choice.tip)
