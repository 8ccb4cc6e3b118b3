"""What a docker and a window decide alike, whatever their toolkit.

A panel holds the form's controls, each with a `value`, and shows what the session says.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from underpaint_client.errors import UnderpaintError, to_sentence
from underpaint_client.seeds import draw_seed

from .form import Form, describe_strength
from .layers import step_to
from .results import CARDS, describe_kept, describe_page, describe_settings, lay_out
from .survey import describe_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from .results import Card
    from .session import Session
    from .survey import Survey


class Panel:
    """See the module. To be inherited from beside a toolkit's own class.

    Parameters
    ----------
    session : Session
        The editor's.
    controls : dict of str to control
        By the names of the form's fields.
    filling : bool
        Whether values are being set by the panel itself, not by the artist.
    survey : Survey or None
        What was seen of the layer last; None where nothing can be painted on.
    """

    session: Session
    controls: dict[str, Any]
    filling = False
    survey: Survey | None = None
    _show_again: Callable[[], None] | None = None

    # ---- what a toolkit gives --------------------------------------------------------------

    def is_locked(self) -> bool:
        """Return whether the seed is to be taken again."""
        raise NotImplementedError

    def set_locked(self, locked: bool) -> None:
        """Show whether the seed is to be taken again."""
        raise NotImplementedError

    def show_plan(self, text: str) -> None:
        """Show what the next run will do."""
        raise NotImplementedError

    def show_words(self, text: str) -> None:
        """Show the strength in words."""
        raise NotImplementedError

    def keep(self) -> None:
        """Keep the form from one start of the editor to the next."""
        raise NotImplementedError

    def show_card(self, place: int, card: Card | None, picture: Any) -> None:
        """Show a result in one of `results.CARDS` places, with its thumbnail; None: nothing."""
        raise NotImplementedError

    def show_row(self, enabled: dict[str, bool] | None, page: str) -> None:
        """Show the buttons for a result, and which results are shown; nothing for None."""
        raise NotImplementedError

    # ---- the form --------------------------------------------------------------------------

    @property
    def form(self) -> Form:
        """What the controls hold."""
        values = {name: control.value for name, control in self.controls.items()}
        return Form(seed_locked=self.is_locked(), **values)

    def fill(self, form: Form) -> None:
        """Let the controls hold a form."""
        self.filling = True
        for name, value in asdict(form).items():
            if name in self.controls:
                self.controls[name].value = value
        self.set_locked(form.seed_locked)
        self.filling = False
        self.describe_run()

    def throw_dice(self) -> None:
        """Draw a new seed."""
        self.controls["seed"].value = draw_seed()

    def recall(self, step: int) -> None:
        """Bring back the prompt before the one that is shown (-1), or the next (1)."""
        history, prompt = self.session.history, self.controls["prompt"]
        found = (history.older if step < 0 else history.newer)(prompt.value)
        if found is not None:
            prompt.value = found

    def describe_run(self) -> None:
        """Return what the next run will do."""
        form = self.form
        self.show_words(describe_strength(form.strength))
        if self.survey is not None:
            try:
                self.show_plan(describe_run(form.request(0), self.survey))
            except UnderpaintError as error:
                self.show_plan(to_sentence(error))

    def survey_place(self, look: Callable[[], Survey]) -> None:
        """Look at what would be painted on, and say so; or why nothing can be."""
        self.survey = None
        try:
            self.survey = look()
        except UnderpaintError as error:
            self.show_plan(to_sentence(error))
        self.describe_run()

    # ---- a result that is selected ---------------------------------------------------------

    def show_selected(self, selected: Any) -> None:
        """Show what can be done with the result that is selected, and its batch.

        Parameters
        ----------
        selected : Selected or None
            The editor's.
        """
        if selected is None:
            for place in range(CARDS):
                self.show_card(place, None, None)
            self.show_row(None, "")
            return
        results, at = selected.results, selected.index
        cards = lay_out([one.tag for one in results], [one.shown for one in results], at)
        alone = len(results) < 2
        for place in range(CARDS):
            card = cards[place] if place < len(cards) and not alone else None
            picture = None if card is None else selected.thumbnail(card.index)
            self.show_card(place, card, picture)
        finished = selected.tag.recipe is not None
        enabled = dict.fromkeys(("previous", "next", "keep"), not alone)
        enabled.update(dict.fromkeys(("vary", "settings"), finished), compare=True)
        self.show_row(enabled, describe_page(len(results), at))

    def use_selected(self, name: str, selected: Any) -> None:
        """Do what one of the buttons for a selected result does.

        Parameters
        ----------
        name : str
            One of `form.RESULT_BUTTONS`, but for `compare`.
        selected : Selected
            The editor's.
        """
        try:
            self._use(name, selected)
        except UnderpaintError as error:
            self.session.tell(to_sentence(error))

    def _use(self, name: str, selected: Any) -> None:
        tag = selected.tag
        if name == "vary":
            self.session.vary(tag, selected.layer, self.form, selected.find_source)
        elif name == "settings":
            self.fill(tag.to_form(self.form))
            self.keep()
            self.session.tell(describe_settings(tag.beyond_form()))
        elif name == "keep":
            self.session.tell(describe_kept(selected.name, selected.keep_only()))
        else:
            shown = [one.shown for one in selected.results]
            selected.show(step_to(shown, 1 if name == "next" else -1))

    def compare(self, selected: Any) -> None:
        """Show a picture without its results, until `end_comparison`.

        Parameters
        ----------
        selected : Selected or None
            The editor's.
        """
        self.end_comparison()
        if selected is not None:
            self._show_again = selected.hide_results()

    def end_comparison(self) -> None:
        """Show again what `compare` hid."""
        again, self._show_again = self._show_again, None
        if again is not None:
            again()
