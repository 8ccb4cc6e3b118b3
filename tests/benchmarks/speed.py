"""What Underpaint adds to the work that must be done, as ratios measured in one run.

    python tests/benchmarks/speed.py [--rounds 7]

Each row sets a way through Underpaint against the same work without it, in turn, and prints the
median of both and of the ratio pair by pair. No row is a test: machines differ, ratios tell.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch
import zmq

from tiny_models import build_model
from underpaint.engine import Engine, Inputs
from underpaint.engine.samplers import Sampler
from underpaint.server.arrays import to_frame
from underpaint_client import Connection, connect, messages
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.inputs import InputFrames
from underpaint_client.request import Request

NATIVE = 256


def seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(
    name: str, ours: Callable[[], Any], bare: Callable[[], Any], rounds: int, aim: float
) -> None:
    ours()
    bare()  # both are warm now
    pairs = [(seconds(ours), seconds(bare)) for _ in range(rounds)]
    left, right = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{name:58}{left * 1e3:10.1f}{right * 1e3:10.1f}{ratio:8.2f}{aim:7.1f}", flush=True)


def layer(side: int) -> Any:
    pixels = np.random.default_rng(0).integers(1, 256, (side, side, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    return pixels


def finish(connection: Connection, request: Request, frame: Frame | None = None) -> None:
    job = connection.submit(request, InputFrames(frame))
    for message, _ in connection.events(job):
        if isinstance(message, messages.Failed):
            raise SystemExit(message.message)


# ---- the engine ----------------------------------------------------------------------------


def end_to_end(connection: Connection, engine: Engine, rounds: int) -> None:
    """A whole img2img run through client, daemon and worker, over the bare loop and decode."""
    model = engine.load("bench")
    request = Request.of(
        prompt="a lake", model="bench", strength=1.0, steps=20, sampler="k_euler", seed=1
    )
    frame = to_frame("layer", layer(NATIVE), Box(0, 0, NATIVE, NATIVE))
    prompt = model.prompts.encode("a lake", "", guided=True)
    text = torch.cat([prompt["negative_prompt_embeds"], prompt["prompt_embeds"]])

    @torch.inference_mode()
    def bare() -> None:
        scheduler = Sampler.make("k_euler", model.scheduler_config, 20).scheduler
        scheduler.set_timesteps(20)
        latents = torch.randn(1, 4, NATIVE // 8, NATIVE // 8) * scheduler.init_noise_sigma
        for t in scheduler.timesteps:
            both = scheduler.scale_model_input(torch.cat([latents] * 2), t)
            without, guided = model.pipeline.unet(both, t, text, return_dict=False)[0].chunk(2)
            noise = without + 7.5 * (guided - without)
            latents = scheduler.step(noise, t, latents, return_dict=False)[0]
        model.decode(latents[0])

    compare(
        "end to end / raw denoise loop and decode",
        lambda: finish(connection, request, frame), bare, rounds, 1.1,
    )  # fmt: skip


def hole(engine: Engine, rounds: int) -> None:
    """A 300 pixel hole on 16 megapixels over the same hole on one."""
    request = Request.of(prompt="a lake", model="bench", strength=0.75, steps=20, seed=1)
    small, large = layer(1024), layer(4096)
    for pixels in (small, large):
        pixels[300:600, 300:600, 3] = 0
    compare(
        "engine: 300 pixel hole on 16 megapixels / on 1 megapixel",
        lambda: list(engine.generate(request, Inputs(large))),
        lambda: list(engine.generate(request, Inputs(small))),
        rounds, 1.1,
    )  # fmt: skip


# ---- the wire ------------------------------------------------------------------------------


@contextmanager
def echo() -> Iterator[zmq.Socket[bytes]]:
    """A bare ZeroMQ echo in a process of its own, over ipc, without a copy."""
    with tempfile.TemporaryDirectory() as folder, zmq.Context() as context:
        endpoint = f"ipc://{folder}/echo"
        code = (
            "import zmq; s = zmq.Context().socket(zmq.ROUTER)\n"
            f"s.bind({endpoint!r})\n"
            "while True: s.send_multipart(s.recv_multipart(copy=False), copy=False)"
        )
        process = subprocess.Popen([sys.executable, "-c", code])
        with context.socket(zmq.DEALER) as socket:
            socket.linger = 0
            socket.connect(endpoint)
            yield socket
        process.kill()
        process.wait()


def transport(connection: Connection, rounds: int) -> None:
    """A null job (strength 0) over an echo of the same bytes."""
    with echo() as socket:
        for side in (1024, 2048, 4096):
            frame = to_frame("layer", layer(side), Box(0, 0, side, side))

            def bare(data: Any = frame.data) -> None:
                socket.send(data, copy=False)
                socket.recv(copy=False)

            compare(
                f"null job / bare echo, {side} x {side} RGBA8",
                lambda frame=frame: finish(connection, Request.of(strength=0.0), frame),  # type: ignore[misc]
                bare, rounds, 1.5,
            )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="up-") as folder:
        os.environ["UNDERPAINT_HOME"] = folder
        build_model(Path(folder) / "models" / "bench", native=NATIVE)
        underpaint = [sys.executable, "-m", "underpaint"]
        subprocess.run([*underpaint, "serve", "--background"], check=True, capture_output=True)
        print(f"{'':58}{'ours ms':>10}{'bare ms':>10}{'ratio':>8}{'aim':>7}")
        try:
            engine = Engine("cpu")
            with connect() as connection:
                end_to_end(connection, engine, rounds)
                transport(connection, rounds)
            hole(engine, rounds)
        finally:
            subprocess.run([*underpaint, "stop"], check=True, capture_output=True)


if __name__ == "__main__":
    main()
