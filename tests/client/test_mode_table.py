"""The table of modes: every state of a layer, and every choice of the artist."""

from __future__ import annotations

import itertools
from dataclasses import astuple, fields

import pytest

from underpaint_client.modes import LayerState, ModeChoice, change_mode, choose_mode, other_choice
from underpaint_client.request import CONTEXTS, MODES

STATES = [LayerState(*flags) for flags in itertools.product([False, True], repeat=6)]

ROWS = {
    # empty, transparent, selected, below, new, drawn; what is decided, and the other choice
    "1.11..": (("inpaint", "below"), ("txt2img", "same")),
    "1.01..": (("txt2img", "same"), ("inpaint", "below")),
    "1..0..": (("txt2img", "same"), None),
    "0...1.": (("txt2img", "same"), ("img2img", "same")),
    "0...01": (("img2img", "same"), ("inpaint", "same")),
    "01..00": (("inpaint", "same"), ("img2img", "same")),
    "00..00": (("img2img", "same"), ("txt2img", "same")),
}


def rows_of(state: LayerState) -> list[str]:
    flags = "".join(str(int(flag)) for flag in astuple(state))
    return [row for row in ROWS if all(r in (".", f) for r, f in zip(row, flags, strict=True))]


def test_the_table_knows_every_state_once() -> None:
    assert [one.name for one in fields(LayerState)] == [
        "empty", "transparent", "selected", "below", "new", "drawn",
    ]  # fmt: skip
    assert len(STATES) == 64
    assert all(len(rows_of(state)) == 1 for state in STATES)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("state", STATES, ids=lambda state: rows_of(state)[0])
def test_automatic_goes_by_the_table(state: LayerState, context: str) -> None:
    def choice(told: tuple[str, str] | None) -> ModeChoice | None:
        if told is None:
            return None
        return ModeChoice(told[0], context if told[1] == "same" else told[1])

    decided, other = ROWS[rows_of(state)[0]]
    asked = ModeChoice("auto", context)
    assert choose_mode(asked, state) == choice(decided)
    assert other_choice(asked, state) == choice(other)


EDITING = {
    # The same for a model that was made to edit; rows that are not here are as above.
    "1.11..": (("edit", "below"), ("txt2img", "same")),
    "1.01..": (("txt2img", "same"), ("edit", "below")),
    "0...1.": (("txt2img", "same"), ("edit", "same")),
    "01..00": (("edit", "same"), ("inpaint", "same")),
    "00..00": (("edit", "same"), ("img2img", "same")),
}


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("state", STATES, ids=lambda state: rows_of(state)[0])
def test_a_model_that_was_made_to_edit_has_rows_of_its_own(state: LayerState, context: str) -> None:
    def choice(told: tuple[str, str] | None) -> ModeChoice | None:
        if told is None:
            return None
        return ModeChoice(told[0], context if told[1] == "same" else told[1])

    (row,) = rows_of(state)
    decided, other = EDITING.get(row, ROWS[row])
    if state.drawn:
        decided, other = ROWS[row]
    asked = ModeChoice("auto", context)
    assert choose_mode(asked, state, edits=True) == choice(decided)
    assert other_choice(asked, state, edits=True) == choice(other)


@pytest.mark.parametrize(
    ("mode", "transparent", "rule"),
    [
        ("edit", True, "inpaint"),
        ("edit", False, "img2img"),
        ("img2img", True, "img2img"),
        ("txt2img", True, "txt2img"),
    ],
)
def test_an_edit_changes_what_is_erased_or_all(mode: str, transparent: bool, rule: str) -> None:
    assert change_mode(mode, transparent=transparent) == rule


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "auto"])
def test_what_the_artist_chose_stays_and_automatic_is_the_other_choice(
    mode: str, context: str
) -> None:
    asked = ModeChoice(mode, context)
    for state in STATES:
        assert choose_mode(asked, state) == asked
        auto = ModeChoice("auto", context)
        other = None if choose_mode(auto, state) == asked else auto
        assert other_choice(asked, state) == other


def test_a_click_chooses_what_is_run() -> None:
    """Whatever is offered, the next run does it, and not what was decided before."""
    for state, context in itertools.product(STATES, CONTEXTS):
        asked = ModeChoice("auto", context)
        other = other_choice(asked, state)
        if other is not None:
            assert choose_mode(other, state) == other != choose_mode(asked, state)


@pytest.mark.parametrize(
    ("mode", "empty", "transparent", "chosen"),
    [
        ("auto", True, True, "txt2img"),
        ("auto", False, True, "inpaint"),
        ("auto", False, False, "img2img"),
        ("img2img", True, True, "img2img"),
        ("inpaint", False, False, "inpaint"),
        ("txt2img", False, False, "txt2img"),
    ],
)
def test_by_its_pixels_alone(mode: str, empty: bool, transparent: bool, chosen: str) -> None:
    """As the daemon decides where nothing else is known."""
    state = LayerState(empty=empty, transparent=transparent)
    assert choose_mode(ModeChoice(mode), state) == ModeChoice(chosen)
