from __future__ import annotations

import itertools

import pytest

from underpaint.server.job_events import Started
from underpaint.server.job_queue import MAX_JOBS, Client, Job, JobQueue
from underpaint_client.errors import BadInputError
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.inputs import InputFrames
from underpaint_client.messages import Submit
from underpaint_client.request import Request

ANN, BOB = Client(0, b"ann"), Client(0, b"bob")


def job(name: str, client: Client = ANN, layer: Frame | None = None) -> Job:
    return Job(client, Submit(name, Request.of(prompt=name)), InputFrames(layer))


def start(jobs: JobQueue, job: Job, worker: int) -> None:
    job.state.handle(Started(worker))
    jobs.note_turn(job)


def test_first_come_first_served() -> None:
    jobs = JobQueue()
    for name in "abc":
        jobs.add(job(name))
    assert jobs.positions() == {"a": 0, "b": 1, "c": 2}
    first = jobs.waiting()
    assert first is not None
    assert first.name == "a"
    start(jobs, first, 0)
    assert jobs.on(0) is first
    assert [status.state for status in jobs.status()] == ["running", "queued", "queued"]
    jobs.remove("a")
    assert jobs.waiting() is jobs.get("b")
    assert "a" not in jobs


def test_clients_are_told_apart() -> None:
    jobs = JobQueue()
    jobs.add(job("a", ANN))
    jobs.add(job("b", BOB))
    assert [one.name for one in jobs.of(BOB)] == ["b"]


def test_limits() -> None:
    jobs = JobQueue()
    for number in range(MAX_JOBS):
        jobs.add(job(str(number)))
    with pytest.raises(BadInputError, match="64 jobs of this client"):
        jobs.add(job("one more"))
    jobs.add(job("x", BOB))
    with pytest.raises(BadInputError, match="'x' already exists"):
        jobs.add(job("x", BOB))


def test_pixels_of_waiting_jobs_are_bounded() -> None:
    frame = Frame("layer", Box(0, 0, 2, 1), "u1", "RGBA", bytes(8))
    jobs = JobQueue(max_bytes=10)
    jobs.add(job("a", layer=frame))
    with pytest.raises(BadInputError, match="wait until some"):
        jobs.add(job("b", layer=frame))


def order(jobs: JobQueue) -> list[str]:
    return sorted(jobs.positions(), key=lambda name: jobs.positions()[name])


def test_clients_take_turns() -> None:
    jobs = JobQueue()
    for name in ("a1", "a2", "a3", "a4"):
        jobs.add(job(name, ANN))
    first = jobs.waiting()
    assert first is not None
    start(jobs, first, 0)
    jobs.add(job("b1", BOB))
    jobs.add(job("b2", BOB))
    assert jobs.positions() == {"b1": 1, "a2": 2, "b2": 3, "a3": 4, "a4": 5}
    assert order(jobs) == ["b1", "a2", "b2", "a3", "a4"]
    jobs.remove("a1")
    second = jobs.waiting()
    assert second is not None
    assert second.name == "b1"
    assert jobs.positions()["a4"] == 4


def test_a_preferred_job_is_the_next_of_its_client() -> None:
    jobs = JobQueue()
    for name in ("a1", "a2", "a3"):
        jobs.add(job(name, ANN))
        jobs.add(job(name.replace("a", "b"), BOB))
    last = jobs.get("a3")
    assert last is not None
    jobs.prefer(last)
    assert order(jobs) == ["a3", "b1", "a1", "b2", "a2", "b3"] or order(jobs)[1] == "a3"
    assert [name for name in order(jobs) if name[0] == "a"] == ["a3", "a1", "a2"]


def test_who_sends_one_job_after_the_other_does_not_go_before_all() -> None:
    jobs, carl = JobQueue(), Client(0, b"carl")
    for number in range(5):
        jobs.add(job(f"a{number}", ANN))
    served = []
    for number in range(12):
        for name, client in ((f"b{number}", BOB), (f"c{number}", carl)):
            if not jobs.of(client):
                jobs.add(job(name, client))
        now = jobs.waiting()
        assert now is not None
        start(jobs, now, 0)
        served.append(now.name[0])
        jobs.remove(now.name)
    assert served.count("a") >= 4


def test_200_jobs_of_4_clients_wait_alike() -> None:
    jobs, clients = JobQueue(), [Client(0, name) for name in (b"a", b"b", b"c", b"d")]
    for client in clients:  # one after the other, as if each had sent all of its own at once
        for number in range(50):
            jobs.add(job(f"{client.identity.decode()}{number}", client))
    ended: list[Job] = []
    while (now := jobs.waiting()) is not None:
        start(jobs, now, 0)
        ended.append(now)
        jobs.remove(now.name)
    assert len({one.name for one in ended}) == 200
    for client in clients:
        turns = [turn for turn, one in enumerate(ended) if one.client == client]
        assert abs(sum(turns) / 50 - 99.5) <= 2
        assert max(b - a for a, b in itertools.pairwise(turns)) <= 4


def test_sizes_are_counted_of_what_pixels_become() -> None:
    """A megabyte of packed pixels may become gigabytes."""
    guest = Client(1, b"g", "key")

    def packed(width: int, height: int, dtype: str = "u1") -> Frame:
        return Frame("layer", Box(0, 0, width, height), dtype, "RGBA", bytes(99), "packed")

    jobs = JobQueue()
    with pytest.raises(
        BadInputError, match=r"4\.0 GiB unpacked.*2 GiB may come from another machine; crop"
    ):
        jobs.add(job("a", guest, packed(16384, 16384, "f4")))
    for name in "abcd":
        jobs.add(job(name, guest, packed(16384, 16384)))
    with pytest.raises(BadInputError, match="pixels of this client's waiting jobs are over 4 GiB"):
        jobs.add(job("e", guest, packed(8, 8)))
    jobs.add(job("mine", ANN, Frame("layer", Box(0, 0, 8, 8), "u1", "RGBA", bytes(256))))


def test_a_job_whose_client_is_not_ready_waits() -> None:
    jobs = JobQueue()
    for name, client in (("a", ANN), ("b", BOB), ("c", ANN)):
        jobs.add(job(name, client))
    first = jobs.waiting(lambda client: client != ANN)
    assert first is jobs.get("b")
    assert jobs.waiting(lambda _: False) is None
    assert jobs.waiting() is jobs.get("a")
