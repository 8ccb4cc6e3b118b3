from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from example_recipe import make_recipe
from underpaint_client import messages, wire
from underpaint_client.errors import BadInputError
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.recipe import Recipe
from underpaint_client.request import Request

LAYER = Frame("layer", Box(-3, 5, 2, 1), "u1", "RGBA", bytes(range(8)))

MESSAGES = [
    messages.Hello("me"),
    messages.Cancel("j"),
    messages.AskStatus(),
    messages.AskStop(),
    messages.Welcome("1", 2, "m"),
    messages.Accepted("j", 1),
    messages.Progress("j", "Denoising", 1, 2, 1, 1),
    messages.Picture("j", 0, "layer", make_recipe(), {"denoise": 1.5}),
    messages.Done("j"),
    messages.Failed("j", "model", "no"),
    messages.Status(
        "1", 2, ("ipc://x",), 1.0, "m",
        (messages.WorkerStatus(1, "idle", "cpu", ""),),
        (messages.JobStatus("j", "queued", "p"),),
    ),
    messages.WorkerReady(1, "cpu"),
    messages.WorkerModel("m"),
    messages.Run("j", Request(prompt="p", seed=3), True),
]  # fmt: skip


@pytest.mark.parametrize("message", MESSAGES, ids=lambda m: m.type)
def test_messages_survive_the_wire(message: messages.Message) -> None:
    decoded, frames = wire.decode(wire.encode(message, (LAYER,)))
    assert decoded == message
    assert frames == (LAYER,)


def header(**changes: Any) -> bytes:
    entry = LAYER.describe()
    entry.update(changes.pop("entry", {}))
    found = {
        "protocol": wire.PROTOCOL, "type": "hello", "body": {"client": "x"}, "frames": [entry],
    }  # fmt: skip
    found.update(changes)
    return json.dumps(found).encode()


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[1]", "no JSON object"),
        (b"[" * 100_000, "no JSON"),
        (b'{"protocol": NaN}', "NaN is no JSON number"),
        (b" " * (wire.MAX_HEADER + 1), "over"),
        (header(protocol=99), "protocol 99.*speaks 1.*update"),
        (header(protocol=None), "protocol None"),
        (header(extra=1), "'extra' is unknown"),
        (header(type="submitt"), "'submitt' is unknown"),
        (header(type=["hello"]), "unknown"),
        (header(body=[]), "body must be an object"),
        (header(frames={}), "frames a list"),
        (header(frames=[]), "0 frames are declared and 1 came"),
        (header(frames=[1]), "must be an object"),
        (header(entry={"colour": 1}), "'colour' is unknown"),
        (header(entry={"dtype": "f8"}), "dtype 'f8' is unknown"),
        (header(entry={"dtype": 1}), "must be text"),
        (header(entry={"channels": "CMYK"}), "'CMYK' is unknown"),
        (header(entry={"channels": "Y"}), "4 channels do not fit Y"),
        (header(entry={"shape": [1, 3, 4]}), "8 bytes came.*3 x 1.*are 12"),
        (header(entry={"shape": [0, 2, 4]}), "empty"),
        (header(entry={"shape": [-1, -2, 4]}), "empty"),
        (header(entry={"shape": [100_000, 100_000, 4]}), "10000.0 megapixels"),
        (header(entry={"shape": [1, 2]}), "3 whole numbers"),
        (header(entry={"shape": [1.0, 2, 4]}), "3 whole numbers"),
        (header(entry={"shape": [True, 2, 4]}), "3 whole numbers"),
        (header(entry={"offset": [2**40, 0]}), "2 whole numbers"),
    ],
)
def test_what_does_not_fit_is_named(raw: bytes, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        wire.open_envelope([raw, bytes(8)])


def test_a_message_of_no_frames() -> None:
    with pytest.raises(BadInputError, match="empty message"):
        wire.open_envelope([])


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_any_bytes_are_refused_in_order(parts: list[Any]) -> None:
    with pytest.raises(BadInputError):
        wire.open_envelope(parts)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)


@given(
    st.fixed_dictionaries(
        {
            "protocol": st.just(wire.PROTOCOL) | JSON,
            "type": st.sampled_from(sorted(messages.TYPES)) | JSON,
            "body": st.dictionaries(st.sampled_from(["job", "request", "message"]), JSON) | JSON,
            "frames": st.lists(st.just(LAYER.describe()) | JSON, max_size=2) | JSON,
        }
    )
)
def test_any_json_is_opened_or_refused(found: Any) -> None:
    try:
        envelope = wire.open_envelope([json.dumps(found).encode(), bytes(8)])
    except BadInputError as error:
        assert str(error)
    else:
        assert envelope.type in messages.TYPES


def test_unknown_fields_are_named() -> None:
    for body, told in (
        ({"job": "j", "request": {}, "urgent": 1}, "'urgent' is unknown"),
        ({"job": "j", "request": {"strenght": 0.5}}, "'strenght' is unknown"),
    ):
        with pytest.raises(BadInputError, match=told):
            wire.refuse_unknown_fields(wire.Envelope("submit", body, ()))


def test_a_newer_daemons_fields_are_passed_over() -> None:
    parts = wire.encode(messages.Done("j"))
    found = json.loads(bytes(parts[0]))
    found["body"]["mood"] = "sunny"
    assert wire.decode([json.dumps(found).encode()])[0] == messages.Done("j")


def test_recipes_survive_json_and_say_what_is_missing() -> None:
    recipe = make_recipe()
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    found = recipe.to_dict()
    del found["seed"]
    with pytest.raises(ValueError, match="without seed"):
        Recipe.from_dict(found)
