"""The files of styles: how they are found, what is wrong with them, and what pictures keep."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from runs import BASE, make
from underpaint.engine import Engine, Inputs
from underpaint.styles import LARGEST, SHIPPED, add_styles, list_styles, read_style
from underpaint_client.conditioning import LoraWeight
from underpaint_client.errors import BadInputError, ModelUnavailableError
from underpaint_client.recipe import Recipe
from underpaint_client.request import Request
from underpaint_client.styles import Style, apply_style, find_style


@pytest.fixture
def folder(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of styles in a home of its own, in which the tiny models are found."""
    monkeypatch.setenv("UNDERPAINT_MODELS", str(models))
    monkeypatch.setenv("UNDERPAINT_HOME", str(tmp_path))
    styles = tmp_path / "styles"
    styles.mkdir()
    return styles


def write(file: Path, found: Any) -> Path:
    file.write_text(found if isinstance(found, str) else json.dumps(found), encoding="utf-8")
    return file


def listed() -> dict[str, str]:
    """Return the user's own styles by name, with what is wrong with each."""
    shipped = {file.stem for file in SHIPPED.glob("*.json")}
    return {one.name: str(one.problem) for one in list_styles() if one.name not in shipped}


def test_a_file_is_a_style(folder: Path) -> None:
    found = {
        "prompt": "{prompt}, ink", "negative_prompt": "photo", "model": "sd", "steps": 12,
        "guidance_scale": 4, "sampler": "Euler a", "clip_skip": 2, "loras": ["a/ink:0.8", "oil"],
    }  # fmt: skip
    write(folder / "Ink.json", "\ufeff" + json.dumps(found))
    assert find_style("ink", list_styles()) == Style(
        "Ink", "{prompt}, ink", "photo", "sd", (LoraWeight("a/ink", 0.8), LoraWeight("oil")),
        "Euler a", 12, 4.0, 2,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", r"\[\] is not a JSON object"),
        ({"promt": "x"}, "'promt' is unknown; there are prompt, negative_prompt, model"),
        ({"prompt": "oil"}, r"its prompt 'oil' has no \{prompt\}, which stands for what you write"),
        ({"prompt": "# {prompt}\noil"}, r"has no \{prompt\}"),
        ({"prompt": "{prompt} <lora:x:much>"}, "strength"),
        ({"steps": "many"}, "steps 'many' is not a whole number"),
        ({"steps": 0}, "steps 0 is out of range"),
        ({"steps": None}, "steps None is not a whole number"),
        ({"sampler": "fast"}, "sampler 'fast' is unknown"),
        ({"sampler": "lcm", "steps": 900}, "too many for the sampler lcm"),
        ({"guidance_scale": 900}, "guidance_scale 900.0 is out of range"),
        ({"guidance_scale": [1]}, r"guidance_scale \[1\] is not a finite number"),
        ({"loras": "ink"}, "loras 'ink' is not a list"),
        ({"loras": [3]}, r"loras\[0\] 3 is not text"),
        ({"loras": ["ink:99"]}, "strength 99.0 of the LoRA 'ink' is out of range"),
        ({"loras": ["x"] * 17}, "loras has 17 entries"),
        ({"model": 3}, "model 3 is not text"),
        ({"negative_prompt": "x" * 30_000}, "negative_prompt has 30000 characters"),
    ],
)
def test_a_broken_file_is_listed_with_its_reason_and_hides_no_other(
    folder: Path, found: Any, told: str
) -> None:
    write(folder / "good.json", {"prompt": "{prompt}, oil"})
    write(folder / "broken.json", found)
    names = listed()
    assert names["good"] == ""
    assert names["broken"].startswith("style 'broken': ")
    assert names["broken"].endswith("; correct its file, or remove it")
    with pytest.raises(BadInputError, match=f"style 'broken': .*{told}"):
        apply_style(Request(), find_style("broken", list_styles()))


def test_what_is_no_file_is_listed_with_its_reason(folder: Path) -> None:
    (folder / "folder.json").mkdir()
    os.mkfifo(folder / "pipe.json")
    (folder / "gone.json").symlink_to(folder / "nowhere")
    (folder / "latin.json").write_bytes(b'{"prompt": "\xe4"}')
    with (folder / "large.json").open("wb") as file:
        file.truncate(LARGEST + 1)
    assert all(listed().values())
    assert set(listed()) == {"folder", "pipe", "gone", "latin", "large"}


def test_own_styles_replace_those_that_are_shipped(folder: Path) -> None:
    shipped = sorted(SHIPPED.glob("*.json"))
    assert len(shipped) >= 4
    for file in shipped:
        assert not read_style(file.stem, json.loads(file.read_text(encoding="utf-8"))).problem
    name = shipped[0].stem
    write(folder / f"{name.upper()}.json", {"prompt": "mine, {prompt}"})
    assert find_style(name, list_styles()).prompt == "mine, {prompt}"
    assert len(list_styles()) == len(shipped)


# ---- adding --------------------------------------------------------------------------------


def test_styles_are_added(folder: Path, tmp_path: Path) -> None:
    folder.rmdir()
    one = write(tmp_path / "Pen & ink.json", {"prompt": "{prompt}, pen", "steps": 9})
    assert add_styles(one) == [folder / "Pen & ink.json"]
    several = [
        {"name": "a/b: <c>", "prompt": "x {prompt} y", "negative_prompt": "z"},
        {"name": "Appended", "prompt": "oil"},
    ]
    add_styles(write(tmp_path / "list.json", several))
    rows = 'name,prompt,negative_prompt\nFog,"fog, mist",sun\nNone,,\nOnly not,,people\n'
    add_styles(write(tmp_path / "styles.csv", rows))
    found = {one.name: (one.prompt, one.negative_prompt) for one in list_styles()}
    assert found["Pen & ink"] == ("{prompt}, pen", "")
    assert found["a-b- -c-"] == ("x {prompt} y", "z")
    assert found["Appended"] == ("{prompt}, oil", "")
    assert found["Fog"] == ("{prompt}, fog, mist", "sun")
    assert found["Only not"] == ("{prompt}", "people")
    assert find_style("pen & ink", list_styles()).steps == 9


@pytest.mark.parametrize(
    ("name", "found", "told"),
    [
        ("x.json", "[", "it is not JSON"),
        ("x.json", "[]", "has 0 styles; give a file with 1 to 1000"),
        ("x.json", [{"prompt": "{prompt}"}], "in its list has no name"),
        ("x.json", [{"name": "../.."}, {"name": "ok", "step": 3}], "'step' is unknown"),
        ("x.json", [{"name": " . "}], "is no name for a style"),
        ("x.json", [{"name": "a"}, {"name": "a"}], "there is a style 'a' already"),
        ("there.json", {}, "there is a style 'there' already; remove .*there.json, or"),
        ("x.json", {"prompt": "oil"}, r"has no \{prompt\}"),
        ("x.csv", "other,columns\n1,2\n", "has 0 styles"),
    ],
)
def test_nothing_is_added_where_something_is_wrong(
    folder: Path, tmp_path: Path, name: str, found: Any, told: str
) -> None:
    there = write(folder / "there.json", {"steps": 3})
    with pytest.raises(BadInputError, match=told):
        add_styles(write(tmp_path / name, found))
    assert list(folder.iterdir()) == [there]
    with pytest.raises(BadInputError, match="No such file"):
        add_styles(tmp_path / "missing.json")


# ---- runs ----------------------------------------------------------------------------------


def test_a_recipe_holds_what_the_style_said_and_needs_no_file(engine: Engine, folder: Path) -> None:
    style = {"prompt": "{prompt}, {oil|ink}", "negative_prompt": "fog", "model": "sd", "steps": 3,
             "sampler": "ddim", "guidance_scale": 3}  # fmt: skip
    file = write(folder / "oil.json", style)
    asked = {"width": 64, "height": 64, "prompt": "a (lake:1.2)", "steps": None, "model": ""}
    plain = make(engine, **asked)
    picture = make(engine, **asked, style="Oil")
    recipe = Recipe.from_dict(json.loads(json.dumps(picture.recipe.to_dict())))
    used = recipe.request
    assert recipe.facts.style == "Oil"
    assert used.style == plain.recipe.facts.style == ""
    assert used.prompt.positive in ("a (lake:1.2), oil", "a (lake:1.2), ink")
    assert (used.prompt.negative, used.sampling.model, used.sampling.sampler) == (
        "fog", "sd", "ddim",
    )  # fmt: skip
    assert (used.sampling.steps, used.sampling.guidance_scale) == (3, 3)
    assert (picture.pixels != plain.pixels).any()
    file.unlink()
    again = next(iter(engine.generate(used, Inputs())))
    assert (again.pixels == picture.pixels).all()
    assert make(engine, **{**asked, "style": ""}).pixels.tobytes() == plain.pixels.tobytes()


@pytest.mark.parametrize(
    ("style", "error", "told"),
    [
        (None, BadInputError, "style 'x' is unknown; styles found: .*; yours go to the"),
        ({"prompt": "oil"}, BadInputError, r"style 'x': its prompt 'oil' has no \{prompt\}"),
        ({"model": "gone"}, ModelUnavailableError,
         "style 'x' is for a model that cannot be used: model 'gone' is unknown"),
        ({"loras": ["gone"]}, ModelUnavailableError, "LoRA 'gone' is unknown"),
        ({"prompt": "{prompt}" * 400}, BadInputError, "prompt has .* characters; shorten it"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_before_the_run(
    engine: Engine, folder: Path, style: Any, error: type[Exception], told: str
) -> None:
    if style is not None:
        write(folder / "x.json", style)
    request = BASE.with_values(style="x", model="", prompt="lake " * 20, width=64, height=64)
    with pytest.raises(error, match=told):
        next(iter(engine.generate(request, Inputs())))
