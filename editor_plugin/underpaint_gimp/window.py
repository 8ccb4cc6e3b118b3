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
from underpaint_editor.buttons import BUTTONS  # noqa: E402
from underpaint_editor.form import PROMPTS, Form  # noqa: E402
from underpaint_editor.layers import describe_plan_line  # noqa: E402
from underpaint_editor.panel import Panel  # noqa: E402
from underpaint_editor.results import Thumbnail  # noqa: E402
from underpaint_editor.survey import Survey  # noqa: E402

from . import front  # noqa: E402
from .alpha_button import AlphaButton  # noqa: E402
from .canvas import GimpDocument  # noqa: E402
from .control_menu import ControlMenu  # noqa: E402
from .controls import (  # noqa: E402
    Control,
    hide_on_close,
    on_arrow,
    on_enter,
)
from .downloads_window import DownloadsWindow  # noqa: E402
from .form_view import FormView  # noqa: E402
from .image_choice import ImageChoice  # noqa: E402
from .image_forms import ImageForms  # noqa: E402
from .job_view import JobView  # noqa: E402
from .picture_chooser import PictureChooser  # noqa: E402
from .preview import remove_leftovers  # noqa: E402
from .prompt_popup import PromptPopup, mark_error  # noqa: E402
from .result_row import ResultRow  # noqa: E402
from .role_rows import RoleRows, TypedRole  # noqa: E402
from .selected import GimpResult  # noqa: E402
from .session import listener, session  # noqa: E402
from .tree import layer_names  # noqa: E402
from .widgets import make_label, set_up_button, set_up_style  # noqa: E402

_WIDTH, _HEIGHT = 370, 720  # pixels
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
        self._title_name = ""  # of the image in the plan line, if the artist may mean another one
        self._cautions: list[Sentence] = []
        self._forms = ImageForms(self.panel)
        self._downloads: DownloadsWindow | None = None
        self._pictures = PictureChooser(self.panel.use_picture)
        self._build()
        self.panel.fill(last_form())
        listener().window = self
        self.show_message(self.session.last_message)
        self.refresh()

    # ---- layout ----------------------------------------------------------------------------

    def _build(self) -> None:
        self._view = FormView(self.panel)
        self._fields, self.lock = self._view.fields, self._view.lock
        self.model_facts = self._view.model_facts
        self.control_menu = ControlMenu(lambda: self.session.control_pictures, self.make_control)
        self._role = RoleRows(self._change_role, self._type_role, self.control_menu)
        self._typed = TypedRole(self.panel.role_edited)
        column = Gtk.Box(orientation=Gtk.Orientation.VERTICAL, spacing=6, margin=8)
        self.images = ImageChoice(self.look)
        column.add(self.images.widget)
        self.popups: list[PromptPopup] = []
        for name in PROMPTS:
            column.add(self._fields.texts[name].shown)
            find = functools.partial(self._candidates, name)
            self.popups.append(PromptPopup(self._fields.texts[name].widget, find))
        on_arrow(self._fields.texts["prompt"], self.panel.recall_prompt)
        column.add(self._view.strength)
        self.plan = make_label("plan")
        buttons = self._make_buttons()
        for widget in (self.plan, self._make_alpha(), self._make_offer(), buttons):
            column.add(widget)
        amount = self._fields.numbers["vary_amount"].shown
        self.result_row = ResultRow(amount, self._show_result, self.use_result)
        compare = self.result_row.buttons["compare"]
        compare.connect("pressed", lambda _: self.panel.compare(GimpResult.of(self.images.image)))
        compare.connect("released", lambda _: self.panel.end_comparison())
        column.add(self.result_row.widget)
        self._jobs = jobs = JobView(self.session)
        self.progress, self.status, self.queue = jobs.progress, jobs.status, jobs.queue
        self.preview, self.remedy = jobs.preview, jobs.remedy
        for shown in (*jobs.widgets, self._role.widget, self._view.rows):
            column.add(shown)
        column.add(self._make_picture())
        scroll = Gtk.ScrolledWindow(hscrollbar_policy=Gtk.PolicyType.NEVER)
        scroll.add(column)
        self.window = Gtk.Window(title="Underpaint", type_hint=Gdk.WindowTypeHint.UTILITY)
        self.window.set_role("underpaint")
        self.window.set_default_size(_WIDTH, _HEIGHT)
        self.window.add(scroll)
        set_up_style(self.window)
        hide_on_close(self.window)
        on_enter(self.window, self.generate_now)
        self.window.connect("enter-notify-event", self._entered)
        self.window.connect("focus-in-event", self._entered)

    def _candidates(self, field: str, kind: Kind) -> Candidates:
        return self.panel.candidates(field, kind, lambda: layer_names(self.images.image))

    def _make_picture(self) -> Gtk.Button:
        picture = set_up_button("picture", Gtk.Button())
        picture.connect("clicked", lambda _: self._pictures.open(self.window))
        return picture

    def _make_alpha(self) -> Gtk.Button:
        self.alpha = AlphaButton(self.look)
        return self.alpha.widget

    def _make_offer(self) -> Gtk.Button:
        self.offer = Gtk.Button(no_show_all=True)
        self.offer.set_name("offer")
        self.offer.set_halign(Gtk.Align.START)
        self.offer.set_relief(Gtk.ReliefStyle.NONE)
        self.offer.connect("clicked", lambda _: self.panel.accept_offer())
        return self.offer

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
        return self._role.controls

    def show_role(self, *, enabled: bool, details: bool, refusal: Sentence) -> None:
        """Show the controls of the layer's role, and whether Generate can be pressed."""
        self.generate.set_sensitive(not refusal)
        self.generate.set_tooltip_text(refusal or BUTTONS["generate"].tip)
        self._role.show(enabled=enabled, details=details)

    def _type_role(self) -> None:
        if not self.panel.filling:
            self._typed.type(self._current_document)

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
        self._view.show_own(values)

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
        self._view.show_strength(text)

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
        self._typed.finish()
        self._change_image(image)
        self.images.show()
        self.panel.end_comparison()
        self.panel.show_selected(GimpResult.of(image))
        self.panel.show_role(self._current_document)
        title, self._cautions, self._title_name = Sentence("Underpaint"), [], ""
        self.alpha.show(None)

        def survey() -> Survey:
            nonlocal title
            if image is not None and image.is_valid() and not self.images.front_known:
                self._title_name = front.name_in_title(image)
            document = self._find_document()
            shown = self._title_name or document.image.get_name()
            title = sentence(
                "Underpaint: {layer} in {image}", layer=document.layer.get_name(), image=shown
            )
            found = document.survey()
            self._cautions = document.cautions()
            self.alpha.show(document.layer)
            return found

        self.panel.survey_document(survey)
        self.window.set_title(title)

    def _find_document(self, items: Sequence[Gimp.Item] | None = None) -> GimpDocument:
        """Return the document of the layer to paint on; see `Panel.find_document`."""
        self.images.check()
        selected = GimpResult.of(self.images.image)
        return self.panel.find_document(selected, lambda: self._current_document(items))

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
            self._forms.keep(before)
        if image is None:
            if not self.images.front_known:
                self._forms.expect_choice()
            return
        remove_leftovers(image)
        self._forms.show(image)

    def _entered(self, *_: object) -> bool:
        self.look()
        return False

    # ---- the selected result ---------------------------------------------------------------

    def use_result(self, name: str) -> None:
        """Do what one of the buttons for the selected result does."""
        self.panel.use_selected(name, GimpResult.of(self.images.image))
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
        sent = self.session.generate(self.panel.form, lambda: self._find_document(items))
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
        self._jobs.show_progress(fraction)

    def show_preview(self, frame: Frame | None) -> None:
        """Show the unfinished image, or remove it."""
        self._jobs.show_preview(frame)

    def refresh(self) -> None:
        """Show the session's jobs, models and remedy."""
        self.cancel.set_sensitive(self.session.running)
        if not self.panel.comparing:  # else the results that Compare hides would count as hidden
            self.panel.show_selected(GimpResult.of(self.images.image))
        self._jobs.refresh()
        self._view.list_choices(self.session.choices)
        self.panel.follow_model()
        for popup in self.popups:
            popup.completer.refresh()
