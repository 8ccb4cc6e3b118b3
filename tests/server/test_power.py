"""What a power cut, a cut file or a full disk leaves of the store, at each of its steps."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from underpaint.server import pixel_files
from underpaint.server.pixel_files import PixelFiles
from underpaint.server.records import Records
from underpaint.server.store import Store
from underpaint.server.store_opening import open_store
from underpaint.server.stored_job import ENDED, QUEUED, RUNNING, TAKEN

LAYER, FIRST, SECOND = b"layer" * 2000, b"first" * 2000, b"second" * 2000


@dataclass
class Disk:
    """A disk that keeps only what was forced to it, and notes each step.

    Parameters
    ----------
    folder : Path
        The store's.
    steps : list of str
        What was done, in order.
    unsynced : set of str
        Names of files whose content may be lost.
    unnamed : dict of str to str
        Names that may be lost, and what each was before.
    removed : dict of str to bytes
        Files whose removal may be lost, and what was in them.
    promised : dict of str to tuple
        For each job whose call has returned: its state, and the pixels that it must have.
    """

    folder: Path
    steps: list[str] = field(default_factory=list)
    unsynced: set[str] = field(default_factory=set)
    unnamed: dict[str, str] = field(default_factory=dict)
    removed: dict[str, bytes] = field(default_factory=dict)
    promised: dict[str, tuple[str, list[bytes]]] = field(default_factory=dict)
    cuts: int = 0

    @property
    def pixels(self) -> Path:
        return self.folder / "pixels"

    def step(self, told: str) -> None:
        self.cut_power(told)
        self.steps.append(told)

    def cut_power(self, told: str) -> None:
        """See what a store finds that is opened after a power cut at this moment."""
        for spoil in (self._lose_nothing, self._lose_content, self._lose_names):
            self.cuts += 1
            found = self.folder.parent / f"cut-{self.cuts}"
            shutil.copytree(self.folder, found)
            spoil(found / "pixels")
            try:
                self._judge(found)
            except AssertionError as error:
                raise AssertionError(f"{spoil.__name__} before {told}: {error}") from error
            shutil.rmtree(found)

    def _lose_nothing(self, pixels: Path) -> None:
        pass

    def _lose_content(self, pixels: Path) -> None:
        for name in self.unsynced:
            (pixels / name).write_bytes((pixels / name).read_bytes()[:100])

    def _lose_names(self, pixels: Path) -> None:
        for name, before in self.unnamed.items():
            (pixels / name).rename(pixels / before)
        for name, content in self.removed.items():
            (pixels / name).write_bytes(content)

    def _judge(self, found: Path) -> None:
        store, remark = open_store(found)
        try:
            assert remark == ""
            for job, (state, pixels) in self.promised.items():
                kept = store.find(job)
                assert kept is not None, f"{job} is lost"
                if state == QUEUED:
                    assert kept.state in {QUEUED, RUNNING, ENDED, TAKEN}
                else:
                    assert kept.state in {state, TAKEN}
                if kept.state in {QUEUED, RUNNING}:
                    assert [bytes(part) for part in store.submission(job)[1:]] == [LAYER]
                whole, unreadable = store.pictures(job)
                assert unreadable == {}
                if kept.state != TAKEN:
                    assert {bytes(parts[1]) for parts in whole} >= set(pixels)
        finally:
            store.close()


class _Recorded(sqlite3.Connection):
    disk: Disk | None = None

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        changes = statement.split(maxsplit=1)[0] in {"INSERT", "UPDATE", "DELETE", "COMMIT"}
        if self.disk is not None and changes:
            self.disk.step(" ".join(statement.split()[:3]))
        return super().execute(statement, *values)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A store's folder of which every step is noted."""
    disk = Disk(tmp_path / "jobs")
    watch_content(disk, monkeypatch)
    watch_names(disk, monkeypatch)
    return disk


def watch_content(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync, write = os.fsync, os.write

    def on_write(descriptor: int, data: Any) -> int:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.parent != disk.pixels:
            return write(descriptor, data)
        disk.step(f"write {path.suffix}")
        disk.unsynced.add(path.name)
        return write(descriptor, data[: len(data) // 2 + 1])  # which a system may do

    def on_fsync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path == disk.pixels:
            disk.step("fsync folder")
            disk.unnamed.clear()
            disk.removed.clear()
        elif path.parent == disk.pixels:
            disk.step("fsync file")
            disk.unsynced.discard(path.name)
        fsync(descriptor)

    monkeypatch.setattr(os, "write", on_write)
    monkeypatch.setattr(os, "fsync", on_fsync)


def watch_names(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    replace, unlink = Path.replace, Path.unlink

    def on_replace(self: Path, target: Path) -> Path:
        if self.parent == disk.pixels:
            disk.step("rename")
            disk.unnamed[target.name] = self.name
            if self.name in disk.unsynced:
                disk.unsynced.remove(self.name)
                disk.unsynced.add(target.name)
        return replace(self, target)

    def on_unlink(self: Path, missing_ok: bool = False) -> None:
        if self.parent == disk.pixels and self.exists():
            disk.step("unlink")
            disk.removed[self.name] = self.read_bytes()
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "replace", on_replace)
    monkeypatch.setattr(Path, "unlink", on_unlink)


def opened(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> Store:
    connect = sqlite3.connect
    with monkeypatch.context() as patches:
        patches.setattr(
            sqlite3, "connect", lambda *given, **named: connect(*given, **named, factory=_Recorded)
        )
        store = Store(disk.folder)
    connection = store._records._connection
    assert isinstance(connection, _Recorded)
    connection.disk = disk
    return store


def live_through(store: Store, promise: Callable[..., None]) -> None:
    """Have jobs come, run, end and be taken; tell what holds after each call."""
    for name in ("a", "b"):
        store.add(name, [b"{}", LAYER], owner="", trusted=True, digest=b"")
        promise(name, QUEUED)
    store.mark("a", RUNNING, 0)
    store.add_picture("a", 0, [b"{}", FIRST])
    promise("a", QUEUED, FIRST)
    store.add_picture("a", 1, [b"{}", SECOND])
    promise("a", QUEUED, FIRST, SECOND)
    store.end("a", b"{}")
    promise("a", ENDED, FIRST, SECOND)
    store.mark("b", RUNNING, 0)
    store.mark_taken("b")
    promise("b", TAKEN)
    store.mark_taken("a")
    promise("a", TAKEN)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="descriptors have no names here")
def test_a_power_cut_at_any_step_loses_nothing(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    def promise(name: str, state: str, *pixels: bytes) -> None:
        disk.promised[name] = (state, list(pixels))
        disk.cut_power(f"what follows {name} {state}")

    store = opened(disk, monkeypatch)
    live_through(store, promise)
    store.close()
    assert disk.cuts > 100
    writing = disk.steps[: disk.steps.index("INSERT INTO jobs") + 1]
    assert writing[0] == writing[-5] == "write .part"
    assert writing[-4:] == ["fsync file", "rename", "fsync folder", "INSERT INTO jobs"]


def test_what_is_committed_is_on_the_disk(tmp_path: Path) -> None:
    store = Store(tmp_path / "jobs")
    full = 2
    assert store._execute("PRAGMA journal_mode") == [("wal",)]
    assert store._execute("PRAGMA synchronous") == [(full,)]
    store.add("a", [b""], owner="", trusted=True, digest=b"")
    store.mark("a", RUNNING, 0)
    assert store._execute("PRAGMA synchronous") == [(full,)]
    store.close()


def whole_files(home: Path) -> set[bytes]:
    """Return what is in the files of pixels, put aside or not."""
    return {path.read_bytes() for path in home.glob("jobs*/pixels/*")}


@pytest.mark.parametrize("file", ["jobs.sqlite", "jobs.sqlite-wal", "jobs.sqlite-shm"])
def test_records_that_are_cut_anywhere_take_no_pixels_along(tmp_path: Path, file: str) -> None:
    made = tmp_path / "made"
    for number in range(2):  # closed once, so that there is something in each of the files
        store = Store(made / "jobs")
        for name in (f"{number}-waits", f"{number}-ended"):
            store.add(name, [b"{}", name.encode()], owner="", trusted=True, digest=b"")
        store.add_picture(name, 0, [b"{}", f"picture of {name}".encode()])
        store.end(name, b"{}")
        if number == 0:
            store.close()
    size = (made / "jobs" / file).stat().st_size
    expected = whole_files(made)
    assert len(expected) == 4
    opened_as_it_was = put_aside = 0
    for length in [*range(0, size, max(size // 40, 1)), size]:
        home = tmp_path / str(length)
        shutil.copytree(made, home)
        os.truncate(home / "jobs" / file, length)
        again, remark = open_store(home / "jobs")
        kept = [again.find(f"{number}-waits") for number in range(2)]
        for one in kept:
            if one is not None:
                assert bytes(again.submission(one.name)[1]) == one.name.encode()
        opened_as_it_was += None not in kept
        put_aside += bool(remark)
        again.close()
        assert whole_files(home) == expected
        shutil.rmtree(home)
    store.close()
    assert opened_as_it_was > 0
    assert put_aside > 0 or file != "jobs.sqlite"


FULL = OSError(28, "No space left on device")


def raise_at(number: int) -> Callable[[], None]:
    """Return what fails when it is called for that time, and ever after."""
    calls = iter(range(number))

    def call() -> None:
        if next(calls, None) is None:
            raise FULL

    return call


@pytest.mark.parametrize("what", ["write", "fsync", "rename", "records"])
def test_a_disk_that_gets_full_at_any_step_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    for number in itertools.count():
        folder, promised = tmp_path / str(number) / "jobs", dict[str, tuple[str, list[bytes]]]()
        folder.parent.mkdir()
        store, failed = Store(folder), False

        def promise(name: str, state: str, *pixels: bytes, promised: Any = promised) -> None:
            promised[name] = (state, list(pixels))

        with monkeypatch.context() as patches:
            fill(patches, what, raise_at(number))
            try:
                live_through(store, promise)
            except (OSError, sqlite3.Error):
                failed = True
        store.close()
        disk = Disk(folder, promised=promised)
        disk._judge(folder)
        assert not list(disk.pixels.glob("*.part"))
        if not failed:
            break
    assert number >= (10 if what == "records" else 4)  # as many steps as there are of that kind


def fill(patches: pytest.MonkeyPatch, what: str, check: Callable[[], None]) -> None:
    """Have one kind of step look first whether there is room."""
    write, sync = pixel_files._write_all, pixel_files.sync
    replace, execute = Path.replace, Records.execute

    def on_write(descriptor: int, data: memoryview) -> None:
        write(descriptor, data[: len(data) // 2])
        check()
        write(descriptor, data[len(data) // 2 :])

    def on_sync(descriptor: int) -> None:
        check()
        sync(descriptor)

    def on_replace(self: Path, target: Path) -> Path:
        check()
        return replace(self, target)

    def on_execute(self: Records, statement: str, *values: Any) -> list[Any]:
        if statement.split(maxsplit=1)[0] in {"INSERT", "UPDATE", "DELETE", "COMMIT"}:
            try:
                check()
            except OSError:
                raise sqlite3.OperationalError("database or disk is full") from None
        return execute(self, statement, *values)

    if what == "write":
        patches.setattr(pixel_files, "_write_all", on_write)
    elif what == "fsync":
        patches.setattr(pixel_files, "sync", on_sync)
    elif what == "rename":
        patches.setattr(Path, "replace", on_replace)
    else:
        patches.setattr(Records, "execute", on_execute)


def test_the_records_file_that_is_full_loses_no_job(tmp_path: Path) -> None:
    """SQLite's own way of having no room, rather than one that is put in its place."""
    store = Store(tmp_path / "jobs")
    store.add("a", [b"{}", LAYER], owner="", trusted=True, digest=b"")
    (pages,) = store._execute("PRAGMA page_count")[0]
    store._execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.add("b", [bytes(2**17), LAYER], owner="", trusted=True, digest=b"")
    assert store.find("b") is None
    assert [bytes(part) for part in store.submission("a")] == [b"{}", LAYER]
    assert len(PixelFiles(tmp_path / "jobs" / "pixels").names()) == 1
    store.close()
