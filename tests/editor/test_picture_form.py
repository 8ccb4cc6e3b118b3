"""The settings of a picture in the panel."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from editor.test_panel import FAST, PLAIN, Artist
from underpaint_client.conditioning import LoraWeight
from underpaint_client.found_settings import FoundSettings
from underpaint_client.sentences import sentence
from underpaint_editor.form import Form
from underpaint_editor.found_form import fill_form

PAIRS = "Steps: 28, Sampler: Euler a, CFG scale: 5.5, Seed: 42, Size: 768x512, Model: Fast"


def save(file: Path, **texts: str) -> Path:
    info = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    Image.new("RGB", (8, 8)).save(file, pnginfo=info)
    return file


@pytest.fixture
def artist() -> Artist:
    return Artist().listed(PLAIN, FAST)


def test_a_picture_fills_the_form_and_what_has_no_place_is_said(
    artist: Artist, tmp_path: Path
) -> None:
    artist.set(style="Ink", negative_prompt="old", strength=0.4, images=3, steps=9)
    file = save(tmp_path / "a.png", parameters=f"a lake\nNegative prompt: fog\n{PAIRS}, Eta: 0.5")
    artist.panel.use_picture(file)
    form = artist.panel.form
    shown = {
        "prompt": "a lake", "negative_prompt": "fog", "steps": 28, "sampler": "k_euler_a",
        "guidance_scale": 5.5, "seed": 42, "seed_locked": True, "model": "fast", "style": "",
        "strength": 0.4, "images": 3,
    }  # fmt: skip
    assert {name: form.value(name) for name in shown} == shown
    assert artist.toolkit.message == (
        "The settings of a picture made with Stable Diffusion WebUI were copied. Eta (0.5) is not"
        " used. There is no field for its size."
    )
    assert artist.toolkit.saved


def test_what_a_picture_does_not_tell_is_left_to_the_model() -> None:
    before = Form.of(steps=9, guidance_scale=3.0, sampler="ddim", negative_prompt="old", seed=5)
    found = FoundSettings(
        "ComfyUI",
        {"prompt": "a lake", "negative_prompt": "", "loras": (LoraWeight("ink", 0.8, 0.5),)},
        (sentence("the node X is not used"),),
        "gone",
    )
    form, notes = fill_form(before, found, ["plain"])
    request = form.request(1)
    assert request.prompt.positive == "a lake <lora:ink:0.5:0.8>"
    assert (request.prompt.negative, request.sampling.steps) == ("", None)
    assert (request.sampling.guidance_scale, request.sampling.sampler) == (None, "auto")
    assert form.seed_locked is False
    assert list(map(str, notes)) == ["the node X is not used", "the model 'gone' is not here"]


def test_a_picture_without_settings_changes_nothing(artist: Artist, tmp_path: Path) -> None:
    artist.set(prompt="mine")
    before = artist.panel.form
    artist.panel.use_picture(save(tmp_path / "a.png"))
    assert artist.toolkit.message.startswith(f"Picture {tmp_path / 'a.png'} has no settings of")
    artist.panel.use_picture(tmp_path / "gone.png")
    assert artist.toolkit.message.startswith("There is no picture")
    assert artist.panel.form == before
