from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from example_recipe import make_recipe
from underpaint_client import messages, wire
from underpaint_client.conditioning import LoraWeight
from underpaint_client.errors import BadInputError, OtherProtocolError
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.recipe import Recipe
from underpaint_client.request import Request
from underpaint_client.variations import Variation

LAYER = Frame("layer", Box(-3, 5, 2, 1), "u1", "RGBA", bytes(range(8)))

MESSAGES = [
    messages.Hello("me"),
    messages.Cancel("j"),
    messages.AskStatus(),
    messages.AskStop(),
    messages.Welcome("1", 2, "m"),
    messages.Accepted("j", 1),
    messages.Incoming(10_000_000),
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
    messages.WorkerPlan(512 * 512),
    messages.Run("j", Request.of(prompt="p", seed=3), True),
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
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"[" * 100_000, "not JSON"),
        (b'{"protocol": NaN}', "NaN is not a JSON number"),
        (b" " * (wire.MAX_HEADER + 1), "over"),
        (header(protocol=99), "a newer Underpaint.*protocol 99, and not 3; .*`underpaint stop`"),
        (header(protocol=1), "an older.*protocol 1, and not 3; update .*`underpaint install`"),
        (header(protocol=None), "protocol None"),
        (header(protocol=0), "protocol 0"),
        (header(protocol=True), "protocol True"),
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
        (header(entry={"shape": [1, 3, 4]}), "8 bytes arrived.*3 x 1.*are 12"),
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
        ({"job": "j", "request": {"strenght": 0.5}}, "request: field 'strenght' is unknown"),
        (
            {"job": "j", "request": {"sampling": {"strenght": 0.5}}},
            "sampling: field 'strenght' is unknown; it has strength, steps,",
        ),
        ({"job": "j", "request": {"variation": {"base": [{"sed": 1}]}}}, "'sed' is unknown"),
    ):
        with pytest.raises(BadInputError, match=told):
            wire.refuse_unknown_fields(wire.Envelope("submit", body, ()))


def objects_in(found: Any) -> list[dict[str, Any]]:
    inner = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    return [
        *([found] if isinstance(found, dict) else ()),
        *(o for i in inner for o in objects_in(i)),
    ]


def test_unknown_fields_are_named_in_every_object_of_every_message() -> None:
    request = Request.of(variations=(Variation(1, 0.5),), loras=(LoraWeight("ink", 0.5),))
    sent: list[tuple[messages.Message, int]] = [
        (messages.Submit("j", request), 12),
        (messages.Run("j", request, allow_paths=True), 12),
        (messages.Waiting((messages.WaitingJob("j", request, "", ended=True),)), 13),
        (
            messages.Status(
                "1", 1, (), 0.0, "", (messages.WorkerStatus(1, "idle", "cpu", ""),),
                (messages.JobStatus("j", "queued", ""),),
            ),
            3,
        ),
        (messages.Hello(), 1),
    ]  # fmt: skip
    for message, count in sent:
        header = json.loads(bytes(wire.encode(message)[0]))
        envelope = wire.Envelope(message.type, header["body"], ())
        wire.refuse_unknown_fields(envelope)
        objects = objects_in(header["body"])
        assert len(objects) == count
        for one in objects:
            one["mood"] = 1
            with pytest.raises(BadInputError, match="field 'mood' is unknown"):
                wire.refuse_unknown_fields(envelope)
            del one["mood"]


def test_a_newer_daemons_fields_are_passed_over() -> None:
    parts = wire.encode(messages.Done("j"))
    found = json.loads(bytes(parts[0]))
    found["body"]["mood"] = "sunny"
    assert wire.decode([json.dumps(found).encode()])[0] == messages.Done("j")


def test_recipes_survive_json_and_say_what_is_missing() -> None:
    recipe = make_recipe()
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    found = recipe.to_dict()
    del found["facts"]["seed"]
    with pytest.raises(ValueError, match="without seed"):
        Recipe.from_dict(found)
    for name in ("request", "facts"):
        without = {**recipe.to_dict()}
        del without[name]
        with pytest.raises(ValueError, match=f"without {name}"):
            Recipe.from_dict(without)


def test_a_newer_recipes_fields_are_passed_over() -> None:
    recipe = make_recipe(steps=7, variations=(Variation(1, 0.5),))
    found = recipe.to_dict()
    found["mood"] = found["facts"]["mood"] = found["request"]["mood"] = "sunny"
    found["request"]["sampling"]["mood"] = "sunny"
    assert Recipe.from_dict(found) == recipe


def test_what_an_older_recipe_did_not_know_is_as_by_default() -> None:
    recipe = make_recipe(steps=7)
    found = recipe.to_dict()
    del found["request"]["variation"], found["request"]["sampling"]["compensate"]
    assert Recipe.from_dict(found) == recipe


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        (1, "the daemon is of an older Underpaint than this program.*`underpaint stop`"),
        (99, "the daemon is of a newer Underpaint than this program.*`underpaint install`"),
    ],
)
def test_a_client_says_what_to_do_about_a_daemon_of_another_protocol(
    protocol: int, told: str
) -> None:
    with pytest.raises(OtherProtocolError, match=told) as error:
        wire.decode(wire.encode(messages.Done("j"), protocol=protocol))
    assert error.value.protocol == protocol
    assert error.value.code == BadInputError.code
