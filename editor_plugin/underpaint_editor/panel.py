"""What a docker and a window decide alike, whatever their toolkit.

A panel fills the form's controls and reads them, and says what the buttons for a result do. The
docker or window that owns it is its `Toolkit`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from underpaint_client.errors import UnderpaintError, to_sentence
from underpaint_client.prompt_completion import Candidates, Kind
from underpaint_client.recommended import USUAL
from underpaint_client.seeds import draw_seed
from underpaint_client.sentences import NO_TEXT, sentence

from .form import BY_MODEL, Form, describe_strength
from .layer_role import LayerRole
from .layers import next_index
from .lists import GET_MODEL, describe_choice, find_model
from .results import THUMBNAILS, describe_kept, describe_page, describe_settings, list_thumbnails
from .survey import describe_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from underpaint_client.model_entry import ModelEntry
    from underpaint_client.recommended import Recommended

    from .contract import Document, SelectedResult, Toolkit
    from .session import Session
    from .survey import Survey


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
        """Show what suits the model in the fields that are left to it, and describe the next run.

        Call this when the models have changed, too.
        """
        recommended, model = self._recommended, self._model
        self.filling = True
        self._toolkit.show_own({name: getattr(recommended, name) for name in BY_MODEL})
        self.filling = False
        is_usable = model is not None and not model.problem
        picture = self.session.model_pictures.find(model.name) if model and is_usable else None
        self._toolkit.show_model(describe_choice(model), picture)
        self.describe_run()

    @property
    def _model(self) -> ModelEntry | None:
        session, name = self.session, self._toolkit.controls["model"].value
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
        if self._survey is not None:
            try:
                self._toolkit.show_plan(
                    describe_run(form.request(0), self._survey, self._recommended)
                )
            except UnderpaintError as error:
                self._toolkit.show_plan(to_sentence(error))

    def survey_document(self, survey: Callable[[], Survey]) -> None:
        """Survey the current document, and describe the next run or why it cannot run.

        Parameters
        ----------
        survey : callable
            `Document.survey` of the current document, or raises an `UnderpaintError` if none can
            be used.
        """
        self._survey = None
        try:
            self._survey = survey()
        except UnderpaintError as error:
            self._toolkit.show_plan(to_sentence(error))
        self.describe_run()

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
                self._toolkit.role_controls[name].value = value
            self.filling = False
        details = role is not None and bool(role.kind)
        self._toolkit.show_role(enabled=role is not None, details=details)

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
        self._toolkit.show_role(enabled=True, details=bool(role.kind))

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

    def use_selected(self, button: str, selected: SelectedResult) -> None:
        """Do what one of the buttons for a selected result does.

        Parameters
        ----------
        button : str
            One of `form.RESULT_BUTTONS`, except `compare`.
        selected : SelectedResult
            The editor's.
        """
        try:
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
