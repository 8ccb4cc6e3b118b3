"""What an earlier version kept is read; what cannot be is put aside with a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from underpaint.server.job_queue import JobQueue
from underpaint.server.old_messages import upgrade_header
from underpaint.server.recovery import recover
from underpaint.server.store import Store
from underpaint.server.validation import read_message
from underpaint_client import messages, wire
from underpaint_client.png_chunks import RECIPE_KEY, find_text
from underpaint_client.recipe import Recipe
from underpaint_client.request import Request
from underpaint_client.typed_json import to_json
from underpaint_client.variations import Variation

OLD_PICTURES = Path(__file__).parents[1] / "cli" / "old_pictures"

FLAT = {
    "prompt": "a lake", "negative_prompt": "", "mode": "auto", "strength": 0.5, "steps": 20,
    "compensate": False, "guidance_scale": 7.5, "seed": 3, "images": 2, "sampler": "auto",
    "model": "sd", "fill": "auto", "result": "layer", "width": 64, "height": 64, "fit": False,
    "variation_amount": 0.0, "variation_seed": 4, "variations": [{"seed": 1, "weight": 0.5}],
    "chain": True,
}  # fmt: skip
"""A request as protocol 1 has it."""

NESTED = Request.of(
    prompt="a lake", strength=0.5, steps=20, guidance_scale=7.5, seed=3, images=2, model="sd",
    width=64, height=64,
    variation_seed=4, variations=(Variation(1, 0.5),), chain=True,
    blend="none", areas="single",
)  # fmt: skip


def header(protocol: int, kind: str = "submit", /, **body: Any) -> bytes:
    return json.dumps({"protocol": protocol, "type": kind, "body": body, "frames": []}).encode()


def test_a_request_of_protocol_1_gets_its_groups() -> None:
    old = header(1, job="j", request=FLAT, previews="quick", note="n", packed=False)
    envelope = wire.open_envelope([upgrade_header(old)])
    assert read_message(envelope) == messages.Submit("j", NESTED, "quick", "n")
    today = json.loads(bytes(wire.encode(messages.Submit("j", NESTED, "quick", "n"))[0]))
    del today["body"]["request"]["sampling"]["clip_skip"]  # which protocol 3 got later
    del today["body"]["request"]["style"]
    del today["body"]["request"]["source"]["context"]
    del today["body"]["request"]["conditioning"]
    del today["body"]["request"]["control_picture"]
    assert upgrade_header(old) == json.dumps(today).encode("ascii")


@pytest.mark.parametrize("protocol", [1, 2])
def test_what_an_earlier_request_left_out_is_what_it_stood_for_then(protocol: int) -> None:
    request = {"prompt": "a lake"} if protocol == 1 else {"prompt": {"positive": "a lake"}}
    envelope = wire.open_envelope([upgrade_header(header(protocol, job="j", request=request))])
    message = read_message(envelope)
    assert isinstance(message, messages.Submit)
    assert message.request == Request.of(
        prompt="a lake", steps=20, guidance_scale=7.5, blend="none", areas="single"
    )


def test_a_request_of_protocol_2_keeps_what_it_has() -> None:
    old = header(2, job="j", request=to_json(NESTED.with_values(steps=9)), note="n")
    envelope = wire.open_envelope([upgrade_header(old)])
    assert read_message(envelope) == messages.Submit("j", NESTED.with_values(steps=9), note="n")


@pytest.mark.parametrize("file", sorted(OLD_PICTURES.glob("format-*.png")), ids=lambda f: f.stem)
def test_a_picture_of_protocol_1_keeps_its_recipe(file: Path) -> None:
    recipe = json.loads(find_text(file.read_bytes(), RECIPE_KEY) or "")
    old = header(1, "picture", job="j", index=1, kind="layer", recipe=recipe, timings={"load": 1})
    message, _ = wire.decode([upgrade_header(old)])
    assert message == messages.Picture("j", 1, "layer", Recipe.from_dict(recipe), {"load": 1})


def test_an_end_of_protocol_1_is_told_as_it_was() -> None:
    old = header(1, "failed", job="j", code="model", message="no model")
    message, _ = wire.decode([upgrade_header(old)])
    assert message == messages.Failed("j", "model", "no model")


@pytest.mark.parametrize(
    "kept",
    [
        b"", b"{", b"[1]", b"null", b"\xff", b"[" * 10_000, b'{"protocol": 1}',
        b'{"protocol": 1, "body": 3}', b'{"protocol": 1, "body": {"request": 5}}',
        header(99, job="j"), bytes(wire.encode(messages.Submit("j", NESTED))[0]),
    ],
    ids=lambda kept: str(kept[:24]),
)  # fmt: skip
def test_all_else_stays_as_it_is(kept: bytes) -> None:
    assert upgrade_header(kept) == kept


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        (header(99, job="j", request={}), "it is of protocol 99, and not 3"),
        (header(1, job="j", request={**FLAT, "hires": True}), "field 'hires' is unknown"),
        (header(1, job="j", request={**FLAT, "sampler": "gone"}), "sampler 'gone' is unknown"),
        (b"{broken", "is not JSON"),
    ],
)
def test_a_job_that_cannot_be_read_is_put_aside_with_a_sentence(
    tmp_path: Path, kept: bytes, told: str
) -> None:
    store, queue = Store(tmp_path / "jobs"), JobQueue()
    store.add("j", [kept], owner="", trusted=True, digest=bytes(32))
    old = header(1, job="k", request=FLAT, previews="", note="", packed=False)
    store.add("k", [old], owner="", trusted=True, digest=bytes(32))
    assert recover(store, queue) == set()
    (job,) = queue
    assert (job.name, job.submit.request) == ("k", NESTED)
    found = store.find("j")
    assert found is not None
    assert found.ending is not None
    failed, _ = wire.decode([found.ending])
    assert isinstance(failed, messages.Failed)
    assert failed.message.startswith("the job was kept by another version of Underpaint, and ")
    assert told in failed.message
    assert failed.message.endswith("; generate again")
    store.close()
