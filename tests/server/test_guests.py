"""Clients from elsewhere are told nothing of where this machine's user keeps files."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import zmq

import underpaint
from daemons import RUN
from example_recipe import make_recipe
from underpaint.models import find_model
from underpaint.models.other_tools import ADDITIONS, ToolFolder
from underpaint.models.roots import choose_root
from underpaint.server import keys
from underpaint.server.guests import PathFilter
from underpaint.server.paths import make_home
from underpaint_client import (
    Connection,
    Request,
    connect,
    messages,
    model_messages,
    prompt_messages,
    wire,
)
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.home import ConnectionInfo
from underpaint_client.model_entry import ModelEntry
from weight_files import write_safetensors


def header(message: messages.Message) -> Any:
    return json.loads(bytes(PathFilter().apply(wire.encode(message))[0]))["body"]


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ("look into {home}/logs/daemon.log", "look into UNDERPAINT_HOME/logs/daemon.log"),
        ("model {home}/models/a b has no unet", "model UNDERPAINT_HOME/models/a b has no unet"),
        ("model {disk}/x: '{disk}'", "model UNDERPAINT_MODELS/x: 'UNDERPAINT_MODELS'"),
        ("LoRA {loras}/ink is damaged", "LoRA UNDERPAINT_MODELS/ink is damaged"),
        ("{controlnets}/lines and {embeddings}/ink",
         "UNDERPAINT_MODELS/lines and UNDERPAINT_MODELS/ink"),
        ("LoRA {home}/loras/ink", "LoRA UNDERPAINT_HOME/loras/ink"),
        ("{chosen}/unet is missing", "my model/unet is missing"),
        ("{user}/Pictures and {user}", "HOME/Pictures and HOME"),
        ("{user}like, /mnt{user} and /etc", "{user}like, /mnt{user} and /etc"),
        ("in {package}/starter", "in underpaint/starter"),
    ],
)  # fmt: skip
def test_folders_are_named(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, wanted: str
) -> None:
    monkeypatch.setenv("UNDERPAINT_MODELS", str(tmp_path / "disk ä"))
    monkeypatch.setenv("UNDERPAINT_MODEL", str(tmp_path / "my model"))
    monkeypatch.setenv("HOME", "/home/ann")
    others = {kind: tmp_path / "webui" / kind for kind in ADDITIONS}
    for folder in others.values():
        folder.mkdir(parents=True)
    monkeypatch.setattr(
        "underpaint.models.roots.find_tools",
        lambda kind="": [ToolFolder("a1111", others[kind])] if kind else [],
    )
    choose_root("a1111", use=True)
    places = {
        **others,
        "home": home, "disk": tmp_path / "disk ä", "chosen": tmp_path / "my model",
        "user": "/home/ann", "package": Path(underpaint.__file__).parent,
    }  # fmt: skip
    told, wanted = told.format(**places), wanted.format(**places)
    assert header(messages.Failed("j", "failed", told))["message"] == wanted
    assert header(messages.Welcome("1", 1, "x", told))["remark"] == wanted
    assert header(model_messages.Models((ModelEntry("x", "", 0, told),)))["models"][0][
        "problem"
    ] == (wanted)


def test_what_a_client_sent_goes_back_as_it_came(home: Path) -> None:
    request = Request.of(prompt=f"a lake in {home}", model=str(home))
    job = messages.WaitingJob("j", request, f"note of {home}", ended=True)
    asked = header(messages.Waiting((job,)))["jobs"][0]["request"]
    assert asked["prompt"]["positive"] == request.prompt.positive
    assert asked["sampling"]["model"] == str(home)
    assert header(messages.Waiting((job,)))["jobs"][0]["note"] == job.note
    frames = [b"pixels"]
    failed = wire.encode(messages.Failed("j", "failed", f"{home}"))
    assert PathFilter().apply([*failed, *frames])[1:] == frames


def test_a_recipe_has_the_clients_prompt_and_not_the_daemons_folders(home: Path) -> None:
    prompt = f"a lake in {home}"
    recipe = make_recipe({"notes": (f"see {home}/logs",)}, prompt=prompt, model=str(home))
    found = header(messages.Picture("j", 0, "layer", recipe))["recipe"]
    assert found["request"]["prompt"]["positive"] == found["facts"]["prompt"] == prompt
    assert found["request"]["sampling"]["model"] == "UNDERPAINT_HOME"
    assert found["facts"]["notes"] == ["see UNDERPAINT_HOME/logs"]


def test_nobody_elsewhere_learns_which_users_there_are(home: Path) -> None:
    told = set()
    for name in ("root", "nobody-is-called-that"):
        for allow_paths in (False, True):
            with pytest.raises(ModelUnavailableError) as error:
                find_model(f"~{name}/x", allow_paths=allow_paths)
            if not allow_paths:
                told.add(str(error.value).replace(name, ""))
    assert len(told) == 1


def test_a_guest_who_asks_for_everything_learns_no_path(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every answer and error that a guest can bring about, read byte by byte."""
    make_home()
    (home / "jobs").mkdir()
    (home / "jobs" / "jobs.sqlite").write_bytes(b"damaged" * 1000)  # a remark for every client
    for name, content in {"nothing": "{}", "torn": "{", "refiner": '{"_class_name": "X"}'}.items():
        (home / "models" / name).mkdir(parents=True)
        (home / "models" / name / "model_index.json").write_text(content)
    elsewhere = tmp_path / "elsewhere" / "dear model"
    elsewhere.mkdir(parents=True)
    (elsewhere / "model_index.json").write_text("{")
    half = {"lora_unet_mid_block_x_to_k.lora_down.weight": ("F16", (8, 1280))}
    write_safetensors(elsewhere.parent / "half.safetensors", half)
    monkeypatch.setenv("UNDERPAINT_MODELS", str(elsewhere.parent))
    monkeypatch.setenv("UNDERPAINT_MODEL", str(elsewhere))
    process = subprocess.run(
        [*RUN, "serve", "--background", "--bind", "tcp://127.0.0.1:*"],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    *_, endpoint, server = process.stderr.split()
    public, secret = (key.decode() for key in zmq.curve_keypair())
    keys.allow(public, "guest")
    heard: list[str] = []
    models = ["", "nothing", "torn", "refiner", "dear model", "unheard-of", "../x", "/etc", "~"]
    with Connection(ConnectionInfo(endpoint, 0, server, public, secret)) as guest:
        assert "jobs-aside-1" in guest.hello().remark
        heard.append(repr(guest.welcome))
        heard.append(repr(guest.status()))
        heard.append(repr(guest._ask(model_messages.AskModels(), model_messages.Models, 5)))
        asked, answered = prompt_messages.AskPromptNames(), prompt_messages.PromptNames
        heard.append(repr(guest._ask(asked, answered, 5)))
        for model in models:
            job = guest.submit(
                Request.of(prompt="a lake", model=model, width=64, height=64, steps=1)
            )
            heard += [repr(message) for message, _ in guest.events(job)]
        guest.follow("unknown")
        received = guest.receive(5)
        while received is not None and not isinstance(received[0], messages.Failed):
            received = guest.receive(5)
        heard.append(repr(received))
        heard.append(repr(guest.waiting()))
        heard.append(repr(guest.status()))
    assert sum("Failed" in one for one in heard) > len(models)
    for text in heard:
        for secret_path in (home, tmp_path, Path.home(), Path(underpaint.__file__).parent):
            assert f"{secret_path}/" not in text
            assert f"{secret_path}'" not in text
    with connect() as owner:  # who is told all
        assert str(home) in owner.hello().remark
