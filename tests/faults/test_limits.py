"""The memory limit of the tests here holds, for what they start too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from limited import memory_limit

HUNGRY = "kept = [bytearray(2**30) for _ in range(64)]"  # its pages are not even touched


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit is not of all memory")
def test_what_takes_all_memory_ends_alone() -> None:
    ran = subprocess.run([sys.executable, "-c", HUNGRY], capture_output=True, check=False)
    assert b"MemoryError" in ran.stderr
    with pytest.raises(MemoryError), memory_limit(2**30):
        bytearray(2**32)
    assert len(bytearray(2**31)) == 2**31


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_daemon_of_the_tests_has_a_limit(daemon: Path) -> None:
    from underpaint_client import connect

    with connect() as connection:
        status = connection.status()
    for pid in (status.pid, status.workers[0].pid):
        (line,) = (
            line
            for line in Path(f"/proc/{pid}/limits").read_text().splitlines()
            if line.startswith("Max data size")
        )
        assert int(line.split()[3]) < 64 * 2**30
