"""What is said of a model before it is downloaded is what would be chosen once it is there."""

from __future__ import annotations

import json

import pytest

import memory_table
from underpaint.cli import main
from underpaint.engine.savings import STAGES, UNLIMITED, Abilities, Saving, Task, choose_saving
from underpaint.models.known_sizes import KNOWN_MODELS, KnownModel
from underpaint.models.suggestions import SUGGESTIONS, Memory, Suggestion
from underpaint_client.geometry import Extent
from underpaint_client.sentences import Sentence

KNOWN = {
    "stable-diffusion-v1-5/stable-diffusion-v1-5": "Stable Diffusion 1.5",
    "stable-diffusion-v1-5/stable-diffusion-inpainting": "Stable Diffusion 1.5",
    "stabilityai/stable-diffusion-xl-base-1.0": "SDXL, Illustrious, Pony",
    "diffusers/stable-diffusion-xl-1.0-inpainting-0.1": "SDXL, Illustrious, Pony",
    "black-forest-labs/FLUX.2-klein-4B": "FLUX.2 klein 4B",
    "Tongyi-MAI/Z-Image-Turbo": "Z-Image",
    "black-forest-labs/FLUX.1-schnell": "FLUX.1",
    "Qwen/Qwen-Image": "Qwen-Image",
}
MODELS = {model.title: model for model in KNOWN_MODELS}


@pytest.mark.parametrize("suggestion", SUGGESTIONS, ids=lambda one: one.id)
def test_a_suggestion_fits_a_card_where_the_table_says_that_all_stays_there(
    suggestion: Suggestion, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = MODELS[KNOWN[suggestion.id]]
    for card in (*memory_table.CARDS, 11, 32, 48, 80):
        memory = Memory(card * 2**30, Sentence("a card"))
        monkeypatch.setattr("underpaint.cli.models.adding.find_memory", lambda found=memory: found)
        assert main(["models", "suggest", "--json"]) == 0
        lines = map(json.loads, capsys.readouterr().out.splitlines())
        (fits,) = (one["fits"] for one in lines if one["id"] == suggestion.id)
        assert fits == (memory_table.find_cell(model, card) == memory_table.WORDS["gpu"]), card


@pytest.mark.parametrize("model", KNOWN_MODELS, ids=lambda one: one.title)
def test_the_most_that_a_picture_takes_is_that_of_its_stages(model: KnownModel) -> None:
    task = Task(model.needs, Extent(model.native, model.native))
    saving = choose_saving(task, UNLIMITED, Abilities())
    assert saving == Saving()
    most = max(task.most(stage, saving).device for stage in STAGES)
    assert model.needs.most(model.native**2) == most
