from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from underpaint.engine import Engine
from underpaint.models.shared_json import SharedJson


@pytest.fixture(scope="session")
def engine(models: Path) -> Engine:
    """An engine on the CPU, which finds the tiny models by name."""
    return Engine("cpu")


@pytest.fixture
def loras(models: Path) -> Iterator[Path]:
    """The folder of LoRAs; what a test puts there is gone after it."""
    folder = models.parent / "loras"
    folder.mkdir(exist_ok=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the CPU have what a GPU can: hooks move nothing, but they all run."""
    monkeypatch.setattr("underpaint.engine.devices.OFFLOADING", ("cpu",))
    monkeypatch.setattr("underpaint.engine.experience.LEARNED", SharedJson(f"{uuid4()}.json", dict))
