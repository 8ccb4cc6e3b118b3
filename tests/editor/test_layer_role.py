"""Roles of layers: control layers are read with the layer that is painted on, and sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from editor.fake_connection import FakeConnection
from editor.fake_editor import FakeDocument, FakeEditor, FakeToolkit, Layer
from underpaint_client import Frame, messages
from underpaint_client.control_layers import ControlLayer
from underpaint_client.errors import BadInputError
from underpaint_client.geometry import Box, Extent
from underpaint_client.inputs import InputFrames
from underpaint_client.reference_layers import ReferenceLayer
from underpaint_client.request import Request
from underpaint_editor.form import Form
from underpaint_editor.job_inputs import read_inputs
from underpaint_editor.layer_role import ROLES, LayerRole, RoleLayer, read_reference_layers
from underpaint_editor.panel import Panel
from underpaint_editor.session import Session
from underpaint_editor.tracker import JobTracker

SIZE = Extent(8, 8)
CANNY = LayerRole.of(layer_role="canny", control_strength=0.5, control_end=0.5)
BLUR = LayerRole.of(layer_role="blur-of")


def test_every_role_is_kept_as_text_and_has_a_control_layer() -> None:
    for kind in filter(None, ROLES):
        role = LayerRole.of(layer_role=kind, control_strength=1.5, control_start=0.25)
        assert LayerRole.from_text(role.to_text()) == role
        assert role.to_text().isascii()
    assert LayerRole().to_text() == ""
    assert CANNY.control == ControlLayer("canny", 0.5, 0.0, 0.5)
    assert BLUR.control == ControlLayer("blur", computed=True)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"layer_role": "hats"},
        {"layer_role": ""},
        {"layer_role": 3},
        {"control_strength": 9.0},
        {"control_start": -0.1},
        {"control_end": "x"},
    ],
)
def test_what_is_broken_or_newer_is_no_role(change: dict[str, Any]) -> None:
    assert LayerRole.from_text(json.dumps({**json.loads(CANNY.to_text()), **change})) is None
    for text in ("", "[]", "{}", "null", '{"format": 1}', "\udcff"):
        assert LayerRole.from_text(text) is None


def painting(*roles: LayerRole | None) -> FakeDocument:
    """A document with a layer for each role above its painting."""
    document = FakeEditor().open("a.kra", bytes((9, 9, 9, 0)) * 64, SIZE)
    for number, role in enumerate(roles):
        text = "" if role is None else role.to_text()
        pixels = bytes((number, 0, 0, 255)) * 64
        document.canvas.layers.append(Layer(f"{number}", pixels, Box.at(0, 0, SIZE), role=text))
    return document


class Daemon(FakeConnection):
    """A connection that keeps what is submitted."""

    def __init__(self) -> None:
        super().__init__()
        self.submitted: list[tuple[messages.Submit, tuple[Frame, ...]]] = []

    def send(self, message: messages.Message, frames: tuple[Frame, ...] = ()) -> None:
        if isinstance(message, messages.Submit):
            self.submitted.append((message, frames))


def generate(document: FakeDocument, **values: Any) -> tuple[Daemon, FakeToolkit]:
    daemon, toolkit = Daemon(), FakeToolkit()
    session = Session(
        "Fake",
        document.editor.loop,
        toolkit,
        document.editor.find,
        tracker=JobTracker("Fake", connect=lambda: daemon),
    )
    session.generate(Form().with_values(prompt="a lake", **values), lambda: document)
    return daemon, toolkit


def test_visible_layers_with_a_role_are_sent_from_the_top() -> None:
    document = painting(CANNY, None, BLUR, CANNY)
    document.canvas.layers[4].visible = False
    daemon, _ = generate(document)
    ((submit, frames),) = daemon.submitted
    assert submit.request.conditioning.controls == (BLUR.control, CANNY.control)
    inputs = InputFrames.of(frames)
    assert inputs.layer is not None
    rasters = {name: (one.box, bytes(one.data)) for name, one in inputs.rasters.items()}
    assert rasters == {
        "control_1": (inputs.layer.box, bytes((2, 0, 0, 255)) * 64),
        "control_2": (inputs.layer.box, bytes((0, 0, 0, 255)) * 64),
    }
    assert bytes(inputs.layer.data) == bytes((9, 9, 9, 0)) * 64
    daemon, _ = generate(painting(None))
    ((submit, frames),) = daemon.submitted
    assert submit.request.conditioning.controls == ()
    assert [frame.name for frame in frames] == ["layer"]


STYLE = LayerRole.of(layer_role="style", control_strength=0.5, control_end=0.75)
SUBJECT = LayerRole.of(layer_role="subject")


def test_reference_layers_are_sent_whole_with_their_names() -> None:
    document = painting(STYLE, CANNY, SUBJECT)
    document.canvas.layers[1].name = "Monet"
    daemon, _ = generate(document)
    ((submit, frames),) = daemon.submitted
    wanted = submit.request.conditioning
    assert wanted.references == (
        ReferenceLayer("subject", name="2"),
        ReferenceLayer("style", 0.5, 0.0, 0.75, name="Monet"),
    )
    assert wanted.controls == (CANNY.control,)
    inputs = InputFrames.of(frames)
    rasters = {name: (one.box, bytes(one.data)) for name, one in inputs.rasters.items()}
    assert rasters == {
        "control_1": (Box.at(0, 0, SIZE), bytes((1, 0, 0, 255)) * 64),
        "reference_1": (Box.at(0, 0, SIZE), bytes((2, 0, 0, 255)) * 64),
        "reference_2": (Box.at(0, 0, SIZE), bytes((0, 0, 0, 255)) * 64),
    }


def test_a_role_as_a_reference_is_kept_as_text() -> None:
    assert LayerRole.from_text(STYLE.to_text()) == STYLE
    assert STYLE.is_reference
    assert not CANNY.is_reference


def test_a_model_that_was_made_to_edit_edits_automatically() -> None:
    document = painting()
    request = Request.of(prompt="make it winter")
    edited, _ = read_inputs(request, document, 0, edits=True)
    assert edited.mode == "edit"
    plain, _ = read_inputs(request, document, 0)
    assert plain.mode == "inpaint"


def test_too_many_references_and_empty_ones_are_told() -> None:
    daemon, toolkit = generate(painting(*[SUBJECT] * 5))
    assert toolkit.message.startswith("5 reference layers are visible, and 4 at most can be used")
    nothing = RoleLayer(SUBJECT, lambda box: Frame("x", box, "u1", "RGBA", b""), "Cat",
                        Box(0, 0, 0, 0))  # fmt: skip
    with pytest.raises(BadInputError, match="the reference layer 'Cat' is empty; paint something"):
        read_reference_layers([nothing])
    assert daemon.submitted == []


def test_what_cannot_be_sent_is_told() -> None:
    document = painting(CANNY)
    on_role = FakeDocument(document.editor, document.canvas, document.canvas.layers[1].id)
    daemon, toolkit = generate(on_role)
    assert toolkit.message == (
        "The selected layer is used as 'Canny edges'; select the layer to paint on, or use this one"
        " as 'Painting'."
    )
    assert daemon.submitted == []
    daemon, toolkit = generate(painting(*[CANNY] * 5))
    assert toolkit.message.startswith("5 control layers are visible, and 4 at most can be used")
    turned = LayerRole.of(layer_role="canny", control_start=0.75, control_end=0.5)
    daemon, toolkit = generate(painting(turned))
    assert "the start comes before the end" in toolkit.message
    assert daemon.submitted == []


def test_the_panel_hides_what_a_painting_does_not_need() -> None:
    document, toolkit = painting(CANNY), FakeToolkit()
    panel = Panel(Session("test", document.editor.loop, toolkit, document.editor.find), toolkit)
    panel.show_role(lambda: document)
    assert toolkit.role_shown == (True, False)
    toolkit.role_controls["layer_role"].value = "depth"
    panel.role_edited(lambda: document)
    assert toolkit.role_shown == (True, True)
    assert toolkit.refusal.startswith("The selected layer is used as 'Depth'; select the layer to")

    def none() -> FakeDocument:
        raise BadInputError("no document is open; open or create one first")

    panel.show_role(none)
    assert toolkit.role_shown == (False, False)
    panel.role_edited(none)
    assert toolkit.message.startswith("No document is open")
