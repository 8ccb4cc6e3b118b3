"""A new layer over a painting in an editor: what is offered, what is sent, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from editor.fake_editor import FakeDocument, FakeEditor, FakeToolkit, Layer
from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.geometry import Box, Extent
from underpaint_editor.form import Form
from underpaint_editor.panel import Panel
from underpaint_editor.session import Session

EXTENT = Extent(4, 4)
PAINTING = bytes((9, 90, 200, 255)) * 16
SELECTED = Box(0, 0, 2, 2)


class Desk:
    """A painting with a new layer above it and a result on top, and the panel."""

    def __init__(self, *, selected: bool = True, above: bytes = b"\x01\x02\x03\xff" * 16) -> None:
        editor, self.toolkit = FakeEditor(), FakeToolkit()
        painting = editor.open("a.kra", PAINTING, EXTENT)
        box = Box.at(0, 0, EXTENT)
        new, top = Layer("New", bytes(64), box), Layer("Above", above, box)
        painting.canvas.layers += [new, top]
        if selected:
            amounts = b"".join(b"\xff\xff\0\0" if y < 2 else bytes(4) for y in range(4))
            painting.canvas.selection = SELECTED, amounts
        self.document = FakeDocument(editor, painting.canvas, new.id)
        self.session = Session("test", editor.loop, self.toolkit, editor.find)
        self.panel = Panel(self.session, self.toolkit)
        self.panel.fill(Form())
        self.panel.survey_document(self.document.survey)

    def sent(self, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
        """Return the request and the frames that Generate sends."""
        found: list[Any] = []

        def submit(request: Any, frames: Any, *_: Any, **__: Any) -> None:
            found.append((request, frames))
            raise DaemonUnavailableError("not today")

        monkeypatch.setattr(self.session.tracker, "open", lambda: None)
        monkeypatch.setattr(self.session.tracker, "submit", submit)
        self.session.generate(self.panel.form, lambda: self.document)
        ((request, frames),) = found
        return request, frames


def test_what_is_below_is_sent_without_what_is_above(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    assert desk.toolkit.plan.startswith("Fills the selection to fit what is below")
    assert desk.toolkit.offer == "New image instead"
    request, frames = desk.sent(monkeypatch)
    assert (request.mode, request.source.context) == ("inpaint", "below")
    assert frames["context"].box == frames["layer"].box
    assert bytes(frames["context"].data) == PAINTING
    assert not any(bytes(frames["layer"].data))


def test_one_click_chooses_the_other_and_one_more_goes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk()
    desk.panel.accept_offer()
    assert desk.toolkit.controls["mode"].value == "txt2img"
    assert desk.toolkit.plan.startswith("Paints a new picture")
    assert desk.toolkit.offer == "Choose automatically"
    request, frames = desk.sent(monkeypatch)
    assert (request.mode, request.source.context) == ("txt2img", "layer")
    assert "context" not in frames
    desk.panel.accept_offer()
    assert desk.toolkit.controls["mode"].value == "auto"
    assert desk.toolkit.offer == "New image instead"


def test_without_a_selection_the_click_fills_the_whole_layer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(selected=False)
    assert desk.toolkit.plan.startswith("Paints a new picture")
    assert desk.toolkit.offer == "Paint over what is below instead"
    desk.panel.accept_offer()
    controls = desk.toolkit.controls
    assert (controls["mode"].value, controls["context"].value) == ("inpaint", "below")
    assert desk.toolkit.plan.startswith("Fills the layer to fit what is below")
    request, frames = desk.sent(monkeypatch)
    assert (request.mode, request.source.context) == ("inpaint", "below")
    assert bytes(frames["context"].data) == PAINTING


def test_nothing_is_offered_that_cannot_be_surveyed() -> None:
    desk = Desk()

    def fails() -> Any:
        raise DaemonUnavailableError("no layer is selected")

    desk.panel.survey_document(fails)
    assert desk.toolkit.offer == ""
    before = {name: one.value for name, one in desk.toolkit.controls.items()}
    desk.panel.accept_offer()
    assert before == {name: one.value for name, one in desk.toolkit.controls.items()}
