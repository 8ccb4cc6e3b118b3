"""Tests of the client that ask for no daemon do not see those of other tests."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _home_without_daemon(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Use a home in which no lock tells which daemon runs."""
    if "daemon" not in request.fixturenames:
        monkeypatch.setenv("UNDERPAINT_HOME", str(tmp_path / "home"))
