"""Run a benchmark and append what it prints to `results.md` beside this file.

    python tests/benchmarks/record.py speed.py [its arguments]

Each entry has the date, the commit, the machine and the versions. Numbers of a busy machine mislead
whoever compares them later: it is refused where others already use the processor.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results.md"
PACKAGES = ("torch", "diffusers", "pyzmq", "numpy")

MAX_LOAD = 0.3
"""Processes per core that wait for a processor, above which a machine is busy."""


def describe_machine() -> str:
    """Return the machine and the versions, without its name or its user's."""
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    cores = os.cpu_count() or 1
    return (
        f"{platform.system()} {platform.machine()}, {cores} cores,"
        f" Python {platform.python_version()}, {versions}"
    )


def commit() -> str:
    """Return the commit that is checked out; with `+` where files differ from it."""
    git = ["git", "-C", str(HERE)]
    found = subprocess.run(
        [*git, "describe", "--always", "--dirty=+"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "unknown"


def entry(when: datetime, command: Sequence[str], printed: str, at: str, machine: str) -> str:
    """Return one entry of the file.

    Parameters
    ----------
    when : datetime
    command : sequence of str
        The benchmark and its arguments.
    printed : str
        What it printed.
    at : str
        The commit.
    machine : str
        As `describe_machine` gives it.
    """
    title = f"## {when:%Y-%m-%d} {' '.join(command)}"
    return f"\n{title}\n\n{at}; {machine}\n\n```\n{printed.rstrip()}\n```\n"


def check_quiet(load: float, cores: int) -> None:
    """Check that nothing else uses the processor.

    Raises
    ------
    SystemExit
        Where more than `MAX_LOAD` processes per core do.
    """
    if load > MAX_LOAD * cores:
        raise SystemExit(
            f"this machine is busy (load {load:.1f} on {cores} cores), so its numbers would"
            " mislead; wait until it is quiet, and run this again"
        )


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    names = sorted(path.name for path in HERE.glob("*.py") if path.name != Path(__file__).name)
    parser.add_argument("benchmark", choices=names)
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args(words)
    if hasattr(os, "getloadavg"):
        check_quiet(os.getloadavg()[0], os.cpu_count() or 1)
    run = subprocess.run(
        [sys.executable, str(HERE / options.benchmark), *options.arguments],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    print(run.stdout, end="")
    command = [options.benchmark, *options.arguments]
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(entry(datetime.now(UTC), command, run.stdout, commit(), describe_machine()))


if __name__ == "__main__":
    main()
