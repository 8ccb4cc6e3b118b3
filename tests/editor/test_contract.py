"""The fake editor keeps the contract; and a session and a panel work with nothing but it."""

from __future__ import annotations

import errno
import os
from copy import deepcopy
from typing import Any

import pytest

from editor.contract_checks import HOLE, SIZE, Steps, painting, results
from editor.contract_tests import ContractTests
from editor.fake_editor import FakeDocument, FakeEditor, FakeResult, FakeToolkit
from underpaint_client.address import Address
from underpaint_client.geometry import Box, Extent
from underpaint_editor.panel import Panel
from underpaint_editor.session import Session


class FakeArtist:
    """What an artist does in the fake editor."""

    def __init__(self) -> None:
        self.editor = FakeEditor()
        self.event_loop, self.listener = self.editor.loop, FakeToolkit()
        self.run = self.editor.loop.run

    def find_document(self, address: Address) -> FakeDocument:
        return self.editor.find(address)

    def make_toolkit(self) -> FakeToolkit:
        return FakeToolkit()

    def open_painting(self, pixels: bytes, extent: Extent) -> FakeDocument:
        return self.editor.open(f"{len(self.editor.canvases)}.fake", pixels, extent)

    def select(self, document: Any, box: Box) -> None:
        amounts = bytearray(SIZE.pixels)
        for y in range(box.y, box.bottom):
            start = y * SIZE.width + box.x
            amounts[start : start + box.width] = b"\xff" * box.width
        document.canvas.selection = box, bytes(amounts)

    def delete_layer(self, document: Any) -> None:
        canvas = document.canvas
        canvas.step()
        canvas.layers = [one for one in canvas.layers if one.id != document.layer_id]

    def close(self, document: Any) -> None:
        self.editor.canvases.remove(document.canvas)

    def undo(self, document: Any) -> Steps:
        document.canvas.undo_step()
        yield 0.0

    def state(self, document: Any) -> object:
        canvas = document.canvas
        return deepcopy((canvas.layers, canvas.active, canvas.selection, canvas.preview))

    def shown(self, document: Any) -> dict[str, bool]:
        return {one.name: one.visible for one in document.canvas.all() if not one.children}

    def select_layer(self, document: Any, name: str) -> FakeResult:
        return FakeResult(document, next(o for o in document.canvas.all() if o.name == name))

    def document_count(self) -> int:
        return len(self.editor.canvases)

    def image_extent(self, image: Extent) -> Extent:
        return image


class TestFakeEditor(ContractTests):
    @pytest.fixture
    def editor(self) -> FakeArtist:
        return FakeArtist()


def test_a_panel_shows_the_plan_and_the_thumbnails() -> None:
    artist, toolkit = FakeArtist(), FakeToolkit()
    session = Session("Fake", artist.event_loop, toolkit, artist.find_document)
    panel = Panel(session, toolkit)
    document = artist.open_painting(painting(), SIZE)
    panel.survey_document(document.survey)
    assert toolkit.plan.startswith("Fills the erased 4 % of the layer")
    artist.select(document, HOLE)
    panel.survey_document(document.survey)
    assert toolkit.plan.startswith("Fills the erased 100 % of the selection")
    artist.delete_layer(document)
    panel.survey_document(document.survey)
    assert toolkit.plan == "No layer is selected; select one."

    document.insert("a lake", results(3))
    panel.show_selected(artist.select_layer(document, "seed 1"))
    assert [one.shown for one, _ in toolkit.thumbnails.values()] == [False, False, True]
    assert toolkit.buttons is not None
    assert all(toolkit.buttons.values())
    panel.use_selected("next", artist.select_layer(document, "seed 1"))
    assert artist.shown(document) == {"seed 0": True, "seed 1": False, "seed 2": False}
    panel.use_selected("vary", artist.select_layer(document, "seed 1"))
    assert "was deleted" in toolkit.message
    panel.use_selected("settings", artist.select_layer(document, "seed 1"))
    assert toolkit.message.startswith("Settings copied")
    assert (panel.form.value("seed"), toolkit.locked, toolkit.saved) == (1, True, 1)
    panel.compare(artist.select_layer(document, "seed 1"))
    assert panel.comparing
    assert not any(artist.shown(document).values())
    panel.end_comparison()
    assert any(artist.shown(document).values())
    panel.show_selected(None)
    assert not toolkit.thumbnails
    assert toolkit.row_is_hidden()


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), OSError("no room")]
)
def test_settings_that_cannot_be_kept_are_said_and_stop_nothing(
    error: OSError, monkeypatch: pytest.MonkeyPatch
) -> None:
    artist, toolkit = FakeArtist(), FakeToolkit()
    panel = Panel(Session("Fake", artist.event_loop, toolkit, artist.find_document), toolkit)
    document = artist.open_painting(painting(), SIZE)
    panel.survey_document(document.survey)

    def fail() -> None:
        raise error

    monkeypatch.setattr(toolkit, "save_form", fail)
    told = f"The settings cannot be kept for the next start: {error.strerror or error}."
    toolkit.plan = ""
    panel.form_edited()
    assert toolkit.message == told
    assert toolkit.plan.startswith("Fills the erased 4 %")
    document.insert("a lake", results(2))
    panel.use_selected("settings", artist.select_layer(document, "seed 1"))
    assert toolkit.message == told
    assert panel.form.value("seed") == 1
