"""How much of an edge is seen around filled holes: by the hole's shape and the way of blending.

By hand, from the repository: `python tests/benchmarks/seams.py [SCENES] [SHEET.png]`. The starter
model fills holes of held-out scenes at strength 0.75, with the colour underneath a little off, as
where an artist has painted over. Each number is the gradient in a ring along the hole's edge over
that outside (`training.likeness.seam`): 1.2 or so is the scene itself, more is a seam, less a
smear. The last column is how far light and colour in the holes are from the scene, in dB.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2] / "daemon"))

from training.evaluate import examples
from training.likeness import low_pass, seam
from training.measures import hole, psnr
from underpaint.engine import Engine, run
from underpaint.engine.blending import match_surroundings
from underpaint.engine.inputs import Inputs
from underpaint_client.request import Request

SIDE = 256
FEATHER = 8  # pixels
STREAM = 7

Picture = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

_Y, _X = np.mgrid[:SIDE, :SIDE]
SHAPES: dict[str, Callable[[np.random.Generator], Mask]] = {
    "a quarter of the picture": lambda rng: hole(0.25, rng),
    "a twentieth": lambda rng: hole(0.05, rng),
    "at the border": lambda rng: np.asarray(_X - rng.integers(90, 110) < 0),
    "a ring": lambda _: np.asarray(abs(np.hypot(_X - 128, _Y - 128) - 70) < 14),
    "a line of 3 pixels": lambda rng: np.asarray(abs(_Y - rng.integers(80, 180)) < 2),
    "squares of 16 pixels": lambda _: np.asarray((_X // 16 + _Y // 16) % 4 == 0),
}


def feather(kept: Floats, painted: Floats, gap: Mask) -> Floats:
    """Fade from what is kept into what was painted, within the hole."""
    inside = cv2.distanceTransform(gap.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    share = np.clip(inside / FEATHER, 0, 1)[..., np.newaxis].astype(np.float32)
    return kept + share * (painted - kept)


def clone(kept: Floats, painted: Floats, gap: Mask) -> Floats:
    """Blend by OpenCV's `seamlessClone`; it takes no hole that touches the border."""
    inner = gap.astype(np.uint8) * 255
    inner[[0, -1]] = inner[:, [0, -1]] = 0
    rows, columns = np.flatnonzero(inner.any(axis=1)), np.flatnonzero(inner.any(axis=0))
    centre = (int(columns[0] + columns[-1]) // 2, int(rows[0] + rows[-1]) // 2)
    source, target = (np.rint(np.clip(one, 0, 1) * 255).astype(np.uint8) for one in (painted, kept))
    found = cv2.seamlessClone(source, target, inner, centre, cv2.NORMAL_CLONE)
    return np.asarray(found, np.float32) / np.float32(255)


def paint(engine: Engine, layer: Picture, prompt: str, seed: int) -> tuple[Floats, Floats, float]:
    """Return what the model painted, the same matched to its surroundings, and the seconds."""
    seen: list[Any] = []

    def match(*arguments: Any) -> Floats:
        start = time.perf_counter()
        matched = match_surroundings(*arguments)
        seen.append((arguments[2], matched, time.perf_counter() - start))
        return matched

    request = Request.of(prompt=prompt, model="starter", seed=seed, mode="inpaint")
    with patch.object(run, "match_surroundings", match):
        list(engine.generate(request, Inputs(layer)))
    ((painted, matched, seconds),) = seen
    return painted, matched, seconds


def shown(kept: Floats, painted: Floats, gap: Mask) -> Picture:
    """Return the picture with its hole filled, as uint8."""
    filled = np.where(gap[..., np.newaxis], painted, kept)
    return np.asarray(np.rint(np.clip(filled, 0, 1) * 255), np.uint8)


def fill_all(
    engine: Engine, shape: str, scenes: int
) -> Iterator[tuple[Picture, Mask, dict[str, Picture], list[float]]]:
    """Yield each scene, its hole, what each way of blending makes of it, and their seconds."""
    rng = np.random.default_rng(STREAM)
    for number, example in enumerate(examples(scenes, STREAM)):
        gap = SHAPES[shape](rng)
        truth, off = example.picture, rng.integers(-25, 26, 3)
        under = np.clip(truth.astype(int) + off * gap[..., np.newaxis], 0, 255).astype(np.uint8)
        layer = np.dstack([under, np.where(gap, 0, 255).astype(np.uint8)])
        painted, matched, seconds = paint(engine, layer, example.caption, number)
        kept = (truth / 255).astype(np.float32)
        start = time.perf_counter()
        cloned = clone(kept, painted, gap)
        fills = {
            "plain": painted, "feathered": feather(kept, painted, gap),
            "seamlessClone": cloned, "ours": matched,
        }  # fmt: skip
        done = time.perf_counter() - start
        filled = {name: shown(kept, one, gap) for name, one in fills.items()}
        yield truth, gap, filled, [seconds, done]


def main() -> None:
    """Measure and print; a sheet shows one scene of each shape."""
    scenes = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    sheet = []
    with tempfile.TemporaryDirectory() as home:
        os.environ["UNDERPAINT_HOME"] = home
        engine = Engine(device="cpu")
        for shape in SHAPES:
            truths, gaps, fills, seconds = zip(*fill_all(engine, shape, scenes), strict=True)
            print(f"{shape}: the scene {seam(truths, gaps):.2f}")
            for name in fills[0]:
                some = [one[name] for one in fills]
                level = np.mean(
                    [
                        psnr(low_pass(one)[gap], low_pass(truth)[gap])
                        for one, truth, gap in zip(some, truths, gaps, strict=True)
                    ]
                )
                print(f"  {name:15} {seam(some, gaps):.2f}  {level:.1f} dB")
            ours, theirs = np.median(np.array(seconds), axis=0) * 1000
            print(f"  {ours:.0f} ms; seamlessClone and feathering {theirs:.0f} ms")
            sheet.append(np.hstack([truths[0], *fills[0].values()]))
    if len(sys.argv) > 2:
        cv2.imwrite(sys.argv[2], np.vstack(sheet)[..., ::-1])


if __name__ == "__main__":
    main()
