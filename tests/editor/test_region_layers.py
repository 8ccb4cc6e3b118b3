"""Layers that are used as regions: read, sent and told."""

from __future__ import annotations

import json

import pytest

from editor.fake_editor import FakeDocument, FakeToolkit
from editor.test_layer_role import CANNY, generate, painting
from example_recipe import make_recipe
from underpaint_client.inputs import InputFrames
from underpaint_client.recipe import UsedRegion
from underpaint_client.regions import Region
from underpaint_client.request import Request
from underpaint_client.sentences import Sentence
from underpaint_editor.layer_role import LayerRole, fields_of
from underpaint_editor.panel import Panel
from underpaint_editor.session import Session
from underpaint_editor.survey import Survey, describe_run
from underpaint_editor.tag import Tag

SNOW = LayerRole.of(layer_role="region", region_prompt="snow")
SEA = LayerRole.of(layer_role="region", region_prompt="{sea|湖}")


def test_a_region_is_kept_with_its_prompt_and_roles_of_before_can_be_read() -> None:
    assert LayerRole.from_text(SEA.to_text()) == SEA
    assert SEA.to_text().isascii()
    old = json.loads(CANNY.to_text())
    del old["region_prompt"]
    assert LayerRole.from_text(json.dumps(old)) == CANNY
    del old["control_end"]
    assert LayerRole.from_text(json.dumps(old)) is None


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("", ("layer_role",)),
        ("region", ("layer_role", "region_prompt")),
        ("canny-of", ("layer_role", "control_strength", "control_start", "control_end")),
    ],
)
def test_a_kind_of_role_shows_its_own_fields(kind: str, shown: tuple[str, ...]) -> None:
    assert fields_of(kind) == shown


def with_alpha(document: FakeDocument, index: int, alpha: int) -> None:
    layer = document.canvas.layers[index]
    layer.pixels = bytes((9, 9, 9, alpha)) * 32 + bytes((9, 9, 9, 0)) * 32


def test_visible_regions_are_sent_with_their_alpha_the_lowest_first() -> None:
    document = painting(SNOW, CANNY, SEA, SEA)
    for index, alpha in ((1, 255), (3, 128), (4, 64)):
        with_alpha(document, index, alpha)
    document.canvas.layers[4].visible = False
    daemon, _ = generate(document)
    ((submit, frames),) = daemon.submitted
    conditioning = submit.request.conditioning
    assert conditioning.regions == (Region("snow", "0"), Region("{sea|湖}", "2"))
    assert conditioning.controls == (CANNY.control,)
    inputs = InputFrames.of(frames)
    assert inputs.layer is not None
    masks = {name: (one.channels, one.box, bytes(one.data)) for name, one in inputs.rasters.items()}
    assert masks.pop("control_1")
    assert masks == {
        "region_1": ("Y", inputs.layer.box, b"\xff" * 32 + bytes(32)),
        "region_2": ("Y", inputs.layer.box, b"\x80" * 32 + bytes(32)),
    }


@pytest.mark.parametrize(
    ("roles", "said"),
    [
        ([SNOW] * 9, "9 regions are visible, and 8 at most can be used; hide the others"),
        ([LayerRole.of(layer_role="region")], "The region '0' has no prompt; write what is there"),
    ],
)
def test_what_cannot_be_sent_is_told(roles: list[LayerRole], said: str) -> None:
    daemon, toolkit = generate(painting(*roles))
    assert said in toolkit.message
    assert daemon.submitted == []


def test_a_region_is_not_painted_on() -> None:
    document = painting(SNOW)
    on_role = FakeDocument(document.editor, document.canvas, document.canvas.layers[1].id)
    daemon, toolkit = generate(on_role)
    assert "used as 'Region with a prompt'; select the layer to paint on" in toolkit.message
    assert daemon.submitted == []


def test_the_plan_line_counts_the_regions() -> None:
    plain = Survey(False, True, 0.5, 1.0, 1.0, 1.0, whole=True)

    def told(regions: int, **values: object) -> Sentence:
        found = Survey(False, True, 0.5, 1.0, 1.0, 1.0, whole=True, regions=regions)
        return describe_run(Request.of(**values), found)

    assert told(0) == describe_run(Request(), plain)
    assert "1 region is used" in told(1)
    assert "2 regions are used" in told(2)
    assert "used" not in told(2, strength=0.0)
    document = painting(SNOW, SEA, SEA)
    document.canvas.layers[3].visible = False
    assert document.survey().regions == 2


def test_what_is_typed_is_kept_on_the_layer_and_shown_again() -> None:
    document, toolkit = painting(), FakeToolkit()
    document.set_role(SNOW)
    panel = Panel(Session("test", document.editor.loop, toolkit, document.editor.find), toolkit)
    panel.show_role(lambda: document)
    assert toolkit.role_controls["region_prompt"].value == "snow"
    toolkit.role_controls["region_prompt"].value = "snow, ice"
    panel.role_edited(lambda: document)
    assert document.role == LayerRole.of(layer_role="region", region_prompt="snow, ice")
    panel.show_role(lambda: document)
    assert toolkit.role_controls["region_prompt"].value == "snow, ice"


def test_settings_say_that_visible_regions_are_used() -> None:
    used = UsedRegion("Sky", "snow", "1f")
    tag = Tag(make_recipe({"regions": (used,)}, regions=(Region("snow", "Sky"),)), "source")
    assert "its regions (those that are visible are used)" in tag.settings_without_field()
