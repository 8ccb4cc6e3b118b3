"""Contact sheets of what a model paints, for its card.

Run from `daemon/`: ``python -m training.sheets underpaint/starter FOLDER``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from .data import HELD_OUT
from .evaluate import STRENGTHS, Judge, examples
from .measures import Picture, erased, hole

TILE = 160  # pixels of a picture's side on a sheet
_GAP = 4
_LINE = 18
_PAPER, _INK = (247, 246, 243), (60, 58, 54)

PROMPTS = (
    "tree on a hill with a river, nature photograph",
    "pines by a mountain lake, oil painting",
    "desert with mesas at sunset",
    "snow on the hills at night",
    "lavender field, impressionist painting",
    "lighthouse by the sea, travel poster",
)


@dataclass(frozen=True)
class Row:
    """Pictures in a row, with a title above."""

    title: str
    pictures: Sequence[Picture]


def make_sheet(rows: Sequence[Row], columns: Sequence[str] = ()) -> Image.Image:
    """Compose a sheet.

    Parameters
    ----------
    rows : sequence of Row
    columns : sequence of str
        Titles above the first row.
    """
    across = max(len(row.pictures) for row in rows)
    pitch = TILE + _GAP
    head = _LINE if columns else 0
    height = head + len(rows) * (_LINE + pitch) + _GAP
    sheet = Image.new("RGB", (across * pitch + _GAP, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    for index, column in enumerate(columns):
        draw.text((_GAP + index * pitch, 3), column, _INK, font)
    for number, row in enumerate(rows):
        top = head + number * (_LINE + pitch)
        draw.text((_GAP, top + 2), row.title, _INK, font)
        for index, picture in enumerate(row.pictures):
            small = cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_AREA)
            sheet.paste(
                Image.fromarray(small.astype(np.uint8)), (_GAP + index * pitch, top + _LINE)
            )
    return sheet


def prompts_by_strength(judge: Judge) -> Image.Image:
    """Show one picture through img2img: prompts down, strengths across."""
    (example, *_) = examples(3, 8)
    whole = erased(example.picture, np.zeros(example.picture.shape[:2], bool))
    strengths = (*STRENGTHS, 1.0)
    rows = [
        Row(
            prompt,
            [
                example.picture,
                *(
                    judge.paint(prompt, whole, mode="img2img", strength=s, seed=7)
                    for s in strengths
                ),
            ],
        )
        for prompt in PROMPTS
    ]
    return make_sheet(rows, ["the picture", *map(str, strengths)])


def holes(judge: Judge) -> Image.Image:
    """Show holes: erased, filled by the model with three seeds, and by OpenCV."""
    rows = []
    for number, example in enumerate(examples(6, 9)):
        gap = hole((0.1, 0.25, 0.5)[number % 3], np.random.default_rng([HELD_OUT, 10, number]))
        layer = erased(example.picture, gap)
        painted = [
            judge.paint(example.caption, layer, strength=1.0, guidance_scale=4, seed=seed)
            for seed in range(3)
        ]
        plain = cv2.inpaint(example.picture, gap.astype(np.uint8), 3, cv2.INPAINT_TELEA)
        pictures = [example.picture, _shown(layer), *painted, plain.astype(np.uint8)]
        rows.append(Row(example.caption, pictures))
    return make_sheet(rows, ["before", "erased", "seed 0", "seed 1", "seed 2", "OpenCV's Telea"])


def variations(judge: Judge) -> Image.Image:
    """Show what seeds change: six for each prompt, from nothing."""
    return make_sheet(
        [Row(prompt, [judge.paint(prompt, seed=seed) for seed in range(6)]) for prompt in PROMPTS]
    )


def _shown(layer: NDArray[np.uint8]) -> Picture:
    """Lay a layer on grey checks, as editors do."""
    y, x = np.indices(layer.shape[:2]) // 16
    checks = np.where((x + y) % 2, 204, 255)[..., np.newaxis]
    alpha = layer[..., 3:] / 255
    found: Picture = np.rint(layer[..., :3] * alpha + checks * (1 - alpha)).astype(np.uint8)
    return found


def main() -> None:
    """Read the command line and write the sheets."""
    parser = argparse.ArgumentParser(prog="python -m training.sheets")
    parser.add_argument("model", type=Path, help="a model folder")
    parser.add_argument("folder", type=Path, help="where the sheets go")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    judge = Judge(options.model)
    for make in (prompts_by_strength, holes, variations):
        name = make.__name__.replace("_", "-")
        make(judge).save(options.folder / f"{name}.jpg", quality=88)
        print(options.folder / f"{name}.jpg", flush=True)


if __name__ == "__main__":
    main()
