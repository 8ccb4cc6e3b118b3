"""What it costs that jobs are on the disk before they are accepted: milliseconds for each call.

By hand, from the repository: `python tests/benchmarks/store.py [FOLDER]`, on the disk of FOLDER.
The second line of each size is without forcing anything to the disk, for comparison.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

from underpaint.server import pixel_files
from underpaint.server.store import Store
from underpaint.server.stored_job import RUNNING

SIDES = (1024, 2048, 4096)
JOBS = 15


def measure(folder: Path, side: int, *, forced: bool) -> dict[str, float]:
    """Return the median of each call in milliseconds, for a layer and a picture of that side."""
    pixels = os.urandom(side * side * 4)
    store = Store(folder)
    if not forced:
        store._execute("PRAGMA synchronous = OFF")
    seconds: dict[str, list[float]] = {}

    def timed(name: str, call: Callable[[], object]) -> None:
        began = time.perf_counter()
        call()
        seconds.setdefault(name, []).append(time.perf_counter() - began)

    for number in range(JOBS):
        job = str(number)
        message = [b"{}", pixels]
        timed("add", lambda j=job, m=message: store.add(j, m, owner="", trusted=True, digest=b""))  # type: ignore[misc]
        if forced:  # else it would switch that on again
            timed("mark", lambda j=job: store.mark(j, RUNNING, 0))  # type: ignore[misc]
        timed("picture", lambda j=job, m=message: store.add_picture(j, 0, m))  # type: ignore[misc]
        timed("end", lambda j=job: store.end(j, b"{}"))  # type: ignore[misc]
        timed("take", lambda j=job: store.mark_taken(j))  # type: ignore[misc]
    store.close()
    return {name: 1000 * statistics.median(found) for name, found in seconds.items()}


def main() -> None:
    """Measure each size with and without."""
    for side in SIDES:
        for forced in (True, False):
            with ExitStack() as stack:
                if not forced:
                    for way in ("sync", "sync_folder"):
                        stack.enter_context(patch.object(pixel_files, way))
                where = sys.argv[1] if sys.argv[1:] else None
                folder = stack.enter_context(tempfile.TemporaryDirectory(dir=where))
                found = measure(Path(folder) / "jobs", side, forced=forced)
            told = ", ".join(f"{name} {value:.1f}" for name, value in found.items())
            print(f"{side} x {side} {'forced' if forced else 'left to the system'}: {told} ms")


if __name__ == "__main__":
    main()
