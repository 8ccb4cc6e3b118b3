"""What is measured of pictures: holes and how well they are filled, likeness, scores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from .likeness import low_pass, patch_distance, seam

SIZE = 256
"""Pixels of a picture's side."""

Picture = NDArray[np.uint8]
"""(256, 256, 3), sRGB."""


@dataclass(frozen=True)
class Score:
    """One line of the table.

    Parameters
    ----------
    name : str
        What was measured.
    value : float
    aim : str
        What is wanted; empty for what is only told.
    met : bool
        Whether it is reached.
    """

    name: str
    value: float
    aim: str = ""
    met: bool = True


def psnr(left: NDArray[Any], right: NDArray[Any]) -> float:
    """Peak signal to noise ratio of 8-bit pictures, or of some of their pixels, in dB."""
    error = np.square(left.astype(np.float64) - right.astype(np.float64)).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def ssim(left: Picture, right: Picture) -> NDArray[np.float64]:
    """Structural similarity of each pixel's surroundings in luma, after Wang et al. 2004."""
    x, y = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY).astype(np.float64) for one in (left, right))

    def blur(values: NDArray[np.float64]) -> NDArray[np.float64]:
        blurred: NDArray[np.float64] = gaussian_filter(values, 1.5, truncate=3.5)
        return blurred

    mean_x, mean_y = blur(x), blur(y)
    variance_x, variance_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    covariance = blur(x * y) - mean_x * mean_y
    small, smaller = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    found: NDArray[np.float64] = ((2 * mean_x * mean_y + small) * (2 * covariance + smaller)) / (
        (mean_x**2 + mean_y**2 + small) * (variance_x + variance_y + smaller)
    )
    return found


def hole(share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a roundish hole, somewhere, of a share of the picture."""
    noise = gaussian_filter(rng.standard_normal((SIZE, SIZE)), SIZE / 10)
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    centre_x, centre_y = rng.uniform(0.3, 0.7, 2)
    height = noise / noise.std() * 0.06 - np.hypot(x - centre_x, y - centre_y)
    found: NDArray[np.bool_] = height > np.quantile(height, 1 - share)
    return found


def erased(picture: Picture, gap: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the layer, RGBA, with a hole rubbed into it."""
    return np.dstack([picture, np.where(gap, 0, 255).astype(np.uint8)])


def compare_fills(
    title: str,
    fills: Mapping[str, Sequence[Picture]],
    truths: Sequence[Picture],
    gaps: Sequence[NDArray[np.bool_]],
    *,
    aims: bool,
) -> Iterator[Score]:
    """Measure filled holes.

    Parameters
    ----------
    title : str
        What the names of the scores begin with.
    fills : mapping of str to sequence of uint8, (H, W, 3)
        The filled pictures: `ours` and `Telea` at least.
    truths : sequence of uint8, (H, W, 3)
    gaps : sequence of bool, (H, W)
    aims : bool
        Whether to say what is wanted.
    """
    distances = {name: patch_distance(some, truths, gaps) for name, some in fills.items()}
    best = _mean_psnr(list(map(low_pass, fills["Telea"])), list(map(low_pass, truths)), gaps)
    yield Score(f"{title}, the truth: seam", seam(truths, gaps))
    for name, some in fills.items():
        wanted = aims and name == "ours"
        relative = distances[name] / distances["Telea"]
        yield Score(
            f"{title}, {name}: distance of patches, of Telea's",
            relative,
            "below 0.55" if wanted else "",
            relative < 0.55 or not wanted,
        )
        edge = seam(some, gaps)
        yield Score(
            f"{title}, {name}: seam", edge, "below 1.3" if wanted else "", edge < 1.3 or not wanted
        )
        level = _mean_psnr(list(map(low_pass, some)), list(map(low_pass, truths)), gaps)
        yield Score(
            f"{title}, {name}: PSNR of light and colour, dB",
            level,
            f"above {best:.1f}" if wanted else "",
            level > best or not wanted,
        )
        yield Score(f"{title}, {name}: PSNR in the hole, dB", _mean_psnr(some, truths, gaps))
        alike = [ssim(one, truth)[gap].mean() for one, truth, gap in _triples(some, truths, gaps)]
        yield Score(f"{title}, {name}: SSIM in the hole", float(np.mean(alike)))


def _triples(*some: Sequence[Any]) -> Iterator[Any]:
    return zip(*some, strict=True)


def _mean_psnr(
    fills: Sequence[NDArray[Any]],
    truths: Sequence[NDArray[Any]],
    gaps: Sequence[NDArray[np.bool_]],
) -> float:
    """Return the mean PSNR in the holes, in dB."""
    levels = [psnr(one[gap], truth[gap]) for one, truth, gap in _triples(fills, truths, gaps)]
    return float(np.mean(levels))


def fill_by_opencv(
    truths: Sequence[Picture], gaps: Sequence[NDArray[np.bool_]], method: int
) -> list[Picture]:
    """Fill holes by one of the methods of `cv2.inpaint`."""
    return [
        cv2.inpaint(truth, gap.astype(np.uint8), 3, method).astype(np.uint8)
        for truth, gap in zip(truths, gaps, strict=True)
    ]
