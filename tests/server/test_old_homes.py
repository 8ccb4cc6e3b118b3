"""Homes that earlier versions left: their jobs, results, keys and settings are of use.

`old_homes` has what `keep_home.py` made with the code of each version of the protocol.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemons import RUN, serve
from underpaint.server import config
from underpaint.server.arrays import to_pixels
from underpaint.server.keys import list_allowed, own_keys
from underpaint_client import connect, messages
from underpaint_client.address import Address
from underpaint_editor.form import Form

HOMES = sorted((Path(__file__).parent / "old_homes").glob("protocol-*.tar.gz"))

ENDED = {"kept": 1, "varied": 2, "chained": 2, "failed": 0}
"""Jobs whose results wait, and how many pictures each has."""

UNFINISHED = {"running": 1, "queued": 1, "new": 1}


@pytest.fixture(params=HOMES, ids=lambda file: file.name.partition(".")[0])
def old_home(home: Path, models: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    with tarfile.open(request.param) as archive:
        archive.extractall(home, filter="tar")
    shutil.copytree(models / "sd", home / "models" / "sd")
    yield home
    subprocess.run([*RUN, "stop"], check=False, capture_output=True)


def test_its_jobs_run_and_its_results_are_delivered(old_home: Path) -> None:
    process = serve()
    found: dict[str, list[Any]] = {}
    recipes: dict[str, list[Any]] = {}
    ends: dict[str, messages.Message] = {}
    with connect() as connection:
        assert connection.hello().remark == ""
        waiting = {one.job: one for one in connection.waiting()}
        assert {name: one.ended for name, one in waiting.items()} == {
            **dict.fromkeys(ENDED, True),
            **dict.fromkeys(UNFINISHED, False),
        }
        assert Address.from_text(waiting["queued"].note).document == "/queued.kra"
        for name in (*ENDED, *UNFINISHED, "taken"):
            connection.follow(name)
            for message, frames in connection.events(name):
                if isinstance(message, messages.Picture):
                    found.setdefault(name, []).append(to_pixels(frames[0]))
                    recipes.setdefault(name, []).append(message.recipe)
            ends[name] = message
        assert connection.waiting() == ()
    process.terminate()
    process.communicate()
    assert {name: len(pictures) for name, pictures in found.items()} == {
        name: number for name, number in {**ENDED, **UNFINISHED}.items() if number
    }
    for name in ("kept", "varied", "chained", *UNFINISHED):
        assert ends[name] == messages.Done(name)
    failed, taken = ends["failed"], ends["taken"]
    assert isinstance(failed, messages.Failed)
    assert "'gone'" in failed.message
    assert isinstance(taken, messages.Failed)
    assert "fetched already" in taken.message
    assert found["kept"][0][4:10, 4:10, 3].max() == 0  # at strength 0 a hole stays one
    assert found["new"][0].shape == (64, 64, 4)


def test_its_keys_and_settings_hold(old_home: Path) -> None:
    assert [one.comment for one in list_allowed()] == ["laptop"]
    assert list_allowed()[0].public == own_keys("client").public
    read = config.read_config().retention
    assert (read.days, read.gigabytes) == (30, 2)
    form = Form.from_text((old_home / "form.json").read_text(encoding="utf-8"))
    assert form == Form.of(prompt="a lake", strength=0.4, seed=3, seed_locked=True, images=2)
