"""Send job after job through a real daemon and worker, and see that neither grows.

By hand, from `tests/`: `python -m faults.many --jobs 10000`. The jobs are of strength 0, which the
engine gives back without a model: what is measured is all else.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

import psutil

from limited import memory_limit
from underpaint_client import Connection, connect, messages
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.inputs import InputFrames
from underpaint_client.request import Request

from .kills import a_home

BOX = Box(0, 0, 128, 128)
FRAME = Frame("layer", BOX, "u1", "RGBA", bytes(range(256)) * 256)
LOOKS = 20
AT_ONCE = 8


@dataclass(frozen=True)
class Look:
    """What a process holds: MiB of memory, and descriptors."""

    memory: float
    descriptors: int


@dataclass(frozen=True)
class Growth:
    """How the daemon and its worker grew: the last quarter of the looks against the second one.

    Parameters
    ----------
    jobs : int
    seconds : float
    memory : dict of str to float
        By process, 0.01 for a hundredth more.
    descriptors : dict of str to int
        By process.
    looks : dict of str to list of Look
        All that was seen.
    """

    jobs: int
    seconds: float
    memory: dict[str, float]
    descriptors: dict[str, int]
    looks: dict[str, list[Look]]


def run(connection: Connection, jobs: int) -> None:
    """Run so many jobs, a few at a time."""
    waiting: list[str] = []
    for _ in range(jobs):
        waiting.append(connection.submit(Request.of(strength=0.0), InputFrames(FRAME)))
        if len(waiting) == AT_ONCE:
            finish(connection, waiting.pop(0))
    for job in waiting:
        finish(connection, job)


def finish(connection: Connection, job: str) -> None:
    """Follow a job to its end, and see that it has its picture."""
    kinds = [type(message) for message, _ in connection.events(job)]
    assert kinds.count(messages.Picture) == 1, kinds
    assert kinds[-1] is messages.Done, kinds


def grow(jobs: int) -> Growth:
    """Run jobs on the daemon of this home, and look at it between."""
    with connect() as connection:
        run(connection, 50)  # to be warm
        status = connection.status()
        pids = {"daemon": status.pid, "worker": status.workers[0].pid}
        looks: dict[str, list[Look]] = {name: [] for name in pids}
        began = time.monotonic()
        for _ in range(LOOKS):
            run(connection, jobs // LOOKS)
            for name, pid in pids.items():
                process = psutil.Process(pid)
                memory = process.memory_full_info().uss / 2**20
                looks[name].append(Look(memory, process.num_fds()))
        took = time.monotonic() - began
    quarter = LOOKS // 4
    growth: dict[str, float] = {}
    descriptors: dict[str, int] = {}
    for name, seen in looks.items():
        before, after = seen[quarter : 2 * quarter], seen[-quarter:]
        growth[name] = _mean([one.memory for one in after], [one.memory for one in before])
        # The least: now and then a look falls into the middle of a job.
        descriptors[name] = min(one.descriptors for one in after) - min(
            one.descriptors for one in before
        )
    return Growth(jobs, took, growth, descriptors, looks)


def _mean(after: list[float], before: list[float]) -> float:
    return statistics.mean(after) / statistics.mean(before) - 1


def main() -> None:
    """Read the command line, and return how they grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    options = parser.parse_args()
    with a_home():
        subprocess.run(
            [sys.executable, "-m", "underpaint", "serve", "--background"],
            check=True, capture_output=True,
        )  # fmt: skip
        growth = grow(options.jobs)
    print(f"{growth.jobs} jobs in {growth.seconds:.0f} s")
    for name, seen in growth.looks.items():
        print(*(f"{look.memory:.1f}" for look in seen))
        print(
            f"{name}: memory {growth.memory[name]:+.1%} ({seen[0].memory:.1f} to"
            f" {seen[-1].memory:.1f} MiB), descriptors {growth.descriptors[name]:+d}"
        )


if __name__ == "__main__":
    with memory_limit():
        main()
