"""The shape of the land: hills, shores, and the courses of rivers and paths."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from .colour import step
from .mountains import raise_mesas, raise_mountains
from .noise import Grain, Noise, stream
from .raster import Floats
from .scene import Backdrop, Cover, Relief, Scene, Water
from .view import View


@dataclass(frozen=True)
class Land:
    """The land on a view's grid; all maps are float32, (rows, size).

    Parameters
    ----------
    rise : Floats
        Height above the water in metres per metre of distance.
    shore : Floats
        Above 0 on land, growing away from the water; below 0 in the water.
    path : Floats
        0..1, how much of the ground is trodden.
    massif : Floats
        What part of the rise is mountain, in the same unit.
    peak : float
        The highest a mountain can rise, in the same unit.
    """

    rise: Floats
    shore: Floats
    path: Floats
    massif: Floats
    peak: float


def shape_land(scene: Scene, view: View) -> Land:
    """Raise the land of a scene on a view's grid."""
    x = view.u / view.width
    shore = _shore(scene, view, x)
    rise = _relief(scene, view, x)
    massif, peak = np.zeros_like(rise), 1.0
    if scene.backdrop is Backdrop.MOUNTAINS:
        massif, peak = raise_mountains(scene, view)
    elif scene.backdrop is Backdrop.MESAS:
        massif, peak = raise_mesas(scene, view)
    elif scene.backdrop is Backdrop.HILLS:
        rise = np.maximum(rise, _far_hills(scene, view))
    # Banks slope down to the water, whatever the hills would have it.
    wide = 0.5 if scene.water is Water.SEA else 0.9
    bank = view.depth * (0.02 * view.ground)
    rise = rise * step(0, wide, shore) + bank * step(0, 0.08, shore)
    if scene.water is Water.SEA:
        massif = massif * step(0, 0.4, shore)
    return Land(rise + massif, shore, _path(scene, view, x), massif, peak)


def course(scene: Scene, name: str, depth: Floats) -> Floats:
    """Wind through the picture: a place to the right (-0.5..0.5) for each depth (0..1)."""
    rng = stream(scene.seed, name)
    start, end, phase = rng.uniform(-0.18, 0.18), rng.uniform(-0.2, 0.2), rng.uniform(0, math.tau)
    bends, swing = rng.uniform(1.5, 2.6), rng.uniform(0.14, 0.26)
    sway = np.sin(np.log(np.maximum(depth, 0.005)) * bends + phase) * swing
    middle: Floats = end + (start - end) * depth + sway * (0.25 + 0.75 * np.sqrt(depth))
    return middle


def _path(scene: Scene, view: View, x: Floats) -> Floats:
    if not scene.path:
        return np.zeros((len(view.z), view.size), np.float32)
    away = np.abs(x - course(scene, "path", view.depth)) / (0.085 * view.depth + 0.002)
    return step(1.15, 0.75, away) * step(0.015, 0.04, view.depth)


def _shore(scene: Scene, view: View, x: Floats) -> Floats:
    rng = stream(scene.seed, "shore")
    if scene.water is Water.NONE:
        return np.full((len(view.z), view.size), 9, np.float32)
    ragged = Noise.of(scene.seed, "shoreline").at(view.u * 3, view.log_z * 1.2)
    if scene.water is Water.LAKE:
        return _lake(rng, view, x, ragged)
    if scene.water is Water.SEA:
        return _sea(rng, view, x, ragged)
    width = rng.uniform(0.09, 0.17)
    aside = np.abs(x - course(scene, "river", view.depth))
    away = (aside - width * (view.depth + 0.015)) / (0.35 * (view.depth + 0.04))
    # The far end of a river is lost between the hills.
    shore: Floats = np.maximum(away + 0.04 * ragged, (0.03 - view.depth) * 40)
    return shore


def _lake(rng: np.random.Generator, view: View, x: Floats, ragged: Floats) -> Floats:
    far = math.log(rng.uniform(0.07, 0.16))
    # Some lakes have a near shore in the picture, others begin at the painter's feet.
    near = math.log(rng.uniform(0.5, 0.75) if rng.random() < 0.5 else 1.3)
    middle, half = (far + near) / 2, (near - far) / 2
    centre, reach = rng.uniform(-0.2, 0.2), rng.uniform(0.45, 0.9)
    across, along = (x - centre) / reach, (np.log(view.depth) - middle) / half
    return (np.sqrt(across**2 + along**2) - 1) * half + 0.13 * ragged


def _sea(rng: np.random.Generator, view: View, x: Floats, ragged: Floats) -> Floats:
    edge, tilt = rng.uniform(0.4, 0.8), rng.uniform(0.2, 1.1)
    side = 1 if rng.random() < 0.5 else -1
    log_depth = np.log(view.depth)
    beach = log_depth - np.log(np.clip(edge + side * tilt * x, 0.06, 3)) + 0.09 * ragged
    # A cape stretches out to sea, on the side on which the land is.
    cape = (0.5 - x * side - rng.uniform(0.75, 0.98)) * 3 + 0.1 * ragged
    shore: Floats = np.maximum(beach, np.where(log_depth > math.log(0.09), cape, -1))
    return shore


def _relief(scene: Scene, view: View, x: Floats) -> Floats:
    rng = stream(scene.seed, "relief")
    away = step(0.8, 0.12, view.depth)
    rolling = Noise.of(scene.seed, "rolling", Grain.SMOOTH).at(view.u * 1.2, view.log_z)
    rise = rolling * 0.012 * (0.3 + away)
    if scene.cover is Cover.SAND:
        return rise * 0.3 + _dunes(scene, view) * away * view.ground
    if scene.relief is Relief.HILLS:
        hills = Noise.of(scene.seed, "hills", Grain.SMOOTH).at(view.u * 1.1, view.log_z * 0.9)
        rise += (hills + 1.2) * away * (rng.uniform(0.1, 0.17) * min(view.sky, view.ground))
    elif scene.relief is Relief.KNOLL:
        place, there = rng.uniform(-0.22, 0.22), rng.uniform(0.14, 0.24)
        top = there * view.ground + rng.uniform(0.12, 0.3) * view.sky
        across = (x - place) / rng.uniform(0.22, 0.4)
        along = (np.log(view.depth) - math.log(there)) / rng.uniform(0.5, 0.8)
        rise += top * np.exp(-(across**2) - along**2)
    elif scene.relief is Relief.VALLEY:
        sides = step(0.02, 0.75, np.abs(x - course(scene, "river", view.depth)))
        rugged = 1 + 0.25 * Noise.of(scene.seed, "sides").at(view.u * 1.8, view.log_z * 1.2)
        ends = step(math.log(2500), math.log(700), view.log_z)
        rise += sides * rugged * away * ends * (rng.uniform(0.45, 0.75) * view.sky)
    return rise


def _dunes(scene: Scene, view: View) -> Floats:
    """Lay sand in long slopes that end in a sharp winding crest."""
    lean = stream(scene.seed, "dunes").uniform(-0.6, 0.6)
    waves = Noise.of(scene.seed, "dunes", Grain.SMOOTH)
    height = waves.at((view.u + lean * view.log_z) * 0.55, view.log_z * 0.5)
    crest = np.maximum(1 - np.sqrt(height**2 + 0.012), -0.6) + 0.6
    tall = 0.2 if scene.relief is not Relief.PLAIN else 0.07
    dunes: Floats = crest * tall * step(7.5, 5, view.log_z)
    return dunes


def _far_hills(scene: Scene, view: View) -> Floats:
    """Raise the low hills of the distance."""
    waves = Noise.of(scene.seed, "far hills", Grain.SMOOTH).at(view.u * 1.6, view.log_z * 2.2)
    tall = stream(scene.seed, "far hills").uniform(0.1, 0.2) * min(view.sky, 0.5)
    return step(math.log(500), math.log(1600), view.log_z) * (0.9 + 0.55 * waves) * tall
