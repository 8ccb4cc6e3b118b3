"""What every adapter must do, as tests that an adapter's own test module inherits.

Subclass `ContractTests`, and give it a fixture `editor` that returns an `EditorUnderTest`: what an
artist does in the editor. `test_contract.py` does so for the fake editor.
"""

from __future__ import annotations

import os
from typing import Any, Protocol

import pytest

from client.test_wire import make_recipe
from underpaint_client.address import Address
from underpaint_client.errors import BadInputError
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box, Extent
from underpaint_editor.batch import Result
from underpaint_editor.contract import Document, EventLoop, Listener, SelectedResult, Toolkit
from underpaint_editor.form import Form
from underpaint_editor.panel import Panel
from underpaint_editor.results import THUMBNAIL_SIDE
from underpaint_editor.session import Session

SIZE = Extent(96, 64)
HOLE = Box(32, 16, 16, 16)
"""Erased, with its colour kept."""


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


class EditorUnderTest(Protocol):
    """An editor with the adapter, and what an artist does in it."""

    event_loop: EventLoop
    listener: Listener

    def run(self, milliseconds: int) -> None:
        """Let the editor handle its events."""

    def find_document(self, address: Address) -> Document:
        """What the adapter gives to its `Session`."""

    def make_toolkit(self) -> Toolkit:
        """Return a docker or window, with all of the form's controls."""

    def open_painting(self, pixels: bytes, extent: Extent) -> Document:
        """Open a saved document with one layer of RGBA pixels, 8 bits."""

    def select(self, document: Document, box: Box) -> None:
        """Select a box of a document."""

    def delete_layer(self, document: Document) -> None:
        """Delete the document's layer."""

    def close(self, document: Document) -> None:
        """Close a document."""

    def undo(self, document: Document) -> None:
        """Undo one step."""

    def state(self, document: Document) -> object:
        """Return all that is in a document, to compare: layers, pixels, selection, active layer."""

    def shown(self, document: Document) -> dict[str, bool]:
        """Return the layers' names from the lowest, without groups, and whether each is visible."""

    def select_layer(self, document: Document, name: str) -> SelectedResult:
        """Select a layer by its name, and return it as a result."""

    def document_count(self) -> int:
        """Return how many documents are open."""

    def image_extent(self, image: Any) -> Extent:
        """Return the size of one of the toolkit's images."""


class ContractTests:
    """See the module."""

    @pytest.fixture
    def document(self, editor: EditorUnderTest) -> Document:
        return editor.open_painting(painting(), SIZE)

    # ---- event loop ------------------------------------------------------------------------

    def test_a_delayed_call_waits_for_the_current_one(self, editor: EditorUnderTest) -> None:
        calls: list[str] = []

        def outer() -> None:
            editor.event_loop.call_later(0, lambda: calls.append("inner"))
            calls.append("outer")

        editor.event_loop.call_later(0, outer)
        assert calls == []
        editor.run(50)
        assert calls == ["outer", "inner"]

    def test_a_descriptor_is_watched_until_that_is_stopped(self, editor: EditorUnderTest) -> None:
        reader, writer = os.pipe()
        calls: list[bytes] = []
        stop = editor.event_loop.watch(reader, lambda: calls.append(os.read(reader, 9)))
        editor.run(50)
        assert calls == []
        os.write(writer, b"a")
        editor.run(50)
        assert calls == [b"a"]
        stop()
        os.write(writer, b"b")
        editor.run(50)
        assert calls == [b"a"]
        os.close(reader)
        os.close(writer)

    # ---- reading ---------------------------------------------------------------------------

    def test_the_colour_under_alpha_0_is_read(self, document: Document) -> None:
        frame = document.read(0, whole=True)["layer"]
        assert (frame.box, frame.dtype, sorted(frame.channels)) == (
            Box.at(0, 0, SIZE), "u1", sorted("RGBA"),
        )  # fmt: skip
        order = [frame.channels.index(channel) for channel in "RGBA"]
        data = bytes(frame.data)
        read = bytearray(len(data))
        for to, at in enumerate(order):
            read[to::4] = data[at::4]
        assert bytes(read) == painting()

    def test_a_selection_has_the_layer_s_box(
        self, editor: EditorUnderTest, document: Document
    ) -> None:
        assert set(document.read(0, whole=False)) == {"layer"}
        editor.select(document, HOLE)
        frames = document.read(16, whole=False)
        assert set(frames) == {"layer", "selection"}
        selection = frames["selection"]
        assert selection.box == frames["layer"].box
        assert selection.box.contains(HOLE)
        assert bytes(selection.data).count(255) == HOLE.extent.pixels
        assert bytes(selection.data).count(0) == selection.box.extent.pixels - HOLE.extent.pixels

    def test_the_survey_agrees_with_the_pixels(
        self, editor: EditorUnderTest, document: Document
    ) -> None:
        found = document.survey()
        assert (found.transparent, found.empty, found.whole) == (True, False, True)
        assert found.erased == pytest.approx(HOLE.extent.pixels / SIZE.pixels, abs=0.02)
        editor.select(document, HOLE)
        assert document.survey().erased == 1
        assert not document.is_empty()
        assert editor.open_painting(bytes(4 * SIZE.pixels), SIZE).is_empty()

    # ---- writing ---------------------------------------------------------------------------

    def test_results_are_one_undo_step_with_the_last_on_top(
        self, editor: EditorUnderTest, document: Document
    ) -> None:
        editor.select(document, HOLE)
        before = editor.state(document)
        document.insert("a lake", results(3))
        assert editor.shown(document) == {
            "Painting": True, "seed 0": False, "seed 1": False, "seed 2": True,
        }  # fmt: skip
        assert document.inserted_images("job") == {0, 1, 2}
        assert document.inserted_images("another") == frozenset()
        editor.undo(document)
        assert editor.state(document) == before

    def test_a_new_batch_is_above_earlier_ones(
        self, editor: EditorUnderTest, document: Document
    ) -> None:
        document.insert("one", results(1))
        document.insert("two", results(1, first=1))
        assert list(editor.shown(document)) == ["Painting", "seed 0", "seed 1"]

    def test_variations_go_above_their_result_in_its_group(
        self, editor: EditorUnderTest, document: Document
    ) -> None:
        document.insert("one", results(2))
        selected = editor.select_layer(document, "seed 0")
        document.insert("ignored", results(1, first=2), selected.layer)
        assert editor.shown(document) == {
            "Painting": True, "seed 0": False, "seed 2": True, "seed 1": False,
        }  # fmt: skip
        assert len(editor.select_layer(document, "seed 2").results) == 3

    def test_without_its_layer_a_result_is_inserted_all_the_same(
        self, editor: EditorUnderTest, document: Document
    ) -> None:
        assert not document.placement_notes()
        editor.delete_layer(document)
        assert any("deleted" in note for note in document.placement_notes())
        document.insert("one", results(1))
        assert list(editor.shown(document)) == ["seed 0"]

    def test_without_its_document_a_result_becomes_one(
        self, editor: EditorUnderTest, document: Document
    ) -> None:
        states = [document.is_open]
        count = editor.document_count()
        editor.close(document)
        states.append(document.is_open)
        assert states == [True, False]
        document.open_as_document("one", results(1))
        assert editor.document_count() == count

    def test_a_preview_leaves_no_trace(self, editor: EditorUnderTest, document: Document) -> None:
        before = editor.state(document)
        frame = Frame("preview", Box(0, 0, 2, 2), "u1", "RGBA", bytes((9, 9, 9, 255)) * 4)
        document.remove_preview()
        document.show_preview(frame, HOLE)
        document.show_preview(frame, HOLE)
        document.remove_preview()
        assert editor.state(document) == before

    def test_an_address_finds_the_document_again(
        self, editor: EditorUnderTest, document: Document
    ) -> None:
        address = Address.from_text(document.address.to_text())
        found = editor.find_document(address)
        assert (found.is_open, found.layer_id) == (True, document.layer_id)
        editor.close(document)
        assert not editor.find_document(address).is_open

    def test_redo_is_told_or_unknown(self, editor: EditorUnderTest, document: Document) -> None:
        known = document.can_redo
        assert known in (False, None)
        document.insert("one", results(1))
        editor.undo(document)
        assert document.can_redo is (None if known is None else True)

    # ---- the selected result ---------------------------------------------------------------

    @pytest.fixture
    def selected(self, editor: EditorUnderTest, document: Document) -> SelectedResult:
        document.insert("a lake", results(3))
        return editor.select_layer(document, "seed 1")

    def test_a_result_knows_its_batch(self, document: Document, selected: SelectedResult) -> None:
        assert (selected.name, selected.index) == ("seed 1", 1)
        recipe = selected.tag.recipe
        assert recipe is not None
        assert recipe.facts.seed == 1
        assert [one.shown for one in selected.results] == [False, False, True]
        assert selected.find_source().layer_id == document.layer_id

    def test_a_result_without_its_source_says_so(
        self, editor: EditorUnderTest, document: Document, selected: SelectedResult
    ) -> None:
        editor.delete_layer(document)
        with pytest.raises(BadInputError, match="was deleted"):
            selected.find_source()

    def test_one_result_is_shown_and_the_others_hidden(
        self, editor: EditorUnderTest, document: Document, selected: SelectedResult
    ) -> None:
        selected.show(0)
        assert list(editor.shown(document).values()) == [True, True, False, False]

    def test_the_others_are_deleted_in_one_undo_step(
        self, editor: EditorUnderTest, document: Document, selected: SelectedResult
    ) -> None:
        assert selected.keep_only() == 2
        assert editor.shown(document) == {"Painting": True, "seed 1": True}
        editor.undo(document)
        assert set(editor.shown(document)) == {"Painting", "seed 0", "seed 1", "seed 2"}

    def test_a_comparison_hides_all_results_and_ends(
        self, editor: EditorUnderTest, document: Document, selected: SelectedResult
    ) -> None:
        before = editor.state(document)
        show_again = selected.hide_results()
        assert list(editor.shown(document).values()) == [True, False, False, False]
        show_again()
        assert editor.state(document) == before

    # ---- the toolkit -----------------------------------------------------------------------

    @pytest.fixture
    def panel(self, editor: EditorUnderTest) -> tuple[Panel, Toolkit]:
        session = Session("test", editor.event_loop, editor.listener, editor.find_document)
        toolkit = editor.make_toolkit()
        return Panel(session, toolkit), toolkit

    @pytest.mark.parametrize(
        "changes",
        [
            {},
            {"prompt": "ein Schloß\nim Nebel", "negative_prompt": "rain", "previews": False},
            {"seed": 2**32 - 1, "seed_locked": True, "strength": 0.35, "guidance_scale": 1.0},
            {"mode": "img2img", "fill": "noise", "result": "layer", "model": "not installed"},
        ],
    )
    def test_controls_hold_what_a_form_holds(
        self, panel: tuple[Panel, Toolkit], changes: dict[str, object]
    ) -> None:
        form = Form.from_text(Form().to_text())
        form = form.with_values(**changes)
        panel[0].fill(form)
        assert panel[0].form == form

    def test_thumbnails_fit_their_slots(
        self, editor: EditorUnderTest, panel: tuple[Panel, Toolkit], selected: SelectedResult
    ) -> None:
        for index in range(len(selected.results)):
            extent = editor.image_extent(selected.thumbnail(index))
            assert 0 < extent.longer <= THUMBNAIL_SIDE
        panel[0].show_selected(selected)
        panel[0].show_selected(None)
