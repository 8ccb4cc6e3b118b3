"""What should not come: each is answered with an error or silence, and the daemon goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from underpaint_client import connect, messages, wire
from underpaint_client.errors import BadInputError
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.home import read_connection_file
from underpaint_client.parameters import nest
from underpaint_client.request import Request


@pytest.fixture(scope="module")
def raw(daemon: Path) -> Iterator[zmq.Socket[bytes]]:
    """A socket that says whatever it likes."""
    info = read_connection_file()
    assert info
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        socket.connect(info.endpoint)
        yield socket


def ask(socket: zmq.Socket[bytes], parts: list[bytes]) -> messages.Message:
    socket.send_multipart(parts)
    assert socket.poll(10_000), "no answer"
    return wire.decode(list(socket.recv_multipart()))[0]


def submit(request: Any = None, frames: Any = (), job: Any = "j1", **extra: Any) -> bytes:
    request = {"strength": 0.0} if request is None else request
    if isinstance(request, dict):
        request = nest(Request, request)
    body = {"job": job, "request": request, **extra}
    return json.dumps(
        {"protocol": wire.PROTOCOL, "type": "submit", "body": body, "frames": list(frames)}
    ).encode()


def entry(name: str = "layer", shape: Any = (2, 2, 4), **changes: Any) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "dtype": "u1", "channels": "RGBA",
            "offset": [0, 0], **changes}  # fmt: skip


LAYER = entry()
SELECTION = entry("selection", (2, 2, 1), channels="Y")


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([b""], "not JSON"),
        ([b"hello"], "not JSON"),
        ([b"\x80\x04pickle"], "not JSON"),
        ([b"[" * 100_000], "not JSON"),
        ([b'{"protocol":4,"type":"hello"}'], "newer.*protocol 4, and not 3.*`underpaint stop`"),
        ([b'{"protocol":3,"type":"welcome","body":{"version":"1","pid":1}}'], "does not send"),
        ([b'{"protocol":3,"type":"run","body":{"job":"j","request":{},"allow_paths":true}}'],
         "does not send"),
        ([b'{"protocol":3,"type":"hello","body":{"client":5}}'], "Expected `str`"),
        ([b'{"protocol":3,"type":"hello","body":{"mood":5}}'], "'mood' is unknown"),
        ([submit(job="")], "1 to 64"),
        ([submit(job="x" * 65)], "1 to 64"),
        ([submit(job=7)], "Expected `str`"),
        ([submit({"strength": "much"})], r"Expected `float`.*strength"),
        ([submit({"strength": 7})], "strength 7.* is out of range"),
        ([submit({"steps": 2.5})], r"Expected `int.*steps"),
        ([submit({"steps": 10**30})], "steps"),
        ([submit({"seed": -1})], "seed -1"),
        ([submit({"sampler": "magic"})], "'magic' is unknown"),
        ([submit({"strenght": 1})], "'strenght' is unknown"),
        ([submit({"prompt": "x" * 30_000})], "30000 characters"),
        ([submit(None, [LAYER])], "1 frames are declared and 0 came"),
        ([submit(None, [LAYER]), b"12"], "2 bytes arrived.*are 16"),
        ([submit(None, [entry(shape=(10**6, 10**6, 4))]), b"12"], "megapixels"),
        ([submit(None, [entry(shape=(2**31, 2**31, 4))]), b"12"], "whole numbers"),
        ([submit(None, [entry(dtype="O")]), bytes(16)], "dtype 'O'"),
        ([submit(None, [entry("photo")]), bytes(16)],
         "raster 'photo' is unknown; there are layer, selection, mask"),
        ([submit(None, [LAYER, LAYER]), bytes(16), bytes(16)], "at most one layer"),
        ([submit(None, [SELECTION]), bytes(4)], "without a layer"),
        ([submit(None, [LAYER, entry("mask", (2, 1, 1), channels="Y")]), bytes(16), bytes(2)],
         "the mask has 1 x 2 pixels"),
        ([submit(None, [LAYER, entry("selection", (2, 1, 1), channels="Y")]),
          bytes(16), bytes(2)], "selection has 1 x 2.*layer 2 x 2"),
        ([submit(None, [LAYER, entry("selection", (2, 2, 1), channels="Y", offset=[1, 0])]),
          bytes(16), bytes(4)], r"at \(1, 0\)"),
        ([submit(None, [entry(channels="Y", shape=(2, 2, 1))]), bytes(4)], "has no colour"),
        ([json.dumps({"protocol": wire.PROTOCOL, "type": "ask_status", "frames": [LAYER]}).encode(),
          bytes(16)], "has no frames"),
    ],
)  # fmt: skip
def test_each_gets_one_clear_error(raw: zmq.Socket[bytes], parts: list[bytes], told: str) -> None:
    answer = ask(raw, parts)
    assert isinstance(answer, messages.Failed)
    assert answer.code == "bad_input"
    with pytest.raises(AssertionError, match=told):
        raise AssertionError(answer.message)
    assert len(answer.message) < 1000
    assert isinstance(ask(raw, wire_bytes(messages.Hello())), messages.Welcome)


def wire_bytes(message: messages.Message) -> list[bytes]:
    return [bytes(part) for part in wire.encode(message)]


def test_the_same_job_twice_is_one(raw: zmq.Socket[bytes]) -> None:
    long = {"model": "sd", "steps": 1000, "strength": 1.0, "width": 64, "height": 64}
    assert isinstance(ask(raw, [submit(long, job="twice")]), messages.Accepted)
    raw.send_multipart([submit(long, job="twice")])
    raw.send_multipart(wire_bytes(messages.Cancel("twice")))
    heard: list[messages.Message] = []
    while not any(isinstance(m, messages.Failed) and m.code == "cancelled" for m in heard):
        assert raw.poll(20_000)
        heard.append(wire.decode(list(raw.recv_multipart()))[0])
    assert sum(isinstance(m, messages.Failed) for m in heard) == 1
    assert ask(raw, [submit({**long, "steps": 999}, job="twice")]) == messages.Failed(
        "twice",
        "bad_input",
        "job 'twice' already exists with other content; give each job its own id",
    )


def test_an_older_plug_in_is_told_what_to_do_in_its_own_protocol(raw: zmq.Socket[bytes]) -> None:
    for job, message in (("", {"type": "hello"}), ("j", {"type": "follow", "body": {"job": "j"}})):
        raw.send_multipart([json.dumps({"protocol": 1, **message}).encode()])
        assert raw.poll(10_000), "no answer"
        (answer,) = raw.recv_multipart()
        found = json.loads(answer)
        assert (found["protocol"], found["type"], found["frames"]) == (1, "failed", [])
        assert (found["body"]["job"], found["body"]["code"]) == (job, "bad_input")
        assert "`underpaint install` and its editor's name" in found["body"]["message"]


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_mutated_messages_never_stop_the_daemon(raw: zmq.Socket[bytes], data: Any) -> None:
    parts = [submit(Request.of(strength=0.0).values(), [LAYER]), bytes(16)]
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(parts) - 1))
        part = bytearray(parts[index])
        if part:
            place = data.draw(st.integers(0, len(part) - 1))
            part[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        parts[index] = bytes(part)
    raw.send_multipart(parts)
    raw.send_multipart(wire_bytes(messages.Hello("after")))
    while True:
        assert raw.poll(20_000), parts
        if isinstance(wire.decode(list(raw.recv_multipart()))[0], messages.Welcome):
            return


# ---- models --------------------------------------------------------------------------------


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def cut_short(folder: Path) -> None:
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def pickled(folder: Path) -> None:
    weights = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))


def eight_channels(folder: Path) -> None:
    file = folder / "unet" / "config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "in_channels": 8}))


def another_family(folder: Path) -> None:
    file = folder / "model_index.json"
    index = json.loads(file.read_text())
    file.write_text(json.dumps({**index, "_class_name": "KolorsPipeline"}))


def not_a_number(folder: Path) -> None:
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    tensors = {name: torch.full_like(t, torch.nan) for name, t in load_file(file).items()}
    save_file(tensors, file, metadata={"format": "pt"})


def half_of_it(folder: Path) -> None:
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(file)
    tensors = {name: tensors[name] for name in sorted(tensors)[: len(tensors) // 2]}
    save_file(tensors, file, metadata={"format": "pt"})


def endless_schedule(folder: Path) -> None:
    file = folder / "scheduler" / "scheduler_config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "num_train_timesteps": 10**9}))


@pytest.mark.parametrize(
    ("damage", "code", "told"),
    [
        (shutil.rmtree, "model", "is unknown; models found: sd, sdxl"),
        (without("model_index.json"), "model", "is not a model: there is no model_index.json"),
        (without("unet/config.json"), "model", "no unet/config.json"),
        (without("vae/diffusion_pytorch_model.safetensors"), "model", "no weights"),
        (lambda f: (f / "model_index.json").write_text("{"), "model", "cannot be read"),
        (pickled, "model", "a pickle.*convert it to safetensors"),
        (cut_short, "model", "damaged or cut short"),
        (half_of_it, "model", "cannot be opened"),
        (eight_channels, "model", "8 input channels"),
        (endless_schedule, "model", "num_train_timesteps 1000000000 is not a whole number"),
        (another_family, "model", "a KolorsPipeline, which is not supported yet"),
        (not_a_number, "failed", "not a number"),
    ],
)
def test_bad_models_are_said(
    daemon: Path, tmp_path: Path, damage: Callable[[Path], Any], code: str, told: str
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(daemon / "models" / "sd", folder)
    damage(folder)
    with connect() as connection:
        request = Request.of(model=str(folder), steps=2, width=64, height=64)
        *_, (last, _) = connection.events(connection.submit(request))
        assert isinstance(last, messages.Failed)
        assert last.code == code, last.message
        with pytest.raises(AssertionError, match=told):
            raise AssertionError(last.message)
        good = Request.of(model="sd", steps=2, width=64, height=64)
        *_, (last, _) = connection.events(connection.submit(good))
        assert isinstance(last, messages.Done)


def test_a_gigapixel_frame_is_refused_before_it_is_sent() -> None:
    with pytest.raises(BadInputError, match="megapixels; crop or scale it"):
        Frame("layer", Box(0, 0, 50_000, 50_000), "u1", "RGBA", b"")
