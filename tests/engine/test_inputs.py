"""The rasters that a request is run on, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from runs import BASE, texture, with_hole
from underpaint.engine import Engine, Inputs
from underpaint.server.arrays import to_frame, to_inputs
from underpaint_client.errors import BadInputError
from underpaint_client.geometry import Box
from underpaint_client.inputs import InputFrames

LAYER = texture(32, 48)
HALF = np.full((32, 48), 255, np.uint8)
HALF[:, 24:] = 0


def erased() -> Any:
    """The layer as the mask leaves it."""
    layer = LAYER.copy()
    layer[:, 24:, 3] = 0
    return layer


def test_a_mask_erases_and_keeps_the_colour() -> None:
    np.testing.assert_array_equal(Inputs(LAYER, mask=HALF).visible_layer, erased())
    assert Inputs(LAYER).visible_layer is LAYER
    assert Inputs().visible_layer is None
    half = np.full((32, 48), 32768, np.uint16)
    alpha = np.asarray(Inputs(with_hole(LAYER, 100), mask=half).visible_layer)[..., 3]
    assert set(np.unique(alpha)) == {50, 128}


def test_a_request_runs_on_the_masked_layer(engine: Engine) -> None:
    request = BASE.with_values(steps=2)
    (masked,) = engine.generate(request, Inputs(LAYER, mask=HALF, x=-5, y=7))
    (plain,) = engine.generate(request, Inputs(erased(), x=-5, y=7))
    assert masked.recipe == plain.recipe
    assert masked.recipe.request.mode == "inpaint"
    np.testing.assert_array_equal(masked.pixels, plain.pixels)
    assert (masked.box.x, masked.box.y) == (-5, 7)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        (Inputs(rasters={"control": LAYER}), "raster 'control' is unknown; there are layer, sele"),
        (Inputs(LAYER, rasters={"reference": LAYER}), "raster 'reference' is unknown"),
        (Inputs(selection=HALF), "a selection came without a layer"),
        (Inputs(mask=HALF), "a mask came without a layer"),
        (Inputs(LAYER, mask=HALF[:9]), "the mask has 48 x 9 pixels and the layer 48 x 32"),
        (Inputs(LAYER, selection=HALF[:9]), "the selection has 48 x 9 pixels"),
        (Inputs(LAYER, mask=HALF.astype(float)), "a mask of depth float64 cannot be used"),
        (Inputs(LAYER[..., :3], mask=HALF), "layer of shape .* cannot be used"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_belong_together_is_named(engine: Engine, inputs: Inputs, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        next(engine.generate(BASE, inputs))


@pytest.mark.parametrize("channels", ["RGBA", "BGRA"])
def test_frames_become_the_arrays_that_they_are(channels: str) -> None:
    box = Box(-5, 7, 48, 32)
    frames = InputFrames(
        to_frame("layer", LAYER, box, channels),
        to_frame("selection", HALF, box, "Y"),
        to_frame("mask", 255 - HALF, box, "Y"),
    )
    inputs = to_inputs(frames)
    np.testing.assert_array_equal(inputs.layer, LAYER)
    np.testing.assert_array_equal(inputs.selection, HALF)
    np.testing.assert_array_equal(inputs.mask, 255 - HALF)
    assert (inputs.x, inputs.y) == (-5, 7)
    nothing = to_inputs(InputFrames())
    assert nothing.layer is nothing.selection is nothing.mask is None
