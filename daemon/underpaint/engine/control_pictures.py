"""Make the picture that a ControlNet is given of a control layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import cv2
import numpy as np
import torch

from underpaint.models.controlnet_list import ChosenControl
from underpaint_client.control_layers import ControlLayer, raster_name
from underpaint_client.geometry import Box, Extent
from underpaint_client.sentences import Sentence, sentence

from .controlnets import Control
from .pixels import Floats, Pixels, fraction, hash_picture, quantize, resize
from .plan import Plan
from .prepare import fill_holes, pad

DRAWN = ("lines", "scribble", "canny")
"""The kinds whose ControlNets read light lines on black."""

PICTURES = ("tile", "blur")
"""The kinds that are pictures, whose colour counts where it is transparent."""

CANNY_LIMITS = (100, 200)
"""Gradients from which on edges go on, and begin, as ControlNets were trained with."""

BLUR = 1 / 64
"""The standard deviation of a blur, as a share of the shorter side."""


def take_controls(
    chosen: Iterable[ChosenControl],
    rasters: Mapping[str, Pixels],
    whole: Box,
    plan: Plan,
    device: torch.device,
) -> tuple[Control, ...]:
    """Make what ControlNets are given of their layers, each as `make_control_picture`."""
    controls = []
    for one in chosen:
        raster = rasters[raster_name(one.index)]
        picture = make_control_picture(raster, one.layer, whole, plan)
        tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].to(device)
        controls.append(Control(one, tensor, hash_picture(picture)))
    return tuple(controls)


def idle_notes(controls: Iterable[Control], calls: int) -> tuple[Sentence, ...]:
    """Return which control layers hold in no step, since none lies between their start and end.

    Parameters
    ----------
    controls : iterable of Control
    calls : int
        How often the model is called.
    """
    return tuple(
        sentence(
            "the control layer {kind} was not used: it holds from {start:g} to {end:g} of the"
            " steps, and none of the {count} that ran lies between",
            kind=one.chosen.layer.kind,
            start=one.chosen.layer.start,
            end=one.chosen.layer.end,
            count=calls,
        )
        for one in controls
        if not any(one.holds(call, calls) for call in range(calls))
    )


def make_control_picture(raster: Pixels, layer: ControlLayer, whole: Box, plan: Plan) -> Floats:
    """Crop and scale a control layer as the layer is, and bring it into the form of its kind.

    Lines that are darker than what is around them are inverted, since ControlNets read light lines
    on black. Where depth, poses and the like are transparent, they are black. What is computed is
    computed at the size that the model works at.

    Parameters
    ----------
    raster : uint8, uint16, float16 or float32, (H, W, 4) or (H, W, 1)
        RGBA with straight alpha, or grey. One of another size than the layer is scaled to cover it,
        around its centre.
    layer : ControlLayer
        What it shows.
    whole : Box
        The layer that is painted on, on the canvas.
    plan : Plan
        Has the area and its size for the model.

    Returns
    -------
    float32, (work height, work width, 3)
        RGB, 0..1.
    """
    fitted = crop_raster(raster, whole, plan.area)
    if fitted.shape[2] == 1:
        colour, alpha = np.repeat(fraction(fitted), 3, axis=2), None
    else:
        colour, alpha = fraction(fitted[..., :3]), fraction(fitted[..., 3])
    if layer.computed or layer.kind in PICTURES:
        if alpha is not None:
            colour = fill_holes(colour, (alpha == 0) & ~colour.any(axis=2))
        colour = _scaled(colour, plan.content)
        if layer.computed:
            colour = COMPUTE[layer.kind](colour)
    else:
        drawn = _draw_light if layer.kind in DRAWN else _over_black
        colour = _scaled(drawn(colour, alpha), plan.content)
    return pad(colour, plan.work_size)


def crop_raster(raster: Pixels, whole: Box, area: Box) -> Pixels:
    """Return the part of a raster that lies in an area of the layer, (area height, area width, C).

    Parameters
    ----------
    raster, whole
        As `make_control_picture` has them.
    area : Box
        On the canvas, inside the layer.
    """
    part = area.moved(-whole.x, -whole.y)
    return _cover(raster, whole.extent)[part.y : part.bottom, part.x : part.right]


def _scaled(colour: Floats, content: Extent) -> Floats:
    return np.clip(resize(colour, content), 0, 1)


def _cover(raster: Pixels, extent: Extent) -> Pixels:
    """Scale a raster uniformly until it covers an extent, and cut off what is over on its sides."""
    height, width = raster.shape[:2]
    if (width, height) == (extent.width, extent.height):
        return raster
    scale = max(extent.width / width, extent.height / height)
    wide, high = max(extent.width, round(width * scale)), max(extent.height, round(height * scale))
    scaled = resize(raster, Extent(wide, high)).reshape(high, wide, -1)
    left, top = (wide - extent.width) // 2, (high - extent.height) // 2
    return scaled[top : top + extent.height, left : left + extent.width]


def _over_black(colour: Floats, alpha: Floats | None) -> Floats:
    return colour if alpha is None else colour * alpha[..., np.newaxis]


def _draw_light(colour: Floats, alpha: Floats | None) -> Floats:
    """Return a drawing as light lines on black.

    What covers most of it is its paper; else its lines are all there is, on a paper of the other
    lightness.
    """
    if alpha is None:
        alpha = np.ones(colour.shape[:2], np.float32)
    covered = float(alpha.mean())
    if not covered:
        return np.zeros_like(colour)
    is_light = float((colour.mean(axis=2) * alpha).mean()) / covered > 0.5
    is_paper_light = is_light if covered > 0.5 else not is_light
    weight = alpha[..., np.newaxis]
    return (1 - colour) * weight if is_paper_light else colour * weight


def _canny(colour: Floats) -> Floats:
    edges: Pixels = cv2.Canny(quantize(colour, np.dtype(np.uint8)), *CANNY_LIMITS)
    return np.repeat(fraction(edges)[..., np.newaxis], 3, axis=2)


def _blur(colour: Floats) -> Floats:
    blurred: Pixels = cv2.GaussianBlur(colour, (0, 0), max(1.0, min(colour.shape[:2]) * BLUR))
    return blurred


COMPUTE = {"canny": _canny, "blur": _blur}
"""What is computed of a picture, RGB, 0..1, without a model."""
