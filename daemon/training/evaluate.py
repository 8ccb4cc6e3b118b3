"""Measure a model that paints landscapes, with the engine that painters use.

Run from `daemon/`; some minutes on a CPU::

    python -m training.evaluate underpaint/starter --out RUN/scores.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from underpaint.engine import Engine, Inputs
from underpaint_client import Request

from .card import format_row
from .data import HELD_OUT
from .measures import SIZE, Picture, Score, compare_fills, erased, fill_by_opencv, hole, psnr
from .painter import describe, paint, sample_scene

STRENGTHS = (0.25, 0.35, 0.55, 0.75, 0.9)
SHARES = (0.10, 0.25, 0.50)


@dataclass(frozen=True)
class Example:
    """A held-out scene: what it looks like and what it is called."""

    picture: Picture
    caption: str


def examples(count: int, stream: int = 0) -> list[Example]:
    """Paint held-out scenes."""
    rng = np.random.default_rng([HELD_OUT, stream])
    scenes = [sample_scene(rng) for _ in range(count)]
    return [Example(paint(scene, SIZE), describe(scene, rng)) for scene in scenes]


class Judge:
    """Measures one model."""

    def __init__(self, model: Path) -> None:
        self.engine = Engine("cpu")
        self.model = str(model.absolute())
        self.engine.load(self.model)

    def paint(self, prompt: str, layer: NDArray[np.uint8] | None = None, **how: Any) -> Picture:
        """Run the engine and give the result's colours."""
        request = Request.of(prompt=prompt, model=self.model, **{"seed": 0, **how})
        (found,) = self.engine.generate(request, Inputs(layer))
        pixels = found.pixels[..., :3]
        assert pixels.dtype == np.uint8  # noqa: S101
        return np.ascontiguousarray(pixels.astype(np.uint8))

    def scores(self, effort: float) -> Iterator[Score]:
        """Measure everything; an effort below 1 takes fewer samples."""

        def several(count: int) -> int:
            return max(2, round(count * effort))

        yield from self.autoencoder(several(64))
        yield from self.holes(several(24))
        yield from self.prompts(several(100))
        yield from self.strengths(several(12))
        yield from self.underpainting(several(12))
        yield from self.speed()

    def autoencoder(self, count: int) -> Iterator[Score]:
        """See how well pictures survive being encoded and decoded."""
        found = [self._round_trip(example.picture) for example in examples(count, 1)]
        mean = float(np.mean(found))
        yield Score("autoencoder: PSNR on held-out scenes, dB", mean, "28 or more", mean >= 28)

    def photographs(self, folder: Path) -> Iterator[Score]:
        """See how well photographs survive: nothing like them was trained on."""
        found = []
        for file in sorted(folder.iterdir()):
            with Image.open(file) as image:
                scale = SIZE / min(image.size)
                size = (round(image.width * scale), round(image.height * scale))
                small = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
            left, top = (size[0] - SIZE) // 2, (size[1] - SIZE) // 2
            found.append(
                self._round_trip(np.asarray(small.crop((left, top, left + SIZE, top + SIZE))))
            )
        mean = float(np.mean(found))
        yield Score(f"autoencoder: PSNR on {len(found)} photographs, dB", mean)

    def _round_trip(self, picture: Picture) -> float:
        model = self.engine.load(self.model)
        with torch.no_grad():
            latents = model.encode(picture.astype(np.float32) / np.float32(255))
            decoded = model.decode(latents[0])
        return psnr(np.rint(decoded * 255), picture)

    def holes(self, count: int) -> Iterator[Score]:
        """Fill holes at strength 1, where nothing of the truth is left, and ask OpenCV to."""
        known = examples(count, 2)
        truths = [example.picture for example in known]
        for share in SHARES:
            rng = np.random.default_rng([HELD_OUT, 3])
            gaps = [hole(share, rng) for _ in known]
            painted = [
                self.paint(
                    example.caption,
                    erased(example.picture, gap),
                    strength=1.0,
                    guidance_scale=3,
                    seed=seed,
                )
                for seed, (example, gap) in enumerate(zip(known, gaps, strict=True))
            ]
            yield from compare_fills(
                f"hole of {share:.0%}",
                {
                    "ours": painted,
                    "Telea": fill_by_opencv(truths, gaps, cv2.INPAINT_TELEA),
                    "Navier-Stokes": fill_by_opencv(truths, gaps, cv2.INPAINT_NS),
                },
                truths,
                gaps,
                aims=share == 0.25,
            )

    def prompts(self, count: int) -> Iterator[Score]:
        """Check that words move the colours they should, the seed being the same."""
        plain = "a landscape"
        before = [self._quick(plain, seed) for seed in range(count)]
        for words, (where, measure) in _WORDS.items():
            moved = [
                measure(self._quick(words, seed)) > measure(picture)
                for seed, picture in enumerate(before)
            ]
            share = 100 * float(np.mean(moved))
            yield Score(
                f"prompt: {words!r} makes {where}, % of {count} seeds",
                share,
                "90 or more",
                share >= 90,
            )

    def _quick(self, prompt: str, seed: int) -> Picture:
        return self.paint(prompt, seed=seed, steps=8, guidance_scale=5)

    def strengths(self, count: int) -> Iterator[Score]:
        """Check that more strength is more change."""
        distances = np.array(
            [
                [self._distance(example, strength, seed) for strength in STRENGTHS]
                for seed, example in enumerate(examples(count, 4))
            ]
        )
        means = distances.mean(0)
        rising = bool((np.diff(means) > 0).all())
        for strength, mean in zip(STRENGTHS, means, strict=True):
            aim = "" if strength == STRENGTHS[0] else "more than the one before"
            yield Score(f"img2img at {strength}: distance, levels", float(mean), aim, rising)

    def _distance(self, example: Example, strength: float, seed: int) -> float:
        layer = erased(example.picture, np.zeros((SIZE, SIZE), bool))
        painted = self.paint(
            example.caption, layer, mode="img2img", strength=strength, guidance_scale=3, seed=seed
        )
        return float(np.abs(painted.astype(np.float64) - example.picture).mean())

    def underpainting(self, count: int) -> Iterator[Score]:
        """Check that the colour under a hole matters."""
        colours = {"red": (190, 50, 40), "blue": (40, 70, 190)}
        redder = []
        for seed, example in enumerate(examples(count, 5)):
            gap = hole(0.25, np.random.default_rng([HELD_OUT, 6, seed]))
            warmth = {}
            for name, colour in colours.items():
                under = np.where(gap[..., np.newaxis], np.array(colour, np.uint8), example.picture)
                painted = self.paint(
                    "a landscape", erased(under, gap), strength=0.6, guidance_scale=3, seed=seed
                )
                warmth[name] = _warmth(painted[gap])
            redder.append(warmth["red"] - warmth["blue"])
        share = 100 * float(np.mean(np.array(redder) > 10))
        yield Score("red, not blue, under a hole: red - blue, levels", float(np.mean(redder)))
        yield Score("the same: % of pictures redder by 10 levels", share, "100", share == 100)

    def speed(self) -> Iterator[Score]:
        """Time a hole and a load of the model."""
        (example,) = examples(1, 7)
        layer = erased(example.picture, hole(0.25, np.random.default_rng(0)))
        seconds = _median_seconds(lambda: self.paint("a lake", layer, strength=1.0, steps=20))
        yield Score(
            f"20 steps for a hole at {SIZE} x {SIZE}, s", seconds, "10 or less", seconds < 10
        )

        def load() -> None:
            Engine("cpu").load(self.model)

        seconds = _median_seconds(load)
        yield Score("opening the model, s", seconds, "2 or less", seconds <= 2)


def _median_seconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def _warmth(pixels: NDArray[Any]) -> float:
    """Red less blue, in levels."""
    mean = pixels.reshape(-1, 3).astype(np.float64).mean(0)
    return float(mean[0] - mean[2])


def _upper(picture: Picture) -> Picture:
    return picture[: SIZE // 3]


def _lower(picture: Picture) -> Picture:
    return picture[-SIZE // 3 :]


def _whiteness(pixels: Picture) -> float:
    """Return the darkest channel's mean: high where it is bright and has little colour."""
    return float(pixels.astype(np.float64).mean((0, 1)).min())


_WORDS: dict[str, tuple[str, Callable[[Picture], float]]] = {
    "a landscape at night": ("the sky darker", lambda p: -float(_upper(p).mean())),
    "a landscape at sunset": ("the sky warmer", lambda p: _warmth(_upper(p))),
    "a landscape in snow": ("the ground whiter", lambda p: _whiteness(_lower(p))),
    "a desert": ("the ground warmer", lambda p: _warmth(_lower(p))),
    "a lake": ("the ground bluer", lambda p: -_warmth(_lower(p))),
}


def main() -> None:
    """Read the command line, measure, and write the scores."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate")
    parser.add_argument("model", type=Path, help="a model folder")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    parser.add_argument("--photographs", type=Path, help="a folder of real ones")
    parser.add_argument("--effort", type=float, default=1.0, help="below 1: fewer samples")
    options = parser.parse_args()
    judge = Judge(options.model)
    found = []
    for source in (
        judge.photographs(options.photographs) if options.photographs else (),
        judge.scores(options.effort),
    ):
        for score in source:
            found.append(score)
            print(format_row(asdict(score)), flush=True)
    options.out.write_text(json.dumps([asdict(s) for s in found], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
