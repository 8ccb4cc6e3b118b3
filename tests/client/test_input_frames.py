"""The rasters of a request: what may come together, and under which names."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpaint_client import messages, wire
from underpaint_client.errors import BadInputError
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.inputs import InputFrames
from underpaint_client.request import Request

LAYER = Frame("layer", Box(-3, 5, 2, 1), "u1", "RGBA", bytes(8))
SELECTION = Frame("selection", LAYER.box, "u1", "Y", bytes(2))
MASK = replace(SELECTION, name="mask")
LINES = replace(SELECTION, name="control_2")
CONTEXT = replace(LAYER, name="context", channels="BGRA", dtype="u2", data=bytes(16))


@given(st.permutations([LAYER, SELECTION, MASK]), st.integers(0, 2))
def test_frames_are_told_apart_by_name_whatever_their_order(
    frames: list[Frame], without: int
) -> None:
    sent = [frame for frame in frames if frame is not (None, SELECTION, MASK)[without]]
    message = messages.Submit("j", Request())
    _, came = wire.decode(
        wire.encode(messages.Run("j", message.request, allow_paths=True), tuple(sent))
    )
    inputs = InputFrames.of(came)
    assert inputs.layer == LAYER
    assert inputs.selection == (None if without == 1 else SELECTION)
    assert inputs.mask == (None if without == 2 else MASK)
    assert set(inputs.frames) == set(sent)
    assert InputFrames.of(inputs.frames) == inputs


def test_a_context_comes_at_its_own_depth() -> None:
    inputs = InputFrames.of((LAYER, CONTEXT))
    assert inputs.rasters == {"context": CONTEXT}
    assert InputFrames.of(inputs.frames) == inputs


def test_there_may_be_none() -> None:
    assert InputFrames.of(()) == InputFrames()
    assert InputFrames().frames == ()


def test_control_layers_lie_on_the_layer_or_anywhere_without_one() -> None:
    scene = replace(LAYER, name="control_1", channels="BGRA")
    assert InputFrames.of((LAYER, scene, LINES)).rasters == {"control_1": scene, "control_2": LINES}
    assert InputFrames.of((replace(scene, box=Box(9, 9, 1, 2)), LINES)).layer is None


def test_a_frame_is_called_by_what_it_is_used_as() -> None:
    picture = replace(LAYER, name="picture")
    assert InputFrames(layer=picture).frames == (LAYER,)
    named = InputFrames(LAYER, rasters={"control": picture}).frames
    assert named == (LAYER, replace(LAYER, name="control"))


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        ((LAYER, LAYER), "the frames layer, layer arrived; send at most one layer"),
        ((LAYER, replace(LAYER, name="control")), "raster 'control' is unknown; there are layer,"),
        ((replace(LAYER, name="x" * 99),), "raster 'x{40}' is unknown"),
        ((replace(SELECTION, name="layer"),), "layer: the channels are Y, which has no colour"),
        ((LAYER, replace(LAYER, name="mask")), "mask: channels RGBA have colour; send Y"),
        ((SELECTION,), "a selection arrived without a layer"),
        ((MASK,), "a mask arrived without a layer"),
        ((LAYER, replace(MASK, box=Box(0, 5, 2, 1))), r"mask has 2 x 1 pixels at \(0, 5\).*-3, 5"),
        ((LAYER, replace(SELECTION, box=Box(-3, 5, 1, 2))), "the selection has 1 x 2 pixels"),
        ((LAYER, replace(LINES, box=Box(0, 5, 2, 1))), r"the control_2 has 2 x 1 pixels at \(0, 5"),
        ((CONTEXT,), "a context arrived without a layer"),
        ((LAYER, replace(CONTEXT, box=Box(0, 5, 2, 1))), r"context has 2 x 1 pixels at \(0, 5\)"),
        ((LAYER, replace(SELECTION, name="context")), "context: the channels are Y; send RGBA"),
    ],
)
def test_what_cannot_be_used_together_is_named(frames: tuple[Frame, ...], told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        InputFrames.of(frames)
