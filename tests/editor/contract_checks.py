"""What every adapter must do, as plain functions that run in any editor's Python, without pytest.

A check is a generator. It yields the seconds in which the editor must handle its events before the
check goes on. `contract_tests.py` runs the checks in pytest; the scenario `contract` runs them in
the real Krita and GIMP.
"""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from typing import Any, Protocol

from example_recipe import make_recipe
from underpaint_client.address import Address
from underpaint_client.control_layers import ControlPicture
from underpaint_client.errors import BadInputError
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box, Extent
from underpaint_editor.batch import Result
from underpaint_editor.contract import Document, EventLoop, Listener, SelectedResult, Toolkit
from underpaint_editor.form import Form
from underpaint_editor.layer_role import LayerRole
from underpaint_editor.panel import Panel
from underpaint_editor.results import THUMBNAIL_SIDE
from underpaint_editor.session import Session

SIZE = Extent(96, 64)
HOLE = Box(32, 16, 16, 16)
"""Erased, with its colour kept."""

SETTLE = 0.5
"""Seconds in which a real editor finishes what it does after a call."""

Steps = Iterator[float]


def wait_for(condition: Callable[[], bool]) -> Steps:
    """Wait until a busy editor has done something; the check that follows says if it never does."""
    for _ in range(40):
        yield SETTLE
        if condition():
            return


class EditorUnderTest(Protocol):
    """An editor with the adapter, and what an artist does in it."""

    event_loop: EventLoop
    listener: Listener

    def find_document(self, address: Address) -> Document:
        """What the adapter gives to its `Session`."""

    def make_toolkit(self) -> Toolkit:
        """Return a docker or window, with all of the form's controls."""

    def open_painting(self, pixels: bytes, extent: Extent) -> Document:
        """Open a saved document with one layer, "Painting", of RGBA pixels, 8 bits."""

    def select(self, document: Any, box: Box) -> None:
        """Select a box of a document."""

    def delete_layer(self, document: Any) -> None:
        """Delete the document's layer."""

    def close(self, document: Any) -> None:
        """Close a document."""

    def undo(self, document: Any) -> Steps:
        """Undo one step."""

    def state(self, document: Any) -> object:
        """Return all that is in a document, to compare: layers, pixels, selection, active layer."""

    def shown(self, document: Any) -> dict[str, bool]:
        """Return the layers' names from the lowest, without groups, and whether each is visible."""

    def select_layer(self, document: Any, name: str) -> SelectedResult:
        """Select a layer by its name, and return it as a result."""

    def document_count(self) -> int:
        """Return how many documents are open."""

    def image_extent(self, image: Any) -> Extent:
        """Return the size of one of the toolkit's images."""


Check = Callable[[EditorUnderTest], Steps]

CHECKS: list[Check] = []


def check(function: Check) -> Check:
    """Add a function to the checks."""
    CHECKS.append(function)
    return function


class StoppedLoop:
    """An event loop that never calls, for a session that must not connect."""

    def watch(self, fd: int, callback: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    def call_later(self, milliseconds: int, callback: Callable[[], None]) -> None:
        pass


def painting() -> bytes:
    """RGBA: a gradient, erased in `HOLE` with the colour kept."""
    data = bytearray()
    for y in range(SIZE.height):
        for x in range(SIZE.width):
            erased = HOLE.contains(Box(x, y, 1, 1))
            data += bytes((2 * x + 1, 3 * y + 1, 90, 0 if erased else 255))
    return bytes(data)


def results(count: int, first: int = 0) -> list[Result]:
    frame = Frame("patch", HOLE, "u1", "RGBA", bytes((200, 10, 20, 255)) * HOLE.extent.pixels)
    return [
        Result(f"seed {seed}", frame, make_recipe(seed=seed), "job", seed)
        for seed in range(first, first + count)
    ]


def opened(editor: EditorUnderTest) -> Generator[float, None, Document]:
    """Open the painting; use it as `document = yield from opened(editor)`."""
    document = editor.open_painting(painting(), SIZE)
    yield SETTLE
    return document


def chosen(
    editor: EditorUnderTest,
) -> Generator[float, None, tuple[Document, SelectedResult]]:
    """Open the painting with three results, the second of them selected."""
    document = yield from opened(editor)
    document.insert("a lake", results(3))
    yield SETTLE
    selected = editor.select_layer(document, "seed 1")
    yield SETTLE
    return document, selected


def refusal(call: Callable[[], object]) -> str:
    """Return the message of the `BadInputError` that a call raises."""
    try:
        call()
    except BadInputError as error:
        return str(error)
    raise AssertionError("nothing was refused")


# ---- the event loop ------------------------------------------------------------------------


@check
def a_delayed_call_waits_for_the_current_one(editor: EditorUnderTest) -> Steps:
    calls: list[str] = []

    def outer() -> None:
        editor.event_loop.call_later(0, lambda: calls.append("inner"))
        calls.append("outer")

    editor.event_loop.call_later(0, outer)
    assert calls == []
    yield 0.05
    assert calls == ["outer", "inner"], calls


@check
def a_descriptor_is_watched_until_that_is_stopped(editor: EditorUnderTest) -> Steps:
    reader, writer = os.pipe()
    calls: list[bytes] = []
    stop = editor.event_loop.watch(reader, lambda: calls.append(os.read(reader, 9)))
    yield 0.05
    assert calls == []
    os.write(writer, b"a")
    yield 0.05
    assert calls == [b"a"], calls
    stop()
    os.write(writer, b"b")
    yield 0.05
    assert calls == [b"a"], calls
    os.close(reader)
    os.close(writer)


# ---- reading -------------------------------------------------------------------------------


@check
def the_colour_under_alpha_0_is_read(editor: EditorUnderTest) -> Steps:
    document = yield from opened(editor)
    frame = document.read(0, whole=True)["layer"]
    assert (frame.box, frame.dtype, sorted(frame.channels)) == (
        Box.at(0, 0, SIZE), "u1", sorted("RGBA"),
    ), frame  # fmt: skip
    order = [frame.channels.index(channel) for channel in "RGBA"]
    data = bytes(frame.data)
    read = bytearray(len(data))
    for to, at in enumerate(order):
        read[to::4] = data[at::4]
    assert bytes(read) == painting()


@check
def a_selection_has_the_layer_s_box(editor: EditorUnderTest) -> Steps:
    document = yield from opened(editor)
    assert set(document.read(0, whole=False)) == {"layer"}
    editor.select(document, HOLE)
    yield SETTLE
    frames = document.read(16, whole=False)
    assert set(frames) == {"layer", "selection"}, set(frames)
    selection = frames["selection"]
    assert selection.box == frames["layer"].box
    assert selection.box.contains(HOLE)
    assert bytes(selection.data).count(255) == HOLE.extent.pixels
    assert bytes(selection.data).count(0) == selection.box.extent.pixels - HOLE.extent.pixels


@check
def the_survey_agrees_with_the_pixels(editor: EditorUnderTest) -> Steps:
    document = yield from opened(editor)
    found = document.survey()
    assert (found.transparent, found.empty, found.whole) == (True, False, True), found
    assert abs(found.erased - HOLE.extent.pixels / SIZE.pixels) <= 0.02, found
    editor.select(document, HOLE)
    yield SETTLE
    assert document.survey().erased == 1
    assert not document.is_empty()
    empty = editor.open_painting(bytes(4 * SIZE.pixels), SIZE)
    yield SETTLE
    assert empty.is_empty()


def role_of(document: Document) -> LayerRole | None:
    """Return the role: mypy takes a property for something that does not change."""
    return document.role


@check
def a_role_stays_on_its_layer(editor: EditorUnderTest) -> Steps:
    document = yield from opened(editor)
    assert role_of(document) is None
    assert list(document.control_layers()) == []
    role = LayerRole.of(layer_role="canny-of", control_strength=0.5, control_end=0.75)
    document.set_role(role)
    yield SETTLE
    assert role_of(document) == role
    assert "used as 'Canny edges, computed from it'" in refusal(document.survey)
    ((found, read, _name, box),) = document.control_layers()
    assert found == role
    assert not box.empty
    frame, whole = read(HOLE), document.read(0, whole=True)["layer"]
    assert (frame.box, frame.dtype, frame.channels) == (HOLE, "u1", whole.channels), frame
    starts = (4 * (y * SIZE.width + HOLE.x) for y in range(HOLE.y, HOLE.bottom))
    wanted = b"".join(bytes(whole.data)[start : start + 4 * HOLE.width] for start in starts)
    assert bytes(frame.data) == wanted
    document.set_role(None)
    yield SETTLE
    assert role_of(document) is None
    assert list(document.control_layers()) == []
    document.survey()


@check
def the_role_of_the_active_layer_is_shown_and_kept(editor: EditorUnderTest) -> Steps:
    document = yield from opened(editor)
    toolkit = editor.make_toolkit()
    session = Session("test", StoppedLoop(), editor.listener, editor.find_document)
    panel = Panel(session, toolkit)
    panel.show_role(lambda: document)
    controls = toolkit.role_controls
    assert {name: one.value for name, one in controls.items()} == LayerRole().values()
    controls["layer_role"].value = "depth"
    controls["control_strength"].value = 1.25
    panel.role_edited(lambda: document)
    yield SETTLE
    assert role_of(document) == LayerRole.of(layer_role="depth", control_strength=1.25)
    role = LayerRole.of(layer_role="pose", control_start=0.25)
    document.set_role(role)
    panel.show_role(lambda: document)
    assert {name: one.value for name, one in controls.items()} == role.values()
    controls["layer_role"].value = ""
    panel.role_edited(lambda: document)
    yield SETTLE
    assert role_of(document) is None


@check
def what_is_around_the_layer_is_told_and_read(editor: EditorUnderTest) -> Steps:
    document = yield from opened(editor)
    before = editor.state(document)
    around = document.surroundings
    assert not around.is_new()
    assert not around.is_drawn
    assert not around.shows_below()
    document.insert("a lake", results(1))
    yield SETTLE
    box = Box(16, 8, 48, 40)
    frame = document.surroundings.read_context(box)
    assert (frame.name, frame.box, frame.dtype) == ("context", box, "u1"), frame
    assert len(bytes(frame.data)) == 4 * box.extent.pixels
    seen, wanted = bytes(frame.data), painting()
    order = [frame.channels.index(channel) for channel in "RGBA"]
    for x, y in ((16, 8), (63, 47), (20, 40)):  # the result lies above, and is not in it
        at = 4 * ((y - box.y) * box.width + x - box.x)
        assert [seen[at + n] for n in order] == list(wanted[4 * (y * SIZE.width + x) :][:4])
    hole = 4 * ((HOLE.y - box.y) * box.width + HOLE.x - box.x)
    assert seen[hole + 3] == 0
    yield from editor.undo(document)
    assert editor.state(document) == before, (editor.state(document), before)
    paper = editor.open_painting(b"\xff" * 4 * SIZE.pixels, SIZE)
    yield SETTLE
    assert paper.surroundings.is_new()
    paper.insert("a lake", results(1))
    yield SETTLE
    assert paper.surroundings.is_new()  # results are no layers of the artist's


# ---- writing -------------------------------------------------------------------------------


@check
def results_are_one_undo_step_with_the_last_on_top(editor: EditorUnderTest) -> Steps:
    document = yield from opened(editor)
    editor.select(document, HOLE)
    yield SETTLE
    before = editor.state(document)
    document.insert("a lake", results(3))
    yield SETTLE
    shown = editor.shown(document)
    assert shown == {"Painting": True, "seed 0": False, "seed 1": False, "seed 2": True}, shown
    assert document.inserted_images("job") == {0, 1, 2}
    assert document.inserted_images("another") == frozenset()
    yield from editor.undo(document)
    assert editor.state(document) == before, (editor.state(document), before)


@check
def a_control_layer_goes_above_the_layer_in_one_undo_step(editor: EditorUnderTest) -> Steps:
    document = yield from opened(editor)
    before = editor.state(document)
    grey = bytes(one for n in range(SIZE.pixels) for one in (*[n % 251] * 3, 255))
    frame = Frame("picture", Box.at(0, 0, SIZE), "u1", "RGBA", grey)
    recipe = make_recipe()
    made = replace(recipe.request, control_picture=ControlPicture("depth"))
    result = Result("Depth", frame, replace(recipe, request=made), "job", 0)
    role = LayerRole.of(layer_role="depth")
    document.insert_control_layer(result, role)
    yield SETTLE
    assert list(editor.shown(document)) == ["Painting", "Depth"], editor.shown(document)
    ((found, read, *_),) = document.control_layers()
    assert found == role
    assert bytes(read(frame.box).data) == grey
    assert role_of(document) is None
    assert document.inserted_images("job") == {0}
    document.insert("a lake", results(1))
    yield SETTLE
    assert list(editor.shown(document)) == ["Painting", "seed 0", "Depth"], editor.shown(document)
    yield from editor.undo(document)
    yield from editor.undo(document)
    assert editor.state(document) == before, (editor.state(document), before)


@check
def a_new_batch_is_above_earlier_ones(editor: EditorUnderTest) -> Steps:
    document = yield from opened(editor)
    document.insert("one", results(1))
    yield SETTLE
    document.insert("two", results(1, first=1))
    assert list(editor.shown(document)) == ["Painting", "seed 0", "seed 1"]


@check
def variations_go_above_their_result_in_its_group(editor: EditorUnderTest) -> Steps:
    document = yield from opened(editor)
    document.insert("one", results(2))
    yield SETTLE
    selected = editor.select_layer(document, "seed 0")
    document.insert("ignored", results(1, first=2), selected.layer)
    yield SETTLE
    shown = editor.shown(document)
    assert shown == {"Painting": True, "seed 0": False, "seed 2": True, "seed 1": False}, shown
    assert list(shown) == ["Painting", "seed 0", "seed 2", "seed 1"], shown
    assert len(editor.select_layer(document, "seed 2").results) == 3


@check
def without_its_layer_a_result_is_inserted_all_the_same(editor: EditorUnderTest) -> Steps:
    document = yield from opened(editor)
    assert not document.placement_notes(), document.placement_notes()
    editor.delete_layer(document)
    yield SETTLE
    assert any("deleted" in note for note in document.placement_notes())
    document.insert("one", results(1))
    yield SETTLE
    assert list(editor.shown(document)) == ["seed 0"], editor.shown(document)


@check
def without_its_document_a_result_becomes_one(editor: EditorUnderTest) -> Steps:
    document = yield from opened(editor)
    states = [document.is_open]
    count = editor.document_count()
    editor.close(document)
    yield SETTLE
    states.append(document.is_open)
    assert states == [True, False]
    document.open_as_document("one", results(1))
    yield SETTLE
    assert editor.document_count() == count


@check
def a_preview_leaves_no_trace(editor: EditorUnderTest) -> Steps:
    document = yield from opened(editor)
    before = editor.state(document)
    frame = Frame("preview", Box(0, 0, 2, 2), "u1", "RGBA", bytes((9, 9, 9, 255)) * 4)
    document.remove_preview()
    document.show_preview(frame, HOLE)
    yield SETTLE
    document.show_preview(frame, HOLE)
    document.remove_preview()
    yield SETTLE
    assert editor.state(document) == before, (editor.state(document), before)


@check
def an_address_finds_the_document_again(editor: EditorUnderTest) -> Steps:
    document = yield from opened(editor)
    address = Address.from_text(document.address.to_text())
    found = editor.find_document(address)
    assert (found.is_open, found.layer_id) == (True, document.layer_id)
    editor.close(document)
    yield SETTLE
    assert not editor.find_document(address).is_open


@check
def redo_is_told_or_unknown(editor: EditorUnderTest) -> Steps:
    document = yield from opened(editor)
    known = document.can_redo
    assert known in (False, None)
    document.insert("one", results(1))
    yield SETTLE
    yield from editor.undo(document)
    assert document.can_redo is (None if known is None else True)


# ---- the selected result -------------------------------------------------------------------


@check
def a_result_knows_its_batch(editor: EditorUnderTest) -> Steps:
    document, selected = yield from chosen(editor)
    assert (selected.name, selected.index) == ("seed 1", 1)
    recipe = selected.tag.recipe
    assert recipe is not None
    assert recipe.facts.seed == 1
    assert [one.shown for one in selected.results] == [False, False, True]
    assert document.layer_id
    assert selected.tag.source == document.layer_id
    assert selected.find_source().layer_id == document.layer_id


@check
def a_result_without_its_source_says_so(editor: EditorUnderTest) -> Steps:
    document, selected = yield from chosen(editor)
    editor.delete_layer(document)
    yield SETTLE
    assert re.search("was deleted", refusal(selected.find_source))


@check
def one_result_is_shown_and_the_others_hidden(editor: EditorUnderTest) -> Steps:
    document, selected = yield from chosen(editor)
    selected.show(0)
    yield SETTLE
    assert list(editor.shown(document).values()) == [True, True, False, False]


@check
def the_others_are_deleted_in_one_undo_step(editor: EditorUnderTest) -> Steps:
    document, selected = yield from chosen(editor)
    assert selected.keep_only() == 2
    yield from wait_for(lambda: len(editor.shown(document)) == 2)
    assert editor.shown(document) == {"Painting": True, "seed 1": True}, editor.shown(document)
    yield from editor.undo(document)
    yield from wait_for(lambda: len(editor.shown(document)) == 4)
    shown = editor.shown(document)
    assert set(shown) == {"Painting", "seed 0", "seed 1", "seed 2"}, shown


@check
def a_comparison_hides_all_results_and_ends(editor: EditorUnderTest) -> Steps:
    document, selected = yield from chosen(editor)
    before = editor.state(document)
    show_again = selected.hide_results()
    assert list(editor.shown(document).values()) == [True, False, False, False]
    yield SETTLE
    show_again()
    assert editor.state(document) == before, (editor.state(document), before)


# ---- the toolkit ---------------------------------------------------------------------------

FORMS: tuple[dict[str, object], ...] = (
    {},
    {"prompt": "ein Schloß\nim Nebel", "negative_prompt": "rain", "previews": False},
    {"seed": 2**32 - 1, "seed_locked": True, "strength": 0.35, "guidance_scale": 1.0},
    {"steps": 7, "sampler": "ddim"},
    {"mode": "img2img", "fill": "noise", "result": "layer", "model": "not installed"},
)


def panel_of(editor: EditorUnderTest) -> Panel:
    session = Session("test", StoppedLoop(), editor.listener, editor.find_document)
    return Panel(session, editor.make_toolkit())


@check
def controls_hold_what_a_form_holds(editor: EditorUnderTest) -> Steps:
    panel = panel_of(editor)
    for changes in FORMS:
        form = Form.from_text(Form().to_text()).with_values(**changes)
        panel.fill(form)
        assert panel.form == form, (panel.form, form)
        yield 0.0


@check
def what_is_left_to_the_model_stays_left(editor: EditorUnderTest) -> Steps:
    toolkit = editor.make_toolkit()
    panel = Panel(Session("test", StoppedLoop(), editor.listener, editor.find_document), toolkit)
    form = Form.from_text(Form().to_text())
    few: dict[str, float | str] = {"steps": 4, "guidance_scale": 1.0, "sampler": "k_euler"}
    for changes in ({}, {"steps": 7}, {"guidance_scale": 2.5, "sampler": "ddim"}, {}):
        panel.fill(form.with_values(**changes))
        for own in (few, {**few, "steps": 28}):
            toolkit.show_own(own)
            assert panel.form == form.with_values(**changes), (panel.form, changes)
        yield 0.0
    for name, typed in (("steps", 9), ("guidance_scale", 3.0), ("sampler", "lcm")):
        toolkit.controls[name].value = typed
    assert panel.form == form.with_values(steps=9, guidance_scale=3.0, sampler="lcm")


@check
def thumbnails_fit_their_slots(editor: EditorUnderTest) -> Steps:
    _document, selected = yield from chosen(editor)
    panel = panel_of(editor)
    for index in range(len(selected.results)):
        extent = editor.image_extent(selected.thumbnail(index))
        assert 0 < extent.longer <= THUMBNAIL_SIDE
    panel.show_selected(selected)
    panel.show_selected(None)


# ---- in a real editor ----------------------------------------------------------------------


def run_checks(editor: EditorUnderTest, found: dict[str, str], clear: Callable[[], None]) -> Steps:
    """Run all checks, one after the other, whether they pass or not.

    Parameters
    ----------
    editor : EditorUnderTest
    found : dict of str to str
        Receives the traceback of each check by its name; empty if it passed.
    clear : callable
        Closes what a check left open.
    """
    for one in CHECKS:
        try:
            yield from one(editor)
        except Exception:  # noqa: BLE001 - whatever it is, the next check runs
            found[one.__name__] = traceback.format_exc()
        else:
            found[one.__name__] = ""
        clear()
        yield SETTLE
