"""What a worker says, or does not say, where the engine fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

FAILING = """
from underpaint.server.worker import _Painter
from underpaint_client import wire
from underpaint_client.request import Request

class Engine:
    model_name = ""
    def __init__(self, error):
        self.error = error
    def generate(self, *_, **__):
        raise self.error

class Voice:
    def send_multipart(self, parts, **_):
        message, _ = wire.decode(parts)
        print(message.job, message.code, message.message, flush=True)

painter = _Painter("cpu", Voice())
for number, error in enumerate((
    ValueError("no such thing"),
    MemoryError(),
    RuntimeError("CUDA error: no kernel image is available for execution on the device"),
    RuntimeError("CUDA error: device-side assert triggered"),
    ValueError("never reached"),
)):
    painter._carry_out(Engine(error), wire.Run(f"job-{number}", Request(), allow_paths=True), ())
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
