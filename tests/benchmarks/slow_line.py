"""What a slow line costs: `python tests/benchmarks/slow_line.py [--mbit 20] [--delay 20]`.

A daemon and a client on one machine, and between them a line of so many megabits a second and
milliseconds each way. A layer goes to a job that leaves it as it is, so that what is measured is
the line: as it is, packed, and when the daemon holds it already. Prints seconds and bytes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import zmq
from PIL import Image

from underpaint.server import keys
from underpaint.server.arrays import to_frame
from underpaint_client import Connection, connect, messages
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.home import ConnectionInfo
from underpaint_client.inputs import InputFrames
from underpaint_client.request import Request

SKETCH = Path(__file__).parents[2] / "install" / "sketch.png"
RUN = [sys.executable, "-m", "underpaint"]


class Line:
    """A line between a local port and another: so fast, and so long."""

    def __init__(self, target: tuple[str, int], rate: float, delay: float) -> None:
        self._target, self._rate, self._delay = target, rate, delay
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self.carried = [0, 0]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            near, _ = self._door.accept()
            far = socket.create_connection(self._target)
            for way, (source, sink) in enumerate(((near, far), (far, near))):
                queue: deque[tuple[float, bytes]] = deque()
                for work in (self._take, self._give):
                    threading.Thread(
                        target=work, args=(way, source, sink, queue), daemon=True
                    ).start()

    def _take(
        self, way: int, source: socket.socket, _sink: socket.socket,
        queue: deque[tuple[float, bytes]],
    ) -> None:  # fmt: skip
        while data := source.recv(2**14):
            self.carried[way] += len(data)
            time.sleep(len(data) / self._rate)
            queue.append((time.monotonic() + self._delay, data))
        queue.append((0, b""))

    def _give(
        self, _way: int, _source: socket.socket, sink: socket.socket,
        queue: deque[tuple[float, bytes]],
    ) -> None:  # fmt: skip
        while True:
            while not queue:
                time.sleep(0.0005)
            due, data = queue.popleft()
            if not data:
                return
            time.sleep(max(0.0, due - time.monotonic()))
            with contextlib.suppress(OSError):  # it hung up
                sink.sendall(data)


def send(connection: Connection, frame: Frame) -> None:
    """Have a job leave a layer as it is, and get it back."""
    job = connection.submit(Request.of(strength=0.0), InputFrames(frame))
    for message, frames in connection.events(job):
        if isinstance(message, messages.Failed):
            raise SystemExit(message.message)
        if isinstance(message, messages.Picture):
            assert bytes(frames[0].data) == bytes(frame.data)


def measure(line: Line, name: str, run: Callable[[], None]) -> None:
    """Print what a run takes."""
    before, started = list(line.carried), time.perf_counter()
    run()
    seconds = time.perf_counter() - started
    up, down = (now - was for now, was in zip(line.carried, before, strict=True))
    print(f"  {name:28} {seconds:7.2f} s   {up / 1e6:7.2f} MB there, {down / 1e6:7.2f} MB back")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mbit", type=float, default=20)
    parser.add_argument("--delay", type=float, default=20, help="milliseconds, each way")
    parser.add_argument("--side", type=int, default=1024)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="up-") as folder:
        os.environ["UNDERPAINT_HOME"] = folder
        started = subprocess.run(
            [*RUN, "serve", "--background", "--bind", "tcp://127.0.0.1:*"],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        try:
            *_, endpoint, server = started.stderr.split()
            with connect() as here:  # the worker starts meanwhile
                send(here, to_frame("layer", np.zeros((8, 8, 4), np.uint8), Box(0, 0, 8, 8)))
            port = int(endpoint.rpartition(":")[2])
            public, secret = (key.decode() for key in zmq.curve_keypair())
            keys.allow(public, "benchmark")
            line = Line(("127.0.0.1", port), options.mbit * 1e6 / 8, options.delay / 1000)
            info = ConnectionInfo(f"tcp://127.0.0.1:{line.port}", 0, server, public, secret)
            _measure_all(line, info, options.side)
        finally:
            subprocess.run([*RUN, "stop"], check=True, capture_output=True)


def _measure_all(line: Line, info: ConnectionInfo, side: int) -> None:
    sketch = Image.open(SKETCH).convert("RGBA").resize((side, side), Image.Resampling.BICUBIC)
    smooth = np.array(sketch)
    noise = np.random.default_rng(0).normal(0, 3, (side, side, 3))
    grainy = smooth.copy()
    grainy[..., :3] = np.clip(smooth[..., :3] + noise, 0, 255).astype(np.uint8)
    for name, pixels in (("a smooth sketch", smooth), ("the same with grain", grainy)):
        frame = to_frame("layer", pixels, Box(0, 0, side, side))
        print(f"{name}, {side} x {side}, {frame.size / 1e6:.1f} MB:")
        with Connection(replace(info, pid=1)) as plain:  # as if it were near
            plain.hello()
            measure(line, "as it is", lambda c=plain, f=frame: send(c, f))  # type: ignore[misc]
        with Connection(info) as packed:
            packed.hello()
            measure(line, "packed", lambda c=packed, f=frame: send(c, f))  # type: ignore[misc]
            measure(line, "packed, and held there", lambda c=packed, f=frame: send(c, f))  # type: ignore[misc]


if __name__ == "__main__":
    main()
