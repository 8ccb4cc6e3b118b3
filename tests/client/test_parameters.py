"""One declaration of a parameter is enough: everything else follows from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from underpaint_client.errors import BadInputError
from underpaint_client.parameters import Parameter, declare, nest, parameters_of
from underpaint_client.png_chunks import RECIPE_KEY, find_text
from underpaint_client.request import PromptSettings, Request, SizeSettings
from underpaint_client.sampling import SamplingSettings
from underpaint_client.variations import VariationSettings
from underpaint_editor.form import Form

PLUGIN = Path(__file__).parents[2] / "editor_plugin"
OLD_PICTURE = Path(__file__).parents[1] / "cli" / "old_pictures" / "format-2-varied.png"

DECLARATION = """
    hue: float | None = declare(
        None,
        Parameter(
            "Turns the colours of the picture.",
            limits=(-180.0, 180.0),
            flags=("-u", "--hue"),
            label="Hue",
            step=5,
            decimals=1,
            modes=("img2img",),
        ),
    )
    bias: str = declare(
        "none",
        Parameter(
            "Which side comes first.",
            choices={"none": "Neither", "left": "The left one"},
            flags=("--bias",),
            label="Bias",
        ),
    )
"""

SCRIPT = """
import json
import sys
from dataclasses import asdict
from example_recipe import make_recipe
from underpaint.cli.generate import make_parser, make_request
from underpaint.cli.option_table import option_table
from underpaint.server.validation import read_message
from underpaint_client import messages, wire
from underpaint_client.request import Request
from underpaint_client.recipe import Recipe
from underpaint_client.rules import check_request
from underpaint_client.seeds import draw_seeds, request_of_image
from underpaint_editor.form import FIELDS, ROWS, Form
from underpaint_editor.tag import Tag

def error(call, *args):
    try:
        call(*args)
    except Exception as found:
        return str(found)

def arrive(**values):
    parts = wire.encode(messages.Submit("j", Request.of(**values)))
    return read_message(wire.open_envelope(parts)).request.value

def come_back(**values):
    parts = wire.encode(messages.Picture("j", 0, "layer", make_recipe(**values)))
    return wire.decode(parts)[0].recipe

words = ["x", "-u", "40", "--bias", "left"]
form = Form.from_text(json.dumps({"hue": 30, "bias": "left"}))
OLD = json.loads(open(sys.argv[1]).read())
print(json.dumps({
    "option": make_request(make_parser().read(words)).values(),
    "refused options": [error(make_request, make_parser().read(["x", "-u", "400"])),
                        error(make_parser().read, ["x", "--bias", "up"])],
    "controls": {field.name: asdict(field) for field in FIELDS},
    "rows": ROWS,
    "form": [form.value("hue"), form.value("bias"), form.request(1).value("hue")],
    "kept form": json.loads(form.to_text())["hue"],
    "refused form": Form.from_text(json.dumps({"hue": 300, "bias": "up"})).value("bias"),
    "check": [error(check_request, Request.of(hue=float("nan"))),
              error(check_request, Request.of(bias="up"))],
    "wire": [arrive(hue=40)("hue"), arrive(bias="left")("bias"),
             wire.read_request({"size": {"hue": 7}}).size.hue],
    "refused wire": [error(lambda: arrive(hue="red")), error(lambda: arrive(hue=400.0)),
                     error(lambda: wire.read_request({"size": {"hue": "red"}}))],
    "recipe": come_back(hue=40, bias="left").to_dict()["request"]["size"],
    "replayed": come_back(hue=40, bias="left").request.value("bias"),
    "run": request_of_image(draw_seeds(Request.of(hue=40)), 0).value("hue"),
    "settings": Tag(come_back(hue=40, bias="left"), "source").to_form(Form()).value("hue"),
    "old recipe": Recipe.from_dict(OLD).request.value("bias"),
    "table": option_table(make_parser()),
}))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What there is of two parameters whose declarations alone were added to a copy of the code."""
    folder = tmp_path_factory.mktemp("plugin")
    for package in ("underpaint_client", "underpaint_editor"):
        shutil.copytree(PLUGIN / package, folder / package)
    source = folder / "underpaint_client" / "request.py"
    text = source.read_text(encoding="utf-8")
    before, place, after = text.partition("\n    @property\n    def box")
    assert place
    source.write_text(f"{before}{DECLARATION}{place}{after}", encoding="utf-8")
    recipe = folder / "recipe.json"
    recipe.write_text(find_text(OLD_PICTURE.read_bytes(), RECIPE_KEY) or "", encoding="utf-8")
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(recipe)],
        env={**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{Path(__file__).parents[1]}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    found: dict[str, Any] = json.loads(process.stdout)
    return found


def test_the_command_line_has_its_option(seen: dict[str, Any]) -> None:
    assert (seen["option"]["hue"], seen["option"]["bias"]) == (40.0, "left")
    out_of_range, unknown = seen["refused options"]
    assert out_of_range == "hue 400.0 is out of range; it goes from -180.0 to 180.0"
    assert "--bias: invalid choice: 'up'" in unknown


def test_the_form_has_its_control(seen: dict[str, Any]) -> None:
    assert seen["controls"]["hue"] == {
        "name": "hue", "label": "Hue", "tip": "Turns the colours of the picture.",
        "minimum": -180.0, "maximum": 180.0, "step": 5, "decimals": 1,
        "by_model": False,
    }  # fmt: skip
    assert seen["controls"]["bias"]["options"] == {"none": "Neither", "left": "The left one"}
    assert {"hue", "bias"} <= set(seen["rows"])
    assert seen["form"] == [30, "left", 30]
    assert seen["kept form"] == 30
    assert seen["refused form"] == "none"


def test_the_check_knows_it(seen: dict[str, Any]) -> None:
    assert seen["check"] == [
        "hue nan is out of range; it goes from -180.0 to 180.0",
        "bias 'up' is unknown; choose one of none, left",
    ]


def test_the_wire_carries_and_validates_it(seen: dict[str, Any]) -> None:
    assert seen["wire"] == [40, "left", 7]
    wrong_type, out_of_range, read = seen["refused wire"]
    assert "hue" in wrong_type
    assert "hue 400.0 is out of range" in out_of_range
    assert "hue 'red' is not a finite number" in read


def test_a_recipe_keeps_it_and_gives_it_back(seen: dict[str, Any]) -> None:
    kept = {
        "width": None,
        "height": None,
        "fit": False,
        "areas": "separate",
        "hue": 40,
        "bias": "left",
    }
    assert seen["recipe"] == kept
    assert (seen["replayed"], seen["run"], seen["settings"]) == ("left", 40, 40)
    assert seen["old recipe"] == "none"


def test_the_table_of_options_has_it(seen: dict[str, Any]) -> None:
    assert (
        "| `-u`, `--hue` | Turns the colours of the picture."
        " (-180 to 180; in the modes img2img) |" in seen["table"]
    )
    assert (
        "| `--bias` | Which side comes first. (one of none, left; default: none) |"
        in (seen["table"])
    )


def test_two_parameters_of_one_name_are_refused() -> None:
    @dataclass(frozen=True)
    class Twice(SizeSettings):
        high: int = declare(1, Parameter("Another height.", name="height"))

    with pytest.raises(TypeError, match="Twice has two parameters height"):
        parameters_of(Twice)


def test_parameters_are_set_and_read_by_name_through_their_groups() -> None:
    request = Request.of(prompt="a lake", steps=30, variation_amount=0.2)
    assert request == Request(
        PromptSettings("a lake"),
        sampling=SamplingSettings(steps=30),
        variation=VariationSettings(amount=0.2),
    )
    changed = request.with_values(steps=7, mode="img2img")
    assert (changed.sampling.steps, changed.mode, changed.prompt) == (7, "img2img", request.prompt)
    assert request.sampling.steps == 30
    assert changed.with_values() == changed
    assert list(changed.values()) == list(parameters_of(Request))
    assert Request.of(**changed.values()) == changed
    assert nest(Request, {"steps": 1, "prompt": "x", "new": 2}) == {
        "sampling": {"steps": 1}, "prompt": {"positive": "x"}, "new": 2,
    }  # fmt: skip
    for call in (Request.of, request.with_values):
        with pytest.raises(TypeError, match="Request has no parameter strenght"):
            call(strenght=0.5)
    with pytest.raises(KeyError, match="strenght"):
        request.value("strenght")


def test_a_group_in_a_group_has_its_own_defaults() -> None:
    assert parameters_of(Form)["result"].default == "patch"
    assert parameters_of(Request)["result"].default == "layer"
    assert parameters_of(Form)["steps"].path == ("settings", "sampling", "steps")


@pytest.mark.parametrize("name", parameters_of(Request))
def test_the_default_passes_the_check(name: str) -> None:
    parameter = parameters_of(Request)[name]
    assert parameter.name == name
    assert parameter.help.endswith(".")
    parameter.check_value(parameter.default)


def test_a_text_that_is_too_long_or_is_not_text_is_named() -> None:
    short = Parameter("Help.", most=3, name="word")
    short.check_value("abc")
    with pytest.raises(BadInputError, match="word has 4 characters; shorten it to 3 or fewer"):
        short.check_value("abcd")
    with pytest.raises(BadInputError, match="not valid UTF-8"):
        short.check_value("\udcff")
    with pytest.raises(BadInputError, match="word has 4 entries"):
        short.check_value((1, 2, 3, 4))
