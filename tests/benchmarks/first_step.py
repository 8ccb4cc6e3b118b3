"""How long `underpaint generate` takes before the first step, against stock diffusers.

    python tests/benchmarks/first_step.py [--rounds 3] [--kind sd1]

With a checkpoint of full size and random weights, which is made for it and takes 2 GB of disk (7
for `sdxl`). Both begin as a command is given and end as the denoiser is called for the first time:

- cold: no daemon runs, and the file is not in the system's cache
- started: no daemon runs, and the file is in the cache
- warm: the daemon has the model; stock diffusers has it too, in a process that waits

Stock diffusers opens the file with the same configs and takes the same prompt in float32. Each
round measures both in turn; printed are the medians and that of the ratios.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from full_size_files import make_checkpoint
from underpaint.models import read_text
from underpaint.models.architectures import CONFIGS

PROMPT = "a lake between mountains, nature photograph, round {number}"
WORDS = ("tokenizer", "tokenizer_2")

STOCK = """
import sys
import torch, diffusers
file, folder, name = sys.argv[1:]
pipeline = getattr(diffusers, name).from_single_file(
    file, config=folder, local_files_only=True, torch_dtype=torch.float32
)
pipeline.set_progress_bar_config(disable=True)
class Begun(Exception): pass
def tell(*_):
    print("Denoising", flush=True)
    raise Begun
pipeline.unet.register_forward_pre_hook(tell)
print("ready", flush=True)
for prompt in sys.stdin:
    try:
        pipeline(prompt.strip(), height=64, width=64, num_inference_steps=1)
    except Begun:
        pass
"""


def forget(file: Path) -> None:
    """Take a file out of the system's cache."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_until(stream: Any, word: str) -> None:
    for line in stream:
        if word in line:
            return
    raise SystemExit(f"it ended before {word!r}")


def seconds_ours(file: Path, number: int) -> float:
    """Return how long the command takes until it says that it denoises; it runs to its end."""
    words = ["generate", PROMPT.format(number=number), "--model", str(file), "-s", "1"]
    words += ["-W", "64", "-H", "64", "-o", str(file.parent / "out.png"), "--force"]
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "underpaint", *words], stderr=subprocess.PIPE, text=True,
        stdout=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        read_until(process.stderr, "Denoising")
        taken = time.perf_counter() - start
        process.stderr.read()  # type: ignore[union-attr]
    if process.returncode:
        raise SystemExit("underpaint generate failed")
    return taken


@contextmanager
def stock(file: Path, folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", STOCK, str(file), str(folder), name], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        yield process
        process.stdin.close()  # type: ignore[union-attr]


def ask(process: subprocess.Popen[str], number: int) -> None:
    print(PROMPT.format(number=number), file=process.stdin, flush=True)
    read_until(process.stdout, "Denoising")


def seconds_stock(file: Path, folder: Path, name: str, number: int) -> float:
    start = time.perf_counter()
    with stock(file, folder, name) as process:
        ask(process, number)
        return time.perf_counter() - start


def stop() -> None:
    subprocess.run([sys.executable, "-m", "underpaint", "stop"], capture_output=True, check=False)


def make_configs(folder: Path, kind: str) -> Path:
    """Copy the configs that come with Underpaint, with CLIP's vocabulary where diffusers looks."""
    shutil.copytree(CONFIGS / kind, folder)
    for part in WORDS:
        if (folder / part).is_dir():
            for words in ("clip/vocab.json.gz", "clip/merges.txt.gz"):
                (folder / part / Path(words).stem).write_text(read_text(CONFIGS, words))
    return folder


def show(what: str, pairs: list[tuple[float, float]]) -> None:
    ours, bare = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"{what:10}{ours:9.2f} s{bare:9.2f} s{ratio:8.2f}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kind", choices=("sd1", "sdxl"), default="sd1")
    options = parser.parse_args()
    name = {"sd1": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline"}[options.kind]
    with tempfile.TemporaryDirectory() as home:
        os.environ["UNDERPAINT_HOME"] = home
        file = make_checkpoint(Path(home) / "models" / "one.safetensors", options.kind)
        (file.parent / "one.underpaint.json").write_text('{"native": 64}')  # the step is short
        folder = make_configs(Path(home) / "configs", options.kind)
        print(f"{'':10}{'underpaint':>11}{'diffusers':>11}{'ratio':>8}", flush=True)
        try:
            for what in ("cold", "started"):
                pairs = []
                for number in range(options.rounds):
                    taken = []
                    for ours in (True, False):
                        stop()
                        if what == "cold":
                            forget(file)
                        taken.append(
                            seconds_ours(file, number)
                            if ours
                            else seconds_stock(file, folder, name, number)
                        )
                    pairs.append((taken[0], taken[1]))
                show(what, pairs)
            stop()
            seconds_ours(file, 100)
            with stock(file, folder, name) as process:
                ask(process, 100)
                pairs = []
                for number in range(options.rounds):
                    start = time.perf_counter()
                    ask(process, number)
                    bare = time.perf_counter() - start
                    pairs.append((seconds_ours(file, number), bare))
            show("warm", pairs)
        finally:
            stop()


if __name__ == "__main__":
    main()
