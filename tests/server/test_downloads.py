"""Downloads that clients ask for: one after the other, each in a process of its own."""

from __future__ import annotations

import json
import select
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons import serve, until
from hub import Hub, folder_files, serve_hub
from underpaint.server.downloads import MOST, Downloads
from underpaint_client import Connection, connect, messages, model_messages
from underpaint_client.errors import BadInputError
from underpaint_client.model_messages import Download

FAKE = """
import json, pathlib, sys, time
print(json.dumps({"received": 0, "size": 100}), flush=True)
gate = pathlib.Path(sys.argv[1], sys.argv[2].replace("/", "-"))
while not gate.exists():
    print(json.dumps({"received": 50, "size": 100}), flush=True)
    time.sleep(0.01)
print(gate.read_text(), flush=True)
"""
"""A program that ends when a file named after its model is there, with that file's last event."""


class Scene:
    """Downloads by the program above, and what two clients are sent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sent: dict[str, list[Any]] = {"ann": [], "bob": []}
        self.downloads = Downloads(
            lambda client, message: self.sent[client].append(message),
            (sys.executable, "-c", FAKE, str(folder)),
        )

    def end(self, model: str, **event: Any) -> None:
        gate = self.folder / model.replace("/", "-")
        gate.with_suffix(".part").write_text(json.dumps(event))
        gate.with_suffix(".part").rename(gate)

    def run_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, self.sent
            if select.select([self.downloads.fd], [], [], 0.1)[0]:
                self.downloads.answer()

    def states(self, client: str, model: str) -> list[str]:
        """Return the states of a download as a client was told them, each once."""
        found = [m for m in self.sent[client] if isinstance(m, Download) and m.model == model]
        return list(dict.fromkeys(one.state for one in found))

    def run_until_state(self, model: str, state: str) -> None:
        self.run_until(lambda: self.states("ann", model)[-1:] == [state])


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    found = Scene(tmp_path)
    yield found
    found.downloads.close()


def test_downloads_run_one_after_the_other(scene: Scene) -> None:
    for model in ("some/a", "some/b"):
        scene.downloads.start("ann", model)
    scene.run_until(lambda: Download("some/a", "running", 50, 100) in scene.sent["ann"])
    assert scene.states("ann", "some/b") == ["waiting"]
    scene.end("some/a", path="/home/ann/models/a")
    scene.run_until_state("some/b", "running")
    assert Download("some/a", "done", 100, 100, "a") in scene.sent["ann"]
    scene.end("some/b", error="some/b is gated: accept its terms")
    scene.run_until_state("some/b", "failed")
    assert scene.sent["ann"][-1].message == "some/b is gated: accept its terms"


def test_a_download_is_stopped_and_started_again(scene: Scene) -> None:
    for model in ("some/a", "some/b"):
        scene.downloads.start("ann", model)
    scene.run_until_state("some/a", "running")
    scene.downloads.stop("some/a")
    scene.run_until_state("some/b", "running")
    assert scene.states("ann", "some/a") == ["waiting", "running", "stopped"]
    scene.downloads.start("ann", "some/a")
    scene.downloads.stop("some/a")  # while it waits
    scene.end("some/b", path="b")
    scene.run_until_state("some/b", "done")
    assert scene.sent["ann"][-1].model == "some/b"  # and nothing of the other
    scene.downloads.stop("some/unknown")


def test_a_process_that_is_killed_is_a_failure(scene: Scene) -> None:
    scene.downloads.start("ann", "some/a")
    scene.run_until_state("some/a", "running")
    running = scene.downloads._running
    assert running is not None
    running[1].kill()
    scene.run_until_state("some/a", "failed")
    assert "ended unexpectedly (exit code -9)" in scene.sent["ann"][-1].message


def test_who_asks_later_is_told_how_far_each_is(scene: Scene, home: Path) -> None:
    scene.downloads.start("ann", "some/a")
    scene.run_until_state("some/a", "running")
    (home / "models" / "stable-diffusion-v1-5").mkdir(parents=True)
    (home / "models" / "stable-diffusion-v1-5" / "model_index.json").write_text("{")
    scene.downloads.handle("bob", model_messages.AskSuggestions())
    sent = scene.sent["bob"]
    scene.run_until(lambda: any(isinstance(one, model_messages.Suggestions) for one in sent))
    (index,) = (n for n, one in enumerate(sent) if isinstance(one, model_messages.Suggestions))
    suggestions, download = sent[index : index + 2]
    assert suggestions.memory > 0
    assert suggestions.models[0].model == "stable-diffusion-v1-5/stable-diffusion-v1-5"
    assert [one.is_there for one in suggestions.models][:2] == [True, False]
    assert (download.model, download.state) == ("some/a", "running")
    scene.downloads.forget("bob")
    told = len(scene.sent["bob"])
    scene.end("some/a", path="a")
    scene.run_until_state("some/a", "done")
    assert len(scene.sent["bob"]) == told


@pytest.mark.parametrize(
    "model",
    ["", "nothing", "a/../b", "../../x/y", "a b/c", "x/" * 200, "a/b/\0", "a/b/\x1b[31m.gguf"],
)
def test_what_is_no_id_is_refused(scene: Scene, model: str) -> None:
    with pytest.raises(BadInputError, match="is not an id of the Hugging Face Hub"):
        scene.downloads.start("ann", model)
    assert scene.sent["ann"] == []


def test_a_client_cannot_have_any_number_of_downloads(scene: Scene) -> None:
    for number in range(MOST):
        scene.downloads.start("ann", f"some/{number}")
    with pytest.raises(BadInputError, match="downloads wait already"):
        scene.downloads.start("ann", "some/more")
    scene.downloads.stop("some/5")
    scene.downloads.start("ann", "some/more")  # in the place of the one that has ended
    assert len(scene.downloads._downloads) == MOST


def receive_until(
    connection: Connection, condition: Callable[[messages.Message], bool]
) -> list[messages.Message]:
    found: list[messages.Message] = []
    while not found or not condition(found[-1]):
        received = connection.receive(60)
        assert received is not None, found
        found.append(received[0])
    return found


def test_a_model_comes_from_the_hub_and_is_listed(
    home: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real program, daemon and client; the hub is our own."""
    files = folder_files(models / "sd")
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(home / "hub"))
    with serve_hub(Hub(files)) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        process = serve()
        with connect() as connection:
            connection.send(model_messages.StartDownload("some/model"))
            told = receive_until(
                connection, lambda m: isinstance(m, Download) and m.state in ("done", "failed")
            )
            last = told[-1]
            assert isinstance(last, Download)
            size = sum(map(len, files.values()))
            assert (last.state, last.message, last.received) == ("done", "model", last.size)
            assert 0 < last.size <= size
            connection.send(model_messages.AskModels())
            (*_, listed) = receive_until(connection, lambda m: isinstance(m, model_messages.Models))
            assert isinstance(listed, model_messages.Models)
            assert "model" in {one.name for one in listed.models if not one.problem}
            connection.send(model_messages.StartDownload("some/other"))
            (*_, last) = receive_until(
                connection, lambda m: isinstance(m, Download) and m.state in ("done", "failed")
            )
            assert isinstance(last, Download)
            assert "the Hugging Face Hub has no model some/other" in last.message
        process.terminate()
        process.communicate()
    until(lambda: process.poll() is not None)
