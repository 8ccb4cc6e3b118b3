"""What a worker says, or does not say, where the engine fails."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from limited import limited_daemon
from tiny_models import build_model
from underpaint.server.worker import EngineThread
from underpaint_client import connect, messages, wire
from underpaint_client.request import Request

FAILING = """
from underpaint.server.worker import EngineThread
from underpaint_client import messages, wire
from underpaint_client.request import Request

class Engine:
    model_name = ""
    def __init__(self, error):
        self.error = error
    def generate(self, *_, **__):
        raise self.error

class FakeSocket:
    def send_multipart(self, parts, **_):
        message, _ = wire.decode(parts)
        print(message.job, message.code, message.message, flush=True)

engine_thread = EngineThread("cpu", FakeSocket())
for number, error in enumerate((
    ValueError("no such thing"),
    MemoryError(),
    RuntimeError("CUDA error: no kernel image is available for execution on the device"),
    RuntimeError("CUDA error: device-side assert triggered"),
    ValueError("never reached"),
)):
    run = messages.Run(f"job-{number}", Request(), allow_paths=True)
    engine_thread._run_job(Engine(error), run, ())
"""


def test_a_worker_ends_where_its_gpu_is_lost(session_home: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FAILING], capture_output=True, text=True, check=False, timeout=300
    )
    first, second, third = ran.stdout.splitlines()
    assert first.startswith("job-0 failed the engine failed (ValueError: no such thing)")
    assert second.startswith("job-1 failed there is not enough memory to hold this picture; crop")
    assert third.startswith("job-2 failed the engine failed (RuntimeError: CUDA error: no kernel")
    assert ran.returncode == 70  # and not a word of job-3: the daemon runs it again
    assert "device-side assert triggered" in ran.stderr


def test_how_weights_are_to_be_stored_reaches_the_engine(home: Path) -> None:
    build_model(home / "models" / "sd")
    (home / "config.toml").write_text('[memory]\nquantise = "fp8"\n')
    with limited_daemon(), connect() as connection:
        request = Request.of(prompt="a lake", model="sd", steps=1, width=64, height=64)
        told = [message for message, _ in connection.events(connection.submit(request))]
    (picture,) = (message for message in told if isinstance(message, messages.Picture))
    assert picture.recipe.facts.versions["quantised"] == "fp8"


@dataclass
class FakeSocket:
    """Keeps what a worker says."""

    said: list[messages.Message] = field(default_factory=list)

    def send_multipart(self, parts: list[Any], **_: object) -> None:
        self.said.append(wire.decode(parts)[0])


@dataclass
class Progress:
    phase: str
    pixels: int


class PlanningEngine:
    """Reports progress, and paints nothing."""

    model_name = ""

    def generate(
        self, *_: object, progress: Callable[[Progress], None], **__: object
    ) -> Iterator[object]:
        progress(Progress("Loading the model", 0))
        progress(Progress("Encoding", 4096))
        progress(Progress("Denoising", 4096))
        return iter(())


def test_a_worker_tells_the_daemon_alone_how_large_the_model_works() -> None:
    socket = FakeSocket()
    engine_thread = EngineThread("cpu", cast(Any, socket))
    for job in ("a", "b"):
        order = messages.Run(job, Request(), allow_paths=True)
        engine_thread._run_job(cast(Any, PlanningEngine()), order, ())
        assert socket.said == [
            messages.Progress(job, "Loading the model"),
            messages.WorkerPlan(4096),
            messages.Progress(job, "Encoding"),
            messages.Progress(job, "Denoising"),
            messages.Done(job),
        ]
        socket.said.clear()
