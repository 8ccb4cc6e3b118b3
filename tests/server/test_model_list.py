"""The daemon looks for models beside its other work."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from underpaint.models import scanning
from underpaint.models.pictures import SmallPicture
from underpaint.models.probes import read_contents
from underpaint.server import model_list
from underpaint.server.guests import PathFilter
from underpaint.server.model_list import Entries, ModelList
from underpaint_client import messages, wire
from weight_files import SD1, write_safetensors


@pytest.fixture
def library(home: Path) -> Path:
    """A folder of five models that nobody has looked into yet."""
    for number in range(5):
        write_safetensors(home / "models" / f"{number}.safetensors", SD1)
    return home / "models"


@pytest.fixture
def models(library: Path) -> Iterator[ModelList]:
    """A list of its models."""
    found = ModelList()
    yield found
    found.close()


def ask(models: ModelList) -> Entries:
    told: list[tuple[Entries | None, Exception | None]] = []
    models.request(lambda entries, error: told.append((entries, error)))
    while not told:
        assert select.select([models.fd], [], [], 30)[0]
        models.answer()
    ((entries, error),) = told
    assert error is None
    assert entries is not None
    return entries


def test_the_list_comes_when_it_is_there(models: ModelList, library: Path) -> None:
    assert {"0", "4"} <= {entry.name for entry in ask(models) if not entry.problem}
    assert models.default() == "0"
    write_safetensors(library / "00.safetensors", SD1)
    assert "00" in {entry.name for entry in ask(models)}


def test_a_slow_disk_holds_up_nothing(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known is listed, and the rest is looked into afterwards."""
    gate = threading.Semaphore(0)

    def wait(file: Path) -> object:
        gate.acquire()
        return read_contents(file)

    monkeypatch.setattr(scanning, "read_contents", wait)
    monkeypatch.setattr(model_list, "SLICE", 0)
    monkeypatch.setattr(model_list, "FIRST_PATIENCE", 0.01)
    models = ModelList()
    try:
        assert models.default() == ""  # nothing is known, and nothing waits
        told: list[Entries | None] = []
        models.request(lambda entries, _error: told.append(entries))
        for _ in range(2):
            gate.release()
        while not told:
            gate.release()
            select.select([models.fd], [], [], 0.05)
            models.answer()
        deadline = time.monotonic() + 30
        while any(one.is_unknown for one in scanning.scan(seconds=-1)):
            assert time.monotonic() < deadline
            gate.release()
            time.sleep(0.01)
        for _ in range(50):
            gate.release()
        assert {"0", "4"} <= {entry.name for entry in ask(models)}
    finally:
        for _ in range(50):
            gate.release()
        models.close()


def test_an_error_is_told(models: ModelList, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_list, "list_entries", lambda _: 1 // 0)
    told: list[Exception | None] = []
    models.request(lambda _entries, error: told.append(error))
    while not told:
        assert select.select([models.fd], [], [], 30)[0]
        models.answer()
    assert isinstance(told[0], ZeroDivisionError)


def test_the_last_picture_that_a_client_asks_for_is_read(models: ModelList, library: Path) -> None:
    for number, red in enumerate((10, 20, 30)):
        Image.new("RGB", (8, 4), (red, 0, 0)).save(library / f"{number}.png")
    gate = threading.Event()
    models._thread.submit(gate.wait)
    told: list[tuple[str, bytes]] = []

    def request_picture(client: str, model: str) -> None:
        def tell(picture: SmallPicture | None) -> None:
            told.append((model, b"" if picture is None else picture.pixels[:4]))

        models.request_picture(client, model, tell)

    for model in ("0", "1", "2"):
        request_picture("one", model)
    for model in ("0", "../models/0", str(library / "0")):
        request_picture(model, model)
    gate.set()
    while len(told) < 4:
        assert select.select([models.fd], [], [], 30)[0]
        models.answer()
    assert told == [
        ("2", b"\x1e\0\0\xff"),
        ("0", b"\x0a\0\0\xff"),
        ("../models/0", b""),
        (str(library / "0"), b""),
    ]


def test_guests_are_not_told_of_folders_that_are_chosen_later(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("underpaint.server.guests._LOOK_AGAIN", 0)
    paths = PathFilter()
    (home / "config.toml").write_text(f"[models]\nfolders = ['{tmp_path}/disk']\n")
    failed = messages.Failed("j", "failed", f"weights {tmp_path}/disk/a.safetensors are damaged")
    header = bytes(paths.apply(wire.encode(failed))[0])
    assert b"UNDERPAINT_MODELS/a.safetensors" in header
    assert str(tmp_path).encode() not in header
