"""With a result selected, Generate goes to the layer that it was made from."""

from __future__ import annotations

from editor.contract_checks import painting, results
from editor.fake_editor import FakeDocument, FakeEditor, FakeResult, FakeToolkit
from underpaint_client.geometry import Extent
from underpaint_editor.form import Form
from underpaint_editor.panel import Panel
from underpaint_editor.session import Session

EXTENT = Extent(96, 64)


class Desk:
    """A painting with two results above it, one of them selected, and the panel."""

    def __init__(self) -> None:
        editor, self.toolkit = FakeEditor(), FakeToolkit()
        self.source = editor.open("a.kra", painting(), EXTENT)
        self.source.insert("a lake", results(2))
        self.canvas = self.source.canvas
        layers = [one for one in self.canvas.all() if one.tag]
        self.results = [FakeResult(self.source, one) for one in layers]
        self.selected: FakeResult | None = self.results[0]
        self.panel = Panel(Session("test", editor.loop, self.toolkit, editor.find), self.toolkit)
        self.panel.fill(Form())

    def find(self) -> FakeDocument:
        layer = self.source.layer_id if self.selected is None else self.selected.layer.id
        active = FakeDocument(self.source.editor, self.canvas, layer)
        found = self.panel.find_document(self.selected, lambda: active)
        assert isinstance(found, FakeDocument)
        return found

    def look(self) -> tuple[str, str]:
        self.panel.survey_document(lambda: self.find().survey())
        return self.toolkit.plan, self.toolkit.offer


def test_generate_goes_to_the_layer_that_a_result_was_made_from() -> None:
    desk = Desk()
    plan, offer = desk.look()
    assert plan.startswith("Fills the erased 4 % of the layer")
    assert plan.endswith("The layer that the selected result was made from is painted on again")
    assert offer == "Paint on this result instead"
    assert desk.find().layer_id == desk.source.layer_id


def test_the_result_itself_is_painted_on_if_the_artist_chooses_so() -> None:
    desk = Desk()
    desk.look()
    desk.panel.accept_offer()
    assert "was made from" not in desk.toolkit.plan
    assert desk.toolkit.offer != "Paint on this result instead"
    assert desk.find().layer_id == desk.results[0].layer.id
    assert desk.panel.form.settings.mode == "auto"  # nothing else was chosen
    desk.selected = desk.results[1]  # the choice is for the other one
    assert desk.find().layer_id == desk.source.layer_id
    desk.selected = desk.results[0]
    assert desk.find().layer_id == desk.source.layer_id


def test_without_a_result_it_is_the_active_layer() -> None:
    desk = Desk()
    desk.selected = None
    plan, offer = desk.look()
    assert "was made from" not in plan
    assert offer == "Repaint it instead"
    assert desk.find().layer_id == desk.source.layer_id


def test_a_result_whose_layer_was_deleted_is_painted_on_and_it_is_said() -> None:
    desk = Desk()
    desk.canvas.layers = [one for one in desk.canvas.layers if one.id != desk.source.layer_id]
    plan, _offer = desk.look()
    assert plan.endswith("The result itself is painted on, as its layer cannot be found")
    assert desk.find().layer_id == desk.results[0].layer.id
