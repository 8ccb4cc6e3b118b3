"""The queue of a real daemon: turns, positions, previews."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from underpaint.server.arrays import to_frame, to_pixels
from underpaint_client import Connection, connect, messages
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.request import Request

LONG = Request(steps=1000, strength=1.0)
NOTHING = Request(strength=0.0)  # which runs no model


def layer() -> Frame:
    return to_frame("layer", np.full((4, 4, 4), 200, np.uint8), Box(0, 0, 4, 4))


def wait_for_step(connection: Connection, job: str) -> None:
    for message, _ in connection.events(job):
        if isinstance(message, messages.Progress) and message.step:
            return


def test_200_jobs_of_4_clients_end_once_each_and_wait_alike(daemon: Path) -> None:
    with ExitStack() as stack:
        blocker = stack.enter_context(connect())
        first = blocker.submit(LONG)
        wait_for_step(blocker, first)
        clients = [stack.enter_context(connect()) for _ in range(4)]
        jobs = [[client.submit(NOTHING, layer()) for _ in range(50)] for client in clients]
        for client in clients:
            client.waiting()  # by now all of theirs are in the queue
        blocker.cancel(first)
        ended: dict[str, float] = {}
        pictures: list[str] = []
        deadline = time.monotonic() + 60
        while len(ended) < 200 and time.monotonic() < deadline:
            for client in clients:  # one message at a time, or who is heard first seems served so
                received = client.receive(0)
                if received is None:
                    continue
                message, _ = received
                if isinstance(message, messages.Picture):
                    pictures.append(message.job)
                elif isinstance(message, messages.Done):
                    ended[message.job] = time.monotonic()
        assert sorted(pictures) == sorted(job for one in jobs for job in one)
        order = sorted(ended, key=lambda job: ended[job])
        means = [np.mean([order.index(job) for job in one]) for one in jobs]
        assert max(means) - min(means) < 12  # of 200; all of one client first would be 150


def test_a_job_learns_its_position_and_can_be_the_next(daemon: Path) -> None:
    with connect() as one, connect() as other:
        first = one.submit(LONG)
        wait_for_step(one, first)
        waiting = [one.submit(NOTHING, layer()) for _ in range(3)]
        one.waiting()  # by now all are in the queue
        theirs = other.submit(NOTHING, layer())
        other.waiting()
        heard: dict[str, list[int]] = {job: [] for job in waiting}
        one.prefer(waiting[2])
        time.sleep(0.3)
        one.cancel(first)
        done: list[str] = []
        while len(done) < 3:
            received = one.receive(20)
            assert received is not None
            message, _ = received
            if isinstance(message, messages.Accepted) and message.job in heard:
                heard[message.job].append(message.position)
            if isinstance(message, messages.Done):
                done.append(message.job)
        assert done == [waiting[2], waiting[0], waiting[1]]
        assert heard[waiting[0]][0] == 1
        assert max(heard[waiting[0]]) == 3  # the other client's came between, and the preferred one
        assert heard[waiting[2]][0] == 3
        assert min(heard[waiting[2]]) == 1
        for message, _ in other.events(theirs):
            assert not isinstance(message, messages.Failed)


def test_jobs_are_cancelled_and_preferred_that_are_followed_at_the_same_moment(
    daemon: Path,
) -> None:
    with connect() as connection:
        with connect() as former:
            first = former.submit(LONG)
            wait_for_step(former, first)
            jobs = [former.submit(LONG) for _ in range(24)]
            former.waiting()  # by now all are in the queue
        *cancelled, preferred = jobs
        connection.follow(preferred)
        connection.prefer(preferred)
        for job in cancelled:  # more than the store is asked for at once
            connection.follow(job)
            connection.cancel(job)
        connection.waiting()
        left = {job.job for job in connection.status().jobs}
        connection.cancel(first)
        connection.cancel(preferred)
        assert left == {first, preferred}
        ended: set[str] = set()
        while ended != set(cancelled):
            received = connection.receive(20)
            assert received is not None
            message, _ = received
            if isinstance(message, messages.Failed):
                assert message.code == "cancelled"
                ended.add(message.job)
                ended -= {first, preferred}


def test_previews_come_when_they_are_asked_for(daemon: Path) -> None:
    request = Request(steps=12, strength=1.0, width=64, height=64, seed=1)
    with connect() as connection:
        found: dict[str, list[tuple[messages.Preview, Frame]]] = {}
        for wanted in ("", "full"):
            job = connection.submit(request, previews=wanted)
            events = list(connection.events(job))
            found[wanted] = [
                (message, frames[0])
                for message, frames in events
                if isinstance(message, messages.Preview)
            ]
        assert found[""] == []
        assert [message.step for message, _ in found["full"]] == list(range(1, 13))
        message, frame = found["full"][-1]
        assert message.area == (0, 0, 64, 64)
        assert to_pixels(frame).shape == (64, 64, 4)
        job = connection.submit(request, previews="slow")
        *_, (refusal, _) = connection.events(job)
        assert isinstance(refusal, messages.Failed)
        assert "previews 'slow' are unknown" in refusal.message
