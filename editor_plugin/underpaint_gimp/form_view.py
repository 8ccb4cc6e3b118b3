"""The form's controls as the window shows them: the strength's row, and the rows below."""

from __future__ import annotations

from collections.abc import Mapping

import gi

gi.require_version("Gtk", "3.0")
from gi.repository import Gtk  # noqa: E402 - after its version

from underpaint_client.sentences import Sentence, sentence  # noqa: E402
from underpaint_editor.form import ROWS  # noqa: E402
from underpaint_editor.lists import ListedChoice  # noqa: E402
from underpaint_editor.panel import Panel  # noqa: E402

from .controls import SwitchControl, make_controls, make_slider  # noqa: E402
from .model_facts import ModelFacts  # noqa: E402
from .widgets import set_up_button  # noqa: E402


class FormView:
    """See the module.

    Parameters
    ----------
    panel : Panel
        Is told what the artist changes.

    Attributes
    ----------
    fields : Controls
        The form's controls.
    lock : Gtk.ToggleButton
        Locks the seed.
    model_facts : ModelFacts
        What the chosen model is.
    strength, rows : Gtk.Grid
        To be put into the window.
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._listed: dict[str, list[ListedChoice]] = {}
        self.fields = make_controls(panel.form_edited)
        self.lock = set_up_button("seed_locked", Gtk.ToggleButton())
        self.lock.connect("toggled", lambda _: panel.form_edited())
        self.model_facts = ModelFacts()
        self._strength_label = Gtk.Label(halign=Gtk.Align.END, hexpand=True)
        self._strength_label.set_name("strength_words")
        self.strength = self._make_strength()
        self.rows = self._make_rows()

    def _make_strength(self) -> Gtk.Grid:
        strength = self.fields.numbers["strength"]
        title = Gtk.Label.new_with_mnemonic("_Strength")
        title.set_mnemonic_widget(strength.widget)
        title.set_halign(Gtk.Align.START)
        grid = Gtk.Grid(column_spacing=8)
        grid.attach(title, 0, 0, 1, 1)
        grid.attach(self._strength_label, 1, 0, 2, 1)
        grid.attach(make_slider(strength), 0, 1, 2, 1)
        grid.attach(strength.widget, 2, 1, 1, 1)
        return grid

    def _make_rows(self) -> Gtk.Grid:
        grid = Gtk.Grid(column_spacing=8, row_spacing=4)
        row = 0
        for name in ROWS:
            control = self.fields.all[name]
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
        dice.connect("clicked", lambda _: self._panel.draw_seed())
        row = Gtk.Box(spacing=4)
        row.pack_start(self.fields.numbers["seed"].shown, True, True, 0)
        row.add(dice)
        row.add(self.lock)
        return row

    def show_strength(self, text: Sentence) -> None:
        """Show the description of the strength."""
        self._strength_label.set_text(text)

    def show_own(self, values: Mapping[str, float | str]) -> None:
        """Show what the model has in the fields that are left to it."""
        for name, value in values.items():
            if isinstance(value, str):
                self.fields.choices[name].show_own(value)
            else:
                self.fields.numbers[name].show_own(value)

    def list_choices(self, lists: Mapping[str, list[ListedChoice]]) -> None:
        """Offer what the daemon lists, by the names of the fields."""
        for name, choices in lists.items():
            if choices == self._listed.get(name):
                continue
            self._listed[name], self._panel.filling = choices, True
            self.fields.choices[name].set_options(
                [(choice.value, _label_of(choice)) for choice in choices],
                {choice.value for choice in choices if not choice.usable},
            )
            self._panel.filling = False


def _label_of(choice: ListedChoice) -> Sentence:
    """Return what a model or style is called in the list, which shows no tooltips."""
    if choice.usable:
        return choice.label
    return sentence("{name}: {problem}", name=choice.label, problem=choice.tip)
