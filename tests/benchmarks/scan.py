"""How long a library of ten thousand files takes to list: the first time, and when it is known.

By hand, from the repository: `python tests/benchmarks/scan.py [FILES]`. A quarter are SDXL
checkpoints, the others LoRAs; each header is as long as a real one's, and the weights take no room.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from weight_files import LORA, SDXL, write_safetensors

KEYS = 1130
"""Tensors in each header."""

LIST = """
import time
from underpaint.models.entries import describe_all
wall, cpu = time.perf_counter(), time.process_time()
models = describe_all()
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(f"{wall:7.2f} s ({cpu:.2f} s of CPU), {len(models)} models")
"""


def make_library(folder: Path, files: int) -> None:
    """Make files that are one file under many names; each is read as if it were its own."""
    more = {
        f"model.diffusion_model.x.{n}.attn2.to_k.weight": ("F16", (64, 64)) for n in range(KEYS)
    }
    pairs = {
        f"lora_unet_x_{n}.lora_{side}.weight": ("F16", (4, 32))
        for n in range(KEYS // 2)
        for side in ("down", "up")
    }
    checkpoint = write_safetensors(folder / "checkpoint.bin", {**more, **SDXL})
    lora = write_safetensors(folder / "lora.bin", {**pairs, **LORA})
    for number in range(files):
        target = folder / "models" / f"folder{number // 100}" / f"{number}.safetensors"
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(lora if number % 4 else checkpoint, target)


def main() -> None:
    """Measure and print."""
    files = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as home:
        make_library(Path(home), files)
        for what in ("first", "second"):
            told = subprocess.run(
                [sys.executable, "-c", LIST],
                env={**os.environ, "UNDERPAINT_HOME": home},
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            print(f"{files} files, {what} time: {told.stdout.strip()}", flush=True)


if __name__ == "__main__":
    main()
