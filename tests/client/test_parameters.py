"""One declaration of a parameter is enough: everything else follows from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from underpaint_client.errors import BadInputError
from underpaint_client.parameters import Parameter, parameters_of
from underpaint_client.request import Request

PLUGIN = Path(__file__).parents[2] / "editor_plugin"

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
from dataclasses import asdict
from underpaint.cli.generate import make_parser, make_request
from underpaint.cli.option_table import option_table
from underpaint.server.validation import read_message
from underpaint_client import messages, wire
from underpaint_client.request import Request
from underpaint_client.rules import check_request
from underpaint_editor.form import FIELDS, ROWS, Form

def error(call, *args):
    try:
        call(*args)
    except Exception as found:
        return str(found)

def arrive(**values):
    parts = wire.encode(messages.Submit("j", Request(**values)))
    return read_message(wire.open_envelope(parts)).request

words = ["x", "-u", "40", "--bias", "left"]
form = Form.from_text(json.dumps({"hue": 30, "bias": "left"}))
print(json.dumps({
    "option": asdict(make_request(make_parser().read(words))),
    "refused options": [error(make_request, make_parser().read(["x", "-u", "400"])),
                        error(make_parser().read, ["x", "--bias", "up"])],
    "controls": {field.name: asdict(field) for field in FIELDS},
    "rows": ROWS,
    "form": [form.hue, form.bias, form.request(1).hue],
    "refused form": Form.from_text(json.dumps({"hue": 300, "bias": "up"})).bias,
    "check": [error(check_request, Request(hue=float("nan"))),
              error(check_request, Request(bias="up"))],
    "wire": [arrive(hue=40).hue, arrive(bias="left").bias,
             wire.read_request({"hue": 7}).hue],
    "refused wire": [error(lambda: arrive(hue="red")), error(lambda: arrive(hue=400.0)),
                     error(lambda: wire.read_request({"hue": "red"}))],
    "table": option_table(make_parser()),
}))
"""


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What there is of two parameters that were declared in a copy of `request.py`."""
    folder = tmp_path_factory.mktemp("plugin")
    for package in ("underpaint_client", "underpaint_editor"):
        shutil.copytree(PLUGIN / package, folder / package)
    source = folder / "underpaint_client" / "request.py"
    text = source.read_text(encoding="utf-8")
    before, place, after = text.partition("\n    @property\n    def box")
    assert place
    source.write_text(f"{before}{DECLARATION}{place}{after}", encoding="utf-8")
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": str(folder)},
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
    }  # fmt: skip
    assert seen["controls"]["bias"]["options"] == {"none": "Neither", "left": "The left one"}
    assert {"hue", "bias"} <= set(seen["rows"])
    assert seen["form"] == [30, "left", 30]
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


def test_the_table_of_options_has_it(seen: dict[str, Any]) -> None:
    assert (
        "| `-u`, `--hue` | Turns the colours of the picture."
        " (-180 to 180; in the modes img2img) |" in seen["table"]
    )
    assert (
        "| `--bias` | Which side comes first. (one of none, left; default: none) |"
        in (seen["table"])
    )


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
