"""Worker processes: started, watched and ended by the daemon. Each holds one model warm."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

from underpaint_client.messages import WorkerStatus

from .shared_memory import SharedFrames, remove_shared_memory
from .watchdog import Watchdog

MAX_FAILED_STARTS = 3
"""A worker that ends more often than this without having ended a job is not started again."""


LEFT_BEHIND = 30.0
"""Seconds after which a process that cannot be killed, as a driver holds it, is left behind."""

TRY_AGAIN = 20.0
"""Seconds after which one that was given up is started again, when there is a job for it."""


def worker_name(number: int, pid: int) -> str:
    """Return the name of a worker's process: of its address, and of its shared memory."""
    return f"worker-{number}-{pid}"


@dataclass
class Worker:
    """One worker's process, over all its restarts.

    Parameters
    ----------
    number : int
        0, 1, ...: which worker it is.
    device : str
        Where it computes, as asked for, and as it is once it is ready.
    endpoint : str
        Where the daemon listens for its workers.
    """

    number: int
    device: str
    endpoint: str
    state: str = "starting"
    model: str = ""
    failed_starts: int = 0
    process: subprocess.Popen[bytes] | None = None
    shared_frames: SharedFrames | None = None
    given_up: float = 0.0
    killed: float | None = None
    why: str = ""
    watchdog: Watchdog = field(default_factory=Watchdog)

    @property
    def identity(self) -> bytes:
        """Its address on the daemon's socket; a new one after each restart."""
        return worker_name(self.number, self.pid).encode("ascii")

    @property
    def pid(self) -> int:
        """Its process id; 0 where it does not run."""
        return self.process.pid if self.process else 0

    def start(self) -> None:
        """Start the process."""
        self.state, self.model = "starting", ""
        self.killed, self.why = None, ""
        self.close_shared_memory()
        self.shared_frames = SharedFrames(f"daemon-{self.number}")
        self.process = subprocess.Popen(
            [
                sys.executable, "-P", "-m", "underpaint.server.worker",
                "--endpoint", self.endpoint,
                "--number", str(self.number),
                "--device", self.device,
                "--parent", str(os.getpid()),
            ],
            stdin=subprocess.DEVNULL,
            # Quiet the libraries before they are imported: the log is for what artists need.
            env={**os.environ, "TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error"},
            # Ctrl-C in the daemon's terminal is the daemon's to handle.
            start_new_session=True,
        )  # fmt: skip

    def end_of_process(self) -> str | None:
        """Say in words how the process ended; None while it runs."""
        code = self.process.poll() if self.process else None
        if code is None:
            if self.killed is None or time.monotonic() - self.killed < LEFT_BEHIND:
                return None
            return f"{self.why or 'was killed'}, and its process {self.pid} does not end"
        if self.why:
            return self.why
        if code >= 0:
            return f"ended with exit code {code}"
        known = {number.value: number.name for number in signal.Signals}
        return f"was killed by {known.get(-code, f'signal {-code}')}"

    def close_shared_memory(self) -> None:
        """Remove the memory that was shared with the process."""
        if self.shared_frames is not None:
            self.shared_frames.close()
            remove_shared_memory(worker_name(self.number, self.pid))

    def give_up(self) -> None:
        """Leave the worker dead, for a while."""
        self.kill()
        self.state, self.process, self.given_up = "broken", None, time.monotonic()

    def may_start_again(self) -> bool:
        """Return whether another try is due: what kept it from starting may have gone."""
        return self.state == "broken" and time.monotonic() - self.given_up > TRY_AGAIN

    def kill(self, why: str = "") -> None:
        """End the process at once; return why, to go on after "the worker"."""
        self.why = self.why or why
        if self.process and self.process.poll() is None and self.killed is None:
            self.killed = time.monotonic()
            self.process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # a driver may hold it
                self.process.wait(timeout=1)
        self.close_shared_memory()

    def status(self) -> WorkerStatus:
        """Describe it."""
        return WorkerStatus(self.pid, self.state, self.device, self.model)
