"""Worker processes of this machine: children of the daemon, connected by a socket of their own.

Large frames travel beside the socket, by shared memory.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import zmq

from underpaint_client.sentences import Sentence, as_sentence, join_sentences, sentence

from .endpoints import IPC
from .shared_memory import SharedFrames, remove_shared_memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from underpaint_client.frames import Bytes

    from .endpoints import Endpoints
    from .pool import OnMessage, Worker

log = logging.getLogger(__name__)

WORKER_COMMAND = (sys.executable, "-P", "-m", "underpaint.server.worker")
"""What starts a worker's process; its options come behind."""

LEFT_BEHIND = 30.0
"""Seconds after which a process that cannot be killed, as a driver holds it, is left behind."""


def worker_name(number: int, pid: int) -> str:
    """Return the name of a worker's process: of its address, and of its shared memory."""
    return f"worker-{number}-{pid}"


def worker_processes(
    endpoints: Endpoints,
    backend: tuple[zmq.Socket[bytes], str],
    devices: Sequence[str],
    command: Sequence[str] = WORKER_COMMAND,
) -> list[tuple[str, Worker]]:
    """Return a worker for each device, none of them started, and read what they will say.

    Parameters
    ----------
    endpoints : Endpoints
    backend : tuple of zmq.Socket and str
        The socket for workers and its address, as `Endpoints.open` returns them.
    devices : sequence of str
    command : sequence of str
        As `WorkerProcess`.
    """
    socket, address = backend
    workers = [
        WorkerProcess(number, device, socket, address, command)
        for number, device in enumerate(devices)
    ]

    def receive(sender: zmq.Frame, parts: list[Bytes]) -> None:
        if not IPC and sender.get("User-Id") != endpoints.own_key:
            return
        identity = sender.bytes
        worker = next((one for one in workers if one.identity == identity), None)
        if worker is not None:  # else the last words of one that was replaced
            worker.receive(parts)

    endpoints.read(socket, receive)
    return [(worker.device, worker) for worker in workers]


class WorkerProcess:
    """One worker, in a process of its own that is another after each restart.

    Parameters
    ----------
    number : int
        0, 1, ...: which worker it is.
    device : str
        Where it is asked to compute.
    socket : ROUTER socket
        What the worker is sent goes out here.
    address : str
        Where that listens.
    command : sequence of str
        The program and its first arguments; it takes the options of `worker.main`.
    """

    def __init__(
        self,
        number: int,
        device: str,
        socket: zmq.Socket[bytes],
        address: str,
        command: Sequence[str] = WORKER_COMMAND,
    ) -> None:
        self._command = command
        self._number = number
        self.device = device
        self._socket = socket
        self._address = address
        self._process: subprocess.Popen[bytes] | None = None
        self._shared_frames: SharedFrames | None = None
        self._on_message: OnMessage = lambda _: None
        self._is_connected = False
        self._killed: float | None = None
        self._why = ""

    @property
    def identity(self) -> bytes:
        """Its address on the daemon's socket; a new one after each restart."""
        return self._name.encode("ascii")

    @property
    def _name(self) -> str:
        return worker_name(self._number, self._pid)

    @property
    def _pid(self) -> int:
        return self._process.pid if self._process else 0

    def start(self, on_message: OnMessage) -> int:
        """Start the process; see `pool.Worker`."""
        self._on_message, self._is_connected = on_message, False
        self._killed, self._why = None, ""
        self._close_shared_memory()
        self._shared_frames = SharedFrames(f"daemon-{self._number}")
        self._process = subprocess.Popen(
            [
                *self._command,
                "--endpoint", self._address,
                "--number", str(self._number),
                "--device", self.device,
                "--parent", str(os.getpid()),
            ],
            stdin=subprocess.DEVNULL,
            # Quiet the libraries before they are imported: the log is for what artists need.
            env={**os.environ, "TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error"},
            # Ctrl-C in the daemon's terminal is the daemon's to handle.
            start_new_session=True,
        )  # fmt: skip
        return self._process.pid

    def send(self, parts: list[Bytes]) -> None:
        """Send a message; see `pool.Worker`."""
        try:
            packed = self._shared_frames.pack(parts) if self._shared_frames else parts
            self._socket.send_multipart([self.identity, *packed], copy=False)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise
            log.warning("worker %d cannot be reached", self._number)  # `watch` sees why

    def receive(self, parts: list[Bytes]) -> None:
        """Handle a message from the socket."""
        self._is_connected = True
        try:
            if self._shared_frames:
                parts = self._shared_frames.unpack(parts, self._name)
        except Exception:  # the boundary to another process: only that one is stopped
            log.exception(
                "worker %d sent a message that cannot be read; it is replaced", self._number
            )
            self.stop()
        else:
            self._on_message(parts)

    def watch(self) -> str | None:
        """Return how the process ended; see `pool.Worker`."""
        code = self._process.poll() if self._process else None
        if code is not None:
            return self._why or _how_it_ended(code)
        if self._killed is None:
            self._return_blocks()
        elif time.monotonic() - self._killed > LEFT_BEHIND:
            end = as_sentence(self._why) or sentence("the worker was killed")
            left = sentence("its process {pid} does not end", pid=self._pid)
            return join_sentences(end, left, stop=False)
        return None

    def _return_blocks(self) -> None:
        """Send the process the blocks of memory that were read, so that it uses them again."""
        if self._is_connected and self._shared_frames and self._shared_frames.has_news():
            self.send([])

    def stop(self, why: str = "") -> None:
        """Kill the process; see `pool.Worker`."""
        self._why = self._why or why
        if self._process and self._process.poll() is None and self._killed is None:
            self._killed = time.monotonic()
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):  # a driver may hold it
                self._process.wait(timeout=1)
        self._close_shared_memory()

    def _close_shared_memory(self) -> None:
        if self._shared_frames is not None:
            self._shared_frames.close()
            remove_shared_memory(self._name)


def _how_it_ended(code: int) -> Sentence:
    """Return what a process's exit code says, as a clause."""
    if code >= 0:
        return sentence("the worker ended with exit code {code}", code=code)
    known = {number.value: number.name for number in signal.Signals}
    return sentence("the worker was killed by {signal}", signal=known.get(-code, f"signal {-code}"))
