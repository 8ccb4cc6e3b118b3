"""What is said of a model before it is downloaded is what would be chosen once it is there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import memory_table
from full_size_files import make_layout
from underpaint.cli import main
from underpaint.engine.families import find_family
from underpaint.engine.savings import STAGES, UNLIMITED, Abilities, Saving, Task, choose_saving
from underpaint.models import describe_model, list_entries
from underpaint.models.card_memory import card_memory, file_memory
from underpaint.models.known_sizes import KNOWN_MODELS, KnownModel
from underpaint.models.memory_needs import FULL_PRECISION_VAES, describe_needs
from underpaint.models.model_index import PARTS
from underpaint.models.probes import read_contents
from underpaint.models.suggestions import SUGGESTIONS, Memory, Suggestion
from underpaint_client.geometry import Extent
from underpaint_client.sentences import Sentence
from weight_files import write_safetensors

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


@pytest.mark.parametrize(
    ("kind", "title"), [("sd1", "Stable Diffusion 1.5"), ("sdxl", "SDXL, Illustrious, Pony")]
)
@pytest.mark.parametrize("dtype", ["F32", "F16"])
def test_the_list_says_the_memory_that_is_suggested(
    home: Path, kind: str, title: str, dtype: str
) -> None:
    """`test_flow_files` has the same for the other families."""
    layout = make_layout(kind, dtype)
    write_safetensors(home / "models" / "whole.safetensors", layout)
    alone = {name: one for name, one in layout.items() if name.startswith("model.diffusion")}
    file = write_safetensors(home / "models" / "unet.safetensors", alone)
    found = {entry.name: entry.memory for entry in list_entries() if not entry.problem}
    model = MODELS[title]
    assert found["whole"] == pytest.approx(card_memory(model.needs, model.native), rel=0.01)
    assert file_memory(read_contents(file)) == pytest.approx(found["whole"], rel=0.01)
    info = describe_model(home / "models" / "whole.safetensors")
    assert card_memory(describe_needs(info, 2), info.native) == found["whole"]


def test_the_autoencoders_that_compute_in_full_are_those_of_the_engine() -> None:
    full = {name for name in PARTS if find_family(name).full_precision_vae}
    assert full == set(FULL_PRECISION_VAES)


@pytest.mark.parametrize("model", KNOWN_MODELS, ids=lambda one: one.title)
def test_the_most_that_a_picture_takes_is_that_of_its_stages(model: KnownModel) -> None:
    task = Task(model.needs, Extent(model.native, model.native))
    saving = choose_saving(task, UNLIMITED, Abilities())
    assert saving == Saving()
    most = max(task.most(stage, saving).device for stage in STAGES)
    assert model.needs.most(model.native**2) == most
