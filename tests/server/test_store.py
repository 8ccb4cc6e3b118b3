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

from underpaint.server.pixel_files import DamagedFileError
from underpaint.server.retention import DAY, Entry, Retention, find_old, outdated, oversized
from underpaint.server.store import Store
from underpaint.server.store_opening import open_store
from underpaint.server.stored_job import ENDED, QUEUED, RUNNING, TAKEN, StoredJob
from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.frames import Bytes


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "jobs")
    yield store
    store.close()


def add(store: Store, name: str, *pixels: Bytes) -> StoredJob | None:
    return store.add(name, [b"{header}", *pixels], owner="me", trusted=True, digest=b"d")


def read(parts: list[Bytes]) -> list[bytes]:
    return [bytes(part) for part in parts]


def files(store: Store) -> int:
    return len(list(store._files.folder.iterdir()))


def test_jobs_of_one_person_under_several_names_become_one_owners(store: Store) -> None:
    for name, owner in (("a", ""), ("b", "own key"), ("c", "guest"), ("d", "own key")):
        store.add(name, [b"{}"], owner=owner, trusted=True, digest=b"")
    for owner in ("own key", "", "", "own key"):
        store.adopt(owner, {"", "own key"})
        found = {kept.name: kept.owner for kept in store.unfinished()}
        assert found == {"a": owner, "b": owner, "c": "guest", "d": owner}


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
    assert [read(parts) for parts in store.pictures("a").whole] == [
        [b"first", b"1"],
        [b"second", b"22"],
    ]
    store.end("a", b"done")
    assert store.unfinished() == []
    (kept,) = store.ended("me")
    assert (kept.state, kept.ending, kept.header) == (ENDED, b"done", b"{header}")
    assert store.ended("you") == []
    assert files(store) == 2  # what it was sent with has gone
    store.mark_taken("a")
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
    assert [read(parts) for parts in store.pictures("a").whole] == [[b"first", b"1"]]
    assert store.numbers("a") == {0}
    assert files(store) == 2


def test_what_cannot_be_written_leaves_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("underpaint.server.pixel_files._write_all", full)
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


def test_what_was_half_written_is_removed_and_what_is_whole_is_not(
    store: Store, tmp_path: Path
) -> None:
    add(store, "a", b"pixels")
    (store._files.folder / "ab12.part").write_bytes(b"half")
    (store._files.folder / "cd34").write_bytes(b"whole, and in no record")
    store.close()
    store = Store(tmp_path / "jobs")
    assert files(store) == 2
    assert read(store.submission("a")) == [b"{header}", b"pixels"]
    store.close()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"pix", "3 bytes instead of 6"),
        (b"", "0 bytes"),
        (None, "is missing"),
        (b"pixelz", "does not have the bytes that were written"),
    ],
)
def test_pixels_that_were_cut_or_changed_are_not_taken_for_whole(
    store: Store, content: bytes | None, told: str
) -> None:
    add(store, "a", b"pixels")
    (file,) = store._files.folder.iterdir()
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DamagedFileError, match=told):
        store.submission("a")


def test_large_pixels_are_compared_in_every_byte(store: Store) -> None:
    pixels = bytes(range(256)) * 2**13
    add(store, "a", pixels)
    assert read(store.submission("a"))[1] == pixels
    (file,) = store._files.folder.iterdir()
    for place in (0, 2**20, len(pixels) - 1):
        changed = bytearray(pixels)
        changed[place] ^= 1
        file.write_bytes(changed)
        with pytest.raises(DamagedFileError):
            store.submission("a")


def test_files_of_an_older_underpaint_have_no_checksum(store: Store) -> None:
    add(store, "a", b"pixels")
    (file,) = store._files.folder.iterdir()
    old = file.name.partition("-")[0]
    file.rename(file.with_name(old))
    store._execute("UPDATE jobs SET file = ?", old)
    assert read(store.submission("a"))[1] == b"pixels"


def test_whole_pictures_are_read_beside_damaged_ones(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, "a")
    for number in range(4):
        store.add_picture("a", number, [b"header", b"%d" % number * 9])
    names = dict(store._execute("SELECT number, file FROM pictures"))
    (store._files.folder / names[1]).write_bytes(b"cut")
    (store._files.folder / names[2]).unlink()
    whole, unreadable = store.pictures("a")
    assert [read(parts)[1] for parts in whole] == [b"0" * 9, b"3" * 9]
    assert unreadable == {
        1: f"{names[1]} has 3 bytes instead of 9",
        2: f"{names[2]} is missing",
    }

    def fail(*_: object, **__: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Path, "open", fail)
    assert store.pictures("a") == ([], dict.fromkeys(range(4), "Too many open files"))


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
        assert [read(parts)[1] for parts in store.pictures(name).whole] == [b"y" * 5000]


def entry(name: str, size: int = 0, owner: str = "") -> Entry:
    return Entry(name, owner, 0.0, size)


@pytest.mark.parametrize(
    ("ended", "old_since", "going"),
    [
        ([], {}, []),
        ([entry("old"), entry("new")], {"old": 0.0}, ["old"]),
        ([entry("found old a moment ago")], {"found old a moment ago": DAY}, []),
        ([entry("large", 9), entry("larger", 10)], {}, []),
    ],
)
def test_what_goes_as_it_is_old(
    ended: list[Entry], old_since: dict[str, float], going: list[str]
) -> None:
    assert outdated(ended, old_since, awake=1.5 * DAY) == going


TAKEN_ENTRY = Entry("taken", "", 0.0, 1, is_taken=True)


@pytest.mark.parametrize(
    ("ended", "running", "going"),
    [
        ([], {}, []),
        ([entry("large", 3), entry("larger", 5)], {}, []),
        ([entry("first", 3), entry("second", 3), entry("third", 3)], {}, ["first"]),
        ([entry("first", 9), entry("second", 9)], {}, ["first"]),
        ([entry("the newest", 9)], {}, []),
        ([entry("the newest", 9), TAKEN_ENTRY], {}, ["taken"]),
        ([TAKEN_ENTRY, entry("large", 8), entry("new", 1)], {}, ["taken", "large"]),
        ([entry("empty"), entry("large", 9)], {}, []),
        (
            [entry("mine", 7), entry("a guest's", 9, "guest"), entry("b", 1, "guest")],
            {},
            ["a guest's"],
        ),
        ([entry("a guest's", 8, "guest"), entry("mine", 8)], {}, []),
        ([entry("first", 3), entry("second", 3)], {"": 3}, ["first"]),
        ([entry("first", 3), entry("second", 3)], {"guest": 3}, []),
    ],
)
def test_what_goes_to_make_room(
    ended: list[Entry], running: dict[str, int], going: list[str]
) -> None:
    limit = Retention(days=7, gigabytes=8 / 2**30)
    assert [entry.name for entry in oversized(ended, running, limit)] == going


def test_what_is_old() -> None:
    changed = {"old": -8 * DAY, "new": -6 * DAY, "of the future": 1000 * DAY}
    assert find_old(changed, Retention(days=7), 0.0) == {"old"}


def test_pruning_removes_files(store: Store) -> None:
    add(store, "a", b"pixels")
    store.add_picture("a", 0, [b"", b"picture"])
    add(store, "b", b"pixels")
    store.end("a", b"done")
    late = time.time() + 8 * DAY
    assert store.prune(Retention(), time.time() + 6 * DAY, DAY) == []
    assert store.prune(Retention(), time.time() - 100 * DAY, DAY) == []  # the clock was moved back
    assert store.prune(Retention(), late, DAY) == []
    assert store.prune(Retention(), late, DAY - 1) == []
    assert store.prune(Retention(), late, 1) == ["a"]
    assert store.find("a") is None
    assert files(store) == 1  # "b" waits, however long


def test_a_clock_that_jumped_ahead_removes_nothing(store: Store, tmp_path: Path) -> None:
    add(store, "a")
    store.end("a", b"done")
    now, ahead = time.time(), time.time() + 8 * DAY
    for _ in range(5):  # however often it does, as long as it is put right within a day
        assert store.prune(Retention(), ahead, DAY / 2) == []
        assert store.prune(Retention(), ahead, DAY / 2 - 1) == []
        assert store.prune(Retention(), now, 1) == []


def test_days_of_a_daemon_that_starts_every_morning_count(store: Store, tmp_path: Path) -> None:
    add(store, "a")
    store.end("a", b"done")
    gone: list[list[str]] = []
    for day in range(8, 18):
        store.close()
        store = Store(tmp_path / "jobs")
        gone += [store.prune(Retention(), time.time() + day * DAY, awake) for awake in (0, 10000)]
    assert gone.index(["a"]) == 17  # nine times 10,000 s after the first look
    store.close()


def test_files_that_no_record_names_go_as_late_as_results(store: Store) -> None:
    (store._files.folder / "cd34").write_bytes(b"whole, and in no record")
    late = time.time() + 8 * DAY
    store.prune(Retention(), time.time(), DAY)
    store.prune(Retention(), late, DAY)
    assert files(store) == 1
    store.prune(Retention(), late, DAY)
    assert files(store) == 0


@pytest.mark.parametrize("state", ["nowhere", TAKEN])
def test_a_picture_of_no_job_is_not_kept(store: Store, state: str) -> None:
    if state == TAKEN:
        add(store, "a")
        store.end("a", b"done")
        store.mark_taken("a")
    store.add_picture("a", 0, [b"", b"picture"])
    assert files(store) == 0
    assert store.numbers("a") == set()


def test_pictures_that_an_earlier_version_left_without_a_job_go(store: Store) -> None:
    add(store, "a")
    store.add_picture("a", 0, [b"", b"picture"])
    store._execute("DELETE FROM jobs WHERE name = 'a'")
    before = files(store)
    store.prune(Retention(), time.time(), 0)
    assert store.numbers("a") == set()
    assert files(store) == before - 1  # the submission's goes as one that no record names


def test_who_asks_for_what_went_to_make_room_is_told_so(store: Store) -> None:
    for name in ("a", "b"):
        add(store, name)
        store.add_picture(name, 0, [b"", bytes(2**20)])
        store.end(name, b"done")
    limit = Retention(gigabytes=1 / 1024)
    store.prune(limit, time.time(), 0, lambda name: b"no room for " + name.encode())
    kept = store.find("a")
    assert kept is not None
    assert (kept.state, kept.ending) == (TAKEN, b"no room for a")
    assert [one.name for one in store.ended("me")] == ["b"]  # the newest stays, whatever its size


@pytest.mark.parametrize("where", ["note", "ending", "picture's header", "pixels"])
def test_everything_on_the_disk_counts(store: Store, where: str) -> None:
    large = bytes(2**20)

    def bytes_of(wanted: str) -> bytes:
        return large if where == wanted else b"x"

    for number in range(8):
        name = str(number)
        store.add(name, [bytes_of("note")], owner="guest", trusted=False, digest=b"")
        store.add_picture(name, 0, [bytes_of("picture's header"), bytes_of("pixels")])
        store.end(name, bytes_of("ending"))
    store.prune(Retention(gigabytes=4 / 1024), time.time(), 0)
    left = [kept.name for kept in store.ended("guest")]
    assert left == ["5", "6", "7"]


def test_no_guest_pushes_out_the_results_of_another(store: Store) -> None:
    store.add("mine", [b""], owner="", trusted=True, digest=b"")
    store.add_picture("mine", 0, [b"", bytes(2**20)])
    store.end("mine", b"done")
    for number in range(8):
        store.add(str(number), [bytes(2**20)], owner="guest", trusted=False, digest=b"")
        store.end(str(number), b"done")
    store.prune(Retention(gigabytes=2.5 / 1024), time.time(), 0)
    assert [kept.name for kept in store.ended("")] == ["mine"]
    assert [kept.name for kept in store.ended("guest")] == ["6", "7"]


@pytest.mark.parametrize("left", [b"", None])
def test_pixels_whose_records_are_lost_are_put_aside(tmp_path: Path, left: bytes | None) -> None:
    folder = tmp_path / "jobs"
    store = Store(folder)
    add(store, "a", b"pixels")
    store.close()
    for records in folder.glob("jobs.sqlite*"):
        records.unlink()
    if left is not None:
        (folder / "jobs.sqlite").write_bytes(left)
    store, remark = open_store(folder)
    assert "its records are missing" in remark
    assert "jobs-aside-1" in remark
    assert files(store) == 0
    store.close()
    (aside,) = (tmp_path / "jobs-aside-1" / "pixels").iterdir()
    assert aside.read_bytes() == b"pixels"
    store, remark = open_store(folder)  # a new one without pixels is no lost one
    assert remark == ""
    store.close()
