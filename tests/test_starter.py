"""The starter model: that it is there, is the default, and paints what it is told."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from daemons import RUN
from training.demonstration import SKETCH, fade
from underpaint.engine import Engine, Inputs
from underpaint.models import default_model, describe_model, find, find_model
from underpaint_client import ModelUnavailableError, Request
from underpaint_client.descriptions import STARTER_MESSAGE

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine("cpu")


def paint(engine: Engine, prompt: str, seed: int, layer: Any = None, **how: Any) -> Any:
    request = Request.of(prompt=prompt, model="starter", seed=seed, **{"steps": 8, **how})
    (found,) = engine.generate(request, Inputs(layer))
    return found.pixels.astype(float)


def test_it_is_the_default_where_no_other_is(home: Path) -> None:
    assert default_model() == "starter"
    info = describe_model(find_model(""))
    assert (info.family, info.native, info.cell) == ("sd", 256, 8)
    assert info.recommended.sampler == "k_euler_a"
    files = [file for file in info.path.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) <= 40e6
    assert {"README.md", "model_index.json"} <= {file.name for file in files}


def test_an_artists_own_model_comes_first(home: Path) -> None:
    from tiny_models import build_model

    build_model(home / "models" / "zebra")
    assert default_model() == "zebra"


def test_a_slim_package_says_what_is_missing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "STARTER_FOLDER", home / "nothing")
    assert default_model() == ""
    with pytest.raises(ModelUnavailableError, match="came without the starter model") as caught:
        find_model("")
    assert "put a model into" in str(caught.value)


@pytest.mark.parametrize(
    ("words", "measure"),
    [
        ("a landscape at night", lambda p: -p[:85, :, :3].mean()),
        ("a landscape at sunset", lambda p: (p[:85, :, 0] - p[:85, :, 2]).mean()),
        ("a landscape in snow", lambda p: p[-85:, :, :3].mean((0, 1)).min()),
        ("a desert", lambda p: (p[-85:, :, 0] - p[-85:, :, 2]).mean()),
        ("a lake", lambda p: (p[-85:, :, 2] - p[-85:, :, 0]).mean()),
    ],
)
def test_words_mean_something(engine: Engine, words: str, measure: Callable[[Any], float]) -> None:
    seeds = range(3)
    plain = np.mean([measure(paint(engine, "a landscape", seed)) for seed in seeds])
    told = np.mean([measure(paint(engine, words, seed)) for seed in seeds])
    assert told > plain + 10


def test_the_colour_underneath_guides_what_is_painted(engine: Engine) -> None:
    layer = np.full((256, 256, 4), (120, 150, 110, 255), np.uint8)
    found = {}
    for name, colour in (("red", (190, 50, 40)), ("blue", (40, 70, 190))):
        under = layer.copy()
        under[80:176, 80:176] = (*colour, 0)
        painted = paint(engine, "a landscape", 1, under, strength=0.6, steps=20)
        assert (painted[layer[..., 3] == 255][: 80 * 256] == layer[:80].reshape(-1, 4)).all()
        inside = painted[90:166, 90:166]
        found[name] = (inside[..., 0] - inside[..., 2]).mean()
    assert found["red"] > found["blue"] + 20


def test_more_strength_is_more_change(engine: Engine) -> None:
    with Image.open(ROOT / "install" / "sketch.png") as sketch:
        layer = np.asarray(sketch.convert("RGB").resize((256, 256)))
    layer = np.dstack([layer, np.full((256, 256), 255, np.uint8)])
    distances = [
        np.abs(paint(engine, "a river", 3, layer, mode="img2img", strength=s) - layer).mean()
        for s in (0.25, 0.55, 0.9)
    ]
    assert distances == sorted(distances)


def test_the_command_line_says_what_it_is(home: Path, tmp_path: Path) -> None:
    command = [*RUN, "generate", "a lake", "-s", "2", "-o", str(tmp_path / "a.png"), "--json"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert STARTER_MESSAGE in found.stderr
    assert str(home / "models") in found.stderr
    assert json.loads(found.stdout)["recipe"]["request"]["sampling"]["model"] == "starter"


def test_the_sketch_fades_out_and_keeps_its_colour() -> None:
    with Image.open(ROOT / "install" / "sketch.png") as image:
        sketch = np.asarray(image)
    assert sketch.shape == (384, 512, 4)
    np.testing.assert_array_equal(sketch, fade(np.ascontiguousarray(sketch[..., :3])))
    alpha = sketch[0, :, 3].astype(int)
    assert (alpha[: int(0.12 * 512)] == 255).all()
    assert (alpha[int(0.86 * 512) + 1 :] == 0).all()
    assert set(np.diff(alpha[62:440])) == {-1, 0}
    assert len(np.unique(sketch[:, -60:, :3].reshape(-1, 3), axis=0)) > 50


def test_the_first_run_paints_the_first_picture() -> None:
    script = (ROOT / "install" / "try").read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = re.findall(r"underpaint\" generate (.*?)\)\n", script)
    words = shlex.split(line)
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert options["-I"].endswith("/install/sketch.png")
    given = (words[0], *(float(options[name]) for name in ("-f", "-C", "-s", "-S")), options["-m"])
    assert given == (
        *map(SKETCH.value, ("prompt", "strength", "guidance_scale", "steps", "seed", "model")),
    )
    assert f'*"{SKETCH.prompt.positive}"' in (ROOT / "README.md").read_text(encoding="utf-8")


def test_before_and_after_side_by_side(tmp_path: Path) -> None:
    before = Image.new("RGBA", (40, 30), (10, 200, 30, 255))
    before.paste((10, 200, 30, 0), (10, 10, 20, 20))
    before.save(tmp_path / "before.png")
    Image.new("RGB", (40, 30), (1, 2, 3)).save(tmp_path / "after.png")
    out = tmp_path / "shown.png"
    script = ROOT / "install" / "side_by_side.py"
    words = [script, tmp_path / "before.png", tmp_path / "after.png", out]
    subprocess.run([sys.executable, *map(str, words)], check=True)
    with Image.open(out) as shown:
        assert shown.size == (12 + 3 * 52, 24 + 30 + 12)
        pixel: Callable[[tuple[int, int]], Any] = shown.getpixel
        assert pixel((12 + 5, 24 + 5)) == (10, 200, 30)
        assert pixel((12 + 15, 24 + 15)) in {(204, 204, 204), (255, 255, 255)}
        assert [pixel((64 + x, 24 + 15)) for x in (5, 15)] == [(255, 255, 255), (0, 0, 0)]
        assert pixel((116 + 5, 24 + 5)) == (1, 2, 3)
