from __future__ import annotations

from pathlib import Path

import pytest

from underpaint.engine import Engine


@pytest.fixture(scope="session")
def engine(models: Path) -> Engine:
    """An engine on the CPU, which finds the tiny models by name."""
    return Engine("cpu")
