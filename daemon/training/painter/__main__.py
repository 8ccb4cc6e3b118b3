"""Write a contact sheet of painted scenes, and print their captions.

Run from `daemon/`: ``python -m training.painter OUT.png [--count 48] [--size 128] [--seed 0]``.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from . import describe, paint, sample_scene

_GAP = 2  # pixels between pictures


def main() -> None:
    """Read the command line and write the sheet."""
    parser = argparse.ArgumentParser(description="Paint a contact sheet of landscapes.")
    parser.add_argument("out", type=Path, help="the PNG to write")
    parser.add_argument("--count", type=int, default=48, help="how many pictures")
    parser.add_argument("--size", type=int, default=128, help="pixels of a picture's side")
    parser.add_argument("--seed", type=int, default=0, help="of the random scenes")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(options.seed)
    across = math.ceil(math.sqrt(1.5 * options.count))
    pitch = options.size + _GAP
    sheet = Image.new("RGB", (across * pitch, math.ceil(options.count / across) * pitch))
    for number in range(options.count):
        scene = sample_scene(rng)
        row, column = divmod(number, across)
        picture = Image.fromarray(paint(scene, options.size))
        sheet.paste(picture, (column * pitch, row * pitch))
        print(f"{row + 1:2}.{column + 1:<2}  {describe(scene, rng)}")
    sheet.save(options.out)


if __name__ == "__main__":
    main()
