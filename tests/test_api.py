"""What others build on: a name that goes, or comes, is a decision and changes this file."""

from __future__ import annotations

import contextlib
import inspect
import io
import tomllib
from pathlib import Path
from typing import Any

import pytest

import underpaint
import underpaint_client
from underpaint import cli, engine

ROOT = Path(__file__).parents[1]

CLIENT = {
    "BadInputError",
    "Box",
    "CancelledError",
    "Connection",
    "DaemonUnavailableError",
    "Extent",
    "Frame",
    "GenerationFailedError",
    "InputFrames",
    "ModelUnavailableError",
    "Recipe",
    "Request",
    "UnderpaintError",
    "Variation",
    "connect",
}
ENGINE = {"Engine", "Inputs", "Model", "Picture", "Preview", "Progress", "Viewer"}
COMMANDS = {
    "cancel",
    "connect",
    "control",
    "controlnets",
    "doctor",
    "generate",
    "install",
    "ip-adapters",
    "keys",
    "loras",
    "models",
    "preprocessors",
    "replay",
    "results",
    "serve",
    "status",
    "stop",
    "styles",
    "uninstall",
}


@pytest.mark.parametrize(("package", "names"), [(underpaint_client, CLIENT), (engine, ENGINE)])
def test_the_public_names_are_these(package: Any, names: set[str]) -> None:
    assert set(package.__all__) == names
    assert len(package.__all__) == len(names)


@pytest.mark.parametrize(("package", "names"), [(underpaint_client, CLIENT), (engine, ENGINE)])
def test_each_public_name_is_there_and_documented(package: Any, names: set[str]) -> None:
    assert not [name for name in names if not inspect.getdoc(getattr(package, name))]


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Engines"):
        _ = engine.Engines


def test_the_commands_are_these() -> None:
    assert set(cli.COMMANDS) == COMMANDS


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_each_command_has_help(command: str) -> None:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0
    assert shown.getvalue().startswith(f"usage: underpaint {command}")


def test_the_exit_codes_are_these() -> None:
    codes = {error.__name__: code for error, code in cli.EXIT_CODES.items()}
    assert codes == {
        "BadInputError": 2,
        "DaemonUnavailableError": 3,
        "ModelUnavailableError": 3,
        "GenerationFailedError": 4,
        "CancelledError": 130,
    }


def test_every_package_says_that_it_is_typed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert len(packages) == 5
    assert not [name for name in packages if not (ROOT / name / "py.typed").is_file()]
    assert project["project"]["version"] == underpaint.__version__
