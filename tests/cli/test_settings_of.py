"""`underpaint generate --settings-of`: the settings of another picture, and options before them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from underpaint.cli import main
from underpaint.cli.generate import make_request, read_options
from underpaint.cli.pictures import read_recipe
from underpaint.cli.terminal import make_display
from underpaint.models import describe_model, find_model
from underpaint.models.hashes import hash_model
from underpaint_client.conditioning import LoraWeight
from underpaint_client.request import Request

USUAL = ("-W", "64", "-H", "64", "-m", "sd", "-s", "3")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def save(file: str, text: str, key: str = "parameters") -> str:
    info = PngImagePlugin.PngInfo()
    info.add_text(key, text)
    Image.new("RGB", (8, 8)).save(file, pnginfo=info)
    return file


def asked(*words: str) -> Request:
    return make_request(read_options(words, make_display()))


def test_a_picture_of_ours_is_made_again(daemon: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prompt = "a {lake|pond} at \\{dusk\\}"
    assert main(["generate", prompt, *USUAL, "-S", "9", "--negative", "fog", "-o", "a.png"]) == 0
    capsys.readouterr()
    assert main(["generate", "--settings-of", "a.png", "-o", "b.png"]) == 0
    assert "not used" not in capsys.readouterr().err
    pictures = [np.array(Image.open(f"{name}.png")) for name in "ab"]
    assert (pictures[0] == pictures[1]).all()
    assert main(["generate", "--settings-of", "a.png", "-s", "4", "-o", "c.png"]) == 0
    again, other = (read_recipe(Path(f"{name}.png")) for name in "bc")
    assert again.request == read_recipe(Path("a.png")).request
    assert other.request == again.request.with_values(steps=4)


def test_options_come_before_the_picture(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = "Steps: 28, Sampler: Euler a, CFG scale: 5.5, Seed: 42, Size: 768x512, Model: gone"
    save("x.png", f"a lake\nNegative prompt: fog\n{pairs}, Denoising strength: 0.6, Eta: 0.5")
    of_picture = {
        "prompt": "a lake", "negative_prompt": "fog", "steps": 28, "sampler": "k_euler_a",
        "guidance_scale": 5.5, "seed": 42, "width": 768, "height": 512, "strength": 0.6,
    }  # fmt: skip
    assert asked("--settings-of", "x.png") == Request.of(**of_picture)
    told = capsys.readouterr().err
    assert "the model 'gone' is not here" in told
    assert "Eta (0.5) is not used" in told
    words = ("my", "lake", "--settings-of", "x.png", "-f", "0.75", "-A", "auto", "--mode", "auto")
    mine = {"prompt": "my lake", "strength": 0.75, "sampler": "auto"}
    assert asked(*words) == Request.of(**{**of_picture, **mine})
    assert asked("--settings-of", "x.png", "--", "-dash").prompt.positive == "-dash"
    sketch = asked("--settings-of", "x.png", "-I", "sketch.png")
    assert (sketch.size.width, sketch.size.height) == (None, None)


def test_loras_of_the_picture_and_of_the_options_are_used(models: Path) -> None:
    graph = (
        '{"1": {"class_type": "KSampler", "inputs": {"steps": 4, "latent_image": 0,'
        ' "model": ["2", 0]}}, "2": {"class_type": "LoraLoader",'
        ' "inputs": {"lora_name": "ink.safetensors", "strength_model": 0.5}}}'
    )
    save("x.png", graph, "prompt")
    found = asked("--settings-of", "x.png", "--lora", "oil").conditioning.loras
    assert found == (LoraWeight("ink", 0.5), LoraWeight("oil"))


def test_a_model_is_known_by_its_hash(models: Path) -> None:
    digest = hash_model(describe_model(find_model("sd")))
    pairs = f"Steps: 28, Seed: 42, Size: 768x512, Model hash: {digest[:10]}, Model: renamed"
    save("x.png", f"a lake\n{pairs}")
    assert asked("--settings-of", "x.png").sampling.model == "sd"


@pytest.mark.parametrize(
    ("file", "told"),
    [("gone.png", "there is no picture gone.png"), ("bare.png", "bare.png has no settings")],
)
def test_bad_input(file: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (8, 8)).save("bare.png")
    assert main(["generate", "--settings-of", file]) == 2
    assert told in capsys.readouterr().err
