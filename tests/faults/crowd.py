"""Many clients at once: `cd tests && python -m faults.crowd [--clients 64] [--seconds 20]`.

A daemon with a worker that is busy, and clients that all greet it again and again and have small
jobs waiting, which run when that of the worker ends halfway. Nobody may starve; prints how long
greetings take and how many jobs each got. One more client
may flood it with whatever it can send (`--flood`).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import zmq

from limited import memory_limit
from underpaint_client import connect, messages, model_messages, wire
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.home import read_connection_file
from underpaint_client.request import Request

RUN = [sys.executable, "-m", "underpaint"]
THINK = 0.05
"""Seconds between a client's answer and its next greeting."""

LONG = Request.of(prompt="x", model="sd", steps=1000, strength=1.0, width=64, height=64)
SHORT = Request.of(strength=0.0)
LAYER = Frame("layer", Box(0, 0, 8, 8), "u1", "RGBA", bytes(8 * 8 * 4))


@dataclass
class Voice:
    """One client: when it greeted, what it waits for, and how long its greetings took."""

    socket: zmq.Socket[bytes]
    number: int
    asked: float | None = None
    next: float = 0.0
    done: int = 0
    refused: int = 0
    waits: list[float] = field(default_factory=list)
    sent: int = 0

    def say(self, message: messages.Message) -> None:
        self.socket.send_multipart(wire.encode(message))

    def submit(self) -> None:
        self.sent += 1
        submit = messages.Submit(f"crowd-{self.number}-{self.sent}", SHORT)
        self.socket.send_multipart(wire.encode(submit, (LAYER,)))

    def greet(self) -> None:
        self.asked = time.perf_counter()
        self.say(messages.Hello())

    def hear(self) -> None:
        while self.socket.poll(0):
            parts = self.socket.recv_multipart()
            now = time.perf_counter()
            message, _ = wire.decode(list(parts))
            if isinstance(message, messages.Welcome) and self.asked is not None:
                self.waits.append(now - self.asked)
                self.asked, self.next = None, now + THINK
            elif isinstance(message, messages.Done):
                self.done += 1
                self.submit()
            elif isinstance(message, messages.Failed):
                self.refused += 1


def run(
    count: int,
    seconds: float,
    jobs: int = 1,
    then: Callable[[], None] | None = None,
    enough: Callable[[list[Voice]], bool] = lambda _: False,
) -> list[Voice]:
    """Let clients talk.

    Parameters
    ----------
    count : int
        How many there are.
    seconds : float
        How long, before and after `then`.
    jobs : int
        How many each has waiting at any time.
    then : callable, optional
        What happens halfway.
    enough : callable
        Says of the clients whether they may stop earlier.
    """
    info = read_connection_file()
    assert info
    with zmq.Context() as context, ExitStack() as stack:
        poller = zmq.Poller()
        voices = []
        for number in range(count):
            socket = stack.enter_context(context.socket(zmq.DEALER))
            socket.linger = 0
            socket.connect(info.endpoint)
            poller.register(socket, zmq.POLLIN)
            voices.append(Voice(socket, number))
            for _ in range(jobs):
                voices[-1].submit()
        by_socket = {voice.socket: voice for voice in voices}
        half = time.perf_counter() + seconds
        end = half + seconds if then is not None else half
        while (now := time.perf_counter()) < end and not enough(voices):
            if then is not None and now > half:
                then()
                then = None
            for voice in voices:
                if voice.asked is None and now >= voice.next:
                    voice.greet()
            for socket, _ in poller.poll(5):
                by_socket[socket].hear()
        return voices


def flood(stop: threading.Event) -> None:
    """Send as much as goes: greetings, questions, jobs and nonsense, and read no answer."""
    info = read_connection_file()
    assert info
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(info.endpoint)
        sending: list[messages.Message] = [
            messages.Hello(),
            model_messages.AskModels(),
            messages.AskStatus(),
            messages.Submit("f", SHORT),
        ]
        parts = [wire.encode(message) for message in sending] + [[b"nonsense"]]
        while not stop.is_set():
            for one in parts:
                try:
                    socket.send_multipart(one, zmq.DONTWAIT)
                except zmq.Again:
                    time.sleep(0.001)


def percentile(values: list[float], share: float) -> float:
    """Return the value that this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def main() -> None:
    """Measure, on a daemon of its own with a small model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--jobs", type=int, default=1, help="that each client has waiting")
    parser.add_argument("--flood", action="store_true", help="with one that sends without end")
    options = parser.parse_args()
    from tiny_models import build_model

    with tempfile.TemporaryDirectory(prefix="up-") as folder:
        os.environ["UNDERPAINT_HOME"] = folder
        build_model(Path(folder) / "models" / "sd", "sd")
        subprocess.run([*RUN, "serve", "--background"], check=True, capture_output=True)
        stop = threading.Event()
        try:
            with connect() as busy:
                job = busy.submit(LONG)
                for message, _ in busy.events(job):
                    if isinstance(message, messages.Progress) and message.step:
                        break
                if options.flood:
                    threading.Thread(target=flood, args=(stop,), daemon=True).start()
                half = options.seconds / 2
                voices = run(options.clients, half, options.jobs, lambda: busy.cancel(job))
                stop.set()
        finally:
            stop.set()
            subprocess.run([*RUN, "stop"], check=True, capture_output=True)
    waits = [wait for voice in voices for wait in voice.waits]
    per_client = [len(voice.waits) for voice in voices]
    done = [voice.done for voice in voices]
    print(f"{len(waits)} greetings of {len(voices)} clients ({min(per_client)} to"
          f" {max(per_client)} each); jobs done {min(done)} to {max(done)} each")  # fmt: skip
    told = ", ".join(f"p{share * 100:g} {percentile(waits, share) * 1000:.1f} ms"
                     for share in (0.5, 0.9, 0.99, 0.999))  # fmt: skip
    print(f"{told}, longest {max(waits) * 1000:.1f} ms")


if __name__ == "__main__":
    with memory_limit():
        main()
