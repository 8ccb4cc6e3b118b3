"""Wildcard files: where the daemon looks for them, and what pictures keep of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runs import make, make_all, texture, with_hole
from underpaint.engine import Engine, Inputs
from underpaint.server.config import Config, read_config
from underpaint.wildcards import LARGEST, WildcardFiles, list_wildcards, wildcard_folders
from underpaint_client.errors import BadInputError
from underpaint_client.recipe import Recipe
from underpaint_editor.form import Form
from underpaint_editor.tag import Tag

LAYER = with_hole(texture(32, 48))


@pytest.fixture
def folder(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of wildcards in a home of its own, in which the tiny models are found."""
    monkeypatch.setenv("UNDERPAINT_MODELS", str(models))
    monkeypatch.setenv("UNDERPAINT_HOME", str(tmp_path))
    wildcards = tmp_path / "wildcards"
    (wildcards / "animals").mkdir(parents=True)
    write(wildcards / "sky.txt", "# skies\n\n  red sky\npale sky  \n\tblack sky\n")
    write(wildcards / "animals/birds.txt", "owl\r\nwren\r\n")
    return wildcards


def write(file: Path, text: str) -> None:
    file.write_bytes(text.encode())


def test_lines_are_choices(folder: Path) -> None:
    files = WildcardFiles()
    assert files.read("sky") == ("red sky", "pale sky", "black sky")
    assert files.read("animals/birds") == ("owl", "wren")
    write(folder / "umlaut.txt", "\ufeffähre\n# x\n")
    assert files.read("umlaut") == ("ähre",)
    assert sorted(list_wildcards()) == ["animals/birds", "sky", "umlaut"]


def test_a_file_is_read_once_for_a_request(folder: Path) -> None:
    files = WildcardFiles()
    first = files.read("sky")
    write(folder / "sky.txt", "other")
    assert files.read("sky") == first
    assert WildcardFiles().read("sky") == ("other",)


def test_more_folders(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write(other / "sky.txt", "not this one")
    write(other / "sea.txt", "sea")
    write(tmp_path / "config.toml", f"[prompts]\nwildcards = ['{other}', '/missing']\n")
    assert read_config() == Config(wildcards=(str(other), "/missing"))
    assert WildcardFiles().read("sea") == ("sea",)
    assert WildcardFiles().read("sky")[0] == "red sky"
    assert sorted(list_wildcards()) == ["animals/birds", "sea", "sky"]


@pytest.mark.parametrize("given", ["'x'", "['x']", "[1]", "['/a\\u0000']"])
def test_a_wrong_folder_is_refused(folder: Path, tmp_path: Path, given: str) -> None:
    given = given.replace("'", '"')
    write(tmp_path / "config.toml", f"[prompts]\nwildcards = {given}\n")
    with pytest.raises(BadInputError, match="config.toml: .*(a list|is relative|is not a path)"):
        wildcard_folders()
    with pytest.raises(BadInputError, match="config.toml.*(list of|is relative|is not a path)"):
        read_config()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("sku", r"no wildcard __sku__; the nearest are __sky__\. For two underscores, write \\__"),
        ("birds", "the nearest are __animals/birds__"),
        ("animals/bird", "the nearest are __animals/birds__"),
        ("Zebra", "no wildcard __Zebra__; its file would be wildcards/Zebra.txt in Underpaint's"),
        ("sky/x", "no wildcard __sky/x__"),
        ("animals", "no wildcard __animals__"),
    ],
)
def test_a_missing_one_names_the_nearest(folder: Path, name: str, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        WildcardFiles().read(name)


def test_what_cannot_be_read_is_said(folder: Path) -> None:
    write(folder / "empty.txt", "\n# nothing\n")
    (folder / "latin.txt").write_bytes(b"\xe4hre\n")
    (folder / "folder.txt").mkdir()
    with (folder / "large.txt").open("wb") as file:
        file.truncate(LARGEST + 1)
    os.mkfifo(folder / "pipe.txt")
    for name, told in {
        "empty": "has no choices; write one a line",
        "latin": "byte 0 is not UTF-8",
        "folder": "not a regular file",
        "large": "bytes, and the limit is",
        "pipe": "not a regular file",
    }.items():
        with pytest.raises(BadInputError, match=f"file of wildcard __{name}__ .*{told}") as caught:
            WildcardFiles().read(name)
        assert str(folder) not in str(caught.value)


def test_many_files_and_deep_folders_are_listed_in_part(folder: Path) -> None:
    deep = folder
    for _ in range(12):
        deep /= "d"
        deep.mkdir()
        write(deep / "x.txt", "x")
    (deep / "loop").symlink_to(folder)
    assert sum(name.endswith("x") for name in list_wildcards()) <= 9


# ---- runs ----------------------------------------------------------------------------------


def again(engine: Engine, recipe: Recipe) -> Any:
    read = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))
    assert read == recipe
    return list(engine.generate(read.request, Inputs(LAYER)))[-1]


@pytest.mark.parametrize("chain", [False, True])
def test_a_replay_is_the_same_though_the_files_have_changed(
    engine: Engine, folder: Path, chain: bool
) -> None:
    pictures = make_all(
        engine, LAYER, prompt="a lake, (__sky__:1.3), __animals/birds__", images=4, chain=chain,
        negative_prompt="__animals/birds__ {a|b}", guidance_scale=4.0, steps=3,
    )  # fmt: skip
    prompts = {one.recipe.facts.prompt for one in pictures}
    assert (len(prompts) > 1) is not chain
    assert not any("__" in prompt for prompt in prompts)
    write(folder / "sky.txt", "green sky\nblue sky")
    (folder / "animals/birds.txt").unlink()
    for picture in pictures:
        found = again(engine, picture.recipe)
        np.testing.assert_array_equal(found.pixels, picture.pixels)
        assert found.recipe.facts.prompt == picture.recipe.facts.prompt
        assert found.recipe.request == picture.recipe.request


def test_the_choices_leave_the_noise_alone(engine: Engine, folder: Path) -> None:
    for seed in range(3):
        wild = make(engine, LAYER, prompt="__sky__", seed=seed, steps=3)
        plain = make(engine, LAYER, prompt=wild.recipe.facts.prompt, seed=seed, steps=3)
        np.testing.assert_array_equal(wild.pixels, plain.pixels)


def test_results_go_back_into_the_form_as_they_were_chosen(engine: Engine, folder: Path) -> None:
    picture = make_all(engine, LAYER, prompt="__sky__", images=3, chain=True, steps=3)[-1]
    tag = Tag(picture.recipe, "layer")
    (folder / "sky.txt").unlink()
    prompt = picture.recipe.facts.prompt
    for request in (tag.variations(0.3, 2, 7), tag.to_form(Form()).settings):
        assert request.prompt.positive == prompt
        for one in engine.generate(request.with_values(steps=1, model="sd"), Inputs(LAYER)):
            assert one.recipe.facts.prompt == prompt


@pytest.mark.parametrize("prompt", ["a __skt__", "a <lora::1>", "a __loop__"])
@pytest.mark.parametrize("which", ["prompt", "negative_prompt"])
def test_a_wrong_prompt_is_refused_before_a_model_is_loaded(
    folder: Path, prompt: str, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder / "loop.txt", "__loop__")
    monkeypatch.setattr(Engine, "load", lambda *_, **__: pytest.fail("it was loaded"))
    with pytest.raises(BadInputError, match="the nearest are __sky__|no LoRA is named|8 deep"):
        make(Engine("cpu"), LAYER, **{which: prompt})


def test_comments_do_not_reach_the_model(engine: Engine, folder: Path) -> None:
    plain = make(engine, LAYER, prompt="a lake\nat dusk", steps=3)
    noted = make(engine, LAYER, prompt="# __no file__ <lora::>\na lake\nat dusk", steps=3)
    np.testing.assert_array_equal(plain.pixels, noted.pixels)
    assert noted.recipe.facts.prompt == "a lake\nat dusk"
