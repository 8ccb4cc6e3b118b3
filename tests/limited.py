"""A daemon with limits of its own on memory and descriptors, for those who attack it."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from daemons import RUN, until
from underpaint.server import keys
from underpaint_client import connect
from underpaint_client.home import ConnectionInfo, read_connection_file

MEMORY = 16 * 2**30
"""Bytes of addresses that the daemon and its worker may use each: PyTorch alone maps several."""

DATA = 8 * 2**30
"""Bytes of data that a process may have where it is only kept from using up the machine: shared
memory, files and what a GPU's driver reserves do not count."""

_SERVE = """
{before}
from underpaint.cli import main
raise SystemExit(main({options!r}))
"""


@contextmanager
def memory_limit(data: int = DATA) -> Iterator[None]:
    """Keep this process, and what it starts meanwhile, from using up the machine's memory.

    Parameters
    ----------
    data : int
        Bytes that a process which is started may have, and this one more than it has.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    most = data + _data_now()
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data_now() -> int:
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    (size,) = (line.split()[1] for line in status.read_text().splitlines() if "VmData" in line)
    return int(size) * 1024


@contextmanager
def limited_daemon(
    *options: str,
    before: str = "",
    program: str = "",
    descriptors: int = 4096,
    memory: int = MEMORY,
) -> Iterator[subprocess.Popen[str]]:
    """Run a daemon that may open so many files and use so much memory.

    Parameters
    ----------
    *options : str
        Of `underpaint serve`.
    before : str
        Python that runs first, to set budgets that are reached soon.
    program : str
        Python that runs instead, and serves.
    descriptors : int
    memory : int
        Bytes.
    """

    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    if before:
        program = _SERVE.format(before=before, options=["serve", *options])
    process = subprocess.Popen(
        [sys.executable, "-c", program] if program else [*RUN, "serve", *options],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True, preexec_fn=lower,  # noqa: PLW1509
    )  # fmt: skip
    try:
        until(lambda: (info := read_connection_file()) is not None and info.pid == process.pid)
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()


def new_guest() -> ConnectionInfo:
    """Return a client from elsewhere that is let in by the daemon that runs."""
    import zmq

    public, secret = (key.decode() for key in zmq.curve_keypair())
    keys.allow(public, f"guest {public[:12]}")
    with connect() as connection:
        endpoint = next(e for e in connection.status().endpoints if e.startswith("tcp"))
    return ConnectionInfo(endpoint, 0, keys.own_keys("server").public, public, secret)


def count_descriptors(pid: int) -> int:
    """Return how many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
