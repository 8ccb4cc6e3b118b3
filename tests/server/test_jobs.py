from __future__ import annotations

import pytest

from underpaint.server.jobs import MAX_JOBS, Client, Job, Jobs
from underpaint_client.errors import BadInputError
from underpaint_client.geometry import Box
from underpaint_client.request import Request
from underpaint_client.wire import Frame, Submit

ANN, BOB = Client(0, b"ann"), Client(0, b"bob")


def job(name: str, client: Client = ANN, frames: tuple[Frame, ...] = ()) -> Job:
    return Job(client, Submit(name, Request(prompt=name)), frames)


def test_first_come_first_served() -> None:
    jobs = Jobs()
    assert [jobs.add(job(name)) for name in "abc"] == [0, 1, 2]
    first = jobs.waiting()
    assert first is not None
    assert first.name == "a"
    first.worker = 0
    assert jobs.on(0) is first
    assert [status.state for status in jobs.status()] == ["running", "queued", "queued"]
    jobs.remove("a")
    assert jobs.waiting() is jobs.get("b")
    assert "a" not in jobs


def test_clients_are_told_apart() -> None:
    jobs = Jobs()
    jobs.add(job("a", ANN))
    jobs.add(job("b", BOB))
    assert [one.name for one in jobs.of(BOB)] == ["b"]


def test_limits() -> None:
    jobs = Jobs()
    for number in range(MAX_JOBS):
        jobs.add(job(str(number)))
    with pytest.raises(BadInputError, match="64 jobs of this client"):
        jobs.add(job("one more"))
    jobs.add(job("x", BOB))
    with pytest.raises(BadInputError, match="'x' is already here"):
        jobs.add(job("x", BOB))


def test_pixels_of_waiting_jobs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("underpaint.server.jobs.MAX_BYTES", 10)
    frame = Frame("layer", Box(0, 0, 2, 1), "u1", "RGBA", bytes(8))
    jobs = Jobs()
    jobs.add(job("a", frames=(frame,)))
    with pytest.raises(BadInputError, match="let some finish"):
        jobs.add(job("b", frames=(frame,)))
