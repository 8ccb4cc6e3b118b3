from __future__ import annotations

from pathlib import Path

from faults.many import grow


def test_jobs_leave_nothing_behind(daemon: Path) -> None:
    growth = grow(400)
    assert max(growth.descriptors.values()) < 20  # one a job would be 200
    assert growth.memory["daemon"] < 0.05  # of a short run; the long one measures
