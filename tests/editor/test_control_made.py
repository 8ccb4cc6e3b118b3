"""Control layers that are made of a layer: what is sent, and what becomes of the answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from editor.fake_editor import FakeDocument, FakeEditor, FakeToolkit
from editor.test_layer_role import CANNY, SIZE, Daemon, painting
from example_recipe import make_recipe
from underpaint_client import Frame, messages
from underpaint_client.control_layers import CONTROL_PICTURES, ControlPicture
from underpaint_client.errors import BadInputError, ModelUnavailableError
from underpaint_client.geometry import Box
from underpaint_client.inputs import InputFrames
from underpaint_client.prompt_messages import PromptNames
from underpaint_editor.job import Job
from underpaint_editor.layer_role import LayerRole, role_made
from underpaint_editor.lists import list_control_pictures
from underpaint_editor.notices import Ended, ImageReceived, PromptNamesListed
from underpaint_editor.session import Session
from underpaint_editor.tag import Tag
from underpaint_editor.tracker import JobTracker

DEPTH = b"".join(bytes((n, n, n, 255)) for n in range(64))


def make_session(document: FakeDocument) -> tuple[Session, Daemon, FakeToolkit]:
    daemon, toolkit = Daemon(), FakeToolkit()
    session = Session(
        "Fake",
        document.editor.loop,
        toolkit,
        document.editor.find,
        tracker=JobTracker("Fake", connect=lambda: daemon),
    )
    return session, daemon, toolkit


def made(session: Session, kind: str, document: FakeDocument) -> Job:
    session.make_control_layer(kind, lambda: document)
    (job,) = session.tracker.jobs.values()
    return job


def answer(session: Session, job: Job, kind: str, notes: tuple[str, ...] = ()) -> None:
    recipe = make_recipe({"notes": notes})
    request = replace(recipe.request, control_picture=ControlPicture(kind, "dpt"))
    picture = messages.Picture(job.name, 0, "layer", replace(recipe, request=request))
    frame = Frame("picture", Box.at(0, 0, SIZE), "u1", "RGBA", DEPTH)
    session.handle_notices([ImageReceived(job, picture, frame), Ended(job, None)])


def test_the_whole_layer_alone_is_sent_and_the_answer_becomes_a_control_layer() -> None:
    document = painting(CANNY)
    document.canvas.selection = Box(0, 0, 2, 2), bytes([255] * 64)
    session, daemon, toolkit = make_session(document)
    job = made(session, "depth", document)
    ((submit, frames),) = daemon.submitted
    assert submit.request.control_picture == ControlPicture("depth")
    assert submit.request.conditioning.controls == ()
    inputs = InputFrames.of(frames)
    assert inputs.layer is not None
    assert inputs.layer.box == Box.at(0, 0, SIZE)
    assert (inputs.selection, dict(inputs.rasters)) == (None, {})
    answer(session, job, "depth", ("the layer was taken for one figure",))
    layers = document.canvas.layers
    assert [one.name for one in layers] == ["Painting", "Depth", "0"]
    assert (layers[1].pixels, layers[1].opacity) == (DEPTH, 0.5)
    assert LayerRole.from_text(layers[1].role) == LayerRole("depth")
    assert toolkit.message.startswith("Control layer added in ")
    assert toolkit.message.endswith("The layer was taken for one figure.")
    document.canvas.undo_step()
    assert [one.name for one in document.canvas.layers] == ["Painting", "0"]


def test_a_control_layer_can_be_made_of_a_control_layer() -> None:
    document = painting()
    document.set_role(CANNY)
    session, daemon, _ = make_session(document)
    made(session, "blur", document)
    assert len(daemon.submitted) == 1


def test_what_was_made_is_no_result() -> None:
    document = FakeEditor().open("a.kra", bytes((9, 9, 9, 255)) * 64, SIZE)
    session, _, _ = make_session(document)
    job = made(session, "canny", document)
    answer(session, job, "canny")
    tag = Tag.from_text(document.canvas.layers[1].tag)
    assert tag is not None
    assert not tag.is_result
    assert Tag(make_recipe(), "x").is_result
    assert Tag(None, "x").is_result
    assert role_made(tag.recipe) == LayerRole("canny")
    assert document.inserted_images(job.name) == {0}


def test_an_error_is_told_and_inserts_nothing() -> None:
    document = painting()
    session, _, toolkit = make_session(document)
    job = made(session, "depth", document)
    session.handle_notices([Ended(job, ModelUnavailableError("no model here computes depth"))])
    assert toolkit.message == "No model here computes depth."
    assert len(document.canvas.layers) == 1

    def none() -> FakeDocument:
        raise BadInputError("no document is open; open or create one first")

    session.make_control_layer("depth", none)
    assert toolkit.message.startswith("No document is open")


def test_without_its_document_it_is_kept_and_opened() -> None:
    document = painting()
    session, _, toolkit = make_session(document)
    job = made(session, "depth", document)
    document.editor.canvases.clear()
    answer(session, job, "depth")
    assert toolkit.message.startswith("The document was closed. Its result is kept")
    session.apply_remedy()
    (canvas,) = document.editor.canvases
    assert toolkit.message == "Opened as a new document: Depth."
    assert any(one.name == "Depth" for one in canvas.all())


@pytest.mark.parametrize(
    ("known", "labels"),
    [
        ((), list(CONTROL_PICTURES.values())),
        (("canny", "blur", "depth"), ["Canny edges", "Line art (no model yet)"]),
    ],
)
def test_the_menu_says_what_lacks_a_model(known: tuple[str, ...], labels: list[str]) -> None:
    found = list_control_pictures(known)
    assert [one.value for one in found] == list(CONTROL_PICTURES)
    assert [str(one.label) for one in found][: len(labels)] == labels
    session, _, _ = make_session(painting())
    session.handle_notices([PromptNamesListed(PromptNames(control_pictures=known))])
    assert session.control_pictures == found
