"""How sharp two small holes far apart come out: painted in one run, and each in its own.

By hand, from the repository: `python tests/benchmarks/areas.py [SCENES]`. Held-out scenes of the
starter model lie in opposite corners of a larger picture, each with a hole that is filled at
strength 0.75. Sharpness is the mean gradient in the holes over that of the scene there: 1 is as
sharp as the scene. Seconds are those of the whole run.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2] / "daemon"))

from training.evaluate import examples
from underpaint.engine import Engine, Inputs
from underpaint_client.request import AREAS, Request

SIDE = 1536
SCENE = 256
HOLE = 90
STREAM = 11

Picture = NDArray[np.uint8]


def gradient(picture: Picture, where: tuple[slice, slice]) -> float:
    """Return the mean length of the gradient of the luminance, in levels a pixel."""
    grey = cv2.cvtColor(np.ascontiguousarray(picture[where][..., :3]), cv2.COLOR_RGB2GRAY)
    across, down = np.gradient(grey.astype(np.float32))
    return float(np.hypot(across, down).mean())


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 6
    scenes = list(examples(2 * count, STREAM))
    near = slice((SCENE - HOLE) // 2, (SCENE + HOLE) // 2)
    far = slice(SIDE - near.stop, SIDE - near.start)
    found: dict[str, list[tuple[float, float]]] = {areas: [] for areas in AREAS}
    with tempfile.TemporaryDirectory() as home:
        os.environ["UNDERPAINT_HOME"] = home
        engine = Engine(device="cpu")
        engine.load("starter")
        for seed, (first, second) in enumerate(zip(scenes[::2], scenes[1::2], strict=True)):
            layer = np.full((SIDE, SIDE, 4), 255, np.uint8)
            layer[..., :3] = first.picture.mean(axis=(0, 1))
            layer[:SCENE, :SCENE, :3] = first.picture
            layer[-SCENE:, -SCENE:, :3] = second.picture
            for hole in (near, far):
                layer[hole, hole, 3] = 0
            for areas, kept in found.items():
                request = Request.of(
                    prompt=first.caption, model="starter", seed=seed, mode="inpaint", areas=areas
                )
                start = time.perf_counter()
                (result,) = engine.generate(request, Inputs(layer))
                seconds = time.perf_counter() - start
                kept.extend(
                    (gradient(result.pixels, (hole, hole)) / gradient(layer, (hole, hole)), seconds)
                    for hole in (near, far)
                )
    print(f"{'':10} sharpness  seconds")
    for areas, kept in found.items():
        sharp, seconds = np.median(np.array(kept, dtype=Any), axis=0)
        print(f"{areas:10} {sharp:9.2f} {seconds:8.1f}")


if __name__ == "__main__":
    main()
