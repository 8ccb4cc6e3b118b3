"""How much memory a container leaves."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from underpaint.models import host_memory
from underpaint.models.host_memory import total_memory

GB = 10**9


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(host_memory, "_ROOT", tmp_path)
    return tmp_path


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


VERSION_1 = "9:cpu:/\n4:memory:/user/a\n0::/\n"
VERSION_2 = "0::/user/a\n"
V1, V2 = "sys/fs/cgroup/memory", "sys/fs/cgroup"

LIMITS: dict[str, tuple[dict[str, str], int | None]] = {
    "another system": ({}, None),
    "no limit": ({"proc/self/cgroup": VERSION_2, f"{V2}/user/a/memory.max": "max\n"}, None),
    "version 2": ({"proc/self/cgroup": VERSION_2, f"{V2}/user/a/memory.max": "1000000000\n"}, GB),
    "a group above": ({"proc/self/cgroup": VERSION_2, f"{V2}/user/memory.max": "1000000000"}, GB),
    "the lesser of two": (
        {
            "proc/self/cgroup": VERSION_2,
            f"{V2}/user/a/memory.max": "2000000000",
            f"{V2}/user/memory.max": "1000000000",
        },
        GB,
    ),
    "a container, which sees its own group as the root": (
        {"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": "1000000000"},
        GB,
    ),
    "version 1": (
        {"proc/self/cgroup": VERSION_1, f"{V1}/user/a/memory.limit_in_bytes": "1000000000"},
        GB,
    ),
    "version 1 without a limit": (
        {"proc/self/cgroup": VERSION_1, f"{V1}/memory.limit_in_bytes": f"{2**63 - 4096}"},
        None,
    ),
    "damaged": ({"proc/self/cgroup": "\n:\n4:memory\n", f"{V2}/memory.max": "much"}, None),
    "outside": ({"proc/self/cgroup": "0::/../..\n", "memory.max": "1"}, None),
}


@pytest.mark.parametrize("what", LIMITS)
def test_a_container_limits_the_memory(what: str, root: Path) -> None:
    files, limit = LIMITS[what]
    write(root, **files)
    whole = psutil.virtual_memory().total
    assert total_memory() == (whole if limit is None else limit)
