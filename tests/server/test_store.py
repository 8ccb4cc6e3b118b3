from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from underpaint.server.store import (
    ENDED,
    QUEUED,
    RUNNING,
    TAKEN,
    Kept,
    Retention,
    Store,
    open_store,
    outdated,
)
from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.wire import Bytes

DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "jobs")
    yield store
    store.close()


def add(store: Store, name: str, *pixels: Bytes) -> Kept | None:
    return store.add(name, [b"{header}", *pixels], owner="me", trusted=True, digest=b"d")


def read(parts: list[Bytes]) -> list[bytes]:
    return [bytes(part) for part in parts]


def files(store: Store) -> int:
    return len(list(store._pixels.iterdir()))


def test_a_job_from_its_submission_to_its_end(store: Store, tmp_path: Path) -> None:
    assert add(store, "a", b"layer" * 1000, b"", b"mask") is None
    (kept,) = store.unfinished()
    assert (kept.name, kept.owner, kept.trusted, kept.state) == ("a", "me", True, QUEUED)
    assert read(store.submission("a")) == [b"{header}", b"layer" * 1000, b"", b"mask"]
    store.mark("a", RUNNING, 1)
    store.add_picture("a", 1, [b"second", b"22"])
    store.add_picture("a", 0, [b"first", b"1"])
    store.close()

    store = Store(tmp_path / "jobs")  # as another process finds it
    (kept,) = store.unfinished()
    assert (kept.state, kept.deaths) == (RUNNING, 1)
    assert [read(parts) for parts in store.pictures("a")] == [[b"first", b"1"], [b"second", b"22"]]
    store.end("a", b"done")
    assert store.unfinished() == []
    (kept,) = store.ended("me")
    assert (kept.state, kept.ending, kept.header) == (ENDED, b"done", b"{header}")
    assert store.ended("you") == []
    assert files(store) == 2  # what it was sent with has gone
    store.take("a")
    assert store.ended("me") == []
    assert files(store) == 0
    known = add(store, "a", b"again")
    assert known is not None
    assert known.state == TAKEN
    assert files(store) == 0


def test_a_job_is_its_id(store: Store) -> None:
    assert add(store, "a", b"1") is None
    known = store.add("a", [b"other", b"2"], owner="you", trusted=False, digest=b"other")
    assert known is not None
    assert known.digest == b"d"
    assert read(store.submission("a")) == [b"{header}", b"1"]
    assert files(store) == 1


def test_a_picture_that_comes_twice_is_kept_once(store: Store) -> None:
    add(store, "a")
    store.add_picture("a", 0, [b"first", b"1"])
    store.add_picture("a", 0, [b"again", b"2"])
    assert [read(parts) for parts in store.pictures("a")] == [[b"first", b"1"]]
    assert store.numbers("a") == {0}
    assert files(store) == 2


def test_what_cannot_be_written_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("underpaint.server.store._write_all", full)
    with pytest.raises(OSError, match="No space"):
        add(store, "a", b"pixels")
    assert store.find("a") is None
    assert files(store) == 0


def test_files_are_their_owners_alone(store: Store, tmp_path: Path) -> None:
    add(store, "a", b"pixels")
    for path in (tmp_path / "jobs", tmp_path / "jobs" / "pixels"):
        assert path.stat().st_mode & 0o777 == 0o700
    (file,) = (tmp_path / "jobs" / "pixels").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_store_that_is_locked_is_no_damaged_one(tmp_path: Path) -> None:
    folder = tmp_path / "jobs"
    Store(folder).close()
    other = sqlite3.connect(folder / "jobs.sqlite", isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(DaemonUnavailableError, match="database is locked.*close what uses it"):
        open_store(folder)
    other.close()
    assert folder.exists()


@pytest.mark.parametrize("damage", [b"", b"not a database, but something else" * 100])
def test_a_damaged_store_is_put_aside(tmp_path: Path, damage: bytes) -> None:
    folder = tmp_path / "jobs"
    store = Store(folder)
    add(store, "a", b"pixels")
    store.close()
    records = folder / "jobs.sqlite"
    records.write_bytes(damage or records.read_bytes()[:4096] + os.urandom(8192))
    for number in (1, 2):
        store, remark = open_store(folder)
        assert f"jobs-aside-{number}" in remark
        assert store.unfinished() == []
        assert (tmp_path / f"jobs-aside-{number}" / "jobs.sqlite").exists()
        store.close()
        records.write_bytes(b"damaged once more" * 100)


def test_a_newer_store_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "jobs"
    Store(folder).close()
    records = sqlite3.connect(folder / "jobs.sqlite")
    records.execute("PRAGMA user_version = 99")
    records.close()
    store, remark = open_store(folder)
    store.close()
    assert "version 99, newer than 1" in remark


def test_what_was_half_written_is_swept(store: Store, tmp_path: Path) -> None:
    add(store, "a", b"pixels")
    (store._pixels / "ab12.part").write_bytes(b"half")
    (store._pixels / "cd34").write_bytes(b"whole, and in no record")
    store.close()
    store = Store(tmp_path / "jobs")
    assert files(store) == 1
    assert read(store.submission("a")) == [b"{header}", b"pixels"]


def test_pixels_that_were_cut_are_not_taken_for_whole(store: Store) -> None:
    add(store, "a", b"pixels")
    (file,) = store._pixels.iterdir()
    file.write_bytes(b"pix")
    with pytest.raises(OSError, match="3 bytes instead of 6"):
        store.submission("a")


_WRITER = """
import sys
from pathlib import Path
from underpaint.server.store import Store
store = Store(Path(sys.argv[1]))
for number in range(10**6):
    name = f"{sys.argv[2]}-{number}"
    store.add(name, [b"{}", b"x" * 5000], owner="", trusted=True, digest=b"")
    store.add_picture(name, 0, [b"{}", b"y" * 5000])
    store.end(name, b"{}")
    print(name, flush=True)
"""


def test_what_was_written_survives_a_kill(tmp_path: Path) -> None:
    said: list[str] = []
    for round_ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path / "jobs"), str(round_)],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        said += itertools.islice(process.stdout, 3)
        time.sleep(0.02 * round_)
        process.send_signal(signal.SIGKILL)
        said += process.communicate()[0].split()
    store, remark = open_store(tmp_path / "jobs")
    assert remark == ""
    assert len(said) >= 18
    for name in (line.strip() for line in said):
        kept = store.find(name)
        assert kept is not None
        assert kept.state == ENDED
        assert [read(parts)[1] for parts in store.pictures(name)] == [b"y" * 5000]


def kept(name: str, age: float = 0, size: int = 0, state: str = ENDED) -> Kept:
    return Kept(name, "", True, b"", state, 0, b"", None, -age * DAY, size)


@pytest.mark.parametrize(
    ("jobs", "going"),
    [
        ([], []),
        ([kept("old", 8), kept("new", 6)], ["old"]),
        ([kept("old", 8, state=TAKEN)], ["old"]),
        ([kept("waits", 100, state=QUEUED), kept("runs", 100, state=RUNNING)], []),
        ([kept("large", size=3), kept("larger", size=5)], []),
        ([kept("first", size=3), kept("second", size=3), kept("third", size=3)], ["first"]),
        ([kept("first", size=9), kept("second", size=9)], ["first", "second"]),
        ([kept("empty"), kept("large", size=9)], ["large"]),
        ([kept("waits", size=9, state=QUEUED), kept("ended", size=1)], []),
        ([kept("old", 8, size=9), kept("new", 1, size=7)], ["old"]),
        ([kept("of the future", -1000)], []),
    ],
)
def test_what_goes(jobs: list[Kept], going: list[str]) -> None:
    gib = Retention(days=7, gigabytes=8 / 2**30)
    assert outdated(jobs, gib, 0.0) == going


def test_pruning_removes_files(store: Store) -> None:
    add(store, "a", b"pixels")
    store.add_picture("a", 0, [b"", b"picture"])
    add(store, "b", b"pixels")
    store.end("a", b"done")
    assert store.prune(Retention(), time.time() + 6 * DAY) == []
    assert store.prune(Retention(), time.time() - 100 * DAY) == []  # the clock was moved back
    assert store.prune(Retention(), time.time() + 8 * DAY) == ["a"]
    assert store.find("a") is None
    assert files(store) == 1
