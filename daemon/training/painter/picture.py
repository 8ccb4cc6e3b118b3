"""From a scene to a picture."""

from __future__ import annotations

import numpy as np

from .colour import blend, mix, spread, step
from .finish import finish
from .ground import Air, colour_land
from .land import shape_land
from .layout import lay_out
from .light import light_of
from .raster import Bytes, Floats, soften, to_bytes
from .scene import Scene, Water
from .sky import paint_sky
from .sprites import Canvas
from .things import Stage, sprinkle
from .view import View, look
from .water import paint_water
from .weather import fall

_KNEE = 0.75  # brightness from which on film gives way


def paint(scene: Scene, size: int = 256) -> Bytes:
    """Paint a scene.

    Parameters
    ----------
    scene : Scene
        The same scene always gives the same picture.
    size : int
        Pixels of its side, 64 to 1024; the composition is the same at each.

    Returns
    -------
    uint8, (size, size, 3)
        sRGB.
    """
    world = _world(scene, size)
    # What is brighter than white rolls off softly.
    over = np.maximum(world - _KNEE, 0)
    exposed = np.minimum(world, _KNEE) + (1 - _KNEE) * (1 - np.exp(over / (_KNEE - 1)))
    picture = to_bytes(finish(exposed, scene))
    return np.ascontiguousarray(picture[:, ::-1]) if scene.mirrored else picture


def _world(scene: Scene, size: int) -> Floats:
    """Paint what there is to see: float32, (size, size, 3), which may exceed 1."""
    view, light = View.of(scene, size), light_of(scene)
    top = round(view.line)
    bottom = size - top
    sky = paint_sky(scene, view, light, max(top, bottom))
    air = _air(sky, top, light.clarity)
    land = shape_land(scene, view)
    grid = colour_land(scene, view, light, land, air)
    stage = Stage(scene, view, light, land, air, lay_out(scene))

    seen = look(land.rise, view, size, top, view.eye)
    shade = spread(stage.shadows(top), 1 - light.shadow)
    behind = np.concatenate([sky[-top:], np.repeat(sky[-1:], bottom, axis=0)])
    picture = blend(behind, seen.look_up(grid) * (1 - shade), seen.cover)
    if scene.water is not Water.NONE:
        shore = seen.look_up(land.shore)[top:]
        water = paint_water(scene, view, light, _mirrored(stage, grid, sky[-bottom:]), shore)
        wet = step(0.01, -0.01, shore) * seen.cover[top:]
        picture[top:] = blend(picture[top:], water, wet)
    canvas = Canvas(picture, seen.log_z(view))
    sprinkle(stage, canvas, grid, top)
    stage.populate(canvas, top, view.eye)
    return fall(picture, scene, light, air)


def _air(sky: Floats, top: int, clarity: float) -> Air:
    """Mix the colour of the air from the sky at the horizon and behind what is veiled."""
    size = sky.shape[1]
    low = sky[-max(2, size // 12) :].mean(axis=0, keepdims=True)
    high = sky[-max(2, top // 2) :].mean(axis=0, keepdims=True)
    return Air(soften(mix(low, high, 0.45), size / 16), clarity)


def _mirrored(stage: Stage, grid: Floats, sky: Floats) -> Floats:
    """Paint what still water shows from the horizon, its first row, down; as large as `sky`."""
    view, land = stage.view, stage.land
    height = len(sky)
    # Water mirrors what is beyond it. What is nearer would hide the rest if it were not left out.
    wet = land.shore < 0
    beyond = np.cumsum(wet[::-1], axis=0)[::-1] == 0
    # The eye that it mirrors is as far below the water as the painter's is above.
    below = look(np.where(beyond, land.rise, -9), view, height, height, -view.eye)
    picture = blend(sky, below.look_up(grid), below.cover)
    stage.beyond(wet).populate(Canvas(picture, below.log_z(view)), height, -view.eye)
    return picture[::-1]
