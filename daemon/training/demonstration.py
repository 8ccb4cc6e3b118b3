"""The pictures that show what Underpaint does, at the top of the README.

The first is what `install/try` makes too: a flat sketch that is erased more and more from left to
right, so that how far it was erased tells how much has changed. The second is a painted landscape
with a patch of flat colour, erased and filled.

Run from `daemon/`: ``python -m training.demonstration underpaint/starter FOLDER``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from underpaint.engine import Engine, Inputs
from underpaint_client import Request

from .data import HELD_OUT
from .painter import describe, paint, sample_scene

INSTALL = Path(__file__).parents[2] / "install"

SKETCH = Request.of(
    prompt="tree on a hill with a river at sunset, oil painting",
    strength=0.7,
    steps=24,
    guidance_scale=4,
    seed=6,
    model="starter",
)
"""What the sketch becomes; `install/try` says the same on the command line."""

FADE = (0.12, 0.86)
"""Where the sketch begins to fade, and where nothing of it is left, in parts of its width."""

LANDSCAPE = Request.of(
    prompt="lavender field, watercolour",
    strength=0.67,
    steps=24,
    guidance_scale=4,
    seed=1,
    model="starter",
)
"""What the patch on the landscape becomes."""

_SCENE = 3  # of the held-out scenes: a house in a field
_LAVENDER = (140, 100, 190)
_ERASED = 0.75  # of the patch: the rest lets its colour be seen in the picture of the layer


def fade(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Erase a picture from left to right along a straight ramp, its colour kept underneath.

    Parameters
    ----------
    colours : uint8, (H, W, 3)

    Returns
    -------
    uint8, (H, W, 4)
        RGBA, straight alpha.
    """
    height, width = colours.shape[:2]
    start, stop = FADE
    place = (np.arange(width) + 0.5) / width
    alpha = np.rint(255 * np.clip((stop - place) / (stop - start), 0, 1)).astype(np.uint8)
    return np.dstack([colours, np.broadcast_to(alpha, (height, width))])


def landscape() -> NDArray[np.uint8]:
    """Paint a landscape, put a patch of flat colour on it, and erase most of that.

    Returns
    -------
    uint8, (256, 256, 4)
        RGBA, straight alpha.
    """
    rng = np.random.default_rng([HELD_OUT, 20])
    scenes = []
    for _ in range(_SCENE + 1):
        scenes.append(sample_scene(rng))
        describe(scenes[-1], rng)  # it draws from the same numbers
    picture = np.ascontiguousarray(paint(scenes[-1], 256))
    cv2.ellipse(picture, (70, 205), (60, 30), 0, 0, 360, _LAVENDER, -1, cv2.LINE_AA)
    erased = np.zeros(picture.shape[:2], np.float32)
    cv2.ellipse(erased, (70, 205), (66, 36), 0, 0, 360, _ERASED, -1)
    alpha = 1 - cv2.GaussianBlur(erased, (0, 0), 5)
    return np.dstack([picture, np.rint(255 * alpha).astype(np.uint8)])


def demonstrations(model: str) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[Any]]]:
    """Return name, layer and result of each demonstration.

    Parameters
    ----------
    model : str
        A folder.
    """
    engine = Engine("cpu")
    with Image.open(INSTALL / "sketch.png") as image:
        sketch = fade(np.asarray(image.convert("RGBA"))[..., :3])
    for name, layer, request in (("sketch", sketch, SKETCH), ("landscape", landscape(), LANDSCAPE)):
        (result,) = engine.generate(request.with_values(model=model), Inputs(layer))
        yield name, layer, np.ascontiguousarray(result.pixels)


def main() -> None:
    """Read the command line, write `install/sketch.png` and the pictures side by side."""
    parser = argparse.ArgumentParser(prog="python -m training.demonstration")
    parser.add_argument("model", type=Path, help="a model folder")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name, layer, result in demonstrations(str(options.model.absolute())):
            before, after = (Path(scratch) / f"{name}-{when}.png" for when in ("before", "after"))
            Image.fromarray(layer).save(before, optimize=True)
            Image.fromarray(result).save(after)
            if name == "sketch":
                (INSTALL / "sketch.png").write_bytes(before.read_bytes())
            shown = options.folder / f"{name}.jpg"
            command = [sys.executable, INSTALL / "side_by_side.py", before, after, shown]
            subprocess.run(list(map(str, command)), check=True)
            print(shown, flush=True)


if __name__ == "__main__":
    main()
