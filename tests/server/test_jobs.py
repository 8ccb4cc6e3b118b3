"""What becomes of jobs, with a real store, and clients and workers that are only names."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from example_recipe import make_recipe
from underpaint.server import unwritten
from underpaint.server.job_digest import digest_submission, is_same_submission
from underpaint.server.job_events import CancelAsked, Finished, Painted
from underpaint.server.job_queue import MAX_JOBS, Client, Job
from underpaint.server.jobs import Jobs
from underpaint.server.pixel_files import PixelFiles
from underpaint.server.results import as_many_as_fit
from underpaint.server.retention import Retention
from underpaint.server.store import Store
from underpaint.server.stored_job import ENDED
from underpaint_client import Box, Frame, Request, messages, wire
from underpaint_client.errors import BadInputError, GenerationFailedError
from underpaint_client.frames import Bytes
from underpaint_client.inputs import InputFrames
from underpaint_client.variations import Variation

ANN, BOB, EVE = Client(0, b"ann"), Client(0, b"bob"), Client(1, b"eve", owner="another")
PIXELS = Frame("picture", Box(0, 0, 2, 2), "u1", "RGBA", bytes(16))


def picture(job: str, index: int) -> list[Bytes]:
    return wire.encode(messages.Picture(job, index, "patch", make_recipe()), (PIXELS,))


SIZE = sum(memoryview(part).nbytes for part in picture("j", 0))


@dataclass
class House:
    """The jobs of a daemon, and all that is said of them."""

    folder: Path
    gone: set[Client] = field(default_factory=set)
    said: dict[Client, list[messages.Message]] = field(default_factory=dict)
    stopped: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        self.store = Store(self.folder)  # only looked at while its thread has nothing to do
        self.jobs = Jobs(self.store, Retention(), self.tell, self.greet, self.stop_worker)

    def tell(self, client: Client, parts: list[Bytes]) -> bool:
        if client.endpoint < 0 or client in self.gone:
            return False
        message, _ = wire.decode(parts)
        if not isinstance(message, messages.Followed):
            self.said.setdefault(client, []).append(message)
        return True

    def greet(self, job: Job) -> None:
        self.tell(job.client, wire.encode(messages.Accepted(job.name, 0, job.state.remark)))

    def stop_worker(self, worker: int, name: str) -> None:
        self.stopped.append((worker, name))

    def settle(self) -> None:
        """Let the store do what it was asked for."""
        done: list[int] = []
        self.jobs.when_done(lambda: done.append(1))
        deadline = time.monotonic() + 10
        while not done:
            assert time.monotonic() < deadline
            self.jobs.answer()

    def submit(self, client: Client, name: str = "j", prompt: str = "a lake") -> None:
        submit = messages.Submit(name, Request.of(prompt=prompt, images=2))
        self.jobs.accept(client, submit, InputFrames(), trusted=True)

    def run(self, name: str = "j") -> Job:
        job = self.jobs.queue.get(name)
        assert job is not None
        self.jobs.start(job, 0)
        return job

    def paint(self, job: Job, *indexes: int, is_read: bool = True) -> None:
        for index in indexes:
            self.jobs.handle(job, Painted(index, picture(job.name, index), is_read))

    def heard(self, client: Client) -> list[str]:
        return [message.type for message in self.said.pop(client, [])]

    def reopen(self) -> None:
        """Let another daemon take up what this one leaves."""
        self.jobs.close()
        self.open()

    def file_of(self, index: int) -> Path:
        """Return the file of a picture of the job `j`."""
        pictures = "SELECT file FROM pictures WHERE job = 'j' AND number = ?"
        ((file,),) = self.store._execute(pictures, index)
        return self.folder / "pixels" / str(file)

    @property
    def files(self) -> int:
        return len(list((self.folder / "pixels").iterdir()))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "jobs")
    yield house
    house.jobs.close()


def ended(house: House, client: Client = ANN) -> Job:
    house.submit(client)
    house.settle()
    job = house.run()
    house.paint(job, 0, 1)
    house.jobs.handle(job, Finished(messages.Done("j")))
    return job


def test_what_is_taken_at_once_is_never_written(house: House) -> None:
    ended(house)
    assert house.heard(ANN) == ["accepted", "picture", "picture", "done"]
    house.jobs.acknowledge(ANN, "j")
    house.jobs.write()
    house.settle()
    assert house.files == 0
    house.jobs.follow(ANN, ["j"])
    house.settle()
    (message,) = house.said[ANN]
    assert isinstance(message, messages.Failed)
    assert "fetched already" in message.message


def test_what_is_not_taken_is_written_in_a_moment(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unwritten, "MOMENT", -1.0)
    ended(house)
    house.jobs.write()
    house.settle()
    assert house.files == 2
    house.gone.add(ANN)
    house.jobs.follow(BOB, ["j"])
    house.settle()
    assert house.heard(BOB) == ["picture", "picture", "done"]


def test_a_picture_comes_before_acceptance_is_written_but_is_heard_after(house: House) -> None:
    house.submit(ANN)
    job = house.run()
    house.paint(job, 0)
    house.jobs.handle(job, Finished(messages.Done("j")))
    assert house.heard(ANN) == []
    house.settle()
    assert house.heard(ANN) == ["accepted", "picture", "done"]


def test_an_ended_job_that_is_sent_again_is_not_run_again(house: House) -> None:
    ended(house)
    house.submit(BOB)  # the same message, by another connection
    job = house.run()  # which a worker may begin before the store has answered
    house.paint(job, 0)
    house.settle()  # the store knows it
    house.settle()  # and has given what came of it
    assert house.heard(BOB) == ["picture", "picture", "done"]
    assert house.jobs.queue.get("j") is None
    house.jobs.acknowledge(BOB, "j")
    house.settle()
    house.reopen()
    assert list(house.jobs.queue) == []


def test_a_stranger_with_the_same_id_spoils_nothing(house: House) -> None:
    ended(house)
    house.gone.add(ANN)
    house.jobs.lose(ANN)
    house.settle()
    house.submit(EVE)
    house.jobs.handle(house.run(), Finished(messages.Failed("j", "cancelled", "cancelled")))
    house.jobs.acknowledge(EVE, "j")
    house.settle()
    assert house.heard(EVE) == ["failed"]
    house.jobs.follow(EVE, ["j"])
    house.settle()
    assert house.heard(EVE) == ["failed"]
    house.jobs.follow(BOB, ["j"])
    house.settle()
    assert house.heard(BOB) == ["picture", "picture", "done"]


def test_who_takes_over_gets_what_was_told_to_the_former(house: House) -> None:
    house.submit(ANN)
    house.settle()
    job = house.run()
    house.paint(job, 0)
    house.gone.add(ANN)
    house.submit(BOB)
    house.paint(job, 1)
    house.jobs.handle(job, Finished(messages.Done("j")))
    house.settle()
    assert house.heard(BOB) == ["accepted", "picture", "picture", "done"]


def test_a_picture_that_cannot_be_kept_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.submit(ANN)
    house.settle()
    job = house.run()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("underpaint.server.pixel_files._write_all", full)
    house.gone.add(ANN)
    house.paint(job, 0)
    house.jobs.handle(job, Finished(messages.Done("j")))
    house.jobs.lose(ANN)
    house.settle()
    house.settle()  # the ending is put right when the failure was heard of
    house.jobs.follow(BOB, ["j"])
    house.settle()
    (message,) = house.said[BOB]
    assert isinstance(message, messages.Failed)
    assert "No space left on device" in message.message


@pytest.fixture
def asked(house: House, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the store was asked to write, in order; nothing waits for a moment, or is small."""
    found: list[str] = []

    def watch(way: str, real: Callable[..., Any]) -> None:
        def ask(store: Store, name: str, *args: Any, **more: Any) -> Any:
            found.append(f"{way} {name}")
            return real(store, name, *args, **more)

        monkeypatch.setattr(Store, way, ask)

    for way in ("add", "add_picture", "end", "mark_taken"):
        watch(way, getattr(Store, way))
    monkeypatch.setattr(unwritten, "MOMENT", -1.0)
    monkeypatch.setattr(unwritten, "AT_ONCE", 1)
    return found


def write_all(house: House) -> None:
    while list(house.jobs._unwritten):
        house.jobs.write()
        house.settle()
    house.settle()


def test_who_asks_the_store_waits_for_one_picture_of_others(house: House, asked: list[str]) -> None:
    house.submit(ANN)
    house.settle()
    job = house.run()
    house.paint(job, *range(16))
    house.jobs.handle(job, Finished(messages.Done("j")))
    house.jobs.write()
    house.submit(BOB, "small")
    house.jobs.send_waiting(EVE)
    house.settle()
    assert house.heard(BOB) == ["accepted"]
    assert house.heard(EVE) == ["waiting"]
    assert asked.index("add small") <= 2
    house.jobs.follow(BOB, ["j"])  # comes after what it asks for
    write_all(house)
    assert house.heard(BOB) == [*["picture"] * 16, "done"]
    assert asked.count("add_picture j") == 16


@pytest.mark.parametrize("is_told_first", [False, True])
def test_what_is_taken_is_not_written_any_more(
    house: House, asked: list[str], is_told_first: bool
) -> None:
    house.submit(ANN)
    house.settle()
    job = house.run()
    house.paint(job, *range(16))
    if is_told_first:
        house.jobs.acknowledge(ANN, "j")
    house.jobs.handle(job, Finished(messages.Done("j")))
    house.jobs.write()
    if not is_told_first:
        house.jobs.acknowledge(ANN, "j")
    write_all(house)
    assert asked.count("add_picture j") <= 2
    assert asked[-1] == "mark_taken j"
    assert house.files == 0
    house.jobs.follow(BOB, ["j"])
    house.settle()
    assert "fetched already" in house.said[BOB][-1].message  # type: ignore[union-attr]


def test_a_daemon_that_ends_writes_all_that_waits(house: House, asked: list[str]) -> None:
    house.submit(ANN)
    house.settle()
    job = house.run()
    house.paint(job, *range(16))
    house.jobs.handle(job, Finished(messages.Done("j")))
    house.reopen()
    house.jobs.follow(BOB, ["j"])
    house.settle()
    assert house.heard(BOB) == [*["picture"] * 16, "done"]


def test_a_picture_that_a_daemon_cannot_write_at_its_end_is_told_by_the_next(
    house: House, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(house)
    with monkeypatch.context() as patches:
        patches.setattr("underpaint.server.pixel_files._write_all", no_space)
        house.reopen()
    house.jobs.follow(BOB, ["j"])
    house.settle()
    message = house.said[BOB][-1]
    assert isinstance(message, messages.Failed)
    assert "No space left on device" in message.message


def test_no_more_is_painted_than_the_disk_takes(
    house: House, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unwritten, "MOMENT", 1000.0)
    monkeypatch.setattr(unwritten, "MAX_KEPT", 8.5 * SIZE)
    house.submit(ANN)
    job = house.run()
    assert not house.jobs.has_room(job)  # what comes before it is accepted is kept to be said
    house.settle()
    assert house.jobs.has_room(job)
    painted = 0
    while house.jobs.has_room(job):
        house.paint(job, painted)
        painted += 1
    assert painted == 9
    house.settle()  # what has waited longest is written though its moment is not over
    assert house.jobs.has_room(job)
    assert 0 < asked.count("add_picture j") < painted
    house.jobs.acknowledge(ANN, "j")
    house.jobs.handle(job, Finished(messages.Done("j")))
    write_all(house)
    assert house.jobs._unwritten._size == 0


def test_what_a_client_does_not_read_comes_from_the_disk_at_the_end(house: House) -> None:
    house.submit(ANN)
    house.settle()
    job = house.run()
    house.paint(job, 0)
    house.paint(job, 1, 2, is_read=False)
    assert house.heard(ANN) == ["accepted", "picture"]
    house.settle()
    assert len(house.store.numbers("j")) == 3  # in no moment
    house.paint(job, 3)
    house.jobs.handle(job, Finished(messages.Done("j")))
    house.settle()
    house.settle()
    sent = house.said.pop(ANN)
    assert [one.index for one in sent if isinstance(one, messages.Picture)] == [3, 1, 2]
    assert sent[-1] == messages.Done("j")
    house.jobs.acknowledge(ANN, "j")
    house.settle()
    assert house.files == 0


@pytest.mark.parametrize("is_read", [True, False])
def test_what_is_kept_of_one_job_has_a_limit(house: House, asked: list[str], is_read: bool) -> None:
    house.jobs._retention = Retention(gigabytes=3.5 * SIZE / 2**30)
    house.submit(ANN)
    house.settle()
    job = house.run()
    for index in range(6):
        house.paint(job, index, is_read=is_read)
    write_all(house)
    assert asked.count("add_picture j") == 3
    assert house.stopped == ([] if is_read else [(0, "j")])
    ending = messages.Done("j") if is_read else messages.Failed("j", "cancelled", "cancelled")
    house.jobs.handle(job, Finished(ending))
    for _ in range(3):
        house.settle()
    (last,) = house.said.pop(ANN)[-1:]
    if is_read:
        assert last == messages.Done("j")  # who has all of it
        house.jobs.follow(BOB, ["j"])
        house.settle()
        (last,) = house.said.pop(BOB)[-1:]
    assert isinstance(last, messages.Failed)
    assert last.code == "failed"
    assert "ask for fewer or smaller images" in last.message


def no_space(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("when", ["while it runs", "before it is taken over", "when it has ended"])
@pytest.mark.parametrize("way", ["follow", "submit"])
def test_a_picture_that_could_not_be_written_is_told_to_whoever_comes_later(
    house: House, monkeypatch: pytest.MonkeyPatch, when: str, way: str
) -> None:
    house.submit(ANN)
    house.settle()
    job = house.run()
    house.paint(job, 0)
    house.gone.add(ANN)
    if when != "when it has ended":
        with monkeypatch.context() as patches:
            patches.setattr("underpaint.server.pixel_files._write_all", no_space)
            house.jobs.lose(ANN)
            house.settle()

    def come_back() -> None:
        if way == "follow":
            house.jobs.follow(BOB, ["j"])
        else:
            house.submit(BOB)

    if when == "before it is taken over":
        come_back()
        house.settle()
    house.paint(job, 1)
    house.jobs.handle(job, Finished(messages.Done("j")))
    if when == "when it has ended":
        with monkeypatch.context() as patches:
            patches.setattr(PixelFiles, "written", no_space)
            house.jobs.lose(ANN)
            house.settle()
    if when != "before it is taken over":
        come_back()
    for _ in range(4):
        house.settle()
    *others, last = house.said.pop(BOB)
    assert isinstance(last, messages.Failed)
    assert "1 (No space left on device)" in last.message
    pictures = {one.index for one in others if isinstance(one, messages.Picture)}
    assert pictures == (set() if when == "when it has ended" else {1})


def test_who_has_a_picture_that_could_not_be_written_takes_the_job(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unwritten, "MOMENT", -1.0)
    ended(house)
    monkeypatch.setattr("underpaint.server.pixel_files._write_all", no_space)
    house.jobs.write()
    house.jobs.acknowledge(ANN, "j")  # before it is known that the writing failed
    for _ in range(3):
        house.jobs.write()
        house.settle()
    assert house.heard(ANN) == ["accepted", "picture", "picture", "done"]
    house.jobs.follow(BOB, ["j"])
    house.settle()
    (message,) = house.said.pop(BOB)
    assert isinstance(message, messages.Failed)
    assert "fetched already" in message.message


def test_a_worker_stops_that_runs_a_job_of_which_there_are_results(house: House) -> None:
    ended(house)
    house.submit(BOB)
    house.run()  # before the store has answered
    house.settle()
    assert house.stopped == [(0, "j")]


def test_a_cancelled_job_does_not_go_on_at_the_next_start(house: House) -> None:
    house.submit(ANN, "stopped")
    house.submit(ANN, "goes on")
    house.settle()
    house.jobs.handle(house.run("stopped"), CancelAsked())
    assert house.stopped == [(0, "stopped")]
    house.run("goes on")
    house.reopen()
    assert [job.name for job in house.jobs.queue] == ["goes on"]


def test_what_waits_is_its_owners(house: House) -> None:
    ended(house)
    house.jobs.send_waiting(BOB)
    house.settle()
    (message,) = house.said.pop(BOB)
    assert message == messages.Waiting(())  # Ann is there, and has it
    house.gone.add(ANN)
    house.jobs.send_waiting(EVE)
    house.jobs.send_waiting(BOB)
    house.settle()
    (nothing,), (something,) = house.said.pop(EVE), house.said.pop(BOB)
    assert nothing == messages.Waiting(())
    assert isinstance(something, messages.Waiting)
    assert [(job.job, job.ended) for job in something.jobs] == [("j", True)]
    kept = house.store.find("j")
    assert kept is not None
    assert kept.state == ENDED


def left(house: House) -> None:
    """Have a job end whose client has gone."""
    ended(house)
    house.gone.add(ANN)
    house.jobs.lose(ANN)
    house.settle()
    house.said.clear()


def failures(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def fail(*_: object, **__: object) -> None:
        if where in {"find", "prune"}:
            raise sqlite3.OperationalError("disk I/O error")
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(PixelFiles if where == "read" else Store, where, fail)


def last_of(house: House, client: Client) -> messages.Message:
    return house.said.pop(client)[-1]


@pytest.mark.parametrize(
    ("where", "told"), [("find", "disk I/O error"), ("read", "Too many open files")]
)
def test_results_that_cannot_be_read_this_time_are_kept(
    house: House, monkeypatch: pytest.MonkeyPatch, where: str, told: str
) -> None:
    left(house)
    with monkeypatch.context() as patches:
        failures(patches, where)
        house.jobs.follow(BOB, ["j"])
        house.settle()
    error = last_of(house, BOB)
    assert isinstance(error, messages.Failed)
    assert error.code == "kept"
    assert told in error.message
    house.jobs.acknowledge(BOB, "j")  # as clients do that know no such code
    house.settle()
    assert house.files == 2
    house.jobs.follow(BOB, ["j"])
    house.settle()
    assert house.heard(BOB) == ["picture", "picture", "done"]
    house.jobs.acknowledge(BOB, "j")
    house.settle()
    assert house.files == 0


@pytest.mark.parametrize("content", [None, b"", b"cut"])
def test_whole_pictures_come_and_damaged_ones_are_named(
    house: House, content: bytes | None
) -> None:
    left(house)
    damaged = house.file_of(1)
    damaged.unlink()
    if content is not None:
        damaged.write_bytes(content)
    house.jobs.follow(BOB, ["j"])
    house.settle()
    first, error = house.said.pop(BOB)
    assert isinstance(first, messages.Picture)
    assert first.index == 0
    assert isinstance(error, messages.Failed)
    assert error.code == "kept"
    assert f"picture 2 ({damaged.name}" in error.message
    house.jobs.acknowledge(BOB, "j")
    house.settle()
    assert house.file_of(0).exists()
    carl = Client(0, b"carl")
    house.jobs.acknowledge(carl, "j")  # who was told nothing else, and wants it no more
    house.settle()
    assert not (house.folder / "pixels" / damaged.name).exists()
    assert house.files == 0


def test_a_refusal_is_no_end_whose_results_could_be_taken(house: House) -> None:
    left(house)
    house.submit(BOB, prompt="another job of that id")
    house.settle()
    assert house.heard(BOB) == ["failed"]
    house.jobs.acknowledge(BOB, "j")
    house.jobs.refuse(BOB, "j", GenerationFailedError("the daemon failed"))
    house.jobs.acknowledge(BOB, "j")
    house.settle()
    assert house.files == 2
    house.submit(ANN, "runs")
    house.settle()
    house.jobs.refuse(ANN, "runs", GenerationFailedError("the daemon failed"))
    house.jobs.acknowledge(ANN, "runs")
    job = house.jobs.queue.get("runs")
    assert job is not None
    assert not job.state.is_taken


def test_who_takes_over_a_job_whose_pictures_cannot_be_read_gets_them_at_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for again in (True, False):
        house.submit(ANN)
        house.settle()
        job = house.run()
        house.paint(job, 0)
        with monkeypatch.context() as patches:
            failures(patches, "read")
            house.jobs.follow(BOB, ["j"])
            house.settle()
            house.paint(job, 1)
            if again:
                house.jobs.handle(job, Finished(messages.Done("j")))
                house.settle()
        if not again:
            house.jobs.handle(job, Finished(messages.Done("j")))
            house.settle()
        *others, last = house.said.pop(BOB)
        pictures = {one.index for one in others if isinstance(one, messages.Picture)}
        if again:
            assert isinstance(last, messages.Failed)
            assert last.code == "kept"
            house.jobs.acknowledge(BOB, "j")
            house.settle()
            assert house.files == 2
            house.store.forget(["j"])
        else:
            assert last == messages.Done("j")
            assert pictures == {0, 1}


def test_a_job_that_cannot_be_read_at_the_start_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("followed", "left alone"):
        submit = messages.Submit(name, Request.of(prompt="a lake"))
        house.jobs.accept(ANN, submit, InputFrames(layer=PIXELS), trusted=True)
    house.settle()
    with monkeypatch.context() as patches:
        failures(patches, "read")
        house.reopen()
        assert list(house.jobs.queue) == []
        house.said.clear()
        house.jobs.follow(BOB, ["followed"])
        house.settle()
        error = last_of(house, BOB)
        assert isinstance(error, messages.Failed)
        assert error.code == "kept"
        house.jobs.acknowledge(BOB, "followed")
        house.jobs.send_waiting(BOB)
        house.settle()
        waiting = last_of(house, BOB)
        assert isinstance(waiting, messages.Waiting)
        assert {one.job for one in waiting.jobs} == {"followed", "left alone"}
    house.jobs.follow(BOB, ["followed"])
    house.settle()
    assert [job.name for job in house.jobs.queue] == ["followed"]
    house.jobs.prune()
    house.settle()
    house.settle()
    assert [job.name for job in house.jobs.queue] == ["followed", "left alone"]
    assert [len(job.inputs.frames) for job in house.jobs.queue] == [1, 1]


def test_a_damaged_submission_ends_its_job_and_says_so(house: House) -> None:
    submit = messages.Submit("j", Request.of(prompt="a lake"))
    house.jobs.accept(ANN, submit, InputFrames(layer=PIXELS), trusted=True)
    house.settle()
    (file,) = (house.folder / "pixels").iterdir()
    file.write_bytes(b"cut")
    house.reopen()
    house.said.clear()
    house.jobs.follow(BOB, ["j"])
    house.settle()
    error = last_of(house, BOB)
    assert isinstance(error, messages.Failed)
    assert error.code == "failed"
    assert "3 bytes instead of 16" in error.message


def test_a_store_that_cannot_be_written_keeps_no_daemon_from_starting(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.submit(ANN)
    house.settle()

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patches:
        for way in ("mark", "end", "prune"):
            patches.setattr(Store, way, full)
        house.reopen()
    house.jobs.follow(BOB, ["j"])
    house.settle()
    assert [job.name for job in house.jobs.queue] == ["j"]


def test_an_end_that_cannot_be_written_is_come_to_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.submit(ANN)
    house.settle()
    job = house.run()
    house.gone.add(ANN)

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patches:
        patches.setattr(Store, "end", full)
        house.paint(job, 0, 1)
        house.jobs.handle(job, Finished(messages.Done("j")))
        house.settle()
        house.settle()
    house.jobs.follow(BOB, ["j"])
    house.settle()
    house.settle()
    again = house.jobs.queue.get("j")
    assert again is not None
    assert again.state.pictures == {0, 1}
    house.run()
    house.jobs.handle(again, Finished(messages.Done("j")))
    house.settle()
    assert house.heard(BOB)[-3:] == ["picture", "picture", "done"]


def test_the_digest_outlives_an_update() -> None:
    @dataclass(frozen=True)
    class Newer(Request):
        hires: bool = False
        loras: tuple[str, ...] = ()
        weights: dict[str, float] = field(default_factory=dict)

    frame = replace(PIXELS, name="layer")

    def digest(request: Request, **changes: Any) -> str:
        return digest_submission(
            messages.Submit("j", request, note="here"), (replace(frame, **changes),)
        ).decode()

    asked: dict[str, Any] = {
        "prompt": "a lake",
        "strength": 0.5,
        "variations": (Variation(1, 0.5),),
    }
    known = digest(Request.of(**asked))
    assert known == "3:643993b907764a3263ae3c3567fee475d968ea8ba91fcedfa8f0ff57b4601c32"
    newer = Newer.of(**asked)
    assert digest(newer) == known
    assert digest(replace(newer, hires=True)) != known
    assert digest(replace(newer, loras=("a",))) != known
    assert digest(Request.of(**{**asked, "strength": 0.6})) != known
    assert digest(Request.of(**asked), box=Box(1, 0, 2, 2)) != known


def test_digests_of_other_protocols_are_not_compared() -> None:
    submit = messages.Submit("j", Request())
    today, other = digest_submission(submit, ()), digest_submission(replace(submit, note="x"), ())
    assert today.startswith(f"{wire.PROTOCOL}:".encode())
    assert is_same_submission(today, today)
    assert not is_same_submission(today, other)
    assert is_same_submission(hashlib.sha256(b"as protocol 1 made them").digest(), today)
    assert not is_same_submission(bytes(32), bytes(31) + b":")
    assert is_same_submission(b"99:" + today, today)


@pytest.mark.parametrize("words", [1, 5000])
def test_what_is_listed_fits_into_a_message(words: int) -> None:
    jobs = [
        messages.WaitingJob(str(number), Request.of(prompt="lake " * words), "", ended=True)
        for number in range(3000)
    ]
    listed = as_many_as_fit(jobs)
    assert listed == tuple(jobs[: len(listed)])
    assert 10 < len(listed) < 3000
    message, _ = wire.decode(wire.encode(messages.Waiting(listed)))
    assert message == messages.Waiting(listed)
    assert as_many_as_fit(jobs[:2]) == tuple(jobs[:2])


def test_who_submits_and_cancels_without_end_must_wait_for_the_disk(house: House) -> None:
    refused = 0
    for number in range(2 * MAX_JOBS):
        try:
            house.submit(EVE, f"j{number}")
        except BadInputError as error:
            refused += 1
            assert "faster than they can be written" in str(error)
            assert f"j{number}" not in house.jobs.queue
        else:
            house.jobs.queue.remove(f"j{number}")
    assert refused == MAX_JOBS
    house.submit(ANN, "mine")
    house.settle()
    house.submit(EVE, "again")
