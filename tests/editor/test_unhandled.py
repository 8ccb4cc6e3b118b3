"""Exceptions that leave callbacks, as an editor's Python passes them to `sys.excepthook`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import pytest

from underpaint_client.geometry import Box
from underpaint_editor.layers import fit_into
from underpaint_editor.log import close_log, log_file, open_log
from underpaint_editor.unhandled import catch_unhandled

PassedOn = list[BaseException]


@pytest.fixture
def passed_on(monkeypatch: pytest.MonkeyPatch) -> PassedOn:
    """What is left to the hook that was there before."""
    found: PassedOn = []
    monkeypatch.setattr(sys, "excepthook", lambda _kind, error, _trace: found.append(error))
    return found


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("UNDERPAINT_HOME", str(tmp_path))
    handler = open_log("Krita")
    yield log_file("Krita")
    close_log(handler)


def escape(callback: Callable[[], object]) -> None:
    """Let an exception leave a callback."""
    try:
        callback()
    except BaseException as error:  # noqa: BLE001 - as the interpreter does
        trace: TracebackType | None = error.__traceback__
        sys.excepthook(type(error), error, trace)


def fail_inside() -> object:
    """Fail in a function of the plug-in."""
    return fit_into("no extent", None)  # type: ignore[arg-type]


def test_it_is_logged_and_told_in_a_sentence(passed_on: PassedOn, log: Path) -> None:
    told: list[str] = []
    catch_unhandled(told.append)
    escape(fail_inside)
    (sentence,) = told
    assert sentence.startswith("Underpaint failed (AttributeError: ")
    assert sentence.endswith("; its log says where.")
    assert "a callback failed: AttributeError at layers.py" in log.read_text(encoding="utf-8")
    assert not passed_on


def test_what_is_not_ours_is_passed_on(passed_on: PassedOn) -> None:
    told: list[str] = []
    catch_unhandled(told.append)
    escape(lambda: Box(0, 0, 1, 1) / 0)  # type: ignore[operator]

    def leave() -> None:
        raise SystemExit(3)

    escape(leave)
    assert [type(error) for error in passed_on] == [TypeError, SystemExit]
    assert not told


def test_what_cannot_be_told_goes_to_the_log_alone(passed_on: PassedOn, log: Path) -> None:
    def report(_text: str) -> None:
        escape(fail_inside)  # as a slot that is called by the signal
        raise RuntimeError("the window was closed")

    catch_unhandled(report)
    escape(fail_inside)
    lines = log.read_text(encoding="utf-8").splitlines()
    assert sum("a callback failed" in line for line in lines) == 2
    assert "reporting an exception failed: RuntimeError" in lines[-1]
    assert not passed_on
