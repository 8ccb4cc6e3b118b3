"""What a docker and a window decide alike, whatever their toolkit.

A panel fills the form's controls and reads them, and says what the buttons for a result do. The
docker or window that owns it is its `Toolkit`.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from underpaint_client.errors import BadInputError, UnderpaintError, to_sentence
from underpaint_client.picture_settings import read_picture_settings
from underpaint_client.prompt_completion import Candidates, Kind
from underpaint_client.recommended import USUAL, settle_request
from underpaint_client.seeds import draw_seed
from underpaint_client.sentences import NO_TEXT, Sentence, sentence

from .choices import describe_offer, offered_choice
from .form import BY_MODEL, Form, describe_strength
from .found_form import describe_used, fill_form
from .layer_role import LayerRole, refuse_role
from .layers import next_index
from .lists import GET_MODEL, describe_choice, find_model
from .results import THUMBNAILS, describe_kept, describe_page, describe_settings, list_thumbnails
from .survey import describe_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from underpaint_client.model_entry import ModelEntry
    from underpaint_client.modes import ModeChoice
    from underpaint_client.recommended import Recommended
    from underpaint_client.request import Request

    from .contract import Document, SelectedResult, Toolkit
    from .session import Session
    from .survey import Survey
    from .tag import Tag


GOES_TO_SOURCE = sentence("the layer that the selected result was made from is painted on again")
WITHOUT_SOURCE = sentence("the result itself is painted on, as its layer cannot be found")
PAINT_ON_RESULT = sentence("Paint on this result instead")

_ResultKey = tuple[str, int]
"""A result's job, and its index among the job's images."""

_Found = TypeVar("_Found")
_Found_co = TypeVar("_Found_co", covariant=True)


class _Result(Protocol[_Found_co]):
    """A `SelectedResult` of one editor."""

    @property
    def tag(self) -> Tag:
        """What its layer carries."""

    def find_source(self) -> _Found_co:
        """Return the editor's own document with the layer that it was made from."""


class Panel:
    """See the module.

    Parameters
    ----------
    session : Session
        The editor's.
    toolkit : Toolkit
        The widgets. They may not exist yet; the panel uses them only when it is called.
    """

    def __init__(self, session: Session, toolkit: Toolkit) -> None:
        self.session = session
        self.filling = False
        """Whether the panel itself is setting controls: their changes are not the artist's."""
        self._toolkit = toolkit
        self._survey: Survey | None = None
        self._find_survey: Callable[[], Survey] | None = None
        self._offered: ModeChoice | None = None
        self._replaced: _ResultKey | None = None  # the selected result, whose source is painted on
        self._painted_on: _ResultKey | None = None  # the result that the artist paints on itself
        self._notes: tuple[Sentence, ...] = ()  # about which layer is painted on
        self._chosen_model = ""  # the choice before GET_MODEL
        self._show_results_again: Callable[[], None] | None = None

    @property
    def comparing(self) -> bool:
        """Whether results are hidden because Compare is held."""
        return self._show_results_again is not None

    # ---- the form --------------------------------------------------------------------------

    @property
    def form(self) -> Form:
        """What the controls hold."""
        toolkit = self._toolkit
        values: dict[str, Any] = {name: one.value for name, one in toolkit.controls.items()}
        return Form.of(seed_locked=toolkit.is_seed_locked(), **values)

    def fill(self, form: Form) -> None:
        """Set the controls to a form's values."""
        self.filling = True
        controls = self._toolkit.controls
        for name, value in form.values().items():
            if name in controls:
                controls[name].value = value
        self._toolkit.set_seed_locked(form.seed_locked)
        self._chosen_model = controls["model"].value
        self.filling = False
        self.follow_model()

    def form_edited(self) -> None:
        """Save the form and describe the next run, after the artist has changed a control."""
        if self.filling or self._asks_for_model():
            return
        self._save_form()
        self.follow_model()

    def _asks_for_model(self) -> bool:
        """Return whether the artist chose "Get a model..."; show the downloads, if so."""
        control = self._toolkit.controls["model"]
        if control.value != GET_MODEL:
            self._chosen_model = control.value
            return False
        self.filling = True
        control.value = self._chosen_model
        self.filling = False
        self._toolkit.show_downloads()
        return True

    def follow_model(self) -> None:
        """Show what style or model have in the fields that are left to them; describe the next run.

        Call this when the models have changed, too.
        """
        recommended, model = self._recommended, self._model
        own = settle_request(self._apply_style(self.form.left_to_model()), recommended)
        self.filling = True
        self._toolkit.show_own({name: own.value(name) for name in BY_MODEL})
        self.filling = False
        is_usable = model is not None and not model.problem
        picture = self.session.model_pictures.find(model.name) if model and is_usable else None
        self._toolkit.show_model(describe_choice(model), picture)
        self.describe_run()

    def _apply_style(self, request: Request) -> Request:
        """Return a request with what its style says, if that can be used."""
        with contextlib.suppress(BadInputError):
            return self.session.apply_style(request)
        return request

    @property
    def _model(self) -> ModelEntry | None:
        session, name = self.session, self._apply_style(self.form.settings).sampling.model
        return find_model(session.models, session.default_model, name)

    @property
    def _recommended(self) -> Recommended:
        """What suits the model that is chosen; of one that is not known, what is usual."""
        return USUAL if self._model is None else self._model.recommended

    def _save_form(self) -> None:
        """Keep the form for the next start; nothing else fails where that cannot be done."""
        try:
            self._toolkit.save_form()
        except OSError as error:
            reason = error.strerror or str(error)
            self.session.report(
                sentence("The settings cannot be kept for the next start: {reason}.", reason=reason)
            )

    def draw_seed(self) -> None:
        """Set the seed to a random one."""
        self._toolkit.controls["seed"].value = draw_seed()

    def candidates(self, field: str, kind: Kind, layers: Callable[[], Iterable[str]]) -> Candidates:
        """Return what a prompt can name, as `PromptSources.candidates` has it.

        Parameters
        ----------
        field : str
            One of `form.PROMPTS`; LoRAs are named in the prompt alone.
        kind, layers
            As there.
        """
        if kind is Kind.LORA and field != "prompt":
            return Candidates()
        return self.session.prompt_sources.candidates(kind, self._model, layers)

    def recall_prompt(self, step: int) -> None:
        """Replace the prompt by the one before it in the history (-1), or the next (1)."""
        history, prompt = self.session.history, self._toolkit.controls["prompt"]
        found = (history.older if step < 0 else history.newer)(prompt.value)
        if found is not None:
            prompt.value = found

    def describe_run(self) -> None:
        """Show in the plan line what the next run will do."""
        form = self.form
        for name, error in form.prompt_errors().items():
            self._toolkit.mark_error(name, error)
        self._toolkit.show_strength(describe_strength(form.settings.sampling.strength))
        self._offered = None
        if self._survey is not None:
            self._offered = offered_choice(
                form.settings, self._survey, edits=self._recommended.edits
            )
            found = replace(self._survey, notes=(*self._survey.notes, *self._notes))
            try:
                request = self.session.apply_style(form.request(0))
                self._toolkit.show_plan(describe_run(request, found, self._recommended))
            except UnderpaintError as error:
                self._toolkit.show_plan(to_sentence(error))
        offer = describe_offer(self._offered) if self._replaced is None else PAINT_ON_RESULT
        self._toolkit.show_offer(offer)

    def accept_offer(self) -> None:
        """Choose what `describe_run` has offered: a mode and a context, or the selected result."""
        offered, controls = self._offered, self._toolkit.controls
        if self._replaced is not None and self._find_survey is not None:
            self._painted_on = self._replaced
            self.survey_document(self._find_survey)
            return
        if offered is None:
            return
        self.filling = True
        controls["mode"].value, controls["context"].value = offered.mode, offered.context
        self.filling = False
        self.form_edited()

    def find_document(
        self, selected: _Result[_Found] | None, find_active: Callable[[], _Found]
    ) -> _Found:
        """Return the document to paint on: where a result is selected, that of its source layer.

        Where that layer was deleted, or the artist has chosen so, the result itself is painted on.

        Parameters
        ----------
        selected : SelectedResult or None
            The editor's.
        find_active : callable
            Returns the document of the active layer, or raises an `UnderpaintError`.
        """
        self._replaced, self._notes = None, ()
        result = None if selected is None else (selected.tag.job, selected.tag.index)
        if result != self._painted_on:
            self._painted_on = None
        if selected is not None and self._painted_on is None:
            try:
                found = selected.find_source()
            except BadInputError:
                self._notes = (WITHOUT_SOURCE,)
            else:
                self._replaced, self._notes = result, (GOES_TO_SOURCE,)
                return found
        return find_active()

    def survey_document(self, survey: Callable[[], Survey]) -> None:
        """Survey the current document, and describe the next run or why it cannot run.

        Parameters
        ----------
        survey : callable
            `Document.survey` of the current document, or raises an `UnderpaintError` if none can
            be used.
        """
        self._survey, self._find_survey = None, survey
        self._replaced, self._notes = None, ()
        self.session.prompt_sources.refresh()
        try:
            self._survey = survey()
        except UnderpaintError as error:
            self._toolkit.show_plan(to_sentence(error))
        self.describe_run()

    def use_picture(self, file: Path) -> None:
        """Show the settings of a picture, whichever program made it; report what is not used."""
        try:
            found = read_picture_settings(file)
        except UnderpaintError as error:
            self.session.report(to_sentence(error))
            return
        form, unused = fill_form(self.form, found, [one.name for one in self.session.models])
        self.fill(form)
        self.session.report(describe_used(found.program, unused))
        self._save_form()

    # ---- the layer's role ------------------------------------------------------------------

    def show_role(self, find_document: Callable[[], Document]) -> None:
        """Show what the active layer is used as.

        Parameters
        ----------
        find_document : callable
            Returns the document of the active layer, or raises an `UnderpaintError`.
        """
        role = None
        with contextlib.suppress(UnderpaintError):
            role = find_document().role or LayerRole()
        if role is not None:
            self.filling = True
            for name, value in role.values().items():
                control = self._toolkit.role_controls[name]
                if control.value != value:  # setting a text moves the caret
                    control.value = value
            self.filling = False
        self._show_role(role)

    def _show_role(self, role: LayerRole | None) -> None:
        """Show what can be done with a layer of that role; None if there is no layer."""
        details, refusal = role is not None and bool(role.kind), NO_TEXT
        if details:
            try:
                refuse_role(role)
            except UnderpaintError as error:
                refusal = to_sentence(error)
        self._toolkit.show_role(enabled=role is not None, details=details, refusal=refusal)

    def role_edited(self, find_document: Callable[[], Document]) -> None:
        """Keep on the active layer what the artist has chosen to use it as."""
        if self.filling:
            return
        controls = self._toolkit.role_controls
        role = LayerRole.of(**{name: one.value for name, one in controls.items()})
        try:
            find_document().set_role(role if role.kind else None)
        except UnderpaintError as error:
            self.session.report(to_sentence(error))
        self._show_role(role)

    # ---- the selected result ---------------------------------------------------------------

    def show_selected(self, selected: SelectedResult | None) -> None:
        """Show the batch of the selected result, and enable the buttons that apply to it."""
        toolkit = self._toolkit
        if selected is None:
            for slot in range(THUMBNAILS):
                toolkit.show_thumbnail(slot, None, None)
            toolkit.show_result_buttons(None, NO_TEXT)
            return
        results, index = selected.results, selected.index
        found = list_thumbnails([one.tag for one in results], [one.shown for one in results], index)
        alone = len(results) < 2
        for slot in range(THUMBNAILS):
            thumbnail = found[slot] if slot < len(found) and not alone else None
            image = None if thumbnail is None else selected.thumbnail(thumbnail.index)
            toolkit.show_thumbnail(slot, thumbnail, image)
        finished = selected.tag.recipe is not None
        enabled = dict.fromkeys(("previous", "next", "keep"), not alone)
        enabled.update(dict.fromkeys(("vary", "settings"), finished), compare=True)
        toolkit.show_result_buttons(enabled, describe_page(len(results), index))

    def use_selected(self, button: str, selected: SelectedResult | None) -> None:
        """Do what one of the buttons for a selected result does.

        Parameters
        ----------
        button : str
            One of `buttons.RESULT_BUTTONS`, except `compare`.
        selected : SelectedResult or None
            The editor's; without one, the artist is told what to select.
        """
        try:
            if selected is None:
                raise BadInputError("no result is selected; select one, or its group")
            self._use(button, selected)
        except UnderpaintError as error:
            self.session.report(to_sentence(error))

    def _use(self, button: str, selected: SelectedResult) -> None:
        tag = selected.tag
        if button == "vary":
            self.session.vary(tag, selected.layer, self.form, selected.find_source)
        elif button == "settings":
            self.fill(tag.to_form(self.form))
            self.session.report(describe_settings(tag.settings_without_field()))
            self._save_form()
        elif button == "keep":
            self.session.report(describe_kept(selected.name, selected.keep_only()))
        else:
            shown = [one.shown for one in selected.results]
            selected.show(next_index(shown, 1 if button == "next" else -1))

    def compare(self, selected: SelectedResult | None) -> None:
        """Hide the results of the selected one's source layer, until `end_comparison`."""
        self.end_comparison()
        if selected is not None:
            self._show_results_again = selected.hide_results()

    def end_comparison(self) -> None:
        """Show the results that `compare` has hidden."""
        show_again, self._show_results_again = self._show_results_again, None
        if show_again is not None:
            show_again()
