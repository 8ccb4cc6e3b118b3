"""What several tests need of daemons that they start and end by themselves."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable

from underpaint_client.home import read_connection_file

RUN = [sys.executable, "-m", "underpaint"]


def until(condition: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


def no_connection_threads() -> bool:
    """Check that no connection over TCP was left open: its thread would live on."""
    return all(thread.name != "underpaint connection" for thread in threading.enumerate())


def serve(*options: str) -> subprocess.Popen[str]:
    """Start a daemon and wait until the connection file is its own, not one left by another."""
    process = subprocess.Popen(
        [*RUN, "serve", *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    until(lambda: (info := read_connection_file()) is not None and info.pid == process.pid)
    return process
