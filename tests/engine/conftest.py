from __future__ import annotations

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
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the CPU have what a GPU can: hooks move nothing, but they all run."""
    monkeypatch.setattr("underpaint.engine.devices.OFFLOADING", ("cpu",))
    monkeypatch.setattr("underpaint.engine.experience.LEARNED", SharedJson(f"{uuid4()}.json", dict))
