"""Layers to paint on, and runs of a tiny model on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from underpaint.engine import Engine, Inputs, Picture
from underpaint_client.request import Request

BASE = Request.of(prompt="a lake", model="sd", seed=7, steps=8)


def texture(height: int, width: int, seed: int = 0) -> Any:
    """An opaque layer with forms of several sizes."""
    rng = np.random.default_rng(seed)
    pixels = np.full((height, width, 4), 255, np.uint8)
    coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    rows, columns = np.arange(height) * 4 // height, np.arange(width) * 4 // width
    pixels[..., :3] = coarse[rows][:, columns] // 2 + rng.integers(0, 128, (height, width, 3))
    return pixels


def with_hole(pixels: Any, alpha: int = 0) -> Any:
    changed = pixels.copy()
    height, width = pixels.shape[:2]
    changed[height // 4 : height // 2, width // 4 : width // 2, 3] = alpha
    return changed


def make(engine: Engine, layer: Any = None, selection: Any = None, **changes: Any) -> Picture:
    return make_all(engine, layer, selection, **changes)[0]


def make_all(
    engine: Engine, layer: Any = None, selection: Any = None, **changes: Any
) -> list[Picture]:
    return list(engine.generate(BASE.with_values(**changes), Inputs(layer, selection)))
