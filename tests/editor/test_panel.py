"""The panel's fields follow the model until the artist changes them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from editor.fake_editor import FakeEditor, FakeToolkit
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box, Extent
from underpaint_client.model_entry import ModelEntry
from underpaint_client.recommended import Recommended
from underpaint_editor.form import Form
from underpaint_editor.notices import Connected, ModelPictureReceived, ModelsListed
from underpaint_editor.panel import Panel
from underpaint_editor.session import Session

PLAIN = ModelEntry("plain", "sd", 512)
FAST = ModelEntry("fast", "flux", 1024, recommended=Recommended(4, 1.0, "k_euler"))
USUAL = {"steps": 20, "guidance_scale": 7.5, "sampler": "dpmpp_2m"}
OF_FAST = {"steps": 4, "guidance_scale": 1.0, "sampler": "k_euler"}


class Artist:
    """Somebody who works with the panel."""

    def __init__(self) -> None:
        editor, self.toolkit = FakeEditor(), FakeToolkit()
        self.document = editor.open("a.kra", bytes((9, 9, 9, 0)) * 64, Extent(8, 8))
        self.session = Session("test", editor.loop, self.toolkit, editor.find)
        self.panel = Panel(self.session, self.toolkit)
        self.panel.fill(Form())
        self.panel.survey_document(self.document.survey)

    def listed(self, *models: ModelEntry, default: str = "plain") -> Artist:
        self.session.handle_notices(
            [Connected(default_model=default, remark=""), ModelsListed(models)]
        )
        self.panel.follow_model()
        return self

    def set(self, **values: Any) -> Artist:
        for name, value in values.items():
            self.toolkit.controls[name].value = value
            self.panel.form_edited()
        return self

    @property
    def asked(self) -> dict[str, Any]:
        request = self.panel.form.request(1)
        return {name: request.value(name) for name in USUAL}


@pytest.fixture
def artist() -> Artist:
    return Artist().listed(PLAIN, FAST)


def test_the_fields_follow_the_model(artist: Artist) -> None:
    assert artist.toolkit.own == USUAL
    assert artist.toolkit.plan.endswith("runs 15 of 20 steps")
    artist.set(model="fast")
    assert artist.toolkit.own == OF_FAST
    assert artist.toolkit.plan.endswith("runs 3 of 4 steps")
    assert artist.asked == {"steps": None, "guidance_scale": None, "sampler": "auto"}
    artist.set(model="plain")
    assert artist.toolkit.own == USUAL


def test_the_default_model_counts_where_none_is_chosen(artist: Artist) -> None:
    artist.listed(PLAIN, FAST, default="fast")
    assert artist.toolkit.own == OF_FAST
    assert artist.toolkit.plan.endswith("runs 3 of 4 steps")


def test_a_model_is_known_by_the_last_part_of_its_name_too(artist: Artist) -> None:
    inside, twice = (dataclasses.replace(FAST, name=name) for name in ("a/fast", "b/fast"))
    assert artist.listed(PLAIN, inside).set(model="fast").toolkit.own == OF_FAST
    assert artist.listed(PLAIN, inside, default="fast").set(model="").toolkit.own == OF_FAST
    assert artist.listed(PLAIN, inside, twice).set(model="fast").toolkit.own == USUAL
    assert artist.listed(PLAIN, inside, twice, FAST).toolkit.own == OF_FAST


def test_what_is_not_known_yet_is_as_usual_until_it_is() -> None:
    artist = Artist()
    assert artist.toolkit.own == USUAL
    artist.set(model="fast")
    assert artist.toolkit.own == USUAL
    artist.listed(PLAIN, FAST)
    assert artist.toolkit.own == OF_FAST


def test_what_was_typed_stays_until_it_is_left_to_the_model_again(artist: Artist) -> None:
    artist.set(steps=12, model="fast")
    assert artist.asked == {"steps": 12, "guidance_scale": None, "sampler": "auto"}
    assert "runs 9 of 12 steps" in artist.toolkit.plan
    assert "12 steps are more than this model is made for; 4 suit it" in artist.toolkit.plan
    artist.set(model="plain")
    assert artist.asked["steps"] == 12
    assert artist.toolkit.plan.endswith("runs 9 of 12 steps")
    artist.set(steps=None)
    assert artist.toolkit.plan.endswith("runs 15 of 20 steps")


def test_what_does_not_fit_the_model_is_said_before_the_run(artist: Artist) -> None:
    artist.set(guidance_scale=7.5, negative_prompt="rain")
    assert artist.toolkit.plan.endswith("runs 15 of 20 steps")
    artist.set(model="fast")
    assert artist.toolkit.plan.endswith(
        "runs 3 of 4 steps. A guidance scale of 7.5 is too high for this model; 1 suits it"
    )
    artist.set(guidance_scale=None)
    assert artist.toolkit.plan.endswith(
        "The negative prompt is not used at a guidance scale of 1 or less"
    )
    artist.set(strength=0.0)
    assert artist.toolkit.plan == "Keeps the picture as it is: nothing may change"


def test_showing_the_models_own_is_no_change_of_the_artists(artist: Artist) -> None:
    saved = artist.toolkit.saved
    artist.listed(PLAIN, FAST, default="fast")
    artist.panel.fill(Form())
    assert artist.toolkit.saved == saved
    assert not artist.panel.filling


def test_the_chosen_model_is_described_below_its_choice(artist: Artist) -> None:
    torn = ModelEntry("torn", "", 0, "model torn: its vae is missing")
    artist.listed(PLAIN, FAST, torn)
    assert artist.toolkit.model == "sd. 512 pixels."
    assert artist.set(model="fast").toolkit.model == "flux, 4 steps. 1024 pixels."
    assert artist.set(model="torn").toolkit.model.endswith("its vae is missing.")
    assert artist.set(model="gone").toolkit.model == ""
    first, _, fast, broken, _ = artist.session.model_choices
    assert (first.label, first.tip) == ("Default (plain)", "sd. 512 pixels.")
    assert (fast.label, fast.usable) == ("fast", True)
    assert (broken.label, broken.usable) == ("torn", False)
    assert broken.tip == "Cannot be used: model torn: its vae is missing."


def test_the_chosen_models_picture_is_asked_for_once_and_shown(
    artist: Artist, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(artist.session.tracker, "ask_model_picture", asked.append)
    artist.listed(PLAIN, FAST, ModelEntry("torn", "", 0, "it is torn"))

    def arrives(model: str, picture: Frame | None) -> None:
        artist.session.handle_notices([ModelPictureReceived(model, picture)])
        artist.panel.follow_model()

    for model in ("", "plain", "fast", "plain", "plain", "torn", "gone"):
        artist.set(model=model)
        assert artist.toolkit.picture is None
    assert asked == ["plain", "fast", "plain"]  # the daemon answers the last question only
    frame = Frame("picture", Box(0, 0, 1, 1), "u1", "RGBA", bytes(4))
    arrives("plain", frame)
    arrives("fast", None)
    for model, picture in (("plain", frame), ("fast", None), ("", frame), ("torn", None)):
        assert artist.set(model=model).toolkit.picture == picture
    assert len(asked) == 3
    artist.listed(PLAIN, FAST)  # by another daemon
    assert artist.set(model="plain").toolkit.picture is None
    assert asked[3:] == ["plain"]
