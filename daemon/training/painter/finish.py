"""Finishes: the picture as a photograph, or painted in a medium."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from .colour import LUMA, WHITE, blend, mix, rgb, saturate, step
from .noise import Grain, Noise, stream
from .raster import Bytes, Floats, channels, from_bytes, places, resample, scaled, soften, to_bytes
from .scene import Finish, Scene
from .strokes import Hand, Layer, paint_strokes

_OIL = Hand(
    layers=(Layer(22, 3.2, 1.3), Layer(42, 2.8, 0.9), Layer(86, 2.4, 0.75)),
    wander=0.22,
    variety=0.022,
    relief=0.28,
)
_IMPRESSION = Hand(
    layers=(Layer(22, 1.9, 1.15), Layer(40, 1.8, 0.85), Layer(64, 1.7, 0.8)),
    wander=0.4,
    variety=0.045,
    relief=0.28,
)
_CHALK = Hand(layers=(Layer(30, 3.0, 1.2), Layer(64, 2.6, 0.9)), wander=0.3, variety=0.03, relief=0)
_WATERCOLOUR_PAPER = "fbf8f0"
_PASTEL_PAPERS = ("d8cbb4", "b8b4b0", "c8b8a0", "a8a8b4")


def finish(picture: Floats, scene: Scene) -> Floats:
    """Carry a picture out in its scene's medium.

    Parameters
    ----------
    picture : float32, (size, size, 3)
        0..1.
    scene : Scene
        Names the medium and the seed of its grain.

    Returns
    -------
    float32, (size, size, 3)
        About 0..1.
    """
    ways: dict[Finish, Callable[[Floats, Scene], Floats]] = {
        Finish.PHOTOGRAPH: _photograph,
        Finish.OIL: _oil,
        Finish.IMPRESSION: _impression,
        Finish.WATERCOLOUR: _watercolour,
        Finish.PASTEL: _pastel,
        Finish.POSTER: _poster,
    }
    return ways[scene.finish](picture, scene)


def _photograph(picture: Floats, scene: Scene) -> Floats:
    size = len(picture)
    rng = stream(scene.seed, "photograph")
    sharp = soften(picture, 0.45 * size / 256 + 0.05)
    bright = sharp + 0.5 * soften(np.maximum(sharp - 0.7, 0), size / 40)
    curve = rng.uniform(0.33, 0.88) * (bright - 0.5) * bright * np.maximum(0.9 - bright, 0)
    x, y = places(size)
    corner = 1 - rng.uniform(0.1, 0.3) * ((x - 0.5) ** 2 + (y - 0.5) ** 2)
    grain = soften(rng.standard_normal((size, size), np.float32), 0.6) * rng.uniform(0.004, 0.011)
    return (bright + curve) * channels(corner, corner, corner) + grain[..., None]


def _oil(picture: Floats, scene: Scene) -> Floats:
    return paint_strokes(saturate(picture, 1.1), scene, _OIL)


def _impression(picture: Floats, scene: Scene) -> Floats:
    return paint_strokes(saturate(picture, 1.22) * 1.03, scene, _IMPRESSION)


def _watercolour(picture: Floats, scene: Scene) -> Floats:
    size = len(picture)
    x, y = places(size)
    bleed = Noise.of(scene.seed, "bleed", Grain.ROUGH)
    reach = 0.0055 * size
    columns = x * size - 0.5 + bleed.at(x * 5, y * 5) * reach
    rows = y * size - 0.5 + bleed.at(x * 5 + 31, y * 5) * reach
    flat = _flattened(resample(picture, columns, rows), size / 180)
    wet = 0.6 * step(0.5, 1.6, Noise.of(scene.seed, "wet").at(x * 3, y * 3))
    flat = blend(flat, soften(flat, size / 60), wet)
    pigment = -np.log(np.clip(flat, 0.03, 1))
    # Water carries pigment outwards: a wash is darkest along its edge.
    thick = pigment @ LUMA
    pooled = np.maximum(thick - soften(thick, size / 110), 0) / (thick + 0.25)
    washes = Noise.of(scene.seed, "washes").at(x * 2.5, y * 2.5)
    tooth = Noise.of(scene.seed, "tooth", Grain.ROUGH).at(x * 22, y * 22)
    load = 0.8 + 0.07 * washes + 0.03 * tooth + 1.5 * pooled
    left = np.exp(-pigment * channels(load, load, load))
    return left * (rgb(_WATERCOLOUR_PAPER) * (1 + 0.012 * tooth)[..., None])


def _pastel(picture: Floats, scene: Scene) -> Floats:
    size = len(picture)
    drawn = soften(paint_strokes(saturate(picture, 1.12), scene, _CHALK), size / 320)
    x, y = places(size)
    tooth = Noise.of(scene.seed, "tooth", Grain.ROUGH).at(x * 28, y * 28)
    paper = rgb(_PASTEL_PAPERS[scene.seed % len(_PASTEL_PAPERS)])
    return blend(mix(drawn, WHITE, 0.1), paper, 0.3 * step(0.2, 2.6, tooth))


def _poster(picture: Floats, scene: Scene) -> Floats:
    size = len(picture)
    vivid = np.clip(saturate(_flattened(picture, size / 180), 1.15), 0, 1)
    colours = _main_colours(vivid, int(stream(scene.seed, "poster").integers(12, 17)))
    # Choosing colours at twice the size and averaging gives smooth edges.
    large = to_bytes(scaled(vivid, 2 * size, 2 * size))
    nearest = _nearest(colours)
    red, green, blue = (part.astype(np.int32) >> 3 for part in cv2.split(large))
    choice = cv2.medianBlur(nearest[(red * 32 + green) * 32 + blue], 5)
    return scaled(colours[choice], size, size)


def _main_colours(picture: Floats, count: int) -> Floats:
    """Find the colours that stand best for a picture: float32, (count, 3), darkest first."""
    sample = scaled(picture, 64, 64).reshape(-1, 3)
    ranks = np.argsort(np.argsort(sample @ LUMA)) * count // len(sample)
    until = (cv2.TERM_CRITERIA_MAX_ITER | cv2.TERM_CRITERIA_EPS, 10, 0.005)
    labels = ranks.astype(np.int32)[:, None]
    found = cv2.kmeans(sample, count, labels, until, 1, cv2.KMEANS_USE_INITIAL_LABELS)[2]
    # In this order, what lies between two of them is in between in the list, too.
    return np.asarray(found[np.argsort(found @ LUMA)], np.float32)


def _nearest(colours: Floats) -> Bytes:
    """Return for each of 32 by 32 by 32 colours which of a few is the nearest."""
    level = (np.arange(32, dtype=np.float32) + 0.5) / 32
    cube = np.stack(np.meshgrid(level, level, level, indexing="ij"), axis=-1).reshape(-1, 3)
    away = (colours**2).sum(axis=1) - 2 * cube @ colours.T
    nearest: Bytes = np.argmin(away, axis=1).astype(np.uint8)
    return nearest


def _flattened(picture: Floats, reach: float) -> Floats:
    """Smooth a picture but for its edges, over `reach` pixels."""
    side = 2 * min(max(1, round(reach)), 4) + 1
    image = cv2.bilateralFilter(
        cv2.medianBlur(to_bytes(picture), side), side + 2, 28, 1.5 * reach
    )  # fmt: skip
    return from_bytes(np.asarray(image, np.uint8))
