"""Homes that never meet, models built on the spot, and a real daemon."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from run_order import find_rank

# Models of a few thousand weights gain nothing by threads, which wait for each other and for the
# other processes of a test: with two, the same tests take three times as much of the CPU.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")

NOT_UNIT = ("editors", "faults", "training")
"""Folders whose tests drive real editors, attack, or train."""

SET_UP = {"home", "session_home", "server", "engine"}
"""Fixtures with which a daemon, a model or a home of Underpaint's comes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what takes longest; mark as `unit` what needs no daemon, model, torch and editor.

    All processes of a run must collect the tests in one order.
    """
    here = Path(__file__).parent
    items.sort(key=lambda item: find_rank(item.path.relative_to(here).as_posix()))
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        uses_torch = hasattr(getattr(item, "module", None), "torch")
        set_up = SET_UP & set(getattr(item, "fixturenames", ()))
        if folder not in NOT_UNIT and not uses_torch and not set_up:
            item.add_marker(pytest.mark.unit)


@pytest.fixture(scope="session")
def session_home() -> Iterator[Path]:
    """A home for everything that tests may share; its path is short, as sockets need it."""
    folder = Path(tempfile.mkdtemp(prefix="up-"))
    os.environ["UNDERPAINT_HOME"] = str(folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home for one test alone."""
    folder = Path(tempfile.mkdtemp(prefix="up-"))
    monkeypatch.setenv("UNDERPAINT_HOME", str(folder))
    yield folder
    subprocess.run([sys.executable, "-m", "underpaint", "stop"], check=False, capture_output=True)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def models(session_home: Path) -> Iterator[Path]:
    """The folder of two tiny models, `sd` and `sdxl`, native 64 pixels; all tests share it."""
    from tiny_models import build_model

    folder = session_home / "models"
    build_model(folder / "sd", "sd")
    build_model(folder / "sdxl", "sdxl")
    yield folder
    # A model that one test left here would be found, and be the default one, in all others.
    assert {one.name for one in folder.iterdir()} == {"sd", "sdxl"}


@pytest.fixture(scope="session")
def daemon(session_home: Path, models: Path) -> Iterator[Path]:
    """A running daemon, with its worker ready and a memory limit of its own; gives its home."""
    run = [sys.executable, "-m", "underpaint"]
    with ExitStack() as stack:
        if os.name == "posix":
            from limited import memory_limit

            stack.enter_context(memory_limit())
        subprocess.run([*run, "serve", "--background"], check=True, capture_output=True)
    yield session_home
    subprocess.run([*run, "stop"], check=True, capture_output=True)
