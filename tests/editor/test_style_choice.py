"""The choice of a style in the panel: the fields follow it until the artist changes them."""

from __future__ import annotations

import pytest

from editor.test_panel import FAST, OF_FAST, PLAIN, USUAL, Artist
from underpaint_client.prompt_messages import PromptNames
from underpaint_client.styles import Style
from underpaint_editor.form import Form
from underpaint_editor.notices import Connected, PromptNamesListed

STYLES = (
    Style("Broken", problem="style 'Broken': it is not JSON; correct its file, or remove it"),
    Style("Ink", "{prompt}, ink", "colour", steps=9, guidance_scale=3.0, sampler="ddim"),
    Style("Quick", "{prompt}, quick", model="fast"),
)
OF_INK = {"steps": 9, "guidance_scale": 3.0, "sampler": "ddim"}


@pytest.fixture
def artist() -> Artist:
    made = Artist().listed(PLAIN, FAST)
    made.session.handle_notices([PromptNamesListed(PromptNames(styles=STYLES))])
    made.panel.follow_model()
    return made


def test_styles_are_offered_with_none_first(artist: Artist) -> None:
    none, broken, ink, quick = artist.session.choices["style"]
    assert (none.value, none.label) == ("", "None")
    assert (broken.usable, ink.usable, quick.usable) == (False, True, True)
    assert "it is not JSON" in broken.tip
    assert ink.tip == "{prompt}, ink"
    assert [one.value for one in Artist().session.choices["style"]] == [""]


def test_the_fields_follow_the_style_and_its_model(artist: Artist) -> None:
    assert artist.toolkit.own == USUAL
    artist.set(style="Ink")
    assert artist.toolkit.own == OF_INK
    assert artist.toolkit.plan.endswith("runs 7 of 9 steps")
    assert artist.asked == {"steps": None, "guidance_scale": None, "sampler": "auto"}
    artist.set(steps=40)
    assert artist.toolkit.own == OF_INK
    assert artist.toolkit.plan.endswith("runs 30 of 40 steps")
    artist.set(style="Quick", steps=None)
    assert artist.toolkit.own == OF_FAST
    assert artist.toolkit.model.startswith("flux")
    artist.set(model="plain")
    assert artist.toolkit.own == USUAL
    artist.set(style="", model="")
    assert artist.toolkit.own == USUAL


def test_what_is_sent_names_the_style_and_has_the_artists_prompt(artist: Artist) -> None:
    artist.set(style="Quick", prompt="a lake")
    request = artist.panel.form.request(1)
    assert (request.style, request.prompt.positive, request.sampling.model) == (
        "Quick", "a lake", "",
    )  # fmt: skip
    kept = Form.from_text(artist.panel.form.to_text())
    assert kept.value("style") == "Quick"
    assert Form.from_text('{"version": 2, "prompt": "older"}').value("style") == ""


@pytest.mark.parametrize(
    ("style", "told"),
    [
        ("Gone", "Style 'Gone' is unknown; styles found: Broken, Ink, Quick; yours go to"),
        ("Broken", "Style 'Broken': it is not JSON"),
    ],
)
def test_what_cannot_be_used_is_said_before_the_run(artist: Artist, style: str, told: str) -> None:
    artist.set(style=style)
    assert artist.toolkit.plan.startswith(told)
    assert artist.toolkit.own == USUAL
    assert artist.session.generate(artist.panel.form, lambda: artist.document) is None
    assert artist.toolkit.message.startswith(told)


def test_a_style_is_left_to_a_daemon_that_lists_none(artist: Artist) -> None:
    artist.session.handle_notices([Connected("plain")])
    artist.set(style="Ink")
    assert artist.toolkit.plan.startswith("Fills")
    assert artist.toolkit.own == USUAL
