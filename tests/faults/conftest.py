"""Every test here runs in a memory limit, and so does all that it starts."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def within_memory() -> Iterator[None]:
    """Let a fault end its own process, not the machine."""
    if os.name != "posix":
        yield
        return
    from limited import memory_limit

    with memory_limit():
        yield
